"""The worlds in which an editor is certified."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator

from sim.memory import (
    KeyLaw,
    LinearMemory,
    ValueLaw,
    draw_weight,
    free_values,
    gaussian_keys,
    isotropic_keys,
    isotropic_shift,
    orthogonal_shift,
    unseen_keys,
)


@dataclass(frozen=True)
class Setting:
    """One world in which an editor is tried.

    Attributes:
        name: how a certificate calls it.
        m: value dimension.
        n: key dimension.
        keys: "isotropic", "anisotropic" (eigenvalues a factor 30 apart) or "unseen" (the adversary of T5).
        values: "across" (v = Wk + δ, δ across Wk), "any" (δ in any direction) or "fixed" (‖v‖ does not follow W).
        clamp: c = ‖δ‖/‖Wk‖, or ‖v‖ where values are fixed.
        batch: u, requests a write.
        dtype: arithmetic.
    """

    name: str
    m: int = 8
    n: int = 16
    keys: str = "isotropic"
    values: str = "across"
    clamp: float = 0.75
    batch: int = 1
    dtype: str = "float64"


BASE = Setting("relative shift")
SETTINGS = (
    BASE,
    Setting("larger", m=16, n=32),
    Setting("shift in any direction", values="any"),
    Setting("anisotropic keys", keys="anisotropic"),
    Setting("batches of four", batch=4),
    Setting("values of fixed norm", values="fixed", clamp=3.0),
    Setting("float32", dtype="float32"),
    Setting("adversarial keys", keys="unseen", values="fixed", clamp=3.0),
)


def make_world(setting: Setting, generator: Generator) -> LinearMemory:
    """A memory of the setting, with a weight drawn anew."""
    dtype = getattr(torch, setting.dtype)
    spread = torch.logspace(0, math.log10(30), setting.n, dtype=torch.float64)
    laws: dict[str, Callable[[], KeyLaw]] = {
        "isotropic": isotropic_keys,
        "anisotropic": lambda: gaussian_keys(torch.diag(spread * setting.n / spread.sum()).to(dtype)),
        "unseen": unseen_keys,
    }
    values: dict[str, Callable[[float], ValueLaw]] = {
        "across": orthogonal_shift,
        "any": isotropic_shift,
        "fixed": free_values,
    }
    weight = draw_weight(setting.m, setting.n, generator, dtype=dtype)
    return LinearMemory(weight, laws[setting.keys](), values[setting.values](setting.clamp))
