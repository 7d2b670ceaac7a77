"""The paper's empirical claims, and what lies beyond them, on trained transformers, from the experiment's record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from real_models.collapse import forecast_checks as forecasts
from real_models.collapse import norm_checks as norms
from real_models.collapse import score_checks as scores
from real_models.collapse.experiment import ANCHORED, PLAIN
from real_models.collapse.forecast_checks import CALM, EARLY, MET
from real_models.collapse.norm_checks import AFTER, ALIKE, KNEE, PROPORTIONAL
from real_models.collapse.record import Comparison
from real_models.collapse.score_checks import DELAYED, EDITORS, GAIN, LOST, NEGLIGIBLE
from theory.claim import Claim, Evidence, Kind, Verdict

PAIRS = tuple(zip(PLAIN, ANCHORED, strict=True))
THREE = tuple((rule, f"{rule}+nas") for rule in ("rome", "memit", "alphaedit"))
CONTROLLED = tuple(pair for pair in PAIRS if pair[0].startswith(("memit+rect", "encore")) or pair[0] == "memit")
"""Editors with an increment-level control: the clamp of the value solve, RECT, ENCORE's penalty."""


def swapped(pairs: norms.Pairs) -> norms.Pairs:
    """The planted opposite: what has NAS is taken for what has not."""
    return tuple((anchored, plain) for plain, anchored in pairs)


def collapse_claims(runs: Mapping[str, Comparison], command: str, speed: Path) -> tuple[Claim[Any], ...]:
    """The claims on the collapse experiment's record.

    Args:
        runs: the experiment's comparisons, by name.
        command: what makes the record.
        speed: the JSON of `python -m real_models bench`.
    """
    seeds = f"streams of seeds {', '.join(map(str, runs['world-256'].seeds))}"
    claims = (*of_norms(runs, command), *of_scores(runs, command, speed), *beyond(runs, command))
    return tuple(claim if claim.command != command else _naming(seeds, claim) for claim in claims)


def _naming(seeds: str, claim: Claim[Any]) -> Claim[Any]:
    """The claim with the seeds that its evidence rests on among its notes."""

    def check(subject: Any) -> Evidence:
        found = claim.check(subject)
        return replace(found, steps=(seeds, *found.steps))

    return replace(claim, check=check)


def measured(
    id: str,
    source: str,
    statement: str,
    check: Callable[[Any], Evidence],
    subject: Any,
    twin: Any,
    twin_statement: str,
    command: str,
    verdict: Verdict = Verdict.CONDITIONAL,
) -> Claim[Any]:
    """A claim on the record: what is established holds for these models and settings."""
    return Claim(id, source, Kind.MEASURED, statement, check, subject, twin, twin_statement, verdict, command)


