"""Estimators, predictions, and small Monte Carlo runs against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sim.anchor import PilotAnchor
from sim.config import GrowConfig
from sim.montecarlo import (
    Path,
    exponents,
    finite_paths,
    make_memory,
    mean_factors,
    plateaus,
    relative_paths,
    run_seed,
    run_seeds,
    student_interval,
)
from sim.prediction import growth_factor, spectrum
from sim.quantities import accumulation_points, law_path, measure_quantities, seed_table, step_table
from theory.command import Misuse
from theory.growth.growth_operator import anisotropic_radius
from theory.growth.lyapunov import second_moment_growth, second_moments, typical_exponent


def test_the_student_interval_covers_at_its_level() -> None:
    """Of 2000 samples of five normals, 90 % intervals miss the mean 200 times, within four standard errors."""
    random = np.random.default_rng(0)
    missed = sum(not student_interval(random.normal(size=5) + 3, 0.9).covers(3.0) for _ in range(2000))
    assert abs(missed - 200) < 4 * math.sqrt(2000 * 0.1 * 0.9)
    with pytest.raises(Misuse, match="1 finite seeds give no interval"):
        student_interval([1.0])


def test_the_student_interval_is_scipys() -> None:
    sample = [1.0, 4.0, 2.0, 8.0]
    expected = stats.ttest_1samp(sample, 0.0).confidence_interval(0.99)
    assert student_interval(sample, 0.99)[1:] == pytest.approx((expected.low, expected.high))


def test_estimators_on_a_table_written_by_hand() -> None:
    rows = pd.DataFrame(
        {
            "norm_sq": [1.0, 2.0, 8.0],
            "norm_sq_after": [2.0, 8.0, 8.0],
            "weight_norm": [1.0, 3.0, 2.0],
            "weight_norm_after": [3.0, 2.0, 4.0],
            "finite": True,
        }
    )
    path = Path(rows, None)
    assert mean_factors([path]).tolist() == [(2 + 4 + 1) / 3]
    assert exponents([path], 1).tolist() == pytest.approx([math.log(4) / 2])
    assert relative_paths([path]).tolist() == [[1.0, 9.0, 4.0, 16.0]]
    assert plateaus([path], 0).tolist() == []
    anchored = path._replace(anchor=PilotAnchor(2.0, 0.1, 10, 0))
    assert plateaus([anchored], 0).tolist() == [6 / 4]
    assert plateaus([anchored], 1).tolist() == [8 / 4]
    broken = Path(rows.assign(finite=[True, True, False]), None)
    assert finite_paths([path, broken]) == [path]


def simulated_moments(m: int, n: int, c: float, edits: int, count: int) -> np.ndarray:
    """R_t of `count` memories at once, in numpy: the value model written a second time."""
    random = np.random.default_rng(3)
    weight = random.normal(size=(count, m, n)) / math.sqrt(n)
    start = (weight**2).sum(axis=(1, 2))
    for _ in range(edits):
        key = random.normal(size=(count, n))
        read = np.einsum("smn,sn->sm", weight, key)
        drawn = random.normal(size=(count, m))
        drawn -= read * ((read * drawn).sum(1) / (read**2).sum(1))[:, None]
        shift = c * drawn * np.sqrt((read**2).sum(1) / (drawn**2).sum(1))[:, None]
        weight += shift[:, :, None] * (key / (key**2).sum(1)[:, None])[:, None, :]
    return (weight**2).sum(axis=(1, 2)) / start


@pytest.mark.claim("S1.growth")
def test_first_and_second_moments_of_growth_in_an_independent_simulation() -> None:
    m, n, c, edits = 3, 4, 0.8, 12
    growth = simulated_moments(m, n, c, edits, 40_000)
    first = growth.mean(), growth.std() / 200
    assert abs(first[0] - (1 + c * c / n) ** edits) < 4 * first[1]
    # The pair (E R², E tr S²) grows at its top eigenvalue only after its transient, so compare ratios of late times.
    early = simulated_moments(m, n, c, edits - 4, 40_000)
    ratio = (growth**2).mean() / (early**2).mean()
    error = ratio * math.hypot((growth**2).std() / (growth**2).mean() / 200, (early**2).std() / (early**2).mean() / 200)
    assert abs(ratio - second_moment_growth(m, n, c) ** 4) < 4 * error


@pytest.mark.parametrize(("m", "n", "c"), [(2, 3, 1.5), (4, 3, 1.0)])
def test_the_second_moments_after_one_write(m: int, n: int, c: float) -> None:
    """E R² and E tr S² of one write on a fixed weight, by sampling keys and shifts, within four standard errors."""
    random, count = np.random.default_rng(4), 200_000
    weight = random.normal(size=(m, n)) * np.linspace(0.5, 2.0, n)
    key, drawn = random.normal(size=(count, n)), random.normal(size=(count, m))
    key /= np.linalg.norm(key, axis=1, keepdims=True)
    read = key @ weight.T
    drawn -= read * ((read * drawn).sum(1) / (read**2).sum(1))[:, None]
    shift = c * drawn * np.sqrt((read**2).sum(1) / (drawn**2).sum(1))[:, None]
    after = weight + shift[:, :, None] * key[:, None, :]
    gram = after @ after.transpose(0, 2, 1)
    sampled = np.stack([np.trace(gram, axis1=1, axis2=2) ** 2, (gram**2).sum(axis=(1, 2))], axis=1)
    start = weight @ weight.T
    foretold = second_moments(m, n, c) @ [np.trace(start) ** 2, (start**2).sum()]
    error = sampled.std(axis=0) / math.sqrt(count)
    assert (error < 0.01 * foretold).all()
    assert (abs(sampled.mean(axis=0) - foretold) < 4 * error).all()


@pytest.mark.parametrize(("m", "n", "c"), [(2, 3, 0.5), (4, 8, 1.0), (16, 32, 2.0)])
def test_the_typical_exponent_lies_between_zero_and_jensens_bound(m: int, n: int, c: float) -> None:
    assert 0 < typical_exponent(m, n, c) < math.log(1 + c * c / n)
    assert second_moment_growth(m, n, c) > (1 + c * c / n) ** 2


def test_the_anisotropic_radius_against_sampling_and_its_bounds() -> None:
    eigenvalues = spectrum(GrowConfig(n=6, anisotropy=30.0))
    assert eigenvalues.sum() == pytest.approx(6.0)
    assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(30.0)
    squares = eigenvalues * np.random.default_rng(0).normal(size=(400_000, 6)) ** 2
    shares = squares / squares.sum(axis=1, keepdims=True)
    sampled = np.linalg.eigvalsh(shares.T @ shares / len(shares))[-1]
    assert anisotropic_radius(eigenvalues) == pytest.approx(sampled, rel=5e-3)
    assert anisotropic_radius(eigenvalues) > 1 / 6
    assert anisotropic_radius(7 * np.ones(3)) == pytest.approx(1 / 3, abs=1e-9)


@pytest.mark.parametrize(
    "config",
    [
        GrowConfig(m=4, n=6, edits=60, seeds=16, clamp=0.8),
        GrowConfig(m=4, n=6, edits=60, seeds=16, clamp=0.8, values="isotropic"),
        GrowConfig(m=4, n=6, edits=60, seeds=16, clamp=0.8, metric="covariance", anisotropy=20.0),
        GrowConfig(rule="memit", m=4, n=6, edits=60, seeds=16, clamp=0.8),
        GrowConfig(rule="memit", m=4, n=6, edits=60, seeds=16, clamp=0.8, metric="covariance", anisotropy=20.0),
    ],
    ids=lambda config: f"{config.rule} {config.metric} {config.values}",
)
@pytest.mark.claim("S1.growth", "S1.memit")
def test_the_mean_factor_meets_theory_and_not_its_half(config: GrowConfig) -> None:
    foretold = growth_factor(config)
    interval = student_interval(mean_factors(run_seeds(config)), 0.999)
    assert foretold is not None
    assert foretold.relation == "="
    assert interval.covers(foretold.value)
    assert not interval.covers(1 + (foretold.value - 1) / 2)


def test_theory_is_silent_where_it_has_no_law() -> None:
    assert growth_factor(GrowConfig(rule="alphaedit")) is None
    assert growth_factor(GrowConfig(anchor=True)) is None
    assert growth_factor(GrowConfig(rule="memit", anisotropy=3.0)) is None
    assert growth_factor(GrowConfig(values="free")) is None
    assert growth_factor(GrowConfig(rule="memit", batch=2)) is None
    assert growth_factor(GrowConfig(values="turned")) == (1.0, "=")
    assert growth_factor(GrowConfig(values="turned", rule="memit")) is None
    assert growth_factor(GrowConfig(values="turned", rule="alphaedit")) is None
    assert growth_factor(GrowConfig(values="turned", anisotropy=3.0)) is None
    approximate = growth_factor(GrowConfig(anisotropy=30.0, n=8))
    assert approximate is not None
    assert approximate.relation == "≈"
    assert approximate.value > 1 + 0.75**2 / 8


def test_law_paths() -> None:
    assert law_path(GrowConfig(n=4, clamp=1.0, edits=2), 2.0).tolist() == [2.0, 2.5, 3.125]
    alpha = law_path(GrowConfig(rule="alphaedit", n=8, edits=30), 1.0)
    assert len(alpha) == 31
    assert np.diff(alpha).min() > 0
    assert law_path(GrowConfig(anchor=True), 1.0) is None
    assert accumulation_points(GrowConfig(rule="alphaedit", n=8, edits=20)) == [4, 8, 16, 20]
    assert accumulation_points(GrowConfig(rule="alphaedit", n=8, edits=20, batch=2)) == [2, 4, 8, 10]


def test_tables_count_what_stayed_finite() -> None:
    config = GrowConfig(m=3, n=4, edits=12, seeds=3, clamp=1e30)
    paths = run_seeds(config)
    steps, seeds = step_table(config, paths), seed_table(config, paths)
    assert not seeds["finite"].any()
    assert steps["seeds"].max() == 3
    assert np.isfinite(steps["weight_norm_median"]).all()
    quantities = measure_quantities(config, paths)
    assert [row.name.split(" of ")[0] for row in quantities] == ["seeds dropped", "T1's relative error, worst write"]
    assert quantities[0].measured == 3


def test_a_table_over_survivors_counts_the_seeds_that_are_missing() -> None:
    config = GrowConfig(m=3, n=4, edits=12, seeds=4)
    whole = run_seeds(config)
    lost = whole[3]._replace(rows=whole[3].rows.assign(finite=[True] * 11 + [False]))
    assert not [row for row in measure_quantities(config, whole) if "dropped" in row.name]
    rows = measure_quantities(config, [*whole[:3], lost])
    counted = [row for row in rows if row.name.startswith("seeds dropped of 4")]
    assert [row.measured for row in counted] == [1]
    assert rows[0] == measure_quantities(replace(config, seeds=3), whole[:3])[0]
    assert rows[-1].name.startswith("T1")


def test_a_run_is_its_seeds() -> None:
    config = GrowConfig(m=3, n=4, edits=5, seeds=3)
    whole, part = run_seeds(config), run_seeds(config, [1])
    pd.testing.assert_frame_equal(whole[1].rows, part[0].rows)
    shifted = run_seeds(GrowConfig(m=3, n=4, edits=5, seeds=2, seed=1))
    pd.testing.assert_frame_equal(whole[2].rows, shifted[1].rows)


def test_repetition_i_draws_from_the_seed_plus_i() -> None:
    config = GrowConfig(m=3, n=4, edits=2, seeds=4, seed=5)
    for index in range(4):
        memory = make_memory(config, torch.Generator().manual_seed(5 + index))
        drawn = run_seed(config, index).rows["weight_norm"].iloc[0]
        assert drawn == pytest.approx(float(memory.weight.norm()), rel=1e-12)


@pytest.mark.parametrize("room", [1, 2**22])
@pytest.mark.parametrize("rule", ["rome", "memit", "alphaedit"])
def test_repetitions_in_one_tensor_are_the_repetitions_alone(
    monkeypatch: pytest.MonkeyPatch, rule: str, room: int
) -> None:
    monkeypatch.setattr("sim.montecarlo.TOGETHER", room)
    config = GrowConfig(rule=rule, m=4, n=6, edits=45, seeds=5, block=8)
    for index, path in enumerate(run_seeds(config)):
        alone = run_seed(replace(config, block=0), index).rows
        assert len(path.rows) == len(alone)
        for name in ("weight_norm_after", "norm_sq_after", "value_norm", "eta", "edits"):
            np.testing.assert_allclose(path.rows[name], alone[name], rtol=1e-10)


def test_repetitions_that_overflow_end_where_they_end_alone() -> None:
    config = GrowConfig(m=4, n=5, edits=200, clamp=1e30, seeds=4, block=8)
    together = [len(path.rows) for path in run_seeds(config)]
    assert together == [len(run_seed(replace(config, block=0), index).rows) for index in range(4)]
    assert max(together) < 200


@pytest.mark.parametrize("rule", ["memit_seq", "rlsedit"])
def test_accumulating_rules_follow_the_mean_field_of_their_ridge(rule: str) -> None:
    config = GrowConfig(rule=rule, m=16, n=24, weighting=6.0, ridge=2.0, edits=96, seeds=48, block=24)
    paths = run_seeds(config)
    rows = measure_quantities(config, paths)[:-1]
    assert [row.name for row in rows] == [f"R_t/R_0 at t = {t}" for t in (12, 24, 48, 96)]
    for row in rows:
        assert row.predicted is not None
        assert abs(row.measured / row.predicted - 1) < 0.06
    twin = measure_quantities(replace(config, weighting=1.0), paths)[:-1]
    assert any(abs(row.measured / (row.predicted or math.nan) - 1) > 0.1 for row in twin)


def test_transforms_change_the_editor_and_silence_the_prediction() -> None:
    plain = GrowConfig(m=4, n=6, edits=40, seeds=2)
    clipped = replace(plain, transforms="clip_relative:ratio=0.1")
    assert growth_factor(clipped) is None
    grown, held = (run_seed(config, 0).rows for config in (plain, clipped))
    np.testing.assert_allclose(held["residual_norm"], 0.1 * held["readout_norm"], rtol=1e-9)
    assert held["weight_norm_after"].iloc[-1] < grown["weight_norm_after"].iloc[-1]
    filtered = run_seeds(replace(plain, transforms="clip_relative+rect:share=0.5", block=8))
    assert filtered[0].stepwise == "the rule is no metric write, or a delta transform needs each delta"
