"""What the collapse experiment's claims measure on its record, each with interval and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from real_models.collapse import ANCHORED, PLAIN
from real_models.collapse_record import Comparison, Delay, Mean, delay, mean_of, middle
from real_models.foretell import judged
from sim.results import read_json
from theory.claim import Evidence

SCORES = ("score_rescaled", "score_exact")
PAIRS = tuple(zip(PLAIN, ANCHORED, strict=True))
DELAYED, EDITORS = 4.0, 3
"""P8: more than 4 times later, for so many editors at least."""
GAIN = 72.2
"""P9: per cent by which mean performance rises, as reported."""
STRONG = -0.5
"""A rank correlation whose interval lies below this counts as strong and negative."""
PRESERVED = 5.0
"""P11: points of single-edit success that may be lost."""
FIRST = 32
"""P11: edits from the stream's beginning that count as single."""
INSENSITIVE = 5.0
"""P13: points by which the mean score may move."""
NEGLIGIBLE = 0.01
"""P10: share of an edit's time."""
MET, CALM, ENOUGH = 0.7, 0.9, 40
"""Shares of collapsing and of other streams whose forecast must be right, and of how many streams."""

Pairs = tuple[tuple[str, str], ...]


def correlation(runs: list[Comparison], sign: int) -> Evidence:
    """Spearman's ρ along each stream, and over the editors at the end."""
    rhos, steps = [], []
    for run in runs:
        own = {editor: [_rho(run, editor, seed, sign) for seed in run.seeds] for editor in PLAIN}
        rhos += [rho for values in own.values() for rho in values]
        ends = [(run.at_end(e, "weight_norm").mean(), run.at_end(e, "score_exact").mean()) for e in PLAIN]
        norms, scores = zip(*ends, strict=True)
        across = _ranks(norms, scores)
        listed = ", ".join(f"{editor} {np.mean(values):.2f}" for editor, values in own.items())
        steps.append(f"{run.name}: {listed}; over the seven editors at the end ρ = {across:.2f}")
    found = mean_of([rho for rho in rhos if rho == rho])
    return Evidence(
        found.high < STRONG,
        found.value,
        f"below {STRONG:g}",
        interval=(found.low, found.high),
        steps=(f"{len(rhos)} streams, seeds {_seeds(runs)}", *steps),
    )


def _rho(run: Comparison, editor: str, seed: int, sign: int) -> float:
    own = run.evaluations(editor, seed)
    own = own[own["step"] > 0]
    return _ranks(sign * own["weight_norm"].to_numpy(float), own["score_exact"].to_numpy(float))


def _ranks(x: Sequence[float] | NDArray[np.float64], y: Sequence[float] | NDArray[np.float64]) -> float:
    """Spearman's ρ; NaN where one side does not move, as the score of a stream that is broken from the start."""
    if len(set(x)) == 1 or len(set(y)) == 1:
        return math.nan
    return float(stats.spearmanr(x, y).statistic)


