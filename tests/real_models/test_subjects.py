"""Every subject of the field's files is found, on real tokenizers and in a model of every family."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from transformers import GPT2TokenizerFast

from real_models.adapters.adapter import adapter_for
from real_models.datasets.formats import read_requests
from real_models.llama2c_tokenizer import fast_tokenizer, read_pieces
from real_models.prompts import encode, fill
from real_models.sequence import look
from real_models.trace import trace
from real_models.values import Editable

DATA = os.environ.get("NORM_ANCHOR_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="NORM_ANCHOR_DATA does not name a folder with the data sets")
FILES = {"counterfact": "counterfact/counterfact_native_500.json", "zsre": "zsre/zsre_mend_eval_1037.json"}


@pytest.fixture(scope="module")
def tokenizers():
    root = Path(str(DATA))
    merges = root / "tokenizers" / "gpt2"
    bytes_ = GPT2TokenizerFast(vocab=str(merges / "vocab.json"), merges=str(merges / "merges.txt"))
    pieces = read_pieces(root / "models" / "stories260K" / "tok512.bin")
    return {"gpt2": bytes_, "llama2c": fast_tokenizer(pieces, max(len(piece.encode()) for piece, _ in pieces))}


@pytest.fixture(scope="module", params=sorted(FILES))
def requests(request):
    return read_requests(Path(str(DATA)) / FILES[request.param], limit=300).requests


def found(tokenizer, prompt, span):
    """What the tokens up to the subject's last one say, and what those before it say."""
    encoded = encode(tokenizer, prompt, subject=span)
    read = [encoded.ids[:end] for end in (encoded.subject_last + 1, encoded.subject_last)]
    return [tokenizer.decode(list(ids), skip_special_tokens=True).strip() for ids in read]


@pytest.mark.parametrize("kind", ["gpt2", "llama2c"])
@pytest.mark.parametrize("prefix", ["", "The river was wide. "])
def test_the_decoded_text_ends_where_the_subject_does(tokenizers, requests, kind, prefix):
    """With BOS (llama2c) and without, in the middle of the prompt and at its end."""
    for one in requests:
        prompt, span = fill(one.template, one.subject, prefix)
        upto, before = found(tokenizers[kind], prompt, span)
        whole = prompt[: span[1]].strip()
        assert upto.startswith(whole), (upto, whole)
        assert len(upto) - len(whole) <= 1, "the last token holds at most one character behind the subject"
        assert not before.startswith(whole), "the token before already ends the subject"
    assert len(requests) == 300


def test_a_model_of_every_family_reads_every_subject_where_it_stands(family_model, requests, tokenizers):
    """A key of a batch is the key of the prompt alone, cut at the decoded subject's end."""
    editable = Editable(adapter_for(family_model(len(tokenizers["gpt2"]))), tokenizers["gpt2"], (), "{} is a")
    keys = torch.cat([look(editable, requests[i : i + 60], 1).keys for i in range(0, 300, 60)], dim=1)
    assert keys.shape[1] == 300
    assert keys.isfinite().all()
    for place in range(0, 300, 37):
        prompt, span = fill(requests[place].template, requests[place].subject)
        ids = tokenizers["gpt2"](prompt, return_offsets_mapping=True)
        upto = [i for i, (start, end) in zip(ids.input_ids, ids.offset_mapping, strict=True) if start < span[1]]
        alone = trace(editable.adapter, torch.tensor([upto]), 1).keys[0, -1].double()
        torch.testing.assert_close(keys[:, place], alone, rtol=1e-3, atol=1e-4)
