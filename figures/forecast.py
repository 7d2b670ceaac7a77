"""Collapse points foretold after a fifth of the edits to them, beside the measured ones, and false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.comparisons import comparisons
from figures.results import Run
from figures.style import BLACK, BLUE, GREY, VERMILION, headed, number_plainly

FACETS = (None, "panel")
ROW_HEIGHT = 2.6  # inches
SCORE = "score_rescaled"
FELL, LASTED = "streams that collapse", "streams that do not collapse by their end"
COLUMNS = [
    "run",
    "panel",
    "editor",
    "seed",
    "measured_low",
    "measured_high",
    "median",
    "low",
    "high",
    "chance",
    "right",
]
MARKS = {True: (BLUE, "o", "right"), False: (VERMILION, "X", "wrong")}


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Forecasts by the rescaled score, of every stream that was evaluated early enough.

    Args:
        runs: any runs; comparisons are used.

    Returns:
        One row a stream, of equal ones the first: panel (whether it collapses), editor, seed, the measured bracket
        (measured_low, measured_high), the forecast's median, low and high in edits, the chance of a collapse that it
        told, and whether it was right.
    """
    parts = []
    for run in comparisons(runs):
        points = run.table("points")
        if points.empty:
            continue
        own = points[(points["score"] == SCORE) & points["right"].notna()]
        own = own[pd.MultiIndex.from_frame(own[["editor", "seed"]]).isin(first_of_equals(run))]
        parts.append(
            own.rename(columns={"point_low": "measured_low", "point_high": "measured_high"}).assign(
                run=run.name,
                panel=np.where(own["collapsed"].astype(bool), FELL, LASTED),
                right=own["right"].astype(bool),
            )
        )
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)[COLUMNS].sort_values("panel", kind="stable", ignore_index=True)


def first_of_equals(run: Run) -> list[tuple[str, int]]:
    """The streams, by editor and seed, of which none before has the same evaluations: a variant may change nothing."""
    first: dict[tuple[float, ...], tuple[str, int]] = {}
    table = run.checkpoints
    for editor, seed in table[["editor", "seed"]].drop_duplicates().itertuples(index=False):
        own = table[(table["editor"] == editor) & (table["seed"] == seed)].sort_values("step")
        course = own[[SCORE, "weight_norm"]].fillna(-1.0).to_numpy().ravel()
        first.setdefault((seed, *course), (editor, seed))
    return list(first.values())


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw the streams that collapse, foretold against measured, or of the others the chance that was told.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    share = f"{int(df['right'].sum())} of {len(df)} right"
    ax.set_title(headed(df["panel"].iloc[0], share), loc="left")
    (_draw_collapses if df["panel"].iloc[0] == FELL else _draw_chances)(df, ax)


def _draw_collapses(df: pd.DataFrame, ax: Axes) -> None:
    middle = np.sqrt(np.maximum(df["measured_low"], df["measured_high"] / 2) * df["measured_high"])
    for right, (color, marker, word) in MARKS.items():
        own = df["right"] == right
        x, y = middle[own], df.loc[own, "median"]
        bars = np.stack([y - df.loc[own, "low"], df.loc[own, "high"] - y])
        style: dict[str, Any] = {"color": color, "marker": marker, "linestyle": "", "elinewidth": 0.4, "capsize": 0}
        ax.errorbar(x, y, bars, markersize=3, alpha=0.8, label=f"foretold, 80 % interval: {word}", **style)
    ends = np.array([middle.min(), middle.max()])
    ax.plot(ends, ends, color=BLACK, linewidth=0.8, linestyle="--", label="as measured")
    for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
        scale("log")
        number_plainly(axis)
    ax.set_xlabel("measured CP@60 (edits)")
    ax.set_ylabel("foretold (edits)")


def _draw_chances(df: pd.DataFrame, ax: Axes) -> None:
    ordered = df.sort_values("chance", ignore_index=True)
    for right, (color, marker, word) in MARKS.items():
        own = ordered[ordered["right"] == right]
        ax.plot(own.index, 100 * own["chance"], color=color, marker=marker, linestyle="", label=f"chance told: {word}")
    told = ordered.loc[~ordered["right"], "chance"]
    edge = 100 * (told.min() if len(told) else 1.0)
    if len(told):
        ax.axhline(edge, color=GREY, linestyle=":", linewidth=1, label="least chance that was a false alarm")
    ax.set_ylim(0, 100)
    ax.set_xlabel("streams, by the chance")
    ax.set_ylabel("chance of a collapse told (%)")
