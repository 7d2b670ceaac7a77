"""‖v0‖ and ‖v*‖ against ‖W‖_F, with the straight lines that the paper's growth statement rests on (P5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.fits import line_through
from figures.results import Run, edit_runs
from figures.style import VALUES, headed

FACETS = ("panel", "series")
ROW_HEIGHT = 2.3  # inches
QUANTITIES = {"v0": "v0_norm", "solved": "solved_norm"}
LABELS = {"v0": r"$\|v_0\|$, the layer's output before the edit", "solved": r"$\|v^*\|$, solved"}
SHORT = {"v0": "‖v₀‖", "solved": "‖v*‖"}
COLUMNS = ["panel", "series", "run", "quantity", "weight_norm", "norm", "fitted", "low", "high", "slope"]
COLUMNS += ["slope_low", "slope_high", "intercept", "r2"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """The norms of each edit's value vectors before the write, with a least-squares line a run and quantity.

        ‖v‖ = intercept + slope ‖W‖_F,    P5 as published: intercept 0

    Args:
        runs: any runs; the sequential ones are used.

    Returns:
        One row an edit and quantity, sorted by ‖W‖_F within a run: panel, series, run, quantity ("v0": the layer's
        output before the edit, "solved": v* before any anchor), weight_norm, norm, fitted, low and high (lines
        through the points' mean with the slopes at the ends of its 95 % interval), slope, slope_low, slope_high,
        intercept, r2. From fitted on all are NaN for short runs and where ‖W‖_F does not move.

    Raises:
        Misuse: a run's rows have a gap.
    """
    frames = [
        _of_run(panel, run, quantity, column)
        for panel, run in edit_runs(runs)
        for quantity, column in QUANTITIES.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _of_run(panel: str, run: Run, quantity: str, column: str) -> pd.DataFrame:
    writes = run.writes()
    # In the order of the stream: the interval allows for edits that resemble their neighbours.
    x, y = writes["weight_norm"].to_numpy(), writes[column].to_numpy()
    line = line_through(x, y)
    fitted = line.intercept + line.slope * x
    band = np.stack([(line.low - line.slope) * (x - x.mean()), (line.high - line.slope) * (x - x.mean())])
    frame = pd.DataFrame(
        {
            "panel": panel,
            "series": run.series,
            "run": run.name,
            "quantity": quantity,
            "weight_norm": x,
            "norm": y,
            "fitted": fitted,
            "low": fitted + band.min(axis=0),
            "high": fitted + band.max(axis=0),
            "slope": line.slope,
            "slope_low": line.low,
            "slope_high": line.high,
            "intercept": line.intercept,
            "r2": line.r_squared,
        }
    )
    return frame.sort_values("weight_norm", kind="stable", ignore_index=True)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one panel: points, the fitted lines, the slopes' intervals as bands.

    Args:
        df: the rows of one panel and series.
        ax: where to draw.
    """
    for quantity, look in VALUES.items():
        chosen = df[df["quantity"] == quantity]
        points: dict[str, Any] = {"linestyle": "", "marker": look.marker, "markersize": 1.8, "markeredgewidth": 0}
        ax.plot(chosen["weight_norm"], chosen["norm"], color=look.color, alpha=0.5, rasterized=True, **points)
        for _, run in chosen.groupby("run", sort=False):
            ax.fill_between(run["weight_norm"], run["low"], run["high"], color=look.color, alpha=0.3, linewidth=0)
            line: dict[str, Any] = {"linestyle": look.linestyle, "marker": look.marker, "markeredgecolor": "black"}
            ends = run.iloc[[0, -1]]
            ax.plot(ends["weight_norm"], ends["fitted"], color=look.color, label=LABELS[quantity], **line)
    ax.set_xlabel(r"$\|W\|_F$")
    ax.set_ylabel("norm of the value")
    ax.set_ylim(bottom=0)
    head = f"{df['panel'].iloc[0]}, {df['series'].iloc[0]}"
    ax.set_title(headed(head, *(_said(df, quantity) for quantity in VALUES)), loc="left")


def _said(df: pd.DataFrame, quantity: str) -> str:
    """A quantity's fit in words: of one run with its interval, of several with their range."""
    fits = df[df["quantity"] == quantity].groupby("run")[["slope", "slope_low", "slope_high", "r2"]].first()
    if fits["slope"].isna().all():
        return f"{SHORT[quantity]}: no line (few edits, or a still norm)"
    if len(fits) > 1:
        low, high = fits["slope"].min(), fits["slope"].max()
        return f"{SHORT[quantity]}: slopes {low:.3g} to {high:.3g}, R² ≥ {fits['r2'].min():.2f}"
    slope, low, high, r2 = fits.iloc[0]
    return f"{SHORT[quantity]}: slope {slope:.3g} [{low:.3g}, {high:.3g}], R² {r2:.2f}"
