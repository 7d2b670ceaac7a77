"""T7: formats, lost writes and error bounds against torch, numpy, brute force and exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.confront import precision as confronted
from theory.claim import examine
from theory.command import Misuse
from theory.precision.bounds import (
    anchor_error,
    drift,
    gamma,
    identity_error_bound,
    rounding_error,
    solve_error,
    squares_error,
)
from theory.precision.formats import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    FORMATS,
    changed_share,
    kept_above,
    lost_below,
    product_tail,
    round_exact,
    round_to,
    rounding_noise,
    storage_noise,
)

TORCH = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
NARROW = [FLOAT32, FLOAT16, BFLOAT16]


@pytest.mark.claim("S4.changed_entries", "S4.storage_noise", "S4.stored_change", "S4.identity_error")
@pytest.mark.parametrize("claim", confronted.claims(16), ids=lambda claim: claim.id)
def test_the_rules_agree_with_the_predictions_and_not_with_the_twins(claim):
    outcome = examine(claim)
    assert outcome.evidence.established, outcome.evidence.steps
    assert outcome.twin_rejected


@pytest.mark.claim("T7.formats")
@pytest.mark.parametrize("target", FORMATS, ids=lambda target: target.name)
def test_formats_are_torchs(target):
    info = torch.finfo(TORCH[target.name])
    assert float(target.unit_roundoff) == info.eps / 2
    assert float(target.largest) == info.max
    assert float(target.smallest_normal) == info.tiny
    assert float(target.smallest) == info.tiny * info.eps


@pytest.mark.claim("T7.formats")
@pytest.mark.parametrize("target", [FLOAT16, BFLOAT16], ids=lambda target: target.name)
@given(value=st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_rounding_float32_numbers_is_torchs(target, value):
    expected = torch.tensor(value).to(TORCH[target.name]).double().item()
    assert float(round_to(value, target)) == expected
    if abs(value) < target.overflow:
        assert float(round_exact(Fraction(value), target)) == expected


@pytest.mark.claim("T7.formats")
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_float64_numbers_to_float32_is_torchs(value):
    expected = torch.tensor(value, dtype=torch.float64).float().double().item()
    assert float(round_to(value, FLOAT32)) == expected


def test_rounding_beyond_the_range_is_infinite_or_refused():
    assert round_to([65519.99, 65520.0, -1e300], FLOAT16).tolist() == [65504.0, math.inf, -math.inf]
    with pytest.raises(Misuse, match=r"near 2\^16 overflows float16; scale it below 2\^16"):
        round_exact(Fraction(70000), FLOAT16)
    with pytest.raises(Misuse, match="overflows float64"):
        round_exact(FLOAT64.overflow, FLOAT64)


@pytest.mark.claim("T7.lost")
@pytest.mark.parametrize("target", [FLOAT16, BFLOAT16], ids=lambda target: target.name)
def test_writes_at_the_thresholds_in_torch(target):
    dtype, u = TORCH[target.name], float(target.unit_roundoff)
    weight = torch.arange(2 ** (target.precision - 1), 2**target.precision, dtype=torch.float64) * 2.0**-9
    for sign in (-1, 1):
        lost = weight + sign * lost_below(weight, u)
        kept = weight + sign * kept_above(weight, u) * (1 + 2.0**-10)  # torch rounds to float32 first
        assert torch.equal(lost.to(dtype).double(), weight)
        assert torch.equal(lost.float().to(dtype).double(), weight)
        assert not (kept.to(dtype).double() == weight).any()


@pytest.mark.claim("T7.lost")
def test_neither_threshold_can_be_moved():
    below_one = torch.tensor(1.0, dtype=torch.float64) - 2.0**-9 * (1 + 2.0**-12)
    assert below_one.to(torch.bfloat16).item() != 1.0
    assert torch.tensor(1 + 2.0**-8, dtype=torch.float64).to(torch.bfloat16).item() == 1.0


@pytest.mark.claim("T7.lost")
def test_a_stream_of_small_writes_is_lost_in_bfloat16_and_kept_by_a_float32_master():
    weight = torch.full((3, 5), 1.5)
    stored, write = weight.bfloat16(), 1.5 * 2.0**-9
    for _ in range(100):
        stored += write
        weight += write
    assert torch.equal(stored.float(), torch.full((3, 5), 1.5))
    assert weight[0, 0].item() == pytest.approx(1.5 + 100 * write, rel=1e-5)


@pytest.mark.claim("T7.changed_share")
@pytest.mark.parametrize("target", NARROW, ids=lambda target: target.name)
@pytest.mark.parametrize("relative", [0.3, 1.5])
def test_changed_share_by_sampling(target, relative):
    random, count = np.random.default_rng(3), 400_000
    write = relative * float(target.unit_roundoff) * 0.7
    weight = round_to(0.7 * random.standard_normal(count), target)
    for tail, step in ((None, random.standard_normal(count)),
                       (product_tail, random.standard_normal(count) * random.standard_normal(count))):  # fmt: skip
        found = np.mean(round_to(weight + write * step, target) != weight)
        share = changed_share(write, 0.7, target, *([tail] if tail else []))
        assert found == pytest.approx(share, abs=4 * 0.5 / math.sqrt(count))


def test_changed_share_refuses_what_has_no_size():
    with pytest.raises(Misuse, match=r"size 0\.0 and 1\.0"):
        changed_share(0.0, 1.0, BFLOAT16)


@pytest.mark.claim("T7.storage_noise")
@pytest.mark.parametrize("target", NARROW, ids=lambda target: target.name)
def test_storage_noise_by_sampling(target):
    random, draws, (m, n) = np.random.default_rng(5), 4000, (3, 4)
    factor = random.standard_normal((n, n))
    C = factor @ factor.T
    exact = 0.7 * random.standard_normal((draws, m, n))
    error = round_to(exact, target) - exact
    # the exact difference of the two norms, without subtracting them
    change = np.einsum("dij,jk,dik->d", 2 * exact + error, C, error)
    predicted = storage_noise(m, (C**2).sum(), (C.diagonal() ** 2).sum(), 0.7, target)
    assert np.mean(change**2) == pytest.approx(predicted**2, rel=4 * math.sqrt(2 / draws) * 1.3)
    for weighted, weights in ((False, 1.0), (True, exact**2)):
        found = np.mean(weights * error**2)
        assert found == pytest.approx(rounding_noise(0.7, target, weighted=weighted), rel=0.06)


@pytest.mark.claim("T7.stagnation")
def test_sums_of_ones_stall_in_numpy_and_torch():
    assert np.cumsum(np.ones(3000, dtype=np.float16))[-1] == 2048
    total = torch.zeros((), dtype=torch.bfloat16)
    for _ in range(300):
        total = total + 1
    assert total.item() == 256
    assert np.float32(2**24) + np.float32(1) == np.float32(2**24)


@pytest.mark.claim("T7.stochastic_rounding")
def test_stochastic_rounding_by_exact_enumeration():
    low, high, x = Fraction(1), 1 + Fraction(1, 128), 1 + Fraction(3, 1000)
    up = (x - low) / (high - low)
    mean, square = up * high + (1 - up) * low, up * high**2 + (1 - up) * low**2
    assert mean == x
    assert x**2 < square <= (1 + BFLOAT16.unit_roundoff**2) * x**2


@pytest.mark.claim("T7.summation")
@given(st.lists(st.floats(min_value=2.0**-20, max_value=2.0**20, width=32), min_size=1, max_size=60))
def test_naive_float32_sums_stay_within_gamma(entries):
    total = np.float32(0)
    for entry in entries:
        total = np.float32(total + np.float32(entry) * np.float32(entry))
    truth = sum(Fraction(entry) ** 2 for entry in entries)
    assert abs(Fraction(float(total)) / truth - 1) <= Fraction(squares_error(len(entries), FLOAT32))


@pytest.mark.claim("T7.summation")
def test_gamma_bounds_products_of_roundings():
    u = Fraction(1, 256)
    for j in (1, 2, 17, 200):
        assert 1 / (1 - u) ** j - 1 <= gamma(j, u)
        assert 1 - (1 - u) ** j <= gamma(j, u)
    assert rounding_error(255, BFLOAT16) == 255.0
    assert rounding_error(256, BFLOAT16) == math.inf


@pytest.mark.claim("T7.summation")
def test_torchs_norm_of_a_large_float32_weight_is_far_from_the_pairwise_bound():
    weight = torch.randn(1600, 6400, generator=torch.Generator().manual_seed(0))
    truth = weight.double().square().sum().item()
    bound = squares_error(weight.numel(), FLOAT32, pairwise=True)
    assert abs(weight.square().sum().item() / truth - 1) < bound
    assert abs(torch.linalg.norm(weight).item() ** 2 / truth - 1) > 100 * bound


@pytest.mark.claim("T7.identity_error", "T7.identity_bound")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("condition", [10.0, 1e4])
def test_identity_bound_in_torch_float32(seed, condition):
    generator = torch.Generator().manual_seed(seed)
    m, n = 5, 9
    rotation = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0]
    covariance = (rotation * torch.logspace(0, -math.log10(condition), n)) @ rotation.mT
    covariance = ((covariance + covariance.mT) / 2).float()
    weight, key, shift = (torch.randn(*shape, generator=generator) for shape in ((m, n), (n, 1), (m, 1)))
    x = torch.cholesky_solve(key, torch.linalg.cholesky(covariance))
    s = key.mT @ x
    left = shift / s
    after = weight + left @ x.mT
    foretold = (2 * left.mT @ (weight @ key) + (left.mT @ left) * s).double().item()
    C = covariance.double()
    change = (((after.double() @ C) * after.double()).sum() - ((weight.double() @ C) * weight.double()).sum()).item()
    top, root = C.trace().item(), math.sqrt(torch.linalg.eigvalsh(C)[-1].item())
    sizes = (root * weight.double().norm().item(), root * (left.double() @ x.double().mT).norm().item())
    bound = identity_error_bound(FLOAT32, (m, n), *sizes, top / root**2)
    assert abs(change - foretold) <= bound
    assert bound < identity_error_bound(FLOAT32, (m, n), *sizes, float(n)) * 1.01


def test_identity_bound_is_infinite_where_the_format_is_too_coarse():
    assert identity_error_bound(BFLOAT16, (100, 200), 1.0, 0.1) == math.inf
    assert identity_error_bound(BFLOAT16, (3, 100), 1.0, 0.1, 2.0) == math.inf
    assert identity_error_bound(FLOAT64, (100, 200), 1.0, 0.1) < 1e-12


@pytest.mark.claim("T7.identity_error")
def test_cholesky_in_float32_has_the_stated_backward_error():
    random = np.random.default_rng(0)
    n = 20
    factor = random.standard_normal((n, n)) * np.geomspace(1, 1e-2, n)
    C = (factor @ factor.T).astype(np.float32)
    key = random.standard_normal(n).astype(np.float32)
    x = torch.cholesky_solve(torch.tensor(key)[:, None], torch.linalg.cholesky(torch.tensor(C))).numpy()[:, 0]
    wide = C.astype(float)
    top = np.linalg.norm(wide, 2)
    eps = solve_error(rounding_error(3 * n + 1, FLOAT32), rounding_error(n + 1, FLOAT32), np.trace(wide) / top)
    assert np.linalg.norm(wide @ x.astype(float) - key) <= eps * top * np.linalg.norm(x.astype(float))


@pytest.mark.claim("T7.drift")
@given(st.lists(st.floats(min_value=-0.5, max_value=1.0, width=32), min_size=1, max_size=40))
def test_a_float16_running_sum_drifts_no_further(changes):
    tracked, truth, largest = np.float16(4), Fraction(4), Fraction(4)
    for change in map(float, changes):
        if truth + Fraction(change) < 0:
            break
        tracked, truth = np.float16(round_to(float(tracked) + change, FLOAT16)), truth + Fraction(change)
        largest = max(largest, truth)
    bound = drift(len(changes), FLOAT16.unit_roundoff, Fraction(0), Fraction(0), largest)
    assert abs(Fraction(float(tracked)) - truth) <= bound


@pytest.mark.claim("T7.drift", "T7.anchor")
def test_bounds_do_not_vanish_at_float64s_roundoff():
    u = FLOAT64.unit_roundoff
    assert drift(1000, float(u), 0.0, 0.0, 1.0) == pytest.approx(float(drift(1000, u, 0, 0, 1)), rel=1e-13)
    assert drift(1000, float(u), 0.0, 0.0, 1.0) >= 1000 * float(u)
    assert anchor_error(20 * float(u), float(u)) == pytest.approx(13 * float(u), rel=1e-12)


@pytest.mark.claim("T7.lost")
def test_thresholds_at_every_finite_float16_number():
    every = torch.arange(2**15 - 2**10, dtype=torch.int16).view(torch.float16).double()  # subnormal, normal, largest
    u, normal = 2.0**-11, 2.0**-14
    for sign in (-1, 1):
        assert torch.equal((every + sign * lost_below(every, u)).half().double(), every)
        moved = (every + sign * kept_above(every, u) * (1 + 2.0**-10)).half().double()
        assert bool((moved[every >= normal] != every[every >= normal]).all())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: squares_error(0, FLOAT32), "a sum of 0 squares"),
        (lambda: identity_error_bound(FLOAT32, (0, 3), 1.0, 1.0), r"shape \(0, 3\)"),
        (lambda: identity_error_bound(FLOAT32, (2, 3), math.nan, 1.0), "sizes nan and 1.0"),
        (lambda: identity_error_bound(FLOAT32, (2, 3), 1.0, 1.0, -2.0), "rank -2.0"),
        (lambda: product_tail(-1.0), "> -1.0"),
        (lambda: changed_share(1.0, 1e6, FLOAT16), "size 1000000.0 do not fit into float16"),
        (lambda: rounding_noise(1e-9, FLOAT16), "size 1e-09 do not fit"),
        (lambda: rounding_noise(math.nan, FLOAT32), "size nan do not fit"),
        (lambda: storage_noise(0, 1.0, 0.5, 1.0, FLOAT32), "0 rows"),
        (lambda: storage_noise(2, 1.0, 2.0, 1.0, FLOAT32), "tr C² = 1.0"),
    ],
)
def test_misuse_names_the_value(call, message):
    with pytest.raises(Misuse, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.claim("T7.anchor")
@pytest.mark.parametrize(("dtype", "target"), [(torch.float32, FLOAT32), (torch.bfloat16, BFLOAT16)])
def test_anchored_values_in_torch(dtype, target):
    value = torch.randn(4096, generator=torch.Generator().manual_seed(1)).to(dtype)
    anchored = (3.0 / value.norm()) * value
    assert anchored.dtype == dtype
    # torch accumulates in float32, in lanes and no longer than in order
    most = anchor_error(squares_error(4096, FLOAT32), float(target.unit_roundoff))
    assert abs(anchored.double().norm().item() / 3 - 1) <= most
