"""T5 for several edited layers: NAS anchors the last one's value, and a spread write hands the residual to all.

The toy is a sum of linear memories, h = h_0 + Σ_i W_i k_i over p edited layers, whose keys no write changes. With the
last layer's value anchored the target is z = h − W_p k_p + v, ‖v‖ = a, so the residual is r = v − q, q = W_p k_p.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.anchoring.norm_proofs import ANCHOR, INVERSE_S, LENGTH
from theory.claim import Claim, Evidence, Kind, Verdict
from theory.provers.moments import DIMENSION
from theory.provers.prove import Proof
from theory.provers.trace_algebra import Algebra, Dim, inverses
from theory.writes.identities import ETA, S, rank_one

n = DIMENSION
LAYERS, INDEX = sympy.symbols("p i", positive=True)
READ, RESIDUAL = sympy.symbols("E‖q‖² E‖r‖²", nonnegative=True)


@dataclass(frozen=True)
class LastLayer:
    """What a hard spread write is said to do to the last edited layer.

    Attributes:
        share: it is a partial write of this share towards the anchored value.
        bound: the most that one edit adds to ‖W_p‖²_{M⁻¹}.
        plateau: of E‖W_p‖²_{M⁻¹} for isotropic whitened keys and undirected values.
    """

    share: sympy.Expr
    bound: sympy.Expr
    plateau: sympy.Expr


def check_layers(asserted: LastLayer) -> Evidence:
    """The last layer's write under residual spreading, and T5 with its share."""
    proof = Proof()
    left = (LAYERS - INDEX) / LAYERS
    proof.say("layer i = 1..p writes the share 1/(p−i+1) of the residual it finds: W_i k_i moves by that, so does h")
    proof.equal("what is left after layer i is (p−i)/p of r: at i = 0", left.subs(INDEX, 0), sympy.Integer(1))
    step = left.subs(INDEX, INDEX - 1) * (1 - 1 / (LAYERS - INDEX + 1))
    proof.equal("and layer i leaves (p−i+1)/p · (1 − 1/(p−i+1))", step, left)
    share = left.subs(INDEX, LAYERS - 1)
    proof.equal("the last layer, i = p, writes all it finds: of r = v − W_p k_p the share", share, asserted.share)
    a = rank_one(("M",))
    W, k, r, M = map(a, ("W", "k", "r", "M"))
    s = (k.T @ M @ k).number()
    after = (W + share / s * (r @ (M @ k).T)) @ k
    proof.equal("W_p'k_p, v written r + W k", after, (1 - share) * (W @ k) + share * (r + W @ k))
    proof.say("so T1, T5.sharp, T5.soft and T5.soft_plateau hold for it with η = 1/p, whatever the other layers are")
    proof.equal("T5.sharp's η a²/((2−η)s)", (ETA * LENGTH / ((2 - ETA) * S)).subs(ETA, share), asserted.bound)
    plateau = n * LENGTH * (ETA**2 * INVERSE_S) / (ETA * (2 - ETA))
    proof.equal("T5.soft_plateau's n a²E[η²/s]/E[η(2−η)]", plateau.subs(ETA, share), asserted.plateau)
    first, second = sympy.symbols("η1 η2", positive=True)
    rest = (1 - first / 2) * second
    proof.follows("soft layers: with p = 2 the share (1 − η1/2)η2 lies in (0, 1]", [first <= 1, second <= 1],
                  sympy.And(rest > 0, rest <= 1, rest >= second / 2))  # fmt: skip
    return proof.evidence(share, asserted)


