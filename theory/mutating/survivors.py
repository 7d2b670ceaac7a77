"""Mutants that every claim lets pass, each with the reason; `theory.mutating.mutation` finds them, a test compares."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Why(StrEnum):
    """What kind of reason it is."""

    EQUIVALENT = "equivalent"
    HYPOTHESIS = "a hypothesis narrowed or widened"
    GAP = "a gap"


class Survivor(NamedTuple):
    """A mutant that no claim notices.

    Attributes:
        name: as `theory.mutating.mutation.Outcome.name` gives it.
        why: an equivalent mutant and a mutated hypothesis no claim can notice; a gap is for a claim to close.
        reason: the argument.
    """

    name: str
    why: Why
    reason: str


SURVIVORS = (
    Survivor(
        "theory.growth.isotropic_proofs:check_isotropic: "
        "(W + ETA / s * (shift @ k.T)).norm_sq → (W - ETA / s * (shift @ k.T)).norm_sq",
        Why.EQUIVALENT,
        "the sign of Δ enters the term δ·Wk alone, whose mean is 0 by hypothesis; the other term is a square",
    ),
    Survivor(
        "theory.writes.norms:check_growth_condition: READ_SQ >= 0 → READ_SQ >= 1",
        Why.HYPOTHESIS,
        "z3 decides the step under ‖Wk‖² ≥ 1 as under ‖Wk‖² ≥ 0; what it then proves is less",
    ),
    Survivor(
        "theory.anchoring.layers_proofs:every_path: v - second * k2 → v - second / k2 (2)",
        Why.EQUIVALENT,
        "the toy's keys are 1 and −1, and each is its own inverse",
    ),
    Survivor(
        "theory.forecast:forecast: len(law.sizes) >= 4 → len(law.sizes) >= 5",
        Why.GAP,
        "no claim reaches `forecast`, which composes laws that claims hold; tests alone tie it",
    ),
    Survivor(
        "theory.growth.key_laws:gaussian_keys: GaussianKeys(np.asarray(np.linalg.eigvalsh(covariance), d"
        "ty… → GaussianKeys(gain, np.asarray(np.linalg.eigvalsh(covariance… in return GaussianKey"
        "s(np.asarray(np.linalg.eigvalsh(covarianc…",
        Why.GAP,
        "no claim builds Gaussian keys without a statistic by `gaussian_keys`; tests alone tie that branch",
    ),
    Survivor(
        "theory.precision.trials:halving: len(terms) % 2 → len(terms) % 1",
        Why.GAP,
        "every claim sums a number of terms that is a power of two, so the padding is never used",
    ),
    Survivor(
        "theory.accumulating.threshold:check_sample: sample.shape[1] → sample.shape[2]",
        Why.GAP,
        "no claim passes a projector's basis to a threshold; tests alone tie that branch",
    ),
)
