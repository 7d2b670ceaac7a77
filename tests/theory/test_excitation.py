"""T5's read-outs, relaxation by direction and excitation, by exhaustive key laws and streams made in numbers."""

import itertools
import math

import numpy as np
import pytest
from scipy import linalg, stats

from theory.anchoring.excitation import (
    Excitation,
    bernoulli_divergence,
    chernoff_high,
    chernoff_low,
    excitation,
    frame_norm,
    plateau_interval,
)
from theory.anchoring.plateaus import readout_bound
from theory.command import Misuse


@pytest.mark.claim("T5.average_readout")
@pytest.mark.parametrize("eta", [1.0, 0.5, 0.05])
@pytest.mark.parametrize("keys", ["free", "unseen", "one"])
def test_no_stream_reads_out_more_than_the_bound(eta, keys):
    rng = np.random.default_rng(3)
    m, n, a, edits = 3, 5, 1.5, 150
    root = rng.normal(size=(n, n))
    M = root @ root.T + 0.5 * np.eye(n)
    W, inverse, same = rng.normal(size=(m, n)) * 3, np.linalg.inv(M), rng.normal(size=n)
    start, sizes, reads = np.trace(W @ inverse @ W.T), [], []
    for _ in range(edits):
        k = {"free": rng.normal(size=n), "unseen": linalg.null_space(W)[:, 0], "one": same}[keys]
        v = W @ k + rng.normal(size=m) * 1e-3 if rng.random() < 0.5 else rng.normal(size=m)
        v *= a / np.linalg.norm(v)
        s = k @ M @ k
        sizes.append(s)
        reads.append(np.sum((W @ k) ** 2))
        W = W + eta * np.outer(v - W @ k, M @ k) / s
    weights = eta / np.array(sizes)
    means = np.cumsum(weights * reads) / np.cumsum(weights)
    bound = readout_bound(start, a, eta, sizes)
    assert np.all(means <= bound * (1 + 1e-9))
    if eta == 1.0:  # T1 is an equality: what is not read out is still held
        held = np.trace(W @ inverse @ W.T)
        assert means[-1] == pytest.approx(bound[-1] - held / weights.sum(), rel=1e-9, abs=1e-9)


@pytest.mark.claim("T5.spectrum")
def test_the_mean_norm_over_all_streams_on_axes():
    rng = np.random.default_rng(0)
    rates, sizes, a, edits = np.array([0.7, 0.2, 0.1]), np.array([1.0, 2.0, 0.5]), 1.3, 4
    start = rng.normal(size=(2, 3))
    total = np.zeros(edits + 1)
    for axes in itertools.product(range(3), repeat=edits):
        W, weight = start.copy(), np.prod(rates[list(axes)])
        norms = [np.sum(W**2)]
        for axis in axes:
            v = rng.normal(size=2)
            W[:, axis] = a * v / np.linalg.norm(v) / sizes[axis]
            norms.append(np.sum(W**2))
        total += weight * np.array(norms)
    found = frame_norm(rates, a**2 / sizes**2, np.sum(start**2, axis=0), edits)
    np.testing.assert_allclose(found, total, rtol=1e-12)


@pytest.mark.claim("T5.spectrum")
def test_the_mean_weight_over_all_streams_of_three_skew_keys():
    rng = np.random.default_rng(1)
    keys, start, edits = rng.normal(size=(3, 2)), rng.normal(size=(2, 2)), 3
    Q = sum(np.outer(k, k) / (k @ k) for k in keys) / 3
    mean = np.zeros_like(start)
    for choice in itertools.product(range(3), (1, -1), repeat=edits):
        W = start
        for i, sign in zip(choice[::2], choice[1::2], strict=True):
            k = keys[i]
            W = W + np.outer(sign * np.array([0.6, 0.8]) - W @ k, k) / (k @ k)
        mean += W / 6**edits
    np.testing.assert_allclose(mean, start @ np.linalg.matrix_power(np.eye(2) - Q, edits), atol=1e-12)


LAW = np.array([[1.0, 0.4, -0.3], [0.1, 1.2, 0.8]])
SHARES = np.array([1.0, 0.6, 0.9])


def true_mu(chances):
    return np.linalg.eigvalsh(
        sum(p * e * np.outer(k, k) / (k @ k) for p, e, k in zip(chances, SHARES, LAW.T, strict=True))
    )[0]


@pytest.mark.claim("T5.excitation_bias")
def test_the_sample_is_biased_downwards_over_all_samples_of_a_skew_law():
    chances = np.array([0.5, 0.3, 0.2])
    for count in (2, 3, 5):
        mean = sum(
            np.prod(chances[list(drawn)]) * excitation(LAW[:, drawn], shares=SHARES[list(drawn)]).mu
            for drawn in itertools.product(range(3), repeat=count)
        )
        assert 0 < mean < true_mu(chances)


