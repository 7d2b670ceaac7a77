"""Work over local processes; a worker that dies takes no trial with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import TypeVar

from sim.config import GrowConfig
from sim.trials import Result, run_trial
from theory.command import Misuse

RESTARTS = 3
ENGINE = ["sim.certificate", "sim.montecarlo"]
"""What a worker needs, and what takes long to load: torch and all that writes."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def attempt(config: GrowConfig) -> Result | str:
    """The trial's result, or what it raised, in words: one failing trial does not stop a sweep."""
    try:
        return run_trial(config)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def run_here(trials: Sequence[GrowConfig]) -> Iterator[tuple[GrowConfig, Result | str]]:
    """Run trials in turn in this process."""
    for config in trials:
        yield config, attempt(config)


def run_locally(trials: Sequence[GrowConfig], workers: int) -> Iterator[tuple[GrowConfig, Result | str]]:
    """Run trials over processes; those of a dead worker are run again.

    Args:
        trials: what to run.
        workers: processes.

    Yields:
        Trial and outcome, as they end.

    Raises:
        Misuse: the processes died three times in a row without ending one trial.
    """
    left, deaths = dict.fromkeys(trials), 0
    while left:
        try:
            for config, outcome in _one_pool(list(left), workers):
                del left[config]
                deaths = 0
                yield config, outcome
        except BrokenProcessPool as error:
            deaths += 1
            if deaths == RESTARTS:
                raise Misuse(
                    f"worker processes died {RESTARTS} times in a row, the last with {len(left)} trials left; "
                    "use fewer --workers if memory ran out"
                ) from error


def processes() -> BaseContext:
    """How workers come to be: on Linux forked from one process that has loaded the engine, elsewhere each loads it."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(ENGINE)
    return context


def follow_parent() -> None:
    """In a worker: leave Ctrl-C to the parent, which hands out no more, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def over_processes(function: Callable[[Item], Answer], items: Sequence[Item], workers: int) -> Iterator[Answer]:
    """Map over processes of one thread each, in order; leaving early ends them at once.

    Args:
        function: picklable.
        items: picklable.
        workers: processes.

    Yields:
        The answers, in the items' order.

    Raises:
        Misuse: a process died.
    """
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, processes(), initializer=begin_alone) as pool:
        try:
            for running in [pool.submit(function, item) for item in items]:
                yield running.result()
        except BrokenProcessPool as error:
            raise Misuse("a worker process died; use fewer --workers if memory ran out") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise


def begin_alone() -> None:
    """In a worker: one thread, and no life beyond the parent's."""
    import torch

    torch.set_num_threads(1)
    follow_parent()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run on one thread, as small matrices are fastest; the caller's number comes back.

    >>> import torch
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_pool(trials: list[GrowConfig], workers: int) -> Iterator[tuple[GrowConfig, Result | str]]:
    """Run trials in one pool, with no more handed out than keep its workers busy."""
    waiting = iter(trials)
    with ProcessPoolExecutor(workers, processes(), initializer=follow_parent) as pool:
        running: dict[Future, GrowConfig] = {}
        try:
            while True:
                for config in waiting:
                    running[pool.submit(attempt, config)] = config
                    if len(running) >= 4 * workers:
                        break
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    outcome = done.result()
                    yield running.pop(done), outcome
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
