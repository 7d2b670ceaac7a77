"""What each proof assumes and decides, written down a second time: a hypothesis added or a step left out is seen."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import sympy

from theory.catalogue import select

# Every hypothesis that some proof gives to z3, by claim and by query, positive symbols and all. A step under a narrower
# hypothesis proves less and still passes its check, so the hypotheses are pinned here and read by whoever changes them.
ASSUMED = json.loads((Path(__file__).parent / "z3_hypotheses.json").read_text(encoding="utf-8"))

# How each decided step of a claim begins, in order.
DECIDED = {
    "T1.memit": ["(A + kkᵀ)·G: I", "the published r·kᵀ·G", "tr((W+Δ)A(W+Δ)ᵀ) − tr(W A Wᵀ)"],
    "T1.alphaedit": [
        "B commutes with P, and so does B⁻¹: B·P: P·cache·P + (L2) P", "the published system", "P·cache·X",
        "G = (B + Pk(Pk)ᵀ)⁻¹", "G·(system·X − Pk)", "the update r·Xᵀ", "‖(W+Δ)P‖²_B − ‖WP‖²_B",
    ],
    "T3.isotropic": [
        "E[change | k, W]", "q by the Gamma integrals", "q by the trace", "E‖Wk‖²/‖k‖²", "E‖W'‖²/E‖W‖²",
        "induction, base", "induction, step",
    ],
    "T3.spectral_radius": [
        "E k̂₁²k̂₂²", "E k̂₁⁴", "1 = E‖k̂‖⁴", "T(X)₁₁ of", "T(X)₁₂", "T(I) = ρ·I", "the eigenvalue on trace 0 is smaller",
    ],
    "T3.no_growth": ["E[‖W+Δ‖² − ‖W‖² | k, W] ≤ 0"],
    "T3.jensen": ["f(1)", "the sign of f'", "E[y] − 1", "lim (1/t) log"],
    "T3.conditional": [
        "T1 with ‖v‖² = α‖Wk‖²", "q by the Gamma integrals", "q by the trace", "E‖W'‖²/‖W‖²", "induction, base",
        "induction, step", "E R_t = factor^t R_0 grows iff",
    ],
    "T5.contraction": [
        "T1 with η = 1, ‖v‖ = a", "q by the Gamma integrals", "q by the trace", "E[‖Wk‖²/s]", "E‖W'‖² = R",
        "tr(Y Q Yᵀ)", "E R' ≤", "tr Q ≤ 1 bounds μ",
    ],
    "T5.soft": [
        "‖v‖² = a², ‖r‖² = a²", "the bound", "if moreover E[v | k, W] = 0", "tr(Y Q Yᵀ)", "E R' ≤", "tr Q ≤ 1 bounds μ",
        "R' − plateau ≤",
    ],
    "T5.fixed_point": ["E[1/s] = E[1/χ²_n]", "the fixed point", "closed form", "step", "0 ≤ 1 − 1/n < 1"],
    "T5.worst_case": ["‖W'‖² − ‖W‖² ≤", "so ‖W_t‖/√t", "and its exponential rate"],
    "T5.bounded": ["E‖W'‖² ≤ bound", "without excitation", "R_t − R_0"],
    "T5.single_edit": ["W'k", "‖W'k‖²‖v‖² − (W'k·v)²", "W'k·v, positive", "‖W'k‖²/θ²‖v‖²"],
}  # fmt: skip


@functools.cache
def evidence(name):
    claim = select([name])[0]
    return claim.check(claim.subject)


def decided(found):
    """The steps that were decided: an equation, an implication, or a truth value."""
    pairs = zip(found.steps, (*found.steps[1:], ""), strict=True)
    return [line for line, below in pairs if below.startswith(("    = ", "    unsat", "    true"))]


@pytest.mark.claim(
    "T1.growth_condition", "T1.norm_equivalence", "T3.spectral_radius", "T3.no_growth", "T3.jensen", "T3.conditional",
    "T5.contraction", "T5.soft", "T5.fixed_point", "T5.readout_constant", "T5.worst_case", "T5.sharp", "T5.bounded",
)  # fmt: skip
@pytest.mark.parametrize("name", ASSUMED)
def test_nothing_else_is_assumed(name, queries):
    assert queries(evidence(name)) == ASSUMED[name]


@pytest.mark.claim(
    "T1.memit", "T1.alphaedit", "T3.isotropic", "T3.spectral_radius", "T3.no_growth", "T3.jensen", "T3.conditional",
    "T5.contraction", "T5.soft", "T5.fixed_point", "T5.worst_case", "T5.bounded", "T5.single_edit",
)  # fmt: skip
@pytest.mark.parametrize("name", DECIDED)
def test_no_step_is_left_out(name):
    found = decided(evidence(name))
    assert len(found) == len(DECIDED[name]), found
    for line, begins in zip(found, DECIDED[name], strict=True):
        assert line.startswith(begins)


@pytest.mark.parametrize(
    ("name", "free"),
    [
        pytest.param("T1.alphaedit", "L2", marks=pytest.mark.claim("T1.alphaedit")),
        pytest.param("T3.isotropic", "η c n", marks=pytest.mark.claim("T3.isotropic")),
        pytest.param("T3.conditional", "α n", marks=pytest.mark.claim("T3.conditional")),
        pytest.param("T5.contraction", "a μ n E[1/s]", marks=pytest.mark.claim("T5.contraction")),
        pytest.param("T5.soft", "a η μ n E[η/s]", marks=pytest.mark.claim("T5.soft")),
    ],
)
def test_what_the_statement_leaves_free_is_free_in_the_decided_steps(name, free):
    lines = decided(evidence(name))
    for symbol in free.split():
        assert any(symbol in line.split(": ", 1)[-1] for line in lines), symbol


R, a2, mu, n, eta = (
    sympy.Symbol("R", nonnegative=True), sympy.Symbol("a", positive=True) ** 2,
    *sympy.symbols("μ n η", positive=True),
)  # fmt: skip
INVERSE, SHARE = sympy.symbols("E[1/s] E[η/s]", positive=True)
SUBJECTS = {
    "T5.contraction": {
        "isotropic": (R - R / n + a2 * INVERSE, R - R / n + a2 * INVERSE / 2),
        "excited": (R - mu * R + a2 * INVERSE, R - 2 * mu * R + a2 * INVERSE),
        "ceiling": (1 / n, 1 / (n + 1)),
    },
    "T5.soft": {
        "decay": (eta, eta * (2 - eta)),
        "undirected": (eta * (2 - eta), eta),
        "excited": (R - mu * R + a2 * SHARE, R - mu * R + a2 * SHARE / 2),
        "ceiling": (1 / n, 1 / (n + 1)),
        "plateau": (a2 * SHARE / mu, a2 * SHARE / (2 * mu)),
    },
}


@pytest.mark.claim("T5.contraction", "T5.soft")
@pytest.mark.parametrize(("name", "part"), [(name, part) for name in SUBJECTS for part in SUBJECTS[name]])
def test_each_part_of_the_subject_is_the_stated_one_and_a_wrong_one_is_rejected(name, part):
    claim = select([name])[0]
    stated, wrong = SUBJECTS[name][part]
    assert set(SUBJECTS[name]) == set(vars(claim.subject))
    assert sympy.expand(getattr(claim.subject, part) - stated) == 0
    assert claim.check(claim.subject).established
    assert not claim.check(replace(claim.subject, **{part: wrong})).established