def exponential(runs: tuple[Comparison, ...], editors: tuple[str, ...]) -> Evidence:
    """How many (comparison, editor) grow like an exponential in every seed: twofold, straight, and at a steady rate."""
    steady, steps = 0, []
    for run in runs:
        known = [editor for editor in editors if editor in set(run.checkpoints["editor"])]
        for editor in known:
            logs = [run.log_norm(editor, seed) for seed in run.seeds]
            halves = [(log[len(log) // 2] - log[0], log[-1] - log[len(log) // 2]) for log in logs]
            early, late = np.mean(halves, axis=0)
            yes = all(one + two >= np.log(2) and two >= 0.5 * one for one, two in halves)
            steady += yes
            steps.append(f"{run.name} {editor}: log ‖W‖ +{early:.2f}, then +{late:.2f}{' (steady)' if yes else ''}")
    return Evidence(steady > 0, float(steady), "at least 1", steps=tuple(steps))


def proportional(runs: list[Comparison], column: str) -> Evidence:
    """The slope of log ‖v*‖ on log ‖W‖ along MEMIT's streams."""
    slopes = []
    for run in runs:
        for seed in run.seeds:
            rows = run.writes("memit", seed)
            logs = np.log(rows[["weight_norm_after", column]].to_numpy(float))
            slopes.append(float(stats.linregress(logs[:, 0], logs[:, 1]).slope))
    found = mean_of(slopes)
    return Evidence(
        found.low <= 1 <= found.high,
        found.value,
        "1, were they proportional",
        interval=(found.low, found.high),
        steps=(f"{len(slopes)} streams, seeds {_seeds(runs)}",),
    )


def still_growing(runs: list[Comparison], editors: tuple[str, ...], sign: int) -> Evidence:
    """Growth of log ‖W‖ over the second half of the stream, the least of the editors'."""
    found: dict[str, Mean] = {}
    for run in runs:
        for editor in editors:
            logs = [run.log_norm(editor, seed) for seed in run.seeds]
            found[f"{run.name} {editor}"] = mean_of([sign * (log[-1] - log[len(log) // 2]) for log in logs])
    least = min(found.values(), key=lambda mean: mean.low)
    return Evidence(
        least.low > 0,
        least.value,
        "above 0",
        interval=(least.low, least.high),
        steps=tuple(f"{name}: log ‖W‖ +{mean}" for name, mean in found.items()),
    )


def lower_norm(runs: list[Comparison], pairs: Pairs) -> Evidence:
    """log(‖W‖ with NAS / without) at the end, a stream each."""
    gaps, steps = [], []
    for run in runs:
        for plain, anchored in pairs:
            gap = np.log(run.at_end(anchored, "weight_norm") / run.at_end(plain, "weight_norm"))
            gaps += gap.tolist()
            steps.append(f"{run.name} {plain}: {np.exp(gap.mean()):.2f} times the norm without NAS")
    found = mean_of(gaps)
    return Evidence(
        max(gaps) < 0,
        float(np.exp(found.value)),
        "below 1 in every stream",
        interval=(float(np.exp(found.low)), float(np.exp(found.high))),
        steps=(f"{len(gaps)} pairs of streams, seeds {_seeds(runs)}", *steps),
    )


def delayed(runs: list[Comparison], pairs: Pairs) -> Evidence:
    """How many editors collapse later by the factor, at least and at most, as the brackets allow; the best case."""
    best, steps = (0, 0), []
    for run in runs:
        for score in SCORES:
            ratios = {plain: _delay(run, plain, anchored, score) for plain, anchored in pairs}
            counted = tuple(sum(one[i] > DELAYED for one in ratios.values()) for i in range(2))
            best = max(best, (counted[0], counted[1]))
            listed = ", ".join(f"{plain} {one.low:.2g} to {one.high:.2g}" for plain, one in ratios.items())
            steps.append(f"{run.name}, {score}: {listed}")
    return Evidence(
        best[0] >= EDITORS,
        float(best[0]),
        f"at least {EDITORS}",
        interval=(float(best[0]), float(best[1])),
        steps=(f"ratios of collapse points, medians over seeds {_seeds(runs)} of what the brackets allow", *steps),
    )


def _delay(run: Comparison, plain: str, anchored: str, score: str) -> Delay:
    each = [delay(run.point(plain, seed, score), run.point(anchored, seed, score)) for seed in run.seeds]
    return Delay(middle([one.low for one in each]), middle([one.high for one in each]))


def performance(runs: list[Comparison], pairs: Pairs) -> Evidence:
    """Relative gain of the mean over editors of the mean score along the stream, a seed and world each."""
    gains: dict[str, list[float]] = {score: [] for score in SCORES}
    for run in runs:
        for score in SCORES:
            for seed in run.seeds:
                plain, anchored = (np.mean([run.along(pair[i], seed, score) for pair in pairs]) for i in range(2))
                gains[score].append(float(100 * (anchored / plain - 1)))
    rescaled, exact = (mean_of(gains[score]) for score in SCORES)
    return Evidence(
        exact.low >= GAIN,
        exact.value,
        f"at least {GAIN:g} %",
        interval=(exact.low, exact.high),
        steps=(
            f"{len(gains['score_exact'])} pairs of world and seed, seeds {_seeds(runs)}",
            f"by the rescaled comparisons {rescaled} %",
            *(f"{run.name} {plain}: {_along(run, plain, anchored)}" for run in runs for plain, anchored in pairs),
        ),
    )


def _along(run: Comparison, plain: str, anchored: str) -> str:
    """Mean scores along the stream without and with NAS."""
    means = {
        score: [np.mean([run.along(editor, seed, score) for seed in run.seeds]) for editor in (plain, anchored)]
        for score in SCORES
    }
    return ", ".join(f"{score.removeprefix('score_')} {one:.1f} to {two:.1f}" for score, (one, two) in means.items())


def single_edits(runs: list[Comparison], shift: float) -> Evidence:
    """Success right after the write, over the first edits, with NAS less without."""
    gaps = []
    for run in runs:
        for plain, anchored in PAIRS:
            for seed in run.seeds:
                one, two = (run.writes(e, seed)["instant_exact"].to_numpy(float)[:FIRST] for e in (plain, anchored))
                gaps.append(float(two.mean() - one.mean()) - shift)
    found = mean_of(gaps)
    return Evidence(
        found.low >= -PRESERVED,
        found.value,
        f"above {-PRESERVED:g} points",
        interval=(found.low, found.high),
        steps=(f"{len(gaps)} pairs of streams, seeds {_seeds(runs)}",),
    )


def ability(runs: list[Comparison], pairs: Pairs) -> Evidence:
    """Agreement on held-out text at the end, with NAS less without."""
    gaps, steps = [], []
    for run in runs:
        for plain, anchored in pairs:
            one, two = run.at_end(plain, "agreement"), run.at_end(anchored, "agreement")
            gaps += (two - one).tolist()
            steps.append(f"{run.name} {plain}: {one.mean():.1f} % to {two.mean():.1f} %")
    found = mean_of(gaps)
    return Evidence(
        found.low > 0,
        found.value,
        "above 0 points",
        interval=(found.low, found.high),
        steps=(f"{len(gaps)} pairs of streams, seeds {_seeds(runs)}", *steps),
    )


def pilots(world: Comparison, rivals: Comparison, factor: float) -> Evidence:
    """What the anchor's own uncertainty moves the mean score by, from the slope between a shorter and a longer one."""
    moved, steps = [], []
    lines = [line for line in rivals.summary["streams"] if line["editor"].startswith("alphaedit+nas")]
    spread = [line["anchor_se"][str(line["layers"][-1])] / line["anchors"][str(line["layers"][-1])] for line in lines]
    error = factor * float(np.mean(spread))
    for rule in ("memit", "alphaedit"):
        for seed in rivals.seeds:
            short, long = (rivals.along(f"{rule}+nas:times={times}", seed, "score_exact") for times in ("0.8", "1.25"))
            moved.append(abs(long - short) / math.log(1.25 / 0.8) * 2 * error)
        own = np.mean([world.along(f"{rule}+nas", seed, "score_exact", rivals.edits) for seed in rivals.seeds])
        ends = [
            np.mean([rivals.along(f"{rule}+nas:times={times}", seed, "score_exact") for seed in rivals.seeds])
            for times in ("0.8", "1.25")
        ]
        steps.append(f"{rule}: mean exact score {ends[0]:.1f} at 0.8 anchors, {own:.1f} at one, {ends[1]:.1f} at 1.25")
    found = mean_of(moved)
    return Evidence(
        found.high < INSENSITIVE,
        found.value,
        f"below {INSENSITIVE:g} points",
        interval=(found.low, found.high),
        steps=(f"the anchor's standard error is {100 * error:.1f} % of it (100 pilots, trimmed)", *steps),
    )


def _seeds(runs: list[Comparison]) -> str:
    return ", ".join(map(str, runs[0].seeds))


def overhead(speed: Path, factor: float) -> Evidence:
    """What NAS adds to an edit's time once its anchor is known, as `python -m real_models bench` timed it."""
    rows = read_json(speed)["rows"]
    shares = {row["rule"]: factor * row["anchor_overhead"] for row in rows}
    return Evidence(
        max(shares.values()) < NEGLIGIBLE,
        max(shares.values()),
        f"below {NEGLIGIBLE:g} of an edit's time",
        steps=tuple(f"{row['rule']}: {shares[row['rule']]:.2%} of {row['fast_s']:.2f} s" for row in rows),
    )


def forecasts(runs: Sequence[Comparison], scale: float) -> Evidence:
    """How often the forecast after a fifth of the edits is right, over every stream that was evaluated so early."""
    rows = [
        judged(run.evaluations(editor, seed), run.edits, scale=scale)
        for run in runs
        for editor, seed in run.checkpoints[["editor", "seed"]].drop_duplicates().itertuples(index=False)
    ]
    known = [row for row in rows if row["right"] is not None]
    fell, calm = ([bool(row["right"]) for row in known if row["collapsed"] is way] for way in (True, False))
    met, quiet = (float(np.mean(part)) if part else math.nan for part in (fell, calm))
    low, high = stats.binomtest(sum(fell), len(fell)).proportion_ci(method="exact") if fell else (0.0, 1.0)
    widths = [row["high"] / row["low"] for row in known if row["collapsed"]]
    return Evidence(
        met >= MET and not quiet < CALM and len(known) >= ENOUGH,
        met,
        f"at least {MET:g}, and {CALM:g} of the others none in sight",
        interval=(float(low), float(high)),
        steps=(
            f"{sum(fell)} of {len(fell)} streams that collapse: the interval meets the measured bracket",
            f"{sum(calm)} of {len(calm)} streams that do not: none in sight ({quiet:.2f})",
            f"{len(rows) - len(known)} streams collapse before anything could be evaluated at a fifth of it",
            f"the interval's ends are a factor {np.exp(np.mean(np.log(widths))) if widths else math.nan:.1f} apart",
        ),
    )
