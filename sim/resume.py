"""A run's state: saved atomically, resumed exactly, never pickled.

A finished folder holds `config.json`, `rows.parquet` (one row an edit), `checkpoints.parquet` (one row a checkpoint)
and `summary.json`; while the run is unfinished, a resume state: safetensors named by `resume.json` with checksums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sim.results import code_digest, provenance, read_json, sha256, write_table
from theory.command import Misuse
from theory.files import write_atomically, write_json

SCHEMA = 1


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically."""
    contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_atomically(path, lambda place: save_file(contiguous, place))


def save_state(
    folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], rows: Mapping[str, Sequence]
) -> None:
    """Save what a resume needs, switching from the old state to the new one in a single rename.

    Args:
        folder: the run's folder.
        tensors: the weights and the editor's state, by name.
        facts: JSON values (the step reached, counts).
        rows: table name ("rows", "checkpoints") -> the rows so far.
    """
    previous = _resume_files(folder)
    step = facts["step"]
    names = {"state": f"state-{step}.safetensors", **{name: f"{name}-{step}.parquet" for name in rows}}
    write_tensors(folder / names["state"], tensors)
    for name, table in rows.items():
        write_table(folder / names[name], table)
    record = {
        "schema": SCHEMA,
        "code": code_digest(),
        "facts": dict(facts),
        "files": {name: {"file": file, "sha256": sha256(folder / file)} for name, file in names.items()},
    }
    write_json(folder / "resume.json", record)
    for stale in previous - set(names.values()):
        (folder / stale).unlink(missing_ok=True)


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, list[dict]]] | None:
    """Load what `save_state` saved, or None where nothing was saved yet.

    Raises:
        Misuse: a file is missing, truncated, altered, or leads out of the folder.
    """
    path = folder / "resume.json"
    if not path.exists():
        return None
    record = read_json(path)
    if not isinstance(record, dict) or not {"schema", "facts", "files"} <= record.keys():
        raise Misuse(f"{path} is not a resume record; delete the folder and run again")
    if record["schema"] != SCHEMA:
        raise Misuse(f"{path} has schema {record['schema']}, not {SCHEMA}; start the run in a new folder")
    if record.get("code") != code_digest():
        raise Misuse(f"{folder} was begun by another version of the code, whose rows differ; start in a new folder")
    tables: dict[str, list[dict]] = {}
    tensors: dict[str, Tensor] = {}
    for name, entry in record["files"].items():
        file = folder / entry["file"]
        if Path(entry["file"]).name != entry["file"]:
            raise Misuse(f"{path} names {entry['file']!r}, which lies outside the run's folder; delete the folder")
        if not file.exists() or sha256(file) != entry["sha256"]:
            raise Misuse(f"{file} is missing, truncated or altered; delete the folder and run again")
        try:
            if name == "state":
                tensors = load_file(file)
            else:
                tables[name] = pd.read_parquet(file).to_dict("records")
        except SafetensorError as error:
            raise Misuse(f"{file} is not a safetensors file ({error}); delete the folder and run again") from error
    return tensors, record["facts"], tables


def finish(
    folder: Path,
    summary: Mapping[str, Any],
    rows: Mapping[str, Sequence[Mapping[str, object]]],
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a run's final tables, weights and summary, then drop its resume state.

    The summary comes last, so a folder that has one is whole.
    """
    if tensors:
        write_tensors(folder / "weights.safetensors", tensors)
    for name, table in rows.items():
        write_table(folder / f"{name}.parquet", table)
    write_json(folder / "summary.json", {"schema": SCHEMA, **summary, "provenance": provenance()})
    stale = _resume_files(folder)
    (folder / "resume.json").unlink(missing_ok=True)
    for name in stale:
        (folder / name).unlink(missing_ok=True)


def _resume_files(folder: Path) -> set[str]:
    return {path.name for pattern in ("state-*", "rows-*", "checkpoints-*") for path in folder.glob(pattern)}
