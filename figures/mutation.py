"""The mutation map: of the faults planted in the theory's formulas, how many a claim notices, module by module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from figures.results import Run
from figures.style import BLUE, GREY, VERMILION, headed

FACETS = ("panel", None)
SHARED = False
ROW_HEIGHT = 5.0  # inches
ROOM = "theory."
FORMULAS, PROOFS = "modules of formulas", "modules of proofs"
ROWS, FAULTS = 34, 3
"""A panel has room for so many modules and faults at least, so that its bars are as thick as another's."""
LOOKS = {
    "killed": (BLUE, "", "noticed by a claim"),
    "survived": (VERMILION, "//", "survived"),
    "void": (GREY, "..", "void"),
}
COLUMNS = ["run", "panel", "module", "outcome", "mutants"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """How many mutants of each module were killed, survived or were void.

    Args:
        runs: any runs; the JSON of `python -m theory mutate` is used.

    Returns:
        One row a module and outcome: panel (whether the module's name ends in "_proofs"), modules in alphabetical
        order.
    """
    parts = [
        run.rows.groupby(["module", "outcome"]).size().rename("mutants").reset_index().assign(run=run.name)
        for run in runs
        if run.kind == "mutants"
    ]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    df = pd.concat(parts, ignore_index=True)
    module = df["module"].str.removesuffix(".py").str.replace("/", ".").str.removeprefix(ROOM)
    df = df.assign(module=module, panel=np.where(module.str.endswith("_proofs"), PROOFS, FORMULAS))
    return df[COLUMNS].sort_values(["panel", "module"], kind="stable", ignore_index=True)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw a bar a module, its parts side by side.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    counts = df.pivot_table(index="module", columns="outcome", values="mutants", aggfunc="sum", fill_value=0)
    start = pd.Series(0, index=counts.index)
    for outcome, (color, hatch, said) in LOOKS.items():
        if outcome in counts:
            style: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "white", "label": said}
            ax.barh(counts.index, counts[outcome], left=start, **style)
            start = start + counts[outcome]
    ax.set_ylim(max(ROWS, len(counts)) - 0.4, -0.6)
    ax.set_xlim(0, 1.02 * max(FAULTS, start.max()))
    ax.set_xlabel("planted faults")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    noticed = int(df.loc[df["outcome"] == "killed", "mutants"].sum())
    ax.set_title(headed(df["panel"].iloc[0], f"{noticed} of {int(df['mutants'].sum())} noticed"), loc="left")
