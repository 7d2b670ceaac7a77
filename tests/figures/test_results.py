from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figures.results import WITH, WITHOUT, edit_runs, find_runs
from theory.command import Misuse

MakeRun = Callable[..., Path]


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_rows(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = folder / "rows.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)


def test_runs_are_found_at_any_depth_and_recognised_by_content(
    tmp_path: Path, edit_run: MakeRun, phase_run: MakeRun
) -> None:
    edit_run(tmp_path / "z" / "deep" / "phase")
    phase_run(tmp_path / "edit")
    grown = tmp_path / "grow"
    grown.mkdir()
    (grown / "config.json").write_text('{"rule": "rome", "seed": 0}')
    pd.DataFrame({"step": [1]}).to_parquet(grown / "rows.parquet")
    assert [(run.name, run.kind) for run in find_runs(tmp_path)] == [
        ("edit", "phase"),
        ("grow", "other"),
        ("z/deep/phase", "edit"),
    ]


def test_the_results_folder_may_itself_be_a_run(tmp_path: Path, edit_run: MakeRun) -> None:
    assert [run.name for run in find_runs(edit_run(tmp_path / "own"))] == ["own"]


def test_an_unfinished_run_is_passed_over(tmp_path: Path, edit_run: MakeRun) -> None:
    (edit_run(tmp_path / "a") / "rows.parquet").unlink()
    assert find_runs(tmp_path) == ()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="nowhere does not exist; name one with --results"):
        find_runs(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "summary.json"])
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]"])
def test_broken_json_is_named(tmp_path: Path, edit_run: MakeRun, name: str, content: bytes) -> None:
    path = edit_run(tmp_path / "a") / name
    path.write_bytes(content)
    with pytest.raises(Misuse, match=f"{name}.*delete the folder and run again"):
        find_runs(tmp_path)


@pytest.mark.parametrize("name", ["rows.parquet", "checkpoints.parquet"])
@pytest.mark.parametrize("kept", [0, 100])
def test_a_truncated_table_is_named(tmp_path: Path, edit_run: MakeRun, name: str, kept: int) -> None:
    path = edit_run(tmp_path / "a") / name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Misuse, match=f"{name} cannot be read.*delete the folder and run again"):
        find_runs(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path, edit_run: MakeRun, phase_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a")
    change_rows(folder, lambda rows: rows.drop(columns="v0_norm"))
    with pytest.raises(Misuse, match=r"a/rows\.parquet lacks the column 'v0_norm'"):
        find_runs(tmp_path)
    change_config(phase_run(tmp_path / "b" / "p"), kind="phase")
    change_rows(tmp_path / "b" / "p", lambda rows: rows.drop(columns="high"))
    with pytest.raises(Misuse, match=r"p/rows\.parquet lacks the column 'high'"):
        find_runs(tmp_path / "b")


def test_an_unknown_rule_is_named(tmp_path: Path, edit_run: MakeRun) -> None:
    change_config(edit_run(tmp_path / "a"), rule="magic")
    with pytest.raises(Misuse, match="the rule 'magic'"):
        edit_runs(find_runs(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[rows["step"] != 7],
        lambda rows: pd.concat([rows, rows[rows["step"] == 7]]),
        lambda rows: rows.assign(step=rows["step"] + 7),
        lambda rows: rows.iloc[:0],
    ],
    ids=["a gap", "a double", "a late start", "no row"],
)
def test_a_stream_with_a_hole_is_refused(
    tmp_path: Path, edit_run: MakeRun, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    change_rows(edit_run(tmp_path / "a"), change)
    (run,) = find_runs(tmp_path)
    with pytest.raises(Misuse, match=r"a/rows\.parquet has not exactly one row for step [078]"):
        run.norms()


def test_rows_may_stand_in_any_order(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a")
    change_rows(edit_run(tmp_path / "b"), lambda rows: rows.sample(frac=1, random_state=0))
    one, other = find_runs(tmp_path)
    np.testing.assert_array_equal(one.norms(), other.norms())


def test_norms_end_before_the_first_that_is_not_finite(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a", edits=30)
    (whole,) = find_runs(tmp_path)

    def break_at_20(rows: pd.DataFrame) -> pd.DataFrame:
        rows.loc[rows["step"] >= 20, ["weight_norm_after"]] = np.inf
        rows.loc[rows["step"] == 25, ["weight_norm_after"]] = 1.0
        return rows

    change_rows(folder, break_at_20)
    (broken,) = find_runs(tmp_path)
    assert len(whole.norms()) == 31
    np.testing.assert_array_equal(broken.norms(), whole.norms()[:21])


def test_of_several_layers_the_last_edited_one_is_read(tmp_path: Path, edit_run: MakeRun) -> None:
    folder = edit_run(tmp_path / "a", layer=5)
    (alone,) = find_runs(tmp_path)
    other = pd.read_parquet(folder / "rows.parquet").assign(layer=4)
    other["weight_norm"] *= 9
    change_rows(folder, lambda rows: pd.concat([rows, other]))
    (both,) = find_runs(tmp_path)
    np.testing.assert_array_equal(both.norms(), alone.norms())


def test_panels_are_rules_in_order_and_seeds_share_one(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a", rule="alphaedit")
    edit_run(tmp_path / "b", rule="memit", anchor=True)
    edit_run(tmp_path / "c", metric="covariance")
    edit_run(tmp_path / "d", anchor=True)
    edit_run(tmp_path / "e", seed=1, edits=30)
    edit_run(tmp_path / "f")
    edit_run(tmp_path / "g", rule="memit")
    pairs = edit_runs(find_runs(tmp_path))
    assert [(panel, run.series, run.name) for panel, run in pairs] == [
        ("ROME, C = I", WITHOUT, "e"),
        ("ROME, C = I", WITHOUT, "f"),
        ("ROME, C = I", WITH, "d"),
        ("ROME, measured C", WITHOUT, "c"),
        ("MEMIT", WITHOUT, "g"),
        ("MEMIT", WITH, "b"),
        ("AlphaEdit", WITHOUT, "a"),
    ]


def test_runs_that_differ_in_more_than_the_seed_do_not_pass_for_repetitions(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a")
    edit_run(tmp_path / "b", clamp=1.5)
    change_config(edit_run(tmp_path / "c"), model="somewhere/stories.bin")
    edit_run(tmp_path / "d", rule="memit")
    panels = {run.name: panel for panel, run in edit_runs(find_runs(tmp_path))}
    assert panels["a"] == "ROME, C = I, model world, clamp 0.75"
    assert panels["b"] == "ROME, C = I, model world, clamp 1.5"
    assert panels["c"] == "ROME, C = I, model stories.bin, clamp 0.75"
    assert panels["d"] == "MEMIT"
