"""An editor's state as one safetensors file that knows which editor it belongs to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
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

Plain = int | float | bool | str | None

WEIGHT = "the weight"

CLOSE = 1e-4
"""Relative difference of two answers beyond which editors are told apart; rounding on another machine stays below."""


def save_editor_state(path: str | Path, rule: Editor, state: Any, weight: Float[Tensor, "m n"]) -> None:
    """Write a state, with the numbers that its editor holds and what it does to two fixed requests.

    Args:
        path: a .safetensors file.
        rule: the editor whose state it is.
        state: what `init` and `step` gave.
        weight: W (m, n) that is edited; only its shape, dtype and device count.

    Raises:
        Misuse: the state is none of this editor at this weight.
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    fresh, tensors = flatten_state(rule.init(weight)), flatten_state(state)
    odd = sorted(name for name in fresh.keys() | tensors.keys() if not _fits(fresh.get(name), tensors.get(name)))
    if odd:
        raise Misuse(f"the state differs at {odd[0]!r} from what this editor makes; save what init and step gave")
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    about = {"editor": json.dumps(answers(rule, weight)), "held": json.dumps(known(rule, weight))}
    write_atomically(Path(path), lambda place: save_file(tensors, place, metadata=about))


def load_editor_state(path: str | Path, rule: Editor, weight: Float[Tensor, "m n"]) -> Any:
    """Read a state for the editor that it was saved with.

    Args:
        path: of `save_editor_state`.
        rule: an editor that does what the one did whose state was saved, built anew.
        weight: W (m, n) of the same shape and dtype.

    Returns:
        The state, on the weight's device.

    Raises:
        Misuse: the file is none of `save_editor_state`, or the editor that saved it holds other numbers than this one,
            or wrote something else at two fixed requests, by more than 1e-4: another rule, covariance or weight.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise Misuse(f"{path} is no readable safetensors file ({error}); name one of save_editor_state") from error
    if not about.keys() >= {"editor", "held"}:
        raise Misuse(f"{path} does not say which editor it belongs to; name one of save_editor_state")
    before, now = json.loads(about["held"]), known(rule, weight)
    unlike = (name for name in before.keys() | now.keys() if not _alike(before.get(name), now.get(name)))
    other = sorted(unlike, key=lambda name: (name != WEIGHT, name))  # another weight explains all the rest
    if other:
        name = other[0]
        raise Misuse(
            f"{path} was saved by another editor or with other hyper-parameters: {name} was {before.get(name)} and is "
            f"{now.get(name)}; build the editor as it was then"
        )
    saved, own = torch.tensor(json.loads(about["editor"])), torch.tensor(answers(rule, weight))
    alike = saved.shape == own.shape and float((saved - own).norm()) <= CLOSE * float(own.norm())
    if not alike:
        raise Misuse(
            f"{path} was saved by another editor, with another covariance or for another weight than "
            f"{tuple(weight.shape)}; build the editor as it was then"
        )
    return restore_state(rule.init(weight), tensors)


def answers(rule: Editor, weight: Float[Tensor, "m n"]) -> list[float]:
    """What an editor writes into a fixed weight at a fixed request and a batch of two, or two single ones: its mark.

    Two editors that first differ later, such as after a warm-up, are told apart by what they hold (`held`).

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
    for batch in (1, 2):
        keys, shifts = drawn(n, batch), drawn(m, batch)
        readouts = start @ keys
        edit = Edit(keys, readouts, readouts + shifts)
        try:
            delta, state, _ = step(rule, edit, state, start)
        except Misuse:  # a rule of one key a write
            if batch == 1:
                raise
            delta, state, _ = step(rule, Edit(*(part[:, :1] for part in edit)), state, start)
        start = apply_delta(start, delta)
        seen += (dense(delta) @ probe)[:8, 0].tolist()
    return seen


def known(rule: Editor, weight: Float[Tensor, "m n"]) -> dict[str, Plain]:
    """What an editor holds, and which weight it is for."""
    return {WEIGHT: f"{tuple(weight.shape)} {weight.dtype}".replace("torch.", ""), **held(rule)}


def _fits(made: Tensor | None, given: Tensor | None) -> bool:
    """Whether a tensor may stand where an editor has made one."""
    return made is not None and given is not None and made.shape == given.shape and made.dtype == given.dtype


def held(rule: Editor) -> dict[str, Plain]:
    """The numbers, words and norms of tensors that an editor's functions hold, by where they hold them.

    These are its hyper-parameters and what was made of them, such as the A_0 of a ridge.

    Args:
        rule: the editor.

    Returns:
        "path of functions and variables" -> number, word or norm, through closures, defaults, constants of a
        module, methods, partial applications, containers and objects.

    >>> from sim.editor import editor
    >>> from sim.rules.rome import rome
    >>> from sim.values.clip_norm import clip_norm
    >>> {value for name, value in held(editor(rome(), values=clip_norm(ratio=0.5))).items() if name.endswith("ratio")}
    {0.5}
    """
    return dict(_held(rule, "", ()))


def _alike(one: Plain, other: Plain) -> bool:
    """Whether two of them are one, numbers up to a relative 1e-6: a norm may be summed in another order elsewhere."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6) or (math.isnan(one) and math.isnan(other))
    return one == other


def _held(part: Any, name: str, above: tuple[int, ...]) -> Iterator[tuple[str, Plain]]:
    if isinstance(part, Plain):
        yield name, part
    elif isinstance(part, Tensor | np.ndarray | np.generic):
        yield name, float(torch.linalg.vector_norm(torch.as_tensor(part).detach().double()))
    elif id(part) not in above:  # a function may hold itself
        for own, inner in _within(part):
            yield from _held(inner, f"{name}.{own}" if name else own, (*above, id(part)))


def _within(part: Any) -> Iterator[tuple[str, Any]]:
    """What a function has closed over, takes by default and reads of its module; what other things consist of."""
    if isinstance(part, FunctionType):
        cells = zip(part.__code__.co_freevars, part.__closure__ or (), strict=True)
        yield from ((name, cell.cell_contents) for name, cell in cells if cell != CellType())
        yield from _numbered(part.__defaults__ or ())
        yield from (part.__kwdefaults__ or {}).items()
        outside = ((name, part.__globals__.get(name)) for name in part.__code__.co_names)
        yield from ((name, value) for name, value in outside if isinstance(value, int | float | str | Tensor))
    elif isinstance(part, MethodType):
        yield from (("self", part.__self__), ("function", part.__func__))
    elif isinstance(part, partial):
        yield from (("function", part.func), *_numbered(part.args), *part.keywords.items())
    elif isinstance(part, tuple | list):
        yield from zip(getattr(part, "_fields", map(str, range(len(part)))), part, strict=True)
    elif isinstance(part, Mapping):
        yield from ((str(key), value) for key, value in part.items())
    elif not isinstance(part, type | ModuleType):
        yield from vars(part).items() if hasattr(part, "__dict__") else ()


def _numbered(parts: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    return ((str(index), part) for index, part in enumerate(parts))
