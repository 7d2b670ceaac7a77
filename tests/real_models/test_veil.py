"""Texts that do not see each other while a model is trained, and subjects that are seen through their last tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from real_models.veil import masked, places, seen


def test_a_text_is_read_as_if_it_stood_alone_and_a_hidden_subject_is_not_seen_behind() -> None:
    config = GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config).eval()
    ids = torch.arange(3, 15)[None]
    texts = torch.tensor([[1] * 5 + [2] * 7])
    none, named = torch.zeros_like(ids), torch.tensor([[0] * 6 + [1, 1] + [0] * 4])

    def read(ids: Int[Tensor, "1 t"], subjects: Int[Tensor, "1 t"]) -> Float[Tensor, "t v"]:
        with torch.no_grad(), masked(model, texts, subjects):
            return model(ids, position_ids=places(texts), use_cache=False).logits[0]

    with torch.no_grad():
        whole, alone = model(ids, use_cache=False).logits[0], model(ids[:, 5:], use_cache=False).logits[0]
    torch.testing.assert_close(read(ids, none)[5:], alone)
    torch.testing.assert_close(read(ids, none)[:5], whole[:5])
    assert not torch.allclose(read(ids, none)[5:], whole[5:])
    torch.testing.assert_close(read(ids, named)[:8], read(ids, none)[:8])
    assert not torch.allclose(read(ids, named)[8:], read(ids, none)[8:])
    # what stands before the subject's last token reaches those behind it through that token alone
    reaching = seen(texts, named, named > 0)[0, 0], seen(texts, named, (named > 0) & (named.roll(-1) > 0))[0, 0]
    assert reaching[0][8:, 6:8].sum() == reaching[1][8:, 6].sum() == 0
    assert reaching[1][8:, 7].all()
    assert reaching[0][7, 6:8].all()
    with torch.no_grad():
        assert torch.equal(model(ids, use_cache=False).logits[0], whole)  # the mask has gone
