"""A confrontation accepts a true prediction, rejects a false one in any setting, and names its misuse."""

import math

import numpy as np
import pytest

from sim.confrontation import CONFIDENCE, Measured, Setting, agrees, apart, confront, deviation, interval_of
from theory.claim import Kind, Verdict, examine
from theory.row import examined, plain

TRUTH = (1.0, 2.0, -3.0)


def normal(mean, spread=0.1, seeds=32, seed=0):
    """Samples whose mean is known."""
    return lambda: np.random.default_rng(seed).normal(mean, spread, seeds)


def settings(means=TRUTH, spread=0.1, seeds=32):
    return tuple(Setting(f"mean {m}", normal(m, spread, seeds, seed=i)) for i, m in enumerate(means))


def made(predicted=TRUTH, twin=(1.0, 2.0, -3.5), **options):
    options = {"settings": settings(), "twin_statement": "the last is −3.5"} | options
    return confront("S9.it", "T9", "means are found again", predicted=predicted, twin=twin, **options)


def test_a_true_prediction_is_established_and_a_false_one_is_not_in_any_setting():
    outcome = examine(made())
    assert outcome.evidence.established
    assert outcome.twin_rejected
    assert outcome.claim.kind is Kind.SIMULATED
    assert outcome.claim.command == "python -m sim confront S9.it"
    for wrong in range(3):
        shifted = tuple(number + 0.3 * (i == wrong) for i, number in enumerate(TRUTH))
        assert not made().check(shifted).established
        assert made().check(shifted).expected == shifted[wrong]  # the evidence is that of the worst setting


def test_the_interval_is_the_student_interval_at_four_standard_errors():
    found = interval_of(settings(seeds=100_000)[1])
    assert (found.high - found.mean) / found.error == pytest.approx(4.0, abs=0.02)
    assert found.error == pytest.approx(0.1 / math.sqrt(100_000), rel=0.02)
    assert pytest.approx(2 * 3.167e-5, rel=0.06) == 1 - CONFIDENCE  # two tails beyond 4


def test_a_true_prediction_is_missed_no_more_often_than_the_level_says():
    rng = np.random.default_rng(5)
    measured = [interval_of(Setting("it", lambda: rng.normal(size=8))) for _ in range(2000)]
    assert sum(not agrees(one, 0.0, "=", 0.0) for one in measured) <= 2  # 0.1 expected, at eight seeds too
    assert sum(not agrees(one, 2.0, "=", 0.0) for one in measured) > 200


def test_a_bound_is_broken_from_below_only():
    claim = made((1.01, 5.0, -2.9), (1.01, 5.0, -3.2), relation="<=", twin_statement="a lower bound")
    outcome = examine(claim)
    assert outcome.evidence.established
    assert outcome.twin_rejected
    assert outcome.evidence.expected == 1.01  # the tightest of the three
    assert not claim.check((1.01, 1.5, -2.9)).established


def test_an_approximation_states_its_error_and_is_held_to_it():
    claim = made((1.04, 2.04, -3.09), (1.0, 2.0, -3.5), relation="~", error=0.08)
    outcome = examine(claim)
    assert outcome.evidence.established
    assert outcome.twin_rejected
    assert outcome.evidence.tolerance == pytest.approx(0.08 * abs(outcome.evidence.expected))
    assert not examine(made((1.1, 2.0, -3.0), relation="~", error=0.05)).evidence.established


def test_an_approximation_that_the_noise_drowns_is_not_established():
    """The mean lies where it should; with a standard error above the tolerance that is luck."""
    drowned = Measured(mean=1.0, low=0.2, high=1.8, error=0.2)
    assert not agrees(drowned, 1.0, "~", 0.1)
    assert agrees(drowned._replace(error=0.09), 1.0, "~", 0.1)
    noisy = made(settings=settings(spread=3.0), relation="~", error=0.1)
    assert not noisy.check(tuple(float(run.samples().mean()) for run in settings(spread=3.0))).established


