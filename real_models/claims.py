"""The claims that a trained transformer decides: T1 on its weights, growth without an anchor, boundedness with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from real_models.finished import Run
from real_models.forecast_claims import forecast_claim
from real_models.identity_claims import identity_claim
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.fits import COINTEGRATED, Line, Rate, fit_line, mean_rate

BOUND_TOLERANCE = 1e-4
"""Relative excess over T5's bound that float32 weights may show."""
EFFICACY_FLOOR = 80.0
"""Percent of single edits that must succeed at the edited layer."""
STRAIGHT = 0.9
"""R² from which log ‖W‖ counts as a straight line."""
STRONG = 0.8
"""Size of a rank correlation that the account calls strong."""
PROPORTIONAL = 0.8
"""Elasticity of a value's norm in ‖W‖ from which the account calls it proportional."""
DOUBLING = np.log(2)
"""Growth of log ‖W‖ below which a line, a root and an exponential look alike."""
STEADY = 0.5
"""Exponential growth keeps its rate: the stream's second half has at least this share of the first half's."""
FRACTION = 0.25
"""The log-norm rate with NAS, late in the stream, as a share of the rate without."""


def claims(runs: Mapping[str, Run]) -> tuple[Claim[Any], ...]:
    """The measured claims.

    Args:
        runs: finished runs on the trained transformer: "layers" (single edits), "keys" (of the stream), "rome" and
            "rome-anchored" (C = I), "memit" and "alphaedit".

    Returns:
        The claims; their checks read the folders when they are run.
    """
    plain, anchored = runs["rome"], runs["rome-anchored"]
    return (
        identity_claim({name: run for name, run in runs.items() if name not in ("layers", "keys")}),
        single_edit_claim(runs["layers"]),
        growth_claim(plain, anchored),
        bounded_claim(plain, anchored),
        proportion_claim(plain, (runs["memit"], runs["alphaedit"])),
        scaling_claim("M1.scaling_v0", plain, runs["memit"], "v0_norm", "v0"),
        scaling_claim("M1.scaling_solved", plain, runs["memit"], "solved_norm", "v*"),
        forecast_claim(plain, runs["keys"]),
        collapse_claim(plain),
        specificity_claim(plain, anchored),
    )


def single_edit_claim(layers: Run) -> Claim[str]:
    """Single edits at the layer that was chosen by measurement, against the model before any edit."""

    def check(column: str) -> Evidence:
        rows = layers.rows[layers.rows["fresh"]]
        hits = int((rows[column] > 50).sum())
        interval = stats.binomtest(hits, len(rows)).proportion_ci(method="exact")
        return Evidence(
            bool(100 * interval.low >= EFFICACY_FLOOR),
            100 * hits / len(rows),
            f"at least {EFFICACY_FLOOR:g}",
            interval=(100 * interval.low, 100 * interval.high),
            steps=(f"layer {layers.summary['layer']}: {hits} of {len(rows)} edits that had no part in choosing it",),
        )

    return Claim(
        "M1.single_edit",
        "T1",
        Kind.MEASURED,
        f"at the layer chosen by measurement more than {EFFICACY_FLOOR:g} % of fresh single edits succeed (ROME; "
        "lower end of the interval): the new answer's NLL falls below the true one's",
        check,
        "efficacy",
        "efficacy_before",
        "they succeed before anything is written",
        command=layers.command,
    )


def growth_claim(plain: Run, anchored: Run) -> Claim[Run]:
    """Growth at a steady rate; the fit tells an exponential from a line or a root, not from every convex curve."""

    def check(run: Run) -> Evidence:
        log_norm = run.log_norm
        edits = np.arange(len(log_norm))
        rate, line = mean_rate(log_norm), fit_line(edits, log_norm)
        straight = fit_line(edits, np.exp(log_norm)).r_squared
        middle = len(log_norm) // 2
        early, late = log_norm[middle] - log_norm[0], log_norm[-1] - log_norm[middle]
        return Evidence(
            log_norm[-1] - log_norm[0] >= DOUBLING
            and rate.low > 0
            and late >= STEADY * early
            and line.r_squared >= max(STRAIGHT, straight),
            measured=rate.mean,
            expected=f"a doubling at a steady rate; R² of log ‖W‖ at least {STRAIGHT} and that of ‖W‖",
            interval=(rate.low, rate.high),
            steps=(
                f"R² of log ‖W‖ against edits {line.r_squared:.3f}, of ‖W‖ {straight:.3f}",
                f"log ‖W‖ rose by {early:.3f} in the first half of the stream and by {late:.3f} in the second",
                f"‖W‖ grew {np.exp(log_norm[-1] - log_norm[0]):.2f}-fold in {len(edits) - 1} edits",
            ),
        )

    return Claim(
        "M1.growth",
        "P2, P3",
        Kind.MEASURED,
        "ROME (C = I) without NAS on the trained transformer: ‖W‖ grows, and log ‖W‖ is nearer to a straight line in "
        "the number of edits than ‖W‖ is, at a rate that lasts (conditional: this model, this clamp, this stream)",
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
            used <= 1 + BOUND_TOLERANCE and rate.high < limit,
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
        "log-norm rate in the stream's second half is less than a quarter of the rate without NAS",
        check,
        anchored,
        plain,
        "the run without NAS stays below the same bound and has a rate as low",
        verdict=Verdict.CONDITIONAL,
        command=anchored.command,
    )


