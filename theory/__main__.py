"""`python -m theory`: decide every claim, print or typeset proofs, predict growth from a sample of keys."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from theory.command import dispatch
from theory.mutating.sample import Sample

if TYPE_CHECKING:
    from theory.growth.value_models import ValueModel
    from theory.provers.step import Step


@dataclass(frozen=True)
class Check:
    """Decide claims and reject their planted twins; exit status 1 if a twin is accepted."""

    only: tuple[str, ...] = ()
    """ids ("T1.rome") or families ("T1"); all without it"""
    json: Path | None = None
    """also write the rows as JSON, in the format of claims.json"""


@dataclass(frozen=True)
class Show:
    """Print proofs line by line, and what the same check makes of the planted false twin."""

    name: tyro.conf.Positional[str]
    """an id ("T1.rome") or a family ("T1")"""
    latex: Path | None = None
    """write the derivations as a compilable appendix instead of printing them"""


@dataclass(frozen=True)
class Predict:
    """Foretell what a rule will do to the norm, from a sample of its keys."""

    rule: str
    """the rule, such as rome, memit or alphaedit; an unknown name lists them"""
    keys: Path
    """safetensors file with `keys` (N, n), one key a row"""
    clamp: float = 0.75
    """c = ‖δ‖/‖Wk‖ of a shift δ that is orthogonal to Wk on average"""
    alpha: float | None = None
    """instead: E‖v‖²/‖Wk‖² of the solved values"""
    cosine: float = 0.0
    """with --alpha: E[v·Wk]/(‖v‖‖Wk‖)"""
    values: Path | None = None
    """instead: safetensors file with measured `readouts` and `values` (N, m), to which a value model is fitted"""
    covariance: Path | None = None
    """safetensors file with `covariance` (n, n), the rule's C; without it C = I"""
    weighting: float = 1.0
    """MEMIT's λ"""
    ridge: float = 10.0
    """L2 of the rules that accumulate keys"""
    layers_left: int = 1
    """over how many layers the residual is spread"""
    confidence: float = 0.95
    """of each side of the intervals"""
    json: Path | None = None
    """also write the forecast as JSON"""


@dataclass(frozen=True)
class Mutate:
    """Plant faults in the formulas of theory and see whether a claim notices; exit status 1 for one unexplained."""

    sample: Annotated[Sample, tyro.conf.arg(name="")] = field(default_factory=Sample)
    """Which mutants."""
    json: Path | None = None
    """also write one row a mutant as JSON"""


def check(config: Check) -> int:
    """Print one row a claim: id, kind, verdict, whether its twin was rejected, statement."""
    # Imported here, so that --help does not wait for sympy and z3.
    from rich.console import Console
    from rich.table import Table

    from theory.catalogue import select
    from theory.files import check_place, write_json
    from theory.progress import progress_bar
    from theory.row import examined, plain

    check_place(config.json)
    rows = [examined(claim) for claim in progress_bar(select(config.only), "claims")]
    table = Table("id", "kind", "verdict", "twin rejected", "statement")
    for row in rows:
        table.add_row(row.id, row.kind, row.verdict, "yes" if row.twin_rejected else "NO", row.statement)
    console = Console(markup=False, highlight=False)
    console.print(table)
    accepted = [row.id for row in rows if not row.twin_rejected]
    slowest = max(rows, key=lambda row: row.seconds)
    console.print(f"{len(rows)} claims checked, {len(rows) - len(accepted)} twins rejected")
    console.print(f"{sum(row.seconds for row in rows):.1f} s, the slowest {slowest.id} with {slowest.seconds:.1f} s")
    if config.json:
        write_json(config.json, [plain(row) for row in rows])
        console.print(f"wrote {config.json}")
    return 1 if accepted else 0


