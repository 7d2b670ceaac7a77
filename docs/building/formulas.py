"""Text with formulas as Markdown: doctests become code, and what Markdown would read as a tag or a link stays text."""

from __future__ import annotations

import re

CODE = re.compile(r"(`+[^`]+`+)")
EMPHASIS = re.compile(r"(?<![\w*\\])(\*{1,2})(?=[^\s*])[^*]*[^\s*]\1(?![\w*])|\*")
"""A word between asterisks, which is kept, or one asterisk, as in v*, which is not Markdown's."""


def escaped(line: str) -> str:
    r"""A line in which `<`, `*`, `][` and `](` outside code are characters and no more.

    >>> escaped("<Wk, v*> and ‖v*‖ of `v*`, *surely*")
    '&lt;Wk, v\\*> and ‖v\\*‖ of `v*`, *surely*'
    """
    parts = CODE.split(line)
    return "".join(part if place % 2 else _plain(part) for place, part in enumerate(parts))


def _plain(text: str) -> str:
    starred = EMPHASIS.sub(lambda found: found[0] if found[1] else r"\*", text)
    return starred.replace("<", "&lt;").replace("][", r"]\[").replace("](", r"]\(")


def readable(docstring: str) -> str:
    r"""A docstring with its doctests fenced and its sentences escaped; indented equations are code as they stand.

    >>> print(readable("Twice.\n\n    2·x < 3*x\n\nFor x > 0.\n>>> 2 * 2\n4"))
    Twice.
    <BLANKLINE>
        2·x < 3*x
    <BLANKLINE>
    For x > 0.
    <BLANKLINE>
    ```pycon
    >>> 2 * 2
    4
    ```
    """
    lines: list[str] = []
    for paragraph in docstring.split("\n\n"):
        lines += ["", *_paragraph(paragraph.split("\n"))]
    return "\n".join(lines[1:])


def _paragraph(lines: list[str]) -> list[str]:
    start = next((place for place, line in enumerate(lines) if line.startswith(">>> ")), len(lines))
    text, doctest = lines[:start], lines[start:]
    equation = bool(text) and text[0].startswith("    ")
    read = text if equation else [escaped(line) for line in text]
    if not doctest:
        return read
    return [*read, *([""] if text else []), "```pycon", *doctest, "```"]
