"""The published rules in T1's terms, as data: which metric M each writes in, with which gain, and which have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from theory.command import Misuse

Gain = Literal["hard", "soft", "none"]


@dataclass(frozen=True)
class Form:
    """One published rule as a write Δ = R T (MK)ᵀ, H = KᵀMK, or why it is none.

    Attributes:
        name: what the rule is called on a command line.
        metric_text: M, in the letters of the account (C covariance, λ its weight, Σ past keys' kkᵀ); "" without one.
        gain: "hard" is T = H⁻¹ (η = 1), "soft" is T = (I + H)⁻¹ (η = s/(1+s)), "none" is no metric form.
        accumulates: whether M shrinks by every absorbed key, so that the rule has a memory.
        source: the code that was read, and the claim that proves the form where there is one.
        note: how released code or larger batches depart from it, or the reason why there is no metric form.
    """

    name: str
    metric_text: str
    gain: Gain
    accumulates: bool
    source: str
    note: str = ""


METRIC_FORMS = (
    Form("rome", "C⁻¹", "hard", False, "kmeng01/rome, T1.rome",
         "the paper's equation, with one key; released code reads the residual at another key: rome-released; NAS's "
         "files for Llama-3 and Qwen2.5 take C = I"),
    Form("r-rome", "C⁻¹", "hard", False, "scalable-model-editing/rebuilding-rome, T1.r_rome",
         "one key throughout, the bare one or the average over prefixes"),
    Form("memit", "(λC)⁻¹", "soft", False, "kmeng01/memit, T1.memit",
         "the residual is spread over the layers: share η/(L−i), T1.spread"),
    Form("memit-seq", "(λC + Σ)⁻¹", "soft", True, "jianghoucheng/AlphaEdit memit_seq, T1.memit_seq",
         "Σ holds keys read again on the edited weights"),
    Form("emmet", "(λC + ρI)⁻¹", "hard", False, "scalable-model-editing/unified-model-editing, T1.emmet, T2.emmet",
         "released batches of u > 1 add 0.1·I to H: they are MEMIT with 0.1·λ and 0.1·ρ, T2.emmet_released; a cache of "
         "past keys is an option"),
    Form("alphaedit", "P(PΣP + L2·I)⁻¹P", "soft", True, "jianghoucheng/AlphaEdit, T1.alphaedit",
         "singular: the identity holds on range(P), with WPk for Wk"),
    Form("encore", "(λC + ρI + Σ)⁻¹", "soft", True, "scalable-model-editing/encore, T1.encore",
         "Σ holds keys read before the layer is written; ρ is a ridge on Δ, not on W"),
    Form("nse", "E(λC_SS + Σ_SS)⁻¹Eᵀ", "soft", True, "jianghoucheng/NSE, T1.nse",
         "E selects the neurons S, which depend on the keys; singular: the identity holds on W's columns S, with W_S "
         "k_S for Wk"),
    Form("rlsedit", "(lam²I + mu²wC + Σ)⁻¹", "soft", True, "Euphoria040201/RLSEdit, T1.rlsedit",
         "as published; released code asks for another value: rlsedit-released"),
    Form("rlsedit-released", "(lam²I + mu²wC + Σ)⁻¹", "soft", True, "Euphoria040201/RLSEdit line 344",
         "the value is z − h in place of Wk + (z − h), which draws Wk towards z − h: T1.rlsedit_released"),
    Form("ote-se", "(λC + Σ)⁻¹", "soft", True, "arXiv 2605.26670, T2.sequential",
         "from the paper's theorem on accumulated constraints; no code was read, and the start λC is an assumption"),
    Form("deltaedit", "P(PΣP + L2·I)⁻¹P", "soft", True, "CaoD-USTC/DeltaEdit",
         "AlphaEdit's solve; its own idea is a projection of the shift δ, a value transform"),
    Form("ultraedit", "I", "soft", False, "XiaojieGu/UltraEdit, T1.ridge_shift",
         "the shift is a scaled gradient −lr‖h̃‖²g̃ in place of a solved v − Wk"),
    Form("rledit", "I/exp(λ)", "soft", False, "zhrli324/RLEdit, T1.ridge_shift",
         "keys and shifts come from a trained hyper-network"),
    Form("stableedit", "I/α", "soft", False, "MINE-USTC/StableEdit, T1.ridge_shift",
         "UltraEdit's write with whitened gradients as shifts"),
)  # fmt: skip
"""The rules that T1 or T2 is about."""

OTHER_RULES = (
    Form("rome-released", "", "none", False, "kmeng01/rome, T1.mismatch",
         "u comes from the averaged key and the residual from the bare one, so Δ = r(C⁻¹k̄)ᵀ/kᵀC⁻¹k̄"),
    Form("lyaplock", "", "none", True, "wpwpwpyo/LyapLock, T1.lyaplock",
         "its step adds a pull (B − WA)(A + kkᵀ)⁻¹ to MEMIT's partial write, so that W' = (B + vkᵀ)(A + kkᵀ)⁻¹"),
    Form("ft", "", "none", False, "NAS baselines/ft", "Adam on the loss, without keys or values"),
    Form("mose", "", "none", False, "famoustourist/MOSE", "a multiplicative write W' = QW, Q orthogonal"),
    Form("rect", "", "none", False, "JasonForJoy/Model-Editing-Hurt",
         "zeroes entries of another rule's Δ: a delta transform, after which Δ is in general no longer of rank u"),
    Form("prune", "", "none", False, "mjy1111/PRUNE",
         "compresses the singular values of W_n − W_0 once, after all edits: no write of its own"),
    Form("sphere", "", "none", False, "PlusLabNLP/SPHERE",
         "filters another rule's Δ from the right, so that (I − αUUᵀ)M is in general not symmetric: a delta transform"),
    Form("revive", "", "none", False, "arXiv 2601.11042",
         "filters another rule's Δ from both sides: a delta transform"),
    Form("eac", "", "none", False, "famoustourist/EAC",
         "keeps few coordinates of the shift δ: a value transform; the metric is that of the rule it is put into"),
    Form("nas", "", "none", False, "SasyaTitech/NAS",
         "rescales the value v: a value transform; the metric is that of the rule it is put into"),
)  # fmt: skip
"""The rules that are no partial write in a metric, each with the reason."""

RULES = {form.name: form for form in (*METRIC_FORMS, *OTHER_RULES)}
"""Every rule by name."""


def metric_form(name: str) -> Form:
    """The metric M and the gain T with which a rule writes Δ = R T (MK)ᵀ.

    Args:
        name: a rule's name in lower case, such as "memit-seq".

    Returns:
        Its form.

    Raises:
        Misuse: no rule is called so, or the rule is no partial write in a metric.

    Source: T1, T2.

    >>> metric_form("memit").metric_text, metric_form("memit").gain
    ('(λC)⁻¹', 'soft')
    >>> metric_form("prune")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    theory.command.Misuse: prune has no metric form (compresses ...); rules that have one are rome, r-rome, ...
    """
    known = ", ".join(form.name for form in METRIC_FORMS)
    if name not in RULES:
        raise Misuse(f"there is no rule {name!r}; rules with a metric form are {known}")
    form = RULES[name]
    if form.gain == "none":
        raise Misuse(f"{name} has no metric form ({form.note}); rules that have one are {known}")
    return form
