"""Presets fit the factories they are for, and refuse another model's weight."""

from __future__ import annotations

import inspect

import pytest
import torch

from sim.presets import MODELS, PRESETS, preset
from sim.rules.alphaedit import alphaedit, null_space
from sim.rules.emmet import emmet
from sim.rules.encore import encore
from sim.rules.ft import ft
from sim.rules.lyaplock import lyaplock
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.nse import nse
from sim.rules.rlsedit import rlsedit
from sim.values.leave_noise import leave_noise
from sim.values.normalised_shift import normalised_shift
from theory.command import Misuse

FACTORIES = (
    alphaedit,
    null_space,
    emmet,
    encore,
    ft,
    lyaplock,
    memit,
    memit_seq,
    nse,
    rlsedit,
    leave_noise,
    normalised_shift,
)


def test_every_preset_is_a_set_of_arguments_of_its_factory() -> None:
    by_name = {factory.__name__: inspect.signature(factory).parameters for factory in FACTORIES}
    assert by_name.keys() == PRESETS.keys()
    for rule, models in PRESETS.items():
        assert models.keys() <= MODELS.keys()
        for model in models:
            assert preset(rule, model).keys() <= by_name[rule].keys()


# The methods' released settings, written down a second time from their public files, model by model.
PUBLISHED = """
memit gpt2-xl weighting 20000; memit gpt-j-6b weighting 15000; memit llama-3-8b weighting 15000
memit qwen2.5-7b weighting 15000; memit_seq gpt2-xl weighting 20000; rlsedit gpt2-xl weighting 20000
rlsedit llama-3-8b weighting 15000; alphaedit llama-3-8b ridge 10; null_space gpt-j-6b threshold 0.02
emmet gpt2-xl weighting 10000; emmet gpt2-xl jitter 0.1; encore gpt2-xl penalty 10; encore llama-3-8b penalty 20
nse gpt2-xl weighting 10000; nse gpt2-xl share 1; nse gpt-j-6b share 0.8; nse llama-3-8b share 1
lyaplock gpt-j-6b weighting 1000; lyaplock gpt-j-6b alpha 60; leave_noise gpt2-xl factor 3
leave_noise llama-3-8b factor 1.5; normalised_shift llama-3-8b rate 0.000001
ft gpt2-xl rate 0.0005; ft gpt2-xl steps 25
"""


@pytest.mark.parametrize("line", [line.strip() for line in PUBLISHED.replace("\n", ";").split(";") if line.strip()])
def test_presets_are_the_published_numbers(line: str) -> None:
    rule, model, option, number = line.split()
    assert preset(rule, model)[option] == float(number)


def test_a_preset_is_not_the_table_itself() -> None:
    preset("memit", "gpt2-xl")["weighting"] = 0.0
    assert preset("memit", "gpt2-xl") == {"weighting": 20_000.0}


@pytest.mark.parametrize(
    ("rule", "model", "message"),
    [
        ("memits", "gpt2-xl", "no preset for 'memits'"),
        ("memit", "gpt-5", "published for 'gpt-5'"),
        ("encore", "qwen2.5-7b", "published for 'qwen2.5-7b'; there are gpt2-xl, llama-3-8b"),
    ],
)
def test_an_unknown_preset_is_named(rule: str, model: str, message: str) -> None:
    with pytest.raises(Misuse, match=message):
        preset(rule, model)


def test_a_preset_for_a_model_of_another_width_is_refused() -> None:
    preset("memit", "gpt2-xl", torch.empty(1600, 6400, device="meta"))
    with pytest.raises(Misuse, match=r"is for a weight \(1600, 6400\), not \(768, 3072\)"):
        preset("memit", "gpt2-xl", torch.empty(768, 3072, device="meta"))
