"""Hypothesis profiles (`HYPOTHESIS_PROFILE=ci` is derandomised; `dev` is quick), and one thread a process.

Tests work on small matrices, which a second thread only slows down, and `pytest -n` has a process for every core.
"""

from __future__ import annotations

import os

import torch
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=25, **CALM)
settings.register_profile("default", max_examples=50, **CALM)
settings.register_profile("ci", max_examples=100, derandomize=True, **CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
