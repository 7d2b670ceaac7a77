"""The extension by which griffe reads the package's docstrings."""

from __future__ import annotations

from typing import Any

from formulas import readable
from griffe import Extension, Object


class Readable(Extension):
    """Makes every docstring Markdown before mkdocstrings parses it; the code is not touched."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called once for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
