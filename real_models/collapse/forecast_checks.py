"""What the collapse experiment's record says of forecasts: after a fifth of the edits to collapse, and after a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from real_models.collapse.foretell import foretell, judged
from real_models.collapse.means import Mean
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
        runs: the comparisons; streams without an evaluation so early are counted apart, and of streams of a comparison
            with equal evaluations one is counted.
        dealt: a seed by which evaluations are dealt out among the streams; None leaves each its own.

    Returns:
        Evidence that both shares are reached; undecided where their intervals leave that open. Intervals are from
        resampling (comparison, editor), whose seeds go together.
    """
    every = list(streams(runs))
    order = range(len(every)) if dealt is None else np.random.default_rng(dealt).permutation(len(every))
    seen = [every[i][2] for i in order]
    pairs = zip(every, seen, strict=True)
    rows = [
        {"group": f"{run.name} {editor}", **judged(table, run.edits, seen=own)} for (run, editor, table), own in pairs
    ]
    known = pd.DataFrame([row for row in rows if row["right"] is not None])
    fell, calm = (known[known["collapsed"] == way] for way in (True, False))
    met, quiet = _share(fell), _share(calm)
    blind = (4 * fell["known"] <= fell["point_high"]) & (fell["point_low"] <= 8 * fell["known"])
    wide = np.exp(np.log(fell["high"] / fell["low"]).mean())
    established = met.value >= MET and quiet.value >= CALM and len(known) >= ENOUGH
    possible = not met.outside(MET, 1.0) and not quiet.outside(CALM, 1.0)
    return Evidence(
        bool(established),
        met.value,
        f"at least {MET:g}, and {CALM:g} of the others none in sight",
        interval=(met.low, met.high),
        undecided=bool(possible and not established),
        steps=(
            f"{int(fell['right'].sum())} of {len(fell)} streams that collapse: in sight, and the bracket met",
            f"{int(calm['right'].sum())} of {len(calm)} streams that do not: none in sight, a share of {quiet}",
            f"{len(rows) - len(known)} streams collapse before anything could be evaluated at a fifth of it",
            f"the interval's ends are a factor {wide:.1f} apart",
            "that the forecast is made at a fifth gives the place away: 4 to 8 times what was read meets "
            f"{int(blind.sum())} of {len(fell)} brackets, so it is the sight that is tested",
        ),
    )


def _share(rows: pd.DataFrame, draws: int = 2000) -> Mean:
    """The share that is right, with an interval from resampling groups."""
    groups = [own["right"].to_numpy(float) for _, own in rows.groupby("group")]
    if not groups:
        return Mean(0.0, np.nan, np.nan)
    dice = np.random.default_rng(0)
    picks = (dice.integers(len(groups), size=len(groups)) for _ in range(draws))
    drawn = [float(np.concatenate([groups[i] for i in pick]).mean()) for pick in picks]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Mean(float(rows["right"].mean()), float(low), float(high))


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


def streams(runs: Sequence[Comparison]) -> Iterator[tuple[Comparison, str, pd.DataFrame]]:
    """Every stream of the comparisons: which, its editor, its evaluations; of equal ones the first."""
    for run in runs:
        told: set[tuple[float, ...]] = set()
        for editor, seed in run.checkpoints[["editor", "seed"]].drop_duplicates().itertuples(index=False):
            table = run.evaluations(editor, seed)
            curve = (float(seed), *table["score_rescaled"].fillna(-1.0), *table["weight_norm"].fillna(-1.0))
            if curve not in told:
                told.add(curve)
                yield run, editor, table
