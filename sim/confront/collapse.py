"""T6 beside simulation: interference, forgetting, success of all edits so far, collapse points, specificity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sim.confrontation import Setting, confront
from sim.editor import Editor, editor
from sim.memory import gaussian_keys
from sim.retrieval import (
    CodeLaw,
    Stream,
    fixed_code,
    kept_prompts,
    relative_code,
    run_codewords,
    scaled_weight,
    stream_collapse,
    success_rates,
)
from sim.rules.alphaedit import alphaedit
from sim.rules.rome import rome
from sim.values.anchor_norm import anchor_norm
from theory.claim import Claim
from theory.collapse.interference import Answer, forgetting, interference, later, written
from theory.collapse.retrieval import specificity, success_probability
from theory.collapse.success import (
    LawAt,
    accumulating_success,
    crowds,
    memoryless_specificity,
    memoryless_success,
    predicted_collapse,
    with_anchor,
    without_anchor,
)

MEAN_FIELD = 0.08
"""Success predicted from mean energies: read-outs' lengths fluctuate, so it is too high, by less than this (stated)."""


PROMPTS = 10_000_000
"""What the seeds of unedited prompts have above those of their streams."""


@dataclass(frozen=True)
class Codes:
    """One memory with a codebook.

    Attributes:
        m: value dimension, and the number of signed codewords' axes.
        n: key dimension.
        c: ‖δ‖/‖Wk‖ of the solver.
        spread: ratio of the extreme eigenvalues of the keys' covariance, which the write's metric matches.
        seed: of the first repetition.
    """

    m: int
    n: int
    c: float
    spread: float = 1.0
    seed: int = 0

    @property
    def anchor(self) -> float:
        """a = √(1 + c²)·√(E‖W_0k‖²): the mean square norm of a value on W_0, where ‖W_0‖² = m."""
        return math.sqrt((1 + self.c**2) * self.m)

    @property
    def covariance(self) -> torch.Tensor:
        """The keys' covariance, of trace n."""
        values = torch.logspace(0.0, math.log10(self.spread), self.n, dtype=torch.float64)
        return torch.diag(values * self.n / values.sum())

    def rome(self) -> Editor:
        """Hard memoryless writes in the matched metric."""
        return editor(rome(None if self.spread == 1 else self.covariance))

    def anchored(self) -> Editor:
        """The same with NAS."""
        return editor(rome(), values=anchor_norm(self.anchor))

    def stream(self, rule: Editor, code: CodeLaw, checkpoints: Sequence[int], index: int) -> Stream:
        """One repetition; ‖W_0‖²_F = m."""
        generator = torch.Generator().manual_seed(self.seed + index)
        weight = scaled_weight(self.m, self.n, float(self.m), generator)
        keys = gaussian_keys(self.covariance)
        return run_codewords(rule, weight, code, checkpoints, generator, keys=keys)

    def __str__(self) -> str:
        spread = "" if self.spread == 1 else f", anisotropy {self.spread:g}"
        return f"m = {self.m}, n = {self.n}, c = {self.c:g}{spread}"


def over_seeds(one: Callable[[int], float], seeds: int) -> Callable[[], NDArray[np.float64]]:
    """Run one number a seed."""
    return lambda: np.array([one(index) for index in range(seeds)])


def mean_interference(codes: Codes, age: int, edits: int, index: int) -> float:
    """The mean over edits of ‖W_{j+a}k_j − v_j‖²/(s_j‖W_j‖²), norms in the metric of the write."""
    stream = codes.stream(codes.rome(), relative_code(codes.c), range(1, edits + 1), index)
    inverse = torch.linalg.inv(codes.covariance)
    sizes = (stream.keys * (inverse @ stream.keys)).sum(dim=0)
    ratios = [
        (stream.weights[j + 1 + age] @ stream.keys[:, j] - stream.values[:, j]).square().sum()
        / (sizes[j] * stream.norms_before[j])
        for j in range(edits - age)
    ]
    return float(torch.stack(ratios).mean())


def interference_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """T6.interference, by age."""
    runs = ((Codes(6, 10, 0.75, seed=100), 8), (Codes(5, 4, 1.5, seed=200), 3), (Codes(8, 12, 1.0, 9.0, seed=300), 6))
    return confront(
        "S6.interference", "T6",
        "ROME without NAS, values Wk + c‖Wk‖x_y, x_y from ±e_b: the mean over 40 edits of ‖W_{j+a}k_j − v_j‖² over "
        "kᵀMk‖W_j‖²_{M⁻¹} is T6.interference's closed form, in the matched metric too",
        settings=[Setting(f"{codes}, age {age}", over_seeds(
            partial(mean_interference, codes, age, 40), 3 * seeds)) for codes, age in runs],
        predicted=[interference(codes.n, codes.c, age) for codes, age in runs],
        twin=[((1 + codes.c**2 / codes.n) ** age - 1) * (1 + codes.c**2) / codes.n for codes, age in runs],
        twin_statement="it is (λ₁^a − 1)(1 + c²)/n, as if Wk_j grew as ‖W‖ does",
    )  # fmt: skip


