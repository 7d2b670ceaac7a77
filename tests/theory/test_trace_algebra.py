"""The decision procedure against random matrices: sound with rules, complete without, and strict about shapes."""

import functools

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.provers.trace_algebra import Algebra, commuting, dimension, inverses, projector

M, N = 5, 6  # the sizes at which symbolic dimensions m and n are tried


def matrices(seed):
    """Random matrices that obey the rules of `RULED`."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(N, N))
    k = rng.normal(size=(N, 1))
    free = rng.normal(size=(M, N))
    basis = np.linalg.qr(rng.normal(size=(N, 3)))[0]
    S = root @ root.T / N + np.eye(N)
    return {
        "W": free - (free @ k) @ k.T / (k.T @ k),
        "V": rng.normal(size=(M, N)),
        "A": rng.normal(size=(N, N)) / 2,
        "k": k,
        "v": rng.normal(size=(M, 1)),
        "S": S,
        "S⁻¹": np.linalg.inv(S),
        "P": basis @ basis.T,
    }


SHAPES = {"W": ("m", "n"), "V": ("m", "n"), "A": ("n", "n"), "k": ("n", 1), "v": ("m", 1)}
SHAPES |= {"S": ("n", "n"), "S⁻¹": ("n", "n"), "P": ("n", "n")}
RULED = Algebra(SHAPES, ("S", "S⁻¹", "P"), (*inverses("S", "S⁻¹"), *projector("P"), ("W k", {})))
FREE = Algebra(SHAPES, ("S", "S⁻¹", "P"))


def number(name, given):
    """An atom's value from its name alone."""
    if name in "mn":
        return {"m": M, "n": N}[name]
    cyclic, word = name.startswith("tr("), name.removeprefix("tr").strip("()")
    product = functools.reduce(np.matmul, (factor(name, given) for name in word.split("·")))
    return float(np.trace(product) if cyclic else product.item())


def factor(name, given):
    return given[name.removesuffix("ᵀ")].T if name.endswith("ᵀ") else given[name]


def coefficient(value, given):
    value = sympy.sympify(value)
    return float(value.subs({symbol: number(symbol.name, given) for symbol in value.free_symbols}))


def evaluate(expression, given):
    """The expression's matrix, from its normal form."""
    size = {"m": M, "n": N, 1: 1}
    total = np.zeros((size[expression.rows], size[expression.columns]))
    for word, c in expression.terms.items():
        product = np.eye(size[expression.rows])
        for name in word:
            product = product @ factor(name, given)
        total = total + coefficient(c, given) * product
    return total


STEP = st.tuples(st.sampled_from("TT@@@@@@@+-*"), st.integers(0, 40), st.integers(0, 40))
PROGRAM = st.lists(STEP, min_size=2, max_size=9)
DEGREE = 6  # of the longest products: enough for every rule to meet every other, small enough for float64


def run(program, algebra, given):
    """Apply a random program to expressions and to their matrices alike; each step takes operands that fit."""
    pool = [(algebra(name), given[name], 1) for name in SHAPES]
    for op, i, j in program:
        x, a, p = pool[-1 - i % len(pool)]
        shape = (a.shape[1],) if op == "@" else a.shape
        fits = [(y, b, q) for y, b, q in pool if b.shape[: len(shape)] == shape and (op != "@" or p + q <= DEGREE)]
        y, b, q = fits[j % len(fits)] if fits else (x, a, p)
        if op == "T":
            pool.append((x.T, a.T, p))
        elif op == "*":
            pool.append((sympy.Rational(j - 20, 7) * x, (j - 20) / 7 * a, p))
        elif op == "@" and fits:
            pool.append((x @ y, a @ b, p + q))
        elif op in "+-":
            pool.append((x + y, a + b, max(p, q)) if op == "+" else (x - y, a - b, max(p, q)))
    return pool[-1][:2]


@given(PROGRAM, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_normal_forms_equal_the_matrices_they_stand_for(program, seed):
    given_matrices = matrices(seed)
    for algebra in (RULED, FREE):
        expression, matrix = run(program, algebra, given_matrices)
        scale = 1 + np.abs(matrix).max()
        np.testing.assert_allclose(evaluate(expression, given_matrices) / scale, matrix / scale, atol=1e-9)
        if expression.rows == expression.columns:
            assert coefficient(expression.trace(), given_matrices) / scale == pytest.approx(
                np.trace(matrix) / scale, abs=1e-9
            )


@given(PROGRAM, PROGRAM)
@settings(max_examples=40, deadline=None)
def test_without_rules_a_normal_form_is_zero_exactly_when_generic_matrices_give_zero(one, other):
    rng = np.random.default_rng(7)
    generic = matrices(3) | {"W": rng.normal(size=(M, N)), "P": np.diag(rng.normal(size=N)) + 0.1}
    generic["S⁻¹"] = generic["S⁻¹"] + np.diag(rng.normal(size=N))  # a letter like any other where no rule ties it to S
    x, a = run(one, FREE, generic)
    y, b = run(other, FREE, generic)
    if (x.rows, x.columns) != (y.rows, y.columns):
        x, a, y, b = x @ x.T, a @ a.T, x @ x.T + x @ x.T, 2 * a @ a.T
    numerically = np.abs(a - b).max() < 1e-8 * (1 + np.abs(a).max())
    assert (x - y).is_zero() == numerically


FULL = Algebra({"A": ("n", "n"), "B": ("n", "n"), "C": ("n", "n"), "k": ("n", 1), "S": ("n", "n"), "Q": ("n", "n")},
               ("S", "Q"))  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("A B C", "B C A", True),
        ("A B C", "Cᵀ Bᵀ Aᵀ", True),
        ("A B C", "A C B", False),
        ("A Aᵀ B Bᵀ", "Aᵀ A Bᵀ B", False),
        ("A B", "A Bᵀ", False),
        ("S Q A", "Q S Aᵀ", True),
        ("S Q A", "Q S A", False),
        ("A k kᵀ", "kᵀ A k", True),
    ],
)
def test_traces_are_compared_up_to_rotation_and_transposition(left, right, equal):
    assert (sympy.cancel(FULL(left).trace() - FULL(right).trace()) == 0) == equal


