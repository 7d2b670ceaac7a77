"""All confrontations of theory with simulation, in the order of theory's families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sim.confront import (
    accumulating,
    anchoring,
    batches,
    collapse,
    controls,
    growth,
    original_values,
    paths,
    pilots,
    precision,
    pruned_streams,
    values,
)
from theory.claim import Claim
from theory.command import Misuse

FAMILIES = (
    *(batches, growth, paths, values, accumulating, controls),
    *(anchoring, original_values, pilots, collapse, pruned_streams, precision),
)


def confrontations(seeds: int) -> tuple[Claim[Any], ...]:
    """Every confrontation, each with the command that prints it.

    Args:
        seeds: independent repetitions of a setting, the unit that each family scales to its cost; 16 at level quick.

    Returns:
        The claims; nothing is simulated before a check runs.
    """
    return tuple(
        replace(claim, command=f"python -m sim confront {claim.id}")
        for family in FAMILIES
        for claim in family.claims(seeds)
    )


def chosen(names: tuple[str, ...], seeds: int) -> tuple[Claim[Any], ...]:
    """The confrontations that are called so, or that belong to a family called so; all without names.

    Raises:
        Misuse: a name that is neither.
    """
    known = confrontations(seeds)
    for name in names:
        if not any(name in (claim.id, claim.id.split(".")[0]) for claim in known):
            raise Misuse(f"there is no confrontation {name!r}; known are {', '.join(claim.id for claim in known)}")
    return tuple(claim for claim in known if not names or {claim.id, claim.id.split(".")[0]} & set(names))
