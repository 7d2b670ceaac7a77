"""The room's claims at their quick level: each established, each twin rejected, each simulation run once."""

from __future__ import annotations

import pytest

from sim import claims as room
from sim.claims import (
    CONFIDENCE,
    alphaedit_claim,
    claims,
    growth_claim,
    identity_claim,
    identity_experiments,
    lyapunov_claim,
    memit_claim,
    no_growth_claim,
    plateau_claim,
    worst_case_claim,
)
from sim.config import check
from theory.claim import Kind, examine

IDS = (
    "S1.growth",
    "S1.lyapunov",
    "S1.no_growth",
    "S1.memit",
    "S1.alphaedit",
    "S2.plateau",
    "S2.worst_case",
    "S3.identity",
)


def test_the_room_has_these_claims_at_both_levels() -> None:
    for level in ("quick", "full"):
        assert tuple(claim.id for claim in claims(level)) == IDS
        assert all(claim.kind is Kind.SIMULATED for claim in claims(level))
        assert all(claim.command.startswith("python -m sim grow") for claim in claims(level))


def test_naming_the_claims_simulates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "run_seeds", lambda config: pytest.fail("simulated before a check ran"))
    claims("full")


def test_subject_and_twin_share_one_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    honest = room.run_seeds
    monkeypatch.setattr(room, "run_seeds", lambda config: counted.append(config) or honest(config))
    examine(worst_case_claim(16))
    assert len(counted) == 1


@pytest.mark.claim("S2.worst_case", "S3.identity", "S1.alphaedit")
@pytest.mark.parametrize(
    ("make", "seeds"),
    [(worst_case_claim, 16), (identity_claim, 16), (alphaedit_claim, 6)],
    ids=["worst_case", "identity", "alphaedit"],
)
def test_exact_and_mean_field_claims(make, seeds: int) -> None:
    outcome = examine(make(seeds))
    assert outcome.evidence.established
    assert outcome.twin_rejected


@pytest.mark.claim("S1.growth", "S1.memit", "S2.plateau")
@pytest.mark.parametrize("make", [growth_claim, memit_claim, plateau_claim], ids=lambda make: make.__name__)
def test_covering_claims_on_few_seeds(make) -> None:
    claim = make(6)
    outcome = examine(claim)
    assert outcome.evidence.established
    assert outcome.twin_rejected
    low, high = outcome.evidence.interval
    assert low < claim.subject < high
    assert not low <= claim.twin <= high


@pytest.mark.claim("S1.lyapunov", "S1.no_growth")
@pytest.mark.parametrize("make", [lyapunov_claim, no_growth_claim], ids=lambda make: make.__name__)
def test_one_sided_claims_on_few_seeds(make) -> None:
    outcome = examine(make(8))
    assert outcome.evidence.established
    assert outcome.twin_rejected


def test_the_identity_is_tried_on_every_rule_and_both_kinds_of_write() -> None:
    tried = {(config.rule, config.metric, config.batch > 1, config.anchor) for config in identity_experiments()}
    assert len(tried) == 16
    assert {rule for rule, *_ in tried} == {"rome", "memit", "alphaedit"}
    for config in identity_experiments():
        check(config)


def test_the_stated_level_is_that_of_four_standard_errors() -> None:
    from scipy import stats

    assert pytest.approx(2 * stats.norm.sf(4), rel=0.06) == 1 - CONFIDENCE