def check_counterexample(growth: sympy.Expr) -> Evidence:
    """E‖W_i‖² of an earlier layer under excitation: its exact growth, and every path of the smallest example."""
    a = rank_one(("M", "M⁻¹"), inverses("M", "M⁻¹"))
    W, k, r, M, inverse = map(a, ("W", "k", "r", "M", "M⁻¹"))
    s = (k.T @ M @ k).number()
    change = (W + (r @ (M @ k).T) / (LAYERS * s)).norm_sq(inverse) - W.norm_sq(inverse)
    cross, square = (r.T @ W @ k).number(), (r.T @ r).number()
    proof = Proof()
    proof.equal("layer i < p: its change", change, (2 * cross / LAYERS + square / LAYERS**2) / s)
    part = sympy.Symbol("f", positive=True)
    soft = (W + part * (r @ (M @ k).T) / s).norm_sq(inverse) - W.norm_sq(inverse)
    proof.equal("if it writes the share f of r, as soft layers do", soft, (2 * part * cross + part**2 * square) / s)
    proof.say(
        "MEMIT's f is a function of s_1, …, s_i: all that follows holds with E[f²(a² + ‖q‖²)/s_i] > 0 for its growth"
    )
    proof.say("r·W_i k_i = v·W_i k_i − q·W_i k_i. E[v | keys, W] = 0; given k_p, k_i and −k_i are equally likely: both")
    proof.say("means vanish, and ‖r‖² has mean a² + ‖q‖². No term −‖W_i k_i‖² is left: nothing contracts")
    mean = sympy.cancel(change * s).subs({cross: 0, square: LENGTH + READ}, simultaneous=True) * INVERSE_S
    proof.equal("E of the change", sympy.cancel(mean), growth)
    proof.follows("at every edit at least", [], growth >= LENGTH * INVERSE_S / LAYERS**2)
    settled = LENGTH / (2 * LAYERS - 1)
    proof.say("isotropic keys of fixed s: E‖q‖² = (s/n)E‖W_p‖² tends to a²/(2p−1) (T5.layers)")
    rate = sympy.factor(growth.subs({READ: settled, INVERSE_S: 1 / S}))
    proof.equal("so the growth per edit tends to", rate, 2 * LENGTH / (LAYERS * (2 * LAYERS - 1) * S))
    t = sympy.Symbol("t", positive=True)
    proof.holds(
        "t times that passes every bound",
        sympy.limit((t * rate).subs({ANCHOR: 1, LAYERS: 2, S: 1}), t, sympy.oo) == sympy.oo,
    )
    edits = 3
    found, last = every_path(edits)
    expected = sum(growth.subs({LAYERS: 2, INVERSE_S: 1, ANCHOR: 1, READ: seen}) for seen in last[:-1])
    proof.equal(
        f"p = 2, m = n = 1, keys ±1, v = ±1: E W_1² after {edits} edits, over all {8**edits} paths", found, expected
    )
    proof.holds(f"while E W_2² = {last} stays below 1/3", max(last) < sympy.Rational(1, 3))
    return proof.evidence(f"{rate} per edit, for ever", growth)


def every_path(edits: int) -> tuple[sympy.Rational, list[sympy.Rational]]:
    """E W_1² at the end and E W_2² before and after every edit of the toy with p = 2, all signs equally likely."""
    states, last = [(sympy.Integer(0), sympy.Integer(0))], [sympy.Integer(0)]
    for _ in range(edits):
        states = [
            (first + (v - second * k2) * k1 / sympy.Integer(2), second + (v - second * k2) * k2 / sympy.Integer(2))
            for first, second in states
            for k1, k2, v in itertools.product((1, -1), repeat=3)
        ]
        last.append(sum(second**2 for _, second in states) / sympy.Integer(len(states)))
    return sum(first**2 for first, _ in states) / sympy.Integer(len(states)), last


