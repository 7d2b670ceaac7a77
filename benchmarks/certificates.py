"""Certificates of editors whose regime theory proves: how many are named rightly, over several seeds.

    python benchmarks/certificates.py [--repeats 5] [--workers 2] [--output FILE.json]

Prints one JSON object a certificate and the counts, those of editors whose regime is proved apart from those of which
theory knows less (`sim.proven`); exit status 1 where a certificate names a wrong regime.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from sim.certificate import certify
from sim.pool import over_processes
from sim.proven import FORETOLD, PROVEN, Proven
from sim.results import provenance


def named(case: tuple[int, bool, Proven]) -> dict[str, object]:
    """One certificate: seed, whether it is proved, and the editor -> what the certificate says."""
    seed, proved, known = case
    begun = time.perf_counter()
    (finding,) = certify(known.make, (known.setting,), seed=seed)
    seconds, regime = round(time.perf_counter() - begun, 2), finding.verdict.regime
    verdict = "right" if regime == known.regime else "undecided" if regime == "undecided" else "wrong"
    return {
        "editor": known.words,
        "setting": known.setting.name,
        "seed": seed,
        "regime": regime,
        "known": known.regime,
        "claims": known.claims,
        "ground": "proved" if proved else "foretold",
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
    known = [(True, one) for one in PROVEN] + [(False, one) for one in FORETOLD]
    cases = [(1000 * repeat, proved, one) for repeat in range(options.repeats) for proved, one in known]
    rows, counts = [], Counter[str]()
    for row in over_processes(named, cases, options.workers):
        rows.append(row)
        counts[f"{row['ground']} {row['verdict']}"] += 1
        print(json.dumps(row, ensure_ascii=False), flush=True)
    summary = {"editors": {"proved": len(PROVEN), "foretold": len(FORETOLD)}, "counts": counts}
    print(json.dumps(summary))
    if options.output:
        content = {**summary, "rows": rows, "provenance": provenance()}
        options.output.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return 1 if counts["proved wrong"] or counts["foretold wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
