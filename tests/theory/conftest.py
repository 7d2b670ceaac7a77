"""What LaTeX of ours must satisfy."""

from __future__ import annotations

import re

import pytest
from matplotlib.mathtext import MathTextParser

GROUP = r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"
DOUBLE = re.compile(rf"\^{GROUP}(?:_{GROUP})?['^]|_{GROUP}(?:\^{GROUP})?_|'\^{GROUP}'")
"""Two superscripts or two subscripts on one letter, which pdflatex refuses and matplotlib's parser lets pass."""
FORMULAS = re.compile(r"(?<!\\)\$((?:[^$\\]|\\.)*)\$")


@pytest.fixture(scope="session")
def parse():
    """Every formula, read by matplotlib's own TeX parser, which refuses double scripts and unknown commands."""
    parser = MathTextParser("path")

    def read(source):
        for found in FORMULAS.findall(source):
            parser.parse(f"${found}$")

    return read


@pytest.fixture(scope="session")
def check_latex(parse):
    """ASCII that a TeX parser reads, braces balanced and no letter with two scripts of a kind."""

    def check(source):
        bare = source.replace(r"\{", "").replace(r"\}", "")
        assert source.isascii()
        assert bare.count("{") == bare.count("}")
        assert DOUBLE.search(source) is None
        parse(source)

    return check
