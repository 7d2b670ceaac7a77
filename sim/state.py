"""An editor's state as named tensors, so that it is saved and restored to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from theory.command import Misuse


def flatten_state(state: Any, name: str = "state") -> dict[str, Tensor]:
    """The tensors of a state (nested tuples), named by their path.

    >>> sorted(flatten_state((torch.ones(1), (torch.zeros(2), 0.5))))
    ['state.0', 'state.1.0']
    """
    return dict(_walk(state, name))


def _walk(state: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, tuple):
        fields = getattr(state, "_fields", range(len(state)))
        for field, part in zip(fields, state, strict=True):
            yield from _walk(part, f"{name}.{field}")


def restore_state(template: Any, tensors: Mapping[str, Tensor], name: str = "state") -> Any:
    """The template with its tensors replaced by the saved ones.

    Args:
        template: a state of the same editor, such as `init` makes.
        tensors: what `flatten_state` gave.
        name: the same name as there.

    Returns:
        The state, on the template's devices.

    Raises:
        Misuse: a tensor is missing, or has another shape or dtype.
    """
    if isinstance(template, Tensor):
        saved = tensors.get(name)
        if saved is None or saved.shape != template.shape or saved.dtype != template.dtype:
            raise Misuse(f"the saved state does not fit at {name!r}; delete the run's folder and run again")
        # The template's own strides: matrix products of equal numbers in another layout differ in the last digit.
        placed = torch.empty_strided(template.size(), template.stride(), dtype=saved.dtype, device=template.device)
        return placed.copy_(saved)
    if not isinstance(template, tuple):
        return template
    fields = getattr(template, "_fields", range(len(template)))
    parts = [restore_state(part, tensors, f"{name}.{field}") for field, part in zip(fields, template, strict=True)]
    return type(template)(*parts) if hasattr(template, "_fields") else tuple(parts)
