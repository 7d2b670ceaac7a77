"""A sweep: missing trials are run, here or on a cluster, and the results file is the same however they were run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sim.config import GrowConfig
from sim.pool import run_here, run_locally
from sim.results import claim_folder, provenance, write_table
from sim.spec import Sweep, SweepConfig
from sim.trials import Result, Store
from theory.command import Misuse
from theory.files import write_json


class Outcome(NamedTuple):
    """What a sweep came to.

    Attributes:
        done: trials with a result.
        ran: how many of them were run now and ended.
        failures: trials that raised, with what they raised.
    """

    done: int
    ran: int
    failures: tuple[dict[str, Any], ...]


def run_sweep(config: SweepConfig, sweep: Sweep, advanced: Callable[[], None] = lambda: None) -> Outcome:
    """Run what is missing of a sweep and write its results.

    Args:
        config: where and how.
        sweep: what.
        advanced: called for every trial that is done, also for those that had been done before.

    Returns:
        What it came to. `rows.parquet` holds one row a finished trial in the sweep's order, `summary.json` the rest;
        a trial that raised has no row, stands in the summary, and is tried again by the next run.

    Raises:
        Misuse: the folder holds another sweep, a stored trial is broken, or the workers cannot be had.
    """
    claim_folder(config.out, sweep)
    begun, store, trials = time.monotonic(), Store(config.out / "trials"), sweep.trials()
    results: dict[GrowConfig, Result] = {}
    for trial in trials:
        found = store.find(trial)
        if found is not None:
            results[trial] = found
            advanced()
    missing = [trial for trial in trials if trial not in results]
    failures = []
    for trial, outcome in _running(config, missing):
        if isinstance(outcome, str):
            failures.append({"seed": trial.seed, **sweep.varied(trial), "error": outcome})
        else:
            store.keep(trial, outcome)
            results[trial] = outcome
        advanced()
    if not results:
        raise Misuse(f"all {len(failures)} trials failed, the first with {failures[0]['error']}; mend the sweep")
    rows = [
        {"trial": index, **sweep.varied(trial), **results[trial]}
        for index, trial in enumerate(trials)
        if trial in results
    ]
    ran = len(missing) - len(failures)
    write_table(config.out / "rows.parquet", rows)
    failures.sort(key=lambda failure: failure["seed"])
    summary = {"trials": len(trials), "done": len(rows), "ran": ran, "failures": failures}
    seconds = {"seconds": round(time.monotonic() - begun, 3)}
    write_json(config.out / "summary.json", summary | seconds | {"provenance": provenance()})
    return Outcome(len(rows), ran, tuple(failures))


def _running(config: SweepConfig, missing: Sequence[GrowConfig]) -> Iterator[tuple[GrowConfig, Result | str]]:
    if config.ray is not None and missing:
        from sim.cluster import run_on_ray

        return run_on_ray(missing, config.ray, config.cpus_per_trial)
    if config.workers == 1 or not missing:
        return run_here(missing)
    return run_locally(missing, config.workers)


def check_sweep(config: SweepConfig) -> None:
    """Raise Misuse unless the sweep's options can be used."""
    if config.workers < 1:
        raise Misuse(f"--workers is {config.workers}; give at least 1")
    if not config.cpus_per_trial > 0:
        raise Misuse(f"--cpus-per-trial is {config.cpus_per_trial}; it must be positive, such as 1")
    if config.out.exists() and not config.out.is_dir():
        raise Misuse(f"--out {config.out} is a file; choose a folder")
