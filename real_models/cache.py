"""Where things that take long to make are kept between runs: the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """`$XDG_CACHE_HOME/norm-anchor-lab/NAME`, or the same under `~/.cache`; the folder may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "norm-anchor-lab" / name
