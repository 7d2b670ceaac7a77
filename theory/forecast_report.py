"""A forecast in words and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theory.forecast import Accumulating, Forecast, Memoryless


def lines(found: Forecast, confidence: float) -> list[str]:
    """The forecast, one fact a line, each with what it rests on."""
    form = found.form
    head = [f"{form.name}: M = {form.metric_text}, {form.gain} writes ({form.source})"]
    return head + (memoryless(found, confidence) if isinstance(found, Memoryless) else accumulating(found))


def memoryless(found: Memoryless, confidence: float) -> list[str]:
    """What a rule without memory does."""
    factor, excited, drawn = found.factor, found.excitation, found.interval
    each = f"{100 * confidence:g} % a side"
    facts = {
        "growth factor of E‖W‖²": f"{factor.value:.8g} an edit, [{factor.low:.8g}, {factor.high:.8g}] for these keys",
        "doubling time": edits(found.doubling),
        "mean written share η": f"{found.mean_gain:.4g}",
    }
    if drawn is not None:
        facts["radius ρ of the keys' law"] = f"{drawn.low:.4g} to {drawn.high:.4g} ({each}, were the keys independent)"
        facts["expected below, above ρ"] = f"{drawn.cross_fit:.4g} (held-out keys), {drawn.full_sample:.4g} (all keys)"
    least, most = map(bound, found.plateau)
    facts["excitation μ"] = (
        f"{excited.low:.3g} to {excited.high:.3g} ({each}, {excited.keys} keys, n = {excited.dimension})"
    )
    facts["bound of anchored ‖W‖²"] = f"{least} to {most}, at the two ends of μ"
    return [f"{name:<26}{fact}" for name, fact in facts.items()] + [
        "The factor is that of the mean over streams whose keys are drawn like these, independently of W. Typical",
        "streams grow more slowly (Jensen); none grows where values are no longer than read-outs, key by key.",
    ]


def edits(count: float) -> str:
    """A number of edits."""
    return f"{count:,.0f} edits" if math.isfinite(count) else "never: the mean norm does not grow"


def bound(factor: float) -> str:
    """A bound in units of a²."""
    return f"{factor:.4g} a²" if math.isfinite(factor) else "∞ (the keys may leave a direction out)"


def accumulating(found: Accumulating) -> list[str]:
    """What a rule that remembers its keys does."""
    told = [found.threshold.sentence(), "E‖Wk‖² relative to the unedited weight's (mean field, an approximation):"]
    told += [f"  after {edit:>8,} edits  {factor:.4g}" for edit, factor in zip(found.at, found.readout, strict=True)]
    return [*told, "It saturates: an accumulating rule does not grow exponentially under a relative shift."]


def as_json(found: Forecast) -> dict[str, Any]:
    """The forecast's fields as strict JSON: infinity becomes text."""

    def strict(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: strict(part) for name, part in value._asdict().items()}
        if isinstance(value, np.ndarray):
            return [strict(part) for part in value.tolist()]
        if isinstance(value, tuple):
            return [strict(part) for part in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    kind = "accumulating" if isinstance(found, Accumulating) else "memoryless"
    fields = {name: value for name, value in found._asdict().items() if name != "form"}
    return {"rule": found.form.name, "kind": kind, "metric": found.form.metric_text, "gain": found.form.gain} | {
        name: strict(value) for name, value in fields.items()
    }
