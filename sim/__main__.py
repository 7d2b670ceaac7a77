"""`python -m sim`: grow one experiment, or sweep the growth rate over a grid."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

from sim.bench_config import BenchConfig, ScalingCommand, check_bench, check_scaling
from sim.certify_commands import certify, rules
from sim.certify_config import CertifyCommand, RulesCommand
from sim.config import (
    ConfrontCommand,
    GrowCommand,
    GrowConfig,
    PhaseCommand,
    StreamCommand,
    cells,
    check,
    check_phase,
    check_stream,
)
from sim.spec import SweepConfig
from theory.command import Misuse, dispatch
from theory.progress import progress_bar

if TYPE_CHECKING:
    from pandas import DataFrame

    from sim.quantities import Quantity


def render(config: GrowConfig, table: list[Quantity], broken: int) -> None:
    """Print an experiment's table."""
    from rich.console import Console
    from rich.table import Table

    title = f"{config.rule}, {'with' if config.anchor else 'without'} NAS: m = {config.m}, n = {config.n}"
    warning = f"\nWARNING: {broken} of {config.seeds} seeds overflowed and are left out" if broken else ""
    columns = Table(title=title + warning)
    columns.add_column("quantity")
    for heading in ("predicted", "measured", f"{100 * config.confidence:.6g} % interval over seeds"):
        columns.add_column(heading, justify="right")
    for row in table:
        predicted = "—" if row.predicted is None else f"{row.relation} {row.predicted:.6g}"
        interval = "" if row.low is None or row.high is None else f"[{row.low:.6g}, {row.high:.6g}]"
        columns.add_row(row.name, predicted, f"{row.measured:.6g}", interval)
    console = Console()
    console.print(columns)
    if broken:
        console.print(
            f"{broken} of {config.seeds} seeds left the range of {config.dtype} and are not in the intervals: the rest "
            "are survivors, and their growth is biased down. Use fewer edits or a smaller clamp."
        )


def grow(command: GrowCommand) -> int:
    """Run one experiment, print its table and write its folder."""
    check(command.run)
    from dataclasses import asdict

    from sim.montecarlo import finite_paths, run_seeds
    from sim.quantities import measure_quantities, seed_table, step_table
    from sim.results import claim_folder, only_finite
    from sim.resume import finish

    config, begun = command.run, time.monotonic()
    check_device(config.device)
    claim_folder(command.out, config)
    paths = run_seeds(config, progress_bar(range(config.seeds), f"seeds of {config.edits} edits"))
    table = measure_quantities(config, paths)
    broken = len(paths) - len(finite_paths(paths))
    summary = {
        "quantities": [{name: only_finite(value) for name, value in asdict(row).items()} for row in table],
        "seeds_not_finite": broken,
        "step_by_step": paths[0].stepwise,
        "seed": config.seed,
        "dtype": config.dtype,
        "device": config.device,
        "seconds": round(time.monotonic() - begun, 3),
    }
    rows = {"rows": step_table(config, paths), "seeds": seed_table(config, paths)}
    finish(command.out, summary, {name: records(frame) for name, frame in rows.items()})
    render(config, table, broken)
    if paths[0].stepwise is not None:
        print(f"step by step, not in blocks of {config.block}: {paths[0].stepwise}")
    return 0


def records(frame: DataFrame) -> list[dict[str, object]]:
    """A table as rows."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def check_device(device: str) -> None:
    """Raise Misuse unless torch can place a tensor there."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise Misuse(f"--device {device} is not available here; use cpu or a device that torch lists") from error


def phase(command: PhaseCommand) -> int:
    """Sweep the grid and write one row a cell."""
    check_phase(command.run)
    from sim.montecarlo import mean_factors, run_seeds, student_interval
    from sim.results import claim_folder
    from sim.resume import finish
    from theory.growth.isotropic import mean_growth

    config, begun, grid = command.run, time.monotonic(), cells(command.run)
    claim_folder(command.out, config)
    rows = []
    for cell in progress_bar(grid, f"cells of {config.seeds} x {config.edits} edits"):
        mean, low, high = student_interval(mean_factors(run_seeds(cell)), cell.confidence)
        predicted = mean_growth(cell.n, cell.clamp)
        rows.append(
            {"clamp": cell.clamp, "n": cell.n, "measured": mean, "low": low, "high": high, "predicted": predicted}
        )
    summary = {"seed": config.seed, "dtype": "float64", "device": "cpu", "seconds": round(time.monotonic() - begun, 3)}
    finish(command.out, summary, {"rows": rows})
    covered = sum(row["low"] <= row["predicted"] <= row["high"] for row in rows)
    print(f"{len(rows)} cells; the interval covers 1 + c²/n in {covered} of them: {command.out / 'rows.parquet'}")
    return 0


def confront(command: ConfrontCommand) -> int:
    """Print every setting of the chosen confrontations, and write their rows."""
    if command.seeds < 8:
        raise Misuse(f"--seeds is {command.seeds}; an interval needs at least 8, such as 16")
    from sim.confront.catalogue import chosen
    from theory.files import check_place, write_json
    from theory.row import examined, plain

    check_place(command.json)
    rows = [examined(claim) for claim in progress_bar(chosen(command.names, command.seeds), "confrontations")]
    for row in rows:
        print(f"{row.id} {row.verdict} (source {row.source})\n{row.statement}")
        print(*(f"  {line}" for line in row.steps), sep="\n")
        print(f"  Twin, {'rejected' if row.twin_rejected else 'ACCEPTED'}: {row.twin}\n")
    if command.json:
        write_json(command.json, [plain(row) for row in rows])
        print(f"wrote {command.json}")
    return 0 if all(row.twin_rejected for row in rows) else 1


