"""Trials on a Ray cluster; those of a lost node are run again elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim.config import GrowConfig
from sim.pool import attempt
from sim.trials import Result
from theory.command import Misuse


def attempt_fields(options: dict[str, Any]) -> Result | str:
    """`attempt`, from plain values."""
    return attempt(GrowConfig(**options))


def run_on_ray(
    trials: Sequence[GrowConfig], address: str, cpus: float, in_flight: int = 64
) -> Iterator[tuple[GrowConfig, Result | str]]:
    """Run trials on a Ray cluster.

    Args:
        trials: what to run.
        address: "auto", or a cluster's address.
        cpus: what a trial asks of a node.
        in_flight: trials handed out at once.

    Yields:
        Trial and outcome, as they end. A trial whose worker or node dies is run again, as often as it takes.

    Raises:
        Misuse: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise Misuse("--ray needs Ray; pip install 'norm-anchor-lab[cluster]'") from error
    try:
        ray.init(address=address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": _source_root()}})
    except ConnectionError as error:
        raise Misuse(f"--ray {address}: no cluster answers ({error}); start one with ray start --head") from error
    try:
        remote = ray.remote(num_cpus=cpus, max_retries=-1)(attempt_fields)
        waiting, running = iter(trials), {}
        while True:
            for config in waiting:
                running[remote.remote(asdict(config))] = config
                if len(running) >= in_flight:
                    break
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                outcome = ray.get(reference)
                yield running.pop(reference), outcome
    finally:
        ray.shutdown()


def _source_root() -> str:
    """Where the workers of this machine find these modules, for a source tree that is not installed."""
    return str(Path(__file__).resolve().parent.parent)
