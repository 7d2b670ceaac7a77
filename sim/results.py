"""A run's folder: written atomically, resumed exactly, never pickled.

A folder holds `config.json`, `rows.parquet` (one row an edit), `checkpoints.parquet` (one row a checkpoint),
`summary.json`, and, while the run is unfinished, a resume state: safetensors named by `resume.json` with checksums.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from theory.command import Misuse
from theory.files import write_atomically, write_json

SCHEMA = 1


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as a parquet table, atomically."""
    frame = pd.DataFrame(list(rows))
    write_atomically(path, lambda place: frame.to_parquet(place, index=False))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically."""
    contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_atomically(path, lambda place: save_file(contiguous, place))


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Read JSON, or raise Misuse naming the file that is not."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} is not readable JSON ({error}); delete the folder and run again") from error


def claim_folder(folder: Path, config: object) -> bool:
    """Make a run's folder its own, or recognise it for a resume.

    Args:
        folder: where the run writes.
        config: the run's frozen config dataclass, whose fields name the run.

    Returns:
        Whether the folder already belongs to this very config.

    Raises:
        Misuse: the folder belongs to another config, or holds something that is not a run.
    """
    fields = plain(config)
    path = folder / "config.json"
    if path.exists():
        found = read_json(path)
        if found == fields:
            return True
        if not isinstance(found, dict):
            raise Misuse(f"{path} is not a run's config; choose another folder with --out or delete it")
        differing = sorted(key for key in {*found, *fields} if found.get(key) != fields.get(key))
        raise Misuse(
            f"{folder} holds a run with another config (differs in {', '.join(differing)}); "
            "choose another folder with --out or delete it"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} exists and is not a run's folder; choose another with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, fields)
    return False


def release_folder(folder: Path) -> None:
    """Undo `claim_folder` for a run that could not begin, so that a corrected command finds the place free."""
    (folder / "config.json").unlink()
    folder.rmdir()


def plain(config: object) -> dict[str, Any]:
    """A config dataclass as JSON values."""
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"a run's config is a dataclass, not {type(config).__name__}")
    return json.loads(json.dumps(asdict(config), default=str))


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


def _resume_files(folder: Path) -> set[str]:
    return {path.name for pattern in ("state-*", "rows-*", "checkpoints-*") for path in folder.glob(pattern)}


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


def only_finite(value: object) -> object:
    """The value, or None for a number that JSON has no name for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def provenance() -> dict[str, str]:
    """The versions and the commit that a result came from."""
    packages = ("norm-anchor-lab", "torch", "transformers", "numpy")
    return {
        "commit": commit(),
        "code": code_digest(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "threads": str(torch.get_num_threads()),
    }


def code_digest() -> str:
    """A hash of the source of every room that makes results, so that results of other code are told apart."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for room in ("theory", "sim", "real_models"):
        for file in sorted((root / room).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def commit() -> str:
    """The commit of the source tree this module lies in, or "unknown" outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    answer = subprocess.run(
        [git, "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"
