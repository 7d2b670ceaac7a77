"""Time an edit of the blocked engine against each of its sizes, with the exponents."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullFormatter, NullLocator
from scipy import stats

from figures.results import Run
from figures.style import CYCLE, number_plainly

FACETS = ("axis", None)
ROW_HEIGHT = 2.3  # inches
COLUMNS = ["run", "rule", "axis", "size", "ms", "low", "high", "slope", "slope_low", "slope_high", "fitted"]
NAMES = {"n": "key dimension n", "m": "value dimension m", "block": "block b (writes)", "trials": "trials r"}
SYMBOLS = {"n": "n", "m": "m", "block": "b", "trials": "r"}


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Times an edit by rule and size, with the exponents over the sizes they were fitted to.

        log ms = slope · log size + constant,   one fit a repeat; mean and Student t interval over repeats

    Args:
        runs: any runs; the timings of the blocked engine are used.

    Returns:
        One row a run, rule, axis and size: ms, its median over repeats, low and high, their range, in milliseconds an
        edit of one trial; slope with its 95 % interval; fitted, the line at this size, NaN outside the fitted half
        (the larger sizes for n and m, the smaller for block and trials).
    """
    parts = [
        _fitted(run.name, str(rule), axis, rows)
        for run in runs
        if run.kind == "scaling"
        for axis in NAMES
        for rule, rows in run.rows[run.rows["axis"] == axis].groupby("rule", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _fitted(run: str, rule: str, axis: str, rows: pd.DataFrame) -> pd.DataFrame:
    """One rule along one axis."""
    times = rows.pivot(index=axis, columns="repeat", values="ms").sort_index()
    half = len(times) // 2 + 1
    kept = times.iloc[-half:] if axis in ("n", "m") else times.iloc[:half]
    x, y = np.log(kept.index.to_numpy(float)), np.log(kept.to_numpy())
    centered = x - x.mean()
    slopes = centered @ y / (centered @ centered)
    mean, spread = slopes.mean(), slopes.std(ddof=1) / math.sqrt(len(slopes)) * stats.t.ppf(0.975, len(slopes) - 1)
    line = np.exp(y.mean() + mean * centered)
    return pd.DataFrame(
        {
            "run": run,
            "rule": rule,
            "axis": axis,
            "size": times.index.to_numpy(),
            "ms": times.median(axis=1).to_numpy(),
            "low": times.min(axis=1).to_numpy(),
            "high": times.max(axis=1).to_numpy(),
            "slope": mean,
            "slope_low": mean - spread,
            "slope_high": mean + spread,
            "fitted": pd.Series(line, index=kept.index).reindex(times.index).to_numpy(),
        }
    )


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw medians with their range, one style a rule, and the fitted lines.

    Args:
        df: the rows of one axis.
        ax: where to draw.
    """
    axis, titles = str(df["axis"].iloc[0]), []
    for number, ((_, rule), rows) in enumerate(df.groupby(["run", "rule"], sort=False)):
        look = CYCLE[number % len(CYCLE)]
        bars = np.stack([rows["ms"] - rows["low"], rows["high"] - rows["ms"]])
        ax.errorbar(rows["size"], rows["ms"], bars, color=look.color, linestyle="", marker=look.marker, elinewidth=0.8)
        ax.plot(rows["size"], rows["fitted"], color=look.color, linestyle=look.linestyle, linewidth=0.9)
        ax.plot([], [], color=look.color, linestyle=look.linestyle, marker=look.marker, label=rule)
        slope, low, high = rows[["slope", "slope_low", "slope_high"]].iloc[0]
        titles.append(f"{rule}: ${SYMBOLS[axis]}^{{{slope:.2f}}}$ [{low:.2f}, {high:.2f}]")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(FixedLocator(sorted(df["size"].unique())))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    number_plainly(ax.yaxis)
    ax.set_title("\n".join(titles), loc="left")
    ax.set_xlabel(NAMES[axis])
    ax.set_ylabel("ms an edit")
