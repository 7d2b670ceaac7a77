"""LyapLock: least squares on all requests so far, and a pull to the original outputs that grows when they drift."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, Solver
from sim.growing import Growing, growing
from sim.metric import Euclidean, inverse_metric
from sim.rules.plain_gain import plain_gain
from theory.command import Misuse


class Lock(NamedTuple):
    """What LyapLock remembers.

    Attributes:
        start: W_0.
        past: Σ_past kkᵀ (n, n).
        goals: Σ_past (Wk)kᵀ (m, n), the outputs right after their own writes.
        system: κλC + Σ_past kkᵀ, with its inverse; κ = aZ.
        bound: D in value units squared; 0 until the first write has been measured.
        queue: Z.
        waiting: Σ kkᵀ (n, n) of keys whose outputs are read off the next weight: what delta transforms left of a write.
    """

    start: Float[Tensor, "m n"]
    past: Float[Tensor, "n n"]
    goals: Float[Tensor, "m n"]
    system: Growing
    bound: Float[Tensor, ""]
    queue: Float[Tensor, ""]
    waiting: Float[Tensor, "n n"]


def lyaplock(covariance: Float[Tensor, "n n"], *, weighting: float = 1000.0, alpha: float = 60.0) -> Solver:
    """LyapLock, one key or a batch.

        PL(W) = tr((W − W_0) C (W − W_0)ᵀ),   D = α PL(W_1),   a = D^(−½),   Z ← max(Z + a(PL(W) − D), √D)
        Δ = [R Kᵀ + aZλ (W_0 − W)C + Σ_past (v − Wk)kᵀ] [KKᵀ + aZλC + Σ_past kkᵀ]⁻¹

    The first write is MEMIT's. (W_0 − W)C pulls W back to W_0 where keys are common: a penalty on the state, not on
    the update. While the lock is slack (Z = √D, aZ = 1) the system takes a key in O(n²); the update is dense.

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        weighting: λ, dimensionless; 1000 as published.
        alpha: α > 0, how far the first write's loss may be exceeded; 60 as published.

    Returns:
        The solver.

    Raises:
        Misuse: λ or α is not positive, or C is singular or not finite.

    Source: wpwpwpyo/LyapLock, `lyaplock/lyaplock_main.py`.
    """
    if not weighting > 0 or not alpha > 0:
        raise Misuse(f"lyaplock got weighting={weighting}, alpha={alpha}; both must be positive, such as 1000 and 60")
    first = inverse_metric(weighting * covariance, "covariance λC")

    def init(weight: Tensor) -> Lock:
        none = torch.zeros((), dtype=torch.float64, device=weight.device)
        start = weight.to(covariance.dtype, copy=True)
        past = torch.zeros_like(covariance)
        return Lock(start, past, torch.zeros_like(start), growing(first), none, none.clone(), past.clone())

    def solve(edit: Edit, state: Lock, weight: Tensor) -> tuple[Tensor, Gain, Lock]:
        wide = weight.to(covariance.dtype)
        state = state._replace(goals=state.goals + wide @ state.waiting, waiting=torch.zeros_like(state.waiting))
        drift = wide - state.start
        state = _locked(state, drift, weighting * covariance, weighting, alpha)
        pull = float(_strength(state)) * weighting * (drift @ covariance)
        demand = edit.residuals @ edit.keys.mT - pull + state.goals - wide @ state.past
        system = state.system.joined(edit.keys, "LyapLock's system")
        delta = system.times(demand.mT).mT
        return delta, plain_gain(edit, delta, weight), state

    def absorb(keys: Tensor, state: Lock) -> Lock:
        past, waiting = (torch.addmm(moment, keys, keys.mT) for moment in (state.past, state.waiting))
        return state._replace(past=past, waiting=waiting, system=state.system.joined(keys, "LyapLock's system"))

    return Solver(init, solve, absorb, lambda state: Euclidean())


def _strength(state: Lock) -> Tensor:
    """aZ, which is 1 while the lock is slack."""
    return torch.where(state.bound > 0, state.queue / state.bound.sqrt().where(state.bound > 0, 1), 1.0)


def _locked(state: Lock, drift: Tensor, scaled: Tensor, weighting: float, alpha: float) -> Lock:
    """The lock after it has seen where the last write left the weight."""
    loss = ((drift @ scaled) * drift).sum().double() / weighting
    if float(loss) == 0:  # nothing has been written
        return state
    if float(state.bound) == 0:
        bound = alpha * loss
        return state._replace(bound=bound, queue=bound.sqrt())
    floor = state.bound.sqrt()
    queue = torch.maximum(state.queue + (loss - state.bound) / floor, floor)
    moved = state._replace(queue=queue)
    if math.isclose(float(_strength(moved)), float(_strength(state)), rel_tol=1e-15):
        return moved
    system = inverse_metric(float(_strength(moved)) * scaled + state.past, "LyapLock's system")
    return moved._replace(system=growing(system))
