"""What LaTeX of ours must satisfy, and how evidence is read."""

from __future__ import annotations

import re
from functools import cache

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
    one = cache(lambda formula: parser.parse(f"${formula}$"))

    def read(source):
        for found in FORMULAS.findall(source):
            one(found)

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


@pytest.fixture(scope="session")
def queries():
    """What z3 was given at each query of a claim's evidence, positive symbols and all."""

    def read(found):
        asked = [line.split("z3 is asked for ")[1] for line in found.steps if "z3 is asked for " in line]
        return [line.split("and not (", 1)[0].strip().rstrip(",") for line in asked]

    return read
