"""Where an edit's time goes, by the textbook and here, and what NAS adds to it (P10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from figures.comparisons import NAMES
from figures.results import Run
from figures.style import BLUE, GREY, ORANGE, SKY, VERMILION, headed

FACETS = ("panel", None)
ROW_HEIGHT = 1.9  # inches
PARTS = {"solve_s": "value solve", "look_s": "keys", "write_s": "writes"}
LOOKS = {"textbook": (GREY, ""), "value solve": (BLUE, ""), "keys": (SKY, "//"), "writes": (ORANGE, "\\\\")}
COLUMNS = ["run", "panel", "way", "part", "seconds", "ratio", "nas_share"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Seconds an edit, by the textbook and by this toolkit in its parts.

    Args:
        runs: any runs; timings of `python -m real_models bench` are used.

    Returns:
        One row a rule (panel), way ("textbook" or "here") and part: seconds; ratio, how many times as fast; nas_share,
        what NAS adds once its anchor is known, as a share of an edit.
    """
    rows = []
    for run in runs:
        if run.kind == "bench":
            for _, row in run.rows.iterrows():
                about = {
                    "run": run.name,
                    "panel": f"{NAMES.get(row['rule'], row['rule'])}",
                    "ratio": row["ratio"],
                    "nas_share": row["anchor_overhead"],
                }
                rows.append(about | {"way": "textbook", "part": "textbook", "seconds": row["textbook_s"]})
                rows += [about | {"way": "here", "part": said, "seconds": row[name]} for name, said in PARTS.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one rule: a bar by the textbook, a stacked bar here, and NAS as a line too thin to see, in words.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    ways = ["textbook", "here"]
    for way in ways:
        start = 0.0
        for _, row in df[df["way"] == way].iterrows():
            color, hatch = LOOKS[row["part"]]
            said = row["part"] if way == "here" else "whole passes, dense solves"
            style: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.2}
            ax.barh(ways.index(way), row["seconds"], left=start, label=said, **style)
            start += row["seconds"]
    first = df.iloc[0]
    nas = first["nas_share"] * df.loc[df["way"] == "here", "seconds"].sum()
    ax.axvline(nas, ymin=0.55, ymax=0.95, color=VERMILION, linewidth=1, label="what NAS adds")
    ax.set_yticks(range(len(ways)), ways)
    ax.invert_yaxis()
    ax.set_xlabel("seconds an edit")
    said = f"{first['ratio']:.1f} times as fast; NAS adds {100 * first['nas_share']:.2g} %"
    ax.set_title(headed(first["panel"], said), loc="left")
