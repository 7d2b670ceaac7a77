"""Tables of comparisons, of files of rows and of keys, each against a computation of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figures import (
    ability,
    anchor_length,
    collapse_points,
    confronted,
    control_rates,
    course,
    forecast,
    memory_norm,
    mutation,
    norm_against_score,
    overhead,
    precision,
    spectrum,
)
from figures.comparisons import label_of
from figures.results import WITH, WITHOUT, find_runs
from theory.command import Misuse

COUNTED = {"storage_noise": 1, "changed_entries": 2}
"""Claims on precision that `row_files` makes, with their settings."""
MakeRun = Callable[..., Path]


@pytest.fixture
def points(tmp_path: Path, compare_run: MakeRun) -> pd.DataFrame:
    """The checkpoints of a comparison at "world", beside a longer one with fewer pairs."""
    compare_run(tmp_path / "few", editors=("rome", "rome+nas"), edits=400)
    return pd.read_parquet(compare_run(tmp_path / "world") / "checkpoints.parquet")


def test_a_course_is_the_mean_over_seeds_with_its_range(tmp_path: Path, points: pd.DataFrame) -> None:
    df = course.table(find_runs(tmp_path))
    assert set(df["run"]) == {"world"}
    assert list(dict.fromkeys(df["panel"])) == ["ROME", "MEMIT + RECT"]
    own = df[(df["panel"] == "MEMIT + RECT") & (df["series"] == WITH) & (df["quantity"] == "exact (%)")]
    for step, row in own.set_index("edits").iterrows():
        at = points[(points["editor"] == "memit+nas+rect:share=0.6") & (points["step"] == step)]["score_exact"]
        assert tuple(row[["value", "low", "high"]]) == pytest.approx((at.mean(), at.min(), at.max()))
    norms = df[(df["panel"] == "ROME") & (df["series"] == WITHOUT) & (df["quantity"] == course.NORM)]
    rows = pd.read_parquet(tmp_path / "world" / "rows.parquet").query("editor == 'rome' and layer == 2")
    last = rows[rows["step"] == 79]["weight_norm_after"]
    assert norms["value"].iloc[0] == 1
    assert norms["edits"].iloc[-1] == 80
    assert norms["value"].iloc[-1] == pytest.approx((last / 2).mean())


def test_ability_of_all_editors_is_their_mean(tmp_path: Path, points: pd.DataFrame) -> None:
    df = ability.table(find_runs(tmp_path))
    of_all = df[(df["editor"] == ability.EVERY) & (df["series"] == WITH)].set_index(["quantity", "edits"])["value"]
    assert of_all[ability.QUANTITIES["agreement"], 40] == pytest.approx(90.0)
    assert of_all[ability.QUANTITIES["perplexity_ratio"], 80] == pytest.approx(81.0)
    changed = points.copy()
    changed.loc[(changed["editor"] == "rome+nas") & (changed["step"] == 80), "perplexity_ratio"] = 1.0
    changed.to_parquet(tmp_path / "world" / "checkpoints.parquet")
    df = ability.table(find_runs(tmp_path))
    of_all = df[(df["editor"] == ability.EVERY) & (df["series"] == WITH)].set_index(["quantity", "edits"])["value"]
    assert of_all[ability.QUANTITIES["perplexity_ratio"], 80] == pytest.approx(9.0)  # the geometric mean of 81 and 1


def test_rank_correlations_are_pandas_own(tmp_path: Path, points: pd.DataFrame) -> None:
    df = norm_against_score.table(find_runs(tmp_path))
    edited = points[points["step"] > 0]
    each = [
        own[["weight_norm", "score_exact"]].corr("spearman").iloc[0, 1]
        for (editor, _), own in edited.groupby(["editor", "seed"])
        if "nas" not in editor
    ]
    assert df["within"].unique() == pytest.approx([np.mean(each)])
    ends = edited[(edited["step"] == 80) & ~edited["editor"].str.contains("times")]
    over = [own[["weight_norm", "score_exact"]].corr("spearman").iloc[0, 1] for _, own in ends.groupby("seed")]
    assert df["across"].unique() == pytest.approx([np.mean(over)])
    last = df[df["last"] & (df["series"] == WITHOUT) & (df["editor"] == "ROME")]
    at = ends[ends["editor"] == "rome"]
    assert (last["norm"].item(), last["score"].item()) == pytest.approx(
        (at["weight_norm"].mean() / 2, at["score_exact"].mean())
    )


def test_collapse_points_are_the_runs_brackets(tmp_path: Path, compare_run: MakeRun) -> None:
    compare_run(tmp_path / "world")
    df = collapse_points.table(find_runs(tmp_path))
    assert len(df) == 2 * 2 * 2 * 2
    plain = df[(df["editor"] == "MEMIT + RECT") & (df["series"] == WITHOUT)].set_index(["score", "seed"])
    assert tuple(plain.loc[("exact score", 3), ["low", "high"]]) == (20.0, 40.0)
    assert plain.loc[("rescaled score", 3), "high"] == math.inf
    assert (df["edits"] == 80).all()


def test_anchors_of_other_lengths_are_held_against_the_measured_one(tmp_path: Path, points: pd.DataFrame) -> None:
    df = anchor_length.table(find_runs(tmp_path))
    assert set(df["panel"]) == {"ROME, world"}
    assert sorted(df["times"].unique()) == [0.8, 1.0]
    assert df["relative_error"].unique() == pytest.approx([0.02])
    own = points[(points["editor"] == "rome+nas:times=0.8") & (points["seed"] == 4) & (points["step"] > 0)]
    steps, scores = np.append(0, own["step"]), np.append(own["score_exact"].iloc[0], own["score_exact"])
    found = df[(df["times"] == 0.8) & (df["seed"] == 4) & (df["score"] == "exact score")]["value"].item()
    assert found == pytest.approx(np.trapezoid(scores, steps) / 80)


def test_forecasts_are_parted_by_what_became_of_the_stream(tmp_path: Path, compare_run: MakeRun) -> None:
    told = pd.read_parquet(compare_run(tmp_path / "world") / "points.parquet")
    df = forecast.table(find_runs(tmp_path))
    known = told[(told["score"] == "score_rescaled") & told["right"].notna()]
    assert df["panel"].value_counts().to_dict() == {forecast.FELL: 4, forecast.LASTED: 4}
    assert len(df) == len(known)
    assert int(df["right"].sum()) == int(known["right"].sum()) == 6
    # A stream whose evaluations are another's, under another editor's name, is no second stream.
    checkpoints = pd.read_parquet(tmp_path / "world" / "checkpoints.parquet")
    names = checkpoints["editor"].unique()
    same = checkpoints[checkpoints["editor"] == names[0]].assign(editor=names[1])
    kept = checkpoints[checkpoints["editor"] != names[1]]
    pd.concat([kept, same]).to_parquet(tmp_path / "world" / "checkpoints.parquet")
    again = forecast.table(find_runs(tmp_path))
    assert len(again) == (known["editor"] != names[1]).sum()
    assert names[1] not in set(again["editor"])


def test_the_parts_of_an_edit_are_the_timings(tmp_path: Path, row_files: MakeRun) -> None:
    row_files(tmp_path / "made")
    df = overhead.table(find_runs(tmp_path))
    seconds = df.groupby(["panel", "way"])["seconds"].sum()
    assert seconds.to_dict() == {
        (rule, way): s for rule in ("AlphaEdit", "MEMIT") for way, s in (("here", 6.0), ("textbook", 30.0))
    }
    assert df["nas_share"].unique() == [1e-4]


def test_simulations_are_in_units_of_theory(tmp_path: Path, row_files: MakeRun) -> None:
    row_files(tmp_path / "made")
    runs = find_runs(tmp_path)
    df = confronted.table(runs)
    # T3, T3b, T4, T7; P7 alone has no topic
    assert list(dict.fromkeys(df["claim"])) == [f"S4.{name}" for name in ("growth", "field", "mask", *COUNTED)]
    # At most −3 is a bound from below of the size.
    assert df[df["claim"] == "S4.mask"]["relation"].tolist() == ["=", ">="]
    assert df[df["claim"] == "S4.mask"][["ratio", "low", "high"]].to_numpy().ravel() == pytest.approx(
        [1.05, 0.95, 1.25, 0.9, 0.8, 1.1]
    )
    assert {run.kind: run.provenance for run in runs}["claims"].endswith("commit abc1234")


def test_precision_shows_the_claims_numbers(tmp_path: Path, row_files: MakeRun) -> None:
    row_files(tmp_path / "made")
    df = precision.table(find_runs(tmp_path))
    assert df["panel"].value_counts().to_dict() == {precision.PANELS[f"S4.{n}"]: k for n, k in COUNTED.items()}
    assert tuple(df.iloc[0][["measured", "low", "high", "predicted"]]) == pytest.approx((2.1, 1.9, 2.5, 2.0))


def test_rates_are_the_certified_ones_and_missing_where_nothing_grows(tmp_path: Path, row_files: MakeRun) -> None:
    row_files(tmp_path / "made")
    df = control_rates.table(find_runs(tmp_path)).set_index(["name", "series"])
    assert tuple(df.loc[("rome", WITHOUT), ["rate", "low", "high"]]) == (0.03, 0.02, 0.05)
    assert math.isnan(df.loc[("rome", WITH), "rate"])
    assert ("nas", WITHOUT) not in df.index
    assert df["panel"].to_dict()["rect", WITHOUT] == control_rates.CONTROLS


@pytest.mark.parametrize(("anchor", "keys"), [(True, "gaussian"), (True, "unseen"), (False, "gaussian")])
def test_the_law_of_a_memory_is_the_recursion_of_its_mean(
    tmp_path: Path, memory_run: MakeRun, anchor: bool, keys: str
) -> None:
    memory_run(tmp_path / "m", anchor=anchor, keys=keys)
    df = memory_norm.table(find_runs(tmp_path))
    np.testing.assert_allclose(df["law"], df["mean"], rtol=1e-9)
    assert (df["low"] < df["mean"]).all()
    assert (df["high"] > df["mean"]).all()


def test_mutants_are_counted_by_module(tmp_path: Path, row_files: MakeRun) -> None:
    row_files(tmp_path / "made")
    df = mutation.table(find_runs(tmp_path)).set_index(["panel", "module", "outcome"])["mutants"]
    assert df.to_dict() == {
        (mutation.FORMULAS, "a", "killed"): 5,
        (mutation.FORMULAS, "a", "survived"): 1,
        (mutation.PROOFS, "writes.b_proofs", "killed"): 3,
        (mutation.PROOFS, "writes.b_proofs", "void"): 2,
    }


def test_the_spectrum_is_the_operators_on_symmetric_matrices(tmp_path: Path, keys_run: MakeRun) -> None:
    """By the operator itself as an n² × n² matrix."""
    from safetensors.numpy import load_file

    keys = load_file(keys_run(tmp_path / "keys") / "keys.safetensors")["keys"]
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    squares = [np.outer(k, k).ravel() for k in unit]
    operator = np.mean([np.outer(square, square) for square in squares], axis=0)
    expected = np.sort(np.linalg.eigvalsh(operator))[::-1][: 5 * 6 // 2]
    df = spectrum.table(find_runs(tmp_path))
    own = df[df["series"] == spectrum.MEASURED]["eigenvalue"].to_numpy()
    np.testing.assert_allclose(own[: len(expected)], expected, rtol=1e-9)
    assert abs(own[len(expected) :]).max() < 1e-12
    assert df[df["series"] == spectrum.ISOTROPIC]["eigenvalue"].max() < own[0]


def test_json_of_another_kind_is_passed_over_and_broken_json_is_named(tmp_path: Path, row_files: MakeRun) -> None:
    row_files(tmp_path / "made")
    (tmp_path / "other.json").write_text(json.dumps({"rows": [1, 2]}), encoding="utf-8")
    (tmp_path / "more.json").write_text(json.dumps([{"a": 1}]), encoding="utf-8")
    assert sorted(run.kind for run in find_runs(tmp_path)) == ["bench", "claims", "mutants", "rules"]
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(Misuse, match=r"broken\.json is not readable JSON"):
        find_runs(tmp_path)


def test_editors_have_names_that_readers_know() -> None:
    assert label_of("memit_seq+nas:times=0.8+prune:base=1.2") == "MEMIT-seq + NAS + PRUNE"
    assert label_of("mine+original") == "mine + original"
