"""The room's claims at their quick level: each established, each twin rejected, each simulation run once."""

from __future__ import annotations

import numpy as np
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
from theory.growth.isotropic import mean_growth, soft_gain_moments

pytestmark = pytest.mark.slow

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
        made = claims(level)
        assert tuple(claim.id for claim in made)[: len(IDS)] == IDS
        assert len({claim.id for claim in made}) == len(made)
        assert all(claim.kind is Kind.SIMULATED for claim in made)
        assert all(claim.command.startswith("python -m sim grow") for claim in made[: len(IDS)])
        assert all(claim.command == f"python -m sim confront {claim.id}" for claim in made[len(IDS) :])


def test_naming_the_claims_simulates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "run_seeds", lambda config: pytest.fail("simulated before a check ran"))
    claims.__wrapped__("full")


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


@pytest.mark.claim("S1.alphaedit")
def test_alphaedits_law_also_rejects_the_memoryless_exponential() -> None:
    claim = alphaedit_claim(6)
    factor = mean_growth(64, 0.75, soft_gain_moments(64, 10.0))
    assert claim.check(claim.subject).established
    assert not claim.check(lambda t: factor**t).established
    for t in (32, 64, 128, 256):
        assert 0.01 < 1 - claim.twin(t) / claim.subject(t) < 0.15, "the twin is a near one"


@pytest.mark.claim("S3.identity")
@pytest.mark.parametrize("field", ["eta", "s", "value_norm", "readout_norm", "residual_norm"])
def test_the_identity_rejects_a_wrong_field_of_the_row(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    honest = room.run_seeds

    def altered(config):
        return [path._replace(rows=path.rows.assign(**{field: path.rows[field] * 1.001})) for path in honest(config)]

    monkeypatch.setattr(room, "run_seeds", altered)
    single = next(config for config in identity_experiments() if config.rule == "memit")
    monkeypatch.setattr(room, "identity_experiments", lambda: (single,) * 5)
    claim = identity_claim(16)
    assert not claim.check(claim.subject).established


@pytest.mark.claim("S1.lyapunov")
def test_an_exponent_of_zero_or_of_jensens_bound_is_no_growth_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = lyapunov_claim(2)
    for centre, established in ((0.0, False), (claim.subject / 2, True), (claim.subject, False)):
        around = centre + 1e-4 * np.array([-1.0, 0.0, 0.0, 1.0])
        monkeypatch.setattr(room, "run_seeds", lambda config: [])
        monkeypatch.setattr(room, "exponents", lambda paths, burn_in, around=around: around)
        assert lyapunov_claim(2).check(claim.subject).established is established


@pytest.mark.claim("S1.growth", "S1.memit", "S1.no_growth", "S2.plateau")
@pytest.mark.parametrize(
    "make", [growth_claim, memit_claim, no_growth_claim, plateau_claim], ids=lambda make: make.__name__
)
def test_covering_claims_on_few_seeds(make) -> None:
    claim = make(6)
    outcome = examine(claim)
    assert outcome.evidence.established
    assert outcome.twin_rejected
    low, high = outcome.evidence.interval
    assert low < claim.subject < high
    assert not low <= claim.twin <= high


@pytest.mark.claim("S1.lyapunov")
def test_the_lyapunov_claim_on_few_seeds() -> None:
    outcome = examine(lyapunov_claim(8))
    assert outcome.evidence.established
    assert outcome.twin_rejected
    assert outcome.evidence.interval[0] > 0


def test_the_identity_is_tried_on_every_rule_and_both_kinds_of_write() -> None:
    tried = {(config.rule, config.metric, config.batch > 1, config.anchor) for config in identity_experiments()}
    assert len(tried) == 16
    assert {rule for rule, *_ in tried} == {"rome", "memit", "alphaedit"}
    for config in identity_experiments():
        check(config)


def test_the_stated_level_is_that_of_four_standard_errors() -> None:
    from scipy import stats

    assert pytest.approx(2 * stats.norm.sf(4), rel=0.06) == 1 - CONFIDENCE
