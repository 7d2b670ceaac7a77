"""Every rule and transform of the house by name, with its source, its metric form, and how the lab sets it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from sim.deltas.cap_norm import cap_norm
from sim.deltas.cap_spectrum import cap_spectrum
from sim.deltas.decay_weight import decay_weight
from sim.deltas.prune import prune
from sim.deltas.rect import rect
from sim.deltas.revive import revive
from sim.deltas.sphere import sphere
from sim.editor import Edit, Transform, chain
from sim.rules.alphaedit import alphaedit
from sim.rules.emmet import emmet
from sim.rules.encore import encore
from sim.rules.ft import ft
from sim.rules.lyaplock import lyaplock
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.mose import mose
from sim.rules.nse import nse
from sim.rules.ote_se import ote_se
from sim.rules.rlsedit import rlsedit, rlsedit_released
from sim.rules.rome import rome
from sim.rules.rome_averaged import rome_averaged
from sim.settings import Setting
from sim.values.anchor_norm import anchor_norm
from sim.values.clip_norm import clip_norm
from sim.values.drop_norm import drop_norm
from sim.values.keep_dimensions import keep_dimensions
from sim.values.leave_noise import leave_noise
from sim.values.normalised_shift import normalised_shift
from sim.values.residual_target import residual_target

SOFT, HARD, NONE = "η = s/(1+s)", "η = 1", "none"


class Part(NamedTuple):
    """A rule or a transform.

    Attributes:
        make: its factory.
        lab: the factory's arguments in a setting of the lab, which the caller may override.
        form: its metric form, M and η; "none" where it has none; "" for transforms.
        source: where it was published.
        values: a value transform that belongs to the rule.
    """

    make: Callable[..., Any]
    lab: Callable[[Setting], dict[str, Any]]
    form: str
    source: str
    values: Callable[[], Transform[Edit]] | None = None


class Policy(NamedTuple):
    """A choice of the value solve: on a model an option of `python -m real_models edit`.

    Attributes:
        option: that option.
        source: where it was published.
        setting: the world of a linear memory in which it is certified; None where it changes a solve only, which a
            linear memory has not.
    """

    option: str
    source: str
    setting: Setting | None = None


def nas_dropping(anchor: float) -> Transform[Edit]:
    """NAS with its drop rule: a value above twice the anchor is not written.

    >>> nas_dropping(1.0).by_request
    True
    """
    return chain(drop_norm(2 * anchor), anchor_norm(anchor))


def _nothing(setting: Setting) -> dict[str, Any]:
    return {}


def _covariance(**others: float) -> Callable[[Setting], dict[str, Any]]:
    return lambda setting: {"covariance": setting.covariance(), **others}


def _weighted(**others: float) -> Callable[[Setting], dict[str, Any]]:
    """C, and λ = n: of the order of the keys' norm squared, as 15000 is on GPT-J."""
    return lambda setting: {"covariance": setting.covariance(), "weighting": float(setting.n), **others}


def _axes(share: float) -> Callable[[Setting], dict[str, Any]]:
    """P on the first axes."""
    return lambda s: {"basis": torch.eye(s.n, dtype=s.like.dtype)[:, : round(share * s.n)], "ridge": 10.0}


def _anchored(setting: Setting) -> dict[str, Any]:
    return {"anchor": setting.value_norm()}


