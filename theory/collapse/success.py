"""T6: mean-field success of all edits so far, for memoryless hard writes with and without NAS, and with a memory.

Keys N(0, I_n), values in m dimensions, answers drawn from ±x_1 … ±x_B with x_b orthonormal. The signal-to-noise ratio
of every edit is that of its mean energies. Its noise is Gaussian along every axis, louder along axes that many and late
edits asked for (`crowding`): taken for isotropic, rates come out up to 24 % too high at m c²/n from 0.1 to 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.collapse.crowding import axis_law, crowded_success, share_decay
from theory.collapse.interference import Answer, ValueLaw, fixed_values, kept_norm, later, relative_shift, written
from theory.collapse.points import Bracket, collapse_point
from theory.command import Misuse

LawAt = Callable[[float], ValueLaw]
"""The value law of the next write, given the mean square norm R of the weight."""


def without_anchor(c: float) -> LawAt:
    """v = Wk + c‖Wk‖x_y at every norm.

    >>> without_anchor(1.0)(5.0).kept
    1
    """
    return lambda norm_sq: relative_shift(c)


def with_anchor(c: float, anchor: float, n: int) -> LawAt:
    """v = a(Wk + δ)/‖Wk + δ‖: NAS with the loop closed, every read-out taken as long as their root mean square.

        θ² = a² E[1/‖k‖²] n/((1 + c²)R),   so that E‖W‖² follows T5.fixed_point exactly

    Args:
        c: ‖δ‖/‖Wk‖ of the solver.
        anchor: a, in value units.
        n: the key dimension, at least 3.

    Returns:
        The law at a given R.

    Raises:
        Misuse: fewer than 3 dimensions.

    >>> round(with_anchor(0.75, 1.0, 4)(2.0).kept, 3)
    0.8
    """
    stretch, inverse = math.sqrt(1 + c * c), inverse_length(n)
    return lambda norm_sq: kept_norm(stretch, anchor * math.sqrt(n * inverse / norm_sq))


def undirected_anchor(anchor: float, n: int) -> LawAt:
    """v = a x_y whatever Wk is: a value of fixed norm that keeps nothing of the read-out.

    >>> undirected_anchor(2.0, 4)(1.0).added
    2.0
    """
    added = anchor * anchor * inverse_length(n)
    return lambda norm_sq: fixed_values(added)


def inverse_length(n: int) -> float:
    """E[1/‖k‖²] of a key N(0, I_n).

    >>> inverse_length(4)
    0.5
    """
    if not n > 2:
        raise Misuse(f"keys have {n} dimensions, where E[1/‖k‖²] is infinite; use at least 3")
    return 1 / (n - 2)


def check_run(checkpoints: Sequence[int], shape: tuple[int, int], axes: int) -> None:
    """Refuse a run that cannot be: no or disordered checkpoints, an empty weight, more axes than rows."""
    if not checkpoints or list(checkpoints) != sorted(set(checkpoints)) or checkpoints[0] < 1:
        raise Misuse(f"the checkpoints {list(checkpoints)} do not increase from 1 on; sort them and drop repetitions")
    if min(shape) < 1 or not 1 <= axes <= shape[0]:
        raise Misuse(f"{axes} orthonormal codewords do not fit into a weight of shape {shape}; use 1 to m axes")


def memoryless_success(
    law: LawAt, checkpoints: Sequence[int], shape: tuple[int, int], axes: int, norm_sq: float
) -> NDArray[np.float64]:
    """The mean success of all edits so far, for hard memoryless writes (ROME with C = I).

        success_t = (1/t) Σ_j P(√(m signal_j/noise_j))      (T6.aging's means at age t − j, P beside crowded axes)

    Args:
        law: of the values, at every norm.
        checkpoints: numbers of edits, increasing.
        shape: (m, n) of W.
        axes: B ≤ m signed codewords.
        norm_sq: ‖W_0‖²_F > 0, isotropic in distribution.

    Returns:
        One rate a checkpoint, from 0 to 1.

    Raises:
        Misuse: a run that cannot be, or a norm that is not positive or leaves the range of floats.

    Source: T6.success, a mean-field approximation; S6.success reports its error.

    >>> memoryless_success(without_anchor(0.75), [1, 64], (16, 32), 16, 16.0).round(2).tolist()
    [0.8, 0.57]
    """
    check_run(checkpoints, shape, axes)
    (m, n), rates = shape, []
    for crowd in crowds(law, checkpoints, n, norm_sq):
        rates.append(mean_success(crowd.answers, axis_law(crowd.background, crowd.shares, m, axes), m, axes))
    return np.array(rates)


def memoryless_specificity(
    law: LawAt, checkpoints: Sequence[int], shape: tuple[int, int], axes: int, norm_sq: float, background: float
) -> NDArray[np.float64]:
    """`specificity` beside the crowded axes that hard memoryless writes (ROME with C = I) make.

        P = E_V ∫_0^∞ φ((u − ρ)/√V)/√V · (E_V' [2Φ(u/√V') − 1])^(B−1) du,   ρ = h√m/√R_t

    V has T6.crowding's mean and variance after t writes: the noise is louder on the axes that were asked for often and
    late, and the loudest rival wins. R_t is a mean: where m c²/n is large ‖W_t‖² is mostly far below it, and the share
    above this one (S6.specificity says where it was tried).

    Args:
        law: of the values, at every norm.
        checkpoints: numbers of edits, increasing.
        shape: (m, n) of W.
        axes: B ≤ m signed codewords.
        norm_sq: ‖W_0‖²_F > 0, isotropic in distribution.
        background: h > 0, in value units, on the axis of the prompt's answer.

    Returns:
        The share of unedited prompts that keep their answer, one a checkpoint.

    Raises:
        Misuse: a run that cannot be, a norm that is not positive or leaves the range of floats, or another background.

    Source: T6.crowded_specificity, a mean-field approximation; S6.specificity reports its error.

    >>> memoryless_specificity(without_anchor(0.75), [1, 64], (16, 32), 16, 16.0, 5.0).round(2).tolist()
    [0.99, 0.75]
    """
    check_run(checkpoints, shape, axes)
    if not 0 < background < math.inf:
        raise Misuse(f"the background is {background}; it must be positive and finite")
    (m, n), rates = shape, []
    for crowd in crowds(law, checkpoints, n, norm_sq):
        ratio = background * math.sqrt(m / crowd.answers.norm_sq)
        energies = axis_law(crowd.background, crowd.shares, m, axes, edited=False)
        rates.append(float(crowded_success(np.array([ratio]), energies, axes)[0]))
    return np.array(rates)


class Crowd(NamedTuple):
    """The mean energies of a memory after some edits.

    Attributes:
        answers: of the weight and of every edit's answer.
        background: W_0's share of the weight.
        shares: (t,) the writes' shares.
    """

    answers: Answer
    background: float
    shares: NDArray[np.float64]


def crowds(law: LawAt, checkpoints: Sequence[int], n: int, norm_sq: float) -> Iterator[Crowd]:
    """The memory at every checkpoint of a stream of hard memoryless writes.

    Args:
        law: of the values, at every norm.
        checkpoints: numbers of edits, increasing.
        n: the key dimension.
        norm_sq: ‖W_0‖²_F > 0, in weight units squared.

    Yields:
        The mean energies after each of those numbers of edits.

    Raises:
        Misuse: a norm that is not positive or leaves the range of floats.

    Source: T6.aging, T6.crowding.

    >>> [crowd.shares.size for crowd in crowds(without_anchor(0.75), [1, 4], 32, 16.0)]
    [1, 4]
    """
    if not 0 < norm_sq < math.inf:
        raise Misuse(f"‖W_0‖² is {norm_sq}; it must be positive and finite")
    weight, answers = float(norm_sq), Answer(float(norm_sq), np.zeros(0), np.zeros(0))
    background, shares = weight, np.zeros(0)
    for t in range(1, max(checkpoints) + 1):
        now = law(weight)
        older, newest = later(now, answers, n), written(now, weight, n)
        background, shares = background * share_decay(now, n), np.append(shares * share_decay(now, n), newest.signal_sq)
        weight = float(newest.norm_sq)
        if not weight < 1e300:
            raise Misuse(f"‖W‖² leaves the range of floats after {t} edits; end the run before")
        answers = Answer(
            weight,
            np.append(older.readout_sq, newest.readout_sq),
            np.append(older.signal_sq, newest.signal_sq),
        )
        if t in checkpoints:
            yield Crowd(answers, background, shares)


def accumulating_success(
    c: float, checkpoints: Sequence[int], shape: tuple[int, int], axes: int, ridge: float
) -> NDArray[np.float64]:
    """The mean success of all edits so far, for a rule that adds every key to A = L2·I + Σ kkᵀ, without NAS.

        signal_j = c²η_j²R_j,   noise_j(t) = R_j + Σ_{j<i≤t} c²R_i q_i/(1 + n g_i)²
        g, q, R of T3b;   η = n g/(1 + n g); a past key is met by kᵀA⁻¹k_j = kᵀA_{∖j}⁻¹k_j/(1 + s_j)

    Args:
        c: ‖δ‖/‖Wk‖.
        checkpoints: numbers of edits, increasing.
        shape: (m, n) of W; n is rank(P) for AlphaEdit.
        axes: B ≤ m signed codewords.
        ridge: L2, in key units squared.

    Returns:
        One rate a checkpoint, from 0 to 1; the scale of W_0 does not matter.

    Raises:
        Misuse: a run that cannot be, or a ridge that is below 1e-100 or not finite.

    Source: T6.success, a mean-field approximation; S6.memory reports its error.

    >>> accumulating_success(0.75, [16, 64], (16, 32), 16, 0.01).round(2).tolist()
    [0.79, 0.41]
    """
    check_run(checkpoints, shape, axes)
    if not 1e-100 <= ridge < math.inf:
        raise Misuse(f"the ridge L2 is {ridge}; it must be at least 1e-100 and finite, such as 10")
    m, n = shape
    norm_sq, signal, noise, shares = 1.0, np.zeros(0), np.zeros(0), np.zeros(0)
    rates = {}
    for t in range(1, max(checkpoints) + 1):
        gain = mean_gain(n, ridge, t - 1)
        share = gain / (1 + gain)
        spread = gain**2 / (n * (1 + gain) ** 2 - (t - 1) * gain**2)
        noise = np.append(noise + c * c * norm_sq * spread / (1 + gain) ** 2, norm_sq)
        signal = np.append(signal, (c * share) ** 2 * norm_sq)
        shares = np.append(shares, c * c * norm_sq * spread)
        norm_sq *= 1 + c * c * spread
        if not norm_sq < 1e300:
            raise Misuse(f"‖W‖² leaves the range of floats after {t} edits; end the run before")
        if t in checkpoints:
            answers = Answer(norm_sq, signal + noise, signal)
            rates[t] = mean_success(answers, axis_law(1.0, shares, m, axes), m, axes)
    return np.array([rates[t] for t in checkpoints])


def mean_gain(n: int, ridge: float, t: int) -> float:
    """s = kᵀA_t⁻¹k for a new key, n g in T3b: the positive root of L2·s² + (L2 + t − n)s − n = 0.

    >>> mean_gain(4, 2.0, 0)
    2.0
    """
    linear = ridge + t - n
    root = math.sqrt(linear * linear + 4 * ridge * n)
    return 2 * n / (root + linear) if linear > 0 else (root - linear) / (2 * ridge)


def mean_success(answers: Answer, energies: NDArray[np.float64], m: int, axes: int) -> float:
    """The mean over edits of P(√(m signal/noise)): the noise energy is spread over m directions, `energies` on an axis.

    >>> round(mean_success(Answer(1.0, np.array([1 + 1e-9, 1e9]), np.ones(2)), np.ones(2), 8, 4), 4)
    0.5625
    """
    with np.errstate(divide="ignore"):  # no noise at all is a ratio of infinity
        ratio = np.sqrt(m * answers.signal_sq / answers.noise_sq)
    return float(crowded_success(ratio, energies, axes).mean())


def predicted_collapse(checkpoints: Sequence[int], rates: NDArray[np.float64], q: float) -> Bracket:
    """CP@q of a predicted curve, on the grid on which a run would be evaluated.

    >>> str(predicted_collapse([10, 20], np.array([0.9, 0.4]), 60))
    '10 to 20'
    """
    return collapse_point(checkpoints, [100 * float(min(rate, 1.0)) for rate in rates], q)
