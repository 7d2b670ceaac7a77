"""‖W‖² of linear memories along simulated streams beside theory's law: growth, NAS's plateau, and its worst case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figures.results import Run
from figures.style import BLACK, BLUE, count_edits, headed, number_plainly
from theory.anchoring.plateaus import plateau

FACETS = ("panel", None)
SHARED = False
ROW_HEIGHT = 2.2  # inches
RELAXES, WORST, LAW = "relaxes to a²n/(n − 2) (T5)", "‖W₀‖² + Σ a²/s, the worst case (T5)", "theory's mean"
NAMES = {"rome": "ROME", "memit": "MEMIT", "alphaedit": "AlphaEdit", "memit_seq": "MEMIT-seq", "rlsedit": "RLSEdit"}
COLUMNS = ["run", "panel", "edits", "mean", "low", "high", "law", "said"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Mean ‖W‖² over seeds after every edit, its range from the 5th to the 95th per cent, and theory's law.

        R_t = R_∞ + (R_0 − R_∞)(1 − 1/n)^t,  R_∞ = a²n/(n − 2)     NAS, ROME with C = I, isotropic normal keys
        R_t = R_0 + Σ a²/s_i                                     NAS, keys that W has not seen (an adversary's)

    Args:
        runs: any runs; those of `python -m sim grow` are used.

    Returns:
        One row a run and edit: panel, edits, mean, low, high; law, NaN where theory has none; said, which law it is.
    """
    parts = []
    for run in runs:
        if run.kind == "memory":
            rows, (law, said) = run.rows, law_of(run)
            part = pd.DataFrame({"edits": rows["edits"].astype(int), "mean": rows["norm_sq_after"]})
            low, high = (np.square(rows[f"weight_norm_{end}"]) for end in ("q05", "q95"))
            parts.append(part.assign(run=run.name, panel=title(run), low=low, high=high, law=law, said=said))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def title(run: Run) -> str:
    """What a run simulates."""
    config = run.config
    keys = "unseen keys" if config["keys"] == "unseen" else "normal keys"
    rule = f"{NAMES.get(config['rule'], config['rule'])}{' with NAS' if config['anchor'] else ''}"
    return f"{rule}, {keys}, n = {config['n']}"


def law_of(run: Run) -> tuple[NDArray[np.float64], str]:
    """Theory's law of a run and its name; NaN where it has none."""
    config, rows = run.config, run.rows
    first, t = float(rows["norm_sq"].iloc[0]), rows["edits"].to_numpy(float)
    hard = config["rule"] == "rome" and config["metric"] == "identity" and not config["transforms"]
    if config["anchor"] and hard:
        if config["keys"] == "unseen":
            # T1's right side, a²/s where Wk = 0: its mean over seeds is recorded, that of 1/s is not.
            return first + np.cumsum(rows["predicted"].to_numpy(float)), WORST
        if config["anisotropy"] == 1:
            anchors = run.table("seeds")["anchor"].to_numpy(float)
            limit = float(np.mean([plateau(anchor, config["n"]) for anchor in anchors]))
            return limit + (first - limit) * (1 - 1 / config["n"]) ** t, RELAXES
    return rows["norm_sq_law"].to_numpy(float), LAW


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one run: the mean with the seeds' range, and theory's law.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    ax.fill_between(df["edits"], df["low"], df["high"], color=BLUE, alpha=0.25, linewidth=0, label="5 to 95 % of seeds")
    ax.plot(df["edits"], df["mean"], color=BLUE, linewidth=1.6, label="simulated, mean over seeds")
    if df["law"].notna().any():
        ax.plot(df["edits"], df["law"], color=BLACK, linestyle="--", linewidth=0.9, label="theory")
    if df["high"].max() > 50 * df["low"].min():
        ax.set_yscale("log")
        number_plainly(ax.yaxis)
    count_edits(ax)
    ax.set_ylabel(r"$\|W\|^2$")
    said = (df["said"].iloc[0],) if df["law"].notna().any() else ()
    ax.set_title(headed(df["panel"].iloc[0], *said), loc="left")
