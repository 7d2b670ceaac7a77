"""T3b's closure for anchored values: every term of it on every path, and the integrated law by other routes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy
from scipy import integrate

from theory.accumulating.anchored import anchored_growth, gain_series, moments, undirected_growth
from theory.claim import Claim, Evidence, Kind
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, inverses

Z, THETA = sympy.symbols("z θ", positive=True)
# kᵀA⁻¹k, kᵀBk, kᵀA⁻²k, ‖r‖², and the read-outs that the write pulls along: r·WA⁻¹k, r·WBk.
S, B, SECOND, RESIDUAL = sympy.symbols("s b kᵀA⁻²k ‖r‖²", real=True)
PULLED, PULLED_Z, SPREAD = sympy.symbols("r·WA⁻¹k r·WBk ‖WBk‖²", real=True)
FIRST, READ, VALUE = sympy.symbols("(s−b)/z ‖Wk‖² ‖v‖²", real=True)


@dataclass(frozen=True)
class Terms:
    """What one write is said to make of tr(W(A+zI)⁻¹Wᵀ), of ‖W‖² and of ‖W‖²_A.

    Attributes:
        resolvent: its change of tr(W B Wᵀ).
        norm: its change of ‖W‖².
        metric: ‖W'‖²_A' − ‖W‖²_A.
    """

    resolvent: sympy.Expr
    norm: sympy.Expr
    metric: sympy.Expr


def check_closure(asserted: Terms) -> Evidence:
    """The path identities behind the closure, and the closure integrated against the laws that it must contain."""
    shapes: dict[str, Any] = {"W": ("m", "n"), "k": ("n", 1), "r": ("m", 1)} | dict.fromkeys("ABM", ("n", "n"))
    rules = (*inverses("A", "M"), ("A B", {"": 1, "B": -Z}), ("B A", {"": 1, "B": -Z}))
    a = Algebra(shapes, ("A", "B", "M"), rules)
    proof = Proof()
    M, small, big = a("M"), a("B"), a("A")
    proof.say("B = (A + zI)⁻¹, M = A⁻¹, u = Mk/(1+s), W' = W + r uᵀ, A' = A + kkᵀ, s = kᵀMk, b = kᵀBk")
    proof.equal("A(M − B)/z = B", big @ (M - small) / Z, small)
    proof.say("so MB = BM = (M − B)/z, and kᵀMBk = (s − b)/z")
    W, k, r = a("W"), a("k"), a("r")
    gain, shifted = (k.T @ M @ k).number(), (k.T @ small @ k).number()
    product = (M - small) / Z
    after = small - small @ k @ k.T @ small / (1 + shifted)
    proof.equal("B' = B − Bkkᵀ B/(1+b): (A + kkᵀ + zI)B'", (big + k @ k.T + Z * a.eye("n")) @ after, a.eye("n"))
    common = (gain - shifted) / Z  # kᵀMBk
    moved = 1 / (1 + gain) * (product @ k - common / (1 + shifted) * (small @ k))  # B'u
    second = (k.T @ M @ M @ k).number()
    inner = (k.T @ M @ product @ k).number() / (1 + gain) ** 2 - common**2 / (1 + shifted) / (1 + gain) ** 2
    change = (-(W @ small @ k).norm_sq() / (1 + shifted) + 2 * (r.T @ W @ moved).number()
              + (r.T @ r).number() * inner.subs((k.T @ M @ small @ k).number(), common))  # fmt: skip
    stands = {S: gain, B: shifted, SECOND: second, RESIDUAL: (r.T @ r).number(), SPREAD: (W @ small @ k).norm_sq(),
              PULLED: (r.T @ W @ M @ k).number(), PULLED_Z: (r.T @ W @ small @ k).number()}  # fmt: skip
    resolvent = asserted.resolvent.subs(stands, simultaneous=True)
    proof.equal(
        "tr(W'B'W'ᵀ) − tr(WBWᵀ), with B'u = [MBk − Bk·kᵀMBk/(1+b)]/(1+s)", sympy.expand(change), sympy.expand(resolvent)
    )
    update = r @ (M @ k).T / (1 + gain)
    proof.equal(
        "‖W'‖² − ‖W‖²",
        sympy.expand((W + update).norm_sq() - W.norm_sq()),
        sympy.expand(asserted.norm.subs(stands, simultaneous=True)),
    )
    value = r + W @ k
    stands |= {VALUE: (value.T @ value).number()}
    metric = (W + update).norm_sq(big + k @ k.T) - W.norm_sq(big)
    proof.equal(
        "‖W'‖²_A' − ‖W‖²_A", sympy.expand(metric), sympy.expand(asserted.metric.subs(stands, simultaneous=True))
    )
    proof.say(
        "mean field: kᵀXk → tr X, (Wk)ᵀWXk → tr(WXWᵀ); E r = (θ−1)Wk; the power series in z are `drift`'s equations"
    )
    prove_series(proof)
    prove_laws(proof, asserted)
    return proof.evidence("every term", asserted.resolvent)


def prove_series(proof: Proof) -> None:
    """`gain_series` and `moments` against a finite key sample's limit: the roots of the quadratic at shifted ridges."""
    size, level, edits = 30, 0.7, 41.0
    series = gain_series(size, level, edits, 8)
    z = 0.01
    total = float(np.polyval(series[::-1], z))
    linear = level + z + edits - size
    exact = max(np.roots([level + z, linear, -size]))
    proof.agree("`gain_series` summed at z = 0.01, and the root at the ridge L2 + z", total, exact, 1e-12)
    powers = moments(size, level, edits, 3)
    proof.agree("`moments`: tr A⁻³ is half the second derivative", powers[5], series[2], 1e-12)
    proof.agree("`moments`: n² ≤ tr A⁻¹ tr A, and tr A = n(L2 + t)", powers[1], size * (level + edits), 1e-14)
    proof.agree("`moments`: tr A² = n(L2+t)² + n²t", powers[0], size * (level + edits) ** 2 + size**2 * edits, 1e-14)


