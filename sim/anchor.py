"""The anchor of Norm-Anchor Scaling: a trimmed mean of value norms, solved once on the unedited weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from theory.command import Misuse


class PilotAnchor(NamedTuple):
    """What a pilot measured.

    Attributes:
        norm: a, the trimmed mean of ‖v‖, in value units.
        standard_error: of `norm`; the plateau of ‖W‖² scales with a², so its relative error is twice this one's.
        pilots: N, how many pilot edits were solved.
        dropped: how many of the largest norms the trim left out.
    """

    norm: float
    standard_error: float
    pilots: int
    dropped: int


def trimmed_mean(norms: Float[Tensor, " N"], trim: float = 0.05) -> Float[Tensor, ""]:
    """The mean without the largest values.

        a = mean of the N − ⌊trim·N⌋ smallest norms

    Args:
        norms: (N,) value norms, N ≥ 1.
        trim: the share of the largest norms that is dropped, 0 ≤ trim < 1.

    Returns:
        The trimmed mean, in value units.

    Raises:
        Misuse: no norm, a norm that is not finite, or a share outside [0, 1).

    Source: SasyaTitech/NAS, `util/vstar_stats.py`.

    >>> float(trimmed_mean(torch.tensor([1.0, 2.0, 3.0, 100.0]), trim=0.25))
    2.0
    """
    if not 0 <= trim < 1:
        raise Misuse(f"the trimmed share is {trim}; choose one in [0, 1), such as 0.05")
    if norms.numel() == 0:
        raise Misuse("no pilot norm was given; solve at least two pilot edits")
    if not torch.isfinite(norms).all():
        bad = int((~torch.isfinite(norms)).sum())
        raise Misuse(
            f"{bad} of {norms.numel()} pilot norms are not finite; check the value solve on the unedited weight"
        )
    return norms.sort().values[: norms.numel() - math.floor(trim * norms.numel())].mean()


def standard_error(norms: Float[Tensor, " N"], trim: float = 0.05) -> Float[Tensor, ""]:
    """Standard error of the trimmed mean, from the winsorised sample (Tukey and McLaughlin, one-sided).

        SE = sd(min(x, x₍N−g₎)) / ((1 − g/N) √N),   g = ⌊trim·N⌋

    Args:
        norms: (N,), N ≥ 2.
        trim: as for `trimmed_mean`.

    Returns:
        The standard error, in value units.

    >>> float(standard_error(torch.tensor([1.0, 3.0]), trim=0.0))
    1.0
    """
    count = norms.numel()
    kept = count - math.floor(trim * count)
    winsorised = norms.clamp_max(norms.sort().values[kept - 1])
    return winsorised.std() / (kept / count * math.sqrt(count))


def pilot_anchor(solve: Callable[[int], Tensor], pilots: int, *, trim: float = 0.05) -> PilotAnchor:
    """Solve N pilot edits on the unedited weight and take the trimmed mean of their value norms.

        a = trimmed mean of ‖v_i‖, i = 1..N

    Args:
        solve: i -> the solved value of pilot i, (m,) or (m, u), with the weight as it was before any edit.
        pilots: N ≥ 2; 1000 as published.
        trim: the share of the largest norms that is dropped.

    Returns:
        The anchor with its standard error. Pilots are best drawn outside the stream that is to be edited.

    Raises:
        Misuse: fewer than two pilots, or a solved value that is not finite.

    Source: P7; SasyaTitech/NAS, `util/vstar_stats.py`.

    >>> pilot_anchor(lambda i: torch.tensor([3.0, 4.0]), 10).norm
    5.0
    """
    if pilots < 2:
        raise Misuse(f"{pilots} pilot edits give no standard error; use at least 2 (1000 as published)")
    norms = torch.cat([torch.linalg.vector_norm(solve(i), dim=0).reshape(-1) for i in range(pilots)])
    kept = trimmed_mean(norms, trim)
    return PilotAnchor(float(kept), float(standard_error(norms, trim)), norms.numel(), math.floor(trim * norms.numel()))
