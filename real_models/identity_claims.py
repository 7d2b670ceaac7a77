"""T1 on a trained transformer's weights, beside the rounding of their storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from scipy import stats

from real_models.finished import Run
from sim.confrontation import CONFIDENCE
from sim.montecarlo import student_interval
from theory.claim import Claim, Evidence, Kind
from theory.precision.storage import noise_level

ALARM = 0.01
"""Probability with which rounding alone would refute T1 over all writes together."""


def identity_claim(runs: Mapping[str, Run]) -> Claim[Callable[[pd.DataFrame], pd.Series]]:
    """T1 on the weights as the model stores them; the formula is fed by norms, not by the delta's factors."""

    def check(formula: Callable[[pd.DataFrame], pd.Series]) -> Evidence:
        errors, lines, rounding = {}, [], True
        for name, run in runs.items():
            rows = run.rows
            error = rows["identity_measured"] - formula(rows)
            errors[name] = noises = error / rows["identity_noise"]
            square = student_interval((noises**2).to_numpy(), CONFIDENCE)
            rounding &= square.low <= 1 <= square.high
            lines.append(
                f"{name}: {len(rows)} writes, mean square {square.mean:.3g} [{square.low:.3g}, {square.high:.3g}] σ², "
                f"largest {noises.abs().max():.3g} σ; relative to the terms' size at most "
                f"{(error.abs() / rows['identity_scale']).max():.1e}"
            )
        every = pd.concat(errors.values()).abs()
        level = noise_level(len(every), ALARM)
        beyond = int((~(every < level)).sum())
        share = stats.binomtest(beyond, len(every)).proportion_ci(method="exact")
        return Evidence(
            beyond == 0 and rounding,
            beyond / len(every),
            0.0,
            interval=(share.low, share.high),
            steps=(
                f"{beyond} of {len(every)} writes miss it by {level:.2f} σ or more, which rounding alone does with a "
                f"probability of at most {ALARM:g}; the interval takes writes as independent",
                *lines,
                f"Student t over writes at level {CONFIDENCE}",
            ),
        )

    return Claim(
        "M1.identity",
        "P4, T1",
        Kind.MEASURED,
        "on the trained transformer T1's identity holds at every write of ROME (C = I, with and without NAS), MEMIT "
        "and AlphaEdit but for the rounding of the stored float32 weight, whose σ T7.stored_change gives: in every run "
        f"the mean square of its error is σ², and none of N writes misses it by z = √(2 ln(2N/{ALARM:g})) σ",
        check,
        lambda rows: master(rows, 1.0),
        lambda rows: master(rows, 0.0),
        "the change is (‖v‖² − ‖Wk‖²)/s whatever η: P4 read for every rule",
        command=runs["memit"].command,
    )


def master(rows: pd.DataFrame, share: float) -> pd.Series:
    """T1's right-hand side from norms: [η(‖v‖² − ‖Wk‖²) − η(1 − η)‖r‖²]/s, or with η = 1 where `share` is 0.

    Wk is W's own read-out (of AlphaEdit WPk), v = Wk + r.
    """
    eta = rows["eta"] if share else 1.0
    gain = rows["identity_value_norm"] ** 2 - rows["identity_readout_norm"] ** 2
    return (eta * gain - eta * (1 - eta) * rows["residual_norm"] ** 2) / rows["s"]
