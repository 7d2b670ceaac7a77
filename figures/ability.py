"""General ability along the stream: next-token agreement with the unedited model, and perplexity, on held-out text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.comparisons import paired, pairs, seeds, series_of, stream
from figures.results import Run
from figures.style import SERIES, count_edits, headed, number_plainly

FACETS = ("panel", "quantity")
ROW_HEIGHT = 1.9  # inches
QUANTITIES = {
    "agreement": "agreement with the unedited model (%)",
    "perplexity_ratio": "perplexity, in units of the unedited model's",
}
EVERY = "mean of the editors"
COLUMNS = ["run", "panel", "quantity", "series", "editor", "edits", "value"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Of each editor the mean over seeds, and of all editors their mean (of the perplexity ratio, the geometric one).

    Args:
        runs: any runs; the comparisons with the most pairs of editors are used.

    Returns:
        One row a comparison (panel), quantity, series, editor ("mean of the editors" for all) and number of edits.
    """
    parts = []
    for run in paired(runs):
        for column, label in QUANTITIES.items():
            for pair in pairs(run):
                for series, editor in series_of(pair):
                    each = pd.concat([stream(run.checkpoints, editor, seed) for seed in seeds(run)])
                    value = _mean(each, column, "step").rename("value").rename_axis("edits").reset_index()
                    parts.append(
                        value.assign(run=run.name, panel=run.name, quantity=label, series=series, editor=pair.label)
                    )
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    df = pd.concat(parts, ignore_index=True)
    keys = ["run", "panel", "quantity", "series", "edits"]
    complete = df.groupby(keys)["editor"].transform("nunique") == df.groupby(["run", "quantity"])["editor"].transform(
        "nunique"
    )
    shared = df[complete]
    means = [
        _mean(part, "value", keys, geometric=label == QUANTITIES["perplexity_ratio"]).rename("value").reset_index()
        for label, part in shared.groupby("quantity", sort=False)
    ]
    return pd.concat([df, *(part.assign(editor=EVERY) for part in means)], ignore_index=True)[COLUMNS]


def _mean(df: pd.DataFrame, column: str, by: str | list[str], *, geometric: bool = False) -> pd.Series:
    values = np.log(df[column]) if geometric or column == "perplexity_ratio" else df[column]
    means = df.assign(**{column: values}).groupby(by, sort=False)[column].mean()
    return np.exp(means) if geometric or column == "perplexity_ratio" else means


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one quantity of one comparison: thick the mean of the editors, thin each of them.

    Args:
        df: the rows of one panel and quantity.
        ax: where to draw.
    """
    quantity = df["quantity"].iloc[0]
    for series, look in SERIES.items():
        own = df[df["series"] == series]
        for editor, line in own.groupby("editor", sort=False):
            line = line.sort_values("edits")
            if editor == EVERY:
                ax.plot(
                    line["edits"], line["value"], color=look.color, linestyle=look.linestyle, marker=look.marker,
                    linewidth=1.8, zorder=3, label=f"{series}, mean of the editors",
                )  # fmt: skip
            else:
                ax.plot(
                    line["edits"], line["value"], color=look.color, linestyle=look.linestyle, linewidth=0.6, alpha=0.6,
                    label=f"{series}, an editor each",
                )  # fmt: skip
    count_edits(ax)
    if quantity == QUANTITIES["perplexity_ratio"]:
        ax.set_yscale("log")
        number_plainly(ax.yaxis)
    else:
        ax.set_ylim(0, 105)
    ax.set_title(headed(df["panel"].iloc[0], quantity), loc="left")
