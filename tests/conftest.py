"""Hypothesis profiles: `HYPOTHESIS_PROFILE=ci` is derandomised; `dev` is quick."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=25, **CALM)
settings.register_profile("default", max_examples=50, **CALM)
settings.register_profile("ci", max_examples=100, derandomize=True, **CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
