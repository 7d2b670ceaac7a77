"""The blocked engine: b sequential edits of a linear memory, computed exactly with matrix products.

Where keys do not look at W, a block's read-outs are WK at the block's start plus corrections inside the block, from the
keys' Gram matrix; the weight takes one update of rank b at its end, and its norms follow T1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from sim.block import Block
from sim.block_metric import BlockMetric, FixedMetric, GrowingMetric, Raised, own_blocks, tiles
from sim.block_rows import Columns, Effects, Written, effects, whole_rows, write_rows
from sim.checks import check_keys
from sim.editor import Edit, Editor, EditorState, MetricForm
from sim.engine import Row, run_stream
from sim.lowrank import LowRank, apply_delta
from sim.memory import AheadKeys, AheadValues, LinearMemory
from sim.state import flatten_state, restore_state
from theory.command import Misuse


def why_not_blocked(rule: Editor, memory: LinearMemory, trials: int = 1) -> str | None:
    """Why a stream has to go step by step, or None where the blocked engine can run it."""
    if rule.form is None:
        return "the rule is no metric write, or a delta transform needs each delta"
    if not isinstance(memory.keys, AheadKeys):
        return "the law of keys looks at the weight"
    if memory.original:
        return "values are solved on the original weight"
    if not isinstance(memory.values, AheadValues):
        return "the law of values does not say what it draws ahead of the read-out"
    if not rule.values.blind:
        return "a value transform may look at the weight, which a block does not carry along"
    if trials > 1 and not rule.values.by_request:
        return "a value transform does not treat each request by itself, so trials cannot share it"
    return None


class BlockedStream:
    """A stream of edits on r trials at once, advanced block by block.

    Args:
        rule: the editor; see `why_not_blocked`.
        memory: the laws of the requests; its weight is where every trial starts unless `weights` says otherwise.
        generators: one a trial, each drawing what the step engine would draw from it.
        batch: u, requests a write.
        block: b, writes a block.
        weights: (r, m, n), where the trials start; None is the memory's weight for each.

    Raises:
        Misuse: the stream has to go step by step, or the rule writes one key at a time and `batch` is larger.
    """

    def __init__(
        self,
        rule: Editor,
        memory: LinearMemory,
        generators: Sequence[Generator],
        *,
        batch: int = 1,
        block: int = 128,
        weights: Float[Tensor, "r m n"] | None = None,
    ) -> None:
        reason = why_not_blocked(rule, memory, len(generators))
        if reason is not None:
            raise Misuse(f"this stream cannot be blocked: {reason}; use run_stream")
        form, keys, values = rule.form, memory.keys, memory.values
        assert isinstance(form, MetricForm)
        assert isinstance(keys, AheadKeys)
        assert isinstance(values, AheadValues)
        if batch > 1 and not form.batches:
            raise Misuse(f"this rule writes one key at a time, not {batch}; use a batch rule such as memit")
        if block < 1 or batch < 1:
            raise Misuse(f"block is {block} and batch {batch}; both are at least 1")
        start = memory.weight.expand(len(generators), *memory.weight.shape) if weights is None else weights
        self.rule, self.form, self.generators = rule, form, tuple(generators)
        # A growing metric is computed anew every n keys, between blocks.
        most = max(1, memory.weight.shape[1] // batch) if form.accumulates else block
        self.keys, self.values, self.batch, self.block = keys, values, batch, min(block, most)
        self.weight = start.clone()
        state = rule.init(self.weight[0])
        self.state = state.values
        check_form(rule, state, self.weight[0])
        metric = rule.metric(state)
        self.metric: BlockMetric = GrowingMetric(metric, len(generators)) if form.accumulates else FixedMetric(metric)
        self.step = 0
        self.audit()

    def audit(self) -> None:
        """Take both norms on the weight itself; T1 carries them on from here."""
        self.norm_sq = self.metric.norm_sq(self.weight)
        self.frobenius_sq = torch.linalg.vector_norm(self.weight.flatten(1), dim=1, dtype=torch.float64).square()
        self.scale, self.since_refresh = torch.zeros_like(self.norm_sq), 0

    def tensors(self) -> dict[str, Tensor]:
        """All that the next block depends on, by name, to be saved at a block's end."""
        norms = {"norm_sq": self.norm_sq, "frobenius_sq": self.frobenius_sq, "scale": self.scale}
        draws = {f"generator.{i}": generator.get_state() for i, generator in enumerate(self.generators)}
        return {"weight": self.weight, **norms, **draws, **self.metric.tensors(), **flatten_state(self.state, "values")}

    def restore(self, tensors: Mapping[str, Tensor], step: int, since_refresh: int) -> None:
        """Go on where a stream with the same arguments was saved.

        Args:
            tensors: what `tensors` gave.
            step: its `step`.
            since_refresh: its `since_refresh`.

        Raises:
            Misuse: a tensor is missing, or has another shape or dtype.
        """
        moved = {"weight": self.weight, **self.metric.tensors()}
        for name, place in moved.items():
            place.copy_(restore_state(place, tensors, name))
        self.norm_sq = restore_state(self.norm_sq, tensors, "norm_sq")
        self.frobenius_sq = restore_state(self.frobenius_sq, tensors, "frobenius_sq")
        self.scale = restore_state(self.scale, tensors, "scale")
        self.state = restore_state(self.state, tensors, "values")
        for i, generator in enumerate(self.generators):
            generator.set_state(restore_state(generator.get_state(), tensors, f"generator.{i}"))
        self.step, self.since_refresh = step, since_refresh

    @torch.inference_mode()
    def advance(self, steps: int) -> Columns:
        """Make the next `steps` writes (a block at most).

        Returns:
            Their rows by column. `error` is the error of T1 over all writes since the weight was last measured
            itself, and stands at the last of them; elsewhere it is NaN.
        """
        keys, noise = self._draw(steps)
        raised = self.metric.raised(keys, self.batch)
        gains = self.form.gain(tiles(raised.cross, self.batch))
        done = Block(
            self.rule.values, self.state, self.values, self.weight[0], keys, noise,
            keys.mT @ self.weight.mT, _times_writes(raised.cross.mT, gains.mT), self.batch,
        )  # fmt: skip
        done.run()
        self.state = done.state
        written = self._written(done, keys, raised, gains)
        self.weight.baddbmm_(written.left.flatten(1, 2).mT, raised.keys.mT)
        did = effects(written, self.form.accumulates)
        columns = self._numbered(write_rows(written, did, self.norm_sq, self.frobenius_sq))
        self.step += steps
        self._carry(did, columns)
        return columns

    def _draw(self, steps: int) -> tuple[Float[Tensor, "r n b"], list[Tensor]]:
        """Keys and draws of the next writes, in the order in which the step engine takes them."""
        like = self.weight.new_empty(self.weight.shape[1], 1).expand(-1, self.batch)
        keys, noise = [], []
        for weight, generator in zip(self.weight, self.generators, strict=True):
            for _ in range(steps):
                keys.append(self.keys.noise(weight, self.batch, generator).mT)
                noise.append(self.values.noise(like, generator))
        drawn = torch.cat(keys).view(len(self.weight), -1, self.weight.shape[2]).mT
        placed = self.keys.place(drawn)
        check_keys(placed)
        if len(self.weight) > 1:  # a step's draws of all trials side by side
            noise = [torch.cat(noise[i::steps], dim=1) for i in range(steps)]
        return placed, self.values.prepared(noise)

    def _written(self, done: Block, keys: Tensor, raised: Raised, gains: Tensor) -> Written:
        """The block's writes, before the weight takes them."""

        def by_write(rows: Tensor) -> Tensor:
            return rows.unflatten(1, (-1, self.batch))

        readouts, residuals = by_write(done.readouts), by_write(done.residuals)
        left = _times_writes(done.residuals.mT, gains).mT
        own, along, seen = tiles(raised.cross, self.batch), None, readouts
        if raised.seen is not None:  # no write reaches what W holds outside P
            seen = readouts - by_write((keys - raised.seen).mT @ self.weight.mT)
        if raised.ridge is None:
            gram = raised.keys.mT @ raised.keys
            earlier = (gram - own_blocks(gram, self.batch)).triu()
            along = by_write(torch.baddbmm(raised.keys.mT @ self.weight.mT, earlier.mT, left))
            lengths = tiles(gram, self.batch)
        else:
            lengths = own / raised.ridge
        solved = by_write(done.solved_values()) if done.transformed else None
        return Written(own, gains, lengths, readouts, residuals, by_write(left), solved, seen, along, raised.ridge or 1)

    def _numbered(self, columns: Columns) -> Columns:
        """The block's rows with the numbers of their writes, and no error measured yet."""
        trials, steps = columns["finite"].shape
        number = np.broadcast_to(np.arange(self.step + 1, self.step + steps + 1), (trials, steps))
        nowhere = np.full((trials, steps), np.nan)
        return {"step": number, "edits": number * self.batch, **columns, "error": nowhere}

    def _carry(self, did: Effects, columns: Columns) -> None:
        """Carry the norms past the block; refresh the metric and measure the weight before n edits are exceeded."""
        self.norm_sq = self.norm_sq + (did.predicted + did.absorbed).sum(1)
        self.frobenius_sq = self.frobenius_sq + did.growth.sum(1)
        self.scale = self.scale + (did.scale + did.absorbed).sum(1)
        self.since_refresh += did.predicted.shape[1] * self.batch
        ahead = self.block * self.batch if self.form.accumulates else 1
        if self.since_refresh + ahead > self.weight.shape[2]:
            columns["error"][:, -1] = self.settle().cpu().numpy()

    def settle(self) -> Float[Tensor, " r"]:
        """Refresh the metric, measure the weight, and return T1's relative error since this was last done."""
        self.metric.refresh()
        foretold, scale = self.norm_sq, self.scale
        self.audit()
        gap = (self.norm_sq - foretold).abs()
        return torch.where(scale > 0, gap / scale, gap)


