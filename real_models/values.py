"""The value solve: the shift δ of the edited layer's output that makes the model say the new answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.config import SolveConfig
from real_models.course import Course
from real_models.onward import take_up
from real_models.prompts import Aligned, Encoded, align, encode, fill
from real_models.questions import Questions, precise
from real_models.requests import Request


class Solved(NamedTuple):
    """The outcome of one value solve, at the subject's last token of the bare prompt.

    Attributes:
        shift: δ (d,), as added to the layer's output.
        output: v0 (d,), the projection's output Wk + b before any edit.
        key: k (n,), the projection's input.
        stream: h (d,), on which δ is added: the layer's output, or the projection's where that is normed once more.
        hidden_norm: ‖h‖, to which the clamp is relative.
        loss: the last loss.
        steps: how many gradient steps were taken.
    """

    shift: Float[Tensor, " d"]
    output: Float[Tensor, " d"]
    key: Float[Tensor, " n"]
    stream: Float[Tensor, " d"]
    hidden_norm: float
    loss: float
    steps: int


@dataclass(frozen=True)
class Editable:
    """A model ready for value solves.

    Attributes:
        adapter: the model.
        tokenizer: its fast tokenizer.
        prefixes: texts put before the prompt, so that the edit does not hang on one context.
        essence: the template whose next-token distribution the edit should keep, "{} is a" as published.
    """

    adapter: Adapter
    tokenizer: PreTrainedTokenizerBase
    prefixes: tuple[str, ...]
    essence: str


def solve_value(editable: Editable, request: Request, layer: int, config: SolveConfig) -> Solved:
    """Find δ for one request; see `solve_values`."""
    (solved,) = solve_values(editable, (request,), layer, config)
    return solved


def solve_values(
    editable: Editable,
    requests: Sequence[Request],
    layer: int,
    config: SolveConfig,
    prefixes: Sequence[Sequence[str] | None] = (),
) -> list[Solved]:
    """Find δ by Adam for each of several requests at once, added to the layer's output at the subject's last token.

        minimise  mean NLL(new answer) + kl · KL(p_δ ‖ p₀) at the essence prompt + decay · ‖δ‖/‖h‖²
        subject to ‖δ‖ ≤ clamp · ‖h‖ after every step;  stop when the loss is below stop_loss

    With `most_probable` (MPES) it also stops that many updates after the whole new answer has become, and stayed, the
    likeliest at every prompt: an answer of several tokens counts once. With `keep` (EAC) the share of δ's dimensions of
    largest score goes on alone from half of the steps, or from where a stop was due, with elastic · Σ|δ_j|/score_j
    in the loss.

    Requests do not see each other: each stops on its own, and its prompts leave the batch. Nothing below the layer, and
    no token before a subject's last one, is computed again after the first pass.

    Args:
        editable: the model with its prefixes.
        requests: what to write.
        layer: the last edited layer.
        config: learning rate, steps, clamp, decay, kl weight.
        prefixes: for each request its own in place of the model's, equally many; None, or nothing at all, for those.

    Returns:
        For each request δ with the key, the read-out and the course of its solve.

    Source: the common solve of the MEMIT family, kmeng01/memit `memit/compute_z.py`: its KL has the edited model's
    distribution first, and of its `steps` losses the last is not followed by an update. MPES:
    scalable-model-editing/encore, `encore/compute_z.py`, which counts right tokens instead of right answers.
    """
    batch = solve_batch(editable, requests, prefixes)
    onward = take_up(editable.adapter, batch, layer)
    questions = Questions.of(onward, batch, len(requests))
    bare = torch.arange(len(requests)) * (len(batch.ids) // len(requests))
    keys, outputs, streams = onward.keys[bare], onward.outputs[bare], onward.base()[bare]
    course = Course(precise(streams), config)
    left, solved = torch.arange(len(requests)), dict[int, Solved]()
    while len(left):
        losses, gradient, ended = course.look(questions)
        for place in torch.nonzero(ended)[:, 0].tolist():
            row = int(left[place])
            shift, loss = course.shift[place].clone(), float(losses[place])
            size = float(course.size[place])
            solved[row] = Solved(shift, outputs[row], keys[row], streams[row], size, loss, course.taken)
        if bool(ended.any()):
            left, gradient = left[~ended.cpu()], gradient[~ended]
            questions, course = questions.of_requests(~ended), course.of_requests(~ended)
        course.step(gradient)
    return [solved[row] for row in range(len(requests))]


def solve_batch(
    editable: Editable, requests: Sequence[Request], prefixes: Sequence[Sequence[str] | None] = ()
) -> Aligned:
    """The prompts of a solve, a request after another: the bare one, the prefixed ones, and last the essence prompt.

    That one has no answer.
    """
    encoded: list[Encoded] = []
    for request, own in zip(requests, prefixes or [None] * len(requests), strict=True):
        for prefix in ("", *(editable.prefixes if own is None else own)):
            prompt, span = fill(request.template, request.subject, prefix)
            encoded.append(encode(editable.tokenizer, prompt, subject=span, answer=request.target_new))
        prompt, span = fill(editable.essence, request.subject)
        encoded.append(encode(editable.tokenizer, prompt, subject=span))
    return align(encoded, editable.adapter.device).needed()
