"""log ‖W‖_F against edits, with and without NAS, measured and foretold by the identity of rank-one writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.fits import line_through
from figures.results import WITHOUT, Run, edit_runs
from figures.style import BLACK, GREY, MARKERS, SERIES, count_edits, headed, number_plainly

FACETS = ("panel", None)
ROW_HEIGHT = 2.1  # inches
COLUMNS = ["panel", "series", "run", "edits", "norm", "identity", "fitted", "rate", "r2", "bound"]
IDENTITY, FIT, BOUND = "foretold write by write (T1)", "exponential fit", "worst case with NAS (T5)"


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """The norm of the last edited layer after every edit, with what theory says of it.

        identity² = ‖W_0‖² + Σ_{i<t} (‖v_i‖² − ‖W_i k_i‖²)/‖k_i‖²        ROME with C = I: T1, summed over the writes
        fitted    = exp(b + rate·t)                                      least squares on log ‖W_t‖
        bound²    = ‖W_0‖² + Σ_{i<t} a²/‖k_i‖²                           the same with NAS (T5), whatever is read out

    Args:
        runs: any runs; the sequential ones are used.

    Returns:
        One row a run and number of edits: panel, series, run, edits, norm (‖W‖_F), identity (NaN unless the metric
        of the write is the Frobenius one), fitted, rate (log-norm an edit), r2, bound (NaN without NAS). R² of a
        series that sums its own past is near 1 for any steady growth: it says how straight, not how certain.

    Raises:
        Misuse: a run's rows have a gap.
    """
    frames = [_of_run(panel, run) for panel, run in edit_runs(runs)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _of_run(panel: str, run: Run) -> pd.DataFrame:
    norms = run.norms()
    edits = np.arange(len(norms))
    line = line_through(edits, np.log(norms))
    identity, bound = _foretold(run, norms[0])
    return pd.DataFrame(
        {
            "panel": panel,
            "series": run.series,
            "run": run.name,
            "edits": edits,
            "norm": norms,
            "identity": identity,
            "fitted": np.exp(line.intercept + line.slope * edits),
            "rate": line.slope,
            "r2": line.r_squared,
            "bound": bound,
        }
    )


def _foretold(run: Run, first: float) -> tuple[np.ndarray | float, np.ndarray | float]:
    """(identity, bound) where one Frobenius identity governs the layer; else NaN."""
    if (run.config["rule"], run.config.get("metric")) != ("rome", "identity") or run.rows["layer"].nunique() > 1:
        return np.nan, np.nan
    writes = run.writes()
    keys, read, values = (np.square(writes[name].to_numpy()) for name in ("key_norm", "readout_norm", "value_norm"))
    identity = _summed(first, (values - read) / keys)
    anchor = run.summary.get("anchor")
    return identity, np.nan if run.series == WITHOUT or anchor is None else _summed(first, anchor**2 / keys)


def _summed(first: float, gains: np.ndarray) -> np.ndarray:
    """The norm after 0, 1, 2, ... edits, from the first norm and what each edit adds to its square."""
    return np.sqrt(np.cumsum(np.append(first**2, gains)))


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one panel of the table: thick lines are measured, thin black dashes foretold by the identity.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    for series, look in SERIES.items():
        for _, run in df[df["series"] == series].groupby("run", sort=False):
            x, every = run["edits"], max(1, len(run) // MARKERS)
            measured: dict[str, Any] = {"color": look.color, "marker": look.marker, "markevery": every}
            ax.plot(x, run["norm"], linewidth=2.2, label=f"{series}, measured", **measured)
            if run["identity"].notna().any():
                ax.plot(x, run["identity"], color=BLACK, linestyle=(0, (2, 2)), linewidth=0.8, label=IDENTITY)
            if series == WITHOUT:
                ax.plot(x, run["fitted"], color=GREY, linestyle=":", linewidth=1, label=FIT)
            if run["bound"].notna().any():
                ax.plot(x, run["bound"], color=look.color, linestyle="-.", linewidth=0.9, label=BOUND)
    ax.set_yscale("log")
    number_plainly(ax.yaxis)
    count_edits(ax)
    ax.set_ylabel(r"$\|W\|_F$")
    ax.set_title(headed(df["panel"].iloc[0], *_rate(df)), loc="left")


def _rate(df: pd.DataFrame) -> list[str]:
    """The fit's rate and R² without NAS, over the runs of a panel."""
    fits = df[df["series"] == WITHOUT].groupby("run")[["rate", "r2"]].first()
    if fits.empty or fits["rate"].isna().all():
        return []
    low, high = 100 * fits["rate"].min(), 100 * fits["rate"].max()
    rate = f"{low:+.2g}" if len(fits) == 1 else f"{low:+.2g} to {high:+.2g}"
    return [f"fit without NAS: {rate} % an edit, R² {'≥ ' * (len(fits) > 1)}{fits['r2'].min():.3f}"]
