"""The paper's empirical claims on trained transformers: collapse and its delay, performance, ability, anchors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from real_models import collapse_checks as checks
from real_models.collapse import ANCHORED, PLAIN
from real_models.collapse_checks import DELAYED, EDITORS, FIRST, GAIN, INSENSITIVE, MET, NEGLIGIBLE, PAIRS, PRESERVED
from real_models.collapse_record import Comparison
from theory.claim import Claim, Evidence, Kind, Verdict


def collapse_claims(runs: Mapping[str, Comparison], command: str, speed: Path) -> tuple[Claim[Any], ...]:
    """The claims on the collapse experiment's record.

    Args:
        runs: by name; at least "world-256", "world-384", "rivals" and "clamp".
        command: what makes the record.
        speed: the JSON of `python -m real_models bench`.
    """
    worlds = [run for name, run in runs.items() if name.startswith("world-")]
    swapped = tuple((anchored, plain) for plain, anchored in PAIRS)

    def claim(
        id: str,
        source: str,
        statement: str,
        check: Callable[[Any], Evidence],
        subject: Any,
        twin: Any,
        says: str,
        verdict: Verdict = Verdict.CONDITIONAL,
        own: str = command,
    ) -> Claim[Any]:
        return Claim(id, source, Kind.MEASURED, statement, check, subject, twin, says, verdict=verdict, command=own)

    return (
        claim(
            "M2.correlation",
            "P1",
            "along streams without NAS ‖W‖ and success (harmonic mean of the exact-match rates) have a strong negative "
            "rank correlation, in both worlds; both also follow the number of edits",
            lambda sign: checks.correlation(worlds, sign),
            1,
            -1,
            "success rises with ‖W‖",
        ),
        claim(
            "M2.exponential",
            "P2, P3",
            "without NAS some editor's log ‖W‖ at least doubles its weight and goes straight to the stream's end, at a "
            "clamp of 0.75 or of 4",
            lambda editors: checks.exponential((*worlds, runs["clamp"]), editors),
            PLAIN,
            ANCHORED,
            "the same editors do so with NAS",
        ),
        claim(
            "M2.proportional",
            "P5",
            "under MEMIT without NAS ‖v*‖ is proportional to ‖W‖: the elasticity's interval over seeds holds 1",
            lambda column: checks.proportional(worlds, column),
            "solved_norm",
            "key_norm",
            "‖k‖ is proportional to ‖W‖",
        ),
        claim(
            "M2.controls",
            "P6",
            "increment-level controls (the clamp alone, ENCORE's penalty, RECT) leave ‖W‖ growing in the stream's "
            "second half",
            lambda sign: checks.still_growing(worlds, ("memit", "encore", "memit+rect"), sign),
            1,
            -1,
            "they make it shrink",
        ),
        claim(
            "M2.bounded",
            "P7",
            "with NAS the edited norm ends below the norm without it, for every editor and seed",
            lambda pairs: checks.lower_norm(worlds, pairs),
            PAIRS,
            swapped,
            "without NAS it ends below the norm with it",
        ),
        claim(
            "M2.delay",
            "P8",
            f"NAS delays CP@60 more than {DELAYED:g} times for at least {EDITORS} of {len(PAIRS)} editors, by the "
            "rescaled score or by exact match, in one of the worlds",
            lambda pairs: checks.delayed(worlds, pairs),
            PAIRS,
            swapped,
            "leaving NAS out delays it so",
        ),
        claim(
            "M2.performance",
            "P9",
            f"mean performance along the stream (exact match) rises by at least {GAIN:g} % with NAS",
            lambda pairs: checks.performance(worlds, pairs),
            PAIRS,
            swapped,
            "it rises so without NAS",
        ),
        claim(
            "M2.single_edits",
            "P11",
            f"of the first {FIRST} edits as many take (exact match right after the write) with NAS as without, to "
            f"within {PRESERVED:g} points",
            lambda shift: checks.single_edits(worlds, shift),
            0.0,
            2 * PRESERVED,
            f"{2 * PRESERVED:g} points more take without NAS",
        ),
        claim(
            "M2.ability",
            "P12",
            "at the stream's end the next-token agreement with the unedited model on held-out text is higher with NAS, "
            "on average over the editors",
            lambda pairs: checks.ability(worlds, pairs),
            PAIRS,
            swapped,
            "it is higher without NAS",
        ),
        claim(
            "M2.pilots",
            "P13",
            f"an anchor of 100 pilots is known well enough: its own spread moves the mean score by less than "
            f"{INSENSITIVE:g} points, as measured with anchors a fifth shorter and a quarter longer",
            lambda factor: checks.pilots(runs["world-256"], runs["rivals"], factor),
            1.0,
            100.0,
            "the same of an anchor that is 100 times as uncertain",
        ),
        claim(
            "M2.overhead",
            "P10",
            f"NAS adds less than {NEGLIGIBLE:.0%} to an edit's time once its anchor is known (GPT-2-small's shape)",
            lambda factor: checks.overhead(speed, factor),
            1.0,
            1000.0,
            "the same of a thousand times the cost",
            Verdict.HOLDS,
            "python -m real_models bench --json speed.json",
        ),
        claim(
            "M2.forecast",
            "T6",
            "after a fifth of the edits to collapse the forecast's interval meets the measured CP@60 in at least "
            f"{MET:.0%} of the streams that collapse, and says none in sight of nine in ten of the others",
            lambda scale: checks.forecasts(tuple(runs.values()), scale),
            1.0,
            1 / 30,
            "the same of a forecast 30 times as early",
        ),
    )
