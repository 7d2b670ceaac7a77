"""Mutants that every claim lets pass, each with the reason; `theory.mutating.mutation` finds them, a test compares."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Why(StrEnum):
    """What kind of reason it is."""

    EQUIVALENT = "equivalent"
    EXAMPLE = "another example"
    HYPOTHESIS = "a hypothesis narrowed or widened"
    GAP = "a gap"


class Survivor(NamedTuple):
    """A mutant that no claim notices.

    Attributes:
        name: as `theory.mutating.mutation.Outcome.name` gives it.
        why: only a gap is for a claim to close; the others no claim can notice.
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
        "theory.writes.norms:check_growth_condition: SHIFT_SQ >= 0 → SHIFT_SQ >= 1",
        Why.HYPOTHESIS,
        "z3 decides the step under ‖δ‖² ≥ 1 as under ‖δ‖² ≥ 0; what it then proves is less",
    ),
    Survivor(
        "theory.anchoring.layers_proofs:every_path: v - second * k2 → v - second / k2 (2)",
        Why.EQUIVALENT,
        "the toy's keys are 1 and −1, and each is its own inverse",
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
        "theory.accumulating.anchored:series_product: np.convolve(left, right)[:min(len(left), "
        "len(right))] → np.convolve(right, left)[:min(len(left), len(right))]",
        Why.EQUIVALENT,
        "a product of series does not depend on the order of its factors",
    ),
    Survivor(
        "theory.accumulating.threshold:threshold: 2 * edits[0] → 1 * edits[0]",
        Why.GAP,
        "when a sample counts as large enough is a rule of thumb that no claim states; tests alone tie it",
    ),
    Survivor(
        "theory.anchoring.excitation_proofs:check_bias: sign * (p - mean) > 0 → sign / (p - mean) > 0",
        Why.EQUIVALENT,
        "the sign is 1 or −1, and each is its own inverse",
    ),
    Survivor(
        "theory.collapse.point_proofs:check_specificity: (6, 15) → (7, 15)",
        Why.EXAMPLE,
        "a size at which the formula is compared with a second route; it holds at every other",
    ),
    Survivor(
        "theory.collapse.retrieval:REACH: REACH = 9.0 → REACH = 10.0",
        Why.EQUIVALENT,
        "the integral already reaches further than float64 can see",
    ),
    Survivor(
        "theory.collapse.success_proofs:check_success: [4, 8, 12] → [5, 8, 12]",
        Why.EXAMPLE,
        "an edit number at which the code is compared with the recursion; it holds at every other",
    ),
    Survivor(
        "theory.controls.prune_proofs:check_port: *commuting('S', 'F') → *commuting('F', 'S')",
        Why.EQUIVALENT,
        "the rule that two letters commute, written the other way round",
    ),
    Survivor(
        "theory.growth.isotropic_proofs:claims: (1, 2) → (1, 3)",
        Why.EXAMPLE,
        "another pair of keys of unequal length is a counterexample as well",
    ),
    Survivor(
        "theory.growth.quadratures:laplace_nodes: -np.log(2 * mu.min()) + tail → np.log(2 * mu.min()) + tail",
        Why.GAP,
        "the end of the range: for the spectra that claims use both ends lie beyond the integrand",
    ),
    Survivor(
        "theory.growth.radius_proofs:without_fourth_moment: np.diag(np.diag(found.second)) * 2 "
        "/ 3 → np.diag(np.diag(found.second)) / 2 / 3",
        Why.EQUIVALENT,
        "it builds the planted twin, which is false already",
    ),
    Survivor(
        "theory.precision.bound_proofs:LOOSE: LOOSE = 100.0 → LOOSE = 101.0",
        Why.EXAMPLE,
        "how far above the largest error a worst-case bound is expected to lie; it lies further",
    ),
    Survivor(
        "theory.writes.entries:SHAPES: (3, 2, 1) → (3, 3, 1)",
        Why.EXAMPLE,
        "a shape at which every entry is a symbol; the identity holds at every other",
    ),
    Survivor(
        "theory.writes.mismatch:check_amplified: gap >= 0 → gap >= 1",
        Why.HYPOTHESIS,
        "z3 decides the step under a gap of at least 1 as under one of at least 0; what it proves is less",
    ),
    Survivor(
        "theory.writes.norms:COUNTEREXAMPLE: (1, 0) → (2, 0)",
        Why.EXAMPLE,
        "another key is a counterexample as well",
    ),
)
