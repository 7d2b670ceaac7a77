"""The forecast against streams whose collapse point is known, its error against drawing, and a folder's outlook."""

from __future__ import annotations

import math
import sys

import numpy as np
import pandas as pd
import pytest

from real_models.__main__ import main
from real_models.collapse.foretell import Foretold, foretell, judged, score_error
from real_models.collapse.outcomes import outcomes
from real_models.collapse.point import Bracket, collapse_point
from sim.results import write_table
from theory.files import write_json

STEPS = np.array([0, 8, 16, 32, *range(64, 1025, 64)])


def stream(point, power, start=0.0, noise=2.0, seed=0):
    """A score that falls below 60 at `point`, evaluated with noise."""
    generator = np.random.default_rng(seed)
    loss = start + (40 - start) * (STEPS / point) ** power
    scores = np.clip(100 - loss + noise * generator.standard_normal(len(STEPS)), 0, 100)
    return pd.DataFrame({"step": STEPS, "score_rescaled": np.where(STEPS == 0, 0.0, scores)})


def test_the_interval_holds_as_often_as_it_says_and_late_collapse_is_not_in_sight():
    """Streams drawn from the law itself, with powers as they are believed to be."""
    generator = np.random.default_rng(1)
    met, calm, widths = [], [], []
    for seed in range(120):
        power = float(np.exp(0.4 * generator.standard_normal()))
        early = judged(stream(float(generator.uniform(200, 900)), power, seed=seed), 1024)
        late = judged(stream(float(generator.uniform(5000, 50000)), power, seed=seed), 1024)
        assert not late["collapsed"]
        widths.append(math.log(early["high"] / early["low"]))
        met.append(early["low"] <= early["point_high"] and early["point_low"] <= early["high"])
        calm.append(late["right"])
    assert np.mean(met) > 0.7
    assert np.mean(calm) > 0.9
    assert np.exp(np.mean(widths)) < 20


def test_a_forecast_that_knows_nothing_of_the_scores_would_be_noticed():
    """The planted fault: the same intervals, dealt to other streams, meet fewer points."""
    points = np.geomspace(100, 900, 24)
    made = [foretell(stream(p, 1.0, seed=i).query(f"step <= {p / 2}"), 1024) for i, p in enumerate(points)]
    brackets = [collapse_point(stream(p, 1.0, seed=i)) for i, p in enumerate(points)]
    own = np.mean([one.brackets(point) for one, point in zip(made, brackets, strict=True)])
    dealt = np.mean([one.brackets(point) for one, point in zip(made[::-1], brackets, strict=True)])
    assert own > 0.85
    assert dealt < own - 0.3


def test_what_is_foretold_does_not_hang_on_how_long_the_stream_will_be():
    begun = stream(400.0, 1.1).query("step <= 128")
    short, long = foretell(begun, 256), foretell(begun, 100_000)
    assert (short.low, short.median, short.high) == (long.low, long.median, long.high)
    assert short.chance < 0.5 < long.chance
    assert (short.in_sight, long.in_sight) == (False, True)


def test_the_chance_of_a_collapse_is_the_share_of_the_posterior_before_the_end():
    """At the interval's own ends and median the chance is theirs."""
    begun = stream(400.0, 1.1).query("step <= 128")
    made = foretell(begun, 1024)
    for end, share in ((made.low, 0.1), (made.median, 0.5), (made.high, 0.9)):
        assert foretell(begun, round(end)).chance == pytest.approx(share, abs=0.02)
    assert foretell(begun, 1).chance == 0


def test_a_stream_that_falls_though_none_was_in_sight_was_not_foretold():
    """Eight edits of full marks foretell nothing, whatever the interval's width."""
    row = judged(stream(300.0, 2.4, noise=0.0), 320)
    assert row["median"] > 320
    assert (row["collapsed"], row["right"]) == (True, False)


def test_more_edits_narrow_the_interval_around_the_point():
    whole = stream(600.0, 1.2, noise=1.0)
    made = [foretell(whole[whole["step"] <= until], 1024) for until in (128, 256, 448)]
    widths = [math.log(one.high / one.low) for one in made]
    assert widths[0] > widths[1] > widths[2]
    assert 480 < made[2].median < 720
    assert made[2].known == 448


def test_nothing_is_foretold_from_nothing():
    assert foretell(stream(100.0, 1.0)[:1], 500) is None
    row = judged(stream(20.0, 1.0, noise=0.0), 1024)
    assert (row["collapsed"], row["right"]) == (True, None)


