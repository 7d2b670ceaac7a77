"""T1 by a second route: the published solves themselves, on random exact matrices and entry by entry with symbols.

The left sides are computed here from the definitions; the right sides are the formulas that the claims assert.
"""

import random

import numpy as np
import pytest
import sympy
from sympy import Matrix, Rational, eye

from theory.catalogue import select
from theory.writes.identities import BATCH_CROSS, BATCH_SQUARE, ETA, READ_SQ, RESIDUAL_SQ, VALUE_SQ, S
from theory.writes.norms import FROBENIUS_CROSS, RAISED_SQ

SHAPES = pytest.mark.parametrize(("m", "n"), [(1, 2), (2, 3), (3, 2), (4, 4)])


class Memory:
    """A random exact W (m, n), keys k (n, u) and values v (m, u)."""

    def __init__(self, m, n, u=1):
        self.random, self.n = random.Random(100 * m + 10 * n + u), n
        self.W, self.k, self.v = self.draw(m, n), self.draw(n, u), self.draw(m, u)
        self.r = self.v - self.W * self.k

    def draw(self, rows, columns):
        return Matrix(rows, columns, lambda i, j: Rational(self.random.randint(-30, 30), self.random.randint(1, 7)))

    def definite(self):
        root = self.draw(self.n, self.n)
        return root * root.T + eye(self.n)

    def stands(self, s, eta):
        W, k, v, r = self.W, self.k, self.v, self.r
        return {VALUE_SQ: v.dot(v), READ_SQ: (W * k).dot(W * k), RESIDUAL_SQ: r.dot(r), S: s, ETA: eta}


def norm_sq(W, metric):
    return (W * metric * W.T).trace()


def subject(name):
    return select([name])[0].subject


@SHAPES
@pytest.mark.claim("T1.identity", "T1.frobenius")
def test_partial_writes_in_any_metric(m, n):
    x, eta = Memory(m, n), Rational(3, 7)
    M = x.definite()
    s = (x.k.T * M * x.k)[0]
    after = x.W + eta * x.r * (M * x.k).T / s
    change = norm_sq(after, M.inv()) - norm_sq(x.W, M.inv())
    assert change == subject("T1.identity").subs(x.stands(s, eta))
    more = {FROBENIUS_CROSS: (x.r.T * x.W * M * x.k)[0], RAISED_SQ: (M * x.k).dot(M * x.k)}
    change = norm_sq(after, eye(n)) - norm_sq(x.W, eye(n))
    assert change == subject("T1.frobenius").subs(x.stands(s, eta) | more)


@SHAPES
@pytest.mark.claim("T1.identity_metric")
def test_the_special_case_entry_by_entry(m, n):
    W = Matrix(m, n, lambda i, j: sympy.Symbol(f"w{i}{j}", real=True))
    k, v = Matrix(sympy.symbols(f"k:{n}", real=True)), Matrix(sympy.symbols(f"v:{m}", real=True))
    s = k.dot(k)
    after = W + (v - W * k) * k.T / s
    change = sympy.together((after * after.T - W * W.T).trace())
    formula = subject("T1.identity_metric").subs({VALUE_SQ: v.dot(v), READ_SQ: (W * k).dot(W * k), S: s})
    assert sympy.expand(sympy.fraction(sympy.together(change - formula))[0]) == 0


@pytest.mark.claim("T1.identity_metric")
def test_another_write_that_meets_the_target_changes_the_norm_otherwise():
    x = Memory(2, 3)
    y = x.k + Matrix([0, -x.k[2], x.k[1]])  # y·k = ‖k‖²
    after = x.W + x.r * y.T / x.k.dot(y)
    assert after * x.k == x.v
    change = norm_sq(after, eye(3)) - norm_sq(x.W, eye(3))
    assert change != subject("T1.identity_metric").subs(x.stands(x.k.dot(x.k), 1))


@SHAPES
@pytest.mark.claim("T1.rome")
def test_rome_as_published(m, n):
    x = Memory(m, n)
    C = x.definite()
    left = C.LUsolve(x.k)  # compute_u
    right = x.r / x.k.dot(left)  # compute_v
    after = x.W + right * left.T
    assert after * x.k == x.v
    asserted = subject("T1.rome")
    assert asserted.norm == "C"
    assert norm_sq(after, C) - norm_sq(x.W, C) == asserted.formula.subs(x.stands(x.k.dot(left), 1))


@SHAPES
@pytest.mark.claim("T1.memit")
def test_memit_as_published(m, n):
    x, weighting = Memory(m, n), 15
    A = weighting * x.definite()
    after = x.W + x.r * (A + x.k * x.k.T).LUsolve(x.k).T
    s = x.k.dot(A.LUsolve(x.k))
    assert norm_sq(after, A) - norm_sq(x.W, A) == subject("T1.memit").subs(x.stands(s, s / (1 + s)))


