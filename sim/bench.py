"""The benchmark of the engines: textbook loop, step engine, blocked engine, and the machine's own matrix products."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sim.bench_config import BenchConfig
from sim.block_rows import Columns, joined, whole_rows
from sim.blocked import BlockedStream, run_blocks
from sim.editor import Editor, editor
from sim.engine import Row, run_stream
from sim.memory import AheadKeys, AheadValues, LinearMemory, draw_weight
from sim.rules.alphaedit import alphaedit
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.rules.rlsedit import rlsedit
from sim.rules.rome import rome
from sim.textbook import Write, growing_write, memit_write, projected_write, rome_write, run_textbook

RATIO = 0.5


class Contest(NamedTuple):
    """One rule in two forms.

    Attributes:
        rule: the editor.
        textbook: makes the same rule's textbook write, with nothing remembered yet.
    """

    rule: Editor
    textbook: Callable[[], Write]


def contest(name: str, n: int, dtype: torch.dtype, device: str, generator: Generator) -> Contest:
    """The rule that a row names; "C" is a covariance of keys whose spectrum spans a factor 30."""
    spread = torch.linspace(1, 30, n, dtype=dtype, device=device).sqrt()
    root = torch.randn(n, 2 * n, generator=generator, dtype=dtype, device=device) * spread[:, None]
    if name in ("rome", "memit"):
        solver = rome() if name == "rome" else memit(weighting=float(n))
        return Contest(editor(solver), lambda: rome_write(None) if name == "rome" else memit_write(None, float(n)))
    if name == "alphaedit":
        # P = I − a few directions, as a projector of rank n − n/8 without an eigendecomposition
        basis = torch.linalg.qr(root[:, : n - n // 8]).Q
        return Contest(editor(alphaedit(basis, ridge=10.0)), lambda: projected_write(basis, 10.0))
    covariance = root @ root.mT / (2 * n)
    if name == "memit_seq":
        return Contest(editor(memit_seq(covariance, weighting=n / 30)), lambda: growing_write(n / 30 * covariance))
    if name == "rlsedit":
        eye = torch.eye(n, dtype=dtype, device=device)
        return Contest(
            editor(rlsedit(covariance, ridge=1.0, weighting=n / 30)),
            lambda: growing_write(eye + n / 30 * covariance),
        )
    if name == "rome_c":
        return Contest(editor(rome(covariance)), lambda: rome_write(covariance))
    return Contest(editor(memit(covariance, weighting=float(n))), lambda: memit_write(covariance, float(n)))


class Drawn:
    """Keys and directions drawn before the clock starts; every engine reads the same ones in turn, round and round."""

    def __init__(self, m: int, n: int, edits: int, generator: Generator, like: dict[str, Any]) -> None:
        self.keys = torch.randn(edits, n, generator=generator, **like).mT
        toward = torch.randn(edits, m, generator=generator, **like)
        self.toward = (toward / torch.linalg.vector_norm(toward, dim=1, keepdim=True)).mT
        self.weight = draw_weight(m, n, generator, **like)

    def few(self, edits: int) -> int:
        """So many edits, or all that were drawn where those are fewer."""
        return min(edits, self.keys.shape[1])

    def memory(self, ratio: float = RATIO) -> LinearMemory:
        """A memory that is asked for the drawn requests, from the first on, with shifts of ‖δ‖ = ratio·‖Wk‖."""
        keys, toward = cycle(self.keys.split(1, dim=1)), cycle(self.toward.split(1, dim=1))

        def towards(readouts: Tensor, directions: Tensor) -> Tensor:
            return torch.addcmul(readouts, directions, torch.linalg.vector_norm(readouts, dim=0), value=ratio)

        return LinearMemory(
            self.weight,
            AheadKeys(lambda weight, batch, generator: next(keys), lambda drawn: drawn),
            AheadValues(lambda like, generator: next(toward), towards),
        )


def timed(action: Callable[[], object], device: str) -> float:
    """Seconds that an action takes, to the end of its work on the device."""
    wait(device)
    start = time.perf_counter()
    action()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def block_products(weight: Tensor, keys: Tensor) -> Callable[[], None]:
    """A block's products alone, at C = I: KᵀWᵀ, KᵀK, and W + LKᵀ; in the dtype, shapes and layout of the engine."""
    rows, place = keys.mT.contiguous(), weight.clone()
    left = torch.zeros(keys.shape[1], weight.shape[0], dtype=weight.dtype, device=weight.device)

    def products() -> None:
        torch.mm(rows, weight.mT)
        torch.mm(rows, rows.mT)
        place.addmm_(left.mT, rows)

    products()
    return products


class Timed(NamedTuple):
    """One engine's run.

    Attributes:
        seconds: an edit.
        norms: ‖W‖_F after every edit.
    """

    seconds: float
    norms: NDArray[np.float64]

    def apart(self, other: Timed) -> float:
        """The largest relative difference of two runs' norms over the edits that both made."""
        few = min(len(self.norms), len(other.norms))
        return float(np.abs(self.norms[:few] / other.norms[:few] - 1).max())


