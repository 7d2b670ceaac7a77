"""The main job: run the claims of all rooms, draw the figures, write the account.

`paper-checks` proves, simulates and measures. The transformer's runs are the very commands that a user would type, each
in a process of its own, while proofs and simulations go on beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from theory.claim import Claim, Verdict
from theory.command import Misuse, guarded
from theory.files import check_folder
from theory.row import Row, examined, plain

if TYPE_CHECKING:
    from real_models.jobs import Job, Runner

ACCOUNT = Path(__file__).parent / "paper_checks.md"
RESULTS = Path(__file__).parent / "benchmarks" / "results"
"""Records of what takes too long for every run: the collapse experiment's streams, and the timings."""
COLLAPSE = "python -m real_models collapse --data counterfact.json --record benchmarks/results/collapse"


@dataclass(frozen=True)
class Options:
    """Run every claim of the account, draw the figures and print the table."""

    level: Literal["quick", "full"] = "quick"
    """quick: about 11 minutes on 2 cores; full: about 45, longer streams and eight times the seeds."""
    only: tuple[str, ...] = ()
    """Claims to run, by id ("T1.rome"), family ("T1") or letter ("T", all of theory); all without it."""
    out: Path = Path("results/paper-checks")
    """Where claims.json, runs and figures go."""
    write: bool = False
    """Rewrite paper_checks.md from this run; only with every claim."""
    report: Path | None = None
    """Also write the claims, their derivations and the figures as one HTML page, index.html, into this folder."""


def unmeasured(id: str, statement: str, why: str) -> Row:
    """A claim of the paper that nothing here decides, and why."""
    return Row(id, id, "measured", statement, Verdict.NOT_MEASURED, "", why, 0.0, None, 0.0, "", (), (), "", None)


UNMEASURED = (
    unmeasured("P8.large", "NAS delays collapse on 7B models by more than 4x", "those models, whole data sets"),
    unmeasured("P9.large", "mean editing performance of 7B models rises from 51.9 to 89.3", "those models"),
    unmeasured("P12.tasks", "GLUE-style ability survives the stream with NAS", "models that can do such tasks"),
    unmeasured("P13.large", "the anchor is the same from 100 to 2,000 pilots on 7B models", "those models"),
    unmeasured(
        "M2.gpu",
        "20,000 edits a rule with and without NAS at GPT-2-small's size; the value solve at a Llama-3-8B's shape",
        "a GPU",
    ),
)
"""What the account says it has not measured; `expected` names what measuring it would take."""


MEMORIES = {
    "phase": ("phase",),
    "grow": ("grow", "--rule", "rome"),
    "grow-plateau": ("grow", "--rule", "rome", "--anchor", "--edits", "400"),
    "grow-adversary": ("grow", "--rule", "rome", "--anchor", "--keys", "unseen", "--values", "free"),
    "certificate": ("certify", "memit", "--workers", "1"),
}
"""Runs on linear memories that figures alone are drawn from."""


def jobs(level: str) -> tuple[Any, ...]:
    """The runs behind the measured claims and the figures; the first trains the model and measures its layers."""
    from real_models.jobs import Job

    quick = level == "quick"
    edits, short = (600, 60) if quick else (1000, 400)
    every = ("--identity-every", "1", "--checkpoint-every", "100", "--eval-sample", "200" if quick else "300")
    edit = ("real_models", "edit", "--layers", "{layer}", *every, "--rule")
    anchor = ("--anchor", "--pilots", "50" if quick else "80")
    trials = ("--layer-trials", "8" if quick else "60", "--score-trials", "20" if quick else "60")
    return (
        Job("layers", ("real_models", "layers", *trials)),
        Job("keys", ("real_models", "keys", "--layers", "{layer}", "--edits", str(edits))),
        Job("rome", (*edit, "rome", "--edits", str(edits)), edits),
        Job("rome-anchored", (*edit, "rome", "--edits", str(edits), *anchor), edits),
        Job("memit", (*edit, "memit", "--edits", str(short)), short),
        Job("alphaedit", (*edit, "alphaedit", "--edits", str(short)), short),
        *(Job(name, ("sim", *words), judged=False) for name, words in MEMORIES.items()),
        Job("rules", ("sim", "rules"), file=True, judged=False),
        *(() if quick else (Job("mutants", ("theory", "mutate", "--jobs", "1"), file=True, judged=False),)),
    )


def rooms(level: Literal["quick", "full"], out: Path) -> dict[str, Callable[[], Iterable[Claim[Any]]]]:
    """What gives the claims of theory, sim and real_models, by the letter that the ids of each begin with."""

    def of_theory() -> Iterable[Claim[Any]]:
        from theory.catalogue import claims

        return claims()

    def of_memories() -> Iterable[Claim[Any]]:
        from sim.claims import claims

        return claims(level)

    def of_models() -> Iterable[Claim[Any]]:
        from real_models.claims import claims
        from real_models.collapse.claims import collapse_claims
        from real_models.collapse.record import recorded
        from real_models.finished import Run

        runs = {job.name: Run(out / "runs" / job.name, job.command()) for job in jobs(level) if job.judged}
        of_streams = collapse_claims(recorded(RESULTS / "collapse"), COLLAPSE, RESULTS / "model_editing.json")
        return (*claims(runs), *of_streams)

    return {"T": of_theory, "S": of_memories, "M": of_models}


