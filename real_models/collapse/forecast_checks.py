"""What the collapse experiment's record says of forecasts: after a fifth of the edits to collapse, and after a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from real_models.collapse.foretell import foretell, judged
from real_models.collapse.point import collapse_point
from real_models.collapse.record import Comparison
from theory.claim import Evidence

MET, CALM, ENOUGH = 0.7, 0.9, 40
"""Shares of collapsing and of other streams whose forecast must be right, and of how many streams."""
EARLY = 64
"""Edits after which every stream that still goes is forecast, however long it will last."""


def after_a_fifth(runs: Sequence[Comparison], dealt: int | None) -> Evidence:
    """How often the forecast after a fifth of the edits to collapse, or of the stream, is right.

    Args:
        runs: the comparisons; streams without an evaluation so early are counted apart.
        dealt: a seed by which evaluations are dealt out among the streams; None leaves each its own.
    """
    every = list(streams(runs))
    order = range(len(every)) if dealt is None else np.random.default_rng(dealt).permutation(len(every))
    seen = [every[i][2] for i in order]
    rows = [judged(table, run.edits, seen=own) for (run, _, table), own in zip(every, seen, strict=True)]
    known = [row for row in rows if row["right"] is not None]
    fell, calm = ([bool(row["right"]) for row in known if row["collapsed"] is way] for way in (True, False))
    met, quiet = (float(np.mean(part)) if part else 0.0 for part in (fell, calm))
    low, high = _share(fell)
    wide = [np.log(row["high"] / row["low"]) for row in known if row["collapsed"]]
    quiet_low, quiet_high = _share(calm)
    return Evidence(
        met >= MET and quiet >= CALM and len(known) >= ENOUGH,
        met,
        f"at least {MET:g}, and {CALM:g} of the others none in sight",
        interval=(low, high),
        steps=(
            f"{sum(fell)} of {len(fell)} streams that collapse: in sight, and the interval meets the measured bracket",
            f"{sum(calm)} of {len(calm)} streams that do not: none in sight ({quiet:.2f} [{quiet_low:.2f}, "
            f"{quiet_high:.2f}])",
            f"{len(rows) - len(known)} streams collapse before anything could be evaluated at a fifth of it",
            f"the interval's ends are a factor {np.exp(np.mean(wide)) if wide else np.nan:.1f} apart",
        ),
    )


def after_a_few(runs: Sequence[Comparison], dealt: int | None) -> Evidence:
    """The skill of the chance of a collapse that is told after `EARLY` edits, over streams that still go then.

        skill = 1 − Σ(p − y)²/Σ(ȳ − y)²,   y whether the stream collapsed

    Args:
        runs: the comparisons.
        dealt: a seed by which forecasts are dealt out among the streams; None leaves each its own.

    Returns:
        Evidence that the skill is positive; its interval is from resampling (comparison, editor), whose seeds go
        together.
    """
    told, groups = [], []
    for run, editor, table in streams(runs):
        point = collapse_point(table)
        if point.low >= EARLY:
            told.append((foretell(table[table["step"] <= EARLY], run.edits), point))
            groups.append(f"{run.name} {editor}")
    chances = np.array([0.0 if one is None else one.chance for one, _ in told])
    if dealt is not None:
        chances = np.random.default_rng(dealt).permutation(chances)
    fell = np.array([point.seen for _, point in told], dtype=float)
    met = sum(one.brackets(point) for one, point in told if one is not None and point.seen)
    skill, low, high = _skill(chances, fell, np.array(groups))
    return Evidence(
        low > 0,
        skill,
        "above 0",
        interval=(low, high),
        undecided=low <= 0 <= high,
        steps=(
            f"{len(told)} streams of which {int(fell.sum())} collapse later",
            f"the 80 % interval meets the bracket of {met} of these",
        ),
    )


def _skill(chances: np.ndarray, fell: np.ndarray, groups: np.ndarray, draws: int = 2000) -> tuple[float, float, float]:
    """The Brier skill with its interval at 95 %."""
    ids = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    dice = np.random.default_rng(0)

    def skill(rows: np.ndarray) -> float:
        spread = np.square(fell[rows] - fell[rows].mean()).sum()
        return 1 - np.square(chances[rows] - fell[rows]).sum() / spread if spread else np.nan

    drawn = [skill(np.concatenate([ids[i] for i in dice.integers(len(ids), size=len(ids))])) for _ in range(draws)]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return float(skill(np.arange(len(fell)))), float(low), float(high)


def _share(hits: Sequence[bool]) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    if not hits:
        return 0.0, 1.0
    found = stats.binomtest(sum(hits), len(hits)).proportion_ci(method="exact")
    return float(found.low), float(found.high)


def streams(runs: Sequence[Comparison]) -> Iterator[tuple[Comparison, str, pd.DataFrame]]:
    """Every stream of the comparisons: which, its editor, its evaluations."""
    for run in runs:
        for editor, seed in run.checkpoints[["editor", "seed"]].drop_duplicates().itertuples(index=False):
            yield run, editor, run.evaluations(editor, seed)
