"""The claims that a trained transformer decides: T1 on its weights, growth without an anchor, boundedness with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from real_models.finished import Run
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.fits import fit_line, mean_rate

IDENTITY_TOLERANCE = 1e-4
"""Relative error of T1 that float32 weights may show; the change is compared with the size of its two terms."""
EFFICACY_FLOOR = 80.0
"""Percent of single edits that must succeed at the edited layer."""
STRAIGHT = 0.9
"""R² from which log ‖W‖ counts as a straight line."""
FRACTION = 0.5
"""The log-norm rate with NAS, late in the stream, as a share of the rate without."""


def claims(runs: Mapping[str, Run]) -> tuple[Claim[Any], ...]:
    """The measured claims.

    Args:
        runs: finished runs on the trained transformer: "layers" (single edits), "rome" and "rome-anchored" (C = I),
            "memit" and "alphaedit".

    Returns:
        The claims; their checks read the folders when they are run.
    """
    plain, anchored = runs["rome"], runs["rome-anchored"]
    return (
        identity_claim({name: run for name, run in runs.items() if name != "layers"}),
        single_edit_claim(runs["layers"]),
        growth_claim(plain, anchored),
        bounded_claim(plain, anchored),
        proportion_claim(plain, (runs["memit"], runs["alphaedit"])),
        *(scaling_claim(plain, column, symbol) for column, symbol in (("v0_norm", "v0"), ("solved_norm", "v*"))),
        collapse_claim(plain),
        specificity_claim(plain, anchored),
    )


def identity_claim(runs: Mapping[str, Run]) -> Claim[Callable[[pd.DataFrame], pd.Series]]:
    """T1 on the weights as the model stores them; the formula is fed by measured norms, not by the delta's factors."""

    def check(formula: Callable[[pd.DataFrame], pd.Series]) -> Evidence:
        errors = {}
        for name, run in runs.items():
            rows = run.rows
            # AlphaEdit's identity is stated with WPk, which only the write itself sees.
            foretold = rows["identity_predicted"] if name == "alphaedit" else formula(rows)
            errors[name] = float(((rows["identity_measured"] - foretold).abs() / rows["identity_scale"]).max())
        steps = [f"{name}: {len(runs[name].rows)} writes, largest error {error:.1e}" for name, error in errors.items()]
        worst = max(errors.values())
        return Evidence(worst < IDENTITY_TOLERANCE, worst, 0.0, IDENTITY_TOLERANCE, steps=tuple(steps))

    return Claim(
        "M1.identity",
        "P4, T1",
        Kind.MEASURED,
        "on the trained transformer T1's identity holds at every write of ROME (C = I, with and without NAS), MEMIT "
        f"and AlphaEdit, float32 weights, relative error below {IDENTITY_TOLERANCE:g}",
        check,
        lambda rows: master(rows, 1.0),
        lambda rows: master(rows, 0.0),
        "the change is (‖v‖² − ‖Wk‖²)/s whatever η: P4 read for every rule",
        command=runs["memit"].command,
    )


def master(rows: pd.DataFrame, share: float) -> pd.Series:
    """T1's right-hand side from norms: [η(‖v‖² − ‖Wk‖²) − η(1 − η)‖r‖²]/s, or with η = 1 where `share` is 0."""
    eta = rows["eta"] if share else 1.0
    gain = rows["value_norm"] ** 2 - rows["readout_norm"] ** 2
    return (eta * gain - eta * (1 - eta) * rows["residual_norm"] ** 2) / rows["s"]


def single_edit_claim(layers: Run) -> Claim[str]:
    """Single edits at the layer that was chosen by measurement, against the model before any edit."""

    def check(column: str) -> Evidence:
        layer = layers.summary["layer"]
        rows = layers.rows[layers.rows["layer"] == layer]
        hits = int((rows[column] > 50).sum())
        interval = stats.binomtest(hits, len(rows)).proportion_ci(method="exact")
        return Evidence(
            bool(100 * hits / len(rows) >= EFFICACY_FLOOR),
            100 * hits / len(rows),
            f"at least {EFFICACY_FLOOR:g}",
            interval=(100 * interval.low, 100 * interval.high),
            steps=(f"layer {layer}: {hits} of {len(rows)} single edits",),
        )

    return Claim(
        "M1.single_edit",
        "P11",
        Kind.MEASURED,
        f"at the layer chosen by measurement at least {EFFICACY_FLOOR:g} % of single edits succeed (ROME, C = I, clamp "
        "0.75): the new answer's NLL falls below the true one's",
        check,
        "efficacy",
        "efficacy_before",
        "they succeed before anything is written",
        command=layers.command,
    )


