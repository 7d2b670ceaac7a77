"""The straight lines that figures show: theory's least squares, where there are points enough for an interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from theory.fits import Line, fit_line

BLOCK = 20  # edits that the bootstrap of the slope keeps together
NO_LINE = Line(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)


def line_through(x: ArrayLike, y: ArrayLike) -> Line:
    """The least-squares line with its slope's 95 % interval; all NaN for no more points than one bootstrap block.

    Args:
        x: (N,) abscissae, in the order of the stream.
        y: (N,) ordinates.

    Returns:
        The line; NaN also where x does not vary.

    >>> line_through([0.0, 1.0], [1.0, 3.0]).slope
    nan
    """
    return fit_line(x, y, block=BLOCK) if np.size(y) > BLOCK else NO_LINE
