"""A comparison as its folder, or the record of it, holds it: a stream at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real_models.collapse.point import Bracket, collapse_point
from real_models.finished import Finished


@dataclass(frozen=True)
class Comparison(Finished):
    """Several editors and seeds, of a folder that `compare` or `write_record` made."""

    @property
    def name(self) -> str:
        """The comparison's."""
        return self.folder.name

    @property
    def seeds(self) -> list[int]:
        """The streams' seeds."""
        return sorted(self.checkpoints["seed"].unique().tolist())

    @property
    def edits(self) -> int:
        """Edits a stream."""
        return int(self.summary["edits"])

    def evaluations(self, editor: str, seed: int) -> pd.DataFrame:
        """A stream's evaluations, the unedited model's first."""
        table = self.checkpoints
        return table[(table["editor"] == editor) & (table["seed"] == seed)].sort_values("step")

    def writes(self, editor: str, seed: int, layer: int | None = None) -> pd.DataFrame:
        """A stream's writes at an edited layer, the last one where none is named."""
        table = self.rows
        own = table[(table["editor"] == editor) & (table["seed"] == seed)]
        return own[own["layer"] == (own["layer"].max() if layer is None else layer)].sort_values("step")

    def log_norm(self, editor: str, seed: int) -> NDArray[np.float64]:
        """log ‖W‖ of the last edited layer, the unedited weight's first."""
        first = self.evaluations(editor, seed)["weight_norm"].iloc[0]
        return np.log(np.append(first, self.writes(editor, seed)["weight_norm_after"].to_numpy(float)))

    def point(self, editor: str, seed: int, score: str) -> Bracket:
        """A stream's collapse point."""
        return collapse_point(self.evaluations(editor, seed), score)

    def along(self, editor: str, seed: int, column: str, until: int | None = None) -> float:
        """A column's mean along a stream: straight between evaluations, level before the first of them.

        A stream that broke scores 0 from there on.
        """
        own = self.evaluations(editor, seed)
        end = self.edits if until is None else until
        own = own[(own["step"] > 0) & (own["step"] <= end)]
        steps, values = own["step"].to_numpy(float), own[column].fillna(0.0).to_numpy(float)
        steps, values = np.append(0.0, steps), np.append(values[:1], values)
        return float((np.diff(steps) * (values[1:] + values[:-1]) / 2).sum() / end)

    def at_end(self, editor: str, column: str, broken: float) -> NDArray[np.float64]:
        """A column at the end of each seed's stream; `broken` where a number was not finite before."""
        lasts = (self.evaluations(editor, seed).iloc[-1] for seed in self.seeds)
        values = np.array([last[column] if last["step"] == self.edits else np.nan for last in lasts], dtype=float)
        return np.where(np.isfinite(values), values, broken)


def recorded(record: Path) -> dict[str, Comparison]:
    """The comparisons that a record holds, by name."""
    return {path.parent.name: Comparison(path.parent) for path in sorted(record.glob("*/checkpoints.parquet"))}


class Delay(NamedTuple):
    """How many times later one stream collapses than another, as their brackets allow.

    Attributes:
        low: at least; the later stream's last good evaluation over the other's first bad one.
        high: at most; infinite where the later one is not seen to collapse, or the other collapsed at once.
    """

    low: float
    high: float


def delay(plain: Bracket, anchored: Bracket) -> Delay:
    """The ratio of two collapse points.

    >>> delay(Bracket(64.0, 128.0), Bracket(256.0, 320.0))
    Delay(low=2.0, high=5.0)
    """
    low = anchored.low / plain.high if plain.seen else 0.0
    high = anchored.high / plain.low if plain.low > 0 else float("inf")
    return Delay(low, high)


def middle(values: Sequence[float], *, upper: bool = False) -> float:
    """The median of several seeds' values; of two middle ones the lower, or the upper."""
    return sorted(values)[(len(values) - (0 if upper else 1)) // 2]
