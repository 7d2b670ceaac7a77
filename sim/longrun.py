"""One long stream in a folder: rows in chunks, statistics as it runs, resumed at a block's end after any stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch

from sim.block_rows import Columns, whole_rows
from sim.blocked import BlockedStream, run_blocks
from sim.config import StreamConfig
from sim.moments import Moments, merge_columns
from sim.montecarlo import make_editor, make_memory
from sim.results import claim_folder, read_json
from sim.resume import finish, load_state, save_state
from theory.files import write_atomically


def make_stream(config: StreamConfig) -> tuple[BlockedStream, float | None]:
    """The stream that a config describes, at its start, and its anchor."""
    generator = torch.Generator(config.device).manual_seed(config.seed)
    memory = make_memory(config.grown(), generator)
    rule, pilot = make_editor(config.grown(), memory, generator)
    stream = BlockedStream(rule, memory, [generator], batch=config.batch, block=config.block)
    return stream, None if pilot is None else pilot.norm


def run_long(config: StreamConfig, folder: Path, advanced: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Run a stream to its end, from where its folder left off.

    Args:
        config: the stream.
        folder: `config.json`, then `rows.parquet` and `summary.json`; while it runs, chunks of rows and a state.
        advanced: called after every block, and once for every block that had been done before.

    Returns:
        The summary's measured part.

    Raises:
        Misuse: the folder belongs to another run, or its state is broken.
    """
    if claim_folder(folder, config) and (folder / "summary.json").exists():
        shutil.rmtree(folder / "chunks", ignore_errors=True)
        return read_json(folder / "summary.json")
    stream, anchor = make_stream(config)
    moments, finite, chunk = _resume(stream, folder)
    for _ in range(stream.step // config.block):
        advanced()
    pending: list[Columns] = []
    for columns in run_blocks(stream, config.steps - stream.step) if finite else ():
        finite = bool(columns["finite"].all())
        rows = whole_rows(columns, 0)
        moments = merge_columns(moments, rows)
        pending.append(rows)
        if len(pending) * config.block >= config.save_every or stream.step >= config.steps or not finite:
            _save(folder, stream, pending, moments, finite, chunk)
            pending, chunk = [], chunk + 1
        advanced()
    return _finish(config, folder, stream, moments, finite, anchor, chunk)


def _chunk(folder: Path, index: int) -> Path:
    return folder / "chunks" / f"{index:06d}.parquet"


def _save(
    folder: Path,
    stream: BlockedStream,
    pending: list[Columns],
    moments: dict[str, Moments],
    finite: bool,
    chunk: int,
) -> None:
    """Write the rows since the last save, then the state that follows them."""
    rows = pd.DataFrame({name: np.concatenate([block[name] for block in pending]) for name in sorted(pending[0])})
    _chunk(folder, chunk).parent.mkdir(exist_ok=True)
    write_atomically(_chunk(folder, chunk), lambda place: rows.to_parquet(place, index=False))
    facts = {"step": stream.step, "since_refresh": stream.since_refresh, "finite": finite, "chunks": chunk + 1}
    save_state(folder, stream.tensors(), {**facts, "moments": moments}, {})


def _resume(stream: BlockedStream, folder: Path) -> tuple[dict[str, Moments], bool, int]:
    """Put the stream where its folder left it: its moments, whether it is still finite, and its next chunk."""
    saved = load_state(folder)
    if saved is None:
        return {}, True, 0
    tensors, facts, _ = saved
    stream.restore(tensors, facts["step"], facts["since_refresh"])
    return {name: Moments(*of) for name, of in facts["moments"].items()}, facts["finite"], facts["chunks"]


def _finish(
    config: StreamConfig,
    folder: Path,
    stream: BlockedStream,
    moments: dict[str, Moments],
    finite: bool,
    anchor: float | None,
    chunks: int,
) -> dict[str, Any]:
    """Join the chunks, one in memory at a time, and write the summary."""
    parts = [_chunk(folder, index) for index in range(chunks)]

    def join(place: Path) -> None:
        with pq.ParquetWriter(place, pq.read_schema(parts[0])) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part))

    write_atomically(folder / "rows.parquet", join)
    summary = {
        "steps": stream.step,
        "finite": finite,
        "anchor": anchor,
        "weight_norm": float(stream.frobenius_sq[0].sqrt()) if finite else None,
        "columns": {
            name: {"mean": of.mean, "deviation": of.deviation, "count": of.number} for name, of in moments.items()
        },
        "seed": config.seed,
        "dtype": config.dtype,
        "device": config.device,
    }
    finish(folder, summary, {})
    shutil.rmtree(folder / "chunks")
    return summary
