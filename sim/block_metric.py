"""The metric of a rule over a block of B keys: every MK, every Gram number, and the metric after the block."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from sim.growing import Growing
from sim.metric import Euclidean, Metric, Projected, in_float64, inverse_metric
from theory.command import Misuse


class Raised(NamedTuple):
    """What a block's keys are in the metrics of their own writes; write i is in M_i.

    Attributes:
        keys: (r, n, B) columns M_i k_i.
        cross: (r, B, B) rows (M_j k_j)ᵀ k_i at [j, i]; of use for j ≤ i.
        seen: (r, n, B) columns P k_i, or None where M has full range.
        ridge: where M = I/ridge and so M k_i = k_i/ridge, else None.
    """

    keys: Float[Tensor, "r n b"]
    cross: Float[Tensor, "r b b"]
    seen: Float[Tensor, "r n b"] | None = None
    ridge: float | None = None


class BlockMetric(Protocol):
    """A metric that is asked block by block."""

    def raised(self, keys: Float[Tensor, "r n b"], size: int) -> Raised:
        """The block's keys in their metrics, for writes of `size` keys each; moves past the block."""
        ...

    def refresh(self) -> None:
        """Recompute what updates have let drift."""
        ...

    def norm_sq(self, weight: Float[Tensor, "r m n"]) -> Float[Tensor, " r"]:
        """‖W‖²_{M⁻¹} of every trial, in float64, in the metric of the next write."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What has moved since the start, to be saved and, in place, restored."""
        ...


class FixedMetric:
    """A metric that never changes, shared by all trials."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def raised(self, keys: Float[Tensor, "r n b"], size: int) -> Raised:
        """MK, and its products with K."""
        if isinstance(self.metric, Euclidean):
            raised = keys if self.metric.ridge == 1 else self.metric.times(keys)
            return Raised(raised, raised.mT @ keys, ridge=self.metric.ridge)
        raised, seen = self.metric.times(keys), None
        if isinstance(self.metric, Projected):
            seen = self.metric.basis @ (self.metric.basis.mT @ keys)
        return Raised(raised, raised.mT @ keys, seen)

    def refresh(self) -> None:
        """Nothing drifts."""

    def norm_sq(self, weight: Float[Tensor, "r m n"]) -> Float[Tensor, " r"]:
        """‖W‖²_{M⁻¹}, trial by trial."""
        wide = in_float64(self.metric)
        return torch.stack([wide.norm_sq(one.double()) for one in weight])

    def tensors(self) -> dict[str, Tensor]:
        """Nothing moves."""
        return {}


class GrowingMetric:
    """M_i = (A_0 + Σ_{j<i} k_j k_jᵀ)⁻¹ on the range of a projector, by block Woodbury, one A a trial.

        I + KᵀA⁻¹K = UᵀU,   V = A⁻¹K U⁻¹:     M_i k_i = (V blockdiag U)_i,     A⁻¹ ← A⁻¹ − VVᵀ

    O(n²) a key: A⁻¹K, A + KKᵀ and A⁻¹ − VVᵀ. `refresh` inverts A anew.
    """

    def __init__(self, metric: Metric, trials: int) -> None:
        inner = metric.inner if isinstance(metric, Projected) else metric
        if not isinstance(inner, Growing):
            raise Misuse(f"a metric that grows is a Growing one, also inside a projector, not {type(inner).__name__}")
        self.basis: Tensor | None = None
        matrix = inner.total()
        if isinstance(metric, Projected) and metric.basis.shape[0] == metric.basis.shape[1]:
            matrix = metric.basis @ matrix @ metric.basis.mT  # P = I: the same metric without a change of basis
        elif isinstance(metric, Projected):
            self.basis = metric.basis
        self.matrix = matrix.expand(trials, *matrix.shape).clone()
        self.inverse = torch.empty_like(self.matrix)
        self.refresh()

    def raised(self, keys: Float[Tensor, "r n b"], size: int) -> Raised:
        """Every M_i k_i from one Cholesky factor of the block's Gram matrix.

        Raises:
            Misuse: rounding has left the Gram matrix no factor, even with A⁻¹ computed anew.
        """
        inside = keys if self.basis is None else self.basis.mT @ keys
        first, upper, failed = self._factor(inside)
        if failed:
            self.refresh()
            first, upper, failed = self._factor(inside)
        if failed:
            raise Misuse(
                f"A⁻¹ is no longer positive definite in {keys.dtype}; use float64, a smaller block or more ridge"
            )
        root = torch.linalg.solve_triangular(upper, first, upper=True, left=False)
        raised = root @ own_blocks(upper, size) if size > 1 else root * upper.diagonal(dim1=-2, dim2=-1)[:, None]
        self.matrix.baddbmm_(inside, inside.mT)
        self.inverse.baddbmm_(root, root.mT, alpha=-1)
        cross = raised.mT @ inside
        if self.basis is None:
            return Raised(raised, cross)
        return Raised(self.basis @ raised, cross, self.basis @ inside)

    def _factor(self, inside: Float[Tensor, "r p b"]) -> tuple[Tensor, Tensor, bool]:
        """A⁻¹K, U with I + KᵀA⁻¹K = UᵀU, and whether there was none."""
        first = self.inverse @ inside
        gram = inside.mT @ first
        eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        upper, info = torch.linalg.cholesky_ex(gram + eye, upper=True)
        return first, upper, bool(info.any())

    def refresh(self) -> None:
        """A⁻¹ from A's Cholesky factor."""
        for one, place in zip(self.matrix, self.inverse, strict=True):
            torch.cholesky_inverse(inverse_metric(one, "the grown second moment A").factor, out=place)

    def tensors(self) -> dict[str, Tensor]:
        """A and A⁻¹ of every trial."""
        return {"matrix": self.matrix, "inverse": self.inverse}

    def norm_sq(self, weight: Float[Tensor, "r m n"]) -> Float[Tensor, " r"]:
        """tr(WP A (WP)ᵀ), trial by trial and in slices of rows, so that little is widened at once."""
        return torch.stack([self._norm_sq(one, matrix) for one, matrix in zip(weight, self.matrix, strict=True)])

    def _norm_sq(self, weight: Float[Tensor, "m n"], matrix: Float[Tensor, "p p"]) -> Float[Tensor, ""]:
        inside = weight.double() if self.basis is None else weight.double() @ self.basis.double()
        slices = [slice(i, i + 1024) for i in range(0, matrix.shape[0], 1024)]
        return sum(
            (((inside @ matrix[:, part].double()) * inside[:, part]).sum() for part in slices), inside.new_zeros(())
        )


def tiles(matrix: Float[Tensor, "r b b"], size: int) -> Float[Tensor, "r t u u"]:
    """The diagonal blocks of `size`.

    >>> tiles(torch.arange(16.0).view(1, 4, 4), 2)[0, 1].tolist()
    [[10.0, 11.0], [14.0, 15.0]]
    """
    steps = matrix.shape[-1] // size
    return matrix.reshape(-1, steps, size, steps, size).diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)


def own_blocks(matrix: Float[Tensor, "r b b"], size: int) -> Float[Tensor, "r b b"]:
    """The matrix with only its diagonal blocks of `size` kept.

    >>> own_blocks(torch.ones(1, 4, 4), 2)[0].sum(dim=0).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    label = torch.arange(matrix.shape[-1], device=matrix.device) // size
    return matrix.where(label[:, None] == label, 0)
