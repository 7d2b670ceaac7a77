"""T5: how strongly the keys of a stream excite a memory, from a sample of them, with its uncertainty."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from theory.command import Misuse


class Excitation(NamedTuple):
    """The excitation μ = λ_min(E[η x̂x̂ᵀ]) of a key law, as a sample of keys shows it.

    Attributes:
        mu: λ_min of the sample's mean; its expectation lies at or below μ.
        low: lower end of the confidence interval of μ; 0 says that the sample excludes no excitation.
        high: its upper end, at most 1/n.
        keys: N, how many keys were sampled.
        dimension: n; with N < n the sample's λ_min is 0 whatever the law.
    """

    mu: float
    low: float
    high: float
    keys: int
    dimension: int


def excitation(
    keys: ArrayLike, *, metric: ArrayLike | None = None, shares: ArrayLike = 1.0, confidence: float = 0.95
) -> Excitation:
    """Estimate the persistent excitation of a law of keys from independent draws.

        μ = λ_min(E[η x̂x̂ᵀ]),   x̂ = M^(1/2)k/√(kᵀMk)

    Args:
        keys: (n, N) independent keys of one law, as columns, N ≥ 2, none of them zero.
        metric: M (n, n), positive definite; None is M = I.
        shares: (N,) written shares η in (0, 1], one law with their keys (as MEMIT's s/(1+s)), or one for all.
        confidence: level of [low, high]; each end fails with probability at most (1 − confidence)/2.

    Returns:
        The estimate. `low` is Chernoff's limit for λ_min of all keys, free of the dimension: λ_min of the sample is at
        most the sample's value in the true bottom direction. `high` is Chernoff's limit for the second half of the keys
        in the bottom direction of the first half, or 1/n.

    Raises:
        Misuse: keys that are no matrix of finite numbers, fewer than two of them, a zero key, a share outside (0, 1],
            a metric that is singular or does not fit, or a level outside (0, 1).

    Source: T5.excitation_interval, T5.excitation_bias.

    >>> excitation(np.eye(2)[:, [0, 1] * 200]).mu
    0.5
    """
    k, share = np.asarray(keys, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if k.ndim != 2 or k.shape[0] < 1 or share.shape not in ((), k.shape[1:]):
        raise Misuse(
            f"keys {k.shape} with shares {share.shape} are given; pass keys as columns (n, N), one share for each"
        )
    if not np.all(np.isfinite(k)):
        raise Misuse(f"{int(np.sum(~np.isfinite(k)))} entries of the keys are NaN or infinite; pass finite keys")
    n, count = k.shape
    share = np.broadcast_to(share, (count,))
    if count < 2 or not 0 < confidence < 1:
        raise Misuse(f"{count} keys at confidence {confidence} give no interval; use two keys and a level in (0, 1)")
    if not (np.all(share > 0) and np.all(share <= 1)):
        raise Misuse(f"written shares η from {share.min()} to {share.max()} are given; they lie in (0, 1]")
    directions = whitened_directions(k, metric)
    risk, half = (1 - confidence) / 2, count // 2
    mu = float(np.linalg.eigvalsh((share * directions) @ directions.T / count)[0])
    bottom = np.linalg.eigh((share * directions)[:, :half] @ directions[:, :half].T)[1][:, 0]
    held_out = float(np.mean(share[half:] * (bottom @ directions[:, half:]) ** 2))
    mu = max(mu, 0.0) if count >= n else 0.0
    high = min(chernoff_high(held_out, count - half, risk), 1 / n)
    return Excitation(mu, chernoff_low(mu, count, risk), high, count, n)


def whitened_directions(keys: NDArray[np.float64], metric: ArrayLike | None) -> NDArray[np.float64]:
    """x̂ = Lᵀk/√(kᵀMk) with M = LLᵀ: M^(1/2)k turned by a rotation that no eigenvalue notices.

    >>> whitened_directions(np.array([[3.0], [4.0]]), None).tolist()
    [[0.6], [0.8]]
    """
    if metric is None:
        raised = keys
    else:
        m = np.asarray(metric, dtype=np.float64)
        if m.shape != (len(keys), len(keys)):
            raise Misuse(f"a metric M of shape {m.shape} does not fit keys of dimension {len(keys)}; pass M (n, n)")
        if not np.all(np.isfinite(m)) or not np.allclose(m, m.T) or np.linalg.eigvalsh(m)[0] <= 0:
            raise Misuse("the metric M is not symmetric and positive definite; pass C⁻¹ or (λC)⁻¹")
        raised = np.linalg.cholesky(m).T @ keys
    lengths = np.linalg.norm(raised, axis=0)
    if not np.all(lengths > 0):
        raise Misuse(f"{int(np.sum(lengths == 0))} keys are zero; drop them, as no write has such a key")
    return np.asarray(raised / lengths)


def bernoulli_divergence(x: float, y: float) -> float:
    """KL(x‖y) = x log(x/y) + (1 − x) log((1 − x)/(1 − y)), in nats.

    >>> bernoulli_divergence(0.5, 0.5)
    0.0
    """
    if not (0 <= x <= 1 and y > 0 and (y < 1 or x == y == 1)):
        raise Misuse(f"a divergence of {x} from {y} is asked for; x lies in [0, 1] and y in (0, 1)")
    first = x * math.log(x / y) if x > 0 else 0.0
    return first + ((1 - x) * math.log((1 - x) / (1 - y)) if x < 1 else 0.0)


def chernoff_low(mean: float, count: int, risk: float) -> float:
    """The least expectation that `count` independent numbers in [0, 1] with this mean leave credible.

        P(mean of N ≥ x) ≤ exp(−N KL(x‖μ)) for x ≥ μ:   N KL(mean‖low) = log(1/risk),  low < mean

    Args:
        mean: of the sample, in [0, 1].
        count: N ≥ 1.
        risk: probability with which `low` may exceed the expectation, in (0, 1).

    Returns:
        The limit, at or below the mean; 0 for a mean of 0.

    Raises:
        Misuse: a mean above 1 or no number, no sample, or a risk outside (0, 1).

    Source: T5.excitation_interval (Chernoff 1952, Hoeffding 1963).

    >>> round(chernoff_low(1.0, 10, 0.1), 4)
    0.7943
    """
    if not (mean <= 1 + 1e-12 and count >= 1 and 0 < risk < 1):
        raise Misuse(
            f"a mean of {mean} over {count} numbers at risk {risk}; give a mean in [0, 1], N ≥ 1, a risk in (0, 1)"
        )
    if mean <= 0:
        return 0.0
    mean, level = min(mean, 1.0), math.log(1 / risk) / count

    def excess(depth: float) -> float:
        return bernoulli_divergence(mean, mean * math.exp(-depth)) - level

    deepest = min((level + 1) / mean, math.log(mean) + 690)  # KL > level at the first; the second is the floats' end
    return mean * math.exp(-optimize.brentq(excess, 0.0, deepest, xtol=1e-14)) if excess(deepest) > 0 else 0.0


def chernoff_high(mean: float, count: int, risk: float) -> float:
    """The largest expectation that `count` independent numbers in [0, 1] with this mean leave credible.

    By 1 − x from `chernoff_low`.

    >>> round(chernoff_high(0.0, 10, 0.1), 4)
    0.2057
    """
    return 1 - chernoff_low(1 - mean, count, risk)


def plateau_interval(measured: Excitation, anchor: float, inverse_s: float) -> tuple[float, float]:
    """Between which limits T5's bound on the anchored norm lies, given what a sample says of μ.

        a² E[1/s]/high  ≤  a² E[1/s]/μ  ≤  a² E[1/s]/low

    Args:
        measured: of the keys, from `excitation`.
        anchor: a, in value units.
        inverse_s: E[1/s] (soft writes: E[η/s]).

    Returns:
        Both limits; the second is infinite where the sample excludes no excitation (always for N < n).

    Raises:
        Misuse: an anchor or an E[1/s] that is not positive and finite.

    Source: T5.bounded, T5.excitation_interval.

    >>> plateau_interval(Excitation(0.2, 0.1, 0.25, 100, 4), 1.0, 1.0)
    (4.0, 10.0)
    """
    if not (0 < anchor < math.inf and 0 < inverse_s < math.inf):
        raise Misuse(f"an anchor of {anchor} and E[1/s] of {inverse_s} are given; both are positive and finite")
    added = anchor * anchor * inverse_s
    return added / measured.high, added / measured.low if measured.low > 0 else math.inf


def frame_norm(rates: ArrayLike, ceilings: ArrayLike, start: ArrayLike, edits: int) -> NDArray[np.float64]:
    """E‖W_t‖²_{M⁻¹} under NAS for keys that lie on n axes, exactly: every axis relaxes at its own rate.

        R_t = Σ_i [c_i + (1 − μ_i)^t (S_i − c_i)],   c_i = a² E_i[1/s]

    Args:
        rates: (n,) μ_i, the probability of a key on axis i; E x̂x̂ᵀ = diag(μ). They sum to 1.
        ceilings: (n,) c_i, in which E_i[1/s] is the mean over the keys of that axis.
        start: (n,) S_i = ‖Y_0 e_i‖², Y = W M^(−1/2), the share of ‖W_0‖² that lies on each axis.
        edits: t of the last entry.

    Returns:
        (edits + 1,) the mean norm: it climbs by about a²E[1/s] per edit until its axes are met, each after 1/μ_i.

    Raises:
        Misuse: rates that are negative or do not sum to 1, negative squared norms, or shapes that do not fit.

    Source: T5.spectrum; hard writes, any directions of the values.

    >>> frame_norm([0.5, 0.5], [1.0, 1.0], [0.0, 0.0], 2).tolist()
    [0.0, 1.0, 1.5]
    """
    rate, ceiling, first = (np.asarray(part, dtype=np.float64) for part in (rates, ceilings, start))
    if not rate.shape == ceiling.shape == first.shape == (rate.size,) or edits < 0:
        raise Misuse(
            f"shapes {rate.shape}, {ceiling.shape}, {first.shape} and {edits} edits; pass three vectors, t ≥ 0"
        )
    if not (np.all(ceiling >= 0) and np.all(first >= 0)):
        raise Misuse(f"squared norms down to {min(ceiling.min(), first.min())} are given; they are not negative")
    if np.any(rate < 0) or not math.isclose(float(rate.sum()), 1.0, rel_tol=1e-9):
        raise Misuse(f"the rates sum to {float(rate.sum())} and are at least {float(rate.min())}; give probabilities")
    left = (1 - rate)[:, None] ** np.arange(edits + 1)
    return np.asarray((ceiling[:, None] + left * (first - ceiling)[:, None]).sum(axis=0))
