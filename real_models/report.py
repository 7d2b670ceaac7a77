"""What a finished run says on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from sim.results import read_json


def print_summary(summary: Mapping[str, Any], out: Path) -> None:
    """Print a run's summary: the norm, T1's identity at every write, and the metrics at first and last checkpoint."""
    rows = pd.read_parquet(out / "rows.parquet")
    points = pd.read_parquet(out / "checkpoints.parquet")
    console = Console()
    rows = rows[rows["finite"]]
    if rows.empty:
        console.print(f"{out}: {summary['status']}; no edit was written")
        return
    table = Table("quantity", "before", "after", title=f"{out}: {summary['status']}, {summary['edits']} edits")
    first, last = points.iloc[0], points.iloc[-1]
    of_last = rows[rows["layer"] == summary["layers"][-1]]
    table.add_row("weight norm ‖W‖", f"{first['weight_norm']:.4g}", f"{of_last['weight_norm_after'].iloc[-1]:.4g}")
    if len(of_last) > 1:
        table.add_row("read-out norm ‖v0‖", f"{of_last['v0_norm'].iloc[0]:.4g}", f"{of_last['v0_norm'].iloc[-1]:.4g}")
    for metric in ("efficacy", "generalisation", "specificity"):
        table.add_row(f"{metric} % (± SE)", _percent(first, metric), _percent(last, metric))
        exact = f"{metric}_exact"
        table.add_row("  exact match %", f"{first[exact]:.1f}", f"{last[exact]:.1f}")
    table.add_row("perplexity, held-out text", f"{first['perplexity']:.4g}", f"{last['perplexity']:.4g}")
    table.add_row("agreement with the unedited model %", f"{first['agreement']:.1f}", f"{last['agreement']:.1f}")
    if pd.notna(last["fluency"]):
        table.add_row("fluency, bits", f"{first['fluency']:.2f}", f"{last['fluency']:.2f}")
    console.print(table)
    errors = rows["identity_error"].dropna()
    held = "not measured behind delta transforms"
    if len(errors):
        held = f"largest relative error {errors.max():.2e}"
    # Float64 weights round less than the sums of T1's two sides do; in half precision ‖E‖²_C is no small part.
    if len(errors) and "identity_noise" in rows and read_json(out / "config.json")["dtype"] == "float32":
        noises = ((rows["identity_measured"] - rows["identity_predicted"]) / rows["identity_noise"]).abs()
        held += f", largest error {noises.max():.2g} σ of the rounding of the stored weight"
    console.print(
        f"T1's identity at {len(errors)} of {len(rows)} writes: {held}; "
        f"layers {summary['layers']}, anchor {summary['anchor']}, dropped {summary['dropped']}, "
        f"malformed records left out {summary['skipped_records']}"
    )


def print_comparison(out: Path) -> None:
    """Print for every editor, a line a seed, where it collapses, what it was on average and how far the norm went.

    Of single edits it prints how many took.
    """
    from real_models.collapse.point import collapse_point

    points = pd.read_parquet(out / "checkpoints.parquet")
    console = Console()
    if points["step"].max() == 0:
        rows = pd.read_parquet(out / "rows.parquet").drop_duplicates(["editor", "seed", "step"])
        table = Table("editor", "seed", "edits", "efficacy %", "by exact match %", title=f"{out}: single edits")
        for (editor, seed), own in rows.groupby(["editor", "seed"], sort=False):
            means = (f"{own[column].mean():.1f}" for column in ("instant", "instant_exact"))
            table.add_row(str(editor), str(seed), str(len(own)), *means)
        console.print(table)
        return
    table = Table(
        *("editor", "seed", "CP@60, rescaled", "CP@60, exact", "mean score", "mean exact", "agreement %", "‖W‖/‖W₀‖"),
        title=f"{out}: {int(points['step'].max())} edits",
    )
    for (editor, seed), own in points.groupby(["editor", "seed"], sort=False):
        edited = own[own["step"] > 0]
        table.add_row(
            *(str(editor), str(seed)),
            *(str(collapse_point(own, score)) for score in ("score_rescaled", "score_exact")),
            *(f"{edited[score].mean():.1f}" for score in ("score_rescaled", "score_exact")),
            f"{edited['agreement'].iloc[-1]:.1f}",
            f"{own['weight_norm'].iloc[-1] / own['weight_norm'].iloc[0]:.2f}",
        )
    console.print(table)


def _percent(row: pd.Series, metric: str) -> str:
    return f"{row[metric]:.1f} ± {row[f'{metric}_se']:.1f}"
