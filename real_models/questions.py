"""What a value solve asks the model: the new answer after every prompt, and what the essence prompt goes on with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from real_models.onward import Onward
from real_models.prompts import Aligned


class Answers(NamedTuple):
    """What the model says with a shift, a request each.

    Attributes:
        nll: mean NLL of the new answer a token, averaged over the prompts.
        said: whether every token of the answer is the likeliest at every prompt.
        essence: the essence prompt's log-probabilities at the subject's last token.
    """

    nll: Float[Tensor, " r"]
    said: Bool[Tensor, " r"]
    essence: Float[Tensor, "r vocabulary"]


@dataclass(frozen=True)
class Questions:
    """The prompts of some requests, each group of rows closed by its essence prompt.

    Attributes:
        onward: the pass behind the edited layer.
        owner: (b,) each row's request.
        scored: (b, t) true where a next token is asked for: answers, and the subject's last token at essence prompts.
        targets: (b, t) the next token.
        essence: (b,) which rows are essence prompts.
    """

    onward: Onward
    owner: Int[Tensor, " b"]
    scored: Bool[Tensor, "b t"]
    targets: Int[Tensor, "b t"]
    essence: Bool[Tensor, " b"]

    @classmethod
    def of(cls, onward: Onward, batch: Aligned, requests: int) -> Questions:
        """The questions of a batch in which every request has the same number of rows."""
        rows = torch.arange(len(batch.ids), device=batch.ids.device)
        each = len(rows) // requests
        essence, scored = rows % each == each - 1, batch.answer.clone()
        scored[essence, batch.start] = True
        return cls(onward, rows // each, scored[:, batch.start :], batch.following[:, batch.start :], essence)

    def ask(self, shift: Float[Tensor, "r d"]) -> Answers:
        """What the model says with each request's δ added; logits are computed only where they are scored."""
        normed = self.onward.run(self.onward.shifted(shift[self.owner]))
        log_p = precise(self.onward.adapter.head(normed[self.scored])).log_softmax(-1)
        row_of = torch.nonzero(self.scored)[:, 0]
        asked = ~self.essence[row_of]
        targets, row_of, answers = self.targets[self.scored][asked], row_of[asked], log_p[asked]
        nll = -answers.gather(1, targets[:, None])[:, 0]
        none = nll.new_zeros(len(self.owner))
        tokens = none.index_add(0, row_of, torch.ones_like(nll))
        right = none.index_add(0, row_of, (answers.argmax(-1) == targets).to(nll))
        means = (none.index_add(0, row_of, nll) / tokens)[~self.essence]
        owner = self.owner[~self.essence]
        empty, prompts = nll.new_zeros(len(shift)), torch.bincount(owner, minlength=len(shift))
        wrong = empty.index_add(0, owner, (right != tokens)[~self.essence].to(nll))
        return Answers(empty.index_add(0, owner, means) / prompts, wrong == 0, log_p[~asked])

    def of_requests(self, chosen: Bool[Tensor, " r"]) -> Questions:
        """Those of some requests, numbered anew."""
        rows, new = chosen[self.owner], chosen.cumsum(0) - 1
        own = {name: getattr(self, name)[rows] for name in ("scored", "targets", "essence")}
        return replace(self, onward=self.onward.rows(rows), owner=new[self.owner[rows]], **own)


def precise(values: Tensor) -> Tensor:
    """At least in float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
