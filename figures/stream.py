"""Efficacy, generalisation, specificity and ‖W‖_F along the stream, with and without NAS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.results import Run, edit_runs
from figures.style import GREY, MARKERS, SERIES, count_edits, number_plainly
from theory.command import Misuse

FACETS = ("panel", "quantity")
ROW_HEIGHT = 1.8  # inches
PERCENT = ("efficacy", "generalisation", "specificity")
NORM = "norm"
TITLES = {name: f"{name} (%)" for name in PERCENT} | {NORM: r"$\|W\|_F$"}
CHANCE = 100 / 2  # percent: a comparison of two answers, decided by a coin
COLUMNS = ["panel", "series", "run", "quantity", "edits", "value", "error"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """What the checkpoints say of the edits so far, and the norm after every edit.

    Args:
        runs: any runs; the sequential ones with checkpoints are used.

    Returns:
        One row a run, quantity and number of edits: panel, series, run, quantity ("efficacy", "generalisation",
        "specificity" in percent, "norm"), edits, value, error (standard error over edits; NaN for the norm). A
        quantity that a data set cannot probe has no rows.

    Raises:
        Misuse: a run's checkpoints lack a column, or its rows have a gap.
    """
    pairs = [(panel, run) for panel, run in edit_runs(runs) if len(run.checkpoints)]
    frames = [_of_run(panel, run, quantity) for quantity in TITLES for panel, run in pairs]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _of_run(panel: str, run: Run, quantity: str) -> pd.DataFrame:
    named = {"panel": panel, "series": run.series, "run": run.name, "quantity": quantity}
    if quantity == NORM:
        norms = run.norms()
        return pd.DataFrame(named | {"edits": np.arange(len(norms)), "value": norms, "error": np.nan})
    needed = ["step", quantity, f"{quantity}_se"]
    lacking = [name for name in needed if name not in run.checkpoints]
    if lacking:
        place = run.folder / "checkpoints.parquet"
        raise Misuse(f"{place} lacks the column {lacking[0]!r}; delete the folder and run again")
    points = run.checkpoints[needed].dropna(subset=[quantity]).sort_values("step")
    points.columns = pd.Index(["edits", "value", "error"])
    return points.assign(**named)[COLUMNS].astype({"edits": int})


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one quantity of one panel; bars are one standard error over edits.

    Args:
        df: the rows of one panel and quantity.
        ax: where to draw.
    """
    quantity = df["quantity"].iloc[0]
    for (series, _), run in df.groupby(["series", "run"], sort=False):
        look = SERIES[str(series)]
        style: dict[str, Any] = {
            "color": look.color,
            "linestyle": look.linestyle,
            "marker": look.marker,
            "label": series,
        }
        if quantity == NORM:
            ax.plot(run["edits"], run["value"], markevery=max(1, len(run) // MARKERS), **style)
        else:
            ax.errorbar(run["edits"], run["value"], run["error"].fillna(0), elinewidth=0.7, **style)
    count_edits(ax)
    if quantity == NORM:
        ax.set_yscale("log")
        number_plainly(ax.yaxis)
    else:
        ax.axhline(CHANCE, color=GREY, linestyle=":", linewidth=1, label=f"chance floor of a comparison ({CHANCE:g} %)")
        ax.set_ylim(0, 100 + CHANCE / 10)
    if quantity != PERCENT[0]:
        ax.set_title(TITLES[quantity], loc="left")
        return
    title = ax.set_title(f"\n{TITLES[quantity]}", loc="left")
    # The panel's name may run on above its neighbours, so it does not take part in the layout.
    name = ax.annotate(df["panel"].iloc[0], (0, 1), xycoords=title, va="top")
    name.set_in_layout(False)
