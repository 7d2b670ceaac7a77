"""The value transforms and the pilot anchor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.anchor import pilot_anchor, standard_error, trimmed_mean
from sim.editor import Edit, chain
from sim.values.anchor_norm import anchor_norm
from sim.values.clip_norm import clip_norm
from sim.values.drop_norm import drop_norm
from theory.command import Misuse

WEIGHT = torch.zeros(2, 1, dtype=torch.float64)


def edit_of(*values: tuple[float, float], readouts: tuple[float, float] = (0.0, 0.0)) -> Edit:
    columns = torch.tensor(values, dtype=torch.float64).mT
    read = torch.tensor([readouts] * len(values), dtype=torch.float64).mT
    return Edit(torch.ones(1, len(values), dtype=torch.float64), read, columns)


def test_the_two_sided_anchor_lengthens_and_the_one_sided_does_not() -> None:
    edit = edit_of((3.0, 4.0), (0.3, 0.4))
    both, _ = anchor_norm(2.0).update(edit, (), WEIGHT)
    one, _ = anchor_norm(2.0, two_sided=False).update(edit, (), WEIGHT)
    np.testing.assert_allclose(both.values.numpy(), [[1.2, 1.2], [1.6, 1.6]])
    np.testing.assert_allclose(one.values.numpy(), [[1.2, 0.3], [1.6, 0.4]])


def test_the_anchor_sets_the_norm_of_the_module_output_where_there_is_a_bias() -> None:
    bias = torch.tensor([1.0, -2.0], dtype=torch.float64)
    edit = edit_of((2.0, 6.0))
    anchored, _ = anchor_norm(10.0, bias=bias).update(edit, (), WEIGHT)
    np.testing.assert_allclose((anchored.values[:, 0] + bias).numpy(), [6.0, 8.0])


def test_the_anchor_leaves_a_zero_value_and_an_empty_request_alone() -> None:
    zero = edit_of((0.0, 0.0), readouts=(1.0, 0.0))
    nothing = edit_of((1.0, 0.0), readouts=(1.0, 0.0))
    for edit in (zero, nothing):
        assert torch.equal(anchor_norm(5.0).update(edit, (), WEIGHT)[0].values, edit.values)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=4),
    st.floats(0.1, 10.0),
    st.booleans(),
)
def test_clip_norm_bounds_every_shift_and_keeps_its_direction(values, limit: float, relative: bool) -> None:
    edit = edit_of(*values, readouts=(3.0, 4.0))
    clip = clip_norm(ratio=limit / 5) if relative else clip_norm(limit=limit)
    clipped = clip.update(edit, (), WEIGHT)[0].residuals.numpy()
    for before, after in zip(edit.residuals.numpy().T, clipped.T, strict=True):
        size = math.hypot(*before)
        expected = before * min(1.0, limit / size) if size > 0 else before
        np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-12)


def test_the_drop_rule_counts_and_composes_with_the_anchor() -> None:
    rule = chain(drop_norm(2.0), anchor_norm(1.0))
    state = rule.init(WEIGHT)
    edit = edit_of((3.0, 4.0), (1.2, 1.6), (0.3, 0.4), readouts=(0.5, 0.0))
    kept, state = rule.update(edit, state, WEIGHT)
    np.testing.assert_allclose(kept.values.numpy(), [[0.5, 0.6, 0.6], [0.0, 0.8, 0.8]])
    assert int(state[0].total) == 1
    _, state = rule.update(edit, state, WEIGHT)
    assert int(state[0].total) == 2
    assert int(rule.init(WEIGHT)[0].total) == 0
    biased = drop_norm(2.0, bias=torch.tensor([0.0, 3.0], dtype=torch.float64))
    assert int(biased.update(edit_of((0.0, 0.5)), biased.init(WEIGHT), WEIGHT)[1].total) == 1


def test_a_request_that_asks_nothing_is_not_counted_as_dropped() -> None:
    rule = drop_norm(1.0)
    _, state = rule.update(edit_of((3.0, 4.0), readouts=(3.0, 4.0)), rule.init(WEIGHT), WEIGHT)
    assert int(state.total) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: anchor_norm(0.0),
        lambda: anchor_norm(float("nan")),
        lambda: anchor_norm(float("inf")),
        lambda: drop_norm(-1.0),
        lambda: clip_norm(),
        lambda: clip_norm(ratio=1.0, limit=1.0),
        lambda: clip_norm(ratio=0.0),
    ],
)
def test_impossible_limits_are_misuse(make) -> None:
    with pytest.raises(Misuse, match=r"(positive|exactly one)"):
        make()


def test_the_trimmed_mean_drops_the_floor_of_the_share() -> None:
    norms = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0, 100.0, 6.0, 7.0, 8.0, 9.0], dtype=torch.float64)
    assert float(trimmed_mean(norms, 0.0)) == pytest.approx(14.5)
    assert float(trimmed_mean(norms, 0.19)) == pytest.approx(5.0)
    assert float(trimmed_mean(norms, 0.2)) == pytest.approx(36 / 8)
    assert float(trimmed_mean(norms)) == pytest.approx(14.5)  # ⌊0.05 · 10⌋ = 0


def test_the_standard_error_is_that_of_repeated_pilots() -> None:
    """Two thousand pilots of 200 draws: the spread of their trimmed means against the mean standard error."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(2000, 200, generator=generator, dtype=torch.float64).exp()
    means = torch.stack([trimmed_mean(row) for row in draws])
    claimed = torch.stack([standard_error(row) for row in draws])
    assert float(claimed.mean()) == pytest.approx(float(means.std()), rel=0.08)


def test_the_standard_error_by_hand() -> None:
    """Winsorised to 1, 2, 3, 4, 4: variance 6.8/4, over (4/5)√5."""
    norms = torch.tensor([4.0, 1.0, 100.0, 3.0, 2.0], dtype=torch.float64)
    assert float(standard_error(norms, 0.2)) == pytest.approx(math.sqrt(1.7) / (0.8 * math.sqrt(5)), rel=1e-12)


def test_the_pilot_anchor_of_columns_and_vectors() -> None:
    pilot = pilot_anchor(lambda i: torch.full((4, 2), float(i)), 20, trim=0.1)
    assert (pilot.pilots, pilot.dropped) == (40, 4)
    assert pilot.norm == pytest.approx(2 * sum(range(18)) / 18)
    assert pilot_anchor(lambda i: torch.tensor([3.0, 4.0]), 2).standard_error == 0.0


def test_pilot_misuse() -> None:
    with pytest.raises(Misuse, match="1 pilot"):
        pilot_anchor(lambda i: torch.ones(2), 1)
    with pytest.raises(Misuse, match="1 of 2 pilot norms are not finite"):
        pilot_anchor(lambda i: torch.ones(2) / i, 2)
    with pytest.raises(Misuse, match=r"share is 1\.0"):
        trimmed_mean(torch.ones(3), 1.0)
    with pytest.raises(Misuse, match="no pilot"):
        trimmed_mean(torch.ones(0))
