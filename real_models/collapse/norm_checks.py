"""What the collapse experiment's record says of norms: with success, along the stream, in the values, under NAS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from real_models.collapse.means import Mean, in_every, mean_of
from real_models.collapse.record import Comparison
from theory.claim import Evidence

Pairs = Sequence[tuple[str, str]]
"""(editor without NAS, with NAS)."""
Series = NDArray[np.float64]
RESAMPLES = 1000
CERTAIN = 0.9999
"""The largest rank correlation that is told from 1."""
STRONG = -0.5
"""A rank correlation whose interval lies below this counts as strong and negative."""
AFTER = 64
"""Edits after which growth is judged: the first writes let the norm leap, whatever the law behind them."""
STEADY = 0.75
"""An exponential's rate in the second half is at least this share of the first half's."""
ROOT = 0.5 * math.log(2)
"""Growth of log ‖W‖ over a stream's second half under ‖W‖² = a + bt, at most."""
PROPORTIONAL = (0.8, 1.25)
"""Elasticities that count as proportional."""
WINDOW, KNEE, OTHER_KNEES = 32, 0.3, (0.2, 0.5)
"""Edits over which growth is averaged, the share of its peak to which it must have fallen, and others that are told."""
ALIKE = 1.1
"""Factor within which knees in units of rank(P) must agree."""


def along(runs: Sequence[Comparison], editors: Sequence[str], sign: int) -> Evidence:
    """Spearman's ρ(‖W‖, exact score) along streams, over the editors first; the edit number's own ρ beside it."""
    found, steps = {}, []
    for run in runs:
        rho = {editor: [_along(run, editor, seed, "weight_norm") for seed in run.seeds] for editor in editors}
        count = [_along(run, editor, seed, "step") for editor in editors for seed in run.seeds]
        found[run.name] = mean_correlation(sign * np.nanmean(list(rho.values()), axis=0))
        steps += [f"{run.name} {editor}: ρ = {np.nanmean(values):.2f}" for editor, values in rho.items()]
        steps.append(f"{run.name}: of the edit number with the score ρ = {np.nanmean(count):.2f}")
    return in_every(found, f"below {STRONG:g}", tuple(steps), high=STRONG)


def _along(run: Comparison, editor: str, seed: int, column: str) -> float:
    own = run.evaluations(editor, seed)
    own = own[own["step"] > 0]
    return _rho(own[column].to_numpy(float), own["score_exact"].fillna(0.0).to_numpy(float))


def across(runs: Sequence[Comparison], pairs: Pairs, sign: int) -> Evidence:
    """Spearman's ρ(‖W‖, exact score) over editors at the stream's end, a mean over seeds.

    The editors are the sample, so the interval is from resampling their pairs.
    """
    found, steps = {}, []
    for run in runs:
        ends = [[_ends(run, editor, sign) for editor in pair] for pair in pairs]
        table = np.array(ends)  # (pair, member, norm or score, seed)
        dice = np.random.default_rng(0)
        drawn = [_over_seeds(table[dice.integers(len(pairs), size=len(pairs))]) for _ in range(RESAMPLES)]
        low, high = np.nanquantile(drawn, (0.025, 0.975))
        found[run.name] = Mean(_over_seeds(table), float(low), float(high))
        for pair, own in zip(pairs, table.mean(axis=-1), strict=True):
            listed = zip(pair, own, strict=True)
            steps += [
                f"{run.name} {one}: {sign * norm:.3g} times the norm, score {at:.0f}" for one, (norm, at) in listed
            ]
    return in_every(found, f"below {STRONG:g}", tuple(steps), high=STRONG)


def _ends(run: Comparison, editor: str, sign: int) -> list[Series]:
    first = run.checkpoints["weight_norm"].iloc[0]
    return [sign * run.at_end(editor, "weight_norm", math.inf) / first, run.at_end(editor, "score_exact", 0.0)]


def _over_seeds(ends: NDArray[np.float64]) -> float:
    """The mean over seeds of ρ over all editors."""
    norms, scores = np.moveaxis(ends, 2, 0).reshape(2, -1, ends.shape[-1])
    return float(np.nanmean([_rho(norm, score) for norm, score in zip(norms.T, scores.T, strict=True)]))


def mean_correlation(values: Sequence[float] | Series) -> Mean:
    """The mean of rank correlations with its Student interval, by Fisher's z = artanh ρ.

    >>> round(mean_correlation([-0.9, -0.8]).value, 3)
    -0.858
    """
    found = mean_of(np.arctanh(np.clip(values, -CERTAIN, CERTAIN)))
    return Mean(*map(math.tanh, found))


