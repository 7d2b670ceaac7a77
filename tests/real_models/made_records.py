"""Made-up records of the collapse experiment, in which every claim's answer is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from real_models.collapse.experiment import ANCHORED, PLAIN, RIVALS, THREE, write_record
from real_models.collapse.record import recorded
from theory.files import write_json

PARTS = ("efficacy", "generalisation", "specificity")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Course:
    """How a made-up stream goes.

    Attributes:
        law: "exponential", "quadratic", "linear", "square root" or "knee" of ‖W‖ in the number of edits.
        rate: of the growth.
        values: elasticity of the values in ‖W‖.
        loss: per cent of its score that the stream loses an edit.
        taken: per cent of edits that take.
        dropped: edits.
    """

    law: str = "exponential"
    rate: float = 0.01
    values: float = 1.0
    loss: float = 0.5
    taken: float = 100.0
    dropped: int = 0

    def norm(self, t, knee):
        """‖W‖ after t edits."""
        if self.law == "exponential":
            return 4 * np.exp(self.rate * t)
        if self.law == "quadratic":
            return 4 * (1 + self.rate * t) ** 2
        if self.law == "linear":
            return 4 * (1 + self.rate * t)
        if self.law == "square root":
            return 4 * np.sqrt(1 + self.rate * t)
        return 4 * (1 + self.rate * knee * np.tanh(t / knee))


def made(folder, courses, *, edits=480, every=20, layers=(1,), rank=None, n=256, single=False):
    """A finished comparison of the editors in `courses`, whose numbers are their courses' and a little noise."""
    chance = np.random.default_rng(0)
    rows, points, streams = [], [], []
    steps, evaluated = np.arange(edits), np.array([0] if single else [0, 5, *range(every, edits + 1, every)])
    for editor, course in courses.items():
        for seed in SEEDS:
            name = {"editor": editor, "seed": seed}
            norms = course.norm(np.arange(edits + 1), rank or 100) * (1 + 1e-4 * chance.standard_normal(edits + 1))
            length = norms[:-1] ** course.values * (1 + 0.01 * chance.standard_normal(edits))
            taken = 100.0 * (chance.random(edits) < course.taken / 100)
            told = {
                "delta_norm": 1.0,
                "v0_norm": length,
                "solved_norm": length,
                "key_norm": 1 + 0.1 * chance.standard_normal(edits),
            }
            told |= {"weight_norm_after": norms[1:], "instant": taken, "instant_exact": taken, "step": steps}
            rows += [pd.DataFrame(name | {"layer": layer} | told) for layer in layers]
            score = 100 * np.exp(-course.loss * evaluated / 100) + 1e-3 * chance.random(len(evaluated))
            own = dict.fromkeys(
                (*PARTS, *(f"{part}_exact" for part in PARTS), "score", "score_rescaled", "score_exact", "agreement"),
                score,
            )
            own |= {"step": evaluated, "weight_norm": norms[evaluated], "perplexity_ratio": 1.0}
            points.append(pd.DataFrame(name | own))
            last = str(layers[-1])
            anchor = {"layers": list(layers), "anchors": {last: 5.0}, "anchor_se": {last: 0.05}}
            streams.append(name | anchor | {"rank_of_P": rank or 90, "n": n, "dropped": course.dropped})
    folder.mkdir(parents=True)
    pd.concat(rows).to_parquet(folder / "rows.parquet", index=False)
    pd.concat(points).to_parquet(folder / "checkpoints.parquet", index=False)
    write_json(folder / "config.json", {"run": {"data": "world"}})
    write_json(folder / "summary.json", {"edits": edits, "streams": streams})
    return folder


def as_published(place):
    """A course in which NAS does what the paper says; `place` spreads the editors a little."""
    return Course(rate=0.01 + 0.0005 * place, loss=0.55 + 0.01 * place)


def anchored(place):
    """The same editor with NAS."""
    return Course("square root", rate=0.02 + 0.001 * place, loss=0.03 + 0.002 * place, values=0.0)


def record(folder, *, swap=False):
    """The experiment's comparisons: as the paper says, or with NAS's part and the plain editors' exchanged."""
    plain, nas = (anchored, as_published) if swap else (as_published, anchored)
    courses = {editor: plain(place) for place, editor in enumerate(PLAIN)}
    courses |= {editor: nas(place) for place, editor in enumerate(ANCHORED)}
    courses["alphaedit" if not swap else "alphaedit+nas"] = Course("knee", rate=0.05, loss=0.58)
    three = {editor: courses[editor] for editor in THREE}
    good, bad = nas(3), plain(3)
    rivals = {editor: bad if editor == "mose" else good for editor in RIVALS}
    rivals |= {editor: replace(rivals[editor], loss=good.loss + 0.12) for editor in RIVALS if "times=0.8" in editor}
    knees = {"memit_seq": Course("knee"), "alphaedit": Course("knee")}
    kinds = {
        "world-256": (courses, {"rank": 120}),
        "world-384": (courses, {"rank": 150, "n": 384}),
        "single-256": (courses, {"single": True, "edits": 40}),
        "single-384": (courses, {"single": True, "edits": 40}),
        "clamp": (three, {}),
        "layers": (three, {"layers": (3, 4, 5)}),
        "drift": ({editor: courses[editor] for editor in THREE[2:]}, {}),
        "rivals": (rivals, {}),
        "width-128": (knees, {"rank": 60, "n": 128}),
        "width-192": (knees, {"rank": 110, "n": 192}),
    }
    folders = [made(folder / name, editors, **more) for name, (editors, more) in kinds.items()]
    write_record(folders, folder / "record")
    return recorded(folder / "record")
