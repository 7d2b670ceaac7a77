"""Derivations as a LaTeX appendix, rendered from the very steps that the provers closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from theory.claim import Claim, Evidence, Verdict
from theory.provers.step import Prover, Step
from theory.typeset import expression, prose, text

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[margin=25mm]{geometry}
\usepackage{amsmath,amssymb}
\emergencystretch=3em
\allowdisplaybreaks
\newcommand{\prover}[1]{\hfill\mbox{\footnotesize\textsf{[#1]}}}
\newcommand{\claim}[1]{\subsection*{#1}}
\begin{document}
\raggedright
"""

MARKS = {
    Prover.WORDS: "",
    Prover.TRACES: r"\prover{trace algebra}",
    Prover.SYMBOLS: r"\prover{computer algebra}",
    Prover.REALS: r"\prover{z3}",
    Prover.NUMBERS: r"\prover{exact numbers}",
    Prover.BALLS: r"\prover{ball arithmetic}",
    Prover.ROUTES: r"\prover{two routes}",
}


def step(found: Step) -> str:
    """One item of a derivation, with the prover that closed it."""
    rejected = "" if found.accepted else r" \textbf{(rejected)}"
    mark = f"{MARKS[found.prover]}{rejected}"
    if found.left is None:
        answer = rf"\\ \hspace*{{1em}}{text(found.found)}" if found.found else ""
        return rf"\item {guarded(text(found.text))}{answer}{mark}"
    relation = "=" if found.accepted else r"\neq"
    sides = f"${expression(found.left)}$ ${relation} {expression(found.right)}$"
    return rf"\item {guarded(text(found.text))}: {sides}{mark}"


def guarded(line: str) -> str:
    r"""A line that may follow \item: one that opens with a bracket would be taken for its label."""
    return f"{{}}{line}" if line.startswith("[") else line


def claim(made: Claim[Any], found: Evidence, twin: Evidence) -> str:
    """A claim's statement, its derivation, and the step at which its planted twin fails."""
    verdict = made.verdict if found.established else Verdict.FALSE
    failing = next((one for one in twin.proof if not one.accepted), None)
    at = "" if failing is None else f" It fails at: {text(failing.text)}."
    items = "\n".join(step(one) for one in found.proof)
    marks = f"({text(made.kind)}; {text(verdict)}; source {text(made.source)})"
    return "\n".join(
        (
            rf"\claim{{{prose(made.id)} \normalfont\small {marks}}}",
            rf"\textit{{Statement.}} {text(made.statement)}",
            r"\begin{enumerate}\itemsep2pt",
            items,
            r"\end{enumerate}",
            rf"\textit{{Planted twin, rejected by the same check.}} {text(made.twin_statement)}.{at}",
        )
    )


def document(parts: Sequence[tuple[Claim[Any], Evidence, Evidence]]) -> str:
    """A compilable document of derivations.

    Args:
        parts: for each claim, what its check found of its subject and of its twin.

    Returns:
        LaTeX in plain ASCII, for pdflatex with amsmath.

    Raises:
        ValueError: a symbol that has no LaTeX in `typeset`.
    """
    return PREAMBLE + "\n\n".join(claim(*part) for part in parts) + "\n\\end{document}\n"
