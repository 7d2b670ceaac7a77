"""`python -m sim stream`: the rows of the step engine, however often the run is stopped."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sim.__main__ import main
from sim.blocked import BlockedStream
from sim.config import StreamConfig
from sim.engine import run_stream
from sim.longrun import run_long
from sim.moments import Moments
from sim.montecarlo import make_editor, make_memory

SMALL = StreamConfig(rule="alphaedit", anchor=True, m=4, n=6, edits=300, block=16, save_every=64, pilots=20)


@pytest.mark.parametrize("chunks", [[10], [1, 1, 8], [3, 0, 7]])
def test_moments_in_chunks_are_those_of_the_whole(chunks: list[int]) -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, sum(chunks))
    moments = Moments()
    for part in np.split(values, np.cumsum(chunks)[:-1]):
        moments = moments.merged(part)
    assert moments.number == len(values)
    np.testing.assert_allclose([moments.mean, moments.deviation], [values.mean(), values.std(ddof=1)], rtol=1e-14)


def test_moments_leave_out_what_is_not_finite() -> None:
    assert Moments().merged(np.array([1.0, np.nan, 3.0, np.inf])).mean == 2.0


def test_rows_are_those_of_the_step_engine(tmp_path: Path) -> None:
    summary = run_long(SMALL, tmp_path)
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    generator = torch.Generator().manual_seed(0)
    memory = make_memory(SMALL.grown(), generator)
    rule, _ = make_editor(SMALL.grown(), memory, generator)
    stepped = pd.DataFrame(list(run_stream(rule, memory, 300, generator)))
    for name in ("weight_norm_after", "norm_sq_after", "value_norm", "s", "eta"):
        np.testing.assert_allclose(rows[name], stepped[name], rtol=1e-10)
    np.testing.assert_allclose(summary["columns"]["s"]["mean"], stepped["s"].mean(), rtol=1e-10)
    np.testing.assert_allclose(summary["columns"]["s"]["deviation"], stepped["s"].std(), rtol=1e-10)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "rows.parquet", "summary.json"}


def test_a_run_stopped_anywhere_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_long(SMALL, tmp_path / "whole")
    advance, calls = BlockedStream.advance, iter(range(10_000))

    def interrupted(stream: BlockedStream, steps: int):
        if next(calls) % 6 == 5:
            raise KeyboardInterrupt
        return advance(stream, steps)

    monkeypatch.setattr(BlockedStream, "advance", interrupted)
    stops = 0
    while not (tmp_path / "stopped" / "summary.json").exists():
        try:
            run_long(SMALL, tmp_path / "stopped")
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 3
    assert (tmp_path / "stopped/rows.parquet").read_bytes() == (tmp_path / "whole/rows.parquet").read_bytes()


def reached(folder: Path) -> int:
    """The step that a run has saved; 0 before."""
    record = folder / "resume.json"
    return json.loads(record.read_text())["facts"]["step"] if record.exists() else 0


@pytest.mark.slow
def test_sigkill_at_random_moments_changes_no_row(tmp_path: Path, begin: Callable[..., Any]) -> None:
    options = ["--m", "16", "--n", "48", "--edits", "20000", "--rule", "alphaedit", "--save-every", "1024"]
    log = tmp_path / "log"
    assert begin("sim", ["stream", *options, "--out", str(tmp_path / "whole")], log).wait() == 0, log.read_text()
    line, draw = ["stream", *options, "--out", str(tmp_path / "killed")], random.Random(0)
    for kill in range(4):
        process = begin("sim", line, log)
        moment = reached(tmp_path / "killed") + 1024 * draw.randrange(4) if kill else -1
        deadline = time.monotonic() + 60
        while reached(tmp_path / "killed") <= moment and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(draw.uniform(0.0, 0.03))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, log.read_text()
    assert begin("sim", line, log).wait() == 0, log.read_text()
    assert (tmp_path / "killed/rows.parquet").read_bytes() == (tmp_path / "whole/rows.parquet").read_bytes()


def test_a_stream_that_overflows_ends_as_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["stream", "--m", "4", "--n", "6", "--edits", "500", "--clamp", "1e30", "--out", str(tmp_path / "run")])
        == 0
    )
    assert "left the range of its dtype" in capsys.readouterr().out
    rows = pd.read_parquet(tmp_path / "run" / "rows.parquet")
    assert rows["finite"].tolist() == [True] * (len(rows) - 1) + [False]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["weight_norm"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--block", "0"], "--block is 0"), (["--save-every", "0"], "--save-every is 0"), (["--n", "2"], "--n is 2")],
)
def test_impossible_values_end_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["stream", *options, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_delta_transform_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["stream", "--m", "4", "--n", "6", "--edits", "20", "--out", str(tmp_path / "out")]
    assert main([*line, "--transforms", "clip_relative+rect"]) == 2
    assert "a delta transform goes step by step" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*line, "--transforms", "clip_relative"]) == 0


def test_bench_writes_one_row_a_rule_and_dtype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "bench.json"
    options = ["--rules", "rome", "alphaedit", "--m", "6", "--n", "16", "--edits", "64", "--step-edits", "40"]
    assert main(["bench", *options, "--dtypes", "float64", "--json", str(place)]) == 0
    rows = json.loads(place.read_text())
    assert [row["rule"] for row in rows] == ["rome", "alphaedit"]
    keys = {"rule", "m", "n", "dtype", "device", "block", "textbook_ms", "step_ms", "blocked_ms", "ratio"}
    for row in rows:
        assert keys | {"matmul_fraction", "peak_mib", "max_rel_diff"} <= row.keys()
        assert row["max_rel_diff"] < 1e-10
        np.testing.assert_allclose(row["ratio"], row["textbook_ms"] / row["blocked_ms"])
    assert main(["bench", "--block", "0"]) == 2