def mean_fading(codes: Codes, age: int, edits: int, index: int) -> float:
    """The mean over edits of <W_{j+a}k_j, v_j>/‖v_j‖² for values of fixed norm."""
    stream = codes.stream(codes.rome(), fixed_code(codes.anchor), range(1, edits + 1), index)
    left = [
        stream.weights[j + 1 + age] @ stream.keys[:, j] @ stream.values[:, j] / codes.anchor**2
        for j in range(edits - age)
    ]
    return float(torch.stack(left).mean())


def forgetting_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """T6.forgetting, by age."""
    runs = ((Codes(6, 10, 1.0, seed=400), 10), (Codes(9, 5, 1.0, seed=500), 4), (Codes(7, 12, 1.0, 9.0, seed=600), 8))
    faded = [math.sqrt(forgetting(codes.n, age)[0]) for codes, age in runs]
    return confront(
        "S6.forgetting", "T6",
        "ROME with values a·x_y of fixed norm, x_y from ±e_b: the mean over 40 edits of <W_{j+a}k_j, v_j>/a² is "
        "(1 − 1/n)^a, in the matched metric too",
        settings=[Setting(f"{codes}, age {age}", over_seeds(
            partial(mean_fading, codes, age, 40), 3 * seeds)) for codes, age in runs],
        predicted=faded, twin=[(1 - 1 / (codes.n + 2)) ** age for codes, age in runs],
        twin_statement="it is (1 − 1/(n+2))^a",
    )  # fmt: skip


def value_law(codes: Codes, anchored: bool) -> LawAt:
    """The law that a mean-field prediction gives to the values of a stream."""
    return with_anchor(codes.c, codes.anchor, codes.n) if anchored else without_anchor(codes.c)


def even_success(codes: Codes, edits: int, anchored: bool) -> float:
    """`memoryless_success` with noise that is as loud on every axis: the twin."""
    law, n, norm_sq = value_law(codes, anchored), codes.n, float(codes.m)
    answers = Answer(norm_sq, np.zeros(0), np.zeros(0))
    for _ in range(edits):
        older, newest = later(law(norm_sq), answers, n), written(law(norm_sq), norm_sq, n)
        norm_sq = float(newest.norm_sq)
        readouts = np.append(older.readout_sq, newest.readout_sq)
        answers = Answer(norm_sq, readouts, np.append(older.signal_sq, newest.signal_sq))
    return float(success_probability(np.sqrt(codes.m * answers.signal_sq / answers.noise_sq), codes.m).mean())


def success_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """The predicted success of all edits so far, with and without NAS."""
    plain = [(Codes(32, 64, 1.5, seed=700), 2), (Codes(64, 32, 1.5, seed=800), 2), (Codes(32, 48, 0.75, seed=900), 4)]
    runs = [(codes, times * codes.n, anchored) for codes, times in plain for anchored in (False, True)]

    def measure(codes: Codes, edits: int, anchored: bool, index: int) -> float:
        rule = codes.anchored() if anchored else codes.rome()
        return float(success_rates(codes.stream(rule, relative_code(codes.c), [edits], index))[0])

    def foretell(codes: Codes, edits: int, anchored: bool) -> float:
        law, shape = value_law(codes, anchored), (codes.m, codes.n)
        return float(memoryless_success(law, [edits], shape, codes.m, float(codes.m))[0])

    return confront(
        "S6.success", "P8, T6",
        "ROME, values Wk + c‖Wk‖x_y, with NAS and without, m c²/n from 0.4 to 4.5: the success rate over all t edits "
        f"so far follows the mean field of T6.success within {100 * MEAN_FIELD:.0f} %",
        settings=[Setting(f"{codes}, t = {edits}, {'NAS' if anchored else 'no NAS'}", over_seeds(
            partial(measure, codes, edits, anchored), seeds)) for codes, edits, anchored in runs],
        predicted=[foretell(*run) for run in runs], twin=[even_success(*run) for run in runs],
        twin_statement="the noise is as loud on every axis, whichever answers were asked for",
        relation="~", error=MEAN_FIELD,
    )  # fmt: skip


