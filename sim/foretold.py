"""Theory's growth rate for an editor that has a metric form, from the form alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Generator

from sim.editor import Editor, identity
from sim.metric import Euclidean
from sim.settings import Setting, make_world
from theory.growth.growth_operator import radius
from theory.growth.key_laws import sample_keys
from theory.growth.lyapunov import typical_exponent

SAMPLE = 4000


def foretold_rate(rule: Editor, setting: Setting) -> tuple[float, str] | None:
    """The rate of log ‖W‖² an edit, where the metric stays and values are a shift relative to the read-out.

        log(1 + c²ρ),  ρ the radius of E[η² (ŷŷᵀ) ⊗ (ŷŷᵀ)]          (T3: of the mean, which bounds the typical rate)

    Args:
        rule: the editor.
        setting: the world.

    Returns:
        The rate, and how it is meant: "≈" T3's second-order estimate for hard isotropic writes, "≤" the mean's rate on
        a sample of 4000 keys. None where theory is silent: no metric form, a metric that grows, value transforms,
        batches, or values that are no relative shift.
    """
    world = make_world(setting, Generator().manual_seed(0))
    relative = setting.values in ("across", "any") and setting.keys != "unseen" and setting.batch == 1
    relative = relative and not setting.original
    if rule.form is None or rule.form.accumulates or not relative or rule.values is not identity():
        return None
    keys = world.keys(world.weight.double(), SAMPLE, Generator().manual_seed(1))
    metric = rule.metric(rule.init(world.weight))
    raised = metric.times(keys.to(world.weight.dtype)).double()
    sizes = (keys * raised).sum(0)
    written = torch.stack([rule.form.gain(s.view(1, 1))[0, 0] * s for s in sizes])
    hard, most = bool((written - 1).abs().max() < 1e-6), max(float(written.abs().max()), 1.0)
    if hard and isinstance(metric, Euclidean) and setting.keys == "isotropic" and setting.values == "across":
        return typical_exponent(setting.m, setting.n, setting.clamp), "≈"
    statistic = None
    if not isinstance(metric, Euclidean):
        eye = torch.eye(setting.n, dtype=world.weight.dtype)
        statistic = torch.linalg.inv(metric.times(eye).double()).numpy()
        statistic = (statistic + statistic.T) / 2
    # E[η² …] is linear in η²: shares beyond 1, as of a gradient step that overshoots, are scaled into (0, 1].
    law = sample_keys(keys.numpy(), statistic, (written.abs() / most).clamp_min(1e-300).numpy())
    return math.log1p((setting.clamp * most) ** 2 * float(np.asarray(radius(law).value))), "≤"
