"""What each rule and each control of the increment does to the exponent, without NAS and with it (P6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from figures.results import WITH, WITHOUT, Run
from figures.style import GREY, SERIES, headed

FACETS = (None, "panel")
ROW_HEIGHT = 4.4  # inches
RULES, CONTROLS = "update rules", "ROME with a control"
NONE = "no exponential growth"
COLUMNS = ["run", "panel", "name", "series", "rate", "low", "high", "regime"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """The certified growth of ‖W‖² an edit of every part of the catalogue, and its regime.

    Args:
        runs: any runs; the JSON of `python -m sim rules` is used.

    Returns:
        One row a part and series: panel (update rules, or controls behind ROME), name, rate of log ‖W‖² an edit with
        its interval (NaN where the certified regime is not exponential), regime.
    """
    rows = []
    for run in runs:
        for _, part in run.rows.iterrows() if run.kind == "rules" else ():
            panel = RULES if part["kind"] == "rule" else CONTROLS
            for series, found in ((WITHOUT, part["plain"]), (WITH, part["nas"])):
                if isinstance(found, dict):
                    known = found["rate"] is not None
                    low, high = found["rate_interval"] if known else (math.nan, math.nan)
                    about = {"run": run.name, "panel": panel, "name": part["name"], "series": series}
                    rate = found["rate"] if known else math.nan
                    rows.append(about | {"rate": rate, "low": low, "high": high, "regime": found["regime"]})
    return pd.DataFrame(rows, columns=COLUMNS)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one panel: rates with intervals, and at 0 what does not grow exponentially.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    names = list(dict.fromkeys(df["name"]))
    ax.axvline(0, color=GREY, linewidth=0.6)
    for place, (series, look) in enumerate(SERIES.items()):
        own = df[df["series"] == series]
        y = own["name"].map(names.index) + 0.3 * (place - 0.5)
        grows = own["rate"].notna()
        rates = own.loc[grows, "rate"]
        bars = np.stack([rates - own.loc[grows, "low"], own.loc[grows, "high"] - rates])
        style: dict[str, Any] = {"color": look.color, "marker": look.marker, "linestyle": "", "markersize": 2.6}
        ax.errorbar(rates, y[grows], xerr=bars, capsize=0, elinewidth=0.8, label=f"{series}, rate", **style)
        hollow: dict[str, Any] = {**style, "markerfacecolor": "white", "markeredgewidth": 0.6}
        ax.plot(np.zeros(int((~grows).sum())), y[~grows], label=f"{series}, {NONE}", **hollow)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel(r"growth of $\log \|W\|^2$ an edit")
    ax.set_title(headed(df["panel"].iloc[0]), loc="left")
