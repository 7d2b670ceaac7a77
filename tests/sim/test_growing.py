"""A metric that takes in keys at O(n²) each is the dense inverse of its sum, whatever their number and batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sim.growing import WIDTH, Growing, growing
from sim.metric import inverse_metric
from sim.state import flatten_state, restore_state


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def start(n: int) -> tuple[Growing, Tensor]:
    root = draw(n, 3 * n, seed=1)
    matrix = root @ root.mT / n
    return growing(inverse_metric(matrix)), matrix


def apart(metric: Growing, total: Tensor, n: int) -> float:
    exact = torch.linalg.inv(total)
    return float((metric.times(torch.eye(n, dtype=torch.float64)) - exact).norm() / exact.norm())


@pytest.mark.parametrize("batch", [1, 3, WIDTH, WIDTH + 5])
@pytest.mark.parametrize("n", [5, 150])
def test_it_is_the_inverse_of_the_dense_sum_after_any_number_of_keys(n: int, batch: int) -> None:
    metric, total = start(n)
    for step in range(2 * max(n, WIDTH) // batch + 3):
        keys = draw(n, batch, seed=step + 2)
        metric, total = metric.joined(keys, "A"), total + keys @ keys.mT
        assert apart(metric, total, n) < 1e-11
    torch.testing.assert_close(metric.total(), total)
    weight = draw(4, n, seed=99)
    torch.testing.assert_close(metric.norm_sq(weight), torch.trace(weight @ total @ weight.mT))


def test_a_thousand_keys_leave_no_drift_above_1e_8() -> None:
    metric, total = start(200)
    for step in range(1000):
        key = draw(200, 1, seed=step + 2)
        metric, total = metric.joined(key, "A"), total + key @ key.mT
    assert apart(metric, total, 200) < 1e-12


def test_a_metric_that_forgets_its_latest_keys_is_told_apart() -> None:
    metric, total = start(20)
    keys = draw(20, 2, seed=5)
    forgetful = metric.joined(keys, "A")._replace(held=torch.tensor(0), roots=torch.zeros_like(metric.roots))
    assert apart(forgetful, total + keys @ keys.mT, 20) > 1e-3


def test_joining_leaves_the_metric_as_it_was() -> None:
    metric, _ = start(9)
    metric = metric.joined(draw(9, 2, seed=3), "A")
    before = {name: tensor.clone() for name, tensor in flatten_state(metric).items()}
    one, two = metric.joined(draw(9, 1, seed=4), "A"), metric.joined(draw(9, 1, seed=5), "A")
    for name, tensor in flatten_state(metric).items():
        assert torch.equal(tensor, before[name])
    assert not torch.equal(one.total(), two.total())


def test_a_saved_state_goes_on_as_if_never_saved() -> None:
    metric, _ = start(30)
    for step in range(7):
        metric = metric.joined(draw(30, 2, seed=step), "A")
    again = restore_state(start(30)[0], flatten_state(metric))
    for step in range(40):
        metric, again = (one.joined(draw(30, 1, seed=100 + step), "A") for one in (metric, again))
    for name, tensor in flatten_state(metric).items():
        assert torch.equal(tensor, flatten_state(again)[name]), name


def test_it_is_refreshed_in_float32() -> None:
    """In float32 the error stays that of one solve, as n keys at most lie between two factorisations."""
    wide, total = start(60)
    metric = growing(inverse_metric(total.float()))
    for step in range(600):
        key = draw(60, 1, seed=step + 2)
        metric, total = metric.joined(key.float(), "A"), total + key @ key.mT
    exact = torch.linalg.inv(total)
    found = metric.times(torch.eye(60)).double()
    assert float((found - exact).norm() / exact.norm()) < 1e-4
    assert np.isfinite(float(wide.norm_sq(draw(2, 60))))
