"""The growth operator of measured keys: its spectrum, beside that of isotropic keys in the same dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figures.results import Run
from figures.style import BLUE, GREY, headed, number_plainly

FACETS = ("panel", None)
ROW_HEIGHT = 2.2  # inches
MEASURED, ISOTROPIC = "keys of the model", "isotropic keys, as many"
COLUMNS = ["run", "panel", "series", "rank", "eigenvalue", "dimension"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Eigenvalues of T_N, those of the matrix of squared cosines.

        T_N(X) = (1/N) Σ (k̂ᵢᵀXk̂ᵢ) k̂ᵢk̂ᵢᵀ     shares its nonzero eigenvalues with     G_ij = cos²(kᵢ, kⱼ)/N

    Args:
        runs: any runs; those of `python -m real_models keys` are used.

    Returns:
        One row a run, series (measured keys, or normal ones drawn with seed 0) and rank, from 1: the eigenvalue. The
        first times c² is the growth rate of ‖W‖² an edit under ROME with C = I and shifts of relative size c.
    """
    rows = []
    for run in runs:
        if run.kind != "keys":
            continue
        keys = run.tensor("keys", "keys")
        drawn = np.random.default_rng(0).standard_normal(keys.shape)
        for series, sample in ((MEASURED, keys), (ISOTROPIC, drawn)):
            values = np.linalg.eigvalsh(squared_cosines(sample))[::-1]
            about = {"run": run.name, "panel": f"layer {run.summary.get('layer')}", "series": series}
            about |= {"dimension": keys.shape[1]}
            rows.append(pd.DataFrame({"rank": np.arange(1, len(values) + 1), "eigenvalue": values}).assign(**about))
    return pd.concat(rows, ignore_index=True)[COLUMNS] if rows else pd.DataFrame(columns=COLUMNS)


def squared_cosines(keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """G (N, N) of keys (N, n).

    >>> squared_cosines(np.array([[2.0, 0.0], [1.0, 1.0]])).round(3).tolist()
    [[0.5, 0.25], [0.25, 0.5]]
    """
    directions = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    return np.square(directions @ directions.T) / len(keys)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one run's spectra by rank, and 1/n, the top eigenvalue for isotropic keys without end.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    for series, color, linestyle, marker in ((MEASURED, BLUE, "-", "o"), (ISOTROPIC, GREY, "--", "s")):
        own = df[df["series"] == series]
        own = own[own["eigenvalue"] > own["eigenvalue"].max() * 1e-6]
        ax.plot(own["rank"], own["eigenvalue"], color=color, linestyle=linestyle, marker=marker,
                markevery=[0], label=series)  # fmt: skip
    ax.axhline(1 / df["dimension"].iloc[0], color=GREY, linestyle=":", linewidth=1, label="1/n")
    ax.set_xscale("log")
    ax.set_yscale("log")
    number_plainly(ax.xaxis)
    ax.set_xlabel("rank")
    ax.set_ylabel("eigenvalue of the growth operator")
    tops = [df.loc[df["series"] == series, "eigenvalue"].max() for series in (MEASURED, ISOTROPIC)]
    said = f"top {tops[0]:.3g}, isotropic {tops[1]:.3g}, 1/n = {1 / df['dimension'].iloc[0]:.3g}"
    ax.set_title(headed(df["panel"].iloc[0], said), loc="left")
