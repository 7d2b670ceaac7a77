"""Hypothesis profiles (`HYPOTHESIS_PROFILE=ci` is derandomised; `dev` is quick), and what makes tests quick.

One thread a process: tests work on small matrices, which a second thread only slows down, and `pytest -n` has a process
for every core. Files with slow tests go first, so that no process is left alone with one. Slow tests write thousands of
times; they run without the checks of shapes and types at every call, which all other tests make.
"""

from __future__ import annotations

import os
from collections.abc import Generator

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
