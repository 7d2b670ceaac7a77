"""A linear memory with a codebook: every edit asks for a codeword, and is right while the read-out decodes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.editor import Edit, Editor
from sim.engine import write_in_place
from sim.memory import KeyLaw, draw_weight, isotropic_keys
from sim.metric import in_float64
from theory.collapse.points import Bracket, collapse_point
from theory.command import Misuse

CodeLaw = Callable[[Tensor, Tensor], Tensor]
"""(read-outs (m, 1), codewords (m, 1)) -> solved values (m, 1)."""


class Stream(NamedTuple):
    """What a stream of edits left behind.

    Attributes:
        keys: (n, T) columns k_j.
        values: (m, T) columns v_j as written, after the value transforms.
        answers: (T,) the axis of each codeword.
        signs: (T,) its sign.
        norms_before: (T,) ‖W‖²_{M⁻¹} before each write, in the metric of that write.
        weights: checkpoint -> W after so many edits.
    """

    keys: Float[Tensor, "n t"]
    values: Float[Tensor, "m t"]
    answers: Int[Tensor, " t"]
    signs: Float[Tensor, " t"]
    norms_before: Float[Tensor, " t"]
    weights: dict[int, Tensor]


def relative_code(ratio: float) -> CodeLaw:
    """v = Wk + c‖Wk‖x: a solver's clamped shift towards the codeword, in proportion to the read-out.

    Args:
        ratio: c > 0, dimensionless.

    >>> relative_code(0.5)(torch.tensor([[3.0], [4.0]]), torch.tensor([[0.0], [1.0]])).flatten().tolist()
    [3.0, 6.5]
    """
    return lambda readouts, words: readouts + ratio * readouts.norm(dim=0) * words


def fixed_code(size: float) -> CodeLaw:
    """v = a x, whatever Wk is.

    Args:
        size: a > 0, in value units.

    >>> fixed_code(2.0)(torch.ones(2, 1), torch.tensor([[0.0], [1.0]])).flatten().tolist()
    [0.0, 2.0]
    """
    return lambda readouts, words: size * words


def run_codewords(
    rule: Editor,
    weight: Float[Tensor, "m n"],
    code: CodeLaw,
    checkpoints: Sequence[int],
    generator: Generator,
    *,
    keys: KeyLaw | None = None,
    axes: int | None = None,
) -> Stream:
    """Edit a linear memory towards codewords drawn uniformly from ±e_1 … ±e_B.

    Args:
        rule: the editor, one key a write.
        weight: W_0 (m, n), which is left as it is.
        code: the solver's value for a read-out and a codeword.
        checkpoints: numbers of edits after which the weight is kept, positive and increasing.
        generator: draws keys and codewords.
        keys: their law; None is N(0, I).
        axes: B ≤ m; None is m. Coordinate axes stand for any orthonormal words.

    Returns:
        The stream with its kept weights.

    Raises:
        Misuse: checkpoints that do not increase from 1 on, or more axes than m.
    """
    m, law = weight.shape[0], keys or isotropic_keys()
    size = m if axes is None else axes
    if list(checkpoints) != sorted(set(checkpoints)) or not checkpoints or checkpoints[0] < 1:
        raise Misuse(f"the checkpoints {list(checkpoints)} do not increase from 1 on; sort them")
    if not 1 <= size <= m:
        raise Misuse(f"{size} orthonormal codewords do not fit into {m} value dimensions; choose 1 to {m}")
    total, weight = checkpoints[-1], weight.clone()
    answers = torch.randint(size, (total,), generator=generator, device=weight.device)
    signs = 1.0 - 2.0 * torch.randint(2, (total,), generator=generator, device=weight.device).to(weight)
    state, rows, norms, kept = rule.init(weight), [], [], {}
    for t in range(total):
        key = law(weight, 1, generator)
        word = torch.zeros_like(weight[:, :1])
        word[answers[t]] = signs[t]
        readout = weight @ key
        norms.append(in_float64(rule.metric(state)).norm_sq(weight.double()))
        edit, state = rule.target(Edit(key, readout, code(readout, word)), state, weight)
        delta, state, _ = rule.write(edit, state, weight)
        write_in_place(weight, delta)
        state = rule.absorb(key, state)
        rows.append((key, edit.values))
        if t + 1 in checkpoints:
            kept[t + 1] = weight.clone()
    keys_, values = (torch.cat(parts, dim=1) for parts in zip(*rows, strict=True))
    return Stream(keys_, values, answers, signs, torch.stack(norms), kept)


def right_answers(stream: Stream, edits: int, axes: int | None = None) -> NDArray[np.bool_]:
    """Which of the first edits the memory answers rightly after so many: argmax over ±x_b of <x, W_t k_j>.

        right iff  s_j (W_t k_j)_y > |(W_t k_j)_b| for every other axis b

    Args:
        stream: of `run_codewords`.
        edits: t, one of its checkpoints.
        axes: B as in the run; None is m.

    Returns:
        (t,) one truth value an edit.
    """
    readouts = (stream.weights[edits] @ stream.keys[:, :edits])[:axes]
    best = readouts.abs().argmax(dim=0)
    sign = readouts.gather(0, best[None])[0].sign()
    return ((best == stream.answers[:edits]) & (sign == stream.signs[:edits])).cpu().numpy()


def success_rates(stream: Stream, axes: int | None = None) -> NDArray[np.float64]:
    """The success rate over all edits so far, at every checkpoint, from 0 to 1."""
    return np.array([right_answers(stream, edits, axes).mean() for edits in stream.weights])


def stream_collapse(stream: Stream, q: float, axes: int | None = None) -> Bracket:
    """CP@q of a stream (q in percent)."""
    # 100·right/edits is exactly q at a tie; 100·(right/edits) may round below it
    rates = [100 * int(right_answers(stream, edits, axes).sum()) / edits for edits in stream.weights]
    return collapse_point(list(stream.weights), rates, q)


def answer_energies(stream: Stream, edit: int, edits: int) -> tuple[float, float]:
    """What later writes made of one answer, per unit of its value: <W_t k_j, v_j>/‖v_j‖² and ‖W_t k_j − v_j‖²/‖v_j‖².

    Args:
        stream: of `run_codewords`.
        edit: j, from 0.
        edits: t > j, one of its checkpoints.

    Returns:
        What is left of the answer, 1 right after a hard write; and the interference on it.
    """
    value, readout = stream.values[:, edit], stream.weights[edits] @ stream.keys[:, edit]
    size = value.square().sum()
    return float(readout @ value / size), float((readout - value).square().sum() / size)


def kept_prompts(
    weight: Float[Tensor, "m n"], background: float, prompts: int, generator: Generator, axes: int | None = None
) -> float:
    """The share of unedited prompts that keep their answer beside a fixed background: argmax <x, h x_0 + Wk> = x_0.

    Args:
        weight: W (m, n).
        background: h, in value units; x_0 is the first axis.
        prompts: how many keys N(0, I) are tried.
        generator: draws them.
        axes: B; None is m.

    Returns:
        The share, from 0 to 1.
    """
    readouts = (weight @ isotropic_keys()(weight, prompts, generator))[:axes].clone()
    readouts[0] += background
    return float(((readouts.abs().argmax(dim=0) == 0) & (readouts[0] > 0)).double().mean())


def scaled_weight(m: int, n: int, norm_sq: float, generator: Generator) -> Float[Tensor, "m n"]:
    """An isotropic weight of a given norm, so that predictions need not average over W_0.

    >>> round(float(scaled_weight(2, 3, 4.0, Generator().manual_seed(0)).norm()), 6)
    2.0
    """
    weight = draw_weight(m, n, generator)
    return weight * (norm_sq**0.5 / weight.norm())