def growth_claim(plain: Run, anchored: Run) -> Claim[Run]:
    """Exponential growth against the straight line that bounded increments would give."""

    def check(run: Run) -> Evidence:
        log_norm = run.log_norm
        edits = np.arange(len(log_norm))
        rate, line = mean_rate(log_norm), fit_line(edits, log_norm)
        straight = fit_line(edits, np.exp(log_norm)).r_squared
        return Evidence(
            rate.low > 0 and line.r_squared >= STRAIGHT and line.r_squared > straight,
            measured=rate.mean,
            expected=f"positive; R² of log ‖W‖ at least {STRAIGHT} and above that of ‖W‖",
            interval=(rate.low, rate.high),
            steps=(
                f"log ‖W‖ against edits: slope {line.slope:.5f}, R² {line.r_squared:.3f}; ‖W‖: R² {straight:.3f}",
                f"‖W‖ grew {np.exp(log_norm[-1] - log_norm[0]):.2f}-fold in {len(edits) - 1} edits",
            ),
        )

    return Claim(
        "M1.growth",
        "P2, P3",
        Kind.MEASURED,
        "ROME (C = I) without NAS on the trained transformer: ‖W‖ grows, and log ‖W‖ is nearer to a straight line in "
        "the number of edits than ‖W‖ is (conditional: on this model, this clamp and this stream)",
        check,
        plain,
        anchored,
        "the run with NAS grows in the same way",
        verdict=Verdict.CONDITIONAL,
        command=plain.command,
    )


def bounded_claim(plain: Run, anchored: Run) -> Claim[Run]:
    """T5's bound at every edit, and a rate that dies away."""

    def check(run: Run) -> Evidence:
        rows, rate = run.rows, late_rate(run)
        reach = anchored.summary["anchor"] + rows["bias_norm"]
        bound = rows["weight_norm"].iloc[0] ** 2 + (reach**2 / rows["s"]).cumsum()
        used = float((rows["weight_norm_after"] ** 2 / bound).max())
        limit = FRACTION * late_rate(plain).low
        return Evidence(
            used <= 1 + IDENTITY_TOLERANCE and rate.high < limit,
            measured=rate.mean,
            expected=f"below {limit:.5f}",
            interval=(rate.low, rate.high),
            steps=(
                f"‖W_t‖² is at most {used:.3f} of T5's bound ‖W_0‖² + Σ(a + ‖b‖)²/s",
                f"log-norm rate over the stream's second half: {rate.mean:.5f} an edit",
            ),
        )

    return Claim(
        "M1.bounded",
        "P7, T5",
        Kind.MEASURED,
        "ROME (C = I) with NAS on the trained transformer: ‖W_t‖² stays below T5's bound at every edit, and the "
        "log-norm rate in the stream's second half is less than half of the rate without NAS",
        check,
        anchored,
        plain,
        "the run without NAS stays below the same bound and has a rate as low",
        verdict=Verdict.CONDITIONAL,
        command=anchored.command,
    )


