"""All claims of the room, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from theory import anchoring_proofs, growth_proofs, identities, norms
from theory.claim import Claim
from theory.command import Misuse


def claims() -> tuple[Claim[Any], ...]:
    """Every claim of theory, each with the command that prints its proof.

    >>> claims()[0].id, claims()[0].command
    ('T1.identity', 'python -m theory show T1.identity')
    """
    rooms = (identities, norms, growth_proofs, anchoring_proofs)
    return tuple(
        replace(claim, command=f"python -m theory show {claim.id}") for room in rooms for claim in room.claims()
    )


def select(names: Iterable[str]) -> tuple[Claim[Any], ...]:
    """The claims that are called so, or that belong to a family called so.

    Args:
        names: ids such as "T1.rome", or families such as "T1"; none selects all.

    Returns:
        The claims in the order of the catalogue.

    Raises:
        Misuse: a name that is neither.

    >>> [claim.id for claim in select(["T1.rome", "T1.memit"])]
    ['T1.rome', 'T1.memit']
    """
    known, wanted = claims(), tuple(names)
    for name in wanted:
        if not any(belongs(claim, name) for claim in known):
            raise Misuse(f"there is no claim {name!r}; known are {', '.join(claim.id for claim in known)}")
    return tuple(claim for claim in known if not wanted or any(belongs(claim, name) for name in wanted))


def belongs(claim: Claim[Any], name: str) -> bool:
    """Whether a name is the claim's id or its family."""
    return claim.id == name or claim.id.startswith(f"{name}.")
