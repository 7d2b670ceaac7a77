"""Twenty SIGKILLs at random moments of one command, from training to the last evaluation: nothing is lost.

    python benchmarks/kills.py [--seed 0] [--output FILE.json]

A model is taught a file of made-up facts and edited by AlphaEdit with an anchor, once without interruption, and once
killed in training, while C is measured, and during edits and evaluations; each time the same command is typed again.
Kills in training and at C begin where nothing of that stage is there; those in edits follow on from one another.
Prints one JSON object a kill and whether tables, weights, C and the trained model are equal to the last bit; exit
status 1 where they are not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file

from sim.results import provenance, read_json

STAGES = ("training",) * 5 + ("covariance",) * 5 + ("edits and evaluation",) * 10
RECORDS, EDITS, EVERY = 144, 120, 3
MODEL = (
    "facts:layers=2,width=32,hidden=64,heads=2,context=48,batch=8,steps=800,learning_rate=6e-3,check_every=200,"
    "target=1,floor=0"
)


class Case:
    """The command with a cache and a folder of its own."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.cache, self.out, self.data = folder / "cache", folder / "run", data
        folder.mkdir()

    def start(self) -> subprocess.Popen[bytes]:
        """Type the command."""
        words = ("--model", MODEL, "--data", str(self.data), "--rule", "alphaedit", "--anchor", "--pilots", "8")
        run = ("--layers", "0", "--edits", str(EDITS), "--checkpoint-every", str(EVERY), "--save-every", str(EVERY))
        solve = ("--steps", "8", "--prefixes", "2", "--prefix-tokens", "4", "--out", str(self.out))
        environment = os.environ | {"XDG_CACHE_HOME": str(self.cache), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "real_models", "edit", *words, *run, *solve]
        with self.out.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def trained(self) -> list[Path]:
        """The trained model's folders."""
        return [path.parent for path in self.cache.rglob("manifest.json") if not path.parent.name.startswith(".")]

    def covariances(self) -> list[Path]:
        """The files of C."""
        return list(self.cache.rglob("covariance-*.safetensors"))

    def clear(self, stage: str) -> None:
        """Take away what a stage makes, and all that comes after it, so that the next process has it before it."""
        shutil.rmtree(self.out, ignore_errors=True)
        for path in self.covariances():
            path.unlink()
        if stage == "training":
            shutil.rmtree(self.cache, ignore_errors=True)

    def step(self) -> int:
        """Edits that the saved state holds; -1 where there is none."""
        try:
            return int(read_json(self.out / "resume.json")["facts"]["step"])
        except FileNotFoundError:
            return -1

    def stage(self) -> str:
        """Which stage is under way, by what has been written."""
        if not self.trained():
            return "training"
        return "covariance" if not self.covariances() else "edits and evaluation"


def uninterrupted(case: Case) -> dict[str, float]:
    """Run to the end; seconds from the start to the trained model, to C, to the first saved state and to the end."""
    begun, process = time.monotonic(), case.start()
    reached: dict[str, float] = {}
    marks: dict[str, Callable[[], Any]] = {
        "trained": case.trained,
        "claimed": (case.out / "config.json").exists,
        "covariance": case.covariances,
        "saved": lambda: case.step() >= 0,
    }
    while process.poll() is None:
        for name, there in marks.items():
            if name not in reached and there():
                reached[name] = time.monotonic() - begun
        time.sleep(0.002)
    if process.returncode:
        raise SystemExit(case.out.with_suffix(".log").read_text())
    return reached | {"end": time.monotonic() - begun}


def kill(case: Case, stage: str, target: int, times: dict[str, float], chance: Random) -> dict[str, Any]:
    """Start, wait for a random moment of a stage, and send SIGKILL."""
    if stage != STAGES[-1]:
        case.clear(stage)
    begun, process = time.monotonic(), case.start()
    if stage == "training":
        delay = chance.uniform(0.2, 0.95) * times["trained"]
    elif stage == "covariance":
        wait(process, (case.out / "config.json").exists)
        delay = chance.uniform(0, times["covariance"] - times["claimed"])
    else:
        # Past what was saved before, so that this process is at work.
        target = max(target, case.step() + EVERY)
        wait(process, lambda: case.step() >= target)
        delay = chance.uniform(0, EVERY * (times["end"] - times["saved"]) / EDITS)
    time.sleep(delay)
    found = case.stage()
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    seconds = round(time.monotonic() - begun, 3)
    whole = (case.out / "summary.json").exists()
    return {"meant": stage, "found": found, "step": case.step(), "seconds": seconds, "code": code, "finished": whole}


def wait(process: subprocess.Popen[bytes], there: Callable[[], bool]) -> None:
    """Until something is there or the process has ended."""
    while process.poll() is None and not there():
        time.sleep(0.002)


def equal(whole: Case, parts: Case) -> dict[str, bool]:
    """What is the same to the last bit."""
    tables = {
        name: pd.read_parquet(whole.out / name).equals(pd.read_parquet(parts.out / name))
        for name in ("rows.parquet", "checkpoints.parquet")
    }
    pairs = {"weights": [case.out / "weights.safetensors" for case in (whole, parts)]}
    pairs["C"] = [case.covariances()[0] for case in (whole, parts)]
    pairs["trained model"] = [case.trained()[0] / "model.safetensors" for case in (whole, parts)]
    return tables | {name: same(*(load_file(path) for path in pair)) for name, pair in pairs.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether all tensors are equal."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def record(index: int) -> dict[str, Any]:
    """A made-up fact in CounterFact's native form."""
    seas = ("White Sea", "Black Sea", "Red Sea", "Yellow Sea")
    name, other = (
        f"{'BCDFGHKLM'[i % 9]}{'aeio'[i // 9 % 4]}{'rnls'[i // 36]}ova" for i in (index, (index + 4) % RECORDS)
    )
    return {
        "case_id": index,
        "requested_rewrite": {
            "prompt": "The river {} flows into the",
            "subject": name,
            "target_true": {"str": seas[index % 4]},
            "target_new": {"str": seas[(index + 1) % 4]},
        },
        "paraphrase_prompts": [f"Seen in {1900 + index}. The mouth of the {name} is in the"],
        "neighborhood_prompts": [f"The river {other} flows into the"],
    }


def main() -> int:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    chance = Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "rivers.json"
        data.write_text(json.dumps([record(index) for index in range(RECORDS)]))
        whole, parts = Case(Path(place) / "whole", data), Case(Path(place) / "parts", data)
        times = uninterrupted(whole)
        print(json.dumps({"uninterrupted": times}), flush=True)
        targets = iter(sorted(chance.randrange(0, EDITS - 10 * EVERY) for _ in range(STAGES.count(STAGES[-1]))))
        kills = []
        for stage in STAGES:
            target = next(targets) if stage == STAGES[-1] else 0
            kills.append(kill(parts, stage, target, times, chance))
            print(json.dumps(kills[-1]), flush=True)
        if parts.start().wait():
            raise SystemExit(parts.out.with_suffix(".log").read_text())
        found = equal(whole, parts)
    print(json.dumps(found))
    result = {"uninterrupted": times, "kills": kills, "equal": found, "seed": options.seed, "provenance": provenance()}
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(found.values()) and all(one["code"] == -signal.SIGKILL for one in kills) else 1


if __name__ == "__main__":
    sys.exit(main())
