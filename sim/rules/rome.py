"""ROME: the rank-one hard write in the metric C⁻¹."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, MetricForm, Solver
from sim.lowrank import LowRank
from sim.metric import Euclidean, Metric, inverse_metric
from sim.rules.metric_write import check_one_key, hard, metric_write


def rome(covariance: Float[Tensor, "n n"] | None = None) -> Solver:
    """ROME, one key at a time.

        Δ = (v − Wk)(C⁻¹k)ᵀ / kᵀC⁻¹k          (M = C⁻¹, η = 1)

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared; None is the paper's special case C = I.

    Returns:
        The solver.

    Raises:
        Misuse: C is singular or not finite; a batch of more than one key is solved.

    Source: kmeng01/rome, `rome/compute_u.py` and `rome/compute_v.py`, with one key throughout (as r-ROME).

    >>> import torch
    >>> solver = rome()
    >>> edit = Edit(torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[0.5, 0.0]]
    """
    metric: Metric = Euclidean() if covariance is None else inverse_metric(covariance)

    def solve(edit: Edit, state: Metric, weight: Tensor) -> tuple[LowRank, Gain, Metric]:
        check_one_key(edit, "rome")
        delta, gain = metric_write(edit, state, hard, weight)
        return delta, gain, state

    form = MetricForm(hard, batches=False)
    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: state, form)