def late_rate(run: Run) -> Any:
    """The mean increment of log ‖W‖ in the second half of the stream."""
    log_norm = run.log_norm
    return mean_rate(log_norm[len(log_norm) // 2 :])


def scaling_claim(run: Run, column: str, symbol: str) -> Claim[int]:
    """P5's line of a norm against ‖W‖."""

    def check(direction: int) -> Evidence:
        weight = run.rows["weight_norm"].to_numpy()
        line = fit_line(weight[::direction], run.rows[column])
        spread = stats.spearmanr(weight[::direction], run.rows[column]).statistic
        return Evidence(
            line.low > 0,
            measured=line.slope,
            expected="positive slope",
            interval=(line.low, line.high),
            steps=(
                f"‖{symbol}‖ = {line.intercept:.3f} + {line.slope:.4f} ‖W‖, R² {line.r_squared:.3f}",
                f"Spearman's ρ {spread:.3f}; a proportional law would have intercept 0",
            ),
        )

    return Claim(
        f"M1.scaling_{column.removesuffix('_norm')}",
        "P5",
        Kind.MEASURED,
        f"‖{symbol}‖ rises linearly with ‖W‖ along the stream (ROME, C = I, no NAS); the fit says how nearly it is "
        "proportional",
        check,
        1,
        -1,
        f"‖{symbol}‖ rises with the norms of the reversed stream",
        verdict=Verdict.CONDITIONAL,
        command=run.command,
    )


def proportion_claim(rome: Run, soft: tuple[Run, ...]) -> Claim[tuple[Run, ...]]:
    """P5's proportional law under the rules that measure C: the elasticity of ‖v*‖ would be 1."""

    def check(runs: tuple[Run, ...]) -> Evidence:
        lines = [fit_line(np.log(run.rows["weight_norm"]), np.log(run.rows["solved_norm"])) for run in runs]
        growth = [np.exp(run.log_norm[-1] - run.log_norm[0]) for run in runs]
        highest = max(lines, key=lambda line: line.high)
        return Evidence(
            highest.high < 1,
            measured=highest.slope,
            expected="1, were ‖v*‖ proportional to ‖W‖",
            interval=(highest.low, highest.high),
            steps=tuple(
                f"{run.folder.name}: d log ‖v*‖/d log ‖W‖ = {line.slope:.2f} [{line.low:.2f}, {line.high:.2f}] while "
                f"‖W‖ grew {factor:.2f}-fold"
                for run, line, factor in zip(runs, lines, growth, strict=True)
            ),
        )

    return Claim(
        "M1.proportion",
        "P3, P5",
        Kind.MEASURED,
        "under MEMIT and AlphaEdit, too, ‖v*‖ is proportional to ‖W‖, so that P3's loop drives the growth (refuted "
        "where the interval of d log ‖v*‖/d log ‖W‖ lies below 1: there the norm grows without the loop)",
        check,
        soft,
        (rome,),
        "the same refutation for ROME with C = I, whose values do follow the weight",
        verdict=Verdict.FALSE,
        command=soft[0].command,
    )


def collapse_claim(run: Run) -> Claim[int]:
    """P1's rank correlation, on exact match because the comparison has a floor of one half."""

    def check(sign: int) -> Evidence:
        edited = run.checkpoints[run.checkpoints["step"] > 0]
        success = (edited["efficacy_exact"] + edited["specificity_exact"]) / 2
        test = stats.spearmanr(sign * edited["weight_norm"], success, alternative="less")
        return Evidence(
            bool(test.pvalue < 0.05),
            measured=float(test.statistic),
            expected="negative, p < 0.05",
            steps=(f"{len(edited)} checkpoints, p = {test.pvalue:.4f}",),
        )

    return Claim(
        "M1.collapse",
        "P1",
        Kind.MEASURED,
        "along the stream without NAS ‖W‖ and success (mean of exact-match efficacy and specificity) are negatively "
        "rank-correlated; a correlation, not a cause: both also follow the number of edits",
        check,
        1,
        -1,
        "success falls as −‖W‖ rises",
        verdict=Verdict.CONDITIONAL,
        command=run.command,
    )


def specificity_claim(plain: Run, anchored: Run) -> Claim[tuple[Run, Run]]:
    """What NAS keeps of the neighbourhood at the end of the stream."""

    def check(pair: tuple[Run, Run]) -> Evidence:
        first, second = (run.checkpoints.iloc[-1] for run in pair)
        gain = first["specificity"] - second["specificity"]
        half = stats.norm.ppf(0.975) * np.hypot(first["specificity_se"], second["specificity_se"])
        exact = first["specificity_exact"], second["specificity_exact"]
        return Evidence(
            bool(gain > half),
            measured=float(gain),
            expected="positive",
            interval=(float(gain - half), float(gain + half)),
            steps=(
                f"by exact match {exact[0]:.1f} % against {exact[1]:.1f} %",
                f"efficacy {first['efficacy']:.1f} % against {second['efficacy']:.1f} % (chance is about 50 %)",
            ),
        )

    return Claim(
        "M1.specificity",
        "P8",
        Kind.MEASURED,
        "at the end of the stream the model edited with NAS has the higher specificity (ROME, C = I)",
        check,
        (anchored, plain),
        (plain, anchored),
        "the model edited without NAS has the higher specificity",
        verdict=Verdict.CONDITIONAL,
        command=anchored.command,
    )
