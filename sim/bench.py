"""The benchmark of the engines: textbook loop, step engine, blocked engine, and the machine's own matrix products."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from sim.block_rows import Columns
from sim.blocked import BlockedStream, run_blocks
from sim.config import BenchConfig
from sim.editor import Editor, editor
from sim.engine import run_stream
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


class _Drawn:
    """Keys and directions drawn before the clock starts; every engine reads the same ones in turn."""

    def __init__(self, m: int, n: int, edits: int, generator: Generator, like: dict[str, Any]) -> None:
        self.keys = torch.randn(edits, n, generator=generator, **like).mT
        toward = torch.randn(edits, m, generator=generator, **like)
        self.toward = (toward / torch.linalg.vector_norm(toward, dim=1, keepdim=True)).mT
        self.weight = draw_weight(m, n, generator, **like)

    def memory(self) -> LinearMemory:
        """A memory that is asked for the drawn requests, from the first on."""
        keys, toward = iter(self.keys.split(1, dim=1)), iter(self.toward.split(1, dim=1))

        def towards(readouts: Tensor, directions: Tensor) -> Tensor:
            return torch.addcmul(readouts, directions, torch.linalg.vector_norm(readouts, dim=0), value=RATIO)

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


def bench_row(config: BenchConfig, name: str, dtype: str) -> dict[str, object]:
    """Measure one rule in one dtype; every number is of this process alone.

    Returns:
        rule, m, n, dtype, device, block; textbook_ms, step_ms, blocked_ms, each an edit; ratio = textbook/blocked;
        matmul_fraction, the engine's rate of the products that C = I needs, over the rate of the machine's own products
        of the same shapes, which are timed between the engine's blocks;
        peak_mib of the process (of the device's allocator on CUDA); max_rel_diff of ‖W‖_F to the step engine's.
    """
    generator = Generator(config.device).manual_seed(config.seed)
    like = {"dtype": getattr(torch, dtype), "device": config.device}
    one = contest(name, config.n, like["dtype"], config.device, generator)
    drawn = _Drawn(config.m, config.n, config.edits, generator, like)
    few = min(config.edits, config.step_edits)
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    warm = BlockedStream(one.rule, drawn.memory(), [generator], block=config.block)
    list(run_blocks(warm, min(config.block, config.edits)))
    del warm
    running = run_blocks(BlockedStream(one.rule, drawn.memory(), [generator], block=config.block), config.edits)
    products = block_products(drawn.weight, drawn.keys[:, : config.block])
    blocks: list[Columns] = []
    engine, alone = 0.0, []
    # The products are timed between the blocks, so that both meet the machine in the same mood.
    while True:
        before = len(blocks)
        engine += timed(lambda: blocks.extend(islice(running, 1)), config.device)
        if len(blocks) == before:
            break
        alone.append(timed(products, config.device))
    blocked, product = engine / config.edits, sum(alone) / len(alone) / min(config.block, config.edits)
    of_machine, flops = product_flops(config)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    row: dict[str, object] = {
        "rule": name, "m": config.m, "n": config.n, "dtype": dtype, "device": device_name(config.device),
        "block": config.block, "textbook_ms": None, "step_ms": None, "blocked_ms": 1e3 * blocked, "ratio": None,
        "matmul_fraction": flops / blocked / (of_machine / product), "peak_mib": peak / 1024, "max_rel_diff": None,
        "edits": config.edits, "step_edits": few, "products_ms": 1e3 * product,
        "products_gflops": of_machine / product / 1e9, "peak_before_mib": peak_before / 1024,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
        "finite": all(bool(block["finite"].all()) for block in blocks),
        "t1_error": float(np.nanmax(np.concatenate([block["error"][0] for block in blocks]))),
    }  # fmt: skip
    if config.device.startswith("cuda"):
        row["peak_mib"] = torch.cuda.max_memory_allocated(config.device) / 2**20
    norms = np.concatenate([block["weight_norm_after"][0] for block in blocks])
    stepped: list[float] = []
    step = timed(
        lambda: stepped.extend(
            float(line["weight_norm_after"]) for line in run_stream(one.rule, drawn.memory(), few, generator)
        ),
        config.device,
    )
    plain: list[float] = []
    first, of_few = slice(0, 1), slice(0, few)
    run_textbook(drawn.weight, drawn.keys[:, first], drawn.toward[:, first], RATIO, one.textbook())
    write = one.textbook()
    textbook = timed(
        lambda: plain.extend(run_textbook(drawn.weight, drawn.keys[:, of_few], drawn.toward[:, of_few], RATIO, write)),
        config.device,
    )
    # The textbook sums its norm in its own dtype, which in float32 says nothing of the weight's last digits.
    others = (stepped, plain) if dtype == "float64" else (stepped,)
    apart = max(float(np.abs(norms[:few] / np.array(other) - 1).max()) for other in others)
    return row | {
        "textbook_ms": 1e3 * textbook / few,
        "step_ms": 1e3 * step / few,
        "ratio": textbook / few / blocked,
        "max_rel_diff": apart,
    }


def product_flops(config: BenchConfig) -> tuple[float, float]:
    """Floating-point operations an edit, at C = I: of `block_products`, and with the corrections inside a block."""
    between = 2.0 * config.n * (2 * config.m + config.block)
    return between, between + config.m * (config.block - 1)


def device_name(device: str) -> str:
    """The device, in words."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
