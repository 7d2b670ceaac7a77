"""A run's folder: whose it is, its tables, and what its results came from; reading one loads no torch."""

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

from theory.command import Misuse
from theory.files import write_atomically, write_json


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as a parquet table, atomically."""
    frame = pd.DataFrame(list(rows))
    write_atomically(path, lambda place: frame.to_parquet(place, index=False))


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


def only_finite(value: object) -> object:
    """The value, or None for a number that JSON has no name for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def provenance() -> dict[str, str]:
    """The versions and the commit that a result came from."""
    import torch

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
