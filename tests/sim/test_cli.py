"""`python -m sim` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.__main__ import main
from sim.config import GrowConfig, PhaseConfig, cells, check, command_line
from theory.command import Misuse

SMALL = ["--m", "3", "--n", "5", "--edits", "40", "--seeds", "3"]


def grow(out: Path, *options: str) -> int:
    return main(["grow", *SMALL, *options, "--out", str(out)])


@pytest.mark.parametrize("rule", ["rome", "memit", "alphaedit"])
@pytest.mark.parametrize("anchor", ["--anchor", "--no-anchor"])
def test_grow_prints_its_table_and_writes_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, anchor: str
) -> None:
    out = tmp_path / "run"
    assert grow(out, "--rule", rule, anchor) == 0
    printed = capsys.readouterr().out
    assert "predicted" in printed
    assert "measured" in printed
    assert {file.name for file in out.iterdir()} == {"config.json", "rows.parquet", "seeds.parquet", "summary.json"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["quantities"][-1]["measured"] < 1e-10
    assert json.loads((out / "config.json").read_text())["anchor"] is (anchor == "--anchor")
    steps, seeds = pd.read_parquet(out / "rows.parquet"), pd.read_parquet(out / "seeds.parquet")
    assert steps["step"].tolist() == list(range(1, 41))
    assert (steps["weight_norm_q05"] <= steps["weight_norm_q95"]).all()
    assert seeds["seed"].tolist() == [0, 1, 2]
    assert seeds["anchor"].notna().all() == (anchor == "--anchor")


def test_equal_commands_give_equal_rows_and_another_config_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "a"):
        assert grow(tmp_path / name) == 0
    one, two = (pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("a", "b"))
    pd.testing.assert_frame_equal(one, two)
    np.testing.assert_allclose(one["norm_sq_law"].iloc[1] / one["norm_sq_law"].iloc[0], 1 + 0.75**2 / 5)
    capsys.readouterr()
    assert grow(tmp_path / "a", "--clamp", "0.5") == 2
    error = capsys.readouterr().err
    assert "another config (differs in clamp)" in error
    assert "--out" in error
    pd.testing.assert_frame_equal(one, pd.read_parquet(tmp_path / "a" / "rows.parquet"))


def test_a_stream_that_overflows_is_reported_and_its_rows_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert grow(tmp_path / "run", "--clamp", "1e30") == 0
    printed = capsys.readouterr().out
    assert "WARNING: 3 of 3 seeds overflowed and are left out" in printed
    assert "3 of 3 seeds left the range of float64" in printed
    assert "seeds dropped of 3" in printed
    assert len(pd.read_parquet(tmp_path / "run" / "rows.parquet")) > 1
    assert grow(tmp_path / "at-once", "--clamp", "1e300") == 0
    summary = json.loads((tmp_path / "at-once" / "summary.json").read_text())
    assert summary["seeds_not_finite"] == 3
    assert [row["measured"] for row in summary["quantities"] if row["name"].startswith("seeds dropped")] == [3]
    assert summary["quantities"][-1]["measured"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n", "2"], "--n is 2"),
        (["--m", "1"], "--m is 1"),
        (["--edits", "-5"], "--edits is -5"),
        (["--seeds", "1"], "--seeds is 1"),
        (["--clamp", "0"], "--clamp is 0"),
        (["--clamp", "nan"], "--clamp is nan"),
        (["--anisotropy", "0.5"], "--anisotropy is 0.5"),
        (["--weighting", "-1"], "--weighting is -1"),
        (["--ridge", "0"], "--ridge is 0"),
        (["--pilots", "1"], "--pilots is 1"),
        (["--batch", "0"], "--batch is 0"),
        (["--batch", "2"], "use --rule memit"),
        (["--seed", "-1"], "--seed is -1"),
        (["--confidence", "1"], "--confidence is 1"),
        (["--burn-in", "40"], "must be below --edits 40"),
        (["--rule", "alphaedit", "--metric", "covariance"], "--metric is covariance"),
        (["--block", "-1"], "--block is -1"),
        (["--keys", "unseen"], "use --values free"),
        (["--keys", "unseen", "--values", "free", "--m", "5"], "needs m below --n 5"),
        (["--keys", "unseen", "--values", "free", "--anisotropy", "2"], "--anisotropy is 2"),
        (["--device", "nowhere"], "--device nowhere"),
    ],
)
def test_impossible_values_end_in_one_line_and_status_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert grow(tmp_path / "run", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [["--rule", "finetune"], ["--rate", "3"], ["--edits", "many"]])
def test_unknown_choices_and_options_end_in_status_two(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        grow(tmp_path / "run", *options)
    assert stopped.value.code == 2
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_ends_in_status_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert grow(tmp_path / "file" / "run") == 2
    assert "choose a folder you can write to" in capsys.readouterr().err


def test_grow_goes_step_by_step_where_it_cannot_be_blocked_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--keys", "unseen", "--values", "free", "--n", "400"]
    assert grow(tmp_path / "steps", *options) == 0
    assert "step by step" not in capsys.readouterr().out
    assert grow(tmp_path / "blocks", *options, "--block", "8") == 0
    assert "step by step, not in blocks of 8: the law of keys looks at the weight" in capsys.readouterr().out
    steps, blocks = (pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("steps", "blocks"))
    pd.testing.assert_frame_equal(steps, blocks)


@pytest.mark.parametrize("anchor", ["--anchor", "--no-anchor"])
@pytest.mark.parametrize("rule", ["rome", "memit", "alphaedit"])
def test_grow_in_blocks_measures_what_it_measures_step_by_step(tmp_path: Path, rule: str, anchor: str) -> None:
    assert grow(tmp_path / "steps", "--rule", rule, anchor) == 0
    assert grow(tmp_path / "blocks", "--rule", rule, anchor, "--block", "7") == 0
    steps, blocks = (pd.read_parquet(tmp_path / name / "rows.parquet") for name in ("steps", "blocks"))
    for name in ("weight_norm_median", "norm_sq_after", "value_norm", "eta", "seeds"):
        np.testing.assert_allclose(blocks[name], steps[name], rtol=1e-10)
    summary = json.loads((tmp_path / "blocks" / "summary.json").read_text())
    assert summary["quantities"][-1]["measured"] < 1e-10


def test_phase_writes_one_row_a_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "phase"
    options = ["--clamps", "0.5", "1.0", "--dimensions", "4", "8", "--m", "3", "--edits", "30", "--seeds", "4"]
    assert main(["phase", *options, "--confidence", "0.9999", "--out", str(out)]) == 0
    table = pd.read_parquet(out / "rows.parquet")
    assert list(table.columns) == ["clamp", "n", "measured", "low", "high", "predicted"]
    assert table[["clamp", "n"]].to_numpy().tolist() == [[0.5, 4], [0.5, 8], [1.0, 4], [1.0, 8]]
    np.testing.assert_allclose(table["predicted"], 1 + table["clamp"] ** 2 / table["n"])
    assert ((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).all()
    assert main(["phase", "--clamps", "-1", "--out", str(tmp_path / "no")]) == 2
    assert "--clamp is -1" in capsys.readouterr().err


def test_cells_have_seeds_of_their_own() -> None:
    config = PhaseConfig()
    used = [seed for cell in cells(config) for seed in range(cell.seed, cell.seed + cell.seeds)]
    assert len(used) == len(set(used)) == 16 * config.seeds


def test_a_command_line_names_every_choice_that_differs(tmp_path: Path) -> None:
    config = replace(
        GrowConfig(), rule="alphaedit", anchor=True, m=3, n=4, edits=6, seeds=2, burn_in=1, values="isotropic"
    )
    words = command_line(config).split()
    assert words[:4] == ["python", "-m", "sim", "grow"]
    assert main([*words[3:], "--out", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == asdict(config)
    with pytest.raises(Misuse):
        check(replace(config, n=0))


def test_help_needs_no_torch() -> None:
    script = (
        "import sys\nfrom sim.__main__ import main\n"
        "try:\n    main(['grow', '--help'])\nexcept SystemExit as stop:\n    status = stop.code\n"
        "assert status == 0\nassert not {'torch', 'pandas', 'scipy'} & set(sys.modules)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "--anchor, --no-anchor" in answer.stdout
