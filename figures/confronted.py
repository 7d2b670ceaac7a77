"""Theory against Monte Carlo: every setting of every simulated claim, in units of theory's number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures.results import Run
from figures.style import BLACK, BLUE, GREEN, ORANGE, VERMILION, Look, headed

FACETS = ("panel", None)
SHARED = False
ROW_HEIGHT = 3.4  # inches
TOPICS = {
    "T3": "growth without a norm control",
    "T3b": "editors that accumulate keys",
    "T4": "controls of the increment",
    "T5": "NAS: plateau, relaxation, adversary",
    "T6": "retrieval and collapse",
    "T7": "precision",
}
LOOKS = {
    "=": Look(BLUE, "", "o"),
    "~": Look(GREEN, "", "^"),
    "<=": Look(VERMILION, "", "s"),
    ">=": Look(ORANGE, "", "D"),
}
WORDS = {"=": "exact in the mean", "~": "an approximation", "<=": "a bound from above", ">=": "a bound from below"}
COLUMNS = ["run", "panel", "claim", "setting", "relation", "ratio", "low", "high"]


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """What was measured over what theory says, with its interval.

    Args:
        runs: any runs; the claims of `paper-checks` are used.

    Returns:
        One row a claim and setting whose predicted number is not 0: panel (the topic, by the first T that the claim
        cites), claim, setting, relation ("=", "~", "<="; a bound from above of a negative number is one of its size
        from below, ">="), ratio, low and high (over seeds, at 99.994 %).
    """
    rows = []
    for run in runs:
        for _, claim in run.rows.iterrows() if run.kind == "claims" else ():
            topic = re.search(r"T\d+b?", claim["source"])
            for one in claim["compared"]:
                told = float(one["predicted"])
                if told and topic and topic.group() in TOPICS:
                    ends = sorted((float(one["low"]) / told, float(one["high"]) / told))
                    rows.append(
                        {
                            "run": run.name,
                            "panel": f"{topic.group()}: {TOPICS[topic.group()]}",
                            "claim": claim["id"],
                            "setting": one["setting"],
                            "relation": ">=" if one["relation"] == "<=" and told < 0 else one["relation"],
                            "ratio": float(one["measured"]) / told,
                            "low": ends[0],
                            "high": ends[1],
                        }
                    )
    df = pd.DataFrame(rows, columns=COLUMNS)
    order = {f"{topic}: {said}": place for place, (topic, said) in enumerate(TOPICS.items())}
    return df.sort_values("panel", key=lambda panel: panel.map(order), kind="stable", ignore_index=True)


def draw(df: pd.DataFrame, ax: Axes) -> None:
    """Draw one topic: a line a claim, a mark a setting.

    Args:
        df: the rows of one panel.
        ax: where to draw.
    """
    claims = list(dict.fromkeys(df["claim"]))
    place = df["claim"].map({claim: line for line, claim in enumerate(claims)})
    nth = df.groupby("claim", sort=False).cumcount()
    y = place + 0.6 * ((nth + 0.5) / df.groupby("claim", sort=False)["claim"].transform("size") - 0.5)
    for relation, look in LOOKS.items():
        own = df["relation"] == relation
        if own.any():
            x = df.loc[own, "ratio"]
            bars = np.stack([x - df.loc[own, "low"], df.loc[own, "high"] - x])
            style: dict[str, Any] = {"color": look.color, "marker": look.marker, "linestyle": "", "elinewidth": 0.6}
            ax.errorbar(x, y[own], xerr=bars, markersize=2.4, capsize=0, label=f"theory is {WORDS[relation]}", **style)
    ax.axvline(1, color=BLACK, linewidth=0.8, linestyle="--")
    ax.set_yticks(range(len(claims)), claims)
    ax.set_ylim(len(claims) - 0.4, -0.6)
    ax.set_xlabel("simulated / theory")
    ax.set_title(headed(df["panel"].iloc[0]), loc="left")
