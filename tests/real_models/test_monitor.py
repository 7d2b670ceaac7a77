"""The monitor on loops that know nothing of it: what it notes, what it foretells, and when it speaks up."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from real_models.monitor import LimitReached, NormMonitor, NormWarning, leading
from theory.command import Misuse


def drawn(m=8, n=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(n, m, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(m, n, generator=generator, dtype=torch.float64) / 4)
    return layer, generator


def rome(layer, generator, *, clamp=0.75, norm=None):
    """A loop of the user's own: v = Wk + δ across Wk, written in place, the layer called in between."""
    m, n = layer.weight.shape
    key = torch.randn(n, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        read = layer(key)
        shift = torch.randn(m, generator=generator, dtype=torch.float64)
        shift -= (shift @ read) / (read @ read) * read
        value = read + clamp * read.norm() * shift / shift.norm()
        value = value if norm is None else norm * value / value.norm()
        layer.weight += torch.outer(value - read, key) / (key @ key)
    return key, read, value


def test_every_write_is_noted_as_it_was():
    layer, generator = drawn()
    start = layer.weight.detach().clone()
    with NormMonitor(layer) as watch:
        made = [(rome(layer, generator), float(layer.weight.detach().norm())) for _ in range(5)]
    assert watch.unedited == pytest.approx(float(start.norm()))
    assert len(watch.writes) == 5
    for write, direction, ((key, read, value), norm) in zip(watch.writes, watch.directions, made, strict=True):
        size = key.norm()
        assert write.norm == pytest.approx(norm, rel=1e-12)
        assert write.rank_one == pytest.approx(1, abs=1e-12)
        assert write.readout_norm == pytest.approx(float(read.norm() / size), rel=1e-9)
        assert write.value_norm == pytest.approx(float(value.norm() / size), rel=1e-9)
        assert write.delta_norm == pytest.approx(float((value - read).norm() / size), rel=1e-9)
        assert abs(float(torch.from_numpy(direction) @ key / size)) == pytest.approx(1, abs=1e-9)


def test_the_growth_operator_foretells_the_mean_and_a_wrong_value_model_does_not():
    """T3 for isotropic keys and hard writes: log(1 + c²/n)/2 a write; the twin takes the shift twice as long."""
    n, told, seen = 16, [], []
    for seed in range(12):
        layer, generator = drawn(seed=seed)
        with NormMonitor(layer) as watch:
            for _ in range(300):
                rome(layer, generator)
        outlook = watch.outlook()
        told.append(outlook.foretold)
        seen.append(math.log(watch.writes[-1].norm / watch.unedited) / 300)
    exact = math.log1p(0.75**2 / n) / 2
    assert np.mean(told) == pytest.approx(exact, rel=0.1)
    assert np.mean(seen) == pytest.approx(exact, rel=0.1)
    assert np.mean(told) != pytest.approx(math.log1p(1.5**2 / n) / 2, rel=0.5)


def test_under_an_anchor_no_limit_is_in_sight_and_without_one_it_is():
    ends = {}
    for norm in (None, 2.0):
        layer, generator = drawn()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NormWarning)
            with NormMonitor(layer, limit=1e6) as watch:
                for _ in range(400):
                    rome(layer, generator, norm=norm)
        ends[norm] = watch.outlook()
    grown, anchored = ends[None].left, ends[2.0].left
    assert anchored[1] == math.inf
    assert 0 < grown[0] < grown[1] < math.inf
    rate = math.log1p(0.75**2 / 16) / 2
    assert grown[0] < (math.log(1e6) - math.log(ends[None].ratio)) / rate < grown[1]
    assert "the limit in" in str(ends[None])


def edits(layer, generator, watch, most):
    """Up to so many writes under a monitor."""
    with watch:
        for _ in range(most):
            rome(layer, generator)


def test_past_the_limit_it_warns_once_or_stops():
    layer, generator = drawn()
    watch = NormMonitor(layer, limit=1.5)
    with pytest.warns(NormWarning, match=r"times the unedited norm, past the limit 1\.5") as caught:
        edits(layer, generator, watch, 60)
    assert (len(caught), len(watch.writes)) == (1, 60)
    layer, generator = drawn()
    watch = NormMonitor(layer, limit=1.5, stop=True)
    with pytest.raises(LimitReached, match=r"past the limit 1\.5"):
        edits(layer, generator, watch, 1000)
    assert len(watch.writes) < 999
    assert watch.writes[-1].norm > 1.5 * watch.unedited >= watch.writes[-2].norm
    assert not layer._forward_pre_hooks


def test_writes_that_torch_does_not_count_need_a_look():
    layer, _ = drawn()
    with NormMonitor(layer) as watch:
        layer.weight.data = 2 * layer.weight.data
        watch.look()
        layer.weight = nn.Parameter(3 * layer.weight.detach())
        layer(torch.zeros(16, dtype=torch.float64))
        layer(torch.zeros(16, dtype=torch.float64))
    assert [round(write.norm / watch.unedited) for write in watch.writes] == [2, 6]


def test_conv1d_is_turned_and_low_precision_is_read():
    conv = Conv1D(4, 6).to(torch.bfloat16)
    with NormMonitor(conv) as watch, torch.no_grad():
        conv.weight[2] += 1
    assert watch.directions[0].shape == (6,)
    assert abs(watch.directions[0][2]) > 0.9


def test_the_leading_direction_is_the_svds():
    delta = torch.randn(5, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    delta += 10 * torch.outer(delta[:, 0], delta[0])
    found = leading(delta)
    assert abs(float(found @ torch.linalg.svd(delta).Vh[0])) == pytest.approx(1, abs=1e-9)


def test_what_cannot_be_foretold_is_said():
    layer, generator = drawn()
    with NormMonitor(layer) as watch:
        for _ in range(39):
            rome(layer, generator)
        with pytest.raises(Misuse, match="38 writes foretell nothing"):
            watch.outlook()
        for _ in range(5):
            rome(layer, generator)
        assert watch.outlook().left is None
        with torch.no_grad():
            layer.weight[0, 0] = math.nan
        layer(torch.zeros(16, dtype=torch.float64))
        with pytest.raises(Misuse, match="not finite"):
            watch.outlook()
    with pytest.raises(Misuse, match=r"the limit is 0\.5"):
        NormMonitor(layer, limit=0.5)
    with pytest.raises(Misuse, match="needs a limit"):
        NormMonitor(layer, stop=True)
    with pytest.raises(Misuse, match="Conv2d"):
        NormMonitor(nn.Conv2d(1, 1, 1))
