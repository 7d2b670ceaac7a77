r"""Lines of claims and derivations as HTML: words escaped, formulas as MathML, names of code as code.

A line comes as LaTeX from `theory.typeset`, which says what in it is mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from figures.mathml import formula
from theory.typeset import ESCAPED, text

PARTS = re.compile(r"(?<!\\)\$((?:[^$\\]|\\.)*)\$", re.DOTALL)
CODE = re.compile(r"\\texttt\{((?:[^{}\\]|\\.|\\text[a-z]+\{\})*)\}")
STEP = re.compile(
    r"\\item (?:\{\})?(.*?)(?:\\\\ \\hspace\*\{1em\}(.*?))?(?:\\prover\{([^{}]*)\})?( \\textbf\{\(rejected\)\})?",
    re.DOTALL,
)
SPELLED = {tex: letter for letter, tex in ESCAPED.items()}
SPELLING = re.compile("|".join(re.escape(tex) for tex in sorted(SPELLED, key=len, reverse=True)))
SIGN = r"(?:[=<>+*/-]|\\(?:leq|geq|neq|approx|cdot|times|to|in|pm)(?![a-z]))"
BEGINS, ENDS = re.compile(SIGN), re.compile(rf"{SIGN}$")
ONE = r"(?:[A-Za-z]|[0-9]+(?:\.[0-9]+)?)"
LAST, FIRST = re.compile(rf"(?:^|[ (])({ONE}) $"), re.compile(rf" ({ONE})(?![A-Za-z0-9]|\.[0-9]|['’])")
"""A letter or a number at the end of words, or at their beginning."""
PUNCTUATION = re.compile(r"[,.;:)’]+")
IN_WORDS = "in words"


class ShownStep(NamedTuple):
    """A step of a derivation: what it says, what the prover answered, who closed it, and whether it was rejected."""

    says: Markup
    answer: Markup
    prover: str
    rejected: bool = False


def shown(line: str) -> Markup:
    """A line in the symbols that claims are written in, as HTML.

    Raises:
        ValueError: a character that has no LaTeX or no MathML.

    >>> print(shown("if a < b & `x_1`"))
    if <math><mi>a</mi><mo form="infix">&lt;</mo><mi>b</mi></math> &amp; <code>x_1</code>
    """
    return from_tex(text(line))


def from_tex(line: str, display: bool = False) -> Markup:
    """A line of LaTeX as HTML.

    Raises:
        ValueError: a command that is not known.
    """
    pieces = joined(PARTS.split(line))
    made = Markup()
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            made += _words(piece)
            continue
        behind = PUNCTUATION.match(pieces[i + 1])
        if behind is None:
            made += formula(piece, display)
        else:  # a comma behind a formula opens no line
            rest, sign, last = formula(piece, display).rpartition("<wbr>")
            made += rest + sign + Markup('<span class="tie">{}{}</span>').format(last, behind[0])
            pieces[i + 1] = pieces[i + 1][behind.end() :]
    return made


def joined(pieces: list[str]) -> list[str]:
    r"""Words and formulas in turn, with a letter or a number that stands beside a formula's sign put into it.

    >>> joined(["rises by 1 ", r"+x \leq", " C, so"])
    ['rises by ', '1 +x \\leq C', ', so']
    """
    made = list(pieces)
    for i in range(1, len(made), 2):
        before, after = LAST.search(made[i - 1]), FIRST.match(made[i + 1])
        if before and BEGINS.match(made[i]):
            made[i - 1], made[i] = made[i - 1][: before.start(1)], f"{before[1]} {made[i]}"
        if after and ENDS.search(made[i]):
            made[i], made[i + 1] = f"{made[i]} {after[1]}", made[i + 1][after.end() :]
    return made


def _words(piece: str) -> Markup:
    """Words with names of code among them."""
    parts = CODE.split(piece)
    return Markup().join(
        Markup("<code>{}</code>").format(_plain(part, "--")) if i % 2 else _plain(part) for i, part in enumerate(parts)
    )


def _plain(piece: str, *kept: str) -> Markup:
    """Ordinary text out of its TeX spelling."""
    bare = SPELLING.sub(lambda found: found[0] if found[0] in kept else SPELLED[found[0]], piece)
    left = SPELLING.sub("", piece)
    for sign in "\\${}":
        if sign in left:
            raise ValueError(f"{left[left.index(sign) :][:20]!r} in the line {piece!r} has no HTML here")
    return escape(bare)


def derivation(steps: Sequence[str]) -> list[ShownStep]:
    r"""The steps of a derivation as `theory.latex.step` writes them.

    Raises:
        ValueError: a line that is no such step, or holds a command that is not known.

    >>> derivation([r"\item so $a = b$\prover{z3}"])[0].prover
    'z3'
    """
    made = []
    for line in steps:
        found = STEP.fullmatch(line)
        if found is None:
            raise ValueError(f"{line!r} is no step of a derivation")
        says, answer, prover, rejected = found.groups()
        made.append(
            ShownStep(from_tex(says, True), from_tex(answer or "", True), prover or IN_WORDS, rejected is not None)
        )
    return made


def notes(lines: Sequence[str]) -> list[ShownStep]:
    """Lines of a check that derives nothing: what it measured, each with the answer that stands indented below it."""
    made: list[ShownStep] = []
    for line in lines:
        if line.startswith("    ") and made:
            made[-1] = made[-1]._replace(answer=made[-1].answer + shown(line.strip()))
        else:
            made.append(ShownStep(shown(line.strip()), Markup(), ""))
    return made
