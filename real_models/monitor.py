"""A watch on one projection: what every write did to its norm, what theory makes of that, and when a limit is reached.

    with NormMonitor(model.transformer.h[17].mlp.c_proj, limit=3.0) as watch:
        editor.edit(...)                     # anybody's loop
    print(watch.outlook())

A write is noticed when the module is next called, or the context ends, by the version that torch gives a tensor at each
change in place. A loop that writes through `.data`, which torch does not count, calls `watch.look()` after each edit.
"""

from __future__ import annotations

import math
import warnings
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from real_models.adapters.adapter import oriented
from theory.command import Misuse
from theory.fits import Rate, mean_rate
from theory.growth.key_laws import sample_keys
from theory.growth.value_fit import ValueFit, fit_values
from theory.growth.value_models import growth

FEWEST = 40
"""Writes below which nothing is foretold."""


class NormWarning(UserWarning):
    """The watched norm has passed its limit."""


class LimitReached(RuntimeError):
    """The watched norm has passed its limit, and the monitor was asked to stop the run."""


class Write(NamedTuple):
    """What one write did.

    Attributes:
        norm: ‖W‖_F after it.
        delta_norm: ‖Δ‖_F.
        rank_one: the share of ‖Δ‖² that lies along its leading direction û; 1 for a single edit of a metric rule.
        readout_norm: ‖Wû‖ before it.
        value_norm: ‖(W + Δ)û‖.
    """

    norm: float
    delta_norm: float
    rank_one: float
    readout_norm: float
    value_norm: float


class Outlook(NamedTuple):
    """What is to be expected.

    Attributes:
        writes: how many were seen.
        ratio: ‖W‖ now in units of ‖W_0‖.
        rate: measured, of log ‖W‖ a write over the later half of the writes, with a 95 % interval.
        foretold: by theory's growth operator for the measured directions and values, half of log ρ(L) a write.
        fit: the value model behind it, with its misfits.
        left: writes until the limit, from the ends of the rate's interval; infinite where the norm may not grow, None
            without a limit.
    """

    writes: int
    ratio: float
    rate: Rate
    foretold: float
    fit: ValueFit
    left: tuple[float, float] | None

    def __str__(self) -> str:
        """In one line."""
        line = (
            f"‖W‖ is {self.ratio:.3g} times the unedited one after {self.writes} writes, and grows by "
            f"{100 * math.expm1(self.rate.mean):.2g} % a write "
            f"[{100 * math.expm1(self.rate.low):.2g}, {100 * math.expm1(self.rate.high):.2g}]; "
            f"the growth operator says {100 * math.expm1(self.foretold):.2g} %"
        )
        if self.left is None:
            return line
        if math.isinf(self.left[0]):
            return f"{line}; the limit is not in sight"
        until = "without end" if math.isinf(self.left[1]) else f"{self.left[1]:.0f}"
        return f"{line}; the limit in {self.left[0]:.0f} to {until} writes"