def bench_row(config: BenchConfig, name: str, dtype: str) -> dict[str, object]:
    """Measure one rule in one dtype; every number is of this process alone.

    Returns:
        rule, m, n, dtype, device, block; textbook_ms, step_ms, blocked_ms, each an edit; ratio = textbook/blocked;
        matmul_fraction, the engine's rate of the products that C = I needs, over the rate of the machine's own products
        of the same shapes, which are timed between the engine's blocks;
        peak_mib of the process until then (of the device's allocator on CUDA); max_rel_diff of the blocked engine's
        ‖W‖_F to the step engine's and, in float64, to the textbook's, over step_edits and textbook_edits of them.
    """
    generator = Generator(config.device).manual_seed(config.seed)
    like = {"dtype": getattr(torch, dtype), "device": config.device}
    one = contest(name, config.n, like["dtype"], config.device, generator)
    drawn = Drawn(config.m, config.n, config.edits, generator, like)
    peak_before = peak_mib("cpu")
    blocked, product, columns = time_blocked(config, one.rule, drawn, generator)
    peak = peak_mib(config.device)
    step = time_step(config, one.rule, drawn, generator)
    textbook = time_textbook(config, one.textbook, drawn)
    of_machine, flops = product_flops(config)
    # The textbook sums its norm in its own dtype, which in float32 says nothing of the weight's last digits.
    others = (step, textbook) if dtype == "float64" else (step,)
    return {
        "rule": name, "m": config.m, "n": config.n, "dtype": dtype, "device": device_name(config.device),
        "block": config.block, "textbook_ms": 1e3 * textbook.seconds, "step_ms": 1e3 * step.seconds,
        "blocked_ms": 1e3 * blocked.seconds, "ratio": textbook.seconds / blocked.seconds,
        "matmul_fraction": flops / blocked.seconds / (of_machine / product), "peak_mib": peak,
        "max_rel_diff": max(blocked.apart(other) for other in others),
        "edits": config.edits, "step_edits": len(step.norms), "textbook_edits": len(textbook.norms),
        "products_ms": 1e3 * product, "products_gflops": of_machine / product / 1e9, "peak_before_mib": peak_before,
        "finite": bool(columns["finite"].all()), "t1_error": float(np.nanmax(columns["error"])),
    }  # fmt: skip


def time_blocked(
    config: BenchConfig, rule: Editor, drawn: Drawn, generator: Generator
) -> tuple[Timed, float, dict[str, NDArray]]:
    """The blocked engine, with the machine's own products between its blocks, so that both meet it in the same mood.

    Returns:
        The run, seconds an edit of the products alone, and the run's columns.
    """
    list(run_blocks(BlockedStream(rule, drawn.memory(), [generator], block=config.block), drawn.few(config.block)))
    running = run_blocks(BlockedStream(rule, drawn.memory(), [generator], block=config.block), config.edits)
    products = block_products(drawn.weight, drawn.keys[:, : config.block])
    blocks: list[Columns] = []
    engine, alone = 0.0, []
    while True:
        before = len(blocks)
        engine += timed(lambda: blocks.extend(islice(running, 1)), config.device)
        if len(blocks) == before:
            break
        alone.append(timed(products, config.device))
    columns = whole_rows(joined(blocks), 0)
    product = sum(alone) / len(alone) / drawn.few(config.block)
    return Timed(engine / config.edits, columns["weight_norm_after"]), product, columns


def time_step(config: BenchConfig, rule: Editor, drawn: Drawn, generator: Generator) -> Timed:
    """The step engine."""
    rows: list[Row] = []
    few = drawn.few(config.step_edits)
    seconds = timed(lambda: rows.extend(run_stream(rule, drawn.memory(), few, generator)), config.device)
    return Timed(seconds / few, np.array([float(row["weight_norm_after"]) for row in rows]))


def time_textbook(config: BenchConfig, textbook: Callable[[], Write], drawn: Drawn) -> Timed:
    """The textbook loop, once its factors are there and one write has warmed it."""
    few = drawn.few(config.step_edits if config.textbook_edits is None else config.textbook_edits)

    def run(edits: int, write: Write) -> list[float]:
        return run_textbook(drawn.weight, drawn.keys[:, :edits], drawn.toward[:, :edits], RATIO, write)

    run(1, textbook())
    norms: list[float] = []
    write = textbook()
    seconds = timed(lambda: norms.extend(run(few, write)), config.device)
    return Timed(seconds / few, np.array(norms))


def peak_mib(device: str) -> float:
    """Peak memory so far: of the process, or on CUDA of the device's allocator."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def product_flops(config: BenchConfig) -> tuple[float, float]:
    """Floating-point operations an edit, at C = I: of `block_products`, and with the corrections inside a block."""
    between = 2.0 * config.n * (2 * config.m + config.block)
    return between, between + config.m * (config.block - 1)


def device_name(device: str) -> str:
    """The device, in words."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
