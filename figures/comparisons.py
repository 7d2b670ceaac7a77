"""Comparisons of editors as figures read them: which editors stand with NAS and without, and means along streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from figures.results import WITH, WITHOUT, Run

NAMES = {
    "rome": "ROME",
    "memit": "MEMIT",
    "memit_seq": "MEMIT-seq",
    "alphaedit": "AlphaEdit",
    "rect": "RECT",
    "prune": "PRUNE",
    "encore": "ENCORE",
    "mose": "MOSE",
}
"""How the field writes a rule or a transform; others keep their names."""


class Pair(NamedTuple):
    """An editor without NAS and the same with it.

    Attributes:
        label: for readers.
        plain: the editor in words.
        anchored: the same with NAS as published.
    """

    label: str
    plain: str
    anchored: str


def comparisons(runs: Sequence[Run]) -> list[Run]:
    """The runs that compare editors and have evaluated them."""
    return [run for run in runs if run.kind == "compare" and (run.checkpoints.get("step", pd.Series()) > 0).any()]


def paired(runs: Sequence[Run]) -> list[Run]:
    """The comparisons with the most editors that stand there with NAS and without."""
    known = [(run, len(pairs(run))) for run in comparisons(runs)]
    most = max((count for _, count in known), default=0)
    return [run for run, count in known if count == most > 0]


def pairs(run: Run) -> list[Pair]:
    """A comparison's editors that stand there without NAS and with it."""
    known = list(dict.fromkeys(run.checkpoints["editor"]))
    found = []
    for editor in known:
        plain = "+".join(part for part in editor.split("+") if part != "nas")
        if plain != editor and plain in known:
            found.append(Pair(label_of(plain), plain, editor))
    return found


def label_of(editor: str) -> str:
    """An editor's name for readers, without the options of its parts.

    >>> label_of("memit+rect:share=0.6")
    'MEMIT + RECT'
    """
    words = (part.partition(":")[0] for part in editor.split("+"))
    return " + ".join(NAMES.get(word, "NAS" if word == "nas" else word) for word in words)


def series_of(pair: Pair) -> tuple[tuple[str, str], tuple[str, str]]:
    """A pair's editors with the series that each belongs to."""
    return (WITHOUT, pair.plain), (WITH, pair.anchored)


def stream(table: pd.DataFrame, editor: str, seed: int) -> pd.DataFrame:
    """A stream's part of a table, in its order."""
    return table[(table["editor"] == editor) & (table["seed"] == seed)].sort_values("step", kind="stable")


def seeds(run: Run) -> list[int]:
    """A comparison's seeds."""
    return sorted(run.checkpoints["seed"].unique().tolist())


def norm_ratio(run: Run, editor: str, seed: int) -> pd.DataFrame:
    """‖W‖ of the last edited layer in units of the unedited weight's, after 0, 1, 2, … edits: columns edits, value."""
    rows = stream(run.rows, editor, seed)
    rows = rows[rows["layer"] == rows["layer"].max()]
    first = float(stream(run.checkpoints, editor, seed)["weight_norm"].iloc[0])
    value = np.append(1.0, rows["weight_norm_after"].to_numpy(float) / first)
    return pd.DataFrame({"edits": np.arange(len(value)), "value": value})


def mean_along(points: pd.DataFrame, column: str, edits: int) -> float:
    """A column's mean along a stream: straight between evaluations, level before the first, 0 where it broke."""
    points = points[points["step"] > 0]
    steps = np.append(0, points["step"].to_numpy(float))
    values = points[column].fillna(0.0).to_numpy(float)
    values = np.append(values[:1], values)
    return float(np.sum(np.diff(steps) * (values[1:] + values[:-1]) / 2) / edits)
