"""The blocked engine against the step engine: the same requests, the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from sim.block_metric import GrowingMetric
from sim.block_rows import joined, whole_rows
from sim.blocked import BlockedStream, run_blocked, run_blocks, run_rows, why_not_blocked
from sim.checks import check_keys
from sim.editor import MetricForm, Solver, Transform, chain, editor, stateless
from sim.engine import run_stream
from sim.growing import growing
from sim.memory import (
    AheadKeys,
    AheadValues,
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
from sim.metric import Projected, inverse_metric
from sim.rules.alphaedit import alphaedit, null_space
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.metric_write import metric_write, soft
from sim.rules.rlsedit import rlsedit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from sim.values.clip_norm import clip_norm
from sim.values.drop_norm import drop_norm
from sim.values.leave_noise import leave_noise
from sim.values.normalised_shift import normalised_shift
from theory.command import Misuse

M, N = 5, 9
# Rounding-level columns: differences that cancel, whose size is that of `scale` or of the residual times 1e-16.
ROUNDING = {"change": "scale", "predicted": "scale", "residual_after": "residual_norm"}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def covariance() -> Tensor:
    root = torch.randn(N, 3 * N, generator=seeded(5), dtype=torch.float64)
    root *= torch.linspace(0.3, 2.0, N, dtype=torch.float64)[:, None]
    return root @ root.mT / (3 * N)


def inner_basis() -> Tensor:
    spectrum = torch.linalg.eigvalsh(covariance())
    return null_space(covariance(), threshold=float(spectrum[5] + spectrum[6]) / 2)


RULES: dict[str, Callable[[], Solver]] = {
    "rome": rome,
    "rome C": lambda: rome(covariance()),
    "memit": lambda: memit(weighting=4.0),
    "memit C": lambda: memit(covariance(), weighting=3.0),
    "memit_seq": lambda: memit_seq(covariance(), weighting=2.0),
    "rlsedit": lambda: rlsedit(covariance(), ridge=0.5, weighting=2.0),
    "alphaedit P=I": lambda: alphaedit(torch.eye(N, dtype=torch.float64), ridge=1.0),
    "alphaedit P": lambda: alphaedit(inner_basis(), ridge=1.0),
}
TRANSFORMS: dict[str, Transform | None] = {
    "plain": None,
    "NAS": chain(drop_norm(4.0), anchor_norm(2.0)),
    "clip": clip_norm(ratio=0.4),
}


def memory(seed: int = 0, values=None) -> LinearMemory:
    weight = draw_weight(M, N, seeded(seed))
    return LinearMemory(weight, gaussian_keys(covariance()), values or orthogonal_shift(0.7))


def assert_same_rows(stepped: pd.DataFrame, blocked: pd.DataFrame, rtol: float = 1e-10) -> None:
    assert set(stepped) == set(blocked)
    assert len(stepped) == len(blocked)
    for name in stepped.columns.drop("error"):
        size = stepped[ROUNDING.get(name, name)].abs().max() if name != "finite" else 1
        np.testing.assert_allclose(
            blocked[name].to_numpy(float), stepped[name].to_numpy(float), rtol=rtol, atol=rtol * size, err_msg=name
        )


def both(rule, world: LinearMemory, steps: int, **options: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    batch = options.get("batch", 1)
    stepped = pd.DataFrame(list(run_stream(rule, world, steps, seeded(3), batch=batch)))
    return stepped, pd.DataFrame(list(run_blocked(rule, world, steps, seeded(3), **options)))


@pytest.mark.parametrize("values", TRANSFORMS)
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("batch", [1, 3])
def test_rows_are_those_of_the_step_engine(name: str, values: str, batch: int) -> None:
    if batch > 1 and name.startswith("rome"):
        pytest.skip("rome writes one key at a time")
    rule = editor(RULES[name](), values=TRANSFORMS[values])
    stepped, blocked = both(rule, memory(), 61, batch=batch, block=13)
    assert_same_rows(stepped, blocked)
    measured = blocked["error"].dropna()
    assert blocked["error"].notna().iloc[-1]
    assert len(measured) > 1
    assert measured.max() < 1e-12


@pytest.mark.parametrize("law", [orthogonal_shift(0.5), isotropic_shift(0.5), turned_values(), free_values(1.0)])
@pytest.mark.parametrize("block", [1, 2, 64])
def test_every_law_of_values_and_size_of_block(law, block: int) -> None:
    assert_same_rows(*both(editor(rome()), memory(values=law), 40, block=block))


@pytest.mark.parametrize("name", ["rome", "memit C", "memit_seq", "alphaedit P"])
def test_trials_in_one_tensor_are_the_trials_alone(name: str) -> None:
    rule, world = editor(RULES[name](), values=TRANSFORMS["NAS"]), memory()
    batch = 1 if name == "rome" else 2
    weights = torch.stack([draw_weight(M, N, seeded(i)) for i in range(3)])
    stream = BlockedStream(rule, world, [seeded(i) for i in (7, 8, 9)], batch=batch, block=8, weights=weights)
    blocks = list(run_blocks(stream, 30))
    for trial in range(3):
        one = pd.DataFrame({key: np.concatenate([block[key][trial] for block in blocks]) for key in blocks[0]})
        alone = run_stream(rule, replace(world, weight=weights[trial]), 30, seeded(7 + trial), batch=batch)
        assert_same_rows(pd.DataFrame(list(alone)), one)


def test_a_planted_engine_without_corrections_inside_the_block_is_told_apart(monkeypatch) -> None:
    monkeypatch.setattr("sim.block._spans", lambda done, size: (slice(0, 0), slice(0, 0)))
    stepped, blocked = both(editor(rome()), memory(), 40, block=8)
    with pytest.raises(AssertionError, match="weight_norm"):
        assert_same_rows(stepped, blocked)


@pytest.mark.parametrize("ratio", [3.0, 10.0, 1e30])
def test_a_stream_that_overflows_ends_as_data_and_where_the_step_engine_ends(ratio: float) -> None:
    world = memory(values=orthogonal_shift(ratio))
    world = replace(world, weight=1e140 * world.weight)
    stepped, blocked = both(editor(rome()), world, 300, block=16)
    assert len(stepped) == len(blocked) < 300
    assert blocked["finite"].tolist() == [True] * (len(blocked) - 1) + [False]


@pytest.mark.parametrize("ratio", [3.0, 10.0])
@pytest.mark.parametrize("name", ["rome", "alphaedit"])
def test_float32_overflows_no_earlier_than_in_the_step_engine(name: str, ratio: float) -> None:
    solver = rome() if name == "rome" else alphaedit(torch.eye(N), ridge=1.0)
    weight = (1e17 if name == "alphaedit" else 1.0) * draw_weight(M, N, seeded(0)).float()
    world = LinearMemory(weight, isotropic_keys(), orthogonal_shift(ratio))
    stepped, blocked = both(editor(solver), world, 400, block=16)
    assert abs(len(stepped) - len(blocked)) <= 1
    assert len(blocked) < 400


def test_one_overflowing_trial_leaves_the_others_alone() -> None:
    world = memory()
    weights = torch.stack([world.weight, 1e154 * world.weight])
    stream = BlockedStream(editor(rome()), world, [seeded(3), seeded(3)], block=8, weights=weights)
    columns = joined(run_blocks(stream, 40))
    assert not columns["finite"][1].all()
    alone = pd.DataFrame(list(run_stream(editor(rome()), world, 40, seeded(3))))
    assert_same_rows(alone, pd.DataFrame(whole_rows(columns, 0)))


def test_a_fixed_metric_of_lower_rank_sees_only_its_range() -> None:
    """No rule of the house has one, but a form may: the rows are those of the step engine, P included."""
    basis = inner_basis()
    metric = Projected(basis, inverse_metric(2.0 * torch.eye(basis.shape[1], dtype=torch.float64)))

    def solve(edit, state, weight):
        return *metric_write(edit, metric, soft, weight), state

    fixed = Solver(lambda w: (), solve, lambda keys, state: state, lambda state: metric, MetricForm(soft))
    assert_same_rows(*both(editor(fixed), memory(), 30, batch=2, block=8))


@pytest.mark.parametrize("batch", [1, 4, 12])
def test_a_growing_metric_takes_no_more_than_n_keys_before_it_is_computed_anew(batch: int) -> None:
    rule = editor(alphaedit(inner_basis(), ridge=1e-3))
    stream = BlockedStream(rule, memory(), [seeded(1)], batch=batch, block=512)
    assert stream.block == max(1, N // batch)
    stepped, blocked = both(rule, memory(), 60, batch=batch, block=512)
    assert_same_rows(stepped, blocked, rtol=1e-9)


def test_a_large_weight_does_not_hide_a_rules_form() -> None:
    world = memory()
    for scale in (1e5, 1e14):
        BlockedStream(editor(rome()), replace(world, weight=scale * world.weight), [seeded(0)])


def test_float32_follows_float64() -> None:
    wide = memory()
    narrow = LinearMemory(wide.weight.float(), AheadKeys(narrowed(wide.keys.noise), wide.keys.place), wide.values)
    narrow = replace(narrow, keys=AheadKeys(narrow.keys.noise, gaussian_keys(covariance().float()).place))
    narrow = replace(narrow, values=replace(wide.values, noise=narrowed(wide.values.noise)))
    for make in (
        lambda like: rome(),
        lambda like: memit_seq(covariance().to(like), weighting=2.0),
        lambda like: alphaedit(inner_basis().to(like), ridge=1.0),
    ):
        exact = pd.DataFrame(list(run_blocked(editor(make(torch.float64)), wide, 100, seeded(3), block=16)))
        rough = pd.DataFrame(list(run_blocked(editor(make(torch.float32)), narrow, 100, seeded(3), block=16)))
        for name in ("weight_norm_after", "s", "norm_sq", "value_norm"):
            np.testing.assert_allclose(rough[name], exact[name], rtol=1e-4)


def narrowed(noise):
    """The same draws as in float64, rounded."""
    return lambda like, *rest: noise(like.double(), *rest).float()


def test_a_growing_metric_is_the_inverse_of_its_matrix_and_does_not_drift() -> None:
    metric = GrowingMetric(growing(inverse_metric(torch.eye(N, dtype=torch.float64))), 1)
    keys = torch.randn(1, N, 4000, generator=seeded(2), dtype=torch.float64)
    for block in keys.split(50, dim=2):
        metric.raised(block, 1)
    expected = torch.linalg.inv(torch.eye(N, dtype=torch.float64) + keys[0] @ keys[0].mT)
    assert float((metric.inverse[0] - expected).norm() / expected.norm()) < 1e-10
    metric.refresh()
    assert float((metric.inverse[0] - expected).norm() / expected.norm()) < 1e-13


def test_streams_that_cannot_be_blocked_say_why() -> None:
    wide = memory()
    assert why_not_blocked(editor(rome()), wide) is None
    filtered = editor(rome(), deltas=stateless(lambda delta, weight: delta))
    assert "delta transform" in str(why_not_blocked(filtered, wide))
    unseen = LinearMemory(draw_weight(3, 9, seeded(0)), unseen_keys(), free_values(1.0))
    assert "looks at the weight" in str(why_not_blocked(editor(rome()), unseen))
    loose = replace(wide, values=lambda readouts, generator: readouts)
    assert "draws ahead" in str(why_not_blocked(editor(rome()), loose))
    looking = editor(rome(), values=stateless(lambda edit, weight: edit))
    assert "may look at the weight" in str(why_not_blocked(looking, wide))
    assert "may look at the weight" in str(why_not_blocked(editor(rome(), values=leave_noise()), wide))
    shared = editor(rome(), values=chain(normalised_shift(0.1), anchor_norm(1.0)))
    assert why_not_blocked(shared, wide) is None
    assert "each request by itself" in str(why_not_blocked(shared, wide, trials=2))
    with pytest.raises(Misuse, match="use run_stream"):
        list(run_blocked(filtered, wide, 3, seeded(0)))
    with pytest.raises(Misuse, match="one key at a time"):
        list(run_blocked(editor(rome()), wide, 3, seeded(0), batch=2))
    with pytest.raises(Misuse, match="block is 0"):
        list(run_blocked(editor(rome()), wide, 3, seeded(0), block=0))


def test_what_cannot_be_blocked_goes_step_by_step_and_says_why() -> None:
    plain, world = editor(rome()), memory()
    halved = editor(rome(), deltas=stateless(lambda delta, weight: delta._replace(left=delta.left / 2)))
    for rule, words in ((plain, []), (halved, ["delta transform"])):
        told: list[str] = []
        rows = list(run_rows(rule, world, 9, seeded(3), block=4, told=told.append))
        assert len(told) == len(words)
        assert all(word in said for word, said in zip(words, told, strict=True))
        assert_same_rows(pd.DataFrame(list(run_stream(rule, world, 9, seeded(3)))), pd.DataFrame(rows))
    asked: list[str] = []
    list(run_rows(halved, world, 3, seeded(3), block=0, told=asked.append))
    assert not asked


def test_a_rule_whose_write_is_not_its_form_is_refused() -> None:
    honest, world = editor(rome()), memory()

    def doubled(edit, state, weight):
        delta, state, info = honest.write(edit, state, weight)
        return delta._replace(left=2 * delta.left), state, info

    list(run_blocked(honest, world, 3, seeded(0)))
    with pytest.raises(Misuse, match="not the one that its form describes"):
        list(run_blocked(honest._replace(write=doubled), world, 3, seeded(0)))


@pytest.mark.parametrize(("value", "message"), [(0.0, "a key is zero"), (float("nan"), "NaN or infinity")])
def test_broken_keys_are_named(value: float, message: str) -> None:
    keys = torch.ones(1, 4, 3)
    check_keys(keys)
    keys[0, :, 1] = value
    with pytest.raises(Misuse, match=message):
        check_keys(keys)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_by_request_treat_each_request_by_itself(name: str) -> None:
    """What trials in one tensor rest on: a batch is transformed as its columns are."""
    transform = TRANSFORMS[name] or editor(rome()).values
    assert transform.by_request
    world = memory()
    edit = world.request(world.weight, 6, seeded(4))
    whole, _ = transform.update(edit, transform.init(world.weight), world.weight)
    for i in range(6):
        column = type(edit)(*(part[:, i : i + 1] for part in edit))
        alone, _ = transform.update(column, transform.init(world.weight), world.weight)
        torch.testing.assert_close(alone.values, whole.values[:, i : i + 1])


def test_a_tiny_or_huge_key_is_no_broken_one() -> None:
    """Their norms leave the range of float64; they themselves do not."""
    check_keys(torch.full((4, 2), 1e-200, dtype=torch.float64))
    check_keys(torch.full((4, 2), 1e200, dtype=torch.float64))


@pytest.mark.parametrize("law", [isotropic_keys(), gaussian_keys(covariance())])
def test_keys_drawn_ahead_are_placed_column_by_column(law: AheadKeys) -> None:
    """What a block rests on: its keys are those that one draw after another would give, whatever the weight holds."""
    weight, ahead, alone = draw_weight(M, N, seeded(0)), seeded(1), seeded(1)
    drawn = torch.cat([law.noise(weight, 1, ahead) for _ in range(4)], dim=1)
    for column in law.place(drawn).split(1, dim=1):
        torch.testing.assert_close(column, law(torch.full_like(weight, torch.nan), 1, alone))


@pytest.mark.parametrize("law", [orthogonal_shift(0.5), isotropic_shift(0.5), turned_values(), free_values(1.0)])
def test_values_drawn_ahead_are_placed_column_by_column(law: AheadValues) -> None:
    readouts, ahead, alone = draw_weight(M, 4, seeded(0)), seeded(1), seeded(1)
    drawn = law.prepared([law.noise(readouts[:, :1], ahead) for _ in range(4)])
    values = law.place(readouts, torch.cat(drawn, dim=1))
    for i in range(4):
        at = slice(i, i + 1)
        torch.testing.assert_close(values[:, at], law(readouts[:, at], alone))
