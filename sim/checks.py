"""What a weight, an edit and a delta must be before anything is computed from them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sim.lowrank import LowRank
from theory.command import Misuse


def check_weight(weight: Tensor) -> None:
    """Raise Misuse unless W is a finite floating-point matrix."""
    if weight.ndim != 2 or not weight.is_floating_point():
        raise Misuse(
            f"the weight has dtype {weight.dtype} and shape {tuple(weight.shape)}; "
            "pass a floating-point matrix (d_out, d_in)"
        )
    if not torch.isfinite(weight).all():
        raise Misuse("the weight holds NaN or infinity; reload the model from an unbroken checkpoint")


def check_edit(keys: Tensor, readouts: Tensor, values: Tensor, weight: Tensor) -> None:
    """Raise Misuse unless the columns of an edit fit the weight in shape and dtype, and its keys are usable."""
    (m, n), u = weight.shape, keys.shape[-1]
    if keys.shape != (n, u) or readouts.shape != (m, u) or values.shape != (m, u):
        raise Misuse(
            f"keys {tuple(keys.shape)}, read-outs {tuple(readouts.shape)} and values "
            f"{tuple(values.shape)} do not fit a weight {(m, n)}; "
            "columns are requests: pass (n, u), (m, u), (m, u)"
        )
    if values.dtype not in (torch.float32, torch.float64):
        raise Misuse(f"a rule solves in float32 or float64, not {values.dtype}; cast keys and values first")
    check_keys(keys)


def check_part(part: object, kind: type, name: str, example: str) -> None:
    """Raise Misuse unless what an editor is composed of, or what a function of it returned, is of its kind."""
    if not isinstance(part, kind):
        shown = " ".join(repr(part).split())[:80]
        raise Misuse(
            f"{name} is {shown} of type {type(part).__name__}; it has to be a {kind.__name__}, such as {example}"
        )


def answered(answer: object, names: tuple[str, ...], source: str) -> Any:
    """What a function of an editor returned; Misuse unless it is as many things as it has to be."""
    if isinstance(answer, tuple) and not hasattr(answer, "_fields"):  # an Edit or a LowRank is one thing
        if len(answer) == len(names):
            return answer
        found = f"{len(answer)} values"
    else:
        found = f"a {type(answer).__name__}"
    raise Misuse(f"{source} returned {found}; return ({', '.join(names)})")


def check_delta(delta: object, weight: Tensor, source: str) -> None:
    """Raise Misuse unless a delta has the weight's shape."""
    if not isinstance(delta, LowRank | Tensor):
        raise Misuse(f"the {source} returned a {type(delta).__name__}; return Δ as a tensor (m, n) or a LowRank")
    shape = (delta.left.shape[0], delta.right.shape[0]) if isinstance(delta, LowRank) else tuple(delta.shape)
    if shape != tuple(weight.shape):
        raise Misuse(f"the {source} returned a Δ of shape {shape} for a weight {tuple(weight.shape)}; they must agree")


def check_keys(keys: Float[Tensor, "*r n u"]) -> None:
    """Raise Misuse where a key, a column, is not finite or zero."""
    norms = torch.linalg.vector_norm(keys, dim=-2)
    if bool(((norms > 0) & torch.isfinite(norms)).all()):
        return
    # One pass has cleared every usual batch; a norm may also over- or underflow, so now the entries themselves.
    if not torch.isfinite(keys).all():
        raise Misuse("a key holds NaN or infinity; the model is already broken at this layer")
    if bool((keys == 0).all(dim=-2).any()):
        raise Misuse("a key is zero, so no write can reach its value; drop this request or edit another layer")
