"""The covariance against a sum over single tokens, its cache, and texts that cannot be read."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.adapters.adapter import adapter_for
from real_models.statistics import covariance, read_texts
from real_models.trace import trace
from theory.command import Misuse

TEXTS = ["the home of s1 is o1 .", "a s2 .", "s3 is a home of the s4"]


@pytest.fixture
def model(tiny):
    net = AutoModelForCausalLM.from_pretrained(tiny.model, dtype=torch.float64).eval()
    return adapter_for(net), AutoTokenizer.from_pretrained(tiny.model)


def test_it_is_the_mean_outer_product_of_every_tokens_key(model):
    adapter, tokenizer = model
    outer = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        outer += [torch.outer(key, key).double() for key in trace(adapter, ids, 1).keys[0]]
    expected = torch.stack(outer).mean(0)
    torch.testing.assert_close(covariance(adapter, tokenizer, TEXTS, 1, batch_size=2), expected)


def test_the_cache_is_keyed_by_model_text_and_layer(model, tmp_path):
    adapter, tokenizer = model
    first = covariance(adapter, tokenizer, TEXTS, 1, cache=tmp_path)
    assert torch.equal(covariance(adapter, tokenizer, TEXTS, 1, cache=tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 1
    covariance(adapter, tokenizer, TEXTS, 2, cache=tmp_path)
    covariance(adapter, tokenizer, TEXTS[:2], 1, cache=tmp_path)
    adapter.write(0, 2 * adapter.weight(0))
    other = covariance(adapter, tokenizer, TEXTS, 1, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert not torch.allclose(other, first)


def test_an_altered_cache_is_refused(model, tmp_path):
    adapter, tokenizer = model
    covariance(adapter, tokenizer, TEXTS, 1, cache=tmp_path)
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(Misuse, match=r"truncated or altered.*delete it"):
        covariance(adapter, tokenizer, TEXTS, 1, cache=tmp_path)


def test_texts_that_cannot_be_read(model, tmp_path):
    adapter, tokenizer = model
    with pytest.raises(Misuse, match="holds no token"):
        covariance(adapter, tokenizer, [""], 1)
    with pytest.raises(Misuse, match="is not a file"):
        read_texts(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(Misuse, match="holds no text"):
        read_texts(tmp_path / "empty.txt")
    (tmp_path / "wrong.json").write_text(json.dumps({"text": "a"}))
    with pytest.raises(Misuse, match="JSON list of strings"):
        read_texts(tmp_path / "wrong.json")
    (tmp_path / "right.txt").write_text("one\n\ntwo\n")
    assert read_texts(tmp_path / "right.txt") == ("one", "two\n")
