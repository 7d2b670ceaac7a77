"""The rooms' order: a room imports only rooms above it, and theory and figures never load torch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each room with the rooms it may import, as the design orders them; figures reads result files only.
ALLOWED = {
    "theory": set(),
    "sim": {"theory"},
    "real_models": {"sim", "theory"},
    "figures": {"theory"},
    "paper_checks": {"theory", "sim", "real_models", "figures"},
}
FOREIGN = {"theory": {"torch", "transformers"}, "sim": {"transformers"}, "figures": {"torch", "transformers"}}


def imported(source: str) -> set[str]:
    """The top-level packages that a source imports, anywhere in it; a relative import counts as its own name."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names |= {arg.value.split(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return names


def faults(room: str, source: str) -> set[str]:
    """What a source of a room imports against the order."""
    rooms = imported(source) & set(ALLOWED) - {room} - ALLOWED[room]
    return rooms | imported(source) & FOREIGN.get(room, set())


def sources():
    for room in ALLOWED:
        files = sorted((ROOT / room).rglob("*.py")) if (ROOT / room).is_dir() else [ROOT / f"{room}.py"]
        assert files
        yield from ((room, file) for file in files)


@pytest.mark.parametrize(("room", "file"), list(sources()), ids=lambda part: str(part).removeprefix(f"{ROOT}/"))
def test_no_import_runs_against_the_order(room, file):
    assert faults(room, file.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("room", "line", "found"),
    [
        ("theory", "import sim.editor", {"sim"}),
        ("theory", "def f():\n    import torch", {"torch"}),
        ("sim", "from real_models.run import run_edits", {"real_models"}),
        ("figures", "import importlib\nimportlib.import_module('sim.results')", {"sim"}),
        ("real_models", "from figures import style", {"figures"}),
        ("real_models", "from sim.editor import Edit", set()),
    ],
)
def test_a_back_edge_is_found(room, line, found):
    assert faults(room, line) == found


def test_files_hold_one_idea():
    """A file of more than 350 lines is split by idea."""
    long = {str(file): length for _, file in sources() if (length := len(file.read_text().splitlines())) > 350}
    assert long == {}
