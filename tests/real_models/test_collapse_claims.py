"""The collapse experiment's claims: established where a made-up record says so, refuted where it says the opposite."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_records import Course, anchored, as_published, made, record

from real_models.collapse import forecast_checks as forecasts
from real_models.collapse import norm_checks as norms
from real_models.collapse import score_checks as scores
from real_models.collapse.claims import PAIRS, THREE, collapse_claims, swapped
from real_models.collapse.experiment import ANCHORED, PLAIN, write_record
from real_models.collapse.means import Mean, in_every, in_some, mean_of
from real_models.collapse.record import Comparison
from theory.claim import Verdict, examine
from theory.files import write_json

IDS = (
    *("correlation", "correlation_across", "exponential", "proportional_rome", "proportional_memit", "controls"),
    *("bounded", "delay", "performance", "overhead", "single_edits", "ability", "pilots", "forecast"),
    *("forecast_early", "threshold", "other_layers", "original", "one_sided", "drop", "drift"),
)
INDIFFERENT = {"correlation", "correlation_across", "overhead", "single_edits", "pilots", "threshold", "original"} | {
    *("one_sided", "drop", "forecast", "forecast_early", "exponential", "proportional_rome", "proportional_memit")
}
"""Claims that do not turn when NAS's part and the plain editors' are exchanged, or of which this says nothing."""


@pytest.fixture(scope="module")
def speed(tmp_path_factory):
    """A race in which NAS costs half a per cent."""
    path = tmp_path_factory.mktemp("speed") / "speed.json"
    times = {"anchor_shares": [0.004, 0.005, 0.006], "fast_s": 2.0, "edits": 3}
    rows = [{"rule": rule} | times for rule in ("memit", "alphaedit")]
    write_json(path, {"rows": rows, "config": {"seed": 7}})
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the paper says."""
    return record(tmp_path_factory.mktemp("paper"))


@pytest.fixture(scope="module")
def opposite(tmp_path_factory):
    """NAS does to streams what the paper says of the plain editors."""
    return record(tmp_path_factory.mktemp("opposite"), swap=True)


def of(runs, speed, name):
    (claim,) = (one for one in collapse_claims(runs, "the command", speed) if one.id == f"M2.{name}")
    return claim


@pytest.mark.claim(
    "M2.correlation",
    "M2.correlation_across",
    "M2.exponential",
    "M2.proportional_rome",
    "M2.proportional_memit",
    "M2.controls",
    "M2.bounded",
    "M2.delay",
    "M2.performance",
    "M2.overhead",
    "M2.single_edits",
    "M2.ability",
    "M2.pilots",
    "M2.forecast",
    "M2.forecast_early",
    "M2.threshold",
    "M2.other_layers",
    "M2.original",
    "M2.one_sided",
    "M2.drop",
    "M2.drift",
)
def test_every_claim_has_a_check_that_can_hold(runs, speed):
    claims = collapse_claims(runs, "the command", speed)
    assert [claim.id for claim in claims] == [f"M2.{name}" for name in IDS]
    for claim in claims:
        outcome = examine(claim)
        assert outcome.evidence.established, (claim.id, outcome.evidence)
        assert outcome.twin_rejected, claim.id
        timed = claim.id == "M2.overhead"
        assert outcome.verdict is (Verdict.HOLDS if timed else Verdict.CONDITIONAL)
        assert (claim.command == "the command") is not timed
        assert (outcome.evidence.steps[0] == "streams of seeds 0, 1, 2") is not timed


def test_what_nas_is_said_to_do_is_refuted_where_it_does_the_opposite(opposite, speed):
    for name in set(IDS) - INDIFFERENT:
        assert examine(of(opposite, speed, name)).verdict is Verdict.FALSE, name


def mean_score(loss, edits=480):
    """Of 100·exp(−loss·t/100) along a stream."""
    return 100 * (1 - math.exp(-loss * edits / 100)) / (loss * edits / 100)