def show(config: Show) -> int:
    """Print each selected claim, its derivation, and the step at which the twin fails; or typeset them all."""
    from theory.catalogue import select
    from theory.files import check_place, write_text
    from theory.latex import document

    check_place(config.latex)
    chosen = select((config.name,))
    decided = [(claim, claim.check(claim.subject), claim.check(claim.twin)) for claim in chosen]
    if config.latex:
        write_text(config.latex, document(decided))
        print(f"wrote {len(decided)} derivations to {config.latex}; pdflatex compiles it")
    else:
        for claim, evidence, twin in decided:
            verdict = claim.verdict if evidence.established else "false as stated: the proof fails"
            print(f"{claim.id} [{claim.kind}] {verdict} (source {claim.source})\n{claim.statement}")
            for step in evidence.proof:
                print(*(f"  {line}" for line in marked(step)), sep="\n")
            print(f"  Twin: {claim.twin_statement}.")
            failing = [line.strip() for line in twin.steps if line.endswith("rejected")]
            print(*(f"    {line}" for line in failing), sep="\n", end="\n\n")
    return 1 if any(twin.established for _, _, twin in decided) else 0


def predict(config: Predict) -> int:
    """Print the forecast, or write it."""
    from theory.files import check_place, write_json
    from theory.forecast import Rule, forecast, read_tensors
    from theory.forecast_report import as_json, lines
    from theory.writes.rules import metric_form

    check_place(config.json)
    metric_form(config.rule)
    covariance = None if config.covariance is None else read_tensors(config.covariance, "covariance")
    rule = Rule(config.rule, config.weighting, config.ridge, config.layers_left)
    found = forecast(read_tensors(config.keys, "keys"), rule, value_model(config), covariance, config.confidence)
    print(*lines(found, config.confidence), sep="\n")
    if config.json:
        write_json(config.json, as_json(found))
        print(f"wrote {config.json}")
    return 0


def value_model(config: Predict) -> ValueModel:
    """The value model that the options name."""
    from theory.command import Misuse
    from theory.forecast import read_tensors
    from theory.growth.value_fit import fit_values
    from theory.growth.value_models import proportional, relative_shift

    if config.values is not None and config.alpha is not None:
        raise Misuse(f"--alpha {config.alpha} and --values {config.values} each name a value model; leave one out")
    if config.values is not None:
        readouts, values = (read_tensors(config.values, name) for name in ("readouts", "values"))
        return fit_values(readouts.T, values.T).model
    return relative_shift(config.clamp) if config.alpha is None else proportional(config.alpha, config.cosine)


def mutate(config: Mutate) -> int:
    """Print what became of every mutant, and which survivors nothing explains."""
    from dataclasses import asdict

    from theory.files import check_place, write_json
    from theory.mutating.mutation import KILLED, SURVIVED, run
    from theory.mutating.survivors import SURVIVORS
    from theory.progress import counter

    check_place(config.json)
    with counter(config.sample.count or None, "mutants") as told:
        outcomes = run(config.sample, lambda outcome: told())
    reasons = {survivor.name: survivor for survivor in SURVIVORS}
    survived = [outcome for outcome in outcomes if outcome.outcome == SURVIVED]
    for outcome in survived:
        known = reasons.get(outcome.name)
        print(f"{outcome.name}\n    {f'{known.why}: {known.reason}' if known else 'UNEXPLAINED'}")
    killed = sum(outcome.outcome == KILLED for outcome in outcomes)
    print(f"{len(outcomes)} mutants: {killed} noticed by a claim, {len(survived)} survived")
    if config.json:
        write_json(config.json, [asdict(outcome) for outcome in outcomes])
        print(f"wrote {config.json}")
    return 0 if {outcome.name for outcome in survived} <= reasons.keys() else 1


def marked(step: Step) -> tuple[str, ...]:
    """A step's lines, the last with the prover that closed it; an argument in words carries no mark."""
    *before, last = step.lines()
    return (*before, last if step.prover == "in words" else f"{last}  [{step.prover}]")


if __name__ == "__main__":
    sys.exit(
        dispatch(
            "python -m theory",
            "Prove what must be true of the norm of an edited weight.",
            {"check": (Check, check), "show": (Show, show), "predict": (Predict, predict), "mutate": (Mutate, mutate)},
        )
    )
