"""A metric that takes in keys, M = (A + Σ kkᵀ)⁻¹, at O(n²) a key."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sim.metric import Inverse, inverse_metric

WIDTH = 64
"""Keys that are held beside A before it takes them in."""


class Growing(NamedTuple):
    """M = (A + KKᵀ)⁻¹ with the latest keys K beside A, by Woodbury.

        (A + KKᵀ)⁻¹ = A⁻¹ − VVᵀ,   V = M₀ k_0 / √(1 + s_0), M₁ k_1 / √(1 + s_1), …          (s_i = k_iᵀM_i k_i)

    A key costs two products of A⁻¹ with a vector. After `WIDTH` keys A and A⁻¹ take them in by one product each, and
    after n keys A⁻¹ is computed anew from A, so that rounding does not pile up.

    Attributes:
        matrix: A (n, n), in key units squared.
        inverse: A⁻¹.
        keys: K (n, w), its columns from `held` on zero.
        roots: V (n, w), likewise.
        held: how many keys K holds.
        since: keys taken in since A⁻¹ was last computed from A.
    """

    matrix: Float[Tensor, "n n"]
    inverse: Float[Tensor, "n n"]
    keys: Float[Tensor, "n w"]
    roots: Float[Tensor, "n w"]
    held: Int[Tensor, ""]
    since: Int[Tensor, ""]

    def times(self, keys: Float[Tensor, "*r n u"]) -> Float[Tensor, "*r n u"]:
        """(A + KKᵀ)⁻¹ · keys."""
        return self.inverse @ keys - self.roots @ (self.roots.mT @ keys)

    def seen(
        self, weight: Float[Tensor, "m n"], keys: Float[Tensor, "n u"], readouts: Float[Tensor, "m u"]
    ) -> Float[Tensor, "m u"]:
        """WK as it was read out: M has full range."""
        return readouts

    def norm_sq(self, weight: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
        """tr(W A Wᵀ) + ‖WK‖²."""
        return ((weight @ self.matrix) * weight).sum() + (weight @ self.keys).square().sum()

    def total(self) -> Float[Tensor, "n n"]:
        """A + KKᵀ."""
        return torch.addmm(self.matrix, self.keys, self.keys.mT)

    def joined(self, keys: Float[Tensor, "n u"], name: str) -> Growing:
        """The metric after more keys; this one stays as it is.

        Args:
            keys: (n, u), in key units.
            name: what A is called in an error.

        Returns:
            The grown metric.

        Raises:
            Misuse: A is singular or not finite where its inverse is computed anew.
        """
        (n, width), u, held = self.keys.shape, keys.shape[1], int(self.held)
        first = self.times(keys)
        gram = keys.mT @ first
        upper, info = torch.linalg.cholesky_ex(gram + torch.eye(u, dtype=gram.dtype, device=gram.device), upper=True)
        if int(self.since) + held + u > n or int(info):
            return growing(inverse_metric(torch.addmm(self.total(), keys, keys.mT), name))
        roots = torch.linalg.solve_triangular(upper, first, upper=True, left=False)
        if held + u <= width:
            into = slice(held, held + u)
            return self._replace(
                keys=_placed(self.keys, into, keys), roots=_placed(self.roots, into, roots), held=self.held + u
            )
        every, all_roots = torch.cat([self.keys, keys], dim=1), torch.cat([self.roots, roots], dim=1)
        return Growing(
            torch.addmm(self.matrix, every, every.mT),
            torch.addmm(self.inverse, all_roots, all_roots.mT, alpha=-1),
            torch.zeros_like(self.keys),
            torch.zeros_like(self.roots),
            torch.zeros_like(self.held),
            self.since + self.held + u,
        )


def growing(start: Inverse) -> Growing:
    """A metric that has taken in nothing yet.

    Args:
        start: A with its factor.

    Returns:
        M = A⁻¹, ready for keys.

    >>> grown = growing(inverse_metric(torch.eye(2))).joined(torch.tensor([[3.0], [0.0]]), "A")
    >>> grown.total().tolist(), round(float(grown.times(torch.ones(2, 1))[0]), 4)
    ([[10.0, 0.0], [0.0, 1.0]], 0.1)
    """
    empty = start.matrix.new_zeros(len(start.matrix), min(WIDTH, len(start.matrix)))
    none = torch.zeros((), dtype=torch.int64)
    return Growing(start.matrix, torch.cholesky_inverse(start.factor), empty, empty.clone(), none, none.clone())


def _placed(columns: Float[Tensor, "n w"], into: slice, new: Float[Tensor, "n u"]) -> Float[Tensor, "n w"]:
    """A copy of the columns with some of them replaced."""
    copied = columns.clone()
    copied[:, into] = new
    return copied
