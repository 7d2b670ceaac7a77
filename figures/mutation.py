"""The mutation map: of the faults planted in the theory's formulas, how many a claim notices, module by module."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from figures.results import Run
from figures.style import BLUE, GREY, VERMILION

FACETS = (None, None)
ROW_HEIGHT = 4.2  # inches
LOOKS = {
    "killed": (BLUE, "", "noticed by a claim"),
    "survived": (VERMILION, "//", "survived"),
    "void": (GREY, "..", "void"),
}
COLUMNS = ["run", "module", "outcome", "mutants"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """How many mutants of each module were killed, survived or were void.

    Args:
        runs: any runs; the JSON of `python -m theory mutate` is used.

    Returns:
        One row a module and outcome, modules in alphabetical order.
    """
    parts = [
        run.rows.groupby(["module", "outcome"]).size().rename("mutants").reset_index().assign(run=run.name)
        for run in runs
        if run.kind == "mutants"
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw a bar a module, its parts side by side.

    Args:
        df: the whole table.
        ax: where to draw.
    """
    counts = df.pivot_table(index="module", columns="outcome", values="mutants", aggfunc="sum", fill_value=0)
    start = pd.Series(0, index=counts.index)
    names = [name.removeprefix("theory.").removesuffix(".py").replace("theory/", "") for name in counts.index]
    for outcome, (color, hatch, said) in LOOKS.items():
        if outcome in counts:
            total = int(counts[outcome].sum())
            ax.barh(names, counts[outcome], left=start, color=color, hatch=hatch, edgecolor="white",
                    label=f"{said}: {total}")  # fmt: skip
            start = start + counts[outcome]
    ax.invert_yaxis()
    ax.set_xlabel("planted faults")
    ax.set_title("mutation map of the theory", loc="left")
