"""The extension by which griffe reads the package's docstrings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from griffe import Extension, Object

sys.path.insert(0, str(Path(__file__).parent))  # griffe loads this file by its path, not as part of a package

from formulas import readable


class Readable(Extension):
    """Makes every docstring Markdown before mkdocstrings parses it; the code is not touched."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called once for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
