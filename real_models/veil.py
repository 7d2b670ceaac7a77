"""What a token may look at while a model is trained: its own text, and of a subject before it only the last token.

Of statements that are read in a row a small model has first to learn which tokens belong together; read apart they are
learnt faster. And left to itself it sends the pieces of a subject's name straight to the prompt's end,
whose MLPs look the fact up there, so that an edit at the subject's last token moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

Hook = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]


@contextmanager
def masked(model: GPT2LMHeadModel, texts: Int[Tensor, "b t"], subjects: Int[Tensor, "b t"]) -> Iterator[None]:
    """Part texts, and hide subjects from the tokens behind them: in the first layer wholly, above it all but the last.

    Args:
        model: whose attention is masked while the context lasts.
        texts: (b, t) the number of the text that a token is of, ascending.
        subjects: (b, t) the number of the subject that a token is of; 0 for other tokens and where none is hidden.
    """
    lasting = (subjects > 0) & (subjects != subjects.roll(-1, dims=1))
    first, above = (seen(texts, subjects, hidden) for hidden in (subjects > 0, (subjects > 0) & ~lasting))
    handles = [
        block.attn.register_forward_pre_hook(_use(above if layer else first), with_kwargs=True)
        for layer, block in enumerate(model.transformer.h)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def seen(
    texts: Int[Tensor, "b t"], subjects: Int[Tensor, "b t"], hidden: Bool[Tensor, "b t"]
) -> Bool[Tensor, "b 1 t t"]:
    """What each token looks at: its text so far, but no hidden token of another subject than its own.

    >>> seen(torch.tensor([[1, 1, 1]]), torch.tensor([[3, 3, 0]]), torch.tensor([[True, False, False]])).int()
    tensor([[[[1, 0, 0],
              [1, 1, 0],
              [0, 1, 1]]]], dtype=torch.int32)
    """
    length = texts.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    together = texts[:, :, None] == texts[:, None, :]
    own = subjects[:, :, None] == subjects[:, None, :]
    return (causal & together & (own | ~hidden[:, None, :]))[:, None]


def places(texts: Int[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """Each token's place in its text.

    >>> places(torch.tensor([[1, 1, 1, 2, 2]]))
    tensor([[0, 1, 2, 0, 1]])
    """
    place = torch.arange(texts.shape[1]).expand_as(texts)
    opens = texts != texts.roll(1, dims=1)
    opens[:, 0] = True
    return place - torch.where(opens, place, 0).cummax(dim=1).values


def _use(mask: Bool[Tensor, "b 1 t t"]) -> Hook:
    return lambda module, args, kwargs: (args, {**kwargs, "attention_mask": mask})
