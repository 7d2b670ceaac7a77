"""What a rule will do to the norm of a weight, foretold from a sample of its keys: `python -m theory predict`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from theory.accumulating.spectrum import field_at
from theory.accumulating.threshold import Threshold, sample_spectrum, threshold
from theory.anchoring.excitation import Excitation, excitation, plateau_interval
from theory.command import Misuse
from theory.growth.growth_operator import Radius
from theory.growth.key_laws import Array, Gain, SampleKeys, check_covariance, sample_keys
from theory.growth.radius_bounds import RadiusInterval, radius_interval
from theory.growth.value_models import ValueModel, doubling_time, growth, relative_shift
from theory.writes.rules import Form, metric_form

RIDGED = ("alphaedit", "deltaedit", "encore", "rlsedit")
"""Accumulating rules whose A_0 holds a multiple of I beside that of C, where they have one."""


@dataclass(frozen=True)
class Rule:
    """A rule with the hyper-parameters that set its metric.

    Attributes:
        name: as `theory.writes.rules` lists it.
        weighting: λ of A = λC, the factor of I where a rule has no C (exp(λ) for RLEdit, α for StableEdit), mu²w for
            RLSEdit; 1 for ROME, where it does not matter.
        ridge: the multiple of I in A_0, in key units squared: L2 of AlphaEdit, ρ of ENCORE, lam² of RLSEdit. EMMET's ρ
            is taken for 0, and MEMIT-seq, NSE and OTE-SE have none.
        layers_left: L − i, the number of layers over which the residual is still spread; the share is 1/(L − i).
    """

    name: str
    weighting: float = 1.0
    ridge: float = 10.0
    layers_left: int = 1


class Memoryless(NamedTuple):
    """The forecast of a rule whose metric stays: the mean of ‖W‖²_{M⁻¹} grows exponentially, or not at all.

    Attributes:
        form: the rule's metric and gain.
        factor: of E‖W‖² per edit, for the law that draws each sampled key with equal probability.
        interval: what the sample says of the radius of the law behind it; None for fewer than four keys.
        doubling: edits until the mean norm squared has doubled; infinite where it does not grow.
        excitation: μ of the keys.
        plateau: T5's bound a²E[η/s]/μ on the anchored ‖W‖²_C (Frobenius for C = I), s = kᵀC⁻¹k, in units of a²: its
            values at the two ends of μ's interval.
        mean_gain: the mean written share η.
    """

    form: Form
    factor: Radius
    interval: RadiusInterval | None
    doubling: float
    excitation: Excitation
    plateau: tuple[float, float]
    mean_gain: float


class Accumulating(NamedTuple):
    """The forecast of a rule that remembers its keys: a threshold and a saturation, by T3b's mean field.

    Attributes:
        form: the rule's metric and gain.
        threshold: the edit of fastest growth.
        readout: E‖Wk‖²'s factor after the edits of `at`.
        at: edit numbers.
    """

    form: Form
    threshold: Threshold
    readout: Array
    at: Array


Forecast = Memoryless | Accumulating


def forecast(
    keys: Array,
    rule: Rule,
    model: ValueModel | None = None,
    covariance: Array | None = None,
    confidence: float = 0.95,
) -> Forecast:
    """Foretell the norm under a rule.

        memoryless:    E‖W_t‖²_{M⁻¹} ~ ρ(L)ᵗ,  L(X) = X + b(BX + XB) + (b² + ω²)T(X)
        accumulating:  E‖W_t k‖²/E‖W_0 k‖² ≈ ((1 + s_0)/(1 + s_t))^(c²),  c for c/(L − i) of a spread residual

    Args:
        keys: (N, n) one key a row, in key units.
        rule: name and hyper-parameters.
        model: of the solved values; None is a relative shift of c = 0.75, the published clamp.
        covariance: C (n, n), key units squared, of the rules whose metric has one; None is C = I.
        confidence: of each side of the intervals that the sample gives.

    Returns:
        The forecast. It speaks of the mean over streams whose keys are drawn like the sample, independently of W.

    Raises:
        Misuse: a rule without metric form, keys or a covariance that cannot be used, a covariance for a rule without C,
            or an accumulating rule with another value model than a relative shift.

    Source: T3.value_map, T3.sampling, T5.excitation_interval, T3b.spectrum.

    >>> found = forecast(np.eye(4), Rule("rome"), relative_shift(1.0))
    >>> round(found.factor.value, 12), round(found.doubling, 3)
    (1.25, 3.106)
    """
    form, model = metric_form(rule.name), relative_shift(0.75) if model is None else model
    check(rule, confidence)
    if covariance is not None and "C" not in form.metric_text:
        raise Misuse(f"{rule.name} writes with M = {form.metric_text}, which has no covariance C; leave it out")
    if form.accumulates:
        return accumulating(keys, rule, form, model, covariance)
    statistic = None if covariance is None else covariance * rule.weighting
    scale = rule.weighting if covariance is None else 1.0  # A = λI leaves the directions as they are
    gain = Gain(scale if form.gain == "soft" else 0.0, 1 / rule.layers_left)
    law = sample_keys(np.asarray(keys, dtype=np.float64).T, statistic, gain)
    factor = growth(law, model)
    enough = len(law.sizes) >= 4
    excited = excited_by(law, confidence)
    in_units = 1.0 if covariance is None else rule.weighting  # s is kᵀC⁻¹k, but kᵀ(λC)⁻¹k where C was given
    inverse = float((law.gains / law.sizes).mean()) / in_units
    return Memoryless(
        form,
        factor,
        radius_interval(law, confidence) if enough else None,
        doubling_time(factor.value),
        excited,
        plateau_interval(excited, 1.0, inverse),
        float(law.gains.mean()),
    )


def check(rule: Rule, confidence: float) -> None:
    """Raise Misuse for hyper-parameters that no rule has."""
    if not 0 < rule.weighting < np.inf:
        raise Misuse(f"the weighting λ is {rule.weighting}; it must be positive, such as 15000")
    if rule.layers_left < 1:
        raise Misuse(f"the residual is spread over {rule.layers_left} layers; give at least 1")
    if not 0 < confidence < 1:
        raise Misuse(f"the confidence is {confidence}; it must lie between 0 and 1, such as 0.95")


def excited_by(law: SampleKeys, confidence: float) -> Excitation:
    """μ of a law of sampled keys, whose directions are already in the metric's coordinates."""
    return excitation(law.directions, shares=law.gains, confidence=confidence)


