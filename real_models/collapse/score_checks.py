"""What the collapse experiment's record says of scores: delay, performance, single edits, ability, anchors, rivals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from real_models.collapse.means import Mean, in_every, in_some, mean_of
from real_models.collapse.norm_checks import Pairs
from real_models.collapse.outcomes import SCORES
from real_models.collapse.record import Comparison, Delay, delay, middle
from sim.results import read_json
from theory.claim import Evidence

DELAYED, EDITORS = 4.0, 3
"""P8: more than 4 times later, for so many editors at least."""
GAIN = 72.2
"""P9: per cent by which mean performance rises, as reported."""
LOST = 5.0
"""Points that count as a difference in a score or in the success of single edits."""
TAKEN = 10.0
"""P11: per cent of single edits that must take without NAS for an editor to be counted."""
NEGLIGIBLE = 0.01
"""P10: share of an edit's time."""
SHORT, LONG = 0.8, 1.25
"""Anchors in units of the measured one."""


def delayed(runs: Sequence[Comparison], pairs: Pairs) -> Evidence:
    """How many editors collapse `DELAYED` times later with NAS in the best comparison, at least and at most.

    A ratio counts at least where the brackets' nearest ends reach the factor, and at most where their farthest do; both
    are medians over seeds.
    """
    least, most, steps = 0, 0, []
    for run in runs:
        for score in SCORES:
            ratios = {plain: _delay(run, plain, anchored, score) for plain, anchored in pairs}
            least = max(least, sum(one.low > DELAYED for one in ratios.values()))
            most = max(most, sum(one.high > DELAYED for one in ratios.values()))
            listed = ", ".join(f"{plain} {one.low:.2g} to {one.high:.2g}" for plain, one in ratios.items())
            steps.append(f"{run.name}, {score}: {listed}")
    return Evidence(
        least >= EDITORS,
        float(least),
        f"at least {EDITORS} editors",
        interval=(float(least), float(most)),
        undecided=least < EDITORS <= most,
        steps=tuple(steps),
    )


def _delay(run: Comparison, plain: str, anchored: str, score: str) -> Delay:
    each = [delay(run.point(plain, seed, score), run.point(anchored, seed, score)) for seed in run.seeds]
    return Delay(middle([one.low for one in each]), middle([one.high for one in each], upper=True))


def performance(runs: Sequence[Comparison], pairs: Pairs) -> Evidence:
    """Relative gain, in per cent, of the score along the stream, a mean over the editors first."""
    found, steps = {}, []
    for run in runs:
        for score in SCORES:
            plain, anchored = (_along(run, [pair[i] for pair in pairs], score).mean(axis=0) for i in range(2))
            found[f"{run.name}, {score}"] = mean_of(100 * (anchored / plain - 1))
            for one, other in pairs:
                means = [float(_along(run, [editor], score).mean()) for editor in (one, other)]
                steps.append(f"{run.name} {one}, {score}: {means[0]:.1f} to {means[1]:.1f}")
        for part in ("efficacy_exact", "generalisation_exact", "specificity_exact"):
            plain, anchored = (_along(run, [pair[i] for pair in pairs], part).mean(axis=0) for i in range(2))
            steps.append(f"{run.name}, {part}: {mean_of(100 * (anchored / plain - 1))} %")
    return in_some(found, f"at least {GAIN:g} %", tuple(steps), low=GAIN)


def _along(run: Comparison, editors: Sequence[str], score: str, until: int | None = None) -> NDArray[np.float64]:
    """Mean scores along streams, (editor, seed)."""
    return np.array([[run.along(editor, seed, score, until) for seed in run.seeds] for editor in editors])


def single_edits(runs: Sequence[Comparison], pairs: Pairs, shift: float) -> Evidence:
    """Single edits on the unedited model that take, by exact match: NAS less without, over the editors first.

    Args:
        runs: comparisons of single edits.
        pairs: editors without and with NAS; those of which fewer than `TAKEN` take without NAS are left out.
        shift: points taken off.
    """
    found, steps = {}, []
    for run in runs:
        taken = {editor: _taken(run, editor) for pair in pairs for editor in pair}
        counted = [(one, other) for one, other in pairs if taken[one].mean() >= TAKEN]
        gaps = [taken[other] - taken[one] - shift for one, other in counted]
        found[run.name] = mean_of(np.mean(gaps, axis=0)) if gaps else Mean(math.nan, math.nan, math.nan)
        ends = ((one, taken[one].mean(), taken[other].mean()) for one, other in pairs)
        steps += [f"{run.name} {one}: {plain:.1f} % to {anchored:.1f} %" for one, plain, anchored in ends]
    return in_every(found, f"within {LOST:g} points", tuple(steps), low=-LOST, high=LOST)


def _taken(run: Comparison, editor: str) -> NDArray[np.float64]:
    return np.array([run.writes(editor, seed)["instant_exact"].to_numpy(float).mean() for seed in run.seeds])


