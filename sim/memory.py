"""A linear associative memory, the laws its keys follow, and the laws by which values are asked of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from sim.editor import Edit
from sim.metric import inverse_metric
from theory.command import Misuse

KeyLaw = Callable[[Tensor, int, Generator], Tensor]
"""(weight (m, n), u, generator) -> keys (n, u), in the weight's dtype and on its device."""

ValueLaw = Callable[[Tensor, Generator], Tensor]
"""(read-outs (m, u), generator) -> values (m, u)."""


@dataclass(frozen=True)
class LinearMemory:
    """W with the laws of the requests made of it.

    Attributes:
        weight: W (m, n) before any edit; nothing here writes it.
        keys: the law of keys.
        values: the law of solved values, given the read-outs Wk.
    """

    weight: Float[Tensor, "m n"]
    keys: KeyLaw
    values: ValueLaw

    def request(self, weight: Float[Tensor, "m n"], batch: int, generator: Generator) -> Edit:
        """Draw u = `batch` requests of the memory in the state `weight` (m, n)."""
        keys = self.keys(weight, batch, generator)
        readouts = weight @ keys
        return Edit(keys, readouts, self.values(readouts, generator))


def draw_weight(
    m: int, n: int, generator: Generator, *, dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu"
) -> Float[Tensor, "m n"]:
    """A weight of independent normal entries with E‖W‖²_F = m.

        W_ij ~ N(0, 1/n)

    Args:
        m: rows, the value dimension.
        n: columns, the key dimension.
        generator: on `device`.
        dtype: of the weight; every law here follows it.
        device: where the memory lives.

    Returns:
        W (m, n), so that an isotropic key of norm √n reads out entries of unit size.

    >>> draw_weight(2, 3, Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    return torch.randn(m, n, generator=generator, dtype=dtype, device=device) / math.sqrt(n)


def _normal(shape: Sequence[int], like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=like.dtype, device=like.device)


def _directions(like: Float[Tensor, "m u"], generator: Generator) -> Float[Tensor, "m u"]:
    drawn = _normal(like.shape, like, generator)
    return drawn / drawn.norm(dim=0)


def isotropic_keys() -> KeyLaw:
    """k ~ N(0, I): every direction alike, E‖k‖² = n.

    >>> isotropic_keys()(torch.zeros(2, 3), 4, Generator().manual_seed(0)).shape
    torch.Size([3, 4])
    """
    return lambda weight, batch, generator: _normal((weight.shape[1], batch), weight, generator)


def gaussian_keys(covariance: Float[Tensor, "n n"]) -> KeyLaw:
    """k ~ N(0, Σ), drawn as Lz with Σ = LLᵀ and z ~ N(0, I).

    Args:
        covariance: Σ (n, n), positive definite, in key units squared.

    Returns:
        The law.

    Raises:
        Misuse: Σ is singular, not symmetric or not finite.

    >>> gaussian_keys(torch.eye(3))(torch.zeros(2, 3), 4, Generator().manual_seed(0)).shape
    torch.Size([3, 4])
    """
    root = inverse_metric(covariance, "the keys' covariance Σ").factor
    return lambda weight, batch, generator: root @ _normal((weight.shape[1], batch), weight, generator)


def unseen_keys() -> KeyLaw:
    """The adversary of T5: keys that the memory answers with zero, so that NAS never contracts.

        k = (I − QQᵀ) z,   Q an orthonormal basis of W's rows,   z ~ N(0, I)

    Raises:
        Misuse: m ≥ n, where W leaves no null space to draw from.

    >>> weight = torch.tensor([[1.0, 0.0]])
    >>> float(weight @ unseen_keys()(weight, 1, Generator().manual_seed(0)))
    0.0
    """

    def draw(weight: Tensor, batch: int, generator: Generator) -> Tensor:
        m, n = weight.shape
        if m >= n:
            raise Misuse(f"a weight {(m, n)} leaves no null space for adversarial keys; choose m < n")
        rows, _ = torch.linalg.qr(weight.mT)
        drawn = _normal((n, batch), weight, generator)
        once = drawn - rows @ (rows.mT @ drawn)
        return once - rows @ (rows.mT @ once)  # a second pass removes what rounding left of the first

    return draw


def orthogonal_shift(ratio: float) -> ValueLaw:
    """v = Wk + δ with ‖δ‖ = c‖Wk‖ and δ uniform in the orthogonal complement of Wk, so ‖v‖² = (1 + c²)‖Wk‖².

    Args:
        ratio: c ≥ 0, dimensionless. Needs m ≥ 2.

    >>> law = orthogonal_shift(0.5)
    >>> round(float(law(torch.tensor([[3.0], [4.0]]), Generator().manual_seed(0)).norm() ** 2), 4)
    31.25
    """

    def draw(readouts: Tensor, generator: Generator) -> Tensor:
        norms = readouts.norm(dim=0)
        along = readouts / norms.where(norms > 0, 1)
        drawn = _normal(readouts.shape, readouts, generator)
        once = drawn - along * (along * drawn).sum(dim=0)
        across = once - along * (along * once).sum(dim=0)
        return readouts + ratio * norms * across / across.norm(dim=0)

    return draw


def isotropic_shift(ratio: float) -> ValueLaw:
    """v = Wk + δ with ‖δ‖ = c‖Wk‖ and δ's direction uniform: orthogonal to Wk on average only.

    Args:
        ratio: c ≥ 0, dimensionless.

    >>> readouts = torch.tensor([[3.0], [4.0]])
    >>> round(float((isotropic_shift(0.5)(readouts, Generator().manual_seed(0)) - readouts).norm()), 4)
    2.5
    """
    return lambda readouts, generator: readouts + ratio * readouts.norm(dim=0) * _directions(readouts, generator)


def turned_values() -> ValueLaw:
    """v of a new direction and of Wk's norm on average: E‖v‖² = E‖Wk‖², T3's condition under which nothing grows.

        v = √ρ ‖Wk‖ e,   ρ ~ U(0, 2),   e uniform on the sphere

    >>> turned_values()(torch.ones(2, 3), Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """

    def draw(readouts: Tensor, generator: Generator) -> Tensor:
        share = 2 * torch.rand(readouts.shape[1], generator=generator, dtype=readouts.dtype, device=readouts.device)
        return share.sqrt() * readouts.norm(dim=0) * _directions(readouts, generator)

    return draw


def free_values(size: float) -> ValueLaw:
    """v ~ N(0, size²/m · I), whatever Wk is: E‖v‖² = size².

    >>> free_values(1.0)(torch.zeros(2, 3), Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    return lambda readouts, generator: (
        size / math.sqrt(readouts.shape[0]) * _normal(readouts.shape, readouts, generator)
    )
