"""Ridge least squares whose second moment grows with every key it has written."""

from __future__ import annotations

from torch import Tensor

from sim.editor import Edit, Gain, MetricForm, Solver
from sim.growing import Growing, growing
from sim.lowrank import LowRank
from sim.metric import Inverse
from sim.rules.metric_write import metric_write, soft


def second_moment(start: Inverse, name: str) -> Solver:
    """The solver of an accumulating rule.

        Δ = R Kᵀ(A_t + KKᵀ)⁻¹,   A_t = A_0 + Σ_past kkᵀ          (one key: M = A_t⁻¹, η = s/(1+s))

    Args:
        start: A_0 (n, n), in key units squared, with its factor.
        name: what A_t is called in an error.

    Returns:
        The solver, at O(n²) a key.

    >>> import torch
    >>> from sim.metric import inverse_metric
    >>> solver = second_moment(inverse_metric(torch.eye(2)), "A")
    >>> state = solver.absorb(torch.tensor([[3.0], [0.0]]), solver.init(torch.zeros(1, 2)))
    >>> solver.metric(state).total().tolist()
    [[10.0, 0.0], [0.0, 1.0]]
    """

    def init(weight: Tensor) -> Growing:
        return growing(start)

    def solve(edit: Edit, state: Growing, weight: Tensor) -> tuple[LowRank, Gain, Growing]:
        delta, gain = metric_write(edit, state, soft, weight)
        return delta, gain, state

    def absorb(keys: Tensor, state: Growing) -> Growing:
        return state.joined(keys, name)

    return Solver(init, solve, absorb, lambda state: state, MetricForm(soft, accumulates=True))
