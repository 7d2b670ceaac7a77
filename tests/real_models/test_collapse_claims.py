"""The collapse experiment's claims on made-up records whose answer is known, and the experiment's own comparisons."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from real_models.collapse import ANCHORED, PLAIN, RIVALS, THREE, chosen, comparisons, write_record
from real_models.collapse_checks import forecasts, overhead
from real_models.collapse_claims import collapse_claims
from real_models.collapse_point import Bracket
from real_models.collapse_record import Comparison, Delay, delay, mean_of, middle
from sim.results import write_table
from theory.claim import Verdict, examine
from theory.command import Misuse
from theory.files import write_json

EDITS, EVERY = 200, 20
PARTS = ("efficacy", "generalisation", "specificity")


def made(folder, editors, *, good):
    """A finished comparison: editors in `good` keep norm and scores, the others grow and fail."""
    chance = np.random.default_rng(0)
    rows, points = [], []
    for place, editor in enumerate(editors):
        for seed in (0, 1, 2):
            kept, name = good(editor), {"editor": editor, "seed": seed}
            rate = 0.0005 if kept else 0.01
            for step in range(EDITS):
                norm = 4 * math.exp(rate * (step + 1)) * (1 + 1e-3 * chance.standard_normal())
                value = (0.5 * norm if not kept else 2.0) * (1 + 0.01 * chance.standard_normal())
                rows.append(
                    name
                    | dict.fromkeys(("delta_norm", "v0_norm", "shift_norm", "hidden_norm", "s"), 1.0)
                    | {"step": step, "layer": 1, "weight_norm_after": norm, "solved_norm": value}
                    | {"key_norm": 1 + 0.1 * chance.standard_normal(), "instant": 100.0, "instant_exact": 100.0}
                )
            for step in (0, 5, *range(EVERY, EDITS + 1, EVERY)):
                loss = 1 + 0.001 * place if not kept else 0.03 if "0.8" in editor else 0.01
                score = 100 - loss * step
                own = dict.fromkeys((*PARTS, "score", "score_rescaled", "score_exact", "agreement"), max(score, 0.0))
                norm = rows[-EDITS + step - 1]["weight_norm_after"] if step else 4.0
                points.append(name | own | {"step": step, "weight_norm": norm})
    streams = [
        {"editor": editor, "seed": 0, "layers": [1], "anchors": {"1": 5.0}, "anchor_se": {"1": 0.05}}
        for editor in editors
    ]
    folder.mkdir()
    write_table(folder / "rows.parquet", rows)
    write_table(folder / "checkpoints.parquet", points)
    write_json(folder / "summary.json", {"edits": EDITS, "streams": streams})
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """What the paper says, and its opposite."""
    found = {}
    for name, good in (("paper", lambda editor: "nas" in editor), ("opposite", lambda editor: "nas" not in editor)):
        place = tmp_path_factory.mktemp(name)
        every = {"world-256": (*PLAIN, *ANCHORED), "world-384": (*PLAIN, *ANCHORED), "clamp": THREE, "rivals": RIVALS}
        folders = [made(place / run, editors, good=good) for run, editors in every.items()]
        write_record(folders, place / "record")
        found[name] = {run: Comparison(place / "record", run) for run in every}
    return found


IDS = (
    *("correlation", "exponential", "proportional", "controls", "bounded", "delay"),
    *("performance", "single_edits", "ability", "pilots", "overhead", "forecast"),
)


@pytest.fixture(scope="module")
def speed(tmp_path_factory):
    """A race in which NAS costs half a per cent."""
    path = tmp_path_factory.mktemp("speed") / "speed.json"
    rows = [{"rule": rule, "anchor_overhead": 0.005, "fast_s": 2.0} for rule in ("memit", "alphaedit")]
    write_json(path, {"rows": rows})
    return path


@pytest.mark.claim(*(f"M2.{name}" for name in IDS))
def test_the_claims_hold_where_the_paper_is_right(records, speed):
    claims = collapse_claims(records["paper"], "the command", speed)
    assert [claim.id for claim in claims] == [f"M2.{name}" for name in IDS]
    for claim in claims:
        outcome = examine(claim)
        assert outcome.evidence.established, (claim.id, outcome.evidence)
        assert outcome.twin_rejected, claim.id
        timed = claim.id == "M2.overhead"
        assert outcome.verdict is (Verdict.HOLDS if timed else Verdict.CONDITIONAL)
        assert (claim.command == "the command") is not timed


def test_most_claims_are_false_where_nas_does_the_opposite(records, speed):
    outcomes = {one.id: examine(one) for one in collapse_claims(records["opposite"], "", speed)}
    # Slow growth beside slow loss still ranks, single edits all take, and no anchor matters; the last two know no NAS.
    kept = {f"M2.{name}" for name in ("correlation", "single_edits", "pilots", "controls", "overhead", "forecast")}
    assert {id for id, one in outcomes.items() if one.verdict is Verdict.FALSE} == set(outcomes) - kept
    assert outcomes["M2.delay"].evidence.measured == 0


def test_the_numbers_are_those_of_the_made_up_streams(records):
    run = records["paper"]["world-256"]
    assert (run.seeds, run.edits) == ([0, 1, 2], EDITS)
    assert run.point("rome", 0, "score_exact") == Bracket(40.0, 60.0)
    assert run.point("rome+nas", 0, "score_exact") == Bracket(200.0, math.inf)
    assert run.log_norm("rome", 1)[-1] - run.log_norm("rome", 1)[0] == pytest.approx(2.0, abs=0.01)
    steps, last = [5, *range(EVERY, EDITS + 1, EVERY)], 0
    total = 0.0
    for step in steps:
        total += (step - last) * max(100 - step, 0)
        last = step
    assert run.along("rome", 0, "score_exact") == pytest.approx(total / EDITS)
    assert run.along("rome", 0, "score_exact", until=20) == pytest.approx((5 * 95 + 15 * 80) / 20)
    assert run.at_end("rome", "agreement").tolist() == [0.0, 0.0, 0.0]
    assert delay(run.point("rome", 0, "score_exact"), run.point("rome+nas", 0, "score_exact")) == Delay(
        200 / 60, math.inf
    )


def test_a_stream_that_broke_scores_nothing(tmp_path):
    points = [
        {"editor": "rome", "seed": 0, "step": s, "score_exact": v} for s, v in ((0, 0.0), (10, 80.0), (20, np.nan))
    ]
    write_table(tmp_path / "x.checkpoints.parquet", points)
    write_json(tmp_path / "x.json", {"edits": 40})
    assert Comparison(tmp_path, "x").along("rome", 0, "score_exact") == pytest.approx(80 * 10 / 40)


def test_delays_are_what_brackets_allow():
    early, late, never = Bracket(0.0, 8.0), Bracket(128.0, 192.0), Bracket(512.0, math.inf)
    assert delay(early, late) == Delay(16.0, math.inf)
    assert delay(late, never) == Delay(512 / 192, math.inf)
    assert delay(never, late) == Delay(0.0, 192 / 512)
    assert (middle([3.0, 1.0, 2.0]), middle([4.0, 1.0])) == (2.0, 1.0)


def test_the_interval_of_a_mean_is_students():
    from scipy import stats

    values = [1.0, 2.5, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert mean_of(values)[1:] == pytest.approx((low, high))


def test_the_experiment_pairs_every_editor_and_is_chosen_by_name():
    jobs = comparisons("records.json")
    assert [job.name for job in jobs][:2] == ["world-384", "world-256"]
    assert "facts-320" not in [job.name for job in comparisons(None)]
    assert ANCHORED[4:6] == ("memit+nas+rect", "memit+nas+prune")
    for job in jobs[:2]:
        width = int(job.name.split("-")[1])
        assert job.steps >= 1.5 * width
        assert job.command().startswith("python -m real_models compare ")
    assert [job.name for job in chosen(jobs, ("clamp",))] == ["clamp"]
    with pytest.raises(Misuse, match="--only clam names no comparison"):
        chosen(jobs, ("clam",))


def test_a_record_is_small_and_holds_what_the_claims_read(records):
    rows = records["paper"]["world-256"].rows
    assert rows["weight_norm_after"].dtype == np.float32
    assert pd.api.types.is_integer_dtype(rows["step"])


def test_an_overhead_is_the_largest_of_the_rules(speed):
    found = overhead(speed, 1.0)
    assert (found.established, found.measured) == (True, 0.005)
    assert not overhead(speed, 2.1).established


def test_forecasts_are_counted_apart_for_streams_that_fall_and_streams_that_last(records):
    found = forecasts([records["paper"]["world-256"]], 1.0)
    assert found.steps[0].startswith("21 of 21 streams that collapse")
    assert found.steps[1].startswith("21 of 21 streams that do not")
    assert found.established
    late = forecasts([records["paper"]["world-256"]], 1 / 30)
    assert late.steps[1].startswith("0 of 21")
