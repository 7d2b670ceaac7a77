"""All claims of the room, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from theory.accumulating import anchored_proofs, bound_proofs, exact_proofs, mean_field_proofs, spectrum_proofs
from theory.anchoring import (
    adversary_proofs,
    batch_proofs,
    excitation_proofs,
    layers_proofs,
    norm_proofs,
    original_proofs,
    statistics_proofs,
    variants_proofs,
)
from theory.claim import Claim
from theory.collapse import crowding_proofs, interference_proofs, point_proofs, success_proofs
from theory.command import Misuse
from theory.controls import (
    filter_proofs,
    increment_proofs,
    prune_proofs,
    rect_proofs,
    ridge_proofs,
    state_proofs,
    stream_proofs,
)
from theory.growth import (
    forecast_proofs,
    isotropic_proofs,
    lyapunov_proofs,
    numeric_proofs,
    operator_proofs,
    path_proofs,
    radius_proofs,
    value_proofs,
)
from theory.precision import bound_proofs as error_proofs
from theory.precision import format_proofs, random_proofs, storage_proofs
from theory.writes import batches, entries, identities, instances, mismatch, norms

MODULES = (
    *(identities, norms, instances, mismatch, batches, entries),
    *(isotropic_proofs, operator_proofs, radius_proofs, value_proofs, lyapunov_proofs, numeric_proofs),
    path_proofs,
    forecast_proofs,
    *(exact_proofs, bound_proofs, mean_field_proofs, spectrum_proofs, anchored_proofs),
    *(increment_proofs, stream_proofs, ridge_proofs, rect_proofs, filter_proofs, prune_proofs, state_proofs),
    *(norm_proofs, original_proofs, batch_proofs, variants_proofs, layers_proofs, excitation_proofs, adversary_proofs),
    *(statistics_proofs, point_proofs, interference_proofs, crowding_proofs, success_proofs),
    *(format_proofs, random_proofs, storage_proofs, error_proofs),
)
"""The modules that hold claims, T1 to T7, in the order in which they are read."""


def claims() -> tuple[Claim[Any], ...]:
    """Every claim of theory, each with the command that prints its proof.

    >>> claims()[0].id, claims()[0].command
    ('T1.identity', 'python -m theory show T1.identity')
    """
    return tuple(
        replace(claim, command=f"python -m theory show {claim.id}") for module in MODULES for claim in module.claims()
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
