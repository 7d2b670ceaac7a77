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
class AheadKeys:
    """A law of keys that does not look at the weight's entries, so that a block of keys may be drawn ahead.

    Attributes:
        noise: (weight, u, generator) -> (n, u) draws.
        place: draws (..., n, b) -> keys (..., n, b), column by column.
    """

    noise: Callable[[Tensor, int, Generator], Tensor]
    place: Callable[[Tensor], Tensor]

    def __call__(self, weight: Tensor, batch: int, generator: Generator) -> Tensor:
        """Draw u = `batch` keys (n, u)."""
        return self.place(self.noise(weight, batch, generator))


@dataclass(frozen=True)
class AheadValues:
    """A law of values whose draws do not depend on the read-outs, so that they may be drawn ahead.

    Attributes:
        noise: (like (m, u), generator) -> (p, u) draws; only the shape, dtype and device of `like` count.
        place: (read-outs (m, u), prepared draws (p, u)) -> values (m, u), column by column.
        prepare: draws (p, b) -> prepared draws (p, b), column by column: what needs no read-out, done for many at once;
            None is as drawn.
    """

    noise: Callable[[Tensor, Generator], Tensor]
    place: Callable[[Tensor, Tensor], Tensor]
    prepare: Callable[[Tensor], Tensor] | None = None

    def __call__(self, readouts: Tensor, generator: Generator) -> Tensor:
        """Draw the values (m, u) asked of these read-outs."""
        return self.place(readouts, *self.prepared([self.noise(readouts, generator)]))

    def prepared(self, drawn: Sequence[Tensor]) -> list[Tensor]:
        """Draws (p, u), each of as many columns, as `place` takes them."""
        if self.prepare is None:
            return list(drawn)
        columns = torch.cat([part.mT for part in drawn]).mT
        return list(self.prepare(columns).split(drawn[0].shape[1], dim=1))


@dataclass(frozen=True)
class LinearMemory:
    """W with the laws of the requests made of it.

    Attributes:
        weight: W (m, n) before any edit; nothing here writes it.
        keys: the law of keys.
        values: the law of solved values, given the read-outs Wk.
        original: solve values on the weight before any edit, as NSE does: the law is given W_0k.
    """

    weight: Float[Tensor, "m n"]
    keys: KeyLaw
    values: ValueLaw
    original: bool = False

    def request(self, weight: Float[Tensor, "m n"], batch: int, generator: Generator) -> Edit:
        """Draw u = `batch` requests of the memory in the state `weight` (m, n)."""
        keys = self.keys(weight, batch, generator)
        readouts = weight @ keys
        return Edit(keys, readouts, self.values(self.weight @ keys if self.original else readouts, generator))


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


def _columns(weight: Tensor, batch: int, generator: Generator) -> Tensor:
    return _normal((weight.shape[1], batch), weight, generator)


def _lengths(columns: Float[Tensor, "m u"]) -> Float[Tensor, " u"]:
    return torch.linalg.vector_norm(columns, dim=0)


def _alike(readouts: Tensor, generator: Generator) -> Tensor:
    return _normal(readouts.shape, readouts, generator)


def isotropic_keys() -> KeyLaw:
    """k ~ N(0, I): every direction alike, E‖k‖² = n.

    >>> isotropic_keys()(torch.zeros(2, 3), 4, Generator().manual_seed(0)).shape
    torch.Size([3, 4])
    """
    return AheadKeys(_columns, lambda drawn: drawn)


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
    return AheadKeys(_columns, lambda drawn: root @ drawn)


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

    def place(readouts: Tensor, drawn: Tensor) -> Tensor:
        square = torch.linalg.vecdot(readouts, readouts, dim=0)
        safe = square.where(square > 0, 1)
        once = torch.addcmul(drawn, readouts, torch.linalg.vecdot(readouts, drawn, dim=0) / safe, value=-1)
        across = torch.addcmul(once, readouts, torch.linalg.vecdot(readouts, once, dim=0) / safe, value=-1)
        size = (square / torch.linalg.vecdot(across, across, dim=0)).sqrt()
        return torch.addcmul(readouts, across, size, value=ratio)

    return AheadValues(_alike, place)


def isotropic_shift(ratio: float) -> ValueLaw:
    """v = Wk + δ with ‖δ‖ = c‖Wk‖ and δ's direction uniform: orthogonal to Wk on average only.

    Args:
        ratio: c ≥ 0, dimensionless.

    >>> readouts = torch.tensor([[3.0], [4.0]])
    >>> round(float((isotropic_shift(0.5)(readouts, Generator().manual_seed(0)) - readouts).norm()), 4)
    2.5
    """
    return AheadValues(
        _alike,
        lambda readouts, toward: torch.addcmul(readouts, toward, _lengths(readouts), value=ratio),
        lambda drawn: drawn / _lengths(drawn),
    )


def turned_values() -> ValueLaw:
    """v of a new direction and of Wk's norm on average: E‖v‖² = E‖Wk‖², T3's condition under which nothing grows.

        v = √ρ ‖Wk‖ e,   ρ ~ U(0, 2),   e uniform on the sphere

    >>> turned_values()(torch.ones(2, 3), Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """

    def noise(readouts: Tensor, generator: Generator) -> Tensor:
        share = torch.rand(readouts.shape[1], generator=generator, dtype=readouts.dtype, device=readouts.device)
        return torch.cat([share[None], _alike(readouts, generator)])

    def prepare(drawn: Tensor) -> Tensor:
        share, toward = drawn[0], drawn[1:]
        return (2 * share).sqrt() * (toward / _lengths(toward))

    return AheadValues(noise, lambda readouts, toward: _lengths(readouts) * toward, prepare)


def free_values(size: float) -> ValueLaw:
    """v ~ N(0, size²/m · I), whatever Wk is: E‖v‖² = size².

    >>> free_values(1.0)(torch.zeros(2, 3), Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    return AheadValues(_alike, lambda readouts, drawn: size / math.sqrt(readouts.shape[0]) * drawn)