def record_of(folder, courses, **more):
    write_record([made(folder / "world-256", courses, **more)], folder / "record")
    return Comparison(folder / "record" / "world-256")


def test_a_rank_correlation_over_editors_is_not_the_edit_numbers(tmp_path):
    """Every stream falls while its norm grows, yet the editor whose norm grows most keeps most."""
    courses = {
        editor: Course("linear", rate=0.01 * (place + 1), loss=0.3 - 0.02 * place) for place, editor in enumerate(PLAIN)
    }
    run = record_of(tmp_path, courses)
    assert norms.along([run], PLAIN, 1).established
    found = norms.across([run], tuple(zip(PLAIN[:3], PLAIN[4:], strict=True)), 1)
    assert found.measured == pytest.approx(1.0)
    assert (found.established, found.undecided) == (False, False)


@pytest.mark.parametrize("law", ["exponential", "quadratic", "linear", "square root", "knee"])
def test_laws_of_growth_are_told_apart(tmp_path, law):
    run = record_of(tmp_path, {"rome": Course(law, rate=0.015 if law == "exponential" else 0.2)})
    found = norms.exponential([run], ("rome", "memit"), lambda series: series)
    assert found.established is (law == "exponential")
    if law != "knee":
        assert norms.best_law(run.log_norm("rome", 0)[norms.AFTER :]) == law


def test_the_planted_parabola_is_one():
    series = norms.parabola(np.log(4 * np.exp(0.01 * np.arange(400))))
    assert norms.best_law(series) == "quadratic"
    assert (series[0], series[-1]) == pytest.approx((math.log(4), math.log(4) + 3.99))


def test_slow_exponential_growth_is_none(tmp_path):
    run = record_of(tmp_path, {"rome": Course(rate=0.0015)})
    assert not norms.exponential([run], ("rome",), lambda series: series).established


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (0.9, True), (0.5, False), (1.6, False)])
def test_proportional_values_have_an_elasticity_near_one(tmp_path, power, holds):
    run = record_of(tmp_path, {"memit": Course(values=power)})
    found = norms.proportional([run], "memit", ("solved_norm",))
    assert found.measured == pytest.approx(power, abs=0.02)
    assert found.established is holds


def test_norms_that_grow_faster_than_a_root_are_not_bounded_so(tmp_path):
    run = record_of(tmp_path, {"a": Course("square root", rate=0.5), "b": Course("linear", rate=0.1)})
    assert norms.bounded([run], ("a",)).established
    found = norms.bounded([run], ("a", "b"))
    assert (found.established, found.undecided) == (False, False)
    assert found.measured == pytest.approx(math.log(49 / 25), abs=0.01)


def test_a_stream_that_broke_leaves_its_growth_open(tmp_path):
    run = record_of(tmp_path, {"a": Course("square root")})
    vars(run)["rows"] = run.rows[(run.rows["seed"] > 0) | (run.rows["step"] < 100)]
    found = norms.bounded([run], ("a",))
    assert (found.established, found.undecided) == (False, True)


def test_a_delay_that_the_brackets_leave_open_is_not_decided(tmp_path):
    """The plain editors collapse at 255 of 480 edits: four times later would lie beyond the stream's end."""
    late = {editor: Course(loss=0.2) for editor in PLAIN}
    longer = {editor: Course(loss=0.01) for editor in ANCHORED}
    found = scores.delayed([record_of(tmp_path / "open", late | longer)], PAIRS)
    assert (found.established, found.undecided, found.interval) == (False, True, (0.0, 7.0))
    sooner = {editor: Course(loss=0.15) for editor in ANCHORED}
    found = scores.delayed([record_of(tmp_path / "seen", late | sooner)], PAIRS)
    assert (found.established, found.undecided, found.interval) == (False, False, (0.0, 0.0))


