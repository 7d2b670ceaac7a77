"""One style for every figure, applied in a context: sizes of ICML and NeurIPS columns, colours, lines, markers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

from figures.results import WITH, WITHOUT

SINGLE, DOUBLE = 3.25, 6.75  # inches: one column and two of an ICML page
DPI = 200
NO_BREAK = "\u00a0"
HEAD = 48  # characters of a title that fit a column

# Okabe and Ito's palette, which the colour-blind can tell apart.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"


class Look(NamedTuple):
    """How a series is drawn; no two series share a line style or a marker, so that grey print tells them apart."""

    color: str
    linestyle: Any
    marker: str


MARKERS = 6  # on a line that has a point for every edit
SERIES = {WITHOUT: Look(ORANGE, "-", "o"), WITH: Look(BLUE, (0, (4, 1)), "s")}
VALUES = {"v0": Look(SKY, "--", "o"), "solved": Look(VERMILION, "-", "^")}
CYCLE = (
    Look(BLACK, "-", "o"),
    Look(ORANGE, "--", "s"),
    Look(BLUE, "-.", "^"),
    Look(PURPLE, ":", "D"),
    Look(GREEN, (0, (5, 1, 1, 1, 1, 1)), "v"),
    Look(VERMILION, (0, (1, 1)), "P"),
    Look(SKY, (0, (7, 2)), "X"),
)

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "errorbar.capsize": 1.5,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "savefig.facecolor": "white",
    # TrueType in PDF and text in SVG: a reader can select and search it, and journals accept it.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    # Element names in SVG come from this salt instead of a random one: equal data give an equal file.
    "svg.hashsalt": "norm-anchor-lab",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the project's style; matplotlib's settings are restored afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a user's own matplotlibrc says
        matplotlib.rcParams.update(RC)
        yield


def number_plainly(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, also where it spans less than a decade.

    Args:
        axis: an axis whose data are drawn.
    """
    low, high = sorted(axis.get_view_interval())
    subs = (1, 2, 5) if high < 1000 * low else (1,)
    wide = LogLocator(subs=subs, numticks=15 if len(subs) > 1 else 7)
    axis.set_major_locator(wide if high > 10 * low else MaxNLocator(5, steps=(1, 2, 5, 10)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def headed(head: str, *lines: str) -> str:
    """A panel's title: a head, broken where it is too long for half a page, and lines below it."""
    # A line breaks after a comma only: "with NAS" and "clamp 0.75" stay whole.
    tied = ", ".join(part.replace(" ", NO_BREAK) for part in head.split(", "))
    return "\n".join(
        [*(line.replace(NO_BREAK, " ") for line in textwrap.wrap(tied, HEAD, break_long_words=False)), *lines]
    )


def count_edits(ax: Axes) -> None:
    """Make the horizontal axis one of whole edits, from 0."""
    ax.dataLim.update_from_data_x(np.zeros(1), ignore=False)
    ax.autoscale_view()
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=(1, 2, 5, 10)))
    ax.set_xlabel("edits")
