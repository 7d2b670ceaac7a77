"""Orientation by class, and W k equal to the hooked read-out."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, OPTConfig, OPTForCausalLM
from transformers.pytorch_utils import Conv1D

from real_models.adapters.adapter import adapter_for, oriented
from real_models.trace import resume_from, trace
from theory.command import Misuse

IDS = torch.tensor([[1, 2, 3, 4, 5], [1, 6, 7, 8, 0]])


@pytest.fixture
def adapter(tiny):
    return adapter_for(AutoModelForCausalLM.from_pretrained(tiny.model).eval())


def test_weight_times_key_is_the_readout(adapter):
    for layer in range(3):
        traced = trace(adapter, IDS, layer)
        bias = adapter.bias(layer)
        product = traced.keys @ adapter.weight(layer).mT + (0 if bias is None else bias)
        torch.testing.assert_close(product, traced.outputs)


def test_write_changes_that_projection_and_nothing_else(adapter):
    before = {name: tensor.clone() for name, tensor in adapter.model.state_dict().items()}
    new = torch.randn(adapter.weight(1).shape, generator=torch.Generator().manual_seed(0))
    adapter.write(1, new)
    changed = [name for name, tensor in adapter.model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert len(changed) == 1
    assert changed[0].endswith(("h.1.mlp.c_proj.weight", "layers.1.mlp.down_proj.weight"))
    torch.testing.assert_close(adapter.weight(1), new)


def test_square_weights_are_oriented_by_class():
    linear, conv = torch.nn.Linear(4, 4, bias=False), Conv1D(4, 4)
    torch.testing.assert_close(oriented(linear) @ torch.eye(4)[0], linear(torch.eye(4)[0]))
    torch.testing.assert_close(oriented(conv) @ torch.eye(4)[0] + conv.bias, conv(torch.eye(4)[0]))
    with pytest.raises(Misuse, match="Conv2d"):
        oriented(torch.nn.Conv2d(1, 1, 1))


def test_running_on_from_a_layer_gives_the_models_own_logits(adapter):
    whole = adapter.model(input_ids=IDS).logits
    for layer in range(3):
        traced = trace(adapter, IDS, layer)
        with torch.no_grad():
            logits = adapter.head(resume_from(adapter, traced, traced.hidden, layer))
        torch.testing.assert_close(logits, whole)


def test_right_padding_changes_nothing(adapter):
    alone = trace(adapter, IDS[1:, :4], 2)
    torch.testing.assert_close(trace(adapter, IDS, 2).hidden[1:, :4], alone.hidden)


def test_layer_out_of_range_names_the_range(adapter):
    with pytest.raises(Misuse, match="layer 3 is out of range; this model has layers 0 to 2"):
        adapter.check_layer(3)
    with pytest.raises(Misuse, match="layer -1"):
        adapter.check_layer(-1)


def test_unknown_family_says_what_an_adapter_needs():
    config = OPTConfig(vocab_size=8, hidden_size=8, ffn_dim=8, num_hidden_layers=1, num_attention_heads=1)
    config.word_embed_proj_dim = 8
    with pytest.raises(Misuse, match=r"no adapter for OPTForCausalLM.*GPT2LMHeadModel"):
        adapter_for(OPTForCausalLM(config))