def of_norms(runs: Mapping[str, Comparison], command: str) -> tuple[Claim[Any], ...]:
    """P1 to P7: what norms do."""
    worlds = [runs["world-256"], runs["world-384"]]
    low, high = PROPORTIONAL
    return (
        measured(
            "M2.correlation",
            "P1",
            "along streams without NAS ‖W‖ and success (harmonic mean of the exact-match rates) have a strong negative "
            "rank correlation in both worlds; both follow the number of edits, too, so this shows no cause",
            lambda sign: norms.along(worlds, PLAIN, sign),
            1,
            -1,
            "success rises with ‖W‖",
            command,
        ),
        measured(
            "M2.correlation_across",
            "P1",
            "over fourteen editors, with NAS and without, the one whose ‖W‖ grew more has the lower success (exact "
            "match) at the stream's end: a strong negative rank correlation in both worlds, over editors",
            lambda sign: norms.across(worlds, PAIRS, sign),
            1,
            -1,
            "the one whose ‖W‖ grew more has the higher success",
            command,
        ),
        measured(
            "M2.exponential",
            "P2, P3",
            f"without NAS some editor's ‖W‖ at least doubles after edit {AFTER} and is nearer to an exponential than "
            "to a parabola, a line or a square root in the number of edits, at a rate that lasts, in every seed, at a "
            "clamp of 0.75 or of 4",
            lambda read: norms.exponential([*worlds, runs["clamp"]], PLAIN, read),
            lambda series: series,
            norms.parabola,
            "the same of norms on the parabola between those ends",
            command,
        ),
        measured(
            "M2.proportional_rome",
            "P5",
            f"under ROME (C = I) without NAS ‖v0‖ and ‖v*‖ are proportional to ‖W‖ after edit {AFTER}: elasticities of "
            f"{low:g} to {high:g} in both worlds and at a clamp of 4",
            lambda columns: norms.proportional([*worlds, runs["clamp"]], "rome", columns),
            ("v0_norm", "solved_norm"),
            ("key_norm",),
            "so is the length of the keys",
            command,
        ),
        measured(
            "M2.proportional_memit",
            "P5",
            f"under MEMIT, on which P5 was probed, ‖v0‖ and ‖v*‖ are proportional to ‖W‖ after edit {AFTER}: "
            f"elasticities of {low:g} to {high:g} in both worlds",
            lambda columns: norms.proportional(worlds, "memit", columns),
            ("v0_norm", "solved_norm"),
            ("key_norm",),
            "so is the length of the keys",
            command,
        ),
        measured(
            "M2.controls",
            "P6",
            "with increment-level controls (the solve's clamp alone, and with it RECT or ENCORE's penalty) ‖W‖ grows "
            "more in the stream's second half than with the same controls and NAS, on average over the three, in both "
            "worlds",
            lambda pairs: norms.controls(worlds, pairs),
            CONTROLLED,
            swapped(CONTROLLED),
            "it grows more with NAS",
            command,
        ),
        measured(
            "M2.bounded",
            "P7, T5",
            "with NAS ‖W‖ grows no faster than a square root in the stream's second half, whichever the editor, in "
            "both worlds: by at most √2",
            lambda editors: norms.bounded(worlds, editors),
            ANCHORED,
            PLAIN,
            "the same without NAS",
            command,
        ),
    )


def of_scores(runs: Mapping[str, Comparison], command: str, speed: Path) -> tuple[Claim[Any], ...]:
    """P8 to P13: what becomes of the edits and of the model."""
    worlds = [runs["world-256"], runs["world-384"]]
    singles = [runs["single-256"], runs["single-384"]]
    return (
        measured(
            "M2.delay",
            "P8",
            f"NAS delays CP@60 more than {DELAYED:g} times for at least {EDITORS} of {len(PAIRS)} editors, by the "
            "rescaled score or by exact match, in one of the worlds",
            lambda pairs: scores.delayed(worlds, pairs),
            PAIRS,
            swapped(PAIRS),
            "leaving NAS out delays it so",
            command,
        ),
        measured(
            "M2.performance",
            "P9",
            f"mean performance (the mean over editors and along the stream) rises by at least {GAIN:g} % with NAS, by "
            "the rescaled score or by exact match, in one of the worlds",
            lambda pairs: scores.performance(worlds, pairs),
            PAIRS,
            swapped(PAIRS),
            "it rises so without NAS",
            command,
        ),
        measured(
            "M2.overhead",
            "P10",
            f"NAS adds less than {NEGLIGIBLE:.0%} to an edit's time once its anchor is known (GPT-2-small's shape)",
            lambda factor: scores.overhead(speed, factor),
            1.0,
            1000.0,
            "the same of a thousand times the cost",
            "python -m real_models bench --json speed.json",
            Verdict.HOLDS,
        ),
        measured(
            "M2.single_edits",
            "P11",
            f"of single edits as many take with NAS as without, to within {LOST:g} points either way (exact match, "
            "mean over the editors of which one in ten takes), on both worlds' unedited models",
            lambda shift: scores.single_edits(singles, PAIRS, shift),
            0.0,
            2 * LOST,
            f"the same where {2 * LOST:g} points fewer take with NAS than did",
            command,
        ),
        measured(
            "M2.ability",
            "P12",
            "at the stream's end the next-token agreement with the unedited model on held-out text is higher with NAS, "
            "on average over the editors, in both worlds",
            lambda pairs: scores.ability(worlds, pairs),
            PAIRS,
            swapped(PAIRS),
            "it is higher without NAS",
            command,
        ),
        measured(
            "M2.pilots",
            "P13",
            "100 pilots are enough: an anchor wrong by two of its standard errors moves MEMIT's and AlphaEdit's mean "
            f"scores by less than {LOST:g} points",
            lambda factor: scores.pilots(runs["rivals"], factor),
            1.0,
            10.0,
            "so is a single pilot",
            command,
        ),
    )


