"""What a property test cannot decide is named on one line: shapes, covariances, keys and numbers that make no sense."""

import numpy as np
import pytest

from theory.bounds import (
    Batch,
    Stream,
    assert_anchored,
    assert_batch_identity,
    assert_growth_at_most,
    assert_identity,
    assert_target,
    soft,
    within_worst_case,
)
from theory.command import Misuse
from theory.strategies import adversarial_keys, keys, values


def hard(W, k, v):
    return W + np.outer(v - W @ k, k) / (k @ k)


def idle(W, k, v):
    return W


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.zeros((3, 3)), "least eigenvalue is 0; pass a positive definite one"),
        (np.diag([1.0, -1.0, 1.0]), "least eigenvalue is -1"),  # though s > 0 for the key (1, 0, 0)
        (np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), "differs from its transpose by 0.5"),
        (np.full((3, 3), np.nan), "differs from its transpose by nan"),
        (np.eye(2), r"a covariance \(2, 2\) is given for keys"),
    ],
)
def test_a_matrix_that_is_no_covariance_is_named(covariance, message):
    stream = Stream(np.ones((2, 3)), [(np.array([1.0, 0.0, 0.0]), np.ones(2))])
    laws = [
        lambda: assert_identity(hard, stream, covariance=covariance),
        lambda: assert_growth_at_most(hard, stream, covariance=covariance),
        lambda: assert_target(hard, stream, covariance=covariance),
        lambda: assert_anchored(hard, stream, anchor=1.0, covariance=covariance),
        lambda: assert_batch_identity(
            idle, Batch(np.ones((2, 3)), np.eye(3)[:, :2], np.ones((2, 2))), covariance=covariance
        ),
    ]
    for law in laws:
        with pytest.raises(Misuse, match=message):
            law()


@pytest.mark.parametrize(
    ("key", "value"), [(np.ones(2), np.ones(2)), (np.ones(3), np.ones(3)), (np.ones((3, 2)), np.ones((2, 1)))]
)
def test_a_pair_that_does_not_fit_the_weight_is_named(key, value):
    with pytest.raises(Misuse, match="do not fit a weight"):
        assert_identity(hard, Stream(np.ones((2, 3)), [(key, value)]))


@pytest.mark.parametrize("key", [np.zeros(3), np.array([np.nan, 1, 1]), np.array([np.inf, 0, 0])])
def test_a_key_without_a_size_is_named(key):
    with pytest.raises(Misuse, match=r"s = kᵀA⁻¹k is (0\.0|nan|inf) for a key of length"):
        assert_identity(idle, Stream(np.ones((2, 3)), [(key, np.ones(2))]))


def test_a_stream_without_edits_passes_no_test_and_lists_are_arrays_too():
    for law in (assert_identity, assert_target, assert_growth_at_most):
        with pytest.raises(Misuse, match="a stream of 0 edits is given"):
            law(hard, Stream(np.ones((2, 3)), []))
    assert_identity(hard, Stream([[1.0, 2, 3], [4, 5, 6]], [([1.0, 2, 0], [1.0, 1])]))


def test_misuse_of_the_numbers_is_named():
    one = Stream(np.ones((1, 1)), [(np.ones(1), np.ones(1))])
    for wrong, call in [
        ("the factor is nan", lambda: assert_growth_at_most(hard, one, factor=np.nan)),
        ("the clamp -1", lambda: assert_growth_at_most(hard, one, clamp=-1.0)),
        (r"norms of shape \(\)", lambda: within_worst_case(1.0, 1.0, 1.0, 1.0)),
        (r"norms of shape \(0,\)", lambda: within_worst_case([], 1.0, 1.0, [])),
        ("s = kᵀA⁻¹k is -1", lambda: soft(-1.0)),
        ("s = kᵀA⁻¹k is inf", lambda: soft(np.inf)),
        (r"shape \(2, 3\) that is not finite", lambda: adversarial_keys(np.full((2, 3), np.nan))),
        (r"shape \(3,\) that is no matrix", lambda: adversarial_keys(np.ones(3))),
        ("over ±-1 decades", lambda: keys(2, decades=-1)),
        ("over ±400 decades", lambda: values(2, decades=400)),
    ]:
        with pytest.raises(Misuse, match=wrong) as caught:
            call()
        assert "\n" not in str(caught.value)