RULES: dict[str, Part] = {
    "ft": Part(
        ft,
        lambda s: {"rate": 0.5 / s.n, "steps": 1},
        "M = I, η = 1 − (1 − rate·s)ᵗ",
        "kmeng01/rome, baselines/ft; plain steps in place of Adam's",
    ),
    "rome": Part(rome, _nothing, f"M = I, {HARD}", "kmeng01/rome; r-ROME; C = I as in NAS on Llama"),
    "rome_c": Part(rome, _covariance(), f"M = C⁻¹, {HARD}", "kmeng01/rome; r-ROME"),
    "rome_averaged": Part(rome_averaged, lambda s: {"average": lambda key: key + 0.3}, NONE, "kmeng01/rome"),
    "emmet": Part(emmet, _covariance(weighting=1.0), f"M = (λC + ρI)⁻¹, {HARD}", "unified-model-editing"),
    "memit": Part(memit, _weighted(), f"M = (λC)⁻¹, {SOFT}", "kmeng01/memit"),
    "memit_seq": Part(memit_seq, _weighted(), f"M = (λC + Σkkᵀ)⁻¹, {SOFT}", "AlphaEdit, memit_seq_main.py"),
    "alphaedit": Part(alphaedit, _axes(0.75), f"M = P(P Σkkᵀ P + L2·I)⁻¹P, {SOFT}", "jianghoucheng/AlphaEdit"),
    "alphaedit_free": Part(alphaedit, _axes(1.0), f"M = (Σkkᵀ + L2·I)⁻¹, {SOFT}", "jianghoucheng/AlphaEdit with P = I"),
    "encore": Part(encore, _weighted(penalty=1.0), f"M = (λC + ρI + Σkkᵀ)⁻¹, {SOFT}", "scalable-model-editing/encore"),
    "rlsedit": Part(rlsedit, _weighted(ridge=1.0), f"M = (λ²I + μ²C + Σkkᵀ)⁻¹, {SOFT}", "RLSEdit, as published"),
    "rlsedit_released": Part(
        rlsedit_released, _weighted(), f"M = (μ²C + Σkkᵀ)⁻¹, {SOFT}", "Euphoria040201/RLSEdit", residual_target
    ),
    "ote_se": Part(
        ote_se,
        lambda s: {"size": s.n, "ridge": float(s.n), "like": s.like},
        f"M = (ρI + Σkkᵀ)⁻¹, {SOFT}",
        "arXiv 2605.26670",
    ),
    "nse": Part(nse, _weighted(), f"M = (λC + Σkkᵀ)⁻¹, {SOFT}", "jianghoucheng/NSE, all neurons"),
    "nse_neurons": Part(nse, _weighted(share=0.8), NONE, "jianghoucheng/NSE, GPT-J's share of neurons"),
    "lyaplock": Part(lyaplock, _weighted(), NONE, "wpwpwpyo/LyapLock"),
    "ultraedit": Part(
        memit,
        lambda s: {"weighting": 1.0},
        f"M = I, {SOFT}",
        "XiaojieGu/UltraEdit",
        lambda: normalised_shift(0.01),
    ),
    "stableedit": Part(
        memit,
        lambda s: {"weighting": 1.0},
        f"M = I, {SOFT}",
        "MINE-USTC/StableEdit",
        lambda: normalised_shift(0.01, whiten=True),
    ),
    "mose": Part(mose, _nothing, NONE, "arXiv 2601.07873"),
}

VALUES: dict[str, Part] = {
    "nas": Part(anchor_norm, _anchored, "", "arXiv 2602.02543; SasyaTitech/NAS"),
    "nas_one_sided": Part(anchor_norm, lambda s: {**_anchored(s), "two_sided": False}, "", "one-sided control"),
    "nas_dropping": Part(nas_dropping, _anchored, "", "SasyaTitech/NAS, with its drop rule at 2a"),
    "clip_relative": Part(clip_norm, lambda s: {"ratio": 0.5}, "", "kmeng01/rome, the clamp of the value solve"),
    "clip_absolute": Part(clip_norm, lambda s: {"limit": 1.0}, "", "arXiv 2602.02543, increment-level control"),
    "eac": Part(keep_dimensions, lambda s: {"share": 0.25}, "", "famoustourist/EAC"),
    "deltaedit": Part(leave_noise, _nothing, "", "CaoD-USTC/DeltaEdit"),
}

DELTAS: dict[str, Part] = {
    "rect": Part(rect, _nothing, "", "Model-Editing-Hurt, 20 %"),
    "rect_ported": Part(rect, lambda s: {"share": 0.4, "offset": 1e-8}, "", "AlphaEdit, memit_rect_main.py, 40 %"),
    "prune": Part(prune, _nothing, "", "mjy1111/PRUNE, after every write"),
    "prune_ported": Part(
        prune, lambda s: {"at": 500, "doubled": True}, "", "AlphaEdit, evaluate.py: once, at one write, added twice"
    ),
    "sphere": Part(sphere, _nothing, "", "PlusLabNLP/SPHERE"),
    "revive": Part(revive, _nothing, "", "arXiv 2601.11042"),
    "cap_relative": Part(cap_norm, lambda s: {"ratio": 0.05}, "", "arXiv 2602.02543, increment-level control"),
    "cap_absolute": Part(cap_norm, lambda s: {"limit": 0.2}, "", "arXiv 2602.02543, increment-level control"),
    "cap_spectrum": Part(cap_spectrum, lambda s: {"limit": 0.2}, "", "arXiv 2602.02543, increment-level control"),
    "decay": Part(decay_weight, lambda s: {"rate": 0.1}, "", "weight decay, a state-level control"),
}

POLICIES: dict[str, Policy] = {
    "values_original": Policy(
        "--values-from original", "jianghoucheng/NSE", Setting("values solved on W_0", original=True)
    ),
    "mpes": Policy("--most-probable 4", "scalable-model-editing/encore, per request"),
    "eac_solve": Policy("--keep 0.2", "famoustourist/EAC, with its elastic net"),
    "anchor_every": Policy("--anchor --anchor-at every", "an anchor a layer, on what each layer writes"),
    "anchor_drop": Policy("--anchor --drop 2", "SasyaTitech/NAS, its drop rule"),
}