def test_performance_is_the_ratio_of_areas(tmp_path):
    courses = dict.fromkeys(PLAIN, Course(loss=0.25)) | dict.fromkeys(ANCHORED, Course(loss=0.05))
    found = scores.performance([record_of(tmp_path, courses)], PAIRS)
    assert found.measured == pytest.approx(100 * (mean_score(0.05) / mean_score(0.25) - 1), abs=0.5)
    assert (found.established, found.undecided) == (False, False)


@pytest.mark.parametrize(("taken", "verdict"), [(100.0, Verdict.CONDITIONAL), (60.0, Verdict.FALSE)])
def test_single_edits_that_no_longer_take_are_noticed(tmp_path, runs, speed, taken, verdict):
    courses = dict.fromkeys(PLAIN, Course()) | dict.fromkeys(ANCHORED, Course(taken=taken))
    dead = {PLAIN[0]: Course(taken=0.0), ANCHORED[0]: Course(taken=0.0)}
    run = record_of(tmp_path, courses | dead, single=True, edits=60)
    outcome = examine(of(runs | {"single-256": run, "single-384": run}, speed, "single_edits"))
    assert (outcome.verdict, outcome.twin_rejected) == (verdict, True)
    gap = scores.single_edits([run], PAIRS, 0.0).measured
    assert gap == pytest.approx(taken - 100, abs=8)


def test_an_anchor_whose_error_matters_is_noticed(tmp_path, runs):
    """The longer anchor loses 0.3 % of its score an edit: 36 points from end to end, 1.6 for two per cent."""
    courses = {
        f"{rule}+nas{end}": Course(loss=loss)
        for rule in ("memit", "alphaedit")
        for end, loss in ((":times=0.8", 0.001), ("", 0.1), (":times=1.25", 0.3))
    }
    run = record_of(tmp_path, courses)
    found = scores.pilots(run, 1.0)
    assert abs(found.measured) == pytest.approx((100 - mean_score(0.3)) * 0.02 / math.log(1.25 / 0.8), rel=0.02)
    assert found.established
    assert not scores.pilots(run, 4.0).established


@pytest.mark.parametrize(("suffix", "holds"), [("one_sided", True), ("times=0.8", False)])
def test_a_variant_is_held_against_nas_itself(runs, suffix, holds):
    found = scores.variant(runs["rivals"], ("memit", "alphaedit"), suffix, low=-5.0, high=math.inf)
    assert found.established is holds
    if not holds:
        course = anchored(3)
        assert found.measured == pytest.approx(mean_score(course.loss + 0.12) - mean_score(course.loss), abs=0.1)


def test_a_rival_is_held_against_half_of_what_nas_gains(runs, opposite):
    good = scores.rival(runs["world-256"], runs["rivals"], "alphaedit", "alphaedit+original")
    gain = mean_score(anchored(3).loss) - mean_score(0.58)
    assert good.established
    assert good.measured == pytest.approx(gain / 2, abs=0.2)
    assert not scores.rival(runs["world-256"], runs["rivals"], "alphaedit", "mose").established
    # Where NAS gains nothing, half of it is easily reached.
    assert not scores.rival(opposite["world-256"], runs["rivals"], "alphaedit", "alphaedit+original").established


def test_an_overhead_is_the_largest_of_the_rules(speed):
    found = scores.overhead(speed, 1.0)
    assert found.established
    assert found.measured == pytest.approx(0.005)
    # Student's quantile for three edits is 4.303, the standard error 0.001/√3.
    assert found.interval == pytest.approx((0.005 - 4.303e-3 / 3**0.5, 0.005 + 4.303e-3 / 3**0.5), rel=1e-3)
    assert found.steps[-1].endswith("seed 7")
    assert scores.overhead(speed, 1.5).undecided
    assert not scores.overhead(speed, 4.0).established


