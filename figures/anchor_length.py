"""What the anchor's length, and so the number of its pilots, does to the scores along a stream (P13)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.comparisons import comparisons, label_of, mean_along, seeds, stream
from figures.results import Run
from figures.style import BLACK, BLUE, GREY, VERMILION, Look, headed

FACETS = ("panel", None)
ROW_HEIGHT = 2.1  # inches
SCORES = {"score_exact": "exact score", "score_rescaled": "rescaled score"}
LOOKS = {"exact score": Look(BLUE, "-", "o"), "rescaled score": Look(VERMILION, "--", "s")}
PILOTS = (10, 100, 1000)
COLUMNS = ["run", "panel", "score", "times", "seed", "value", "relative_error", "pilots"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Mean scores along streams whose anchor is some factor times the measured one.

    Args:
        runs: any runs; comparisons with editors such as "memit+nas" and "memit+nas:times=0.8" are used.

    Returns:
        One row a comparison and rule (panel), score, factor (times) and seed: value, the score's mean along the stream;
        relative_error, the anchor's standard error as a share of it; pilots, of how many solves it is the mean.
    """
    rows = []
    for run in comparisons(runs):
        lengths = [
            (base, times, editor) for editor in run.checkpoints["editor"].unique() for base, times in _times(editor)
        ]
        several = {base for base, times, _ in lengths if times != 1}
        for base, times, editor in lengths:
            if base in several:
                rows += [
                    {
                        "run": run.name,
                        "panel": f"{label_of(base)}, {run.name}",
                        "score": label,
                        "times": times,
                        "seed": seed,
                        "value": mean_along(
                            stream(run.checkpoints, editor, seed), score, run.checkpoints["step"].max()
                        ),
                        "relative_error": _error(run, editor, seed),
                        "pilots": run.config["run"]["pilots"],
                    }
                    for score, label in SCORES.items()
                    for seed in seeds(run)
                ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _times(editor: str) -> list[tuple[str, float]]:
    """(the rule with its other parts, the factor) of an editor whose only option of `nas` is the factor, if any."""
    parts = editor.split("+")
    for place, part in enumerate(parts):
        name, _, options = part.partition(":")
        if name == "nas" and (not options or (options.startswith("times=") and "," not in options)):
            base = "+".join(parts[:place] + parts[place + 1 :])
            return [(base, float(options.removeprefix("times=") or 1))]
    return []


def _error(run: Run, editor: str, seed: int) -> float:
    for line in run.summary.get("streams", ()):
        if (line["editor"], line["seed"]) == (editor, seed) and line.get("anchors"):
            last = str(line["layers"][-1])
            return float(line["anchor_se"][last] / line["anchors"][last])
    return math.nan


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one rule: a point a seed and the means; grey: two standard errors of anchors of so many pilots.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    error, pilots = df["relative_error"].mean(), df["pilots"].iloc[0]
    for number, shade in zip(PILOTS, (0.12, 0.25, 0.5), strict=True):
        half = 2 * error * np.sqrt(pilots / number)
        ax.axvspan(1 - half, 1 + half, color=GREY, alpha=shade, linewidth=0, label=f"±2 SE of {number} pilots")
    for score, look in LOOKS.items():
        own = df[df["score"] == score]
        means = own.groupby("times")["value"].mean()
        ax.plot(means.index, means, color=look.color, linestyle=look.linestyle, label=f"{score}, mean over seeds")
        ax.plot(own["times"], own["value"], color=look.color, marker=look.marker, linestyle="", markersize=2.6)
    ax.axvline(1, color=BLACK, linewidth=0.5)
    ax.set_xlabel("anchor / the pilots' mean norm")
    ax.set_ylabel("mean along the stream (%)")
    ax.set_ylim(0, 105)
    ax.set_title(headed(df["panel"].iloc[0]), loc="left")
