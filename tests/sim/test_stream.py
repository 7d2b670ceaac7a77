"""The memory's laws and the engine that runs streams through them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sim.editor import Edit, editor, stateless
from sim.engine import run_stream
from sim.memory import (
    LinearMemory,
    draw_weight,
    free_values,
    gaussian_keys,
    isotropic_keys,
    isotropic_shift,
    orthogonal_shift,
    turned_values,
    unseen_keys,
)
from sim.rules.alphaedit import alphaedit
from sim.rules.memit import memit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from theory.command import Misuse


def make_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_memory(m: int = 3, n: int = 5, clamp: float = 0.5, dtype: torch.dtype = torch.float64) -> LinearMemory:
    return LinearMemory(draw_weight(m, n, make_generator(), dtype=dtype), isotropic_keys(), orthogonal_shift(clamp))


def test_keys_have_the_covariance_they_are_given() -> None:
    covariance = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
    weight = torch.zeros(1, 2, dtype=torch.float64)
    for law, expected in ((gaussian_keys(covariance), covariance), (isotropic_keys(), torch.eye(2))):
        keys = law(weight, 40_000, make_generator())
        # 4 standard errors of a second moment: Var(k_i k_j) = Σ_ii Σ_jj + Σ_ij² ≤ 8 here.
        assert float((keys @ keys.mT / 40_000 - expected).abs().max()) < 4 * math.sqrt(8 / 40_000)
    with pytest.raises(Misuse, match="Σ is singular"):
        gaussian_keys(torch.ones(2, 2))


def test_the_orthogonal_shift_is_exactly_across_and_of_its_length() -> None:
    readouts = torch.randn(6, 50, generator=make_generator(1), dtype=torch.float64)
    shift = (orthogonal_shift(0.7)(readouts, make_generator()) - readouts).numpy()
    np.testing.assert_allclose((shift * readouts.numpy()).sum(axis=0), 0, atol=1e-14 * 50)
    np.testing.assert_allclose(np.linalg.norm(shift, axis=0), 0.7 * readouts.norm(dim=0).numpy(), rtol=1e-13)


def test_the_isotropic_shift_is_across_on_average_only() -> None:
    readouts = torch.tensor([[3.0], [4.0], [0.0]], dtype=torch.float64).expand(3, 20_000)
    shift = (isotropic_shift(0.7)(readouts, make_generator()) - readouts).numpy()
    np.testing.assert_allclose(np.linalg.norm(shift, axis=0), 3.5, rtol=1e-12)
    along = (shift * readouts.numpy()).sum(axis=0) / 17.5
    assert abs(along.mean()) < 4 * math.sqrt(1 / 3 / 20_000)
    assert along.std() == pytest.approx(math.sqrt(1 / 3), rel=0.03)


def test_turned_and_free_values_have_the_mean_square_they_promise() -> None:
    readouts = torch.tensor([[3.0], [4.0]], dtype=torch.float64).expand(2, 20_000)
    turned = turned_values()(readouts, make_generator()).square().sum(dim=0)
    assert float(turned.mean()) == pytest.approx(25.0, abs=4 * 25 / math.sqrt(3 * 20_000))
    assert 0 <= float(turned.min()) < float(turned.max()) <= 50
    free = free_values(2.0)(readouts, make_generator()).square().sum(dim=0)
    assert float(free.mean()) == pytest.approx(4.0, abs=4 * 4 / math.sqrt(20_000))


def test_unseen_keys_read_out_nothing() -> None:
    weight = draw_weight(4, 6, make_generator())
    keys = unseen_keys()(weight, 3, make_generator())
    assert float((weight @ keys).abs().max()) < 1e-15
    assert float(keys.norm(dim=0).min()) > 0.1
    with pytest.raises(Misuse, match="choose m < n"):
        unseen_keys()(torch.eye(3), 1, make_generator())


def test_draws_follow_the_generator_and_the_dtype() -> None:
    for dtype in (torch.float32, torch.float64):
        one, two = (make_memory(dtype=dtype) for _ in range(2))
        edits = [memory.request(memory.weight, 2, make_generator(3)) for memory in (one, two)]
        assert all(torch.equal(a, b) and a.dtype == dtype for a, b in zip(*edits, strict=True))
    assert not torch.equal(one.request(one.weight, 2, make_generator(4)).keys, edits[0].keys)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_stream_is_the_recursion_written_out(batch: int) -> None:
    """Rows against a numpy loop of MEMIT with NAS that draws from the same generator."""
    memory, steps = make_memory(), 4
    rule = editor(memit(weighting=2.0), values=anchor_norm(1.5))
    rows = list(run_stream(rule, memory, steps, make_generator(1), batch=batch))
    weight, draws = memory.weight.numpy().copy(), make_generator(1)
    for row in rows:
        edit = memory.request(torch.tensor(weight), batch, draws)
        keys, values = edit.keys.numpy(), edit.values.numpy()
        aimed = 1.5 * values / np.linalg.norm(values, axis=0)
        residual = aimed - weight @ keys
        after = weight + residual @ np.linalg.solve(2 * np.eye(5) + keys @ keys.T, keys).T
        expected = {
            "weight_norm": np.linalg.norm(weight),
            "weight_norm_after": np.linalg.norm(after),
            "solved_norm": np.linalg.norm(values, axis=0).mean(),
            "value_norm": 1.5,
            "readout_norm": np.linalg.norm(weight @ keys, axis=0).mean(),
            "residual_norm": np.linalg.norm(residual),
            "residual_after": np.linalg.norm(aimed - after @ keys),
            "delta_norm": np.linalg.norm(after - weight),
            "change": 2 * (np.linalg.norm(after) ** 2 - np.linalg.norm(weight) ** 2),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9)
        assert row["error"] < 1e-12
        weight = after
    assert [row["edits"] for row in rows] == [batch * step for step in range(1, steps + 1)]


def test_the_memory_is_not_written_and_equal_seeds_give_equal_rows() -> None:
    memory = make_memory()
    before = memory.weight.clone()
    rule = editor(alphaedit(torch.eye(5, dtype=torch.float64)))
    first = list(run_stream(rule, memory, 20, make_generator(2)))
    assert torch.equal(memory.weight, before)
    assert first == list(run_stream(rule, memory, 20, make_generator(2)))
    assert first != list(run_stream(rule, memory, 20, make_generator(3)))


def test_overflow_ends_the_stream_as_data() -> None:
    memory = make_memory(clamp=1e60)
    rows = list(run_stream(editor(rome()), memory, 100, make_generator()))
    assert 1 < len(rows) < 10
    assert [row["finite"] for row in rows] == [True] * (len(rows) - 1) + [False]


def test_float32_rules_have_their_norms_taken_in_float64() -> None:
    memory = make_memory(dtype=torch.float32)
    rule = editor(alphaedit(torch.eye(5), ridge=1.0))
    rows = list(run_stream(rule, memory, 50, make_generator()))
    errors = [row["error"] for row in rows]
    assert 0 < max(errors) < 1e-3
    total = rows[0]["norm_sq"]
    assert total == float(memory.weight.double().square().sum())


def test_a_dense_delta_is_applied_too() -> None:
    halve = stateless(lambda delta, weight: delta.dense() / 2)
    rows = list(run_stream(editor(rome(), deltas=halve), make_memory(), 3, make_generator()))
    for row in rows:
        assert math.sqrt(row["norm_sq_after"]) == pytest.approx(row["weight_norm_after"], rel=1e-12)


def test_a_rule_never_sees_a_weight_it_could_change_between_steps() -> None:
    """The engine's weight after a step is the weight before the next one."""
    rows = list(run_stream(editor(rome()), make_memory(), 10, make_generator()))
    for row, following in itertools.pairwise(rows):
        assert following["norm_sq"] == row["norm_sq_after"]


def test_requests_read_out_the_current_weight() -> None:
    seen: list[Tensor] = []

    def watch(edit: Edit, weight: Tensor) -> Edit:
        torch.testing.assert_close(edit.readouts, weight @ edit.keys)
        seen.append(weight.clone())
        return edit

    list(run_stream(editor(rome(), values=stateless(watch)), make_memory(), 3, make_generator()))
    assert not torch.equal(seen[0], seen[1])
