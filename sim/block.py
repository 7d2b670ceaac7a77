"""The writes of one block, one after another, on read-outs that are corrected as the block goes."""

from __future__ import annotations

from functools import cache

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
        """One trial, whose vectors are columns in place; every lookup counts here, a write takes microseconds."""
        keys, readouts, residuals, reach = (p[0] for p in (self.keys, self.readouts, self.residuals, self.reach))
        keys_at, readouts_at, residuals_at = (
            part.split(self.size, dim=1) for part in (keys, readouts.mT, residuals.mT)
        )
        single, last, next_reach = self.size == 1, len(self.noise) - 1, reach.diagonal(-1)[::2].unbind()
        place, update = self.law.place, self.transform.update
        for step, (key, readout, residual) in enumerate(zip(keys_at, readouts_at, residuals_at, strict=True)):
            values = place(readout, self.noise[step])
            edit, self.state = update(Edit(key, readout, values), self.state, self.weight)
            self._keep(values, edit)
            torch.sub(edit.values, readout, out=residual)
            if single and step % 2 == 0 and step < last:  # one column corrects one column
                readouts_at[step + 1].addcmul_(residual, next_reach[step // 2])
            else:
                past, to_come = _spans(step + 1, self.size)
                readouts[to_come].addmm_(reach[to_come, past], residuals[past])

    def _run_side_by_side(self) -> None:
        """Several trials, a write of each at once, gathered as one batch."""
        u = self.size
        columns = self.keys.split(u, dim=2), self.readouts.split(u, dim=1), self.residuals.split(u, dim=1)
        for step, (keys, at, residuals) in enumerate(zip(*columns, strict=True)):
            readouts = at.flatten(0, 1).mT
            values = self.law.place(readouts, self.noise[step])
            edit = Edit(keys.transpose(0, 1).flatten(1), readouts, values)
            edit, self.state = self.transform.update(edit, self.state, self.weight)
            self._keep(values, edit)
            residuals.copy_(edit.residuals.mT.view_as(at))
            past, to_come = _spans(step + 1, u)
            self.readouts[:, to_come].baddbmm_(self.reach[:, to_come, past], self.residuals[:, past])

    def _keep(self, values: Tensor, edit: Edit) -> None:
        """Note a write's values as solved, and whether they were transformed."""
        self.solved.append(values)
        if edit.values is not values:
            self.transformed = True

    def solved_values(self) -> Float[Tensor, "r b m"]:
        """The values before the value transforms."""
        trials, rows = len(self.readouts), torch.cat([column.mT for column in self.solved])
        return rows.view(-1, trials, self.size, rows.shape[1]).transpose(0, 1).reshape(self.readouts.shape)


@cache
def _spans(done: int, size: int) -> tuple[slice, slice]:
    """After so many writes of `size` requests: those that now correct others, and those that are corrected.

    >>> _spans(6, 1)
    (slice(4, 6, None), slice(6, 8, None))
    """
    span = done & -done
    return slice((done - span) * size, done * size), slice(done * size, (done + span) * size)
