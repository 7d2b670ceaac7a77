"""Scores, general ability and ‖W‖ along the streams of a comparison, every editor with NAS and without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.comparisons import norm_ratio, paired, pairs, seeds, series_of, stream
from figures.results import Run
from figures.style import MARKERS, SERIES, count_edits, number_plainly

FACETS = ("panel", "quantity")
ROW_HEIGHT = 1.35  # inches
PERCENT = {"score_exact": "exact (%)", "score_rescaled": "rescaled (%)", "agreement": "agreement (%)"}
NORM = r"$\|W\| / \|W_0\|$"
POINTS = 200
COLUMNS = ["run", "panel", "quantity", "series", "edits", "value", "low", "high"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Means over seeds with their range, of the comparison with the most evaluated edits.

    Args:
        runs: any runs; of the comparisons with the most pairs of editors the longest is used.

    Returns:
        One row an editor, series, quantity and number of edits: panel (the editor), quantity (its axis' label), series,
        edits, value (mean over seeds), low and high (least and largest).
    """
    known = paired(runs)
    if not known:
        return pd.DataFrame(columns=COLUMNS)
    run = max(known, key=lambda one: len(one.rows))
    parts = []
    for label in (*PERCENT.values(), NORM):
        for pair in pairs(run):
            for series, editor in series_of(pair):
                each = [_values(run, editor, seed, label) for seed in seeds(run)]
                joined = pd.concat(each).groupby("edits")["value"].agg(["mean", "min", "max"]).reset_index()
                joined.columns = pd.Index(["edits", "value", "low", "high"])
                parts.append(joined.assign(run=run.name, panel=pair.label, quantity=label, series=series))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _values(run: Run, editor: str, seed: int, label: str) -> pd.DataFrame:
    if label == NORM:
        norms = norm_ratio(run, editor, seed)
        return norms.iloc[np.unique(np.linspace(0, len(norms) - 1, POINTS).round().astype(int))]
    points = stream(run.checkpoints, editor, seed)
    (column,) = (name for name, said in PERCENT.items() if said == label)
    # The unedited model answers none of the edits: its score is no point of the curve, its agreement is.
    points = points if column == "agreement" else points[points["step"] > 0]
    return pd.DataFrame({"edits": points["step"], "value": points[column]})


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one editor's quantity: means, and the seeds' range as a band.

    Args:
        df: the rows of one panel and quantity.
        ax: where to draw.
    """
    quantity = df["quantity"].iloc[0]
    for series, look in SERIES.items():
        own = df[df["series"] == series]
        ax.fill_between(own["edits"], own["low"], own["high"], color=look.color, alpha=0.25, linewidth=0)
        every = max(1, len(own) // MARKERS)
        ax.plot(
            own["edits"], own["value"], color=look.color, linestyle=look.linestyle, marker=look.marker,
            markevery=every, linewidth=1.1, markersize=2.4, label=f"{series}, mean and range over seeds",
        )  # fmt: skip
    count_edits(ax)
    if quantity == NORM:
        ax.set_yscale("log")
        number_plainly(ax.yaxis)
    else:
        ax.set_ylim(0, 105)
    ax.set_ylabel(quantity)
    ax.set_title(df["panel"].iloc[0], loc="left")