class NormMonitor:
    """Watch a projection's weight for as long as a context lasts.

    Every write W → W + Δ gives a direction û (Δ's leading right singular vector, Mk/‖Mk‖ for a metric write at k) and a
    pair (Wû, (W + Δ)û). T3's growth operator on these directions, with the value model fitted to these pairs, foretells
    the mean growth of ‖W‖_F; it is exact for hard writes with M = I and values that depend on Wk as the model says.

    Args:
        module: the projection, an nn.Linear or transformers' Conv1D.
        limit: of ‖W‖_F, in units of the unedited norm; None only watches.
        stop: raise `LimitReached` past the limit, where otherwise a `NormWarning` is given once.
        keep: directions remembered; the latest.

    Raises:
        Misuse: a limit that is not above 1, or a module without a known orientation.

    >>> layer = nn.Linear(2, 2, bias=False)
    >>> with NormMonitor(layer) as watch, torch.no_grad():
    ...     _ = layer.weight.mul_(2)
    >>> len(watch.writes)
    1
    """

    def __init__(self, module: nn.Module, *, limit: float | None = None, stop: bool = False, keep: int = 500) -> None:
        if limit is not None and not limit > 1:
            raise Misuse(f"the limit is {limit}; it is a multiple of the unedited norm, such as 3")
        if stop and limit is None:
            raise Misuse("stop=True needs a limit, a multiple of the unedited norm, such as limit=3")
        self.module, self.limit, self.stop, self.keep = module, limit, stop, keep
        self.writes: list[Write] = []
        self.directions: list[NDArray[np.float64]] = []
        self.pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self.before = self.weight()
        self.unedited = float(self.before.norm())
        self.seen = self.mark()
        self.handle: Any = None
        self.warned = False

    def weight(self) -> Float[Tensor, "m n"]:
        """A copy of W in float64 on the CPU."""
        return oriented(self.module).double().cpu().clone()

    def mark(self) -> tuple[int, int]:
        """What changes when the weight is replaced or written in place."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return id(weight), weight._version

    def __enter__(self) -> NormMonitor:
        """Begin to watch."""
        self.handle = self.module.register_forward_pre_hook(lambda module, args: self.notice())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the hook off; what was written last is noted."""
        self.handle.remove()
        if kind is None:
            self.notice()

    def notice(self) -> None:
        """Note a write if torch has counted one."""
        if self.mark() != self.seen:
            self.look()

    def look(self) -> None:
        """Note what has changed since the last look, if anything has."""
        self.seen, after = self.mark(), self.weight()
        delta = after - self.before
        size, before, self.before = float(delta.norm()), self.before, after
        if size == 0:
            return
        direction = leading(delta) if math.isfinite(size) else torch.zeros(delta.shape[1], dtype=torch.float64)
        read, value = before @ direction, after @ direction
        along = float((delta @ direction).norm() / size) ** 2 if math.isfinite(size) else math.nan
        norm = float(after.norm())
        self.writes.append(Write(norm, size, along, float(read.norm()), float(value.norm())))
        if math.isfinite(size):
            self.directions = [*self.directions, direction.numpy()][-self.keep :]
            self.pairs = [*self.pairs, (read.numpy(), value.numpy())][-self.keep :]
        self.judge(norm)

    def judge(self, norm: float) -> None:
        """Warn or stop past the limit; a norm that is not finite has passed any."""
        if self.limit is None or norm <= self.limit * self.unedited:
            return
        told = (
            f"after {len(self.writes)} writes ‖W‖ is {norm / self.unedited:.3g} times the unedited norm, "
            f"past the limit {self.limit:g}"
        )
        if self.stop:
            raise LimitReached(told)
        if not self.warned:
            self.warned = True
            warnings.warn(told, NormWarning, stacklevel=3)

    def outlook(self) -> Outlook:
        """What the writes so far foretell.

        Raises:
            Misuse: too few writes, or one that was not finite.
        """
        norms = np.array([self.unedited, *(write.norm for write in self.writes)])
        if len(self.writes) < FEWEST:
            raise Misuse(f"{len(self.writes)} writes foretell nothing; ask again after {FEWEST}")
        if not np.isfinite(norms).all():
            raise Misuse("a written weight is not finite; there is nothing left to foretell")
        logs = np.log(norms)
        rate = mean_rate(logs[len(logs) // 2 :])
        fit = fit_values(*(np.stack(side, axis=1) for side in zip(*self.pairs, strict=True)))
        factor = growth(sample_keys(np.stack(self.directions, axis=1)), fit.model)
        left = None if self.limit is None else until(math.log(self.limit * self.unedited) - logs[-1], rate)
        ratio = float(norms[-1] / self.unedited)
        return Outlook(len(self.writes), ratio, rate, math.log(factor.value) / 2, fit, left)


def until(distance: float, rate: Rate) -> tuple[float, float]:
    """Steps until a growing series has gone a distance, from the ends of its rate's interval.

    >>> until(2.0, Rate(0.5, 0.25, 1.0)), until(2.0, Rate(0.1, -0.1, 0.5)), until(-1.0, Rate(0.5, 0.25, 1.0))
    ((2.0, 8.0), (4.0, inf), (0.0, 0.0))
    """
    if distance <= 0:
        return 0.0, 0.0
    low, high = (distance / one if one > 0 else math.inf for one in (rate.high, rate.low))
    return low, high


def leading(delta: Float[Tensor, "m n"], steps: int = 20) -> Float[Tensor, " n"]:
    """The leading right singular vector, by power iteration from the longest row; exact at once for rank 1."""
    vector = delta[int(delta.square().sum(dim=1).argmax())]
    vector = vector / vector.norm()
    for _ in range(steps):
        image = delta.mT @ (delta @ vector)
        image = image / image.norm()
        if float((image - vector).norm()) < 1e-12:
            return image
        vector = image
    return vector
