"""From a table to files: panels on a page, one legend, metadata, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import DOUBLE, DPI, SINGLE, styled
from theory.command import Misuse

Draw = Callable[[pd.DataFrame, Axes], None]
Facets = tuple[str | None, str | None]
WRAP = 2  # panels side by side on two columns, where only one thing is faceted
LEGEND_LINE = 0.15  # inches
LETTER, HANDLE = 0.052, 8  # inches a letter of a legend, and what its handle takes, in letters
FORMATS = ("pdf", "png", "svg")


def compose(
    df: pd.DataFrame, draw: Draw, facets: Facets, height: float, *, shared: bool = True, wide: bool = False
) -> Figure:
    """Draw a table panel by panel, with one legend below.

    Args:
        df: a figure's table, not empty.
        draw: draws the rows of one panel.
        facets: (column whose values stand below each other, column whose values stand side by side), None where
            nothing is faceted. Panels of the first alone are wrapped.
        height: inches a row of panels.
        shared: whether panels that differ in the first thing alone have one vertical axis in common.
        wide: whether those panels are not wrapped, each two columns wide.

    Returns:
        The figure: one journal column wide for a single panel, else two.
    """
    parts = _parts(df, facets)
    across = df[facets[1]].nunique() if facets[1] else min(1 if wide else WRAP, len(parts))
    rows = -(-len(parts) // across)
    figure = Figure(figsize=(DOUBLE if wide or across > 1 else SINGLE, height * rows), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False, sharey=shared and facets[1] is None)
    for ax in grid.flat[len(parts) :]:
        ax.remove()
    axes: list[Axes] = list(grid.flat[: len(parts)])
    for ax, part in zip(axes, parts, strict=True):
        if part.empty:
            ax.set_axis_off()
            ax.set_title("no data")
        else:
            draw(part, ax)
    _add_legend(figure, axes)
    return figure


def _parts(df: pd.DataFrame, facets: Facets) -> list[pd.DataFrame]:
    """The rows of each panel, in reading order; empty where a combination has none."""
    parts = [df]
    for name in facets:
        if name:
            values = df[name].unique()
            parts = [part[part[name] == value] for part in parts for value in values]
    return parts


def _add_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        columns = min(max(1, int(figure.get_figwidth() / LETTER / (HANDLE + max(map(len, handles))))), 4, len(handles))
        figure.legend(handles=handles.values(), labels=handles.keys(), loc="outside lower center", ncols=columns)
        figure.set_figheight(figure.get_figheight() + LEGEND_LINE * -(-len(handles) // columns))


def save(figure: Figure, stem: Path, formats: Sequence[str], about: dict[str, str]) -> list[Path]:
    """Write a figure in each format, atomically; equal figures give equal files.

    Args:
        figure: what to write.
        stem: the files' path without suffix; its folder is made if missing.
        formats: among pdf, png and svg.
        about: "Title", "Description" and "Keywords" (seeds and commits) for the files' metadata.

    Returns:
        The files.

    Raises:
        Misuse: a format is unknown.
        OSError: the disk is full or the folder cannot be written; no partial file is left behind.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise Misuse(f"the format {unknown[0]!r} is unknown; choose among {', '.join(FORMATS)}")
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for name in formats:
        path = stem.with_name(f"{stem.name}.{name}")
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            figure.savefig(partial, format=name, metadata=_metadata(name, about), dpi=DPI)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        written.append(path)
    return written


def _metadata(name: str, about: dict[str, str]) -> dict[str, object]:
    """The metadata in a format's own keys, without the date, which would make equal figures differ."""
    if name == "pdf":
        return {
            "Title": about["Title"],
            "Subject": about["Description"],
            "Keywords": about["Keywords"],
            "CreationDate": None,
        }
    if name == "svg":
        return {
            "Title": about["Title"],
            "Description": about["Description"],
            "Keywords": [about["Keywords"]],
            "Date": None,
        }
    return dict(about)


def write_figure(
    df: pd.DataFrame,
    draw: Draw,
    facets: Facets,
    height: float,
    stem: Path,
    formats: Sequence[str],
    about: dict[str, str],
    *,
    shared: bool = True,
    wide: bool = False,
) -> list[Path]:
    """Compose and save in the project's style."""
    with styled():
        return save(compose(df, draw, facets, height, shared=shared, wide=wide), stem, formats, about)