def beyond(runs: Mapping[str, Comparison], command: str) -> tuple[Claim[Any], ...]:
    """What the paper does not say: forecasts, thresholds, rivals and variants."""
    streams = [run for name, run in runs.items() if not name.startswith("single-")]
    widths = [runs["width-128"], runs["width-192"], runs["world-256"], runs["world-384"]]
    rivals = runs["rivals"]
    pairs = THREE[1:]
    return (
        measured(
            "M2.forecast",
            "T6",
            "of the streams that were evaluated by then, the forecast after a fifth of the edits to collapse is right "
            f"(in sight, its interval meeting the measured CP@60) in at least {MET:.0%}, and says none in sight of at "
            f"least {CALM:.0%} of those that do not collapse after a fifth of the stream",
            lambda dealt: forecasts.after_a_fifth(streams, dealt),
            None,
            0,
            "so it is when it reads another stream's evaluations, dealt out at random",
            command,
        ),
        measured(
            "M2.forecast_early",
            "T6",
            f"the chance of a collapse that the forecast tells after {EARLY} edits is better than the share of streams "
            "that collapse (Brier skill above 0)",
            lambda dealt: forecasts.after_a_few(streams, dealt),
            None,
            0,
            "so are the same chances dealt out at random",
            command,
        ),
        measured(
            "M2.threshold",
            "T3b",
            f"the growth of AlphaEdit's norm falls to {KNEE:.0%} of its peak after a number of edits proportional to "
            f"rank(P): over widths of 128 to 384 (two shapes of model) the ratios agree within a factor of {ALIKE:g}; "
            "the share was chosen after a first record had been seen",
            lambda unit: norms.threshold(widths, unit),
            "rank_of_P",
            "n",
            "proportional to the key dimension n",
            command,
        ),
        measured(
            "M2.other_layers",
            "P7",
            "with three edited layers, of which NAS anchors the last alone, the norms of the others grow less, too "
            "(ROME, MEMIT, AlphaEdit)",
            lambda chosen: norms.other_layers(runs["layers"], chosen),
            THREE,
            swapped(THREE),
            "they grow more with NAS",
            command,
        ),
        measured(
            "M2.original",
            "beyond the paper",
            "under AlphaEdit, values solved on the unedited weights (NSE's way), without any anchor, bring at least "
            "half of what NAS gains in exact match",
            lambda other: scores.rival(runs["world-256"], rivals, "alphaedit", other),
            "alphaedit+original",
            "mose",
            "so does MOSE, whose writes keep every singular value",
            command,
        ),
        measured(
            "M2.one_sided",
            "beyond the paper",
            "an anchor that only shortens values does as well as the published one, which lengthens them, too: mean "
            f"scores at most {LOST:g} points lower (MEMIT, AlphaEdit; rescaled and exact)",
            lambda suffix: scores.variant(rivals, ("memit", "alphaedit"), suffix, low=-LOST, high=float("inf")),
            "one_sided",
            "times=0.8",
            "so does an anchor that is a fifth too short",
            command,
        ),
        measured(
            "M2.drop",
            "beyond the paper",
            f"dropping AlphaEdit's edits longer than two anchors, as released, moves no mean score by {LOST:g} points "
            "(rescaled and exact)",
            lambda suffix: scores.variant(rivals, ("alphaedit",), suffix, low=-LOST, high=LOST),
            "drop=2",
            "times=0.8",
            "nor does an anchor that is a fifth too short",
            command,
        ),
        measured(
            "M2.drift",
            "beyond the paper",
            "on a stream that takes one prompt template after another a single anchor, measured on all of them, still "
            "raises the mean exact score (MEMIT, AlphaEdit)",
            lambda chosen: scores.drifting(runs["drift"], chosen),
            pairs,
            swapped(pairs),
            "leaving it out does",
            command,
        ),
    )