@pytest.mark.parametrize(("m", "n", "rank"), [(1, 2, 1), (2, 3, 2), (3, 4, 2), (2, 3, 3)])
@pytest.mark.claim("T1.alphaedit")
def test_alphaedit_as_published(m, n, rank):
    x, ridge = Memory(m, n), Rational(10)
    basis = x.draw(n, rank)
    P = basis * (basis.T * basis).inv() * basis.T
    past = x.draw(n, 5)
    cache = past * past.T
    X = (P * (x.k * x.k.T + cache) + ridge * eye(n)).LUsolve(P * x.k)  # not symmetric, as published
    after = x.W + x.r * X.T
    B = P * cache * P + ridge * eye(n)
    s = (x.k.T * P * B.inv() * P * x.k)[0]
    eta = s / (1 + s)
    seen = x.W * P * x.k
    change = norm_sq(after * P, B) - norm_sq(x.W * P, B)
    assert change == (2 * eta * x.r.dot(seen) + eta**2 * x.r.dot(x.r)) / s
    assert (change == (2 * eta * x.r.dot(x.W * x.k) + eta**2 * x.r.dot(x.r)) / s) == (rank == n)


@pytest.mark.parametrize(("m", "n", "u"), [(2, 3, 2), (3, 2, 4), (1, 2, 1)])
@pytest.mark.claim("T1.batch")
def test_memit_batches_as_published(m, n, u):
    x = Memory(m, n, u)
    A, K, R = x.definite(), x.k, x.r
    after = x.W + R * K.T * (A + K * K.T).inv()
    H = K.T * A.inv() * K
    T = (eye(u) + H).inv()
    stands = {BATCH_CROSS: (R * T * (x.W * K).T).trace(), BATCH_SQUARE: (R * T * H * T.T * R.T).trace()}
    assert norm_sq(after, A) - norm_sq(x.W, A) == subject("T1.batch").subs(stands)


@SHAPES
@pytest.mark.claim("T1.growth_condition")
def test_the_sign_of_the_change_is_that_of_the_condition(m, n):
    signs = set()
    for draw in range(20):
        x = Memory(m, n, 1)
        x.random.seed(draw)
        x.W, eta = x.draw(m, n), Rational(x.random.randint(1, 9), 9)
        x.v = Rational(x.random.randint(3, 20), 9) * x.W * x.k + x.draw(m, 1) / 20
        x.r, M = x.v - x.W * x.k, x.definite()
        s = (x.k.T * M * x.k)[0]
        after = x.W + eta * x.r * (M * x.k).T / s
        grows = norm_sq(after, M.inv()) > norm_sq(x.W, M.inv())
        assert grows == (subject("T1.growth_condition").subs(x.stands(s, eta)) > 0)
        assert grows == (eta * x.r.dot(x.r) + 2 * x.r.dot(x.W * x.k) > 0)
        signs.add(bool(grows))
    assert signs == {True, False}


@pytest.mark.claim("T1.frobenius_counterexample")
def test_the_counterexample_in_floating_point():
    example = subject("T1.frobenius_counterexample")
    k, C, changes = np.array(example.key, float), np.array(example.covariance, float), []
    left = np.linalg.solve(C, k)
    for weight in example.weights:
        W = np.array(weight, float)
        v = example.flip * W @ k
        assert v @ v == pytest.approx((W @ k) @ (W @ k))  # P4's formula foretells no change
        after = W + np.outer(v - W @ k, left) / (k @ left)
        changes.append(np.sum(after**2) - np.sum(W**2))
    assert changes == pytest.approx([-0.48, 1.92])
    assert select(["T1.frobenius_counterexample"])[0].check(example).measured == "-12/25, 48/25"


@SHAPES
@pytest.mark.claim("T1.norm_equivalence")
def test_norms_lie_between_the_extreme_eigenvalues(m, n):
    x = Memory(m, n)
    C = x.definite()
    plain, weighted = norm_sq(x.W, eye(n)), norm_sq(x.W, C)
    characteristic = sympy.Poly(C.charpoly().as_expr())
    small, large = (sympy.real_roots(characteristic)[i].n(30) for i in (0, -1))
    assert small * plain <= weighted <= large * plain


@pytest.mark.claim("T1.norm_equivalence")
def test_a_metric_that_changes_has_a_rate_of_its_own():
    x = Memory(2, 3)  # W stays, A_t = 4^t·I: one norm grows at log 4, the other not at all
    assert norm_sq(x.W, 4 * eye(3)) == 4 * norm_sq(x.W, eye(3))
    statement = select(["T1.norm_equivalence"])[0].statement
    assert "for one C fixed throughout" in statement


@pytest.mark.claim("T1.lyaplock")
def test_with_one_dimension_a_pull_may_look_like_another_partial_write():
    W, A, B, k, v = map(Rational, (2, 3, 5, 1, 4))  # WA ≠ B
    share = ((B + v * k) / (A + k * k) - W) * k / (v - W * k)
    s = k * k / A
    assert 0 < share < s / (1 + s)
    assert "it is that partial write iff" in select(["T1.lyaplock"])[0].statement
