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
        cross: (r, b·u, b·u), (M_j k_j)ᵀk_i at [j, i].
        gains: (r, b, u, u), T of every write.
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
        cross: Float[Tensor, "r b b"],
        gains: Float[Tensor, "r t u u"],
    ) -> None:
        self.transform, self.state, self.law, self.weight = transform, state, law, weight
        self.noise, self.gains, self.size = noise, gains, gains.shape[-1]
        self.readouts, self.left, self.cross = readouts, torch.empty_like(readouts), cross.mT
        u = self.size
        self.readouts_at, self.left_at = readouts.split(u, dim=1), self.left.split(u, dim=1)
        self.keys_at, self.gains_at = keys.split(u, dim=2), gains.mT.unbind(1)
        self.single = u == 1 and len(keys) == 1
        if self.single:
            self.columns_at, self.keys_at = readouts[0].mT.split(1, dim=1), keys[0].split(1, dim=1)
            self.next_at = cross[0].diagonal(1).unbind()
        self.targets: list[Tensor] = []
        self.solved: list[Tensor] = []

    def run(self, low: int, high: int) -> None:
        """Steps low..high: the first half, its effect on the second half's read-outs, the second half."""
        if high - low == 1:
            self.edit(low)
            return
        middle, u = (low + high) // 2, self.size
        self.run(low, middle)
        if self.single and high - low == 2:
            self.readouts_at[middle].addcmul_(self.left_at[low], self.next_at[low])
            self.edit(middle)
            return
        first, second = slice(low * u, middle * u), slice(middle * u, high * u)
        self.readouts[:, second].baddbmm_(self.cross[:, second, first], self.left[:, first])
        self.run(middle, high)

    def edit(self, step: int) -> None:
        """One write: value, value transforms, left factor."""
        at = self.readouts_at[step]
        readouts = self.columns_at[step] if self.single else at.flatten(0, 1).mT
        keys = self.keys_at[step] if self.single else self.keys_at[step].transpose(0, 1).flatten(1)
        values = self.law.place(readouts, self.noise[step])
        edit, self.state = self.transform.update(Edit(keys, readouts, values), self.state, self.weight)
        self.solved.append(values)
        self.targets.append(edit.values)
        multiply = torch.matmul if self.size > 1 else torch.mul
        multiply(self.gains_at[step], edit.residuals.mT.view_as(at), out=self.left_at[step])

    def asked(self) -> Float[Tensor, "r b m"]:
        """The values as written."""
        return self._gathered(self.targets)

    def solved_values(self) -> Float[Tensor, "r b m"]:
        """The values as solved."""
        return self._gathered(self.solved)

    def _gathered(self, columns: list[Tensor]) -> Tensor:
        trials, u = len(self.readouts), self.size
        rows = torch.cat([column.mT for column in columns])
        return rows.view(-1, trials, u, rows.shape[1]).transpose(0, 1).reshape(self.readouts.shape)
