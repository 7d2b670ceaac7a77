"""Published hyper-parameters by rule and model, as named presets."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from theory.command import Misuse


class Model(NamedTuple):
    """The edited projection of a model.

    Attributes:
        m: value dimension.
        n: key dimension.
    """

    m: int
    n: int


MODELS = {
    "gpt2-xl": Model(1600, 6400),
    "gpt-j-6b": Model(4096, 16384),
    "llama-3-8b": Model(4096, 14336),
    "qwen2.5-7b": Model(3584, 18944),
}

_WEIGHTING = {"gpt2-xl": 20_000.0, "gpt-j-6b": 15_000.0, "llama-3-8b": 15_000.0, "qwen2.5-7b": 15_000.0}
_ALL = tuple(MODELS)

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "memit": {model: {"weighting": value} for model, value in _WEIGHTING.items()},
    "memit_seq": {model: {"weighting": value} for model, value in _WEIGHTING.items()},
    "rlsedit": {model: {"weighting": value} for model, value in _WEIGHTING.items()},
    "alphaedit": {model: {"ridge": 10.0} for model in _ALL},
    "null_space": {model: {"threshold": 2e-2} for model in _ALL},
    "emmet": {"gpt2-xl": {"weighting": 10_000.0, "jitter": 0.1}},
    "encore": {
        "gpt2-xl": {"weighting": 20_000.0, "penalty": 10.0},
        "llama-3-8b": {"weighting": 15_000.0, "penalty": 20.0},
    },
    "nse": {
        "gpt2-xl": {"weighting": 10_000.0, "share": 1.0},
        "gpt-j-6b": {"weighting": 15_000.0, "share": 0.8},
        "llama-3-8b": {"weighting": 15_000.0, "share": 1.0},
    },
    "lyaplock": {model: {"weighting": 1000.0, "alpha": 60.0} for model in ("gpt2-xl", "gpt-j-6b", "llama-3-8b")},
    "leave_noise": {"gpt2-xl": {"factor": 3.0}, "llama-3-8b": {"factor": 1.5}},
    "normalised_shift": {model: {"rate": 1e-6} for model in ("gpt-j-6b", "llama-3-8b", "qwen2.5-7b")},
    "ft": {model: {"rate": 5e-4, "steps": 25} for model in ("gpt2-xl", "llama-3-8b")},
}
"""Rule or transform -> model -> arguments of its factory, from the methods' released settings."""


def preset(rule: str, model: str, weight: Float[Tensor, "m n"] | None = None) -> dict[str, Any]:
    """The published arguments of a rule for a model.

    Args:
        rule: a key of `PRESETS`, the factory's name.
        model: gpt2-xl, gpt-j-6b, llama-3-8b or qwen2.5-7b.
        weight: W (m, n) that is to be edited, so that a preset of another model's width is refused.

    Returns:
        Keyword arguments of the factory.

    Raises:
        Misuse: the rule has no preset, none was published for the model, or the weight has another shape.

    >>> preset("memit", "gpt2-xl")
    {'weighting': 20000.0}
    """
    if rule not in PRESETS:
        raise Misuse(f"there is no preset for {rule!r}; there are some for {', '.join(PRESETS)}")
    if model not in PRESETS[rule]:
        raise Misuse(f"no setting of {rule} was published for {model!r}; there are {', '.join(PRESETS[rule])}")
    shape = MODELS[model]
    if weight is not None and tuple(weight.shape) != shape:
        raise Misuse(
            f"the preset {model} is for a weight {tuple(shape)}, not {tuple(weight.shape)}; choose the model's own, or "
            "give the arguments yourself"
        )
    return dict(PRESETS[rule][model])
