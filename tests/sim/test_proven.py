"""The ground on which certificates are judged: claims that hold, conditions that are met, distinct editors."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Generator

from sim.certificate import certify
from sim.editor import step
from sim.lowrank import apply_delta
from sim.proven import FORETOLD, PROVEN, WORLD, Proven
from sim.settings import make_world
from theory.catalogue import claims
from theory.claim import Kind, Verdict
from theory.growth.key_laws import sample_keys
from theory.growth.paths import path_bounds

CLAIMS = {claim.id: claim for claim in claims()}


def test_every_regime_has_a_claim_that_is_proved_and_not_false() -> None:
    assert len(PROVEN) >= 24
    for known in (*PROVEN, *FORETOLD):
        for name in known.claims:
            assert CLAIMS[name].verdict is not Verdict.FALSE
            assert CLAIMS[name].kind is Kind.PROVED
    assert {known.regime for known in PROVEN} == {"exponential", "polynomial", "bounded", "shrinking"}


def after_writes(known: Proven) -> torch.Tensor:
    """The weight after the requests of one seed: so many that slow growth has come to where PRUNE acts."""
    generator = Generator().manual_seed(7)
    world = make_world(known.setting, generator)
    rule, weight = known.make(known.setting), world.weight
    state = rule.init(weight)
    for _ in range(60):
        delta, state, _ = step(rule, world.request(weight, 1, generator), state, weight)
        weight = apply_delta(weight, delta)
    return weight


def test_no_two_of_them_are_one_editor() -> None:
    ends = {(known.words, known.setting.name): after_writes(known) for known in (*PROVEN, *FORETOLD)}
    assert len(ends) == len(PROVEN) + len(FORETOLD)
    for (one, first), (other, second) in combinations(ends.items(), 2):
        assert float((first - second).norm()) > 1e-6 * float(first.norm()), f"{one} and {other} write the same"


def law(known: Proven):
    """A sample of the setting's keys in the metric of the editor."""
    world = make_world(known.setting, Generator().manual_seed(0))
    keys = world.keys(world.weight, 20_000, Generator().manual_seed(1))
    rule = known.make(known.setting)
    metric = rule.metric(rule.init(world.weight))
    statistic = np.linalg.inv(metric.times(torch.eye(known.setting.n, dtype=torch.float64)).numpy())
    s = (keys * metric.times(keys)).sum(0)
    shares = s / (1 + s) if known.words.startswith("memit") else torch.ones_like(s)
    return sample_keys(keys.numpy(), (statistic + statistic.T) / 2, shares.numpy())


@pytest.mark.claim("T4.decayed_paths")
@pytest.mark.parametrize("known", [one for one in PROVEN if "decay" in one.words], ids=lambda one: one.words)
def test_decay_outweighs_the_growth_that_is_left(known: Proven) -> None:
    """w = 0.1; a third of that decay would not be enough for ROME with C = I in its worst direction."""
    assert path_bounds(law(known), WORLD.clamp, 0.1).high < -0.05
    if known.words.startswith("rome |"):
        assert path_bounds(law(known), WORLD.clamp, 0.03).high > 0


@pytest.mark.claim("T3.paths")
@pytest.mark.parametrize("words", ["rome_c", "memit"])
def test_the_certified_rate_lies_between_the_bounds_of_a_path(words: str) -> None:
    known = next(one for one in PROVEN if one.words == words and one.regime == "exponential")
    (finding,) = certify(known.make, (known.setting,), seeds=8, looks=5)
    low, high = path_bounds(law(known), WORLD.clamp)
    assert finding.rate is not None
    assert low < finding.rate.mean < high
    assert finding.rate.mean < 3 * math.log1p(WORLD.clamp**2) / WORLD.n
