"""ROME as published: the direction of an averaged key, the residual of the bare prompt's key."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, Solver
from sim.lowrank import LowRank
from sim.metric import Euclidean, Metric, inverse_metric
from sim.rules.metric_write import check_one_key
from sim.rules.plain_gain import plain_gain


def rome_averaged(
    average: Callable[[Float[Tensor, "n 1"]], Float[Tensor, "n 1"]], covariance: Float[Tensor, "n n"] | None = None
) -> Solver:
    """ROME with two keys, one request at a time.

        Δ = (v − Wk)(C⁻¹k̄)ᵀ / kᵀC⁻¹k̄          (no metric write unless k̄ ∥ k)

    (W + Δ)k = v holds at the bare prompt's key k and not at k̄, from which the direction is taken. `sim.rules.rome`
    takes one key throughout, as r-ROME does.

    Args:
        average: k -> k̄, the mean key over prefixed prompts (about 21 as published), in key units.
        covariance: C = E[k kᵀ] (n, n) in key units squared; None is C = I.

    Returns:
        The solver.

    Raises:
        Misuse: C is singular or not finite; a batch of more than one key is solved.

    Source: kmeng01/rome, `rome/compute_u.py` and `rome/compute_v.py`.

    >>> import torch
    >>> solver = rome_averaged(lambda key: key + torch.tensor([[0.0], [1.0]]))
    >>> edit = Edit(torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[0.5, 0.25]]
    """
    raising: Metric = Euclidean() if covariance is None else inverse_metric(covariance)

    def solve(edit: Edit, state: Metric, weight: Tensor) -> tuple[LowRank, Gain, Metric]:
        check_one_key(edit, "rome_averaged")
        direction = raising.times(average(edit.keys))
        delta = LowRank(edit.residuals / (edit.keys.mT @ direction), direction)
        return delta, plain_gain(edit, delta, weight), state

    return Solver(lambda weight: raising, solve, lambda keys, state: state, lambda state: Euclidean())
