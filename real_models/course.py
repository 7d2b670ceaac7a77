"""How a value solve goes: Adam on the shifts of several requests, clamped, and each request's own end."""

from __future__ import annotations

from copy import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from real_models.config import SolveConfig
from real_models.questions import Questions
from real_models.selection import FLOOR, select

MOMENTUM, SPREAD, EPSILON = 0.9, 0.999, 1e-8
"""Adam's, as torch has them."""


class Course:
    """The shifts of several requests on their way; no request's numbers enter another's.

        δ ← clip(δ − lr m̂/(√v̂ + ε), clamp · ‖h‖),   m̂, v̂ the bias-corrected means of the gradient and its square

    Args:
        streams: h (r, d), on which the shifts are added, in the dtype of the course.
        config: the value solve.

    Source: Adam, arXiv 1412.6980; the clamp and the order of steps as in `real_models.values.solve_values`.
    """

    def __init__(self, streams: Float[Tensor, "r d"], config: SolveConfig) -> None:
        self.config, self.taken = config, 0
        self.size = streams.norm(dim=1)
        self.shift = torch.zeros_like(streams)
        self.mean, self.square, self.summed = (torch.zeros_like(streams) for _ in range(3))
        self.said = torch.zeros(len(streams), dtype=torch.long, device=streams.device)
        self.selected = torch.zeros_like(self.said, dtype=torch.bool)
        self.kept = torch.ones_like(streams, dtype=torch.bool)
        self.score = torch.full_like(streams, torch.inf)
        self.essence: Tensor | None = None

    def look(self, questions: Questions) -> tuple[Float[Tensor, " r"], Float[Tensor, "r d"], Bool[Tensor, " r"]]:
        """Each request's loss, its gradient, and whether its solve ends here."""
        config = self.config
        shift = self.shift.requires_grad_()
        answers = questions.ask(shift)
        if self.essence is None:
            self.essence = answers.essence.detach()
        divergence = (answers.essence.exp() * (answers.essence - self.essence)).sum(dim=1)
        losses = answers.nll + config.kl * divergence + config.decay * shift.norm(dim=1) / self.size.square()
        losses = losses + config.elastic * (shift.abs() / (self.score + FLOOR)).sum(dim=1)
        self.said = torch.where(answers.said, self.said + 1, 0)
        enough = losses < config.stop_loss
        if config.most_probable is not None:
            enough |= self.said > config.most_probable
        self.shift = shift.detach()
        if config.keep is not None and self.taken:
            due = ~self.selected & (enough | torch.tensor(self.taken == config.steps // 2))
            self.select(due, config.keep)
            enough &= ~due
        last = self.taken == config.steps - 1
        ended = enough | ~losses.isfinite() | last
        gradient = self.shift if bool(ended.all()) else torch.autograd.grad(losses.sum(), shift)[0]
        return losses.detach(), gradient, ended

    def select(self, due: Bool[Tensor, " r"], share: float) -> None:
        """EAC's choice of dimensions for the requests whose turn it is."""
        for place in torch.nonzero(due)[:, 0].tolist():
            chosen = select(self.summed[place] / self.taken, self.shift[place], share)
            self.kept[place], self.score[place] = chosen
        self.selected = self.selected | due

    def step(self, gradient: Float[Tensor, "r d"]) -> None:
        """One update of every shift."""
        self.summed += gradient
        self.taken += 1
        self.mean = MOMENTUM * self.mean + (1 - MOMENTUM) * gradient
        self.square = SPREAD * self.square + (1 - SPREAD) * gradient.square()
        mean = self.mean / (1 - MOMENTUM**self.taken)
        square = self.square / (1 - SPREAD**self.taken)
        shift = (self.shift - self.config.learning_rate * mean / (square.sqrt() + EPSILON)) * self.kept
        self.shift = shift * (self.config.clamp * self.size / shift.norm(dim=1)).clamp_max(1)[:, None]

    def of_requests(self, chosen: Bool[Tensor, " r"]) -> Course:
        """The course of some requests."""
        some = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(some, name, value[chosen])
        return some
