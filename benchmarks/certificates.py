"""Certificates of editors whose regime theory proves or foretells: how many are named rightly, over several seeds.

    python benchmarks/certificates.py [--repeats 5] [--workers 2] [--output FILE.json]

Prints one JSON object a certificate and the counts; exit status 1 where a certificate names a wrong regime.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from sim.certificate import certify
from sim.compose import by_words
from sim.pool import over_processes
from sim.results import provenance
from sim.settings import BASE

# Under a relative shift on isotropic keys. T3: a memoryless metric write grows exponentially, whatever its gain; T4: a
# relative clip or cap leaves it exponential, an absolute one makes it linear, decay above c²/2n shrinks, PRUNE after
# every write is bounded. T5: an anchor bounds every excited metric write. MOSE keeps the norm. Not proved: SPHERE
# leaves the growth exponential (simulation), a second moment that grows saturates (T3b's mean field). With C = I, as
# here, ROME with C and EMMET are ROME, and OTE-SE and NSE are MEMIT-seq.
KNOWN: dict[str, str] = {
    "ft": "exponential",
    "rome": "exponential",
    "rome_c": "exponential",
    "emmet": "exponential",
    "memit": "exponential",
    "rome | clip_relative": "exponential",
    "memit | clip_relative": "exponential",
    "rome | | cap_relative": "exponential",
    "rome | | sphere": "exponential",
    "rome | clip_absolute": "polynomial",
    "memit | clip_absolute": "polynomial",
    "rome | | cap_absolute": "polynomial",
    "rome | | cap_spectrum": "polynomial",
    "rome | | decay": "shrinking",
    "memit | | decay": "shrinking",
    "rome | | prune": "bounded",
    "ft | nas": "bounded",
    "rome | nas": "bounded",
    "rome_c | nas": "bounded",
    "emmet | nas": "bounded",
    "memit | nas": "bounded",
    "memit_seq": "bounded",
    "alphaedit": "bounded",
    "alphaedit_free": "bounded",
    "encore": "bounded",
    "rlsedit": "bounded",
    "ote_se": "bounded",
    "nse": "bounded",
    "mose": "bounded",
    "mose | nas": "bounded",
}


def named(case: tuple[int, str]) -> dict[str, object]:
    """One certificate: seed and editor -> what it says."""
    seed, words = case
    rule, values, deltas = ([part.split() for part in words.split("|")] + [[], []])[:3]
    begun = time.perf_counter()
    (finding,) = certify(by_words(rule[0], values, deltas), (BASE,), seed=seed)
    seconds, regime = round(time.perf_counter() - begun, 2), finding.verdict.regime
    verdict = "right" if regime == KNOWN[words] else "undecided" if regime == "undecided" else "wrong"
    return {
        "editor": words,
        "seed": seed,
        "regime": regime,
        "known": KNOWN[words],
        "verdict": verdict,
        "seconds": seconds,
    }


def main() -> int:
    """Print and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows, counts = [], Counter[str]()
    for row in over_processes(
        named, [(1000 * r, words) for r in range(options.repeats) for words in KNOWN], options.workers
    ):
        rows.append(row)
        counts[str(row["verdict"])] += 1
        print(json.dumps(row), flush=True)
    print(json.dumps(counts))
    if options.output:
        content = {"counts": counts, "rows": rows, "provenance": provenance()}
        options.output.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
