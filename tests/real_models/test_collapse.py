"""The collapse experiment's comparisons, its record, and what is read from it."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from real_models.collapse.experiment import ANCHORED, KEPT, chosen, comparisons, write_record
from real_models.collapse.means import mean_of
from real_models.collapse.point import Bracket
from real_models.collapse.record import Comparison, Delay, delay, middle, recorded
from sim.results import write_table
from theory.command import Misuse
from theory.files import write_json


@pytest.fixture
def run(tmp_path):
    """A record of two streams of 100 edits: one loses a point an edit, the other none; its norm grows by 1 %."""
    folder = tmp_path / "made"
    folder.mkdir()
    rows, points = [], []
    for editor, loss in (("rome", 1.0), ("rome+nas", 0.0)):
        name = {"editor": editor, "seed": 4}
        grown = [4.0 * 1.01**edits for edits in range(101)]
        usual = dict.fromkeys(KEPT, 1.0) | {"layer": 1} | name
        rows += [usual | {"step": step, "weight_norm_after": grown[step + 1]} for step in range(100)]
        points += [
            name | {"step": step, "score_exact": 100 - loss * step, "weight_norm": grown[step]}
            for step in (0, 40, 60, 100)
        ]
    write_table(folder / "rows.parquet", rows)
    write_table(folder / "checkpoints.parquet", points)
    write_json(folder / "summary.json", {"edits": 100, "streams": []})
    write_json(folder / "config.json", {"run": {"data": "somewhere/facts.json"}})
    write_record([folder], tmp_path / "record")
    assert json.loads((tmp_path / "record" / "made" / "config.json").read_text())["run"]["data"] == "facts.json"
    (found,) = recorded(tmp_path / "record").values()
    return found


def test_a_record_gives_back_the_streams(run):
    assert (run.seeds, run.edits) == ([4], 100)
    assert run.rows["weight_norm_after"].dtype == np.float32
    assert pd.api.types.is_integer_dtype(run.rows["step"])
    assert len(run.writes("rome", 4)) == 100
    assert run.log_norm("rome", 4)[-1] - run.log_norm("rome", 4)[0] == pytest.approx(100 * math.log(1.01), rel=1e-5)
    assert run.at_end("rome", "score_exact", -1.0).tolist() == [0.0]
    assert run.point("rome", 4, "score_exact") == Bracket(40.0, 60.0)
    assert run.point("rome+nas", 4, "score_exact") == Bracket(100.0, math.inf)


def test_the_mean_along_a_stream_is_the_area_under_its_evaluations(run):
    """By numpy's trapezoids on a curve that is held level before its first evaluation."""
    expected = np.trapezoid([60.0, 60.0, 40.0, 0.0], [0.0, 40.0, 60.0, 100.0]) / 100
    assert run.along("rome", 4, "score_exact") == pytest.approx(expected)
    assert run.along("rome", 4, "score_exact", until=60) == pytest.approx((60 * 40 + 50 * 20) / 60)


def test_a_stream_that_broke_scores_nothing(tmp_path):
    points = [
        {"editor": "rome", "seed": 0, "step": s, "score_exact": v} for s, v in ((0, 0.0), (10, 80.0), (20, np.nan))
    ]
    write_table(tmp_path / "checkpoints.parquet", points)
    write_json(tmp_path / "summary.json", {"edits": 40})
    assert Comparison(tmp_path).along("rome", 0, "score_exact") == pytest.approx((80 * 10 + 40 * 10) / 40)


def test_delays_are_what_brackets_allow():
    early, late, never = Bracket(0.0, 8.0), Bracket(128.0, 192.0), Bracket(512.0, math.inf)
    assert delay(early, late) == Delay(16.0, math.inf)
    assert delay(late, never) == Delay(512 / 192, math.inf)
    assert delay(never, late) == Delay(0.0, 192 / 512)
    assert (middle([3.0, 1.0, 2.0]), middle([4.0, 1.0], upper=True), middle([4.0, 1.0])) == (2.0, 4.0, 1.0)


def test_the_interval_of_a_mean_is_students():
    from scipy import stats

    values = [1.0, 2.5, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert mean_of(values)[1:] == pytest.approx((low, high))


def test_the_experiment_pairs_every_editor_and_is_chosen_by_name():
    jobs = comparisons("records.json")
    assert [job.name for job in jobs][:2] == ["world-384", "world-256"]
    assert "facts-320" not in [job.name for job in comparisons(None)]
    assert ANCHORED[4:6] == ("memit+nas+rect:share=0.6", "memit+nas+prune:base=1.2")
    for job in jobs[:2]:
        width = int(job.name.split("-")[1])
        assert job.steps >= 1.5 * width
        assert job.command().startswith("python -m real_models compare ")
    assert [job.name for job in chosen(jobs, ("clamp",))] == ["clamp"]
    with pytest.raises(Misuse, match="--only clam names no comparison"):
        chosen(jobs, ("clam",))
