"""FT: plain gradient steps on the edited weight, the baseline of the field."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, MetricForm, Solver
from sim.lowrank import LowRank
from sim.metric import Euclidean
from sim.rules.metric_write import metric_write
from theory.command import Misuse


def ft(*, rate: float = 5e-4, steps: int = 25) -> Solver:
    """Gradient descent on ½‖WK − V‖² from the current weight, one key or a batch.

        Δ = R T Kᵀ,   T = Σ_{j < t} rate (I − rate·H)ʲ,   H = KᵀK          (M = I, one key: η = 1 − (1 − rate·s)ᵗ)

    The released baseline takes its steps with Adam through the whole model, from which a linear memory has nothing;
    plain steps are what its loss asks of this weight.

    Args:
        rate: step size, in units of 1/‖k‖²; descent needs rate · s < 2 for the largest eigenvalue s of H.
        steps: t; 25 as published.

    Returns:
        The solver.

    Raises:
        Misuse: a rate that is not positive and finite, or steps that are no whole number from 1 on.

    Source: kmeng01/rome, `baselines/ft/ft_main.py`.

    >>> solver = ft(rate=0.25, steps=1)
    >>> edit = Edit(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[0.25, 0.0]]
    """
    if not 0 < rate < float("inf") or steps < 1 or steps != int(steps):
        raise Misuse(
            f"ft got rate={rate}, steps={steps}; take a positive rate and a whole number, such as 0.0005 and 25"
        )
    metric = Euclidean()

    def descended(gram: Float[Tensor, "*r u u"]) -> Float[Tensor, "*r u u"]:
        eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device).expand_as(gram)
        power, total = eye, torch.zeros_like(gram)
        for _ in range(steps):
            total, power = total + rate * power, power - rate * (power @ gram)
        return total

    def solve(edit: Edit, state: Euclidean, weight: Tensor) -> tuple[LowRank, Gain, Euclidean]:
        delta, gain = metric_write(edit, metric, descended, weight)
        return delta, gain, state

    form = MetricForm(descended)
    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: metric, form)