def sweep(config: SweepConfig) -> int:
    """Run what is missing of a sweep; exit status 1 where trials failed."""
    from sim.spec import read_sweep
    from sim.sweep import check_sweep, run_sweep
    from theory.progress import counter

    check_sweep(config)
    plan = read_sweep(config.spec)
    number = len(plan.cells()) * plan.seeds
    with counter(number, "trials") as advanced:
        try:
            outcome = run_sweep(config, plan, advanced)
        except KeyboardInterrupt:
            print(f"stopped; finished trials are kept, the same command goes on in {config.out}", file=sys.stderr)
            raise
    for failure in outcome.failures:
        print(f"failed: {failure}", file=sys.stderr)
    print(f"{outcome.done} of {number} trials, {outcome.ran} run now: {config.out / 'rows.parquet'}")
    return 1 if outcome.failures else 0


def stream(command: StreamCommand) -> int:
    """Run one long stream, from where its folder left off."""
    check_stream(command.run)
    config = command.run
    from sim.longrun import run_long
    from theory.progress import counter

    check_device(config.device)
    with counter(math.ceil(config.steps / config.block), f"blocks of {config.block * config.batch} edits") as advanced:
        try:
            summary = run_long(config, command.out, advanced)
        except KeyboardInterrupt:
            print(f"stopped; the same command goes on from the last state in {command.out}", file=sys.stderr)
            raise
    norm = "left the range of its dtype" if summary["weight_norm"] is None else f"ended at {summary['weight_norm']:.6g}"
    first = summary["columns"]["weight_norm"]["mean"]
    print(f"{summary['steps']} writes; ‖W‖ {norm} (mean along the stream {first:.6g}): {command.out / 'rows.parquet'}")
    return 0


def render_bench(config: BenchConfig, rows: list[dict[str, object]]) -> None:
    """Print the benchmark's table, in milliseconds an edit."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    heads = {
        "rule": "rule", "dtype": "dtype",
        "textbook_ms": "textbook ms", "step_ms": "step ms", "blocked_ms": "blocked ms",
        "ratio": "ratio", "matmul_fraction": "matmul", "peak_mib": "MiB", "max_rel_diff": "diff",
    }  # fmt: skip
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1),
        title=f"an edit at m = {config.m}, n = {config.n}, block {config.block}, {rows[0]['device']}",
    )
    for head in heads.values():
        table.add_column(head, justify="left" if head in ("rule", "dtype") else "right", no_wrap=True)
    for row in rows:
        values = [row[name] for name in heads]
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value or "—") for value in values))
    Console(width=110).print(table)


def bench(config: BenchConfig) -> int:
    """Print one row a rule and dtype, each measured in a process of its own."""
    check_bench(config)
    import multiprocessing

    from sim.bench import bench_row
    from sim.results import provenance
    from theory.files import check_place, write_json

    check_place(config.json)
    check_device(config.device)
    pairs = [(name, dtype) for name in config.rules for dtype in config.dtypes]
    rows = []
    for name, dtype in progress_bar(pairs, f"rules at {config.m} x {config.n}"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(bench_row, (config, name, dtype)))
    render_bench(config, rows)
    if config.json:
        write_json(config.json, [row | provenance() for row in rows])
        print(f"wrote {config.json}")
    return 0


def scaling(command: ScalingCommand) -> int:
    """Time every setting, print the exponents and write the rows."""
    check_scaling(command.run)
    config = command.run
    from sim.results import claim_folder
    from sim.resume import finish
    from sim.scaling import exponents, settings, time_setting

    check_device(config.device)
    claim_folder(command.out, config)
    pairs = [(rule, setting) for rule in config.rules for setting in settings(config)]
    rows = [row for pair in progress_bar(pairs, "settings") for row in time_setting(config, *pair)]
    found = exponents(rows)
    finish(command.out, {"seed": config.seed, "exponents": [one._asdict() for one in found]}, {"rows": rows})
    for one in found:
        mean, low, high = one.slope
        print(f"{one.rule}: time an edit ~ {one.axis}^{mean:.2f} [{low:.2f}, {high:.2f}], {one.low} to {one.high}")
    print(f"{len(rows)} timings: {command.out / 'rows.parquet'}")
    return 0


def main(args: list[str] | None = None) -> int:
    """Run `python -m sim`."""
    return dispatch(
        "python -m sim",
        "Linear associative memories under the field's update rules.",
        {
            "grow": (GrowCommand, grow),
            "phase": (PhaseCommand, phase),
            "confront": (ConfrontCommand, confront),
            "rules": (RulesCommand, rules),
            "certify": (CertifyCommand, certify),
            "bench": (BenchConfig, bench),
            "scaling": (ScalingCommand, scaling),
            "stream": (StreamCommand, stream),
            "sweep": (SweepConfig, sweep),
        },
        args,
    )


if __name__ == "__main__":
    sys.exit(main())
