"""One line of the account: a claim after its check, as claims.json holds it."""

from __future__ import annotations

import math
import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from theory.claim import Claim, Compared, examine

FAMILY = re.compile(r"\b(?:P\d+|T\d+b?)\b")


def families(source: str) -> tuple[str, ...]:
    """The parts of the paper and of the theory that a claim's source names.

    >>> families("P7, T3b"), families("beyond the paper")
    (('P7', 'T3b'), ())
    """
    return tuple(dict.fromkeys(FAMILY.findall(source)))


@dataclass(frozen=True)
class Row:
    """One line of the account, as claims.json holds it.

    `twin_rejected` is None for what was not measured; `derivation` holds the proof's steps as the appendix has them.
    """

    id: str
    source: str
    kind: str
    statement: str
    verdict: str
    measured: str | float
    expected: str | float
    tolerance: float
    interval: tuple[float, float] | None
    seconds: float
    command: str
    steps: tuple[str, ...]
    provers: tuple[str, ...]
    twin: str
    twin_rejected: bool | None
    compared: tuple[Compared, ...] = ()
    derivation: tuple[str, ...] = ()


def examined(claim: Claim[Any]) -> Row:
    """Check a claim and its twin, and put what was found into a row."""
    from theory.latex import step

    start = time.monotonic()
    outcome = examine(claim)
    found = outcome.evidence
    return Row(
        id=claim.id,
        source=claim.source,
        kind=claim.kind,
        statement=claim.statement,
        verdict=outcome.verdict,
        measured=found.measured,
        expected=found.expected,
        tolerance=found.tolerance,
        interval=found.interval,
        seconds=round(time.monotonic() - start, 2),
        command=claim.command,
        steps=found.steps,
        provers=tuple(dict.fromkeys(str(step.prover) for step in found.proof)),
        twin=claim.twin_statement,
        twin_rejected=outcome.twin_rejected,
        compared=found.compared,
        derivation=tuple(step(one) for one in found.proof),
    )


def plain(row: Row) -> dict[str, Any]:
    """A row as strict JSON: a number that is not finite becomes text."""

    def strict(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, dict):
            return {name: strict(part) for name, part in value.items()}
        return [strict(part) for part in value] if isinstance(value, list | tuple) else value

    return {name: strict(value) for name, value in asdict(row).items()}
