"""Compositions whose regime theory proves, and by which claims: the ground on which certificates are judged."""

from __future__ import annotations

from typing import NamedTuple

from sim.compose import by_words
from sim.regime import Regime
from sim.settings import MakeEditor, Setting

WORLD = Setting("anisotropic keys", keys="anisotropic")
"""Shifts across the read-out and keys whose covariance no rule but those in M = C⁻¹ matches, so that rules differ."""

FROZEN = Setting("values solved on W_0", keys="anisotropic", original=True)


class Proven(NamedTuple):
    """A composition and its regime.

    Attributes:
        words: "RULE | VALUES | DELTAS", each as `sim.compose` reads it.
        regime: what theory proves in the setting.
        claims: by which claims.
        setting: the world.
    """

    words: str
    regime: Regime
    claims: tuple[str, ...]
    setting: Setting = WORLD

    @property
    def make(self) -> MakeEditor:
        """setting -> the editor."""
        rule, values, deltas = ([part.split() for part in self.words.split("|")] + [[], []])[:3]
        return by_words(rule[0], values, deltas)


EMMET = "emmet:ridge=1.0"
"""Without a ridge EMMET on single keys is ROME (T1.emmet)."""

# Relative shifts: T3.paths, whatever the metric and the share; a relative clip is another c, and with a relative cap q
# log(R'/R) is at least log(1 + min(q², c²)(x·k̂)²) on average over the weight's directions x, as T3.paths needs.
# Absolute ones: T4.clamped_paths; a cap κ on a hard write with M = I is the clamp κ of the same write at the key k̂.
# Anchors: T5 bounds the mean from above by excitation; hard writes cannot fall below a²/s (T5.one_sided), soft ones
# below η²a²/s as v·Wk > 0, and one-sided ones grow as without an anchor while they are small (T3.paths).
# Values solved on W_0: M^(1/2)k is isotropic where C is the keys' covariance, so that T5.original holds in M⁻¹.
# Decay: (1 − w)² + c²λ_max(B) < 1.
PROVEN: tuple[Proven, ...] = (
    *(
        Proven(words, "exponential", ("T3.paths",))
        for words in ("ft", "ft:steps=2", "rome", "rome_c", EMMET, "memit", "memit:weighting=4.0",
                      *(f"{rule} | clip_relative" for rule in ("rome", "rome_c", EMMET, "memit")))
    ),
    Proven("rome | | cap_relative", "exponential", ("T3.paths", "T4.caps")),
    *(
        Proven(f"{rule} | clip_absolute", "polynomial", ("T4.clamped_paths",))
        for rule in ("ft", "rome", "rome_c", EMMET, "memit")
    ),
    Proven("rome | | cap_absolute", "polynomial", ("T4.clamped_paths",)),
    *(Proven(f"{rule} | nas", "bounded", ("T5.contraction", "T5.one_sided")) for rule in ("rome", "rome_c", EMMET)),
    Proven("memit | nas", "bounded", ("T5.soft",)),
    *(Proven(f"{rule} | nas_one_sided", "bounded", ("T5.one_sided", "T3.paths")) for rule in ("rome", "rome_c")),
    Proven("mose", "bounded", ("T4.orthogonal_write",)),
    Proven("rome_c", "bounded", ("T5.original",), FROZEN),
    *(
        Proven(f"{rule} | | decay", "shrinking", ("T4.decayed_paths",))
        for rule in ("rome", "rome_c", EMMET, "memit")
    ),
)  # fmt: skip
"""Each another editor: no two write the same on the same requests."""

FORETOLD: tuple[Proven, ...] = (
    *(Proven(f"{rule} | | prune", "bounded", ("T4.prune_every_step",)) for rule in ("rome", "rome_c")),
    Proven("rome | | sphere", "exponential", ("T4.sphere",)),
    *(
        Proven(rule, "bounded", ("T3b.limits",))
        for rule in ("memit_seq", "alphaedit", "alphaedit_free", "encore", "rlsedit:ridge=4.0", "ote_se")
    ),
    *(Proven(f"{rule} | nas", "bounded", ("T3b.anchored",)) for rule in ("memit_seq", "alphaedit", "encore")),
)
"""What is known from above alone (PRUNE; a growing second moment with an anchor), or under isotropic keys alone: of the
mean (SPHERE), or in the mean field (a second moment that grows saturates)."""
