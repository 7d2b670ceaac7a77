"""Every fenced block of the documentation is run: the tutorials' here, each other one by a test named below.

A block without a language is for the shell, `python` is a script or the file that the prose names, `toml` is a file,
`output` is what the block before it printed (`…` stands for anything), and `text` is what cannot be run in a test; the
prose before it says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
REASONS = re.compile(r"\b(GPU|hub|cluster|minutes|half an hour|hours)\b")

RUN_BY = {
    "theory check": "tests/theory/test_claims.py::test_check_prints_a_row_a_claim",
    "theory show": "tests/theory/test_latex.py::test_the_command_writes_the_appendix_and_pdflatex_compiles_it",
    "theory predict": "tests/theory/test_forecast.py::test_the_command_prints_and_writes",
    "sim rules": "tests/sim/test_certify_commands.py::test_the_walk_through_runs_as_it_stands",
    "sim certify": "tests/sim/test_certify_commands.py::test_the_walk_through_runs_as_it_stands",
    "sim grow": "tests/sim/test_cli.py::test_grow_prints_its_table_and_writes_its_folder",
    "sim phase": "tests/sim/test_cli.py::test_phase_writes_one_row_a_cell",
    "sim confront": "tests/sim/test_confront_controls.py::"
    "test_simulation_agrees_with_theory_and_tells_it_from_the_twin_in_every_setting",
    "sim stream": "tests/sim/test_longrun.py::test_sigkill_at_random_moments_changes_no_row",
    "sim bench": "tests/sim/test_longrun.py::test_bench_writes_one_row_a_rule_and_dtype",
    "sim scaling": "tests/sim/test_scaling.py::test_the_command_writes_timings_and_exponents",
    "real_models edit": "tests/real_models/test_run.py::test_every_rule_runs_and_t1_holds_at_every_write",
    "real_models keys": "tests/real_models/test_keys.py::test_the_command_writes_keys_and_weight_once",
    "real_models forecast": "tests/test_documented.py::test_the_first_steps_run_as_typed",
    "paper-checks --only": "tests/test_documented.py::test_the_first_steps_run_as_typed",
    "figures list": "tests/figures/test_figures_command.py::test_list_names_every_figure_with_its_command",
    "figures all": "tests/figures/test_figures_command.py::test_all_draws_every_figure_as_pdf_and_png",
    "figures report": "tests/figures/test_report.py::test_the_command_writes_it_without_a_picture_too",
    "figures certificate": "tests/sim/test_certify_commands.py::test_the_walk_through_runs_as_it_stands",
}
"""Outside the tutorials: the test that runs each command, with sizes of its own; test_account has the options."""
EXECUTED = {
    "README.md": "tests/test_account.py",
    "certify.md": "tests/sim/test_certify_commands.py",
    "models.md": "tests/real_models/test_monitor_in_easyedit.py",
    "property-tests.md": "tests/theory/test_strategies.py",
}
"""The tests that read a page's Python blocks from the page and run all of them."""


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        language: the word behind the opening fence.
        text: what is in it.
        before: the paragraph of prose before it.
    """

    language: str
    text: str
    before: str

    @property
    def file(self) -> str | None:
        """The file that the prose says it is."""
        named = re.findall(r"file\s+`([\w-]+\.(?:py|toml))`", self.before)
        return named[-1] if named else None


def blocks(page):
    """The blocks of a page, in order."""
    found, prose, text, language = [], [], [], None
    for line in page.splitlines():
        if language is None and line.startswith("```"):
            language, text = line.removeprefix("```").strip(), []
        elif language is not None and line == "```":
            paragraphs = "\n".join(prose).strip().split("\n\n")
            found.append(Block(language, "\n".join(text) + "\n", paragraphs[-1]))
            language = None
        else:
            (prose if language is None else text).append(line)
    assert language is None, "a fence is left open"
    return found


def walk(page, folder):
    """Do what a page says, in a folder; what a block printed must hold the lines of the `output` behind it."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    printed = ""
    for block in blocks(page):
        if block.language == "output":
            missing = [line for line in block.text.splitlines() if not is_in(line, printed)]
            assert not missing, f"{missing} is not in\n{printed}"
        elif block.file and block.language in ("python", "toml"):
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language in ("", "python"):
            script = ["python", "-"] if block.language else ["bash", "-euo", "pipefail", "-s"]
            done = subprocess.run(
                script, input=block.text, capture_output=True, text=True, check=False, cwd=folder, env=env
            )
            printed = done.stdout
            assert done.returncode == 0, f"{block.text}{done.stdout}{done.stderr}"


