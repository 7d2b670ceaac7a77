"""`python -m theory check` decides every claim; `python -m theory show T1` prints proofs step by step."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import tyro

from theory.command import dispatch


@dataclass(frozen=True)
class Check:
    """Decide claims and reject their planted twins; exit status 1 if a twin is accepted."""

    only: tuple[str, ...] = ()
    """ids ("T1.rome") or families ("T1"); all without it"""


@dataclass(frozen=True)
class Show:
    """Print proofs line by line, and what the same check makes of the planted false twin."""

    name: tyro.conf.Positional[str]
    """an id ("T1.rome") or a family ("T1")"""


def check(config: Check) -> int:
    """Print one row a claim: id, kind, verdict, whether its twin was rejected, statement."""
    # Imported here, so that --help does not wait for sympy and z3.
    from rich.console import Console
    from rich.table import Table

    from theory.catalogue import select
    from theory.claim import examine

    outcomes = [examine(claim) for claim in select(config.only)]
    table = Table("id", "kind", "verdict", "twin rejected", "statement")
    for outcome in outcomes:
        claim = outcome.claim
        row = (claim.id, claim.kind, outcome.verdict, "yes" if outcome.twin_rejected else "NO", claim.statement)
        table.add_row(*map(str, row))
    console = Console(markup=False, highlight=False)
    console.print(table)
    accepted = [outcome.claim.id for outcome in outcomes if not outcome.twin_rejected]
    console.print(f"{len(outcomes)} claims checked, {len(outcomes) - len(accepted)} twins rejected")
    return 1 if accepted else 0


def show(config: Show) -> int:
    """Print each selected claim, its derivation, and the step at which the twin fails."""
    from theory.catalogue import select

    accepted = 0
    for claim in select((config.name,)):
        evidence, twin = claim.check(claim.subject), claim.check(claim.twin)
        verdict = claim.verdict if evidence.established else "false as stated: the proof fails"
        print(f"{claim.id} [{claim.kind}] {verdict} (source {claim.source})\n{claim.statement}")
        print(*(f"  {line}" for line in evidence.steps), sep="\n")
        print(f"  Twin: {claim.twin_statement}.")
        failing = [line.strip() for line in twin.steps if line.endswith("rejected")]
        print(*(f"    {line}" for line in failing), sep="\n", end="\n\n")
        accepted += twin.established
    return 1 if accepted else 0


if __name__ == "__main__":
    sys.exit(
        dispatch(
            "python -m theory",
            "Prove what must be true of the norm of an edited weight.",
            {"check": (Check, check), "show": (Show, show)},
        )
    )
