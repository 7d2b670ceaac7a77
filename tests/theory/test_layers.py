"""Several edited layers: the spread write made in numbers, over exhaustive laws of keys and values."""

import itertools

import numpy as np
import pytest

from theory.anchoring.plateaus import early_layer_rate
from theory.command import Misuse


def spread(weights, keys, value, *, joint=False):
    """One hard spread write, M = I, as MEMIT goes through its layers: the residual is taken anew at each."""
    p = len(weights)
    seen = [W @ k for W, k in zip(weights, keys, strict=True)]
    goal = value if joint else sum(seen[:-1], np.zeros_like(value)) + value
    after = list(weights)
    for i, k in enumerate(keys):
        residual = goal - sum(W @ key for W, key in zip(after, keys, strict=True))
        after[i] = after[i] + np.outer(residual / (p - i), k) / (k @ k)
    return after


def scene(p, seed=0, m=3, sizes=(4, 5, 3, 6)):
    rng = np.random.default_rng(seed)
    return rng, [rng.normal(size=(m, n)) for n in sizes[:p]], [rng.normal(size=n) for n in sizes[:p]]


@pytest.mark.claim("T5.layers")
@pytest.mark.parametrize("p", [2, 3, 4])
def test_the_last_layer_goes_its_share_of_the_way_and_keeps_its_bound(p):
    rng, weights, keys = scene(p)
    value = rng.normal(size=3)
    a, s = np.linalg.norm(value), keys[-1] @ keys[-1]
    after = spread(weights, keys, value)
    read = weights[-1] @ keys[-1]
    np.testing.assert_allclose(after[-1] @ keys[-1], read + (value - read) / p, rtol=1e-10)
    centre = (1 - 1 / p) / (2 - 1 / p)
    weights[-1] = weights[-1] + np.outer(centre * value - read, keys[-1]) / s  # where T5.sharp is met
    grown = np.sum(spread(weights, keys, value)[-1] ** 2) - np.sum(weights[-1] ** 2)
    assert grown == pytest.approx(a**2 / ((2 * p - 1) * s), rel=1e-9)


@pytest.mark.claim("T5.layers_counterexample")
@pytest.mark.parametrize("p", [2, 3])
def test_an_earlier_layer_grows_in_the_mean_at_every_weight(p):
    """All signs of keys on orthogonal frames and of values: isotropic, undirected, independent."""
    n, m, a = 2, 2, 1.5
    rng = np.random.default_rng(4)
    weights = [rng.normal(size=(m, n)) for _ in range(p)]
    frames = [np.sqrt(3) * np.linalg.qr(rng.normal(size=(n, n)))[0].T for _ in range(p)]
    signed = [np.concatenate([frame, -frame]) for frame in frames]
    values = a * np.concatenate([np.eye(m), -np.eye(m)])
    changes = np.array([
        [np.sum(after**2) - np.sum(W**2) for W, after in zip(weights, spread(weights, keys, v), strict=True)]
        for *keys, v in itertools.product(*signed, values)
    ]).mean(axis=0)  # fmt: skip
    seen = np.sum(weights[-1] ** 2) * 3 / n
    np.testing.assert_allclose(changes[:-1], (a**2 + seen) / (3 * p**2), rtol=1e-10)
    assert changes[-1] == pytest.approx((a**2 / p**2 - (2 - 1 / p) / p * seen) / 3, rel=1e-10)


@pytest.mark.claim("T5.layers_counterexample")
@pytest.mark.parametrize("p", [2, 3, 5])
def test_the_rate_is_reached(p):
    """The exact mean recursion of the last layer and of an earlier one, m = n = 1, keys of size 2."""
    last, first, a, s = 7.0, 0.0, 1.2, 4.0
    for _ in range(400):
        before, seen = first, s * last
        first = first + (a**2 + seen) / (p**2 * s)
        last = last + (a**2 / p**2 - (2 - 1 / p) / p * seen) / s
    assert first - before == pytest.approx(early_layer_rate(a, p, s), rel=1e-12)


@pytest.mark.claim("T5.layers_linear")
@pytest.mark.parametrize("p", [2, 3, 4])
def test_directed_values_make_an_earlier_layer_grow_linearly(p):
    a, edits = 1.5, 60
    weights = [np.zeros((1, 1)) for _ in range(p - 1)] + [np.array([[-a / (2 * p - 1)]])]
    for t in range(edits):
        keys = [np.ones(1)] * (p - 1) + [np.array([(-1.0) ** t])]
        weights = spread(weights, keys, np.array([a]))
        assert abs(weights[-1].item()) <= a / (2 * p - 1) + 1e-12
    for W in weights[:-1]:
        assert W.item() == pytest.approx(edits * 2 * a / (2 * p - 1), rel=1e-10)
        assert W.item() <= 2 * a * edits / p


@pytest.mark.claim("T5.layers_linear")
def test_no_stream_beats_the_linear_bound():
    rng, weights, _ = scene(3, seed=5)
    a, edits, p = 1.0, 300, 3
    start, s, norm = np.sum(weights[-1] ** 2), 2.0, np.linalg.norm(weights[0])
    for _ in range(edits):
        keys = [k * np.sqrt(s) / np.linalg.norm(k) for k in (rng.normal(size=W.shape[1]) for W in weights)]
        v = weights[0] @ keys[0]  # pushes the first layer where it points already
        weights = spread(weights, keys, a * v / np.linalg.norm(v))
    bound = norm + (edits * a + np.sqrt(edits * (p * s * start + edits * a**2))) / (p * np.sqrt(s))
    grown = np.linalg.norm(weights[0])
    assert np.sqrt(edits) * a < grown <= bound


@pytest.mark.claim("T5.layers_joint")
@pytest.mark.parametrize("p", [2, 3, 4])
def test_anchoring_the_sum_bounds_all_layers(p):
    rng, weights, keys = scene(p, seed=6)
    value = rng.normal(size=3)
    q = sum(W @ k for W, k in zip(weights, keys, strict=True))
    after = spread(weights, keys, value, joint=True)
    change = sum(k @ k * (np.sum(new**2) - np.sum(W**2)) for k, new, W in zip(keys, after, weights, strict=True))
    assert change == pytest.approx((value @ value - q @ q) / p, rel=1e-10)


def test_misuse_is_named():
    with pytest.raises(Misuse, match="1 layers"):
        early_layer_rate(1.0, 1, 1.0)


@pytest.mark.claim("T5.layers_counterexample")
def test_soft_layers_grow_too_by_their_share_of_the_residual():
    """MEMIT's writes, p = 2, all signs of keys and of values: layer 1 moves by η_1/2 of r."""
    rng, a, s = np.random.default_rng(7), 1.3, 0.8
    first, last = rng.normal(size=(2, 1)), rng.normal(size=(2, 1))
    eta, grown = s / (1 + s), []
    for one, two, axis, sign in itertools.product((1, -1), (1, -1), (0, 1), (1, -1)):
        residual = sign * a * np.eye(2)[axis][:, None] - last * two * np.sqrt(s)
        after = first + eta * residual / 2 * one / np.sqrt(s)
        grown.append(np.sum(after**2) - np.sum(first**2))
    assert np.mean(grown) == pytest.approx(eta**2 / 4 * (a**2 + s * np.sum(last**2)) / s, rel=1e-10)