def _times_writes(matrix: Float[Tensor, "r p b"], blocks: Float[Tensor, "r t u u"]) -> Float[Tensor, "r p b"]:
    """The matrix times blockdiag(blocks).

    >>> _times_writes(torch.ones(1, 1, 4), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]] * 2])).tolist()
    [[[4.0, 6.0, 4.0, 6.0]]]
    """
    if blocks.shape[-1] == 1:
        return matrix * blocks.flatten(1)[:, None]
    columns = matrix.unflatten(2, (-1, blocks.shape[-1])).transpose(1, 2)
    return (columns @ blocks).transpose(1, 2).flatten(2)


def check_form(rule: Editor, state: EditorState, weight: Float[Tensor, "m n"]) -> None:
    """Raise Misuse where the rule's own write is not the metric write that its form says, tried on one key."""
    (m, n), metric = weight.shape, rule.metric(state)
    key = torch.arange(1, n + 1, dtype=weight.dtype, device=weight.device)[:, None].cos()
    target = torch.arange(1, m + 1, dtype=weight.dtype, device=weight.device)[:, None].sin()
    # As if W answered nothing, so that a large W does not round the residual away.
    delta, _, _ = rule.write(Edit(key, torch.zeros_like(target), target), state, weight)
    raised = metric.times(key)
    assert rule.form is not None
    told = LowRank(target @ rule.form.gain(key.mT @ raised), raised)
    gap = apply_delta(-told.dense(), delta)
    if not torch.linalg.vector_norm(gap) <= 1e-3 * told.norm():
        raise Misuse(
            "the rule's write is not the one that its form describes; build it with editor(...), or run_stream"
        )


