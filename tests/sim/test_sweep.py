"""`python -m sim sweep`: every trial once, the same results however often it is stopped."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sim.pool
from sim.__main__ import main
from sim.config import GrowConfig
from sim.montecarlo import run_seed
from sim.spec import SweepConfig, read_sweep
from sim.sweep import run_sweep
from sim.trials import Store, address, run_trial
from theory.command import Misuse

SPEC = """
seeds = 3
[base]
m = 4
edits = 30
[grid]
n = [5, 6]
clamp = [0.5, 1]
"""
EXAMPLE = Path(__file__).parents[2] / "docs" / "sweeps" / "growth-phase.toml"


def written(folder: Path, text: str = SPEC) -> Path:
    place = folder / "sweep.toml"
    place.write_text(text)
    return place


def config(folder: Path, out: str = "out", workers: int = 1) -> SweepConfig:
    return SweepConfig(written(folder), out=folder / out, workers=workers)


def test_trials_are_the_grid_times_seeds_and_no_two_share_a_seed(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path))
    assert list(sweep.grid) == ["n", "clamp"]
    cells = [(trial.n, trial.clamp) for trial in sweep.trials()]
    assert cells == [(5, 0.5)] * 3 + [(5, 1.0)] * 3 + [(6, 0.5)] * 3 + [(6, 1.0)] * 3
    assert [trial.seed for trial in sweep.trials()] == list(range(12))
    assert len(read_sweep(EXAMPLE).trials()) == 576


def test_a_row_says_what_its_trial_measured(tmp_path: Path) -> None:
    plan = read_sweep(written(tmp_path))
    run_sweep(config(tmp_path), plan)
    rows = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    assert len(rows) == 12
    for index in (0, 11):
        path, row = run_seed(plan.trials()[index], 0).rows, rows.iloc[index]
        assert row["weight_norm_last"] == path["weight_norm_after"].iloc[-1]
        growth = np.log(path["norm_sq_after"].iloc[-1] / path["norm_sq"].iloc[0]) / 30
        np.testing.assert_allclose(row["exponent"], growth, rtol=1e-12)
        np.testing.assert_allclose(row["factor"], (path["norm_sq_after"] / path["norm_sq"]).mean(), rtol=1e-12)


def test_processes_give_the_same_bytes_and_a_re_run_does_only_what_is_missing(tmp_path: Path) -> None:
    plan = read_sweep(written(tmp_path))
    assert run_sweep(config(tmp_path), plan).ran == 12
    assert run_sweep(config(tmp_path, "pool", workers=2), plan).ran == 12
    whole = (tmp_path / "out/rows.parquet").read_bytes()
    assert (tmp_path / "pool/rows.parquet").read_bytes() == whole
    store = Store(tmp_path / "pool" / "trials")
    for trial in plan.trials()[3:5]:
        store.place(trial).unlink()
    (tmp_path / "pool" / "rows.parquet").unlink()
    assert run_sweep(config(tmp_path, "pool"), plan).ran == 2
    assert (tmp_path / "pool/rows.parquet").read_bytes() == whole


def test_a_failing_trial_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def planted(trial: GrowConfig):
        if trial.seed == 4:
            raise RuntimeError("planted")
        return run_trial(trial)

    line = ["sweep", str(written(tmp_path)), "--out", str(tmp_path / "out"), "--workers", "1"]
    monkeypatch.setattr(sim.pool, "run_trial", planted)
    assert main(line) == 1
    assert "RuntimeError: planted" in capsys.readouterr().err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [failure["seed"] for failure in summary["failures"]] == [4]
    assert pd.read_parquet(tmp_path / "out" / "rows.parquet")["seed"].tolist() == [i for i in range(12) if i != 4]
    monkeypatch.undo()
    assert main(line) == 0
    assert len(pd.read_parquet(tmp_path / "out" / "rows.parquet")) == 12


def test_a_trial_that_overflows_is_data(tmp_path: Path) -> None:
    row = run_trial(GrowConfig(m=4, n=5, edits=200, clamp=1e30))
    assert not row["finite"]
    assert row["steps"] < 200
    assert row["weight_norm_last"] is None or row["weight_norm_last"] > 1e100


def test_another_sweeps_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    run_sweep(config(tmp_path), read_sweep(written(tmp_path)))
    before = (tmp_path / "out/rows.parquet").read_bytes()
    other = read_sweep(written(tmp_path, SPEC.replace("[5, 6]", "[7, 8]")))
    with pytest.raises(Misuse, match="differs in grid"):
        run_sweep(config(tmp_path), other)
    assert (tmp_path / "out/rows.parquet").read_bytes() == before


def test_a_stored_trial_under_anothers_name_is_noticed(tmp_path: Path) -> None:
    plan = read_sweep(written(tmp_path))
    run_sweep(config(tmp_path), plan)
    store = Store(tmp_path / "out" / "trials")
    first, second = (store.place(trial) for trial in plan.trials()[:2])
    second.write_text(first.read_text())
    with pytest.raises(Misuse, match="another trial than its name says"):
        run_sweep(config(tmp_path), plan)
    second.write_text("{")
    with pytest.raises(Misuse, match="not readable JSON"):
        run_sweep(config(tmp_path), plan)


def test_a_trials_address_follows_config_and_code() -> None:
    one = GrowConfig()
    assert len({address(one, "a"), address(one, "b"), address(replace(one, clamp=0.5), "a")}) == 3


def begun_by(pid: int | str) -> list[str]:
    """The processes that a process has begun, and those that they have."""
    own = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*own, *(other for child in own for other in begun_by(child))]


def works(pid: str) -> bool:
    """Whether a process has not ended; one that nobody has asked for its exit status yet has."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "\nState:\tZ" not in status


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are read from /proc")
def test_sigkill_at_random_moments_changes_no_row_and_leaves_no_worker(tmp_path: Path) -> None:
    text = SPEC.replace("seeds = 3", "seeds = 30").replace("edits = 30", "edits = 60")
    place, draw = written(tmp_path, text), random.Random(0)
    run_sweep(config(tmp_path), read_sweep(written(tmp_path, text)))
    line = [sys.executable, "-m", "sim", "sweep", str(place), "--out", str(tmp_path / "killed"), "--workers", "2"]
    for kill in range(5):
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline, done = time.monotonic() + 60, len(list((tmp_path / "killed").glob("trials/*.json")))
        moment, below = done + draw.randrange(20), list[str]()
        while process.poll() is None and time.monotonic() < deadline:
            below = begun_by(process.pid)  # two that keep the processes, and two that work
            if len(below) >= 4 and len(list((tmp_path / "killed").glob("trials/*.json"))) > moment:
                break
            time.sleep(0.01)
        assert process.poll() is None, f"ended before kill {kill}"
        assert len(below) >= 4
        process.send_signal(signal.SIGKILL)
        process.wait()
        while any(works(child) for child in below):
            assert time.monotonic() < deadline, f"a worker outlived kill {kill}"
            time.sleep(0.01)
    subprocess.run(line, check=True, capture_output=True)
    assert (tmp_path / "killed/rows.parquet").read_bytes() == (tmp_path / "out/rows.parquet").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 3", "seeds = 0", "seeds is 0"),
        ("seeds = 3", "seed = 3", "unknown key 'seed'"),
        ("m = 4", "width = 4", "unknown option 'width'"),
        ("m = 4", 'm = "4"', "m is '4'"),
        ("m = 4", "m = 1", "--m is 1"),
        ("m = 4", "n = 4", "'n' in [base] and in [grid]"),
        ("m = 4", 'rule = "finetune"', "rule is 'finetune'"),
        ("m = 4", 'transforms = "clip"', "there is no transform 'clip'"),
        ("[5, 6]", "[]", "n is []"),
        ("[5, 6]", "5", "n is 5"),
        ("[5, 6]", "[5, 5]", "twice"),
        ("[5, 6]", "[5, 2]", "--n is 2"),
        ("[5, 6]", "[5, true]", "n is True"),
        ("[grid]", "[grid", "not TOML"),
    ],
)
def test_a_broken_sweep_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    assert old in SPEC
    place = written(tmp_path, SPEC.replace(old, new))
    assert main(["sweep", str(place), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--workers", "0"], ["--cpus-per-trial", "0"]])
def test_impossible_options_are_refused(tmp_path: Path, options: list[str]) -> None:
    assert main(["sweep", str(written(tmp_path)), *options, "--out", str(tmp_path / "out")]) == 2
    assert main(["sweep", str(tmp_path / "none.toml"), "--out", str(tmp_path / "out")]) == 2
