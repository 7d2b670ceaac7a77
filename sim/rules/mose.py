"""MOSE: a multiplicative write W ← QW with Q orthogonal, which cannot change ‖W‖: the norm-preserving control."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, Solver
from sim.lowrank import LowRank
from sim.metric import Euclidean
from sim.rules.plain_gain import plain_gain


def mose() -> Solver:
    """The orthogonal Q nearest to the request, one key or a batch.

        Q = argmin_{QᵀQ = I} ‖QWK − V‖²,   W ← QW,   Δ = (Q − I)W

    Q turns the span of WK and V and leaves the rest of value space alone: with an orthonormal basis B of that span and
    XΣYᵀ = (BᵀV)(BᵀWK)ᵀ, Q = I + B(XYᵀ − I)Bᵀ, the nearest to I where that leaves a choice. Every singular value of W
    stays, so ‖W‖_F and ‖W‖₂ do; a target whose norm differs from the read-out's is met in direction only.

    Returns:
        The solver.

    Source: arXiv 2601.07873, for the requests of one step alone.

    >>> weight = torch.tensor([[2.0], [0.0]])
    >>> solver = mose()
    >>> edit = Edit(torch.ones(1, 1), weight, torch.tensor([[0.0], [3.0]]))
    >>> turned = weight + solver.solve(edit, solver.init(weight), weight)[0].dense()
    >>> [round(float(x), 4) for x in turned.flatten()]
    [0.0, 2.0]
    """
    metric = Euclidean()

    def solve(edit: Edit, state: Euclidean, weight: Tensor) -> tuple[LowRank, Gain, Euclidean]:
        basis = span(torch.cat([edit.readouts, edit.values], dim=1))
        eye = torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)
        moment = (basis.mT @ edit.values) @ (basis.mT @ edit.readouts).mT
        turn = torch.where(edit.asked.any(), nearest_rotation(moment), eye) - eye
        delta = LowRank(basis @ turn, weight.to(basis.dtype).mT @ basis)
        return delta, plain_gain(edit, delta, weight), state

    return Solver(lambda weight: metric, solve, lambda keys, state: state, lambda state: metric)


def nearest_rotation(moment: Float[Tensor, "p p"]) -> Float[Tensor, "p p"]:
    """argmax ⟨Q, M⟩ over orthogonal Q, and of those that M cannot tell apart the nearest to I.

    >>> nearest_rotation(torch.diag(torch.tensor([-2.0, 0.0]))).diagonal().tolist()
    [-1.0, 1.0]
    """
    left, sizes, right = torch.linalg.svd(moment)
    told = int((sizes > 1e3 * torch.finfo(sizes.dtype).eps * sizes[0]).sum())
    free, into = left[:, told:], right[told:]
    turn, _, back = torch.linalg.svd(free.mT @ into.mT)
    return left[:, :told] @ right[:told] + free @ turn @ back @ into


def span(columns: Float[Tensor, "m c"]) -> Float[Tensor, "m p"]:
    """An orthonormal basis that holds the columns' span."""
    return torch.linalg.qr(columns).Q