def check_linear(step: sympy.Expr) -> Evidence:
    """The most an earlier layer's norm can grow, and a stream under excitation that makes it grow linearly."""
    t, start, least = sympy.symbols("t R_p0 s_min", positive=True)
    seen = sympy.Symbol("Σ‖q‖²", nonnegative=True)
    proof = Proof()
    proof.say(
        "‖W_i'‖ ≤ ‖W_i‖ + ‖r‖/(p√s_i) (triangle), ‖r‖ ≤ a + ‖q‖. Last layer, s fixed, T5.average_readout, η = 1/p:"
    )
    given = [seen / (LAYERS * S) <= start + t * LENGTH / (LAYERS * S)]
    proof.follows("Σ‖q‖²", given, seen <= LAYERS * S * start + t * LENGTH)
    proof.say("Σ‖q‖ ≤ √(t Σ‖q‖²) (Cauchy and Schwarz), so Σ‖r‖ ≤ t a + √(t(p s R_p0 + t a²))")
    most = t * ANCHOR + sympy.sqrt(t * (LAYERS * S * start + t * LENGTH))
    proof.equal("‖W_i‖/t is at most, in the limit", sympy.limit(most / (t * LAYERS * sympy.sqrt(least)), t, sympy.oo),
                2 * ANCHOR / (LAYERS * sympy.sqrt(least)))  # fmt: skip
    proof.equal(
        "so no exponential rate: lim (1/t) log(t)", sympy.limit(sympy.log(t) / t, t, sympy.oo), sympy.Integer(0)
    )
    rest = ANCHOR / (2 * LAYERS - 1)
    proof.say(
        "attained: m = n = 1, v = a at every edit, k_i = 1, the last layer's k_p = 1, −1, 1, … from W_p = −a/(2p−1)"
    )
    weight, grown = -rest, sympy.Integer(0)
    for key in (1, -1):
        residual = ANCHOR - weight * key
        proof.equal(f"k_p = {key}: an earlier layer grows by r/p", sympy.factor(residual / LAYERS), step)
        weight, grown = sympy.cancel(weight + residual * key / LAYERS), grown + residual / LAYERS
    proof.equal("after both the last layer is where it began", weight, -rest)
    proof.say("both layers' keys have x̂x̂ᵀ = 1 at every edit: excitation does not help the earlier layers")
    return proof.evidence(f"{step} an edit", "√t if the last layer's law held for all")


def check_joint(change: sympy.Expr) -> Evidence:
    """Anchoring the sum: the joint norm's change, for p = 2 and 3 layers, and its contraction."""
    proof = Proof()
    proof.say("anchor v, the target of q = Σ_i W_i k_i; r = v − q; each layer moves by r/p (hard spread)")
    for count in (2, 3):
        letters: dict[str, tuple[Dim, Dim]] = {}
        for i in range(count):
            d = f"n{i}"
            letters |= {f"W{i}": ("m", d), f"k{i}": (d, 1), f"M{i}": (d, d), f"A{i}": (d, d)}
        rules = tuple(rule for i in range(count) for rule in inverses(f"A{i}", f"M{i}"))
        a = Algebra({**letters, "v": ("m", 1)}, tuple(x for x in letters if x[0] in "MA"), rules)
        layers = [tuple(a(f"{x}{i}") for x in "WkMA") for i in range(count)]
        q = sum((W @ k for W, k, _, _ in layers[1:]), layers[0][0] @ layers[0][1])
        r, total = a("v") - q, sympy.Integer(0)
        for W, k, M, A in layers:
            s = (k.T @ M @ k).number()
            total += s * ((W + (r @ (M @ k).T) / (count * s)).norm_sq(A) - W.norm_sq(A))
        stands = {LENGTH: (a("v").T @ a("v")).number(), READ: (q.T @ q).number(), LAYERS: count}
        proof.equal(f"p = {count}: Σ s_i(‖W_i'‖² − ‖W_i‖²)", sympy.expand(total), sympy.expand(change.subs(stands)))
    proof.say("any p: s_i times layer i's change is 2r·W_i k_i/p + ‖r‖²/p²; the sum is (2r·q + ‖r‖²)/p = (a² − ‖q‖²)/p")
    R = sympy.Symbol("R", nonnegative=True)
    mean = R + change.subs(READ, R / n)
    proof.say(
        "R = Σ s_i E‖W_i‖², s_i fixed, whitened keys isotropic in n dimensions each, k_i → −k_i given the others:"
    )
    proof.equal(
        "E‖q‖² = Σ (s_i/n)E‖W_i‖² = R/n: E R'",
        sympy.expand(mean),
        sympy.expand((1 - 1 / (LAYERS * n)) * R + LENGTH / LAYERS),
    )
    fixed = sympy.Symbol("R∞", positive=True)
    solved = sympy.solve(sympy.Eq(fixed, mean.subs(R, fixed)), fixed)[0]
    proof.equal("the fixed point", solved, n * LENGTH)
    return proof.evidence("(a² − ‖q‖²)/p", change)