def _rho(x: Series, y: Series) -> float:
    """Spearman's ρ; NaN where one side does not move, as the score of a stream that is broken from the start."""
    if len(set(x)) == 1 or len(set(y)) == 1:
        return math.nan
    return float(stats.spearmanr(x, y).statistic)


LAWS: dict[str, tuple[Callable[[Series], Series], Callable[[Series], Series]]] = {
    "exponential": (np.log, np.exp),
    "linear": (np.array, np.array),
    "quadratic": (np.sqrt, lambda x: np.square(np.maximum(x, 0.0))),
    "square root": (np.square, lambda x: np.sqrt(np.maximum(x, 1e-12))),
}
"""Laws of ‖W‖ in t: what is straight in t, and the way back."""


def best_law(log_norm: Series) -> str:
    """Which of ‖W‖ = e^(a+bt), (a + bt)², a + bt and √(a + bt) is nearest to a stretch of a stream.

    By the mean squared error of log ‖W‖.

    >>> best_law(np.log(3.0 + np.arange(100.0)))
    'linear'
    """
    t, norm, errors = np.arange(len(log_norm), dtype=float), np.exp(log_norm - log_norm[0]), {}
    for name, (straight, back) in LAWS.items():
        line = np.polynomial.Polynomial.fit(t, straight(norm), 1)(t)
        errors[name] = float(np.mean(np.square(np.log(np.maximum(back(line), 1e-12)) - np.log(norm))))
    return min(errors, key=lambda name: errors[name])


def parabola(log_norm: Series) -> Series:
    """The planted opposite of an exponential: √‖W‖ on a straight line between the series' ends."""
    first, last = np.exp(log_norm[[0, -1]] / 2)
    return 2 * np.log(np.linspace(first, last, len(log_norm)))


