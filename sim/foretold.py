"""Theory's growth rate for an editor that has a metric form, from the form alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Generator

from sim.editor import Editor
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
    if rule.form is None or rule.form.accumulates or not relative or transforms_values(rule, setting):
        return None
    keys = world.keys(world.weight.double(), SAMPLE, Generator().manual_seed(1))
    metric = rule.metric(rule.init(world.weight))
    raised = metric.times(keys.to(world.weight.dtype)).double()
    sizes = (keys * raised).sum(0)
    written = torch.stack([rule.form.gain(s.view(1, 1))[0, 0] * s for s in sizes])
    hard = bool((written - 1).abs().max() < 1e-6)
    if hard and isinstance(metric, Euclidean) and setting.keys == "isotropic" and setting.values == "across":
        return typical_exponent(setting.m, setting.n, setting.clamp), "≈"
    statistic = None
    if not isinstance(metric, Euclidean):
        eye = torch.eye(setting.n, dtype=world.weight.dtype)
        statistic = torch.linalg.inv(metric.times(eye).double()).numpy()
        statistic = (statistic + statistic.T) / 2
    law = sample_keys(keys.numpy(), statistic, written.clamp(1e-300, 1).numpy())
    return math.log1p(setting.clamp**2 * float(np.asarray(radius(law).value))), "≤"


def transforms_values(rule: Editor, setting: Setting) -> bool:
    """Whether the editor's value transforms change what was solved, tried on one batch."""
    generator = Generator().manual_seed(2)
    world = make_world(setting, generator)
    edit = world.request(world.weight, 4, generator)
    after, _ = rule.values.update(edit, rule.values.init(world.weight), world.weight)
    return not torch.equal(after.values, edit.values)
