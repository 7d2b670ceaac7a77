"""NSE: ridge least squares with a cache of past keys, on the neurons that a batch excites most."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sim.editor import Edit, Gain, Solver
from sim.lowrank import LowRank
from sim.metric import Euclidean, inverse_metric
from sim.rules.plain_gain import plain_gain
from sim.rules.second_moment import second_moment
from theory.command import Misuse


class Cache(NamedTuple):
    """What NSE remembers.

    Attributes:
        moment: λC + Σ_past kkᵀ (n, n).
    """

    moment: Float[Tensor, "n n"]


def nse(covariance: Float[Tensor, "n n"], *, weighting: float = 15_000.0, share: float = 1.0) -> Solver:
    """NSE, one key or a batch, in one pass.

        S = the fewest neurons j of largest Σ_i |K_ji| that hold `share` of Σ_ji |K_ji|
        Δ_S = R X_Sᵀ,   X_S = (λC_SS + Σ_past k_S k_Sᵀ + K_S K_Sᵀ)⁻¹ K_S,   Δ = 0 elsewhere

    With share 1 it is MEMIT-seq. NSE also solves its values on the original weights, so that v does not follow Wk: see
    `LinearMemory.original`.

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        weighting: λ, dimensionless; 10000 for GPT-2 XL as published.
        share: 1 (GPT-2 XL, Llama-3-8B) or 0.8 (GPT-J) as published.

    Returns:
        The solver; with share below 1 its metric depends on the keys, so it has no metric form.

    Raises:
        Misuse: λ is not positive, the share is not in (0, 1], or C is singular or not finite.

    Source: jianghoucheng/NSE, `nse/nse_main.py`.

    >>> solver = nse(torch.eye(2), weighting=1.0, share=0.5)
    >>> edit = Edit(torch.tensor([[2.0], [1.0]]), torch.tensor([[0.0]]), torch.tensor([[5.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[2.0, 0.0]]
    """
    if not weighting > 0 or not 0 < share <= 1:
        raise Misuse(f"nse got weighting={weighting}, share={share}; λ is positive and the share in (0, 1]")
    start = inverse_metric(weighting * covariance, "covariance λC")
    if share == 1:
        return second_moment(start, "λC with its past keys")

    def solve(edit: Edit, state: Cache, weight: Tensor) -> tuple[LowRank, Gain, Cache]:
        chosen = excited(edit.keys, share)
        part = edit.keys[chosen]
        system = state.moment[chosen][:, chosen] + part @ part.mT
        right = torch.zeros_like(edit.keys)
        right[chosen] = torch.linalg.solve_ex(system, part).result
        delta = LowRank(edit.residuals, right)
        return delta, plain_gain(edit, delta, weight), state

    def absorb(keys: Tensor, state: Cache) -> Cache:
        return Cache(torch.addmm(state.moment, keys, keys.mT))

    return Solver(lambda weight: Cache(start.matrix), solve, absorb, lambda state: Euclidean())


def excited(keys: Float[Tensor, "n u"], share: float) -> Int[Tensor, " p"]:
    """The fewest neurons that hold a share of the batch's total activation, most excited first."""
    sizes = keys.abs().sum(1)
    order = sizes.argsort(descending=True)
    held = sizes[order].cumsum(0)
    return order[: int((held < share * held[-1]).sum()) + 1]
