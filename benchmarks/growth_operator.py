"""T3's spectral radius for a sample of keys: time and memory at a transformer's size, and against the textbook method.

    python benchmarks/growth_operator.py [--keys 20000 --dimension 3072] [--output FILE.json]

Prints one JSON object a line; every timed run has a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from theory.growth.growth_operator import sample_perron
from theory.growth.key_laws import SampleKeys, sample_keys

RTOL = 1e-6


def drawn_law(n: int, count: int, seed: int = 0) -> SampleKeys:
    """Gaussian keys whose spectrum spans a factor 100, M = I, hard writes."""
    random = np.random.default_rng(seed)
    keys = random.standard_normal((n, count))
    keys *= np.sqrt(np.geomspace(1.0, 100.0, n))[:, None]
    return sample_keys(keys)


def textbook(law: SampleKeys, rtol: float = RTOL, limit: int = 200) -> tuple[float, int]:
    """Power iteration on vec(X), n² unknowns, the map applied key by key as (ŷ ⊗ ŷ)(ŷ ⊗ ŷ)ᵀ vec(X).

    The n² × n² matrix itself takes 34 GB at n = 256. It stops when two Rayleigh quotients agree to `rtol`/10.
    """
    n, count = law.shape
    x, value = np.eye(n).ravel() / np.sqrt(n), 0.0
    for done in range(1, limit + 1):
        image = np.zeros(n * n)
        for key, eta in zip(law.directions.T, law.gains, strict=True):
            pair = np.kron(key, key)
            image += eta**2 / count * (pair @ x) * pair
        before, value = value, float(x @ image)
        if abs(value - before) <= rtol / 10 * value:
            return value, done
        x = image / np.linalg.norm(image)
    return value, limit


def measured(method: str, n: int, count: int) -> dict[str, object]:
    """One run in this process: the radius, its time without drawing the keys, and the process's peak memory."""
    law = drawn_law(n, count)
    start = time.perf_counter()
    if method == "textbook":
        value, iterations = textbook(law)
        found: dict[str, object] = {"value": value, "iterations": iterations}
    else:
        radius = sample_perron(law, RTOL).radius
        found = radius._asdict()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"method": method, "n": n, "keys": count, "seconds": round(seconds, 3), "peak_gib": round(peak, 3)} | found


def alone(method: str, n: int, count: int) -> dict[str, object]:
    """The same in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (method, n, count))


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
    }


def against_textbook(n: int, count: int) -> dict[str, object]:
    """Both methods on one law: how many times faster, and how far the two values lie apart."""
    ours, theirs = alone("operator", n, count), alone("textbook", n, count)
    apart = abs(float(str(ours["value"])) / float(str(theirs["value"])) - 1)
    return {
        "comparison": "textbook / operator",
        "ratio": round(float(str(theirs["seconds"])) / float(str(ours["seconds"])), 1),
        "max_difference": apart,
        "operator": ours,
        "textbook": theirs,
    }


def main() -> int:
    """Measure, print, and save where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimension", type=int, default=3072, help="n, the key dimension of the large run")
    parser.add_argument("--keys", type=int, default=20_000, help="N, the number of keys of the large run")
    parser.add_argument("--small", type=int, default=256, help="n of the comparison with the textbook")
    parser.add_argument("--small-keys", type=int, default=2_000, help="N of the comparison")
    parser.add_argument("--output", type=Path, help="a JSON file to save the rows to")
    options = parser.parse_args()
    comparison = against_textbook(options.small, options.small_keys)
    print(json.dumps(comparison), flush=True)
    large = alone("operator", options.dimension, options.keys)
    print(json.dumps(large), flush=True)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        rows = {"machine": machine(), "comparison": comparison, "large": large}
        options.output.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
