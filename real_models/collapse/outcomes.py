"""Of every stream of a comparison: where it collapsed, and what its first evaluations had foretold of that."""

from __future__ import annotations

from typing import Any

import pandas as pd

from real_models.collapse.foretell import judged

SCORES = ("score_rescaled", "score_exact")


def outcomes(checkpoints: pd.DataFrame, horizon: int) -> list[dict[str, Any]]:
    """One row a stream and score.

    Args:
        checkpoints: a comparison's evaluations.
        horizon: edits a stream.

    Returns:
        Rows with editor, seed, score, and what `judged` says: the collapse point's bracket (point_low, point_high), the
        edits that the forecast could read (until), its low, median, high and chance, and whether it was right. No rows
        where nothing but the unedited model was evaluated.
    """
    if not (checkpoints["step"] > 0).any():
        return []
    return [
        {"editor": editor, "seed": seed, "score": score, **judged(own, horizon, score=score)}
        for (editor, seed), own in checkpoints.groupby(["editor", "seed"], sort=False)
        for score in SCORES
    ]
