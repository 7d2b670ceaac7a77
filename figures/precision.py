"""What stored precision does to a write and to the norm identity, measured beside theory's number (T7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.results import Run
from figures.style import BLACK, BLUE, headed, number_plainly

FACETS = ("panel", None)
SHARED = False
WIDE = True
ROW_HEIGHT = 1.6  # inches
PANELS = {
    "S4.changed_entries": "share of the stored entries that a write changes",
    "S4.storage_noise": "T1 on a stored weight, difference from the exact one",
    "S4.stored_change": "the same, in units of the foretold rounding",
    "S4.identity_error": "T1's error over its worst-case bound",
}
COLUMNS = ["run", "panel", "setting", "measured", "low", "high", "predicted", "relation"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """The settings of the claims on precision.

    Args:
        runs: any runs; the claims of `paper-checks` are used.

    Returns:
        One row a claim (panel) and setting: measured with its interval, predicted, and the relation between them.
    """
    parts = []
    for run in runs:
        for _, claim in run.rows.iterrows() if run.kind == "claims" else ():
            if claim["id"] in PANELS and len(claim["compared"]):
                parts.append(pd.DataFrame(list(claim["compared"])).assign(run=run.name, panel=PANELS[claim["id"]]))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one claim: a line a setting.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    y = np.arange(len(df))
    bars = np.stack([df["measured"] - df["low"], df["high"] - df["measured"]])
    ax.errorbar(df["measured"], y, xerr=bars, color=BLUE, marker="o", linestyle="", capsize=0, label="simulated")
    ax.plot(
        df["predicted"], y, color=BLACK, marker="|", linestyle="", markersize=9, label="theory (for a bound: at most)"
    )
    if (df[["measured", "predicted", "low"]] > 0).all(axis=None) and df["predicted"].max() > 5 * df["measured"].min():
        ax.set_xscale("log")
        number_plainly(ax.xaxis)
    ax.set_yticks(y, df["setting"])
    ax.set_ylim(len(df) - 0.5, -0.5)
    ax.set_title(headed(df["panel"].iloc[0]), loc="left")