def test_numbers_leave_their_words_and_are_compared_up_to_transposition():
    k = FULL("k")
    assert (FULL("k kᵀ S Q k") - (k.T @ FULL("Q S") @ k).number() * k).is_zero()
    assert not (FULL("kᵀ A B k") - FULL("kᵀ B A k")).is_zero()
    assert FULL.eye("n").trace() == dimension("n")
    assert FULL.eye(3).trace() == 3


def test_a_trace_rewrites_across_its_ends_and_knows_the_size_of_what_remains():
    a = Algebra({"U": ("n", "p"), "M": ("n", "n"), "N": ("n", "n")}, (), (("Uᵀ U", {"": 1}), *inverses("M", "N")))
    assert a("U Uᵀ").trace() == dimension("p")
    assert a("N U Uᵀ M").trace() == dimension("p")


def test_matrices_that_commute_share_one_normal_form():
    a = Algebra({"P": ("n", "n"), "B": ("n", "n"), "X": ("n", "n")}, ("P", "B"), commuting("P", "B"))
    assert (a("B P X B B P") - a("P B X P B B")).is_zero()
    assert sympy.cancel(a("P B").trace() - a("B P").trace()) == 0
    assert not (a("X P") - a("P X")).is_zero()


@pytest.mark.parametrize(
    ("rules", "agree"),
    [
        ((*inverses("M", "N"), *projector("P")), True),
        (commuting("P", "M") + commuting("P", "N") + inverses("M", "N") + projector("P"), True),
        (commuting("P", "M") + inverses("M", "N") + projector("P"), False),  # N P is left as it is
        (commuting("P", "M") + projector("P") + (("P Q P", {"P M": 1, "P": -2}),), False),  # nor is P M Q P = M P Q P
        ((("M N", {"": 1}), ("P M", {"": 1})), False),
    ],
)
def test_confluence_says_whether_the_order_of_rewriting_matters(rules, agree):
    shapes = dict.fromkeys("MNPQ", ("n", "n"))
    assert Algebra(shapes, (), rules).confluent() == agree


def test_sherman_and_morrison():
    a = Algebra({"k": ("n", 1), "S": ("n", "n"), "N": ("n", "n")}, ("S", "N"), inverses("S", "N"))
    k, S, inverse = map(a, ("k", "S", "N"))
    s = (k.T @ inverse @ k).number()
    for sign in (1, -1):
        solve = inverse - sign * inverse @ k @ k.T @ inverse / (1 + s)
        assert ((S + k @ k.T) @ solve - a.eye("n")).is_zero() == (sign == 1)


MISTAKES = {
    "multiplied by": lambda: FULL("A") @ FULL("kᵀ k"),
    "cannot be multiplied by": lambda: FULL("k A"),
    "cannot be added to": lambda: FULL("A") + FULL("k"),
    "different algebras": lambda: FREE("A") + RULED("A"),
    "only a square matrix": lambda: FULL("k").trace(),
    "not a number": lambda: FULL("A").number(),
    "none of the letters": lambda: FULL("Z"),
    "is not square": lambda: Algebra({"k": ("n", 1)}, ("k",)),
    "holds ᵀ": lambda: Algebra({"kᵀ": ("n", 1)}),
    "does not shorten": lambda: Algebra({"A": ("n", "n")}, (), (("A A", {"A A A": 1}),)),
    "replaces n×1 by n×n": lambda: Algebra({"A": ("n", "n"), "k": ("n", 1)}, (), (("A k", {"A": 1}),)),
    "passes through dimension 1": lambda: Algebra({"k": ("n", 1)}, (), (("k kᵀ", {"": 1}),)),
    r"A B = I\(m\) and B A = I\(n\) hold together only for square": lambda: Algebra(
        {"A": ("m", "n"), "B": ("n", "m")}, (), inverses("A", "B")
    ),
    r"Uᵀ U = I\(p\) and U Uᵀ = I\(n\) hold together": lambda: Algebra(
        {"U": ("n", "p")}, (), (("Uᵀ U", {"": 1}), ("U Uᵀ", {"": 1}))
    ),
    "do not come to an end": lambda: Algebra(
        {"A": ("n", "n"), "B": ("n", "n")}, (), (*commuting("A", "B"), *commuting("B", "A"))
    )("A B"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_named(message):
    with pytest.raises(ValueError, match=message):
        MISTAKES[message]()


def test_expressions_print_as_words_with_their_coefficients():
    x = sympy.Symbol("x")
    assert str(FULL("A k") + x * FULL("A k")) == "(x + 1) A·k"
    assert str(FULL("A") - FULL("A")) == "0"
