"""`python -m sim scaling`: every size timed, exponents by another route, and sizes that cannot be timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.__main__ import main
from sim.bench_config import ScalingConfig
from sim.scaling import exponents, settings


def rows(power: float, axis: str, sizes: list[int], seed: int = 0) -> list[dict]:
    """Times of a power law with a fixed cost that fades along n and m, and noise between repeats."""
    rng, base = np.random.default_rng(seed), {"rule": "rome", "m": 1, "n": 1, "block": 1, "trials": 1}
    return [
        base | {"axis": axis, axis: size, "repeat": i, "ms": 3.0 * size**power * rng.lognormal(0, 0.02)}
        for i in range(9)
        for size in sizes
    ]


@pytest.mark.parametrize(
    ("axis", "power", "kept"), [("n", 1.0, (16, 64)), ("m", 2.0, (16, 64)), ("block", -1.0, (4, 16))]
)
def test_the_exponent_is_that_of_the_planted_law(axis: str, power: float, kept: tuple[int, int]) -> None:
    (found,) = exponents(rows(power, axis, [4, 8, 16, 32, 64]))
    assert found.slope.covers(power)
    assert not found.slope.covers(power + 0.2)
    assert (found.low, found.high) == kept


def test_sizes_outside_the_fitted_half_do_not_count() -> None:
    one = rows(1.0, "n", [4, 8, 16, 32, 64])
    for row in one:
        row["ms"] *= 100 if row["n"] < 16 else 1
    assert exponents(one)[0].slope.covers(1.0)


def test_every_axis_varies_alone() -> None:
    found = settings(ScalingConfig(ns=(8, 16), ms=(2, 4), blocks=(1, 8), trials=(1, 3)))
    assert [one.axis for one in found] == ["n", "n", "m", "m", "block", "block", "trials", "trials"]
    for axis in ("n", "m", "block", "trials"):
        own = [one._replace(axis="") for one in found if one.axis == axis]
        assert own[0]._replace(**{axis: 0}) == own[1]._replace(**{axis: 0})
        assert own[0] != own[1]


def test_the_command_writes_timings_and_exponents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--ns", "8", "16", "--ms", "2", "4", "--blocks", "1", "8", "--trials", "1", "3"]
    line = ["scaling", *sizes, "--m", "4", "--n", "16", "--block", "4", "--repeats", "2", "--rules", "rome", "rlsedit"]
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.count("time an edit ~") == 8
    table = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    assert len(table) == 2 * 8 * 2
    assert (table["ms"] > 0).all()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["exponents"]) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ns", "8"], "--ns is (8,)"),
        (["--ns", "8", "8"], "each given once"),
        (["--ns", "4", "8"], "numbers from 8 on"),
        (["--trials", "0", "1"], "numbers from 1 on"),
        (["--repeats", "1"], "--repeats is 1"),
        (["--trial-n", "2"], "--trial-n is 2"),
    ],
)
def test_sizes_that_cannot_be_timed_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["scaling", *options, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
