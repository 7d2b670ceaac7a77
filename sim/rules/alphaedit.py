"""AlphaEdit: ridge least squares inside the null space of the preserved keys, with a cache of past keys."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, Gain, MetricForm, Solver
from sim.growing import Growing, growing
from sim.lowrank import LowRank
from sim.metric import Projected, inverse_metric
from sim.rules.metric_write import metric_write, soft
from theory.command import Misuse


def null_space(
    covariance: Float[Tensor, "n n"], *, threshold: float = 2e-2, relative: bool = False
) -> Float[Tensor, "n p"]:
    """An orthonormal basis U of the directions in which C is small, so that P = UUᵀ.

    Args:
        covariance: C = E[k kᵀ] (n, n) in key units squared.
        threshold: eigenvalues of C below it span the null space; in key units squared as published,
            or a share of the largest eigenvalue.
        relative: read `threshold` as a share of the largest eigenvalue.

    Returns:
        U (n, p), p = rank(P).

    Raises:
        Misuse: no eigenvalue, or every eigenvalue, lies below the threshold (P = 0 or P = I).

    Source: AlphaEdit, `experiments/evaluate.py`, which compares with the absolute value 2e-2.

    >>> null_space(torch.diag(torch.tensor([1.0, 0.01, 0.001]))).shape
    torch.Size([3, 2])
    """
    eigenvalues, eigenvectors = _spectrum(covariance)
    limit = threshold * eigenvalues[-1] if relative else torch.as_tensor(threshold)
    small = eigenvalues < limit
    rank, n = int(small.sum()), eigenvalues.shape[0]
    if rank in (0, n):
        kept = "no" if rank == 0 else "every"
        raise Misuse(
            f"{kept} eigenvalue of C lies below the null-space threshold {float(limit):.3g} (spectrum "
            f"{float(eigenvalues[0]):.3g} to {float(eigenvalues[-1]):.3g}), so P is "
            f"{'0 and nothing can be written' if rank == 0 else 'I and nothing is protected'}; "
            "choose a threshold inside the spectrum, or a relative one"
        )
    return eigenvectors[:, small]


def energy_threshold(covariance: Float[Tensor, "n n"], share: float) -> float:
    """The null-space threshold below which eigenvalues of C sum to at most a share of its trace.

        Σ_{λ_i < τ} λ_i ≤ share · tr C,   τ half-way between the last eigenvalue kept and the next

    Args:
        covariance: C (n, n) in key units squared.
        share: dimensionless, in (0, 1).

    Returns:
        τ in key units squared, to be handed to `null_space`.

    Raises:
        Misuse: the share is outside (0, 1).

    >>> round(energy_threshold(torch.diag(torch.tensor([0.9, 0.09, 0.01])), 0.05), 3)
    0.05
    """
    if not 0 < share < 1:
        raise Misuse(f"the null space's share of C's trace is {share}; choose one between 0 and 1, such as 0.01")
    eigenvalues, _ = _spectrum(covariance)
    held = int((eigenvalues.cumsum(0) <= share * eigenvalues.sum()).sum())
    below = eigenvalues[held - 1] if held else 0
    return float(below + eigenvalues[held]) / 2


def _spectrum(covariance: Float[Tensor, "n n"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n n"]]:
    """Eigenvalues, increasing, and eigenvectors of a second moment."""
    if not torch.isfinite(covariance).all():
        raise Misuse("covariance C holds NaN or infinity; recompute it from finite keys")
    values, vectors = torch.linalg.eigh(covariance)
    if not values.sum() > 0:
        raise Misuse(f"covariance C has trace {float(values.sum()):.3g}; E[k kᵀ] of keys has a positive one")
    return values, vectors


def alphaedit(basis: Float[Tensor, "n p"], *, ridge: float = 10.0) -> Solver:
    """AlphaEdit, one key or a batch.

        Δ = R Kᵀ P (P(KKᵀ + Σ_past kkᵀ)P + L2·I)⁻¹ P          (one key: M = P(P·cache·P + L2·I)⁻¹P, η = s/(1+s))

    Args:
        basis: U (n, p), orthonormal columns spanning range(P); see `null_space`. The identity (n, n) is P = I.
        ridge: L2 in key units squared; 10 as published.

    Returns:
        The solver; its metric shrinks with every absorbed key.

    Raises:
        Misuse: the ridge is not positive, or the basis is not orthonormal.

    Source: AlphaEdit, `AlphaEdit/AlphaEdit_main.py`; the published non-symmetric system has this solution (T1).

    >>> solver = alphaedit(torch.eye(2), ridge=1.0)
    >>> edit = Edit(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> solver.solve(edit, solver.init(torch.zeros(1, 2)), torch.zeros(1, 2))[0].dense().tolist()
    [[0.5, 0.0]]
    """
    if not ridge > 0:
        raise Misuse(f"alphaedit's ridge L2 is {ridge}; it must be positive, such as 10")
    if not basis.numel():
        raise Misuse(f"alphaedit's basis is empty, {tuple(basis.shape)}: nothing can be written; see null_space")
    eye = torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)
    if not torch.allclose(basis.mT @ basis, eye, atol=1e-4):
        raise Misuse("alphaedit's basis has columns that are not orthonormal; take it from null_space(C)")

    def init(weight: Tensor) -> Projected:
        return Projected(basis, growing(inverse_metric(ridge * eye, "AlphaEdit's B")))

    def solve(edit: Edit, state: Projected, weight: Tensor) -> tuple[LowRank, Gain, Projected]:
        delta, gain = metric_write(edit, state, soft, weight)
        return delta, gain, state

    def absorb(keys: Tensor, state: Projected) -> Projected:
        assert isinstance(state.inner, Growing)
        return state._replace(inner=state.inner.joined(basis.mT @ keys, "AlphaEdit's B"))

    return Solver(init, solve, absorb, lambda state: state, MetricForm(soft, accumulates=True))