def exponential(runs: Sequence[Comparison], editors: Sequence[str], read: Callable[[Series], Series]) -> Evidence:
    """How many (comparison, editor) at least double ‖W‖ after the first leap, exponentially in every seed.

    That is: nearest to an exponential of the laws, and in the second half at `STEADY` of the first half's rate or more.

    Args:
        runs: the comparisons.
        editors: without NAS; those that a comparison lacks are passed over.
        read: what is made of log ‖W‖ before it is judged.
    """
    count, steps = 0, []
    for run in runs:
        for editor in (one for one in editors if one in set(run.checkpoints["editor"])):
            late = [read(run.log_norm(editor, seed)[AFTER:]) for seed in run.seeds]
            late = [series for series in late if len(series) > WINDOW and np.isfinite(series).all()]
            laws = [best_law(series) for series in late]
            growth = [series[-1] - series[0] for series in late]
            steady = [float((one[-1] - one[len(one) // 2]) / (one[len(one) // 2] - one[0])) for one in late]
            grows = bool(late) and set(laws) == {"exponential"} and bool(min(growth) >= math.log(2))
            yes = grows and min(steady) >= STEADY
            count += yes
            told = ", ".join(dict.fromkeys(laws)) or "broken before"
            said = f"+{np.mean(growth):.2f}, {told}, late over early rate {np.mean(steady):.2f}" if late else told
            steps.append(f"{run.name} {editor}: log ‖W‖ {said}")
    return Evidence(count > 0, float(count), "at least 1", steps=tuple(steps))


def proportional(runs: Sequence[Comparison], editor: str, columns: Sequence[str]) -> Evidence:
    """d log ‖v‖/d log ‖W‖ along an editor's streams after the first leap, W as it was when the value was solved."""
    found = {f"{run.name} {column.removesuffix('_norm')}": mean_of(_slopes(run, editor, column))
             for run in runs for column in columns}  # fmt: skip
    low, high = PROPORTIONAL
    return in_every(found, f"{low:g} to {high:g}", low=low, high=high)


def _slopes(run: Comparison, editor: str, column: str) -> list[float]:
    slopes = []
    for seed in run.seeds:
        norms = run.log_norm(editor, seed)[AFTER:-1]
        values = np.log(run.writes(editor, seed)[column].to_numpy(float)[AFTER:])
        known = np.isfinite(norms) & np.isfinite(values)
        slopes.append(float(stats.linregress(norms[known], values[known]).slope))
    return slopes


def controls(runs: Sequence[Comparison], pairs: Pairs) -> Evidence:
    """Growth of log ‖W‖ over the second half of the stream, without NAS less with it, over the editors first."""
    found = {run.name: mean_of(np.mean([_late(run, a) - _late(run, b) for a, b in pairs], axis=0)) for run in runs}
    return in_every(found, "above 0", _second_halves(runs, [editor for pair in pairs for editor in pair]), low=0.0)


def bounded(runs: Sequence[Comparison], editors: Sequence[str]) -> Evidence:
    """Growth of log ‖W‖ over the second half of the stream, of the editor in which it is largest."""
    found = {}
    for run in runs:
        late = {editor: mean_of(_late(run, editor)) for editor in editors}
        worst = max(late, key=lambda editor: late[editor].value)
        found[f"{run.name} {worst}"] = late[worst]
    return in_every(found, f"at most {ROOT:.2f}", _second_halves(runs, editors), high=ROOT)


def _late(run: Comparison, editor: str) -> Series:
    """log ‖W‖ at the end less in the middle, a seed each; infinite where the stream broke."""
    logs = [run.log_norm(editor, seed) for seed in run.seeds]
    grown = [log[-1] - log[run.edits // 2] if len(log) == run.edits + 1 else math.inf for log in logs]
    return np.where(np.isfinite(grown), grown, math.inf)


def _second_halves(runs: Sequence[Comparison], editors: Sequence[str]) -> tuple[str, ...]:
    steps = []
    for run in runs:
        for editor in editors:
            most = np.exp(max(np.max(log) - log[0] for log in (run.log_norm(editor, seed) for seed in run.seeds)))
            late = np.mean(_late(run, editor))
            steps.append(f"{run.name} {editor}: log ‖W‖ {late:+.2f} in the second half, at most {most:.3g} times ‖W_0‖")
    return tuple(steps)


def other_layers(run: Comparison, pairs: Pairs) -> Evidence:
    """Growth of log ‖W‖ after the first edit at the edited layers before the last, with NAS less without."""
    layers, found = sorted(run.rows["layer"].unique().tolist())[:-1], {}
    for layer in layers:
        gaps = [[_grown(run, b, seed, layer) - _grown(run, a, seed, layer) for seed in run.seeds] for a, b in pairs]
        found[f"layer {layer}"] = mean_of(np.mean(gaps, axis=0))
    return in_every(found, "below 0", high=0.0)


def _grown(run: Comparison, editor: str, seed: int, layer: int) -> float:
    norms = run.writes(editor, seed, layer)["weight_norm_after"].to_numpy(float)
    return float(np.log(norms[-1] / norms[0]))


def knee(log_norm: Series, share: float = KNEE) -> float:
    """The edit at which ‖W‖'s growth, averaged over `WINDOW` edits, has fallen to a share of its peak for good.

    Infinite where it has not by the end.

    >>> knee(np.log(1 + np.minimum(np.arange(301.0), 100.0)))
    107.0
    """
    norm = np.exp(log_norm)
    rates = (norm[WINDOW:] - norm[:-WINDOW]) / WINDOW
    fast = np.flatnonzero(rates[1:] > share * rates[1:].max()) + 1
    return float(fast[-1] + 1 + WINDOW / 2) if fast[-1] + 1 < len(rates) else math.inf


def threshold(runs: Sequence[Comparison], unit: str) -> Evidence:
    """Where AlphaEdit's norm all but stops growing, in units of a dimension, over the widths: the largest ratio of two.

    Args:
        runs: one a width.
        unit: "rank_of_P" as foretold, or "n", the key dimension.
    """
    scaled, steps = [], []
    for run in runs:
        (line, *_) = (one for one in run.summary["streams"] if one["editor"] == "alphaedit")
        logs = [run.log_norm("alphaedit", seed) for seed in run.seeds]
        knees = {share: float(np.mean([knee(log, share) for log in logs])) for share in (KNEE, *OTHER_KNEES)}
        scaled.append(knees[KNEE] / line[unit])
        told = ", ".join(f"{at / line['rank_of_P']:.2f} to {share:.0%}" for share, at in sorted(knees.items()))
        steps.append(
            f"{run.name}: n = {line['n']}, rank(P) = {line['rank_of_P']}; growth falls to {KNEE:.0%} of its peak at "
            f"edit {knees[KNEE]:.0f}; in units of rank(P) {told}"
        )
    ratio = max(scaled) / min(scaled) if np.isfinite(scaled).all() else math.nan
    return Evidence(
        ratio <= ALIKE, ratio, f"at most {ALIKE:g}", undecided=not np.isfinite(scaled).all(), steps=tuple(steps)
    )
