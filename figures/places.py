"""Where a claim is stated in code and where it is tested, read off the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

STATED = ("theory", "sim", "real_models", "paper_checks.py")
"""Rooms and files whose calls state claims, the id first: `Claim("T1.rome", ...)`."""
MARK = "pytest.mark.claim"


class Place(NamedTuple):
    """Files of one claim, as paths from the checkout's root.

    Attributes:
        code: the file that states it, or None.
        tests: the files that test it.
    """

    code: str | None
    tests: tuple[str, ...]


NOWHERE = Place(None, ())


def find_places(root: Path) -> dict[str, Place]:
    """The files of every claim that a checkout's tests name.

    Args:
        root: the checkout; one without tests, such as an installed package, has none to find.

    Returns:
        Claim's id -> its files.

    >>> place = find_places(Path(__file__).parent.parent)["T1.rome"]
    >>> place.code, place.tests[0].startswith("tests/")
    ('theory/writes/identities.py', True)
    """
    tests: dict[str, list[str]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for call in _calls(path, MARK):
            if ast.unparse(call.func) == MARK:
                for id in _words(call.args):
                    tests.setdefault(id, []).append(path.relative_to(root).as_posix())
    code: dict[str, str] = {}
    for name in STATED:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for call in _calls(path):
                for id in _words(call.args[:1]):
                    code.setdefault(id, path.relative_to(root).as_posix())
    return {id: Place(code.get(id), tuple(dict.fromkeys(files))) for id, files in tests.items()}


def _calls(path: Path, word: str = "(") -> Iterator[ast.Call]:
    """Every call in a source file that has the word in it; none in a file that is not there."""
    if path.exists() and word in (text := path.read_text(encoding="utf-8")):
        yield from (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def _words(arguments: list[ast.expr]) -> Iterator[str]:
    """The arguments that are plain text."""
    for one in arguments:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value