def memory_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """The predicted success of an accumulating rule, before and past its threshold."""
    runs = ((Codes(32, 64, 1.5, seed=1000), 0.1, 32), (Codes(32, 64, 1.5, seed=1000), 0.1, 128),
            (Codes(32, 64, 1.5, seed=1100), 5.0, 128), (Codes(24, 48, 2.0, seed=1200), 0.1, 72))  # fmt: skip

    def measure(codes: Codes, ridge: float, edits: int, index: int) -> float:
        rule = editor(alphaedit(torch.eye(codes.n, dtype=torch.float64), ridge=ridge))
        return float(success_rates(codes.stream(rule, relative_code(codes.c), [edits], index))[0])

    predicted = [
        float(accumulating_success(codes.c, [edits], (codes.m, codes.n), codes.m, ridge)[0])
        for codes, ridge, edits in runs
    ]
    return confront(
        "S6.memory", "T3b, T6",
        "AlphaEdit with P = I, without NAS: before t = n all edits are kept, past it most are lost at small L2; the "
        f"success rate over all t edits so far follows the mean field within {100 * MEAN_FIELD:.0f} %",
        settings=[Setting(f"{codes}, L2 = {ridge:g}, t = {edits}", over_seeds(
            partial(measure, codes, ridge, edits), seeds // 2))
            for codes, ridge, edits in runs],
        predicted=predicted, twin=[predicted[0]] * len(runs),
        twin_statement="they are kept past the threshold too", relation="~", error=MEAN_FIELD,
    )  # fmt: skip


def collapse_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """CP@60 on a grid of n/8 edits, with and without NAS."""
    q, plain = 60.0, (Codes(32, 64, 1.5, seed=1300), Codes(32, 64, 2.0, seed=1400))
    runs = [(codes, anchored) for codes in plain for anchored in (False, True)]

    def grid(codes: Codes) -> list[int]:
        return list(range(codes.n // 8, 4 * codes.n + 1, codes.n // 8))

    def measure(codes: Codes, anchored: bool, index: int) -> float:
        rule = codes.anchored() if anchored else codes.rome()
        return stream_collapse(codes.stream(rule, relative_code(codes.c), grid(codes), index), q).high

    @cache
    def foretell(codes: Codes, anchored: bool) -> float:
        rates = memoryless_success(value_law(codes, anchored), grid(codes), (codes.m, codes.n), codes.m, float(codes.m))
        return predicted_collapse(grid(codes), rates, q).high

    return confront(
        "S6.collapse", "P8, T6",
        "ROME in a linear memory: CP@60's upper end, mean over seeds, on a grid of n/8 edits, lies within 10 % of the "
        "mean field's, with NAS and without",
        settings=[Setting(f"{codes}, {'NAS' if anchored else 'no NAS'}", over_seeds(
            partial(measure, codes, anchored), seeds // 2))
            for codes, anchored in runs],
        predicted=[foretell(*run) for run in runs], twin=[foretell(codes, False) for codes, _ in runs],
        twin_statement="NAS does not delay it", relation="~", error=0.1,
    )  # fmt: skip


def specificity_claim(seeds: int) -> Claim[tuple[float, ...]]:
    """Unedited prompts beside a fixed background, where half of them and more are lost."""
    runs = (
        (Codes(64, 48, 0.75, seed=7100), False, 3, 40.0),
        (Codes(64, 48, 0.75, seed=7200), True, 3, 8.0),
        (Codes(32, 32, 1.0, seed=7300), False, 2, 40.0),
        (Codes(32, 48, 1.5, seed=7400), True, 3, 10.0),
    )

    def measure(codes: Codes, anchored: bool, times: int, height_sq: float, index: int) -> float:
        rule = codes.anchored() if anchored else codes.rome()
        stream = codes.stream(rule, relative_code(codes.c), [times * codes.n], index)
        prompts = torch.Generator().manual_seed(PROMPTS + codes.seed + index)  # a key of the stream is no prompt
        return kept_prompts(stream.weights[times * codes.n], math.sqrt(height_sq), 400, prompts)

    def foretell(codes: Codes, anchored: bool, times: int, height_sq: float) -> float:
        law, shape = value_law(codes, anchored), (codes.m, codes.n)
        points, height = [times * codes.n], math.sqrt(height_sq)
        return float(memoryless_specificity(law, points, shape, codes.m, float(codes.m), height)[0])

    def even(codes: Codes, anchored: bool, times: int, height_sq: float) -> float:
        (crowd,) = crowds(value_law(codes, anchored), [times * codes.n], codes.n, float(codes.m))
        return float(specificity(math.sqrt(height_sq), crowd.answers.norm_sq, (codes.m, codes.n), codes.m))

    return confront(
        "S6.specificity", "P12, T6",
        "Unedited prompts with a fixed background h beside Wk (‖W_0‖² = m), m c²/n from 0.75 to 1.5, shares from 0.2 "
        "to 0.5: the share that keeps its answer after t edits is that of T6.crowded_specificity, with NAS and "
        f"without, within {100 * MEAN_FIELD:.0f} %",
        settings=[Setting(f"{codes}, t = {times}n, h² = {height_sq:g}, {'NAS' if anchored else 'no NAS'}", over_seeds(
            partial(measure, codes, anchored, times, height_sq), 2 * seeds))
            for codes, anchored, times, height_sq in runs],
        predicted=[foretell(*run) for run in runs], twin=[even(*run) for run in runs],
        twin_statement="the noise is as loud on every axis: T6.specificity at the mean norm", relation="~",
        error=MEAN_FIELD,
    )  # fmt: skip


def claims(seeds: int) -> tuple[Claim[Any], ...]:
    """T6's confrontations.

    Args:
        seeds: repetitions of an experiment, 16 at level quick.

    Returns:
        The claims; nothing is simulated before a check runs.
    """
    return (interference_claim(seeds), forgetting_claim(seeds), success_claim(seeds), memory_claim(seeds),
            collapse_claim(seeds), specificity_claim(seeds))  # fmt: skip
