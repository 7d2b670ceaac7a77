"""Files that are whole or not there: every result is written through a temporary neighbour."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from theory.command import Misuse


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file through a temporary neighbour: fsync, then rename, so that no reader ever sees half of it.

    Args:
        path: where the file shall stand.
        write: writes the whole content to the path it is given.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""

    def write(place: Path) -> None:
        place.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, sort_keys=False) + "\n")


def check_place(path: Path | None) -> None:
    """Raise Misuse, before any work is done, when a file asked for cannot stand where it is asked for."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        why = "is a folder" if path.is_dir() else f"lies in {path.parent}, which does not exist"
        raise Misuse(f"{path} {why}; name a file in a folder that exists")


def check_folder(folder: Path) -> None:
    """Raise Misuse, before any work is done, when a folder asked for is a file."""
    if folder.exists() and not folder.is_dir():
        raise Misuse(f"{folder} is a file; name a folder")
