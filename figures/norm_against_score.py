"""Success against ‖W‖: along each stream, and over the editors at the end (P1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from figures.comparisons import paired, pairs, seeds, series_of, stream
from figures.results import Run
from figures.style import SERIES, headed, number_plainly

FACETS = ("panel", None)
ROW_HEIGHT = 2.3  # inches
COLUMNS = ["run", "panel", "series", "editor", "edits", "norm", "score", "last", "within", "across"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """‖W‖ in units of the unedited weight's and the exact score at every evaluation, means over seeds.

        within = mean over streams without NAS of Spearman's ρ(‖W‖, score) along the stream
        across = mean over seeds of Spearman's ρ(‖W‖, score) over all editors at the stream's end

    Args:
        runs: any runs; the comparisons with the most pairs of editors are used.

    Returns:
        One row a comparison (panel), editor and evaluation: series, edits, norm, score, whether it is the last one, and
        both correlations.
    """
    parts = []
    for run in paired(runs):
        listed = [(series, editor, pair.label) for pair in pairs(run) for series, editor in series_of(pair)]
        within = np.nanmean([_rho(stream(_edited(run), pair.plain, s)) for pair in pairs(run) for s in seeds(run)])
        across = np.nanmean([_rho(_ends(run, [editor for _, editor, _ in listed], seed)) for seed in seeds(run)])
        first = float(run.checkpoints["weight_norm"].iloc[0])
        for series, editor, label in listed:
            each = pd.concat([stream(_edited(run), editor, seed) for seed in seeds(run)])
            mean = each.groupby("step")[["weight_norm", "score_exact"]].mean().reset_index()
            parts.append(
                pd.DataFrame(
                    {
                        "edits": mean["step"],
                        "norm": mean["weight_norm"] / first,
                        "score": mean["score_exact"],
                        "last": mean["step"] == mean["step"].max(),
                    }
                ).assign(run=run.name, panel=run.name, series=series, editor=label, within=within, across=across)
            )
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _edited(run: Run) -> pd.DataFrame:
    return run.checkpoints[run.checkpoints["step"] > 0]


def _ends(run: Run, editors: Sequence[str], seed: int) -> pd.DataFrame:
    return pd.concat([stream(run.checkpoints, editor, seed).iloc[-1:] for editor in editors])


def _rho(points: pd.DataFrame) -> float:
    """Spearman's ρ; a broken stream has an infinite norm and no score; NaN where one side does not move."""
    x, y = points["weight_norm"].fillna(np.inf), points["score_exact"].fillna(0.0)
    return float(stats.spearmanr(x, y).statistic) if x.nunique() > 1 and y.nunique() > 1 else np.nan


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one comparison: a path an editor, with a mark at its end.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    for series, look in SERIES.items():
        for _, path in df[df["series"] == series].groupby("editor", sort=False):
            ax.plot(path["norm"], path["score"], color=look.color, linestyle=look.linestyle, linewidth=0.8)
            end = path[path["last"]]
            ax.plot(end["norm"], end["score"], color=look.color, linestyle="", marker=look.marker,
                    markersize=4.5, label=f"{series}, at the stream's end")  # fmt: skip
    ax.set_xscale("log")
    number_plainly(ax.xaxis)
    ax.set_xlabel(r"$\|W\| / \|W_0\|$")
    ax.set_ylabel("exact score (%)")
    ax.set_ylim(0, 105)
    first = df.iloc[0]
    said = f"ρ along streams {first['within']:.2f}, over editors at the end {first['across']:.2f}"
    ax.set_title(headed(first["panel"], said), loc="left")