def run_blocks(stream: BlockedStream, steps: int) -> Iterator[Columns]:
    """The rows of `steps` writes, a block at a time; stops early once every trial has left the dtype's range.

    A trial that left it has rows to the end of the last block, of which those after the first that is not finite say
    nothing; see `whole_rows`. At the end the weight itself is measured.
    """
    alive = np.ones(len(stream.generators), dtype=bool)
    while steps and alive.any():
        columns = stream.advance(min(stream.block, steps))
        steps -= columns["step"].shape[1]
        alive &= columns["finite"].all(axis=1)
        if stream.since_refresh and not (steps and alive.any()):
            columns["error"][:, -1] = stream.settle().cpu().numpy()
        yield columns


def run_blocked(
    rule: Editor, memory: LinearMemory, steps: int, generator: Generator, *, batch: int = 1, block: int = 128
) -> Iterator[Row]:
    """`run_stream`, computed in blocks: the same requests, the same rows, to rounding.

    Args:
        rule: the editor; see `why_not_blocked`.
        memory: W (m, n) and the laws of its requests; W itself stays as it is.
        steps: how many writes at most.
        generator: draws keys and values, on the memory's device, in the step engine's order.
        batch: u, requests a write.
        block: b, writes a block.

    Yields:
        The rows of `run_stream`; `error` is NaN except at the writes after which the weight itself was measured.
    """
    stream = BlockedStream(rule, memory, [generator], batch=batch, block=block)
    for columns in run_blocks(stream, steps):
        rows = whole_rows(columns, 0)
        for values in zip(*(column.tolist() for column in rows.values()), strict=True):
            yield dict(zip(rows, values, strict=True))


def run_rows(
    rule: Editor,
    memory: LinearMemory,
    steps: int,
    generator: Generator,
    *,
    batch: int = 1,
    block: int = 128,
    told: Callable[[str], None],
) -> Iterator[Row]:
    """The rows of one stream: in blocks where it can be blocked, else step by step, and says so.

    Args:
        rule: the editor.
        memory: where it starts.
        steps: writes at most.
        generator: draws keys and values.
        batch: u, requests a write.
        block: b, writes a block; 0 is step by step without a word.
        told: called with the reason where the stream goes step by step although a block was asked for.

    Returns:
        One row a write; their columns are the same either way, but `error` stands at every write step by step and at
        the writes where the weight was measured in blocks.
    """
    reason = why_not_blocked(rule, memory) if block else None
    if reason is not None:
        told(reason)
    if block and reason is None:
        return run_blocked(rule, memory, steps, generator, batch=batch, block=block)
    return run_stream(rule, memory, steps, generator, batch=batch)
