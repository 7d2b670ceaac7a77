"""CP@60 as the evaluations bracket it, every editor with NAS and without, a line a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.comparisons import paired, pairs, series_of
from figures.results import Run
from figures.style import SERIES, headed

FACETS = ("panel", "score")
ROW_HEIGHT = 2.8  # inches
SCORES = {"score_rescaled": "rescaled score", "score_exact": "exact score"}
COLUMNS = ["run", "panel", "score", "series", "editor", "seed", "low", "high", "edits"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """The collapse points of the comparisons with the most pairs of editors.

    Args:
        runs: any runs.

    Returns:
        One row a comparison (panel), score, editor, series and seed: the bracket (low, high] in edits, high infinite
        where the stream did not collapse, and how many edits the stream has.
    """
    parts = []
    for run in paired(runs):
        found = run.table("points")
        if found.empty:
            continue
        for pair in pairs(run):
            for series, editor in series_of(pair):
                own = found[(found["editor"] == editor) & found["score"].isin(SCORES)]
                parts.append(
                    pd.DataFrame(
                        {
                            "score": own["score"].map(SCORES),
                            "seed": own["seed"],
                            "low": own["point_low"],
                            "high": own["point_high"],
                        }
                    ).assign(
                        run=run.name,
                        panel=run.name,
                        series=series,
                        editor=pair.label,
                        edits=run.checkpoints["step"].max(),
                    )
                )
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one score of one comparison: a bracket a seed, an arrow where the stream ends before it collapses.

    Args:
        df: the rows of one panel and score.
        ax: where to draw.
    """
    editors = list(dict.fromkeys(df["editor"]))
    per_seed = 0.7 / (2 * df["seed"].nunique())
    for place, (series, look) in enumerate(SERIES.items()):
        own = df[df["series"] == series]
        nth = {seed: place for place, seed in enumerate(sorted(own["seed"].unique()))}
        heights = own["editor"].map(editors.index) - 0.3 + per_seed * (place * len(nth) + own["seed"].map(nth))
        seen = np.isfinite(own["high"])
        ends = own["high"].where(seen, own["edits"])
        for low, end, y in zip(own["low"], ends, heights, strict=True):
            ax.plot([low, end], [y, y], color=look.color, linewidth=1.5, solid_capstyle="butt")
        marks: dict[str, Any] = {"color": look.color, "linestyle": ""}
        ax.plot(ends[seen], heights[seen], marker=look.marker, markersize=3, label=f"{series}, collapsed", **marks)
        if not seen.all():
            open_marks: dict[str, Any] = {"marker": ">", "markersize": 4, "markerfacecolor": "white"}
            label = f"{series}, not collapsed by the end"
            ax.plot(ends[~seen], heights[~seen], label=label, **open_marks, **marks)
    ax.set_yticks(range(len(editors)), editors)
    ax.set_ylim(len(editors) - 0.5, -0.5)
    ax.set_xlim(0, 1.05 * df["edits"].max())
    ax.set_xlabel("edits until the score falls below 60")
    ax.set_title(headed(df["panel"].iloc[0], df["score"].iloc[0]), loc="left")