def claims() -> tuple[Claim[Any], ...]:
    """What anchoring the last edited layer's value keeps of T5, and what it does not."""
    last = LastLayer(1 / LAYERS, LENGTH / ((2 * LAYERS - 1) * S), n * LENGTH * INVERSE_S / (2 * LAYERS - 1))
    growth = (LENGTH + READ) * INVERSE_S / LAYERS**2
    return (
        Claim(
            "T5.layers", "P7", Kind.PROVED,
            "A toy, not a transformer: h = h_0 + Σ W_i k_i over p linear memories, k_i ≠ 0 that no write changes, "
            "fixed positive definite M_i; hard spread writes, layer i takes the share 1/(p−i+1) of the residual z − h "
            "it finds (MEMIT's schedule), and z = h − W_p k_p + v anchors the last value, ‖v‖ = a. The last layer then "
            "makes a partial write of share 1/p towards v, so T5's bounds hold for it with η = 1/p: a²/((2p−1)s) an "
            "edit, R∞ = n a²E[1/s]/(2p−1) (T5.soft_plateau's laws). Soft layers with p = 2: share (1 − η1/2)η2.",
            check_layers, last, replace(last, bound=LENGTH / ((2 * LAYERS + 1) * S)), "a²/((2p+1)s) an edit",
        ),
        Claim(
            "T5.layers_counterexample", "P7", Kind.PROVED,
            "NAS on the last edited layer's value bounds the mean norm of every edited layer under persistent "
            "excitation. False in the toy of T5.layers, p ≥ 2, hard writes, fixed M_i: for keys independent of the "
            "past, k_i → −k_i given the other keys and E[v | keys, W] = 0, E‖W_i‖² of each earlier layer grows at "
            "every edit by (a² + E‖W_p k_p‖²)E[1/s_i]/p² (s_i independent of k_p), for isotropic keys of fixed s at a "
            "rate tending to 2a²/(p(2p−1)s), while the last layer's stays bounded. Soft layers grow alike, with their "
            "share of the residual for 1/p; that a transformer's keys move with earlier writes is left out.",
            check_counterexample, growth, (LENGTH - READ) * INVERSE_S / LAYERS**2,
            "it grows by (a² − E‖W_p k_p‖²)E[1/s]/p²", Verdict.FALSE,
        ),
        Claim(
            "T5.layers_linear", "P7", Kind.PROVED,
            "In the toy of T5.layers (hard), for any keys with s_i ≥ s_min and s_p fixed, any values: ‖W_i‖ of an "
            "earlier layer grows at most linearly in t (lim sup ‖W_i‖/t ≤ 2a/(p√s_min)), so never exponentially; not "
            "like √t: with v = a at every edit and k_p alternating in sign it grows by 2a/(2p−1) an edit (m = n = 1, s "
            "= 1), while ‖W_p‖ stays a/(2p−1).",
            check_linear, 2 * ANCHOR / (2 * LAYERS - 1), ANCHOR / LAYERS, "it grows by a/p an edit",
        ),
        Claim(
            "T5.layers_joint", "P7", Kind.PROVED,
            "In that toy, anchoring instead the sum q = Σ W_i k_i that the edited layers write (r = v − q, ‖v‖ = a, "
            "hard spread): Σ_i s_i‖W_i‖²_{M_i⁻¹} changes by exactly (a² − ‖q‖²)/p, so with fixed s_i, isotropic "
            "whitened keys of one dimension n, k_i → −k_i given the other keys, independent of the past, E R' = (1 − "
            "1/(pn))R + a²/p and R∞ = n a²: all layers together are bounded.",
            check_joint, (LENGTH - READ) / LAYERS, (LENGTH - READ) / LAYERS**2, "it changes by (a² − ‖q‖²)/p²",
        ),
    )  # fmt: skip
