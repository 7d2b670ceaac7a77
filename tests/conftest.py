"""Hypothesis profiles (`HYPOTHESIS_PROFILE=ci` is derandomised; `dev` is quick), and what makes tests quick.

One thread a process: tests work on small matrices, which a second thread only slows down, and `pytest -n` has a process
for every core. Files with slow tests go first, so that no process is left alone with one. Slow tests write thousands of
times; they run without the checks of shapes and types at every call, which all other tests make. Commands that are
killed and begun again come from a process that has loaded torch (`begin`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=25, **CALM)
settings.register_profile("default", max_examples=50, **CALM)
settings.register_profile("ci", max_examples=100, derandomize=True, **CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def slow(item: pytest.Item) -> bool:
    """Whether a test is marked so."""
    return item.get_closest_marker("slow") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files with slow tests to the front."""
    first = {item.path for item in items if slow(item)}
    items.sort(key=lambda item: item.path not in first)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Check shapes and types at every call, but in slow tests."""
    jaxtyping.config.update("jaxtyping_disable", slow(item))
    try:
        return (yield)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


class Begun:
    """A command in a process of its own.

    Args:
        ask: hands a job to the server and returns its answer.
        job: room, words, log and environment.
    """

    def __init__(self, ask: Callable[[dict[str, Any]], int], job: dict[str, Any]) -> None:
        self.ask, self.pid = ask, ask(job)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status, minus the signal that ended it."""
        return self.ask({"wait": self.pid})


@pytest.fixture(scope="session")
def begin() -> Generator[Callable[[str, Sequence[str], Path], Begun], None, None]:
    """Begin what `python -m ROOM WORDS` does, with its output in a file."""
    script = Path(__file__).parent / "processes" / "server.py"
    line = [sys.executable, str(script)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        asked, answers = server.stdin, server.stdout
        assert asked is not None
        assert answers is not None

        def ask(job: dict[str, Any]) -> int:
            print(json.dumps(job), file=asked, flush=True)
            return int(answers.readline())

        def begin_one(room: str, words: Sequence[str], log: Path) -> Begun:
            job = {"room": room, "words": list(words), "log": str(log), "environment": dict(os.environ)}
            return Begun(ask, job)

        yield begin_one
