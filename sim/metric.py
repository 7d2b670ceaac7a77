"""The metric M of a partial write, as what it does to keys and weights: T1's Δ = R T (MK)ᵀ needs no more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from theory.command import Misuse

if TYPE_CHECKING:
    from sim.growing import Growing


@runtime_checkable
class Metric(Protocol):
    """A positive semidefinite M (n, n) and the norm ‖W‖²_{M⁻¹} = tr(W M⁻¹ Wᵀ) that T1 is stated in."""

    def times(self, keys: Float[Tensor, "*r n u"]) -> Float[Tensor, "*r n u"]:
        """M · keys."""
        ...

    def seen(
        self, weight: Float[Tensor, "m n"], keys: Float[Tensor, "n u"], readouts: Float[Tensor, "m u"]
    ) -> Float[Tensor, "m u"]:
        """W P K, the read-outs of the part of W that the norm sees; P projects on M's range."""
        ...

    def norm_sq(self, weight: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
        """tr(W M⁻¹ Wᵀ) over M's range, from torch operations that can be differentiated."""
        ...


class Euclidean(NamedTuple):
    """M = I/ridge: the paper's special case C = I (ridge 1), and ridge solves without statistics."""

    ridge: float = 1.0

    def times(self, keys: Float[Tensor, "*r n u"]) -> Float[Tensor, "*r n u"]:
        """M K = K/ridge."""
        return keys / self.ridge

    def seen(
        self, weight: Float[Tensor, "m n"], keys: Float[Tensor, "n u"], readouts: Float[Tensor, "m u"]
    ) -> Float[Tensor, "m u"]:
        """WK as it was read out: M has full range."""
        return readouts

    def norm_sq(self, weight: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
        """ridge · ‖W‖²_F."""
        return self.ridge * torch.linalg.vector_norm(weight).square()


class Inverse(NamedTuple):
    """M = A⁻¹ for a positive definite A (n, n), factorised once.

    Attributes:
        matrix: A, such as C or λC, in key units squared.
        factor: its lower Cholesky factor.
    """

    matrix: Float[Tensor, "n n"]
    factor: Float[Tensor, "n n"]

    def times(self, keys: Float[Tensor, "*r n u"]) -> Float[Tensor, "*r n u"]:
        """A⁻¹ K by two triangular solves."""
        if keys.shape[-2] != self.factor.shape[-1]:
            have, need = self.factor.shape[-1], keys.shape[-2]
            raise Misuse(f"the covariance is {have} x {have} and keys have dimension {need}; pass that of this layer")
        return torch.cholesky_solve(keys, self.factor)

    def seen(
        self, weight: Float[Tensor, "m n"], keys: Float[Tensor, "n u"], readouts: Float[Tensor, "m u"]
    ) -> Float[Tensor, "m u"]:
        """WK as it was read out: M has full range."""
        return readouts

    def norm_sq(self, weight: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
        """tr(W A Wᵀ)."""
        return ((weight @ self.matrix) * weight).sum()


class Projected(NamedTuple):
    """M = U B⁻¹ Uᵀ on the range of a projector P = UUᵀ (AlphaEdit).

    Attributes:
        basis: U, orthonormal columns that span range(P).
        inner: the metric B⁻¹ (p, p) on that range.
    """

    basis: Float[Tensor, "n p"]
    inner: Inverse | Growing

    def times(self, keys: Float[Tensor, "*r n u"]) -> Float[Tensor, "*r n u"]:
        """U B⁻¹ Uᵀ K."""
        return self.basis @ self.inner.times(self.basis.mT @ keys)

    def seen(
        self, weight: Float[Tensor, "m n"], keys: Float[Tensor, "n u"], readouts: Float[Tensor, "m u"]
    ) -> Float[Tensor, "m u"]:
        """W P K = W U (Uᵀ K)."""
        return weight @ (self.basis @ (self.basis.mT @ keys))

    def norm_sq(self, weight: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
        """tr(WU B (WU)ᵀ) = ‖WP‖²_B."""
        return self.inner.norm_sq(weight @ self.basis)


def inverse_metric(matrix: Float[Tensor, "n n"], name: str = "covariance C") -> Inverse:
    """M = A⁻¹ from a symmetric positive definite A.

    Args:
        matrix: A (n, n), in key units squared.
        name: what A is called in an error.

    Returns:
        The metric with its Cholesky factor, in A's dtype.

    Raises:
        Misuse: A is not finite, not symmetric or not positive definite.

    >>> inverse_metric(torch.diag(torch.tensor([2.0, 4.0]))).times(torch.ones(2, 1)).flatten().tolist()
    [0.5, 0.25]
    """
    check_square(matrix, name)
    if matrix.dtype not in (torch.float32, torch.float64):
        raise Misuse(f"{name} has dtype {matrix.dtype}; a rule solves in float32 or float64, so cast it first")
    if not torch.isfinite(matrix).all():
        raise Misuse(f"{name} holds NaN or infinity; recompute it from finite keys")
    if not torch.allclose(matrix, matrix.mT, rtol=1e-4, atol=1e-6 * float(matrix.abs().max())):
        raise Misuse(f"{name} is not symmetric; pass E[k kᵀ] of the keys, not a cross moment")
    factor, failed = torch.linalg.cholesky_ex(matrix)
    # A factor whose pivots span the whole precision solves nothing: its last digits are noise.
    pivots = factor.diagonal().square()
    tiny = torch.finfo(matrix.dtype).eps * matrix.shape[0]
    if int(failed) or bool(pivots.min() <= tiny * pivots.max()):
        raise Misuse(
            f"{name} is singular ({matrix.shape[0]} x {matrix.shape[0]}); "
            "use more keys than the key dimension or add a ridge"
        )
    return Inverse(matrix, factor)


def ridged_metric(covariance: Tensor, weighting: float, ridge: float, name: str) -> Inverse:
    """M = (λC + ρI)⁻¹.

    Args:
        covariance: C (n, n), in key units squared.
        weighting: λ, dimensionless.
        ridge: ρ, in key units squared.
        name: what λC + ρI is called in an error.

    Returns:
        The metric.

    Raises:
        Misuse: λ or ρ is negative or not finite, or as `inverse_metric`.

    >>> ridged_metric(torch.eye(2), 3.0, 1.0, "A").times(torch.ones(2, 1)).flatten().tolist()
    [0.25, 0.25]
    """
    check_square(covariance, "covariance C")
    if not 0 <= weighting < math.inf or not 0 <= ridge < math.inf:
        raise Misuse(f"{name} has the weighting {weighting} and the ridge {ridge}; both are finite and not negative")
    eye = torch.eye(covariance.shape[0], dtype=covariance.dtype, device=covariance.device)
    return inverse_metric(weighting * covariance + ridge * eye, name)


def check_square(matrix: object, name: str) -> None:
    """Raise Misuse unless a statistic of keys is a square matrix; a vector would be broadcast without a word."""
    if not isinstance(matrix, Tensor) or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.numel():
        shape = tuple(matrix.shape) if hasattr(matrix, "shape") else type(matrix).__name__
        raise Misuse(f"{name} has shape {shape}; pass a square tensor (n, n) of second moments")


def in_float64(metric: Metric) -> Metric:
    """The same metric with its tensors in float64, for norms whose small changes are to be seen.

    >>> in_float64(inverse_metric(torch.eye(2))).norm_sq(torch.ones(1, 2, dtype=torch.float64)).dtype
    torch.float64
    """
    return _widened(metric)


def _widened(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.double()
    return type(part)(*map(_widened, part)) if isinstance(part, tuple) else part
