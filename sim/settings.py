"""The worlds in which an editor is certified."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from sim.editor import Editor
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
        original: values are solved on the weight before any edit, as NSE does.
    """

    name: str
    m: int = 8
    n: int = 16
    keys: str = "isotropic"
    values: str = "across"
    clamp: float = 0.75
    batch: int = 1
    dtype: str = "float64"
    original: bool = False

    @property
    def like(self) -> Tensor:
        """An empty tensor of the setting's dtype."""
        return torch.empty(0, dtype=getattr(torch, self.dtype))

    def covariance(self) -> Float[Tensor, "n n"]:
        """E[k kᵀ], of trace n: the statistic that a rule of the field would have taken."""
        spread = torch.logspace(0, math.log10(30), self.n, dtype=torch.float64)
        sizes = spread * self.n / spread.sum() if self.keys == "anisotropic" else torch.ones_like(spread)
        return torch.diag(sizes).to(self.like)

    def value_norm(self) -> float:
        """The norm of a solved value on the unedited weight, on average: what NAS anchors to."""
        return self.clamp if self.values == "fixed" else math.sqrt((1 + self.clamp**2) * self.m)


KEYS = {
    "isotropic": "keys N(0, I)",
    "anisotropic": "keys N(0, Σ), Σ diagonal of trace n, its eigenvalues geometric and a factor 30 apart",
    "unseen": "keys N(0, I) projected off W's rows, which W answers with 0",
}
VALUES = {
    "across": "v = {read} + δ with ‖δ‖ = {c:g}‖{read}‖, δ uniform across {read}",
    "any": "v = {read} + δ with ‖δ‖ = {c:g}‖{read}‖, δ uniform in every direction",
    "fixed": "v ~ N(0, {c:g}²/m · I), whatever Wk is",
}


def worded(setting: Setting) -> str:
    """A setting's laws in words, as a certificate's card has them.

    >>> worded(BASE)
    'm = 8, n = 16, keys N(0, I), v = Wk + δ with ‖δ‖ = 0.75‖Wk‖, δ uniform across Wk, float64'
    """
    values = VALUES[setting.values].format(c=setting.clamp, read="W_0k" if setting.original else "Wk")
    batch = f", {setting.batch} requests a write" if setting.batch > 1 else ""
    return f"m = {setting.m}, n = {setting.n}, {KEYS[setting.keys]}, {values}{batch}, {setting.dtype}"


MakeEditor = Callable[[Setting], Editor]
"""A setting -> the editor for it, such as `sim.compose.compose` makes."""

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
    laws: dict[str, Callable[[], KeyLaw]] = {
        "isotropic": isotropic_keys,
        "anisotropic": lambda: gaussian_keys(setting.covariance()),
        "unseen": unseen_keys,
    }
    values: dict[str, Callable[[float], ValueLaw]] = {
        "across": orthogonal_shift,
        "any": isotropic_shift,
        "fixed": free_values,
    }
    weight = draw_weight(setting.m, setting.n, generator, dtype=setting.like.dtype)
    return LinearMemory(weight, laws[setting.keys](), values[setting.values](setting.clamp), setting.original)
