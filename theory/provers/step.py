"""One step of a derivation, and which prover closed it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Prover(StrEnum):
    """Who closed a step, strongest first; a step in words is a definition or an argument for the reader to follow."""

    WORDS = "in words"
    TRACES = "trace algebra"
    SYMBOLS = "computer algebra"
    REALS = "z3"
    NUMBERS = "exact numbers"
    BALLS = "ball arithmetic"
    ROUTES = "two routes"


@dataclass(frozen=True)
class Step:
    """A line of a derivation, as `python -m theory show` prints it and as the appendix typesets it.

    Attributes:
        text: what the step says; for an equality what its left side is.
        prover: who closed it.
        accepted: False for a step that its prover rejected.
        found: what the prover answered, in words; "" for words and for equalities that hold.
        left: the left side of an equality (an `Expression` or a sympy expression), or None.
        right: its right side.

    >>> print(Step("the sum", Prover.SYMBOLS, left="1 + 1", right="2"))
    the sum: 1 + 1
        = 2
    """

    text: str
    prover: Prover = Prover.WORDS
    accepted: bool = True
    found: str = ""
    left: Any = None
    right: Any = None

    def lines(self) -> tuple[str, ...]:
        """The step as text, the prover's answer indented below it; a rejected step ends in "rejected"."""
        verdict = self.found if self.accepted else f"{self.found}: rejected"
        if self.left is not None:
            answer = f"= {self.right}" if self.accepted else f"differs from {self.right} by {verdict}"
            return f"{self.text}: {self.left}", f"    {answer}"
        return (self.text, f"    {verdict}") if verdict else (self.text,)

    def __str__(self) -> str:
        return "\n".join(self.lines())