def collect(level: Literal["quick", "full"], out: Path, only: Sequence[str] = ()) -> tuple[Claim[Any], ...]:
    """The claims of the rooms that `only` may name, all without it, in the order of the account; nothing is run."""
    given, letters = rooms(level, out), {name[:1] for name in only}
    asked = letters if letters and letters <= given.keys() else given.keys()
    return tuple(claim for letter, claims in given.items() if letter in asked for claim in claims())


def chosen(claims: Sequence[Claim[Any]], only: Sequence[str]) -> list[Claim[Any]]:
    """The claims that `only` names by id, by family or by a family's letter; all without it."""
    named = {claim.id: {claim.id, claim.id.split(".")[0], claim.id[0]} for claim in claims}
    for name in only:
        if not any(name in names for names in named.values()):
            families = ", ".join(dict.fromkeys(one.split(".")[0] for one in named))
            raise Misuse(f"--only {name} names no claim; use a family ({families}) or an id from paper_checks.md")
    return [claim for claim in claims if not only or named[claim.id] & set(only)]


def decide(claims: Sequence[Claim[Any]], out: Path, level: str) -> list[Row]:
    """Check the claims: what is measured on runs of this command (M1) when they are done, all else meanwhile."""
    import torch

    from real_models.jobs import Runner, bars

    # The runs beside us have a core each; more threads here would only spin against them.
    torch.set_num_threads(1)
    measured = [claim for claim in claims if claim.id.startswith("M1.")]
    rows: dict[str, Row] = {}
    totals = {"claims": len(claims), **{job.name: job.steps or 1 for job in jobs(level)}}
    with bars(totals) as report:
        runner = Runner(out / "runs", report)
        try:
            listed = jobs(level) if measured else ()
            first = runner.start(listed[0]) if listed else None
            begun: list[Future[Any]] = []
            report("claims", 0)
            for claim in (one for one in claims if one not in measured):
                if first and first.done() and not begun:
                    begun = begin(runner, listed[1:], first)
                rows[claim.id] = examined(claim)
                report("claims", len(rows))
            if first and not begun:
                begun = begin(runner, listed[1:], first)
            for future in begun:
                future.result()
        finally:
            runner.stop()
        for claim in measured:
            rows[claim.id] = examined(claim)
            report("claims", len(rows))
    return [rows[claim.id] for claim in claims]


def begin(runner: Runner, jobs: Sequence[Job], first: Future[dict[str, Any]]) -> list[Future[Any]]:
    """Queue the runs that come after the first, which tells the layer that some of them edit."""
    layer = first.result()["layer"]
    return [runner.start(job, layer) for job in jobs]


def print_table(rows: Sequence[Row]) -> None:
    """Print the account to the terminal, long normal forms cut short; claims.json has them whole."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from figures.findings import number

    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption="twin: whether the planted false statement was rejected")
    for heading in ("id", "kind", "verdict", "twin", "found"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        interval = "" if row.interval is None else f" [{row.interval[0]:.3g}, {row.interval[1]:.3g}]"
        rejected = {True: "yes", False: "NO", None: "-"}[row.twin_rejected]
        found = number(row.measured)
        short = found + interval if len(found) <= 26 else f"{found[:25]}…"
        table.add_row(row.id, row.kind, row.verdict, rejected, short)
    Console(markup=False, highlight=False).print(table)


def run(options: Options) -> int:
    """Check, draw, write and print; the exit status is 1 when a planted twin was accepted."""
    if options.write and options.only:
        raise Misuse("--write rewrites the whole account; leave --only out")
    if options.report:
        check_folder(options.report)
    claims = chosen(collect(options.level, options.out, options.only), options.only)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = decide(claims, options.out, options.level)
    from figures.gallery import draw_all
    from sim.results import provenance
    from theory.files import write_json, write_text

    if not options.only:
        rows += UNMEASURED
    told = [plain(row) for row in rows]
    write_json(options.out / "claims.json", told)
    write_json(options.out / "provenance.json", provenance())
    drawn = draw_all(options.out, options.out / "figures") if any(row.id.startswith("M1.") for row in rows) else []
    print_table(rows)
    accepted = [row.id for row in rows if row.twin_rejected is False]
    print(f"{len(rows)} claims, {sum(bool(row.twin_rejected) for row in rows)} planted twins rejected", end="")
    print(f", ACCEPTED: {', '.join(accepted)}" if accepted else ", none accepted")
    print(f"wrote {options.out / 'claims.json'} and {len(drawn)} figure files in {options.out / 'figures'}")
    if options.report:
        from figures.report import write_report

        print(f"wrote {write_report(options.out / 'claims.json', (options.out, RESULTS), options.report)}")
    if options.write:
        from figures.account import account
        from figures.places import find_places

        write_text(ACCOUNT, account(told, options.level, provenance(), find_places(ACCOUNT.parent)))
        print(f"rewrote {ACCOUNT.name}")
    return 1 if accepted else 0


def main() -> int:
    """The console script `paper-checks`."""
    import tyro

    options = tyro.cli(Options, prog="paper-checks")
    return guarded(lambda: run(options), "paper-checks")


if __name__ == "__main__":
    raise SystemExit(main())
