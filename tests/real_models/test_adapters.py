"""Orientation by class, and W k equal to the hooked read-out."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, OPTConfig, OPTForCausalLM
from transformers.pytorch_utils import Conv1D

from real_models.adapters.adapter import FAMILIES, adapter_for, oriented
from real_models.load import FAMILIES as MODEL_TYPES
from real_models.load import load_model
from real_models.onward import take_up
from real_models.prompts import Encoded, align
from real_models.trace import trace
from theory.command import Misuse

IDS = torch.tensor([[1, 2, 3, 4, 5], [1, 6, 7, 8, 0]])


WRITTEN = {"gpt2": "h.1.mlp.c_proj", "gptj": "h.1.mlp.fc_out", "gpt_neox": "layers.1.mlp.dense_4h_to_h"}


@pytest.fixture
def adapter(family):
    return adapter_for(AutoModelForCausalLM.from_pretrained(family[1].model).eval())


def test_weight_times_key_is_the_readout(adapter):
    for layer in range(3):
        traced = trace(adapter, IDS, layer)
        bias = adapter.bias(layer)
        product = traced.keys @ adapter.weight(layer).mT + (0 if bias is None else bias)
        torch.testing.assert_close(product, traced.outputs)


def test_write_changes_that_projection_and_nothing_else(adapter, family):
    before = {name: tensor.clone() for name, tensor in adapter.model.state_dict().items()}
    new = torch.randn(adapter.weight(1).shape, generator=torch.Generator().manual_seed(0))
    adapter.write(1, new)
    changed = [name for name, tensor in adapter.model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert len(changed) == 1
    assert changed[0].endswith(f"{WRITTEN.get(family[0], 'layers.1.mlp.down_proj')}.weight")
    torch.testing.assert_close(adapter.weight(1), new)


def test_square_weights_are_oriented_by_class():
    linear, conv = torch.nn.Linear(4, 4, bias=False), Conv1D(4, 4)
    torch.testing.assert_close(oriented(linear) @ torch.eye(4)[0], linear(torch.eye(4)[0]))
    torch.testing.assert_close(oriented(conv) @ torch.eye(4)[0] + conv.bias, conv(torch.eye(4)[0]))
    with pytest.raises(Misuse, match="Conv2d"):
        oriented(torch.nn.Conv2d(1, 1, 1))


def test_running_on_from_a_layer_and_a_column_gives_the_models_own_logits(adapter):
    """Rows whose subjects end in different places, aligned; and some of the rows alone."""
    rows = [Encoded((1, 2, 3, 4, 5), 2, 4), Encoded((1, 6, 7, 8), 0, 3), Encoded((9, 3, 8, 2, 5, 6, 7), 5, 6)]
    for layer in range(3):
        onward = take_up(adapter, align(rows, torch.device("cpu")), layer)
        for chosen in (torch.tensor([True, True, True]), torch.tensor([False, True, True])):
            some = onward.rows(chosen)
            with torch.no_grad():
                logits = adapter.head(some.run(some.hidden))
            left = [row for row, here in zip(rows, chosen.tolist(), strict=True) if here]
            for place, row in enumerate(left):
                with torch.no_grad():
                    whole = adapter.model(input_ids=torch.tensor([row.ids])).logits[0, row.subject_last :]
                torch.testing.assert_close(logits[place, : len(whole)], whole)


def test_a_shift_goes_where_a_write_would_put_it(adapter):
    """After W ← W + δkᵀ/‖k‖² the model says what it said with δ added, whatever stands behind the projection.

    At a first token, which sees no other token that the write has changed, too.
    """
    rows = [Encoded((5, 2, 3), 0, 2)]
    onward = take_up(adapter, align(rows, torch.device("cpu")), 1)
    shift = torch.randn(onward.base().shape, generator=torch.Generator().manual_seed(0))
    key = onward.keys[0]
    with torch.no_grad():
        foretold = adapter.head(onward.run(onward.shifted(shift)))[0, 0]
        adapter.write(1, adapter.weight(1) + torch.outer(shift[0], key) / key.square().sum())
        logits = adapter.model(input_ids=torch.tensor([rows[0].ids])).logits[0, 0]
    torch.testing.assert_close(logits, foretold, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(foretold, adapter.head(onward.run(onward.hidden))[0, 0], atol=1e-2)


def test_right_padding_changes_nothing(adapter):
    alone = trace(adapter, IDS[1:, :4], 2)
    torch.testing.assert_close(trace(adapter, IDS, 2).hidden[1:, :4], alone.hidden)


def test_layer_out_of_range_names_the_range(adapter):
    with pytest.raises(Misuse, match="layer 3 is out of range; this model has layers 0 to 2"):
        adapter.check_layer(3)
    with pytest.raises(Misuse, match="layer -1"):
        adapter.check_layer(-1)


def test_every_family_has_its_adapter_and_can_be_loaded(family):
    model, _ = load_model(str(family[1].model), dtype=torch.float64, device="cpu")
    assert type(adapter_for(model)).__name__ == "Adapter"
    assert type(model).__name__ in FAMILIES
    assert model.config.model_type == family[0]
    assert model.config.model_type in MODEL_TYPES
    assert len(MODEL_TYPES) == len(FAMILIES)


def test_unknown_family_says_what_an_adapter_needs():
    config = OPTConfig(vocab_size=8, hidden_size=8, ffn_dim=8, num_hidden_layers=1, num_attention_heads=1)
    config.word_embed_proj_dim = 8
    with pytest.raises(Misuse, match=r"no adapter for OPTForCausalLM.*GPT2LMHeadModel"):
        adapter_for(OPTForCausalLM(config))