def ability(runs: Sequence[Comparison], pairs: Pairs) -> Evidence:
    """Agreement with the unedited model on held-out text at the end, NAS less without, over the editors first.

    A model that broke agrees with nothing.
    """
    found, steps = {}, []
    for run in runs:
        gaps = []
        for one, other in pairs:
            plain, anchored = (run.at_end(editor, "agreement", 0.0) for editor in (one, other))
            worse = [run.at_end(editor, "perplexity_ratio", math.inf).mean() for editor in (one, other)]
            gaps.append(anchored - plain)
            steps.append(
                f"{run.name} {one}: {plain.mean():.1f} % to {anchored.mean():.1f} %, perplexity {worse[0]:.3g} to "
                f"{worse[1]:.3g} times the unedited model's"
            )
        found[run.name] = mean_of(np.mean(gaps, axis=0))
    return in_every(found, "above 0 points", tuple(steps), low=0.0)


def pilots(run: Comparison, factor: float) -> Evidence:
    """What two standard errors of the anchor move the mean score by, from anchors a fifth shorter and a quarter longer.

        moved = (S(1.25 a) − S(0.8 a)) · 2 factor SE(a)/a / log(1.25/0.8)

    Args:
        run: with those anchors, and the measured one.
        factor: times the standard error.
    """
    lines = [line for line in run.summary["streams"] if "nas" in line["editor"]]
    last = [str(line["layers"][-1]) for line in lines]
    spread = np.mean([line["anchor_se"][i] / line["anchors"][i] for line, i in zip(lines, last, strict=True)])
    share = 2 * factor * float(spread) / math.log(LONG / SHORT)
    found, steps = {}, [f"two standard errors of the anchor are {200 * factor * spread:.1f} % of it"]
    for rule in ("memit", "alphaedit"):
        names = [f"{rule}+nas:times={SHORT:g}", f"{rule}+nas", f"{rule}+nas:times={LONG:g}"]
        for score in SCORES:
            means = _along(run, names, score)
            found[f"{rule}, {score}"] = mean_of(share * (means[2] - means[0]))
            listed = ", ".join(f"{one:.1f}" for one in means.mean(axis=1))
            steps.append(f"{rule}, {score}: {listed} at {SHORT:g}, 1 and {LONG:g} anchors")
    return in_every(found, f"within {LOST:g} points", tuple(steps), low=-LOST, high=LOST)


def variant(run: Comparison, rules: Sequence[str], suffix: str, *, low: float, high: float) -> Evidence:
    """A variant of NAS less NAS as published, in points of the mean score along the stream.

    Args:
        run: with "RULE+nas" and "RULE+nas:SUFFIX" of each rule.
        rules: the rules.
        suffix: the variant.
        low: of the statement.
        high: of the statement.
    """
    found, steps = {}, []
    for rule in rules:
        for score in SCORES:
            usual, other = _along(run, [f"{rule}+nas", f"{rule}+nas:{suffix}"], score)
            found[f"{rule}, {score}"] = mean_of(other - usual)
        lines = [line for line in run.summary["streams"] if line["editor"] == f"{rule}+nas:{suffix}"]
        steps.append(f"{rule}: {sum(line['dropped'] for line in lines)} of {run.edits * len(lines)} edits dropped")
    expected = f"{low:g} to {high:g} points" if math.isfinite(high) else f"above {low:g} points"
    return in_every(found, expected, tuple(steps), low=low, high=high)


def rival(world: Comparison, rivals: Comparison, rule: str, other: str) -> Evidence:
    """What another remedy gains in exact score along the stream, less half of what NAS gains, which must be a gain.

    Args:
        world: with the rule, without and with NAS.
        rivals: the remedy, on the same model and streams.
        rule: such as "alphaedit".
        other: the remedy's editor.
    """
    plain, anchored = _along(world, [rule, f"{rule}+nas"], "score_exact", rivals.edits)
    (own,) = _along(rivals, [other], "score_exact")
    found = {
        "gain less half of NAS's": mean_of(own - plain - (anchored - plain) / 2),
        "NAS's own gain": mean_of(anchored - plain),
    }
    steps = (f"{rule}: {plain.mean():.1f} alone, {anchored.mean():.1f} with NAS, {own.mean():.1f} as {other}",)
    return in_every(found, "above 0 points", steps, low=0.0)


def drifting(run: Comparison, pairs: Pairs) -> Evidence:
    """What a fixed anchor gains in exact score along a stream that drifts."""
    found = {}
    for one, other in pairs:
        plain, anchored = _along(run, [one, other], "score_exact")
        found[one] = mean_of(anchored - plain)
    return in_every(found, "above 0 points", low=0.0)


def overhead(speed: Path, factor: float) -> Evidence:
    """What NAS adds to an edit's time once its anchor is known, as `python -m real_models bench` timed it."""
    timed = read_json(speed)
    rows, seed = timed["rows"], timed["config"]["seed"]
    return in_every(
        {row["rule"]: mean_of(factor * np.array(row["anchor_shares"])) for row in rows},
        f"below {NEGLIGIBLE:g} of an edit's time",
        tuple(f"{row['rule']}: {row['edits']} edits of {row['fast_s']:.2f} s (median), seed {seed}" for row in rows),
        high=NEGLIGIBLE,
    )