@pytest.mark.claim("T5.excitation_interval", "T5.excitation_numbers")
@pytest.mark.parametrize("chances", [(0.5, 0.3, 0.2), (0.9, 0.05, 0.05)])
def test_the_interval_covers_over_all_samples_of_a_skew_law(chances):
    half, level = 6, 0.8
    mu, below, above = true_mu(chances), 0.0, 0.0
    counts = [c for c in itertools.product(range(half + 1), repeat=3) if sum(c) == half]
    for first, second in itertools.product(counts, counts):
        chance = stats.multinomial.pmf(first, half, chances) * stats.multinomial.pmf(second, half, chances)
        drawn = np.concatenate([np.repeat(range(3), first), np.repeat(range(3), second)])
        found = excitation(LAW[:, drawn], shares=SHARES[drawn], confidence=level)
        below, above = below + chance * (found.low > mu), above + chance * (found.high < mu)
        assert found.low <= found.mu
    assert below <= (1 - level) / 2
    assert above <= (1 - level) / 2


@pytest.mark.claim("T5.excitation_numbers")
def test_the_metric_enters_by_its_root():
    rng = np.random.default_rng(2)
    keys, root = rng.normal(size=(4, 300)), rng.normal(size=(4, 4))
    M = root @ root.T + np.eye(4)
    units = linalg.sqrtm(M) @ keys
    units = units / np.linalg.norm(units, axis=0)
    found = excitation(keys, metric=M)
    assert found.mu == pytest.approx(np.linalg.eigvalsh(units @ units.T / 300)[0], rel=1e-10)
    assert found.low < found.mu < found.high <= 0.25
    assert (found.keys, found.dimension) == (300, 4)
    assert plateau_interval(found, 2.0, 0.5) == (2 / found.high, 2 / found.low)


@pytest.mark.claim("T5.excitation_interval", "T5.excitation_numbers")
def test_chernoffs_limit_is_at_least_as_wide_as_the_exact_binomial_one():
    for successes, count, risk in ((3, 40, 0.025), (20, 40, 0.1), (40, 40, 0.05), (0, 10, 0.1)):
        exact_low = stats.beta.ppf(risk, successes, count - successes + 1) if successes else 0.0
        exact_high = stats.beta.isf(risk, successes + 1, count - successes) if successes < count else 1.0
        assert chernoff_low(successes / count, count, risk) <= exact_low + 1e-12
        assert chernoff_high(successes / count, count, risk) >= exact_high - 1e-12
    assert chernoff_low(1e-6, 100, 0.05) == 0.0  # its limit lies below every float
    assert bernoulli_divergence(0.2, 0.4) == pytest.approx(0.2 * math.log(0.5) + 0.8 * math.log(4 / 3), rel=1e-12)


@pytest.mark.claim("T5.excitation_bias")
def test_too_few_keys_bound_nothing():
    found = excitation(np.random.default_rng(0).normal(size=(6, 5)))
    assert (found.mu, found.low) == (0.0, 0.0)
    assert plateau_interval(found, 1.0, 1.0)[1] == math.inf


@pytest.mark.claim("T5.excitation_numbers")
@pytest.mark.parametrize(("mean", "count"), [(0.006, 12), (0.02, 12), (1e-3, 30), (1.0, 5), (1 - 1e-12, 5)])
def test_chernoffs_limit_is_found_where_it_lies_many_decades_below_the_mean(mean, count):
    low = chernoff_low(mean, count, 0.05)
    assert 0 <= low < mean
    if low > 0:
        assert count * bernoulli_divergence(mean, low) == pytest.approx(-math.log(0.05), rel=1e-9)


def test_misuse_is_named():
    with pytest.raises(Misuse, match=r"keys \(3,\)"):
        excitation(np.ones(3))
    with pytest.raises(Misuse, match="1 entries of the keys"):
        excitation(np.array([[1.0, math.nan]]))
    with pytest.raises(Misuse, match=r"shape \(3, 3\) does not fit keys of dimension 2"):
        excitation(np.eye(2), metric=np.eye(3))
    with pytest.raises(Misuse, match="over 0 numbers"):
        chernoff_low(0.5, 0, 0.1)
    with pytest.raises(Misuse, match="anchor of -1"):
        plateau_interval(Excitation(0.1, 0.0, 0.2, 3, 4), -1.0, 1.0)
    with pytest.raises(Misuse, match="and -1 edits"):
        frame_norm([1.0], [1.0], [0.0], -1)
    with pytest.raises(Misuse, match="1 keys at confidence"):
        excitation(np.ones((2, 1)))
    with pytest.raises(Misuse, match="1 keys are zero"):
        excitation(np.array([[1.0, 0.0], [1.0, 0.0]]))
    with pytest.raises(Misuse, match=r"from 0\.5 to 1\.5"):
        excitation(np.eye(2), shares=[0.5, 1.5])
    with pytest.raises(Misuse, match="positive definite"):
        excitation(np.eye(2), metric=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(Misuse, match=r"sum to 0\.5"):
        frame_norm([0.25, 0.25], [1.0, 1.0], [0.0, 0.0], 1)
    assert plateau_interval(Excitation(0.1, 0.0, 0.2, 3, 4), 1.0, 1.0)[1] == math.inf