def accumulating(keys: Array, rule: Rule, form: Form, model: ValueModel, covariance: Array | None) -> Accumulating:
    """The mean field of a rule that starts from A_0 (λC, L2·I or both) and adds every key to it."""
    if rule.name == "rlsedit-released":
        raise Misuse(f"{rule.name} writes z − h for Wk + (z − h), which is no relative shift; ask for rlsedit")
    if model.pull or model.absolute:
        raise Misuse(
            f"{rule.name} accumulates keys, and its law is known for a relative shift alone; give --clamp alone"
        )
    sample, ridge = np.asarray(keys, dtype=np.float64), starting_ridge(rule, form)
    if covariance is not None:  # in the coordinates where A_0 = I
        check_covariance(covariance, "the covariance C")
        if sample.ndim != 2 or sample.shape[1] != len(covariance):
            raise Misuse(f"the covariance C {covariance.shape} does not fit keys {sample.shape}; keys are rows (N, n)")
        start = rule.weighting * covariance + (ridge - rule.weighting) * np.eye(len(covariance))
        sample, ridge = np.linalg.solve(np.linalg.cholesky(start), sample.T).T, 1.0
    found = threshold(sample, ridge)
    last = max(2 * int(found.edits), 2 * len(sample), 16)
    at = np.unique(np.linspace(0, last, 9).astype(int))
    gain = 1 + field_at(sample_spectrum(sample), ridge, at).gain
    return Accumulating(form, found, (gain[0] / gain) ** ((model.relative / rule.layers_left) ** 2), at)


def starting_ridge(rule: Rule, form: Form) -> float:
    """A_0 = ridge·I for C = I.

    Raises:
        Misuse: a ridge that is not positive, for a rule that has one.
    """
    ridge = rule.ridge if rule.name in RIDGED else 0.0
    if rule.name in RIDGED and not 0 < ridge < np.inf:
        raise Misuse(f"the ridge is {ridge}; it must be positive and finite, such as 10")
    return ridge + (rule.weighting if "C" in form.metric_text else 0.0)


def read_tensors(path: Path, name: str) -> Array:
    """A matrix of a safetensors file, in float64.

    Args:
        path: the file.
        name: the tensor's name, such as "keys".

    Raises:
        Misuse: the file is missing or no safetensors file, or holds no matrix of that name.
    """
    if not path.is_file():
        raise Misuse(f"{path} is no file; write one with `python -m real_models keys`, or from your own keys (N, n)")
    try:
        held = load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:
        raise Misuse(f"{path} is no safetensors file that numpy can read ({error}); save float32 or float64") from error
    if name not in held:
        raise Misuse(f"{path} holds {', '.join(sorted(held)) or 'nothing'}, not {name!r}; name the tensor so")
    if held[name].ndim != 2:
        raise Misuse(f"{name!r} of {path} has shape {held[name].shape}; pass a matrix, one key a row")
    return np.asarray(held[name], dtype=np.float64)
