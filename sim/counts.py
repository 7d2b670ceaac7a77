"""How many of a number a share is."""

from __future__ import annotations

import math


def at_least(share: float, number: int) -> int:
    """⌈share · number⌉, without what rounding adds to the product.

    Args:
        share: from 0 to 1.
        number: of things.

    >>> at_least(0.07, 100), at_least(0.071, 100)
    (7, 8)
    """
    return math.ceil(round(share * number, 9))
