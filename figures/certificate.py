"""A growth certificate: the norm in every setting at doubling times, beside the regime that it was put into."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.results import Run
from figures.style import BLUE, VERMILION, headed

FACETS = ("panel", None)
ROW_HEIGHT = 1.9  # inches
COLUMNS = ["run", "panel", "edits", "mean", "low", "high", "told"]
DECADE = math.log(10)


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """log₁₀ ‖W‖²_F at every look of every setting, and theory's line through the last.

        told(t) = log₁₀ R_T − rate · (T − t)/log 10,   T the last look

    Args:
        runs: any runs; the certificates are used.

    Returns:
        One row a run, setting and look: panel, its title; edits; mean, low and high of log₁₀ ‖W‖² over streams; told,
        NaN where theory has no rate.
    """
    parts = []
    for run in runs:
        if run.kind != "certificate":
            continue
        for name, rows in run.rows.groupby("setting", sort=False):
            last = rows.iloc[-1]
            rate = float(last["predicted"]) if pd.notna(last["predicted"]) else math.nan
            told = last["mean"] - rate * (last["edits"] - rows["edits"])
            head = f"{run.summary.get('editor', run.name)}, {name}"
            part = rows[["edits"]].assign(run=run.name, panel=headed(head, f"{last['regime']}"), told=told / DECADE)
            parts.append(part.assign(**{key: rows[key] / DECADE for key in ("mean", "low", "high")}))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one setting: means with intervals, and theory's rate as a line through the last of them.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    bars = np.stack([df["mean"] - df["low"], df["high"] - df["mean"]])
    ax.errorbar(
        df["edits"],
        df["mean"],
        bars,
        color=BLUE,
        marker="o",
        linestyle="-",
        linewidth=0.8,
        label="mean of streams, 95 %",
    )
    if df["told"].notna().any():
        ax.plot(df["edits"], df["told"], color=VERMILION, linestyle="--", label="theory's rate (≈ or ≤)")
    ax.set_title(df["panel"].iloc[0], loc="left")
    ax.set_xscale("log", base=2)
    ax.set_xlabel("edits")
    ax.set_ylabel(r"$\log_{10} \|W\|^2$")
    low, high = ax.get_ylim()
    if high - low < 0.5:
        ax.set_ylim((low + high) / 2 - 0.25, (low + high) / 2 + 0.25)
