"""Solvers whose second moment grows, against one dense textbook solve an edit: time an edit, and how far they drift.

    python benchmarks/growing_solvers.py [--n 3072 --edits 200 --long 1000] [--output FILE.json]

Both see the same keys in the same process, in turn. Times are of solve and absorb alone, without the measuring that a
stream adds; the textbook factorises A + KKᵀ anew for every edit. The drift is ‖Δ − Δ_dense‖/‖Δ_dense‖ at the end of the
long run, where the dense solve is taken from the summed moment once more. LyapLock is left out: it takes in a key in
O(n²) while its lock is slack, but its update solves for m right-hand sides, O(mn²), whatever the factorisation costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sim.editor import Edit, Solver
from sim.lowrank import dense
from sim.results import provenance
from sim.rules.alphaedit import alphaedit
from sim.rules.encore import encore
from sim.rules.memit_seq import memit_seq
from sim.rules.rlsedit import rlsedit

M, FEW = 768, 5


def drawn(n: int, count: int, seed: int) -> Tensor:
    """Keys of norm about √n, one a column."""
    return torch.randn(count, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mT


def rules(n: int) -> dict[str, tuple[Solver, Callable[[Tensor, Tensor], Tensor]]]:
    """Each solver, with (Σkkᵀ, k) -> its dense right factor A⁻¹k."""
    root = drawn(n, 2 * n, 1) * torch.linspace(1, 30, n, dtype=torch.float64).sqrt()[:, None]
    covariance, eye = root @ root.mT / (2 * n), torch.eye(n, dtype=torch.float64)
    weighting = n / 30
    projector = torch.linalg.qr(root[:, : n - n // 8]).Q

    def ridge(start: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda past, key: torch.linalg.solve(start + past + key @ key.mT, key)

    def projected(past: Tensor, key: Tensor) -> Tensor:
        moment = projector @ (projector.mT @ (past + key @ key.mT)) + 10.0 * eye
        return torch.linalg.solve(moment, projector @ (projector.mT @ key))

    return {
        "memit_seq": (memit_seq(covariance, weighting=weighting), ridge(weighting * covariance)),
        "encore": (encore(covariance, weighting=weighting, penalty=10.0), ridge(weighting * covariance + 10.0 * eye)),
        "rlsedit": (rlsedit(covariance, ridge=1.0, weighting=weighting), ridge(weighting * covariance + eye)),
        "alphaedit": (alphaedit(projector, ridge=10.0), projected),
    }


def measured(name: str, n: int, edits: int, long: int) -> dict[str, object]:
    """One rule: milliseconds an edit of both, their ratio, and the drift after the long run."""
    solver, textbook = rules(n)[name]
    keys, weight = drawn(n, long, 2), torch.zeros(M, n, dtype=torch.float64)
    values = torch.randn(long, M, generator=torch.Generator().manual_seed(3), dtype=torch.float64).mT
    state, past = solver.init(weight), torch.zeros(n, n, dtype=torch.float64)
    fast = slow = gap = 0.0
    for i, (key, value) in enumerate(zip(keys.split(1, dim=1), values.split(1, dim=1), strict=True)):
        begun = time.perf_counter()
        delta, _, state = solver.solve(Edit(key, torch.zeros_like(value), value), state, weight)
        state = solver.absorb(key, state)
        fast += time.perf_counter() - begun if i < edits else 0.0
        if i < FEW or i == long - 1:
            begun = time.perf_counter()
            expected = value @ textbook(past, key).mT
            slow += time.perf_counter() - begun if i < FEW else 0.0
            gap = float(torch.linalg.norm(dense(delta) - expected) / torch.linalg.norm(expected))
        past.addmm_(key, key.mT)
    return {
        "rule": name, "m": M, "n": n, "edits": edits, "long": long, "solve_ms": 1e3 * fast / edits,
        "textbook_ms": 1e3 * slow / FEW, "ratio": slow / FEW / (fast / edits), "drift": gap,
    }  # fmt: skip


def main() -> int:
    """Print one JSON row a rule, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3072)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--long", type=int, default=1000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    for name in ("memit_seq", "encore", "rlsedit", "alphaedit"):
        rows.append(measured(name, options.n, options.edits, options.long))
        print(json.dumps(rows[-1]), flush=True)
    if options.output:
        options.output.write_text(json.dumps([row | provenance() for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
