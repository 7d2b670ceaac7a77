"""Result folders, found by what they hold rather than by their names, and read whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from theory.command import Misuse

WITHOUT, WITH = "without NAS", "with NAS"
# Settings that may differ between runs which belong into one panel.
WITHIN_A_PANEL = frozenset(
    {"anchor", "seed", "edits", "checkpoint_every", "eval_sample", "save_every", "device", "pilots", "skip_bad"}
    | {"layer_trials", "score_trials", "rule", "metric"}
)
RULES = {
    ("rome", "identity"): "ROME, C = I",
    ("rome", "covariance"): "ROME, measured C",
    ("memit", None): "MEMIT",
    ("alphaedit", None): "AlphaEdit",
}
COLUMNS = {
    "edit": {"step", "layer", "weight_norm", "weight_norm_after", "readout_norm", "value_norm", "key_norm"}
    | {"v0_norm", "solved_norm", "s", "eta"},
    "phase": {"clamp", "n", "measured", "low", "high", "predicted"},
    "scaling": {"rule", "axis", "m", "n", "block", "trials", "repeat", "ms"},
    "certificate": {"setting", "edits", "mean", "low", "high", "regime", "predicted"},
    "compare": {"editor", "seed", "step", "layer", "weight_norm_after"},
    "memory": {"edits", "norm_sq", "norm_sq_after", "norm_sq_law", "weight_norm_q05", "weight_norm_q95", "s"},
}


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        name: its folder, relative to the results folder that was searched.
        folder: where it lies.
        kind: "edit" for a sequential run on a model, "phase" for a sweep of growth rates, "scaling" for timings of the
            blocked engine, "certificate" for an editor's growth certificate, "compare" for several editors on one
            model, "memory" for a simulated stream, "keys" for a stream's keys, "claims", "mutants", "bench" and "rules"
            for a file of claims, mutants, timings of edits or the catalogue, "other" for anything else.
        config: config.json.
        rows: rows.parquet.
        checkpoints: checkpoints.parquet; an empty frame where the run has none.
        summary: summary.json; empty where the run has none.
    """

    name: str
    folder: Path
    kind: str
    config: Mapping[str, Any]
    rows: pd.DataFrame
    checkpoints: pd.DataFrame
    summary: Mapping[str, Any]

    @property
    def rule(self) -> str:
        """The update rule as a reader knows it, such as "ROME, C = I"."""
        rule, metric = self.config["rule"], self.config.get("metric")
        label = RULES.get((rule, metric)) or RULES.get((rule, None))
        if label is None:
            raise Misuse(f"{self.folder / 'config.json'} names the rule {rule!r}, of which no figure knows; remove it")
        return label

    @property
    def series(self) -> str:
        """Whether Norm-Anchor Scaling was on."""
        return WITH if self.config.get("anchor") else WITHOUT

    @property
    def provenance(self) -> str:
        """The run's seed and commit, for a figure's metadata."""
        seed = self.config.get("seed", self.config.get("seeds", self.summary.get("seed", "unknown")))
        commit = self.summary.get("provenance", {}).get("commit", "unknown")
        return f"{self.name}: seed {seed}, commit {commit}"

    def writes(self) -> pd.DataFrame:
        """The writes at the last edited layer in order, up to the first whose norms are not finite.

        Raises:
            Misuse: a step is missing or stands twice, so that nothing summed over the stream would be true.
        """
        layers = self.summary.get("layers")
        rows = self.rows[self.rows["layer"] == layers[-1]] if layers else self.rows
        rows = rows.sort_values("step", kind="stable").reset_index(drop=True)
        wrong = np.flatnonzero(rows["step"].to_numpy() != np.arange(len(rows)))
        if not len(rows) or wrong.size:
            step = int(wrong[0]) if wrong.size else 0
            raise Misuse(
                f"{self.folder / 'rows.parquet'} has not exactly one row for step {step} at the last edited layer; "
                "delete the folder and run again"
            )
        finite = np.isfinite(rows[["weight_norm", "weight_norm_after"]].to_numpy(dtype=float)).all(axis=1)
        return rows[np.logical_and.accumulate(finite)]

    def table(self, name: str) -> pd.DataFrame:
        """Another table of the run, by its file's name without suffix; an empty frame where it has none."""
        path = self.folder / f"{name}.parquet"
        return _read_table(path) if path.exists() else pd.DataFrame()

    def tensor(self, file: str, name: str) -> np.ndarray:
        """A tensor of the run's folder in float64, by its file's name without suffix and its own."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self.folder / f"{file}.safetensors"
        try:
            return load_file(path)[name].astype(np.float64)
        except (SafetensorError, OSError, KeyError) as error:
            raise Misuse(f"{path} holds no tensor {name!r} ({error}); delete the folder and run again") from error

    def norms(self) -> np.ndarray:
        """‖W‖_F of the last edited layer after 0, 1, 2, ... edits."""
        writes = self.writes()
        return np.append(writes["weight_norm"], writes["weight_norm_after"].iloc[-1:])


def find_runs(folder: Path) -> tuple[Run, ...]:
    """Every finished run below a folder, in the order of its path.

    A folder with a config.json and a rows.parquet, or with keys, is a run; one without is unfinished, and is passed
    over. So is a JSON file of claims, of mutants or of timings of edits.

    Args:
        folder: the results folder, searched recursively.

    Returns:
        The runs.

    Raises:
        Misuse: the folder is missing, or a file in a run's folder cannot be read or lacks a column.
    """
    if not folder.is_dir():
        raise Misuse(f"the results folder {folder} does not exist; name one with --results")
    places = sorted(path.parent for path in folder.rglob("config.json"))
    runs = [_read_run(place, folder) for place in places if any((place / name).exists() for name in HOLDS)]
    files = sorted(path for path in folder.rglob("*.json") if path.parent not in places and path.name != PROVENANCE)
    return (*runs, *(run for path in files if (run := _read_file(path, folder))))


HOLDS = ("rows.parquet", "keys.safetensors")
PROVENANCE = "provenance.json"
FILES = {"claims": {"id", "verdict", "compared"}, "mutants": {"module", "outcome", "killed_by"}} | {
    "bench": {"rule", "textbook_s", "fast_s", "anchor_overhead"},
    "rules": {"name", "kind", "form", "plain", "nas"},
}
"""Kinds of files of rows, by the fields that only their rows have."""


def _read_file(path: Path, root: Path) -> Run | None:
    """A file of rows, alone or with config and provenance beside them; None for any other JSON."""
    content = _read_any(path)
    whole = content if isinstance(content, dict) else {"rows": content}
    rows = whole.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return None
    kind = next((name for name, fields in FILES.items() if fields <= set(rows[0])), None)
    if kind is None:
        return None
    made = path.with_name(PROVENANCE)
    known = whole.get("provenance") or (_read_json(made) if made.exists() else {})
    name = path.relative_to(root).as_posix()
    config = whole.get("config") or {}
    return Run(name, path.parent, kind, config, pd.DataFrame(rows), pd.DataFrame(), {"provenance": known})


def _read_run(folder: Path, root: Path) -> Run:
    config = _read_json(folder / "config.json")
    rows = _read_table(folder / "rows.parquet") if (folder / "rows.parquet").exists() else pd.DataFrame()
    kind = _kind(config, rows)
    lacking = sorted(COLUMNS.get(kind, set()) - set(rows.columns))
    if lacking:
        raise Misuse(f"{folder / 'rows.parquet'} lacks the column {lacking[0]!r}; delete the folder and run again")
    checkpoints, summary = folder / "checkpoints.parquet", folder / "summary.json"
    return Run(
        name=folder.relative_to(root).as_posix() if folder != root else folder.resolve().name,
        folder=folder,
        kind=kind,
        config=config,
        rows=rows,
        checkpoints=_read_table(checkpoints) if checkpoints.exists() else pd.DataFrame(),
        summary=_read_json(summary) if summary.exists() else {},
    )


def _kind(config: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """What a folder holds, by its config's `kind` or by fields that only that kind has."""
    if config.get("kind") == "phase" or COLUMNS["phase"] <= set(rows.columns):
        return "phase"
    if {"editors", "seeds", "run"} <= set(config):
        return "compare"
    if rows.empty and not len(rows.columns):
        return "keys"
    for kind in ("scaling", "certificate", "memory"):
        if COLUMNS[kind] <= set(rows.columns):
            return kind
    return "edit" if {"rule", "model", "data"} <= set(config) else "other"