def is_in(line, printed):
    """Whether a line was printed; `…` stands for any characters."""
    pattern = ".*".join(map(re.escape, line.strip().split("…")))
    return any(re.fullmatch(pattern, other.strip()) for other in printed.splitlines())


def commands(block):
    """What a shell block calls: of every line the room and its subcommand, or the main job and its first option."""
    lines = [line.split() for line in block.text.splitlines()]
    return [" ".join(words[2:4] if words[0] == "python" else words[:2]) for words in lines]


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_typed(page, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    walk(page.read_text(encoding="utf-8"), tmp_path)


@pytest.mark.slow
def test_the_first_steps_run_as_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _, _, section = README.read_text(encoding="utf-8").partition("## First steps\n")
    section, _, _ = section.partition("\n## ")
    assert section.count("```\n") == 6
    if not os.environ.get("NORM_ANCHOR_DATA"):
        section = re.sub(r"```\n[^`]*NORM_ANCHOR_DATA[^`]*```\n", "", section)
        assert section.count("```\n") == 4
    walk(section, tmp_path)
    assert "T5.contraction" in (tmp_path / "results" / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_file_that_a_tutorial_writes_is_used(page):
    found = blocks(page.read_text(encoding="utf-8"))
    assert any(block.file for block in found)
    for place, block in enumerate(found):
        if block.file:
            stem = Path(block.file).stem
            assert any(stem in later.text for later in found[place + 1 :] if later.language == "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_says_why_not(page):
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "text":
            assert REASONS.search(block.before) or REASONS.search(block.text.splitlines()[0]), block
        elif page not in TUTORIALS:
            assert block.language in ("", "python"), block
            if block.language == "python":
                assert page.name in EXECUTED
            else:
                assert set(commands(block)) <= RUN_BY.keys(), block


def test_no_command_hides_in_an_indented_block():
    hidden = re.compile(r"^ {4,}(python|pip|paper-checks|pytest) ", flags=re.MULTILINE)
    assert [page.name for page in PAGES if hidden.search(page.read_text(encoding="utf-8"))] == []


def test_the_tests_that_run_the_other_blocks_exist():
    for command, test in RUN_BY.items():
        file, name = test.split("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", source, flags=re.MULTILINE), test
        assert command.split()[1] in source, test
    for page, file in EXECUTED.items():
        assert page in (ROOT / file).read_text(encoding="utf-8")


MADE_UP = """
Put this into a file `seven.py`:

```python
SEVEN = 7
```

Then

```
python -c "import seven; print('it is', seven.SEVEN)"
```

```output
it …
```

```python
import seven
print(seven.SEVEN + 1)
```

```output
8
```
"""


def test_a_page_without_fault_is_walked(tmp_path):
    walk(MADE_UP, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("import seven; print", "import eight; print", "No module named 'eight'"),
        ("python -c", "false; python -c", "false"),
        ("import seven\n", "import seven.eight\n", "is not a package"),
        ("it …", "it was …", "is not in"),
        ("8\n", "9\n", "is not in"),
    ],
)
def test_a_broken_command_or_another_output_fails(tmp_path, old, new, says):
    assert old in MADE_UP
    with pytest.raises(AssertionError, match=says):
        walk(MADE_UP.replace(old, new), tmp_path)


def test_a_fence_left_open_fails():
    with pytest.raises(AssertionError, match="left open"):
        blocks("```\ntrue\n")


def test_the_glossary_names_claims_and_modules_that_exist():
    """The account has the ids of all claims: test_account holds the two together."""
    account = (ROOT / "paper_checks.md").read_text(encoding="utf-8")
    known = set(re.findall(r'^\| <a id="([^"]+)">', account, flags=re.MULTILINE))
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!symbol|term|---)(.+) \|$", text, flags=re.MULTILINE)
    assert len(rows) > 60
    for row in rows:
        _, _, _, where = (cell.strip() for cell in row.split("|"))
        for place in where.split(", "):
            assert (ROOT / place.strip("`")).is_file() if place.startswith("`") else place in known, row


def test_the_glossary_holds_the_words_of_the_field():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    names = ("W", "k", "v", "v0", "v*", "δ", "Δ", "s", "η", "M", "C", "λ", "P", "L2", "a", "ρ(T)", "κ", "γ", "CP@60")
    words = ("efficacy", "generalisation", "specificity", "agreement", "edited layer", "regime", "certificate", "twin")
    for name in (*names, *words, "matched metric", "mutant", "hard write", "soft write"):
        assert re.search(rf"^\| {re.escape(name)}[ ,|]", text, flags=re.MULTILINE), name
