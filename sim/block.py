"""The writes of one block, one after another, on read-outs that are corrected as the block goes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sim.editor import Edit, State, Transform
from sim.memory import AheadValues


class Block:
    """The edits of one block, in the layout (r, b·u, m): a request's vectors lie in one row.

    Args:
        transform: the value transforms, with their `state`.
        law: of values, given read-outs.
        weight: W (m, n) of the first trial at the block's start, for transforms that look at it.
        keys: (r, n, b·u).
        noise: b prepared draws (p, r·u) of the law.
        readouts: (r, b·u, m), WK at the block's start; corrected in place.
        reach: (r, b·u, b·u), what a unit of request j's residual adds to request i's read-out, at [i, j].
        size: u, requests a write.

    Attributes:
        residuals: (r, b·u, m), V − WK of every write as asked.
        solved: the values as solved, b columns (m, r·u).
        transformed: whether a value transform has changed any of them.
    """

    def __init__(
        self,
        transform: Transform[Edit],
        state: State,
        law: AheadValues,
        weight: Tensor,
        keys: Float[Tensor, "r n b"],
        noise: list[Tensor],
        readouts: Float[Tensor, "r b m"],
        reach: Float[Tensor, "r b b"],
        size: int,
    ) -> None:
        self.transform, self.state, self.law, self.weight = transform, state, law, weight
        self.keys, self.noise, self.size = keys, noise, size
        self.readouts, self.residuals, self.reach = readouts, torch.empty_like(readouts), reach
        self.solved: list[Tensor] = []
        self.transformed = False

    def run(self) -> None:
        """Every write in turn; after write t, the last h = (largest power of two in t) correct the h that follow."""
        if len(self.keys) == 1:
            self._run_alone()
        else:
            self._run_side_by_side()

    def _run_alone(self) -> None:
        """One trial, whose vectors are columns in place."""
        keys, readouts, residuals, reach = (p[0] for p in (self.keys, self.readouts, self.residuals, self.reach))
        keys_at, readouts_at, residuals_at = (
            part.split(self.size, dim=1) for part in (keys, readouts.mT, residuals.mT)
        )
        next_reach, steps = reach.diagonal(-1).unbind(), len(self.noise)
        for step, residual in enumerate(residuals_at):
            torch.sub(self._values(step, keys_at[step], readouts_at[step]), readouts_at[step], out=residual)
            if self.size == 1 and step % 2 == 0 and step + 1 < steps:  # one column corrects one column
                readouts_at[step + 1].addcmul_(residual, next_reach[step])
            else:
                past, to_come = self._spans(step + 1)
                readouts[to_come].addmm_(reach[to_come, past], residuals[past])

    def _run_side_by_side(self) -> None:
        """Several trials, a write of each at once, gathered as one batch."""
        u = self.size
        columns = self.keys.split(u, dim=2), self.readouts.split(u, dim=1), self.residuals.split(u, dim=1)
        for step, (keys, at, residuals) in enumerate(zip(*columns, strict=True)):
            readouts = at.flatten(0, 1).mT
            values = self._values(step, keys.transpose(0, 1).flatten(1), readouts)
            residuals.copy_((values - readouts).mT.view_as(at))
            past, to_come = self._spans(step + 1)
            self.readouts[:, to_come].baddbmm_(self.reach[:, to_come, past], self.residuals[:, past])

    def _spans(self, done: int) -> tuple[slice, slice]:
        """After so many writes: the requests that now correct others, and those."""
        u, span = self.size, done & -done
        return slice((done - span) * u, done * u), slice(done * u, (done + span) * u)

    def _values(self, step: int, keys: Float[Tensor, "n w"], readouts: Float[Tensor, "m w"]) -> Float[Tensor, "m w"]:
        """One write's values as asked: solved, then transformed."""
        values = self.law.place(readouts, self.noise[step])
        edit, self.state = self.transform.update(Edit(keys, readouts, values), self.state, self.weight)
        self.solved.append(values)
        self.transformed |= edit.values is not values
        return edit.values

    def solved_values(self) -> Float[Tensor, "r b m"]:
        """The values before the value transforms."""
        trials, rows = len(self.readouts), torch.cat([column.mT for column in self.solved])
        return rows.view(-1, trials, self.size, rows.shape[1]).transpose(0, 1).reshape(self.readouts.shape)
