"""`python -m real_models`: sequential edits on transformers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from real_models.config import (
    CollapseCommand,
    CompareCommand,
    EditCommand,
    ForecastCommand,
    KeysCommand,
    LayersCommand,
    SpeedCommand,
)
from theory.command import Misuse, dispatch


def edit(command: EditCommand) -> int:
    """Run or resume a stream of edits and print what it measured."""
    from real_models.report import print_summary
    from real_models.run import run_edits
    from theory.progress import progress_bar

    quiet_transformers()
    summary = run_edits(command.run, command.out, progress_bar)
    print_summary(summary, command.out)
    return 0 if summary["status"] == "finished" else 1


def compare(command: CompareCommand) -> int:
    """Run or resume a comparison and print where each editor collapses."""
    from real_models.compare import run_comparison
    from real_models.report import print_comparison
    from theory.progress import progress_bar

    quiet_transformers()
    run_comparison(command.compare, command.out, progress_bar)
    print_comparison(command.out)
    return 0


def collapse(command: CollapseCommand) -> int:
    """Run what is missing of the collapse experiment and print every comparison."""
    from real_models.collapse.experiment import chosen, comparisons, write_record
    from real_models.jobs import run_all
    from real_models.report import print_comparison

    jobs = chosen(comparisons(command.data), command.only)
    run_all(jobs, command.out)
    folders = [command.out / job.name for job in jobs]
    for job, folder in zip(jobs, folders, strict=True):
        print(f"\n{job.command()}")
        print_comparison(folder)
    if command.record is not None:
        write_record(folders, command.record)
    return 0


def forecast(command: ForecastCommand) -> int:
    """Print each stream's outlook."""
    from real_models.collapse.outlook import outlooks

    for row in outlooks(command.run, command.score):
        name = "".join(f"{row[part]} " for part in ("editor", "seed") if part in row)
        grew = f"‖W‖ {row['ratio']:.3g} times the unedited one"
        if row["rate"] == row["rate"]:
            grew += f", growing by {100 * row['rate']:.2g} % an edit"
            grew += f" [{100 * row['rate_low']:.2g}, {100 * row['rate_high']:.2g}]"
        print(f"{name}at {row['edits']} edits: {row['outlook']}; {grew}")
    return 0


def layers(command: LayersCommand) -> int:
    """Measure and print every layer's single-edit efficacy and specificity."""
    from real_models.bench import set_up
    from real_models.layers import by_layer, measure_layers
    from sim.results import claim_folder, read_json
    from sim.resume import finish
    from theory.progress import progress_bar

    quiet_transformers()
    if not (claim_folder(command.out, command.measure) and (command.out / "summary.json").exists()):
        rows, layer = measure_layers(set_up(command.measure.run), progress_bar)
        table = by_layer([row for row in rows if not row["fresh"]])
        summary = {"status": "finished", "layer": layer, "seed": command.measure.run.seed}
        finish(command.out, {**summary, "single_edits": table}, {"rows": rows})
    summary = read_json(command.out / "summary.json")
    for layer, means in summary["single_edits"].items():
        print(
            f"layer {layer}: efficacy {means['efficacy']:5.1f} %, specificity by exact match "
            f"{means['specificity_exact']:5.1f} % over {means['edits']} single edits"
            f"{'  <- best' if int(layer) == summary['layer'] else ''}"
        )
    return 0


def keys(command: KeysCommand) -> int:
    """Read and write the keys of a stream."""
    from real_models.bench import set_up
    from real_models.keys import FILE, stream_keys, write_keys
    from sim.results import claim_folder, read_json
    from sim.resume import finish
    from theory.progress import progress_bar

    config = command.read.run
    if not config.layers:
        raise Misuse("keys are read at one layer; name it with --layers, such as --layers 5")
    quiet_transformers()
    bench = set_up(config)
    layer = bench.adapter.check_layer(config.layers[-1])
    if not (claim_folder(command.out, command.read) and (command.out / "summary.json").exists()):
        found = stream_keys(bench, layer, progress_bar)
        write_keys(found, bench.adapter.weight(layer), command.out / FILE)
        facts = {"keys": found.shape[0], "n": found.shape[1], "layer": layer, "seed": config.seed}
        finish(command.out, {"status": "finished", **facts}, {})
    summary = read_json(command.out / "summary.json")
    print(f"{summary['keys']} keys of dimension {summary['n']} at layer {summary['layer']}: {command.out / FILE}")
    return 0


def bench(command: SpeedCommand) -> int:
    """Race the fast path against the textbook's."""
    from real_models.speed import measure
    from sim.results import provenance
    from theory.files import write_json
    from theory.progress import progress_bar

    quiet_transformers()
    rows = measure(command.race, progress_bar)
    for row in rows:
        print(
            f"{row['rule']}: {row['textbook_s']:.2f} s an edit by the textbook, {row['fast_s']:.2f} s here, "
            f"{row['ratio']:.1f} times as fast, results {row['max_rel_diff']:.1e} apart; NAS adds "
            f"{100 * row['anchor_overhead']:.2f} %; peak {row['peak_mib']:.0f} MiB; of an edit the value solve takes "
            f"{row['solve_s']:.2f} s, keys {row['look_s']:.2f} s, writes {row['write_s']:.2f} s"
        )
    if command.json is not None:
        write_json(command.json, {"rows": rows, "config": asdict(command.race), "provenance": provenance()})
    return 0


def quiet_transformers() -> None:
    """Leave the terminal to this command: no loading bars, no advice about attention masks."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def main() -> int:
    """The room's command line."""
    commands: dict[str, tuple[type, Callable[[Any], int]]] = {
        "edit": (EditCommand, edit),
        "compare": (CompareCommand, compare),
        "collapse": (CollapseCommand, collapse),
        "forecast": (ForecastCommand, forecast),
        "layers": (LayersCommand, layers),
        "keys": (KeysCommand, keys),
        "bench": (SpeedCommand, bench),
    }
    return dispatch("python -m real_models", "Sequential edits on transformers.", commands)


if __name__ == "__main__":
    sys.exit(main())
