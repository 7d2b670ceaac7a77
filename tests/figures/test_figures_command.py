from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from figures.__main__ import main
from figures.gallery import GALLERY, draw_all, draw_one
from theory.command import Misuse

MakeRun = Callable[..., Path]


def test_all_draws_every_figure_as_pdf_and_png(
    tmp_path: Path,
    edit_run: MakeRun,
    phase_run: MakeRun,
    scaling_run: MakeRun,
    certificate_run: MakeRun,
    compare_run: MakeRun,
    keys_run: MakeRun,
    row_files: MakeRun,
    memory_run: MakeRun,
    capsys: pytest.CaptureFixture[str],
) -> None:
    compare_run(tmp_path / "runs" / "c")
    keys_run(tmp_path / "runs" / "keys")
    row_files(tmp_path / "runs" / "files")
    memory_run(tmp_path / "runs" / "memory")
    edit_run(tmp_path / "runs" / "a")
    phase_run(tmp_path / "runs" / "p")
    scaling_run(tmp_path / "runs" / "s")
    certificate_run(tmp_path / "runs" / "k")
    assert main(["all", "--results", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    expected = [str(tmp_path / "out" / f"{name}.{suffix}") for name in GALLERY for suffix in ("pdf", "png")]
    assert printed.out.split() == expected
    assert printed.err == ""
    assert sorted(str(path) for path in (tmp_path / "out").iterdir()) == sorted(expected)


def test_all_draws_what_it_can_and_says_what_makes_the_rest(
    tmp_path: Path, phase_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "two words"
    phase_run(runs / "p")
    assert main(["all", "--results", str(runs), "--out", str(tmp_path / "out"), "--format", "png"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split("\n") == [str(tmp_path / "out" / "growth-phase.png"), ""]
    lines = {line.split(":")[1].strip(): line for line in printed.err.splitlines()}
    assert list(lines) == [name for name in GALLERY if name != "growth-phase"]
    assert lines["scaling"].endswith(f"python -m sim scaling --out '{runs}'/scaling")
    for name in ("log-norm", "values-against-norm", "stream"):
        wanted = f"python -m real_models edit --rule rome --no-anchor --out '{runs}'/rome-no-anchor && "
        assert wanted in lines[name]


def test_one_figure_without_data_ends_with_the_command_that_makes_it(
    tmp_path: Path, edit_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_run(tmp_path / "runs" / "a")
    assert main(["growth-phase", "--results", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"holds no finished run for growth-phase; make one with: python -m sim phase --out {tmp_path}" in line
    assert not (tmp_path / "out").exists()


def test_an_empty_results_folder_ends_with_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["all", "--results", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m figures: {tmp_path} holds no finished run")
    assert "python -m real_models edit" in line


def test_an_out_that_cannot_be_written_is_named(
    tmp_path: Path, phase_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    phase_run(tmp_path / "p")
    (tmp_path / "out").write_text("a file")
    assert main(["growth-phase", "--results", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "out") in line


@pytest.mark.parametrize("args", [["nonsense"], ["all", "--format", "bmp"], ["all", "--colour", "red"]])
def test_an_unknown_word_ends_with_status_2(args: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(args)
    assert stopped.value.code == 2


def test_list_names_every_figure_with_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--results", "here"]) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if not line.startswith(" ")] == list(GALLERY)
    assert "$ python -m sim phase --out here/phase" in printed


def test_the_same_from_python(tmp_path: Path, edit_run: MakeRun) -> None:
    edit_run(tmp_path / "a", seed=4)
    paths = draw_all(tmp_path, tmp_path / "out", formats=("png", "svg"))
    assert [path.name for path in paths] == [
        f"{name}.{suffix}" for name in ("log-norm", "values-against-norm", "stream") for suffix in ("png", "svg")
    ]
    assert "a: seed 4, commit abc1234" in paths[1].read_text(encoding="utf-8")
    with pytest.raises(Misuse, match="there is no figure 'pie'; choose among log-norm, "):
        draw_one("pie", tmp_path, tmp_path / "out")


def test_figures_need_no_torch_and_help_needs_no_matplotlib(tmp_path: Path, phase_run: MakeRun) -> None:
    phase_run(tmp_path / "p")
    script = f"""
import sys, json
import figures.__main__
light = [name for name in ("torch", "transformers", "matplotlib", "pandas", "scipy", "sympy") if name in sys.modules]
figures.__main__.main(["all", "--results", {str(tmp_path)!r}, "--out", {str(tmp_path / "out")!r}, "--format", "png"])
rooms = [name for name in sys.modules if name.split(".")[0] in ("torch", "sim", "real_models")]
print(json.dumps([light, rooms, "matplotlib.pyplot" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [[], [], False]
