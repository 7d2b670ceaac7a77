"""An editor's state as one safetensors file that knows which editor it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor

from sim.editor import Edit, Editor, step
from sim.lowrank import apply_delta, dense
from sim.state import flatten_state, restore_state
from theory.command import Misuse
from theory.files import write_atomically

CLOSE = 1e-4
"""Relative difference of two answers beyond which editors are told apart; rounding on another machine stays below."""


def save_editor_state(path: Path, rule: Editor, state: Any, weight: Float[Tensor, "m n"]) -> None:
    """Write a state, with what its editor does to a fixed request.

    Args:
        path: a .safetensors file.
        rule: the editor whose state it is.
        state: what `init` and `step` gave.
        weight: W (m, n) that is edited; only its shape, dtype and device count.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in flatten_state(state).items()}
    about = {"editor": json.dumps(answers(rule, weight))}
    write_atomically(path, lambda place: save_file(tensors, place, metadata=about))


def load_editor_state(path: Path, rule: Editor, weight: Float[Tensor, "m n"]) -> Any:
    """Read a state for the editor that it was saved with.

    Args:
        path: of `save_editor_state`.
        rule: an editor that does what the one did whose state was saved, built anew.
        weight: W (m, n) of the same shape and dtype.

    Returns:
        The state, on the weight's device.

    Raises:
        Misuse: the file is none of `save_editor_state`, or the editor that saved it wrote something else than this one
            at two fixed requests, by more than 1e-4: another rule or weight, or hyper-parameters that show there.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = (file.metadata() or {}).get("editor")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise Misuse(f"{path} is no readable safetensors file ({error}); name one of save_editor_state") from error
    if about is None:
        raise Misuse(f"{path} does not say which editor it belongs to; name one of save_editor_state")
    saved, own = torch.tensor(json.loads(about)), torch.tensor(answers(rule, weight))
    alike = saved.shape == own.shape and float((saved - own).norm()) <= CLOSE * float(own.norm())
    if not alike:
        raise Misuse(
            f"{path} was saved by another editor, with other hyper-parameters or for another weight than "
            f"{tuple(weight.shape)}; build the editor as it was then"
        )
    return restore_state(rule.init(weight), tensors)


def answers(rule: Editor, weight: Float[Tensor, "m n"]) -> list[float]:
    """What an editor writes into a fixed weight at two fixed requests: its mark, whatever its source.

    Two editors that first differ later, such as after a warm-up, are not told apart.

    Args:
        rule: the editor.
        weight: W (m, n), for its shape, dtype and device.

    Returns:
        Δ times a fixed vector, of both writes, on at most eight rows.

    >>> from sim.editor import editor
    >>> from sim.rules.rome import rome
    >>> len(answers(editor(rome()), torch.zeros(3, 4)))
    6
    """
    generator, wide = Generator().manual_seed(0), torch.promote_types(weight.dtype, torch.float32)
    m, n = weight.shape

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(weight.device, wide)

    start = drawn(m, n) / n**0.5
    state, seen, probe = rule.init(start), list[float](), drawn(n, 1)
    for _ in range(2):
        keys, shifts = drawn(n, 1), drawn(m, 1)
        readouts = start @ keys
        delta, state, _ = step(rule, Edit(keys, readouts, readouts + shifts), state, start)
        start = apply_delta(start, delta)
        seen += (dense(delta) @ probe)[:8, 0].tolist()
    return seen
