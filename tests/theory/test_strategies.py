"""The strategies draw what they say, the laws hold of correct editors, and catch every planted broken one."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from theory.bounds import (
    Batch,
    Finding,
    Stream,
    assert_anchored,
    assert_batch_identity,
    assert_growth_at_most,
    assert_identity,
    assert_target,
    check_identity,
    soft,
    within_worst_case,
)
from theory.command import Misuse
from theory.strategies import (
    NEAR,
    adversarial_keys,
    batches,
    covariances,
    keys,
    streams,
    values,
    weights,
)

ROOT = Path(__file__).parent.parent.parent
C6 = np.diag([4.0, 2.0, 1.0, 1.0, 0.5, 0.25]) + 0.1  # a fixed covariance of condition number about 20


QUICK = settings(phases=[Phase.generate], database=None, derandomize=True, max_examples=500)  # found, not shrunk


def anything(_):
    return True


# Correct editors, each in the textbook's form.
def hard(W, k, v):
    return W + np.outer(v - W @ k, k) / (k @ k)


def rome(C):
    def edit(W, k, v):
        u = np.linalg.solve(C, k)
        return W + np.outer(v - W @ k, u) / (k @ u)

    return edit


def memit(A):
    return lambda W, k, v: W + np.outer(v - W @ k, np.linalg.solve(A + np.outer(k, k), k))


def anchored(edit, a=2.0):
    return lambda W, k, v: edit(W, k, a * v / np.linalg.norm(v))


def clamped(edit, limit):
    """Shorten v − Wk to limit(W, k)."""

    def shortened(W, k, v):
        read = W @ k
        step, most = v - read, limit(W, k)
        length = np.linalg.norm(step)
        return edit(W, k, read + step * min(1.0, most / length) if length > 0 else v)

    return shortened


# Broken ones, for square weights: what each gets wrong is its name.
def forgets_the_residual(W, k, v):
    return W + np.outer(v, k) / (k @ k)


def writes_too_much(W, k, v):
    return W + 1.01 * np.outer(v - W @ k, k) / (k @ k)


def writes_half(W, k, v):
    return W + 0.5 * np.outer(v - W @ k, k) / (k @ k)


def transposes(W, k, v):
    return W + np.outer(k, v - W @ k) / (k @ k)


def divides_by_the_length(W, k, v):
    return W + np.outer(v - W @ k, k) / np.linalg.norm(k)


def reads_with_the_transpose(W, k, v):
    return W + np.outer(v - W.T @ k, k) / (k @ k)


def writes_the_wrong_sign(W, k, v):
    return W - np.outer(v - W @ k, k) / (k @ k)


def does_nothing(W, k, v):
    return W


def writes_c_for_its_inverse(W, k, v):
    return W + np.outer(v - W @ k, C6 @ k) / (k @ C6 @ k)


def soft_solve_called_hard(W, k, v):
    return memit(C6)(W, k, v)


def repeats_are_ignored(W, k, v):
    """Leaves the weight alone where the read-out is already twice the value."""
    return W if np.allclose(W @ k, 2 * v) else hard(W, k, v)


def fails(law, *strategies):
    """The law, run on drawn streams, finds the planted fault and reports its numbers."""
    run = settings(max_examples=100, database=None, derandomize=True, phases=[Phase.generate],
                   report_multiple_bugs=False)(given(*strategies)(law))  # fmt: skip
    with pytest.raises(AssertionError, match=r"edit \d+: ‖W'.*; the law allows"):
        run()


@given(keys(5), values(3), weights(3, 5))
def test_arrays_have_their_shapes_and_vectors_are_never_zero(key, value, weight):
    assert key.shape == (5,)
    assert value.shape == (3,)
    assert weight.shape == (3, 5)
    assert {part.dtype for part in (key, value, weight)} == {np.dtype(np.float64)}
    assert np.any(key)
    assert np.any(value)
    assert np.all(np.isfinite(weight))


@given(st.data(), st.sampled_from([1.0, 2.0, 100.0, 1e4]), st.integers(2, 7))
def test_covariances_have_the_condition_number_that_is_asked_for(data, condition, n):
    matrix = data.draw(covariances(n, condition))
    spectrum = np.linalg.eigvalsh(matrix)
    assert np.array_equal(matrix, matrix.T)
    assert spectrum[-1] / spectrum[0] == pytest.approx(condition, rel=1e-10)


def test_covariances_turn_and_one_dimension_has_condition_one():
    assert find(covariances(1, 1.0), anything).tolist() == [[1.0]]
    turned = find(covariances(3, 10.0), lambda C: abs(C[0, 1]) > 0.1 and abs(C[1, 2]) > 0.1, settings=QUICK)
    assert np.linalg.eigvalsh(turned)[0] > 0
    assert np.array_equal(find(covariances(3, 9.0), anything), np.diag([1.0, 1.0, 9.0]))


def test_drawn_things_shrink_to_small_whole_numbers():
    assert not np.any(find(weights(2, 3), anything))
    assert find(keys(2), lambda key: np.linalg.norm(key) >= 10).tolist() in ([10.0, 0.0], [0.0, 10.0])
    start, pairs = find(streams(2, 3, 3), lambda stream: len(stream.pairs) >= 2)
    assert not np.any(start)
    assert [(key.tolist(), value.tolist()) for key, value in pairs] == [([1.0, 0.0, 0.0], [1.0, 0.0])] * 2


def some_pair(test):
    return lambda stream: any(
        test(stream.start, one, other) for i, one in enumerate(stream.pairs) for other in stream.pairs[:i]
    )


@pytest.mark.parametrize(
    "wanted",
    [
        some_pair(lambda W, one, other: np.array_equal(one[0], other[0]) and not np.array_equal(one[1], other[1])),
        some_pair(lambda W, one, other: all(map(np.array_equal, one, other)) and np.linalg.norm(one[0]) > 1),
        some_pair(lambda W, one, other: 0 < np.linalg.norm(one[0] - other[0]) < 2 * NEAR * np.linalg.norm(one[0])),
        lambda stream: np.array_equal(stream.start @ stream.pairs[0][0], stream.pairs[0][1]),
        lambda stream: np.ptp([np.log10(np.linalg.norm(key)) for key, _ in stream.pairs]) > 3,
    ],
    ids=["repeated key", "repeated pair", "near-collinear keys", "zero residual", "lengths over three decades"],
)
def test_streams_hold_what_editors_stumble_over(wanted):
    """`find` raises where nothing drawn is so."""
    stream = find(streams(2, 3, 6), wanted, settings=QUICK)
    assert all(np.any(key) and np.any(value) for key, value in stream.pairs)


@given(st.data())
def test_adversarial_keys_lie_in_the_null_space_or_along_a_singular_direction(data):
    weight = data.draw(weights(2, 4))
    key = data.draw(adversarial_keys(weight))
    read, length = np.linalg.norm(weight @ key), np.linalg.norm(key)
    top = np.linalg.norm(weight, 2)
    assert length > 0
    assert read <= 1e-12 * top * length or read == pytest.approx(top * length, rel=1e-12)


def test_a_weight_of_full_rank_has_its_weakest_and_strongest_directions_for_adversaries():
    weight = np.diag([3.0, 2.0, 1.0])
    for wanted in (1.0, 3.0):
        key = find(
            adversarial_keys(weight, decades=0),
            lambda k, wanted=wanted: abs(np.linalg.norm(weight @ k) - wanted) < 1e-9,
        )
        assert np.linalg.norm(key) == pytest.approx(1.0)


@pytest.mark.claim("T1.identity", "T1.identity_metric", "T1.rome", "T1.memit")
@given(streams(m=4, n=6, edits=12), covariances(6))
def test_correct_editors_obey_the_identity_and_meet_their_targets(stream, C):
    assert_identity(hard, stream)
    assert_identity(rome(C), stream, covariance=C)
    assert_identity(memit(C), stream, covariance=C, eta=soft)
    assert_target(rome(C), stream)
    assert_target(memit(C), stream, covariance=C, eta=soft)


@pytest.mark.claim("T5.worst_case", "T5.sharp")
@given(streams(m=4, n=6, edits=12), covariances(6))
def test_correct_anchored_editors_stay_within_the_worst_case(stream, C):
    assert_anchored(anchored(hard), stream, anchor=2.0)
    assert_anchored(anchored(rome(C)), stream, anchor=2.0, covariance=C)
    assert_anchored(anchored(memit(C)), stream, anchor=2.0, covariance=C, eta=soft)


@pytest.mark.claim("T5.attained")
@given(st.data())
def test_the_adversary_takes_all_that_the_worst_case_allows(data):
    weight = data.draw(weights(2, 4))
    editor, norms, sizes = anchored(hard), [np.sum(weight**2)], []
    for _ in range(6):
        key = data.draw(adversarial_keys(weight, decades=0).filter(lambda k, W=weight: np.allclose(W @ k, 0)))
        weight = editor(weight, key, np.ones(2))
        norms.append(np.sum(weight**2))
        sizes.append(key @ key)
    last = within_worst_case(norms, 2.0, 1.0, sizes)[-1]
    assert last.holds
    assert last.found == pytest.approx(last.expected, rel=1e-9)


@given(streams(m=4, n=6, edits=12), covariances(6))
def test_clamped_editors_grow_as_slowly_as_the_triangle_inequality_says(stream, C):
    relative = clamped(rome(C), lambda W, k: 0.5 * np.linalg.norm(W @ k))
    assert_growth_at_most(relative, stream, factor=1.5, covariance=C)
    assert_growth_at_most(clamped(hard, lambda W, k: 3.0), stream, clamp=3.0)


@pytest.mark.claim("T1.batch")
@given(batches(3, 5, 4), covariances(5))
def test_batches_obey_the_batch_identity(batch, C):
    def solve(W, K, V):
        return W + np.linalg.solve(C + K @ K.T, K @ (V - W @ K).T).T

    assert_batch_identity(solve, batch, covariance=C)


def test_a_batch_written_key_by_key_or_without_its_ridge_is_caught():
    def one_by_one(W, K, V):
        for k, v in zip(K.T, V.T, strict=True):
            W = memit(np.eye(4))(W, k, v)
        return W

    fails(lambda batch: assert_batch_identity(one_by_one, batch), batches(3, 4, 3))
    fails(lambda batch: assert_batch_identity(lambda W, K, V: W + (V - W @ K) @ K.T, batch), batches(3, 4, 3))


@pytest.mark.parametrize(
    "editor",
    [
        forgets_the_residual, writes_too_much, writes_half, transposes, divides_by_the_length,
        reads_with_the_transpose, writes_the_wrong_sign, does_nothing, writes_c_for_its_inverse,
        soft_solve_called_hard, repeats_are_ignored,
    ],
)  # fmt: skip
def test_the_identity_catches(editor):
    fails(lambda stream: assert_identity(editor, stream), streams(m=6, n=6, edits=10))


def test_the_identity_catches_c_for_its_inverse_and_i_in_any_metric():
    fails(lambda stream: assert_identity(writes_c_for_its_inverse, stream, covariance=C6), streams(4, 6, 5))
    fails(lambda stream: assert_identity(hard, stream, covariance=C6), streams(4, 6, 5))


def test_the_identity_catches_a_wrong_share():
    def squared(s):
        return soft(s) ** 2

    fails(lambda stream: assert_identity(memit(C6), stream, covariance=C6, eta=squared), streams(m=4, n=6, edits=5))


@pytest.mark.parametrize(
    "editor",
    [
        hard,  # anchors nothing
        anchored(hard, a=2.01),
        anchored(forgets_the_residual),
        anchored(writes_too_much),
        anchored(divides_by_the_length),
        anchored(transposes),
        lambda W, k, v: hard(W, k, v + 2.0 * v / np.linalg.norm(v)),
    ],
    ids=["no anchor", "anchor too long", "no residual", "η above 1", "length for s", "transposed", "added to v"],
)
def test_the_worst_case_catches(editor):
    fails(lambda stream: assert_anchored(editor, stream, anchor=2.0), streams(m=6, n=6, edits=10))


def test_growth_catches_an_editor_without_a_clamp_and_one_that_clamps_the_value():
    fails(lambda stream: assert_growth_at_most(hard, stream, factor=1.5), streams(3, 4, 6))
    fails(lambda stream: assert_growth_at_most(anchored(hard, 3.0), stream, clamp=2.9), streams(3, 4, 6))


def test_a_target_that_is_missed_is_caught():
    fails(lambda stream: assert_target(memit(C6), stream), streams(4, 6, 4))


def test_editors_may_write_in_place_but_must_keep_the_shape():
    def in_place(W, k, v):
        W += np.outer(v - W @ k, k) / (k @ k)
        return W

    stream = Stream(np.ones((2, 3)), [(np.arange(3.0), np.ones(2))] * 2)
    assert_identity(in_place, stream)
    with pytest.raises(AssertionError, match=r"edit 0: the editor returned shape \(3, 2\) for a weight \(2, 3\)"):
        assert_identity(lambda W, k, v: W.T, stream)


def test_a_finding_tells_its_numbers_and_never_holds_of_nan_or_infinity():
    one = np.ones((1, 1))
    finding = check_identity(one, 3 * one, np.ones(1), np.array([2.0]), edit=7)
    assert str(finding).startswith("edit 7: ‖W'‖²_A − ‖W‖²_A is 8; the law allows exactly 3 (tolerance ")
    assert not check_identity(one, one * np.inf, np.ones(1), np.ones(1)).holds
    assert not Finding("x", 0, np.nan, 1.0, 1.0, bound=True).holds


def test_misuse_names_the_value():
    one = np.ones((1, 1))
    for wrong, call in [
        ("s = kᵀA⁻¹k is 0.0", lambda: check_identity(one, one, np.zeros(1), np.ones(1))),
        ("share η is 1.5", lambda: check_identity(one, one, np.ones(1), np.ones(1), eta=1.5)),
        ("anchor is 0", lambda: assert_anchored(hard, Stream(one, []), anchor=0)),
        ("2 norms are given for 2 edits", lambda: within_worst_case([1.0, 1.0], 1.0, 1.0, [1.0, 1.0])),
        ("condition number is 0.5", lambda: find(covariances(2, 0.5), anything)),
        ("cannot have condition number 100", lambda: find(covariances(1), anything)),
        ("streams of 0 edits", lambda: streams(1, 1, 0)),
        (r"shape \(0, 2\)", lambda: weights(0, 2)),
    ]:
        with pytest.raises(Misuse, match=wrong):
            call()


@given(streams(m=3, n=5, edits=15), st.data())
@settings(max_examples=60, deadline=None)
def test_the_tolerance_is_ample_up_to_the_condition_number_that_the_documentation_names(stream, data):
    C = data.draw(covariances(5, condition=1e4))
    assert_identity(rome(C), stream, covariance=C)
    assert_identity(memit(C), stream, covariance=C, eta=soft)
    assert_anchored(anchored(rome(C)), stream, anchor=2.0, covariance=C)


def test_without_hypothesis_the_import_names_the_extra():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import theory.bounds\n"
        "from theory.command import Misuse\n"
        "try:\n    import theory.strategies\n"
        "except ImportError as error:\n    print(isinstance(error, Misuse), error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("True theory.strategies needs hypothesis, which is not installed; pip install ")
    assert "norm-anchor-lab[properties]" in done.stdout


def test_the_worked_example_of_the_documentation_runs_and_its_broken_editor_fails(tmp_path):
    text = (ROOT / "docs" / "property-tests.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 3
    for number, block in enumerate(blocks):
        (tmp_path / f"test_example_{number}.py").write_text(block, encoding="utf-8")
    few = "from hypothesis import settings\nsettings.register_profile('few', max_examples=15, deadline=None)\n"
    (tmp_path / "conftest.py").write_text(few + "settings.load_profile('few')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    failed = re.findall(r"^FAILED \S+::(\w+)", done.stdout, flags=re.MULTILINE)
    assert failed == ["test_forgetful_editor"], done.stdout
    assert re.search(r"^E\s+AssertionError: edit 0: ‖W'‖²_A − ‖W‖²_A is ", done.stdout, flags=re.MULTILINE)
    assert Batch  # the document's names exist; the imports above and in the blocks are the same module
