"""Whether an edit took, asked of the model as soon as it is written."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from real_models.own_weights import own_weights
from real_models.prompts import encode, pad
from real_models.questions import precise
from real_models.sequence import Stream
from real_models.values import Editable


def instant(editable: Editable, streams: Sequence[Stream]) -> list[dict[str, float]]:
    """Efficacy of what each stream has just written, in percent: comparison with the true answer, and exact match.

    Args:
        editable: the model.
        streams: with their weights after the write, and what was written.

    Returns:
        For each stream `instant`, NaN where no request has a true answer, and `instant_exact`.
    """
    adapter, tokenizer = editable.adapter, editable.tokenizer
    requests = [request for stream in streams for request in stream.requests]
    answers = [(one.target_new, one.target_true or one.target_new) for one in requests]
    encoded = [
        encode(tokenizer, request.prompt, answer=answer)
        for request, pair in zip(requests, answers, strict=True)
        for answer in pair
    ]
    batch = pad(encoded, adapter.device)
    with own_weights(adapter, [stream.weights for stream in streams]), torch.no_grad():
        hidden = adapter.model.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state
        log_p = precise(adapter.head(hidden[batch.answer])).log_softmax(-1)
    targets, row_of = batch.ids.roll(-1, dims=1)[batch.answer], torch.nonzero(batch.answer)[:, 0]
    nll = -log_p.gather(1, targets[:, None])[:, 0]
    none, counts = nll.new_zeros(len(encoded)), batch.answer.sum(dim=1)
    new, true = (none.index_add(0, row_of, nll) / counts).view(len(streams), -1, 2).unbind(-1)
    right = none.index_add(0, row_of, ((log_p.argmax(-1) == targets) & nll.isfinite()).to(nll)) == counts
    exact = right.view(len(streams), -1, 2)[..., 0]
    known = torch.tensor([one.target_true is not None for one in requests], device=new.device).view(new.shape)
    return [
        {
            "instant": 100 * float((new < true)[place][known[place]].double().mean()),
            "instant_exact": 100 * float(exact[place].double().mean()),
        }
        for place in range(len(streams))
    ]