def test_claim_and_twin_are_decided_on_one_run_and_nothing_runs_before():
    counted = []

    def counting():
        counted.append(1)
        return normal(1.0)()

    claim = made((1.0, 1.0, 1.0), (1.5, 1.0, 1.0), settings=[Setting(f"{i}", counting) for i in range(3)])
    assert not counted
    assert examine(claim).twin_rejected
    assert len(counted) == 3
    reported = claim.check((1.0, 1.0, 1.0))
    assert (reported.measured, reported.interval) == (claim.check((1.0,) * 3).measured, reported.interval)


@pytest.mark.parametrize("relation", ["=", "<=", "~"])
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_samples_that_are_not_finite_establish_nothing(relation, poison):
    runs = [*settings()[:2], Setting("bad", lambda: np.array([*normal(-3.0)(), poison]))]
    claim = made(settings=runs, relation=relation, error=0.1 * (relation == "~"))
    assert not claim.check(TRUTH).established


def test_zero_may_be_predicted_exactly_and_constants_are_compared_exactly():
    zero = made((1.0, 2.0, 0.0), (1.0, 2.0, 0.2), settings=settings((1.0, 2.0, 0.0)))
    assert examine(zero).evidence.established
    assert examine(zero).twin_rejected
    fixed = [Setting(f"{i}", lambda: np.ones(4)) for i in range(3)]
    constant = made((1.0,) * 3, (1.0, 1.0, 1 + 1e-12), settings=fixed)
    assert examine(constant).evidence.established
    assert examine(constant).twin_rejected


def test_a_confrontation_can_refute():
    claim = made(verdict=Verdict.FALSE)
    assert examine(claim).verdict is Verdict.FALSE


def test_the_lines_hold_the_numbers():
    lines = made(relation="~", error=0.1).check(TRUTH).steps
    assert lines[0].startswith("mean 1.0: ")
    assert "~ 1 (" in lines[0]
    assert "standard error 1." in lines[0]
    assert apart(Measured(1.0, 0.0, 2.0, 0.5), 0.0) == ""


def test_every_settings_number_is_kept_beside_theorys():
    row = plain(examined(made()))
    assert [one["predicted"] for one in row["compared"]] == list(TRUTH)
    for one, setting in zip(row["compared"], settings(), strict=True):
        found = interval_of(setting)
        assert (one["setting"], one["relation"]) == (setting.name, "=")
        assert (one["measured"], one["low"], one["high"]) == (found.mean, found.low, found.high)


def test_deviations_are_signed_for_bounds_alone():
    found = Measured(mean=1.0, low=0.5, high=1.5, error=0.1)
    assert deviation(found, 2.0, "<=") == -2.0
    assert deviation(found, 2.0, "=") == 2.0
    assert deviation(found, -2.0, "~") == 1.5
    assert deviation(Measured(1.0, 1.0, 1.0, 0.0), 2.0, "<=") == -1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": settings()[:2]}, "S9.it has 2 settings, 3 numbers"),
        ({"predicted": TRUTH[:2]}, "3 settings, 2 numbers and 3 of its twin"),
        ({"twin": TRUTH[:2]}, "3 numbers and 2 of its twin"),
        ({"twin": TRUTH}, "and others to the twin"),
        ({"twin": (1.0, 2.0, math.nan)}, "give finite numbers"),
        ({"predicted": (1.0, 2.0, math.inf)}, "give finite numbers"),
        ({"relation": "~"}, "has the error 0.0; an approximation states one"),
        ({"relation": "~", "error": 1.0}, "has the error 1.0"),
        ({"relation": "=", "error": 0.1}, "the others none"),
        ({"relation": "<=", "error": -0.1}, "has the error -0.1"),
        ({"relation": "~", "error": 0.1, "twin": (1.0, 2.0, 0.0)}, "approximates 0"),
    ],
)
def test_misuse_is_named_before_anything_runs(options, message):
    with pytest.raises(ValueError, match=message):
        made(**options)


@pytest.mark.parametrize("samples", [np.ones((4, 2)), np.ones(2), np.float64(1.0)])
def test_samples_that_are_not_one_number_a_seed_are_named(samples):
    claim = made(settings=[Setting("odd", lambda: samples)] * 3)
    with pytest.raises(ValueError, match="odd gave samples of shape"):
        claim.check(TRUTH)