def late_rate(run: Run) -> Rate:
    """The mean increment of log ‖W‖ in the second half of the stream."""
    log_norm = run.log_norm
    return mean_rate(log_norm[len(log_norm) // 2 :])


def elasticity(run: Run, column: str) -> Line:
    """The line of log ‖v‖ against log ‖W‖ along a stream: slope 1 is P5's proportional law, slope 0 no relation."""
    return fit_line(np.log(run.rows["weight_norm"]), np.log(run.rows[column]))


def scaling_claim(id: str, plain: Run, memit: Run, column: str, symbol: str) -> Claim[Run]:
    """P5 for the rule of the paper's theorem."""

    def check(run: Run) -> Evidence:
        line, straight = elasticity(run, column), fit_line(run.rows["weight_norm"], run.rows[column])
        return Evidence(
            line.low > 0.5 and line.unit_root < COINTEGRATED,
            measured=line.slope,
            expected="above 0.5; 1 is proportional",
            interval=(line.low, line.high),
            steps=(
                f"d log ‖{symbol}‖/d log ‖W‖ = {line.slope:.2f}, R² {line.r_squared:.2f}, unit-root statistic "
                f"{line.unit_root:.1f} (two wandering series stay above {COINTEGRATED})",
                f"‖{symbol}‖ = {straight.intercept:.2f} + {straight.slope:.3f} ‖W‖, R² {straight.r_squared:.2f}",
            ),
        )

    return Claim(
        id,
        "P5",
        Kind.MEASURED,
        f"ROME (C = I) without NAS: ‖{symbol}‖ follows ‖W‖ along the stream, its elasticity nearer to 1 (proportional) "
        "than to 0; whether 1 lies in the interval is for the reader to see",
        check,
        plain,
        memit,
        "the same holds under MEMIT",
        verdict=Verdict.CONDITIONAL,
        command=plain.command,
    )


def proportion_claim(rome: Run, soft: tuple[Run, ...]) -> Claim[tuple[Run, ...]]:
    """P5's proportional law under the rules that measure C: the elasticity of ‖v*‖ would be about 1."""

    def check(runs: tuple[Run, ...]) -> Evidence:
        lines = [elasticity(run, "solved_norm") for run in runs]
        growth = [np.exp(run.log_norm[-1] - run.log_norm[0]) for run in runs]
        highest = max(lines, key=lambda line: line.high)
        return Evidence(
            highest.high < PROPORTIONAL and all(line.unit_root < COINTEGRATED for line in lines),
            measured=highest.slope,
            expected=f"at least {PROPORTIONAL:g}, were ‖v*‖ proportional to ‖W‖",
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
        f"where the interval of d log ‖v*‖/d log ‖W‖ lies below {PROPORTIONAL:g}: the norm grows without the loop)",
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
        rho = float(stats.spearmanr(sign * edited["weight_norm"], success).statistic)
        return Evidence(
            rho <= -STRONG,
            measured=rho,
            expected=f"at most {-STRONG}",
            steps=(f"{len(edited)} checkpoints of one stream, which depend on one another: no p-value",),
        )

    return Claim(
        "M1.collapse",
        "P1",
        Kind.MEASURED,
        "along the stream without NAS ‖W‖ and success (mean of exact-match efficacy and specificity) have a strong "
        "negative rank correlation; it shows no cause, as both also follow the number of edits",
        check,
        1,
        -1,
        "success rises with ‖W‖",
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
            undecided=bool(abs(gain) <= half),
            steps=(
                f"by exact match {exact[0]:.1f} % against {exact[1]:.1f} %",
                f"efficacy {first['efficacy']:.1f} % against {second['efficacy']:.1f} % (chance is about 50 %)",
            ),
        )

    return Claim(
        "M1.specificity",
        "P7",
        Kind.MEASURED,
        "at the end of the stream the model edited with NAS has the higher specificity (ROME, C = I)",
        check,
        (anchored, plain),
        (plain, anchored),
        "the model edited without NAS has the higher specificity",
        verdict=Verdict.CONDITIONAL,
        command=anchored.command,
    )