def test_the_error_of_a_harmonic_mean_is_that_of_drawn_parts():
    """By drawing the three parts."""
    means, errors = np.array([80.0, 75.0, 90.0]), np.array([2.0, 3.0, 1.5])
    names = ("efficacy", "generalisation", "specificity")
    row = dict(zip(names, means, strict=True)) | {f"{name}_se": e for name, e in zip(names, errors, strict=True)}
    row["evaluated"] = 10_000
    drawn = means + errors * np.random.default_rng(0).standard_normal((200_000, 3))
    for score, parts in (("score", drawn), ("score_rescaled", 2 * (drawn - 50))):
        expected = (3 / (1 / parts).sum(axis=1)).std()
        assert score_error(pd.DataFrame([row]), score)[0] == pytest.approx(expected, rel=0.03)
    assert score_error(pd.DataFrame([row]), "score_exact")[0] == 0


def test_full_marks_of_few_edits_are_no_certainty():
    names = ("efficacy", "generalisation", "specificity")
    row = dict.fromkeys(names, 100.0) | dict.fromkeys((f"{name}_se" for name in names), 0.0)
    few, many = (score_error(pd.DataFrame([row | {"evaluated": n}]), "score")[0] for n in (8, 800))
    share = 8.5 / 9
    assert few == pytest.approx(100 * math.sqrt(share * (1 - share) / 8) / math.sqrt(3))
    assert many < few / 50


def test_a_forecast_meets_a_bracket_that_it_touches():
    made = Foretold(100.0, 200.0, 150.0, 500, 64, 0.99)
    assert made.brackets(Bracket(190.0, 256.0))
    assert made.brackets(Bracket(64.0, 128.0))
    assert not made.brackets(Bracket(200.5, 256.0))
    assert not made._replace(low=300.0).brackets(Bracket(64.0, 128.0))
    assert made.in_sight
    assert not made._replace(chance=0.59).in_sight


def folder_of(path, points, horizon=1024, finished=True, editors=False):
    path.mkdir()
    write_json(path / "config.json", {"run": {"edits": horizon}} if editors else {"edits": horizon})
    steps = range(int(points["step"].max()))
    rows = [
        {"step": i, "layer": 0, "weight_norm": 2.0 * 1.01**i, "weight_norm_after": 2.0 * 1.01 ** (i + 1)} for i in steps
    ]
    name = {"editor": "rome", "seed": 3} if editors else {}
    write_table(path / "rows.parquet", [row | name for row in rows])
    write_table(path / "checkpoints.parquet", [row | name for row in points.to_dict("records")])
    if finished:
        write_json(path / "summary.json", {})
    return path


def said(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["real_models", "forecast", *map(str, arguments)])
    code = main()
    out, error = capsys.readouterr()
    return code, out, error


def test_a_folder_is_told_in_a_line_a_stream(tmp_path, monkeypatch, capsys):
    whole = stream(300.0, 1.0, noise=0.0)
    code, out, _ = said(monkeypatch, capsys, folder_of(tmp_path / "one", whole))
    assert (code, out.count("\n")) == (0, 1)
    assert "collapsed in (256, 320]" in out
    assert "growing by 1 % an edit" in out
    begun = folder_of(tmp_path / "two", whole[whole["step"] <= 128], editors=True)
    code, out, _ = said(monkeypatch, capsys, begun)
    assert out.startswith("rome 3 at 128 edits: after 128 edits: collapse at ")
    calm = folder_of(tmp_path / "three", stream(1e5, 1.0, noise=0.0))
    assert "no collapse in 1024 edits" in said(monkeypatch, capsys, calm)[1]


def test_bad_folders_and_scores_are_one_line(tmp_path, monkeypatch, capsys):
    code, _, error = said(monkeypatch, capsys, tmp_path)
    assert (code, "is not the folder of a run" in error) == (2, True)
    path = folder_of(tmp_path / "run", stream(300.0, 1.0))
    code, _, error = said(monkeypatch, capsys, path, "--score", "scores")
    assert (code, "choose among score_rescaled" in error) == (2, True)
    (path / "summary.json").unlink()
    code, _, error = said(monkeypatch, capsys, path)
    assert (code, "no evaluation yet" in error) == (2, True)


def test_a_comparisons_outcomes_are_a_row_a_stream_and_score():
    whole, late = (
        stream(point, 1.0, seed=1).assign(score_exact=lambda own: own["score_rescaled"] - 20.0)
        for point in (300.0, 4000.0)
    )
    table = pd.concat([whole.assign(editor="rome", seed=0), late.assign(editor="rome+nas", seed=0)])
    rows = pd.DataFrame(outcomes(table, 1024)).set_index(["editor", "score"])
    assert len(rows) == 4
    for editor, own in (("rome", whole), ("rome+nas", late)):
        for score in ("score_rescaled", "score_exact"):
            point = collapse_point(own, score)
            assert tuple(rows.loc[(editor, score), ["point_low", "point_high"]]) == (point.low, point.high)
    assert rows.loc[("rome", "score_exact"), "point_high"] < rows.loc[("rome", "score_rescaled"), "point_high"]
    assert rows.loc[("rome", "score_rescaled"), "until"] < rows.loc[("rome+nas", "score_rescaled"), "until"]
    assert outcomes(table[table["step"] == 0], 1024) == []