def prove_laws(proof: Proof, asserted: Terms) -> None:
    """The integrated closure: undirected values for every ridge, directed ones for a small ridge before t = n."""
    size, level, anchor = 60, 0.8, 1.4
    times = [20.0, 60.0, 75.0, 200.0]
    closed = undirected_growth(size, level, anchor, times)
    for edits, found, law in zip(times, anchored_growth(size, level, anchor, 0.0, times), closed, strict=True):
        root = max(np.roots([level, level + edits - size, -size]))
        slope = -root * (root + 1) / (2 * level * root + level + edits - size)
        proof.agree(f"`undirected_growth` at t = {edits}, from the quadratic's root", law,
                    -(level**2) * slope / size + anchor * (root + level * slope), 1e-10)  # fmt: skip
        proof.agree("`anchored_growth` of undirected values", found, law, 2e-4)
    cosine = 0.7

    def hard(x: float, level: Any) -> Any:
        aligned = np.sqrt(anchor / level) * cosine
        return 2 * (aligned - 1) + (level + anchor - 2 * aligned * level) / (1 - x)

    # T3b.exact's step in the limit n → ∞: x = t/n, E‖WQ‖² = (1 − x)R_0 whatever θ was.
    path = integrate.solve_ivp(hard, (0.0, 0.8), [1.0], rtol=1e-10, atol=1e-12)
    found = float(anchored_growth(size, 1e-4, anchor, cosine, [0.8 * size])[0])
    proof.agree(
        "`anchored_growth` of directed values, L2 = 10⁻⁴, and T3b.exact's step for n → ∞", found, path.y[0, -1], 1e-3
    )


def claims() -> tuple[Claim[Any], ...]:
    """The closure."""
    first = (S - B) / Z
    terms = Terms(
        -SPREAD / (1 + B) + 2 / Z * (PULLED / (1 + S) - PULLED_Z / (1 + B))
        + RESIDUAL / (1 + S) ** 2 * ((SECOND - first) / Z - first**2 / (1 + B)),
        2 * PULLED / (1 + S) + RESIDUAL * SECOND / (1 + S) ** 2,
        VALUE - RESIDUAL / (1 + S),
    )  # fmt: skip
    wrong = terms.resolvent.subs(PULLED_Z / (1 + B), PULLED_Z / (1 + S))
    return (
        Claim(
            "T3b.closure", "T3b, P7", Kind.COMPUTED,
            "Anchored values in an accumulating rule: on every path tr(WBWᵀ), B = (A+zI)⁻¹, changes by −‖WBk‖²/(1+b) + "
            "(2/z)[r·WA⁻¹k/(1+s) − r·WBk/(1+b)] + ‖r‖²/(1+s)²[(kᵀA⁻²k − (s−b)/z)/z − ((s−b)/z)²/(1+b)] and ‖W‖²_A by "
            "‖v‖² − ‖r‖²/(1+s). In the mean field with five moments of W (an approximation) this gives ‖W_t‖²: for "
            "undirected values the ridge law E‖W_t‖² = L2²R_0 tr A⁻²/n + a²tr(A⁻¹ − L2A⁻²), for small L2 and t < n "
            "T3b.exact's as n → ∞. Off by a few percent for L2 ≥ 0.1, n = 48 (S3b.anchored), by more for smaller L2.",
            check_closure, terms, replace(terms, resolvent=wrong), "r·WBk/(1+s) for r·WBk/(1+b)",
        ),
    )  # fmt: skip
