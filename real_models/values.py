"""The value solve: the shift δ of the edited layer's output that makes the model say the new answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from real_models.adapters.adapter import Adapter
from real_models.config import SolveConfig
from real_models.prompts import Batch, Encoded, encode, fill, pad
from real_models.requests import Request
from real_models.selection import Selection, select
from real_models.trace import Trace, resume_from, trace
from theory.command import Misuse


class Solved(NamedTuple):
    """The outcome of one value solve, at the subject's last token of the bare prompt.

    Attributes:
        shift: δ (d,), as added to the layer's output.
        output: v0 (d,), the projection's output Wk + b before any edit.
        key: k (n,), the projection's input.
        stream: h (d,), the layer's output, on which δ is added.
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
    """Find δ by Adam, added to the layer's output at the subject's last token.

        minimise  mean NLL(new answer) + kl · KL(p_δ ‖ p₀) at the essence prompt + decay · ‖δ‖/‖h‖²
        subject to ‖δ‖ ≤ clamp · ‖h‖ after every step;  stop when the loss is below stop_loss

    With `most_probable` (MPES) it also stops that many updates after the whole new answer has become, and stayed, the
    likeliest at every prompt: an answer of several tokens counts once. With `keep` (EAC) the share of δ's dimensions of
    largest score goes on alone from half of the steps, or from where a stop was due, with elastic · Σ|δ_j|/score_j
    in the loss.

    Args:
        editable: the model with its prefixes.
        request: what to write.
        layer: the last edited layer.
        config: learning rate, steps, clamp, decay, kl weight.

    Returns:
        δ with the key, the read-out and the course of the solve.

    Source: the common solve of the MEMIT family, kmeng01/memit `memit/compute_z.py`: its KL has the edited model's
    distribution first, and of its `steps` losses the last is not followed by an update. MPES:
    scalable-model-editing/encore, `encore/compute_z.py`, which counts right tokens instead of right answers.
    """
    batch = solve_batch(editable, request)
    adapter = editable.adapter
    traced = trace(adapter, batch.ids, layer)
    rows = torch.arange(batch.ids.shape[0], device=batch.ids.device)
    last = batch.subject_last
    stream = traced.hidden[0, last[0]]
    hidden_norm = stream.float().norm()
    shift = torch.zeros(traced.hidden.shape[-1], dtype=torch.float32, device=batch.ids.device, requires_grad=True)
    optimizer, gradients = torch.optim.Adam([shift], lr=config.learning_rate), torch.zeros_like(shift)
    essence_before: Tensor | None = None
    selection: Selection | None = None
    loss, taken, said = torch.tensor(torch.inf), 0, 0
    while True:
        hidden = traced.hidden.index_put((rows, last), shift.to(traced.hidden.dtype), accumulate=True)
        read = read_losses(adapter, traced, hidden, batch, layer)
        essence_before = read.essence.detach() if essence_before is None else essence_before
        divergence = (read.essence.exp() * (read.essence - essence_before)).sum()
        loss = read.nll.mean() + config.kl * divergence + config.decay * shift.norm() / hidden_norm.square()
        if selection is not None:
            loss = loss + config.elastic * selection.penalty(shift)
        said = said + 1 if bool(read.said.all()) else 0
        enough = loss.item() < config.stop_loss or (config.most_probable is not None and said > config.most_probable)
        if config.keep is not None and selection is None and taken and (enough or taken == config.steps // 2):
            selection, enough = select(gradients / taken, shift.detach(), config.keep), False
        if taken == config.steps - 1 or not torch.isfinite(loss) or enough:
            break
        optimizer.zero_grad()
        loss.backward()
        assert shift.grad is not None
        gradients += shift.grad
        optimizer.step()
        taken += 1
        with torch.no_grad():
            if selection is not None:
                shift.mul_(selection.kept)
            shift.mul_((config.clamp * hidden_norm / shift.norm()).clamp_max(1))
    where = int(last[0])
    keyed, output = traced.keys[0, where], traced.outputs[0, where]
    return Solved(shift.detach(), output, keyed, stream, float(hidden_norm), loss.item(), taken)


def solve_batch(editable: Editable, request: Request) -> Batch:
    """The prompts of one solve: the bare one, the prefixed ones, and the essence prompt, which has no answer."""
    tokenizer = editable.tokenizer
    encoded: list[Encoded] = []
    for prefix in ("", *editable.prefixes):
        prompt, span = fill(request.template, request.subject, prefix)
        encoded.append(encode(tokenizer, prompt, subject=span, answer=request.target_new))
    prompt, span = fill(editable.essence, request.subject)
    encoded.append(encode(tokenizer, prompt, subject=span))
    return pad(encoded, editable.adapter.device)


class Losses(NamedTuple):
    """What the model says with a shift.

    Attributes:
        nll: mean NLL of the answer a prompt.
        said: whether every token of the answer is the likeliest, a prompt.
        essence: the essence prompt's log-probabilities at the subject's last token.
    """

    nll: Float[Tensor, " p"]
    said: Bool[Tensor, " p"]
    essence: Float[Tensor, " vocabulary"]


def read_losses(adapter: Adapter, traced: Trace, hidden: Float[Tensor, "b t d"], batch: Batch, layer: int) -> Losses:
    """Read the model's answers with the layer's outputs replaced by `hidden`.

    The last row of the batch is the essence prompt. Logits are computed only where they are scored.
    """
    normed = resume_from(adapter, traced, hidden, layer)
    scored = batch.answer.clone()
    scored[-1] = False
    scored[-1, batch.subject_last[-1]] = True
    log_p = adapter.head(normed[scored]).float().log_softmax(-1)
    targets = batch.ids.roll(-1, dims=1)[scored][:-1]
    nll = -log_p[:-1].gather(1, targets[:, None])[:, 0]
    prompt_of = torch.nonzero(scored)[:-1, 0]
    zeros, tokens = torch.zeros(batch.ids.shape[0] - 1, device=nll.device), batch.answer[:-1].sum(dim=1)
    sums = zeros.index_add(0, prompt_of, nll)
    right = zeros.index_add(0, prompt_of, (log_p[:-1].argmax(-1) == targets).to(zeros))
    return Losses(sums / tokens, right == tokens, log_p[-1])


def sample_prefixes(
    adapter: Adapter, tokenizer: PreTrainedTokenizerBase, config: SolveConfig, generator: torch.Generator
) -> tuple[str, ...]:
    """Texts sampled from the model itself (top 5, a fixed number of tokens), each closed by ". ".

    Args:
        adapter: the unedited model.
        tokenizer: its tokenizer.
        config: how many prefixes, and of how many tokens.
        generator: the only source of randomness, on the CPU.

    Returns:
        The prefixes; the same generator state gives the same texts.

    Source: kmeng01/memit `memit/memit_main.py` (get_context_templates), with an explicit seed.
    """
    if config.prefixes == 0:
        return ()
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise Misuse("this tokenizer has neither a BOS nor an EOS token to start prefixes from; pass --prefixes 0")
    ids = torch.full((config.prefixes, 1), start, dtype=torch.long)
    special = torch.tensor(sorted(tokenizer.all_special_ids))
    for _ in range(config.prefix_tokens):
        with torch.no_grad():
            logits = adapter.model(input_ids=ids.to(adapter.device), use_cache=False).logits[:, -1].float().cpu()
        logits[:, special] = -torch.inf
        top = logits.topk(min(5, logits.shape[-1]), dim=-1)
        choice = torch.multinomial(top.values.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, top.indices.gather(1, choice)], dim=1)
    texts: Sequence[str] = tokenizer.batch_decode(ids[:, 1:], skip_special_tokens=True)
    return tuple(f"{text.strip()}. " for text in texts)
