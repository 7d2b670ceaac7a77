"""Growth rate of the mean squared norm against the clamp and the key dimension, theory and simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, NullFormatter

from figures.results import Run
from figures.style import CYCLE, number_plainly
from theory.command import Misuse
from theory.growth.isotropic import mean_growth

FACETS = (None, None)
ROW_HEIGHT = 2.6  # inches
FACTORS = ["measured", "low", "high", "predicted"]
COLUMNS = ["run", "n", "clamp", *FACTORS]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Simulated growth rates with their 95 % intervals, and the rate that T3 foretells.

        rate = E‖W'‖²_F / ‖W‖²_F − 1,    foretold: c²/n

    Args:
        runs: any runs; the sweeps of growth factors are used.

    Returns:
        One row a run, key dimension and clamp: run, n, clamp (c = ‖δ‖/‖Wk‖), measured, low, high, predicted, each a
        rate an edit.

    Raises:
        Misuse: an interval does not hold its own estimate, or a prediction is not the factor that T3 gives.
    """
    frames = [run.rows.assign(run=run.name)[COLUMNS] for run in runs if run.kind == "phase"]
    if not frames:
        return pd.DataFrame(columns=COLUMNS)
    df = pd.concat(frames, ignore_index=True).sort_values(["n", "clamp", "run"], ignore_index=True)
    expected = np.array([mean_growth(int(n), float(c)) for n, c in df[["n", "clamp"]].to_numpy()])
    _refuse(df, ~np.isclose(df["predicted"], expected), "the prediction is not T3's factor 1 + c²/n")
    inside = (df["low"] <= df["measured"]) & (df["measured"] <= df["high"])
    _refuse(df, ~inside.to_numpy(), "the interval does not hold the measured factor")
    df[FACTORS] -= 1
    return df


def _refuse(df: pd.DataFrame, wrong: np.ndarray, reason: str) -> None:
    if wrong.any():
        row = df[wrong].iloc[0]
        raise Misuse(f"{row['run']}, clamp {row['clamp']:g}, n {row['n']:g}: {reason}; run the sweep again")


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw lines for theory and points with intervals for the simulation, one style a key dimension.

    Args:
        df: the table.
        ax: where to draw.
    """
    for number, (n, rows) in enumerate(df.groupby("n")):
        look = CYCLE[number % len(CYCLE)]
        theory = rows.drop_duplicates("clamp")
        alone = "_" if len(theory) == 1 else ""  # one point makes no line
        ax.plot(
            theory["clamp"], theory["predicted"], color=look.color, linestyle=look.linestyle, linewidth=1, marker=alone
        )
        bars = np.stack([rows["measured"] - rows["low"], rows["high"] - rows["measured"]])
        points: dict[str, Any] = {"linestyle": "", "marker": look.marker, "elinewidth": 0.8}
        ax.errorbar(rows["clamp"], rows["measured"], bars, color=look.color, **points)
        ax.plot([], [], look.marker, color=look.color, linestyle=look.linestyle, linewidth=1, label=f"n = {n:g}")
    if (df[["clamp", *FACTORS]] > 0).all(axis=None):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(df["clamp"].unique())
        number_plainly(ax.yaxis)
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_title("lines: theory, c²/n\npoints: simulation, 95 % interval", loc="left")
    ax.set_xlabel(r"relative clamp $c = \|\delta\|/\|Wk\|$")
    ax.set_ylabel(r"growth of mean $\|W\|^2$ an edit")
