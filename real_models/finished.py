"""A finished run's folder, read when its numbers are first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Finished:
    """The tables of a finished folder, read when first asked.

    Attributes:
        folder: where it lies.
    """

    folder: Path

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row an edit, edited layer and, in a comparison, stream."""
        return pd.read_parquet(self.folder / "rows.parquet")

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """One row an evaluation, of every stream the unedited model's first."""
        return pd.read_parquet(self.folder / "checkpoints.parquet")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What was measured on the unedited model, and how the run ended."""
        from sim.results import read_json

        return read_json(self.folder / "summary.json")


@dataclass(frozen=True)
class Run(Finished):
    """A run of one stream at a single edited layer.

    Attributes:
        command: the command line that made it.
    """

    command: str

    @property
    def log_norm(self) -> NDArray[np.float64]:
        """log ‖W‖_F, the unedited weight's first."""
        return np.log(np.append(self.rows["weight_norm"].iloc[0], self.rows["weight_norm_after"]))
