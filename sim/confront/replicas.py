"""One rule's writes to many replicas of a weight at once, so that a mean over them costs little."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.editor import Edit, Solver, Transform, identity
from sim.lowrank import Delta, apply_delta
from sim.memory import KeyLaw, ValueLaw

Requests = Callable[[Tensor, Generator], Edit]
"""(weights (r, m, n), generator) -> an Edit whose column i is asked of replica i."""


class Rule(NamedTuple):
    """A solver with the transforms around it.

    Attributes:
        solver: writes one request.
        values: transforms the request first.
        deltas: transforms the solved delta.
    """

    solver: Solver
    values: Transform[Edit] = identity()
    deltas: Transform[Delta] = identity()


def read(weights: Float[Tensor, "r m n"], keys: Float[Tensor, "n r"]) -> Float[Tensor, "m r"]:
    """Column i is replica i's read-out of key i."""
    return torch.einsum("rmn,nr->mr", weights, keys)


def asked(keys: KeyLaw, values: ValueLaw) -> Requests:
    """One independent key and value for every replica; the law of keys does not look at the weight."""

    def draw(weights: Tensor, generator: Generator) -> Edit:
        drawn = keys(weights[0], len(weights), generator)
        readouts = read(weights, drawn)
        return Edit(drawn, readouts, values(readouts, generator))

    return draw


def written(rule: Rule, weights: Float[Tensor, "r m n"], edit: Edit) -> Float[Tensor, "r m n"]:
    """W + Δ of every replica, each by the rule's own write of its own column.

    >>> from sim.rules.rome import rome
    >>> weights, keys = torch.zeros(2, 1, 2), torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> written(Rule(rome()), weights, Edit(keys, read(weights, keys), torch.ones(1, 2))).tolist()
    [[[0.5, 0.0]], [[0.0, 1.0]]]
    """
    first = weights[0]
    on_solver, on_values, on_deltas = (part.init(first) for part in rule)

    def one(weight: Tensor, *columns: Tensor) -> Tensor:
        own, _ = rule.values.update(Edit(*(column[:, None] for column in columns)), on_values, weight)
        solved, _, _ = rule.solver.solve(own, on_solver, weight)
        delta, _ = rule.deltas.update(solved, on_deltas, weight)
        return apply_delta(weight, delta)

    return torch.vmap(one, in_dims=(0, 1, 1, 1))(weights, *edit)


def squares(rule: Rule, weights: Float[Tensor, "r m n"]) -> Float[Tensor, " r"]:
    """Every replica's ‖W‖² in the metric of the write."""
    return torch.vmap(rule.solver.metric(rule.solver.init(weights[0])).norm_sq)(weights)


def growth(
    rule: Rule, weight: Float[Tensor, "m n"], requests: Requests, *, steps: int, seeds: int, replicas: int
) -> NDArray[np.float64]:
    """Means of R_T/R_0 after T = `steps` edits over independent groups of replicas; R in the norm of the write.

    Args:
        rule: how one request is written.
        weight: W_0 (m, n), where every replica starts.
        requests: what is asked of every replica.
        steps: T.
        seeds: the groups; all draw from one generator, so that they are independent.
        replicas: of a group.

    Returns:
        (seeds,) means of R_T/R_0.
    """
    generator, weights = Generator().manual_seed(0), weight.expand(seeds * replicas, *weight.shape)
    start = squares(rule, weights)
    for _ in range(steps):
        weights = written(rule, weights, requests(weights, generator))
    return (squares(rule, weights) / start).view(seeds, replicas).mean(dim=1).numpy()
