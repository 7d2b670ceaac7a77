from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figures import certificate, growth_phase, log_norm, scaling, stream, values_against_norm
from figures.results import WITH, WITHOUT, find_runs
from theory.command import Misuse

MakeRun = Callable[..., Path]


def change(path: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    edit(pd.read_parquet(path)).to_parquet(path, index=False)


def r_squared(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1] ** 2)


@pytest.mark.parametrize("anchor", [False, True])
def test_the_identity_summed_from_norms_is_the_norm_of_the_weight_itself(
    tmp_path: Path, edit_run: MakeRun, anchor: bool
) -> None:
    edit_run(tmp_path / "a", anchor=anchor)
    df = log_norm.table(find_runs(tmp_path))
    rows = pd.read_parquet(tmp_path / "a" / "rows.parquet")
    assert df["edits"].tolist() == list(range(61))
    np.testing.assert_array_equal(df["norm"][1:], rows["weight_norm_after"])
    assert df["norm"][0] == rows["weight_norm"][0]
    np.testing.assert_allclose(df["identity"], df["norm"], rtol=1e-12)


def test_a_wrong_value_norm_shows_in_the_identity_from_that_write_on(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a")

    def plant(rows: pd.DataFrame) -> pd.DataFrame:
        rows.loc[rows["step"] == 30, "value_norm"] *= 1.1
        return rows

    change(folder / "rows.parquet", plant)
    df = log_norm.table(find_runs(tmp_path))
    gap = np.abs(df["identity"] / df["norm"] - 1)
    assert gap[:31].max() < 1e-12
    assert gap[31] > 1e-3


def test_the_exponential_fit_is_polyfit_on_the_log(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a")
    df = log_norm.table(find_runs(tmp_path))
    x, y = df["edits"].to_numpy(float), np.log(df["norm"].to_numpy())
    slope, intercept = np.polyfit(x, y, 1)
    assert df["rate"].unique() == pytest.approx([slope], rel=1e-9)
    assert df["r2"].unique() == pytest.approx([r_squared(x, y)], rel=1e-9)
    np.testing.assert_allclose(df["fitted"], np.exp(intercept + slope * x), rtol=1e-9)


def test_the_worst_case_is_the_pythagorean_sum_of_anchored_writes(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a", anchor=True)
    df = log_norm.table(find_runs(tmp_path))
    rows, a = pd.read_parquet(folder / "rows.parquet"), json.loads((folder / "summary.json").read_text())["anchor"]
    square = rows["weight_norm"][0] ** 2
    for edits, bound in enumerate(df["bound"]):
        assert bound == pytest.approx(np.sqrt(square), rel=1e-12)
        square += a**2 / rows["key_norm"].get(edits, np.nan) ** 2
    assert (df["norm"] <= df["bound"]).all()


@pytest.mark.parametrize(("rule", "metric"), [("rome", "covariance"), ("memit", "identity"), ("alphaedit", "identity")])
def test_no_frobenius_identity_is_drawn_for_other_metrics(
    tmp_path: Path, edit_run: MakeRun, rule: str, metric: str
) -> None:
    edit_run(tmp_path / "a", rule=rule, metric=metric, anchor=True)
    df = log_norm.table(find_runs(tmp_path))
    assert df["identity"].isna().all()
    assert df["bound"].isna().all()
    assert df["norm"].notna().all()


def test_a_run_as_short_as_a_bootstrap_block_has_no_line(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a", edits=20)
    runs = find_runs(tmp_path)
    assert values_against_norm.table(runs)["slope"].isna().all()
    edit_run(tmp_path / "b", edits=21)
    lines = values_against_norm.table(find_runs(tmp_path)).groupby("run")["slope"].first()
    assert lines.isna().to_dict() == {"a": True, "b": False}


@pytest.mark.parametrize(("quantity", "column"), [("v0", "v0_norm"), ("solved", "solved_norm")])
def test_value_norms_are_fitted_as_polyfit_does(tmp_path: Path, edit_run: MakeRun, quantity: str, column: str) -> None:
    folder = edit_run(tmp_path / "a", edits=120)
    rows = pd.read_parquet(folder / "rows.parquet").sort_values("weight_norm")
    df = values_against_norm.table(find_runs(tmp_path))
    df = df[df["quantity"] == quantity]
    np.testing.assert_array_equal(df["weight_norm"], rows["weight_norm"])
    np.testing.assert_array_equal(df["norm"], rows[column])
    x, y = rows["weight_norm"].to_numpy(), rows[column].to_numpy()
    slope, intercept = np.polyfit(x, y, 1)
    np.testing.assert_allclose(df["fitted"], intercept + slope * x, rtol=1e-9)
    for name, expected in {"slope": slope, "intercept": intercept, "r2": r_squared(x, y)}.items():
        assert df[name].unique() == pytest.approx([expected], rel=1e-7)


def test_the_slopes_interval_holds_the_slope_that_made_the_points(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a", edits=400)
    rng = np.random.default_rng(3)
    weight = np.linspace(2.0, 9.0, 400)

    def proportional(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(weight_norm=weight, v0_norm=0.5 * weight * (1 + 0.2 * rng.normal(size=400)))

    change(folder / "rows.parquet", proportional)
    df = values_against_norm.table(find_runs(tmp_path))
    df = df[df["quantity"] == "v0"]
    low, high = df["slope_low"].iloc[0], df["slope_high"].iloc[0]
    assert low < 0.5 < high
    assert high - low < 0.1
    ends = df.iloc[[0, -1]]
    np.testing.assert_allclose(ends["high"] - ends["low"], (high - low) * np.abs(ends["weight_norm"] - weight.mean()))
    assert ((df["low"] <= df["fitted"]) & (df["fitted"] <= df["high"])).all()


def test_the_stream_holds_every_checkpoint_with_its_error_and_every_norm(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a", anchor=True)
    points = pd.read_parquet(folder / "checkpoints.parquet")
    df = stream.table(find_runs(tmp_path))
    for name in ("efficacy", "generalisation", "specificity"):
        one = df[df["quantity"] == name]
        assert one["edits"].tolist() == [10, 20, 30, 40, 50, 60]
        np.testing.assert_array_equal(one["value"], points[name])
        np.testing.assert_array_equal(one["error"], points[f"{name}_se"])
    norms = df[df["quantity"] == "norm"].set_index("edits")["value"]
    np.testing.assert_allclose(norms.loc[points["step"]], points["weight_norm"])
    assert len(norms) == 61


def test_a_quantity_without_probes_has_no_rows(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a")
    change(folder / "checkpoints.parquet", lambda points: points.assign(generalisation=np.nan))
    assert set(stream.table(find_runs(tmp_path))["quantity"]) == {"efficacy", "specificity", "norm"}


def test_checkpoints_without_a_column_are_refused(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a")
    change(folder / "checkpoints.parquet", lambda points: points.drop(columns="specificity_se"))
    with pytest.raises(Misuse, match=r"a/checkpoints\.parquet lacks the column 'specificity_se'"):
        stream.table(find_runs(tmp_path))


def test_runs_keep_apart_in_every_table(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a")
    edit_run(tmp_path / "b", seed=1)
    edit_run(tmp_path / "c", anchor=True)
    for module in (log_norm, values_against_norm, stream):
        df = module.table(find_runs(tmp_path))
        assert df.groupby("run")["series"].unique().map(list).to_dict() == {"a": [WITHOUT], "b": [WITHOUT], "c": [WITH]}
        assert df["panel"].unique().tolist() == ["ROME, C = I"]


def test_growth_is_the_factor_less_one(tmp_path: Path, phase_run: MakeRun) -> None:
    rows = pd.read_parquet(phase_run(tmp_path / "p") / "rows.parquet").sort_values(["n", "clamp"])
    df = growth_phase.table(find_runs(tmp_path))
    assert df[["n", "clamp"]].to_numpy().tolist() == rows[["n", "clamp"]].to_numpy().tolist()
    np.testing.assert_allclose(df["predicted"], [c * c / n for c, n in zip(df["clamp"], df["n"], strict=True)])
    for name in ("measured", "low", "high"):
        np.testing.assert_allclose(df[name], rows[name].to_numpy() - 1)


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (lambda rows: rows.assign(predicted=rows["predicted"] - 1), "the prediction is not T3's factor"),
        (lambda rows: rows.assign(predicted=1 + rows["clamp"] / rows["n"]), "the prediction is not T3's factor"),
        (lambda rows: rows.assign(low=rows["high"]), "the interval does not hold the measured factor"),
        (lambda rows: rows.assign(high=np.nan), "the interval does not hold the measured factor"),
    ],
    ids=["a rate for a factor", "c for c²", "a crossed interval", "no interval"],
)
def test_a_planted_error_in_a_sweep_is_refused(
    tmp_path: Path, phase_run: MakeRun, plant: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    change(phase_run(tmp_path / "p") / "rows.parquet", plant)
    with pytest.raises(Misuse, match=f"p, clamp .*{reason}.*; run the sweep again"):
        growth_phase.table(find_runs(tmp_path))


def test_a_certificate_draws_theorys_rate_through_its_last_look(tmp_path: Path, certificate_run: MakeRun) -> None:
    certificate_run(tmp_path / "k", rate=0.03)
    df = certificate.table(find_runs(tmp_path))
    assert [panel.replace("\u00a0", " ") for panel in df["panel"].unique()] == [
        "rome, relative shift\nexponential",
        "rome, fixed values\nbounded",
    ]
    growing, bounded = (part for _, part in df.groupby("panel", sort=False))
    expected = [(2 + 0.03 * edits) / math.log(10) for edits in growing["edits"]]
    np.testing.assert_allclose(growing["mean"], expected)
    np.testing.assert_allclose(growing["told"], expected)
    np.testing.assert_allclose(growing["high"] - growing["low"], 0.5 / math.log(10))
    assert bounded["told"].isna().all()
    rows = pd.read_parquet(tmp_path / "k" / "rows.parquet")
    rows.assign(predicted=rows["predicted"] / 2).to_parquet(tmp_path / "k" / "rows.parquet")
    half = certificate.table(find_runs(tmp_path)).iloc[:4]
    assert half["told"].iloc[-1] == growing["told"].iloc[-1]
    assert half["told"].iloc[0] > growing["told"].iloc[0] + 1


def test_scaling_states_the_planted_exponents_as_a_fit_a_repeat_does(tmp_path: Path, scaling_run: MakeRun) -> None:
    rows = pd.read_parquet(scaling_run(tmp_path / "s") / "rows.parquet")
    df = scaling.table(find_runs(tmp_path))
    assert len(df) == 2 * 4 * 5
    for (rule, axis), part in df.groupby(["rule", "axis"]):
        planted = {"n": 1.0, "m": 0.8, "block": -0.7, "trials": -0.9}[axis]
        sizes = [32, 64, 128] if axis in ("n", "m") else [8, 16, 32]
        assert part.loc[part["fitted"].notna(), "size"].tolist() == sizes
        own = rows[(rows["rule"] == rule) & (rows["axis"] == axis) & rows[axis].isin(sizes)]
        slopes = [np.polyfit(np.log(one[axis]), np.log(one["ms"]), 1)[0] for _, one in own.groupby("repeat")]
        np.testing.assert_allclose(part["slope"], np.mean(slopes), rtol=1e-9)
        assert abs(part["slope"].iloc[0] - planted) < 0.1
        low, high = part["slope_low"].iloc[0], part["slope_high"].iloc[0]
        np.testing.assert_allclose((high - low) / 2, 2.7764451 * np.std(slopes, ddof=1) / 5**0.5, rtol=1e-6)
        first = rows[(rows["rule"] == rule) & (rows["axis"] == axis) & (rows[axis] == 8)]["ms"]
        assert part["ms"].iloc[0] == first.median()
        assert (part["low"].iloc[0], part["high"].iloc[0]) == (first.min(), first.max())


def test_without_data_every_table_is_empty() -> None:
    for module in (log_norm, values_against_norm, stream, growth_phase, scaling, certificate):
        assert module.table(()).empty
