"""The collapse experiment: which comparisons it consists of, and the small tables that are its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from real_models.jobs import Job
from sim.results import read_json
from theory.command import Misuse
from theory.files import write_atomically, write_json

PLAIN = (
    *("rome", "memit", "memit_seq", "alphaedit"),
    *("memit+rect:share=0.6", "memit+prune:base=1.2", "encore:penalty=0.1"),
)
"""The editors of the paper's comparison; RECT and PRUNE act on MEMIT's writes.

RECT's, PRUNE's and ENCORE's settings are the nearest to the published ones at which these models take an edit at all:
with RECT's share of 0.2, PRUNE's base of e and ENCORE's penalty of 1 or 10, a third to a half of single edits take.
"""
ANCHORED = tuple(f"{rule}+nas{'+' if parts else ''}{parts}" for rule, _, parts in (e.partition("+") for e in PLAIN))
RIVALS = (
    *("rome+original", "memit_seq+original", "alphaedit+original", "mose"),
    *("alphaedit+nas", "alphaedit+nas:one_sided", "alphaedit+nas:drop=2"),
    *("memit+nas", "memit+nas:one_sided", "memit+nas:drop=2"),
    *("alphaedit+nas:times=0.8", "alphaedit+nas:times=1.25", "memit+nas:times=0.8", "memit+nas:times=1.25"),
)
"""What may do as NAS does, NAS's own variants, and anchors that are a fifth too short or a quarter too long."""
THREE = ("rome", "rome+nas", "memit", "memit+nas", "alphaedit", "alphaedit+nas")
SMALL = "world:seed=1,width=64,hidden={n},layers=8,embedding_scale=0.6,learning_rate=1.5e-3,steps=800"
LARGE = "world:seed=1,width=96,hidden=384,layers=6,embedding_scale=0.6,learning_rate=1.5e-3,steps=600"
SOLVE = ("--steps", "12", "--prefixes", "2", "--prefix-tokens", "5", "--pilots", "100", "--eval-sample", "64")
OFTEN = ("--checkpoint-every", "64", "--early", "--save-every", "128", "--identity-every", "50")
SEEDS = ("3", "4", "5")
"""Of the streams; the forecast's constants and the claims were settled on models and streams of seeds 0 to 2."""


def comparisons(data: str | None) -> tuple[Job, ...]:
    """The comparisons; the longest come first, so that two workers end together.

    Args:
        data: CounterFact's native file, for the model taught its statements; None leaves that out.
    """
    small = ("--model", SMALL.format(n=256), "--layers", "4")
    large = ("--model", LARGE, "--layers", "3")

    def job(name: str, editors: Sequence[str], edits: int, *more: str) -> Job:
        words = ("real_models", "compare", *SOLVE, *OFTEN, "--edits", str(edits), "--editors", *editors)
        return Job(name, (*words, "--seeds", *SEEDS, *more), edits)

    facts = ("--model", "facts:seed=1,hidden=320,steps=2000", "--data", str(data), "--layers", "0")
    return (
        job("world-384", (*PLAIN, *ANCHORED), 576, *large),
        job("world-256", (*PLAIN, *ANCHORED), 768, *small),
        *((job("facts-320", THREE, 500, *facts),) if data else ()),
        job("rivals", RIVALS, 384, *small),
        job("single-384", (*PLAIN, *ANCHORED), 64, *large, "--single"),
        job("single-256", (*PLAIN, *ANCHORED), 64, *small, "--single"),
        job("drift", THREE[2:], 384, *small, "--order", "template"),
        job("layers", THREE, 288, *small[:2], "--layers", "3", "4", "5"),
        job("clamp", THREE, 288, *small, "--clamp", "4"),
        *(
            job(f"width-{n}", ("memit_seq", "alphaedit"), 2 * n, "--model", SMALL.format(n=n), "--layers", "4")
            for n in (128, 192)
        ),
    )


def chosen(jobs: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """The comparisons that `only` names; all without it."""
    names = [job.name for job in jobs]
    for name in only:
        if name not in names:
            raise Misuse(f"--only {name} names no comparison; choose among {', '.join(names)} (facts-320 needs --data)")
    return [job for job in jobs if not only or job.name in only]


KEPT = (
    *("editor", "seed", "step", "layer", "weight_norm_after", "delta_norm", "v0_norm", "solved_norm", "key_norm"),
    *("instant", "instant_exact"),
)
"""The columns of a comparison's rows that a record keeps, in float32."""


def write_record(folders: Iterable[Path], record: Path) -> None:
    """Write every comparison into a folder of its own, small enough to keep: its rows in few columns, and all else.

    Of a data set's path only the file's name is kept.

    Args:
        folders: finished comparisons.
        record: where their folders go.
    """
    for folder in folders:
        own = record / folder.name
        own.mkdir(parents=True, exist_ok=True)
        rows = pd.read_parquet(folder / "rows.parquet", columns=list(KEPT))
        numbers = rows.select_dtypes("number").columns.difference(["seed", "step", "layer"])
        rows = rows.astype(dict.fromkeys(numbers, "float32"))
        kept = {name: folder / f"{name}.parquet" for name in ("checkpoints", "points")}
        others = {name: pd.read_parquet(path) for name, path in kept.items() if path.exists()}
        for name, table in ({"rows": rows} | others).items():
            save = partial(table.to_parquet, index=False, compression="zstd")
            write_atomically(own / f"{name}.parquet", save)
        config = read_json(folder / "config.json")
        config["run"]["data"] = Path(config["run"]["data"]).name
        write_json(own / "config.json", config)
        write_json(own / "summary.json", read_json(folder / "summary.json"))