@pytest.mark.parametrize("knee", [60, 90])
def test_the_knee_is_where_growth_falls_to_a_tenth(knee):
    """tanh's slope is sech², which is a tenth at artanh √0.9 = 1.818 knees, and 0.3 at artanh √0.7 = 1.210."""
    log_norm = np.log(4 * (1 + 0.01 * knee * np.tanh(np.arange(401) / knee)))
    assert norms.knee(log_norm, 0.1) == pytest.approx(1.818 * knee, abs=norms.WINDOW / 4)
    assert norms.knee(log_norm) == pytest.approx(1.210 * knee, abs=norms.WINDOW / 4)


def test_a_knee_at_the_dimension_is_no_knee_at_the_rank(runs):
    widths = [runs["width-128"], runs["width-192"]]
    assert norms.threshold(widths, "rank_of_P").established
    other = norms.threshold(widths, "n")
    assert (other.established, other.undecided) == (False, False)
    assert other.measured == pytest.approx((110 / 192) / (60 / 128), rel=0.1)


def test_growth_without_end_leaves_the_threshold_open(tmp_path, runs):
    run = record_of(tmp_path, {"alphaedit": Course("linear")}, rank=50)
    found = norms.threshold([runs["width-128"], run], "rank_of_P")
    assert (found.established, found.undecided) == (False, True)


def test_forecasts_are_counted_apart_for_streams_that_fall_and_streams_that_last(runs):
    world = [runs["world-256"]]
    found = forecasts.after_a_fifth(world, None)
    assert found.steps[0].startswith("21 of 21 streams that collapse")
    assert found.steps[1].startswith("21 of 21 streams that do not")
    assert found.established
    assert not forecasts.after_a_fifth(world, 0).established
    few = forecasts.after_a_fifth([run_of_one(runs, seeds=(0,))], None)
    assert (few.measured, few.established) == (1.0, False)


def run_of_one(runs, seeds):
    """A world with some of its seeds only."""
    run = Comparison(runs["world-256"].folder)
    vars(run)["checkpoints"] = run.checkpoints[run.checkpoints["seed"].isin(seeds)]
    return run


def test_a_chance_dealt_to_another_stream_has_no_skill(runs):
    own = forecasts.after_a_few([runs["world-256"]], None)
    dealt = forecasts.after_a_few([runs["world-256"]], 0)
    assert own.established
    assert dealt.measured < own.measured


@pytest.mark.parametrize(
    ("means", "every", "some"),
    [
        ([Mean(3, 2, 4), Mean(5, 4, 6)], (True, False), (True, False)),
        ([Mean(3, 2, 4), Mean(1, 0, 3)], (False, True), (True, False)),
        ([Mean(3, 2, 4), Mean(-1, -2, 0)], (False, False), (True, False)),
        ([Mean(1, 0, 3), Mean(-1, -2, 0)], (False, False), (False, True)),
        ([Mean(-1, -3, 0), Mean(-1, -2, 0)], (False, False), (False, False)),
        ([Mean(3, math.nan, math.nan)], (False, True), (False, True)),
    ],
)
def test_intervals_establish_refute_or_leave_open(means, every, some):
    """Of "at least 1.5": in every comparison, and in some."""
    found = {str(place): mean for place, mean in enumerate(means)}
    for evidence, expected in ((in_every(found, "", low=1.5), every), (in_some(found, "", low=1.5), some)):
        assert (evidence.established, evidence.undecided) == expected
        assert evidence.measured in [mean.value for mean in means]
        assert len(evidence.steps) == len(means)


def test_the_number_shown_is_that_of_the_comparison_which_decides():
    found = {"good": Mean(3, 2, 4), "bad": Mean(-1, -2, 0)}
    assert in_every(found, "", low=1.5).measured == -1
    assert in_some(found, "", low=1.5).measured == 3


def test_courses_are_what_they_are_said_to_be():
    assert replace(as_published(0), law="linear").norm(100, 1) == pytest.approx(8.0)
    assert anchored(0).norm(50, 1) == pytest.approx(4 * math.sqrt(2))
    assert swapped(THREE)[0] == ("rome+nas", "rome")
    assert mean_of([2.0, 2.0]) == Mean(2.0, 2.0, 2.0)