def _read_any(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} is not readable JSON ({error}); delete the folder and run again") from error


def _read_json(path: Path) -> dict[str, Any]:
    content = _read_any(path)
    if not isinstance(content, dict):
        raise Misuse(f"{path} holds no JSON object; delete the folder and run again")
    return content


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise Misuse(f"{path} cannot be read as a parquet table ({reason}); delete the folder and run again") from error


def edit_runs(runs: Iterable[Run]) -> tuple[tuple[str, Run], ...]:
    """The sequential runs with the panel that each belongs to, in the order in which panels stand.

    Runs that differ only in seed, length or anchor share a panel, named by the rule. Any other setting that differs
    between runs of a rule is added to the name, so that unlike runs never pass for repetitions.

    Args:
        runs: any runs.

    Returns:
        (panel, run) pairs: ROME with C = I first, runs without NAS before those with it, then by name.
    """
    chosen = [run for run in runs if run.kind == "edit"]
    order = list(RULES.values())
    pairs = [(_panel(run, [other for other in chosen if other.rule == run.rule]), run) for run in chosen]
    return tuple(
        sorted(pairs, key=lambda pair: (order.index(pair[1].rule), pair[0], pair[1].series == WITH, pair[1].name))
    )


def _panel(run: Run, alike: Sequence[Run]) -> str:
    own = _settings(run.config)
    others = [_settings(other.config) for other in alike]
    differing = [key for key in own if any(other.get(key) != own[key] for other in others)]
    parts = [f"{key.split('.')[-1]} {_short(own[key])}" for key in differing]
    return ", ".join([run.rule, *parts])


def _settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A config's settings by dotted name, without those that may differ within a panel."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _settings(value, f"{prefix}{key}.")
        elif prefix or key not in WITHIN_A_PANEL:
            flat[prefix + key] = value
    return flat


def _short(value: object) -> str:
    """A setting as a panel's title shows it: of a path, the last part."""
    return Path(value).name if isinstance(value, str) and value else str(value)
