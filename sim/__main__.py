"""`python -m sim`: grow one experiment, or sweep the growth rate over a grid."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

from sim.config import ConfrontCommand, GrowCommand, GrowConfig, PhaseCommand, cells, check, check_phase
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
    from sim.results import claim_folder, finish

    config, begun = command.run, time.monotonic()
    check_device(config.device)
    claim_folder(command.out, config)
    paths = run_seeds(config, progress_bar(range(config.seeds), f"seeds of {config.edits} edits"))
    table = measure_quantities(config, paths)
    broken = len(paths) - len(finite_paths(paths))
    summary = {
        "quantities": [{name: only_finite(value) for name, value in asdict(row).items()} for row in table],
        "seeds_not_finite": broken,
        "seed": config.seed,
        "dtype": config.dtype,
        "device": config.device,
        "seconds": round(time.monotonic() - begun, 3),
    }
    rows = {"rows": step_table(config, paths), "seeds": seed_table(config, paths)}
    finish(command.out, summary, {name: records(frame) for name, frame in rows.items()})
    render(config, table, broken)
    return 0


def only_finite(value: object) -> object:
    """The value, or None for a number that JSON has no name for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    from sim.results import claim_folder, finish
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


def main(args: list[str] | None = None) -> int:
    """Run `python -m sim`."""
    return dispatch(
        "python -m sim",
        "Linear associative memories under the field's update rules.",
        {"grow": (GrowCommand, grow), "phase": (PhaseCommand, phase), "confront": (ConfrontCommand, confront)},
        args,
    )


if __name__ == "__main__":
    sys.exit(main())
