"""A saved state goes back to the editor that made it, and to no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sim.catalogue import DELTAS, RULES, VALUES
from sim.compose import compose
from sim.editor import Edit, Editor, chain, editor, stateless, step
from sim.lowrank import apply_delta
from sim.rules.memit import memit
from sim.rules.memit_seq import memit_seq
from sim.saved import load_editor_state, save_editor_state
from sim.settings import BASE, Setting
from sim.state import flatten_state
from sim.values.clip_norm import clip_norm
from theory.command import Misuse

EDITORS = {
    **{name: compose(name) for name in RULES},
    **{f"{name} + nas": compose(name, ["nas"]) for name in ("rome", "memit_seq")},
    **{name: compose("rome", [name]) for name in VALUES},
    **{f"rome | {name}": compose("rome", (), [name]) for name in DELTAS},
}
W = torch.randn(BASE.m, BASE.n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def edited(rule: Editor) -> tuple[torch.Tensor, object]:
    weight, state, generator = W, rule.init(W), torch.Generator().manual_seed(2)
    for _ in range(3):
        key = torch.randn(BASE.n, 1, generator=generator, dtype=torch.float64)
        value = torch.randn(BASE.m, 1, generator=generator, dtype=torch.float64)
        delta, state, _ = step(rule, Edit(key, weight @ key, value), state, weight)
        weight = apply_delta(weight, delta)
    return weight, state


@pytest.mark.parametrize("name", EDITORS)
def test_a_state_is_read_back_to_the_bit(name: str, tmp_path: Path) -> None:
    rule = EDITORS[name](BASE)
    weight, state = edited(rule)
    save_editor_state(tmp_path / "state.safetensors", rule, state, weight)
    again = load_editor_state(tmp_path / "state.safetensors", EDITORS[name](BASE), weight)
    one, two = flatten_state(state), flatten_state(again)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    "other",
    [
        editor(memit_seq(torch.eye(BASE.n, dtype=torch.float64), weighting=2.5)),
        editor(memit(weighting=2.0)),
        compose("memit_seq:weighting=2", ["nas"])(BASE),
        compose("alphaedit_free:ridge=3")(BASE),
    ],
    ids=["another λ", "another rule", "with NAS", "another ridge"],
)
def test_a_state_of_another_editor_is_refused(other: Editor, tmp_path: Path) -> None:
    """Tensors of equal shapes are not enough: MEMIT-seq's states all look alike."""
    rule = editor(memit_seq(torch.eye(BASE.n, dtype=torch.float64), weighting=2.0))
    weight, state = edited(rule)
    save_editor_state(tmp_path / "state.safetensors", rule, state, weight)
    with pytest.raises(Misuse, match=r"saved by another editor or with other hyper-parameters: .* was .* and is"):
        load_editor_state(tmp_path / "state.safetensors", other, weight)


NEAR = {
    "a ridge beside 15000 C": (("rlsedit:ridge=1,weighting=15000",), ("rlsedit:ridge=2,weighting=15000",)),
    "a penalty": (("encore:penalty=10",), ("encore:penalty=11",)),
    "a base that has not acted yet": (("rome", (), ["prune:base=2"]), ("rome", (), ["prune:base=3"])),
    "a factor after the warm-up": (("rome", ["deltaedit:factor=3"]), ("rome", ["deltaedit:factor=2"])),
    "a weight of the lock": (("lyaplock:alpha=60",), ("lyaplock:alpha=50",)),
}


@pytest.mark.parametrize("case", NEAR)
def test_a_state_is_refused_to_hyper_parameters_that_first_writes_do_not_show(case: str, tmp_path: Path) -> None:
    one, other = (compose(*words)(BASE) for words in NEAR[case])
    weight, state = edited(one)
    save_editor_state(tmp_path / "state.safetensors", one, state, weight)
    load_editor_state(tmp_path / "state.safetensors", compose(*NEAR[case][0])(BASE), weight)
    with pytest.raises(Misuse, match=r"with other hyper-parameters: .* was .* and is .*; build the editor as it was"):
        load_editor_state(tmp_path / "state.safetensors", other, weight)


class Limited:
    def __init__(self, limit: object) -> None:
        self.limit = limit

    def __call__(self, edit: Edit, weight: torch.Tensor) -> Edit:
        return edit

    def applied(self, edit: Edit, weight: torch.Tensor) -> Edit:
        return edit


def listed(limit: object) -> Callable[[Edit, torch.Tensor], Edit]:
    limits = {"all": [limit]}

    def kept(edit: Edit, weight: torch.Tensor, also: object = limit) -> Edit:
        return edit._replace(values=edit.values * len(limits))

    return kept


@pytest.mark.parametrize(
    "make",
    [listed, Limited, lambda limit: Limited(limit).applied, lambda limit: listed(np.float32(limit))],
    ids=["list and default", "object", "method", "numpy"],
)
def test_hyper_parameters_are_found_wherever_python_keeps_them(make: Callable[..., Any], tmp_path: Path) -> None:
    one, again, other = (editor(memit(weighting=2.0), values=stateless(make(limit))) for limit in (100, 100, 200))
    save_editor_state(tmp_path / "state.safetensors", one, one.init(W), W)
    load_editor_state(tmp_path / "state.safetensors", again, W)
    with pytest.raises(Misuse, match=r"was 100.* and is 200"):
        load_editor_state(tmp_path / "state.safetensors", other, W)


PERIOD = 100.0


def periodic(edit: Edit, weight: torch.Tensor) -> Edit:
    return edit._replace(values=edit.values + 0 * PERIOD)


def test_a_constant_of_the_module_a_weight_and_a_state_of_another_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rule = str(tmp_path / "state.safetensors"), editor(memit(weighting=2.0), values=stateless(periodic))
    save_editor_state(path, rule, rule.init(W), W)
    load_editor_state(path, rule, W)
    with pytest.raises(Misuse, match=r"the weight was \(8, 16\) float64 and is \(8, 16\) float32"):
        load_editor_state(path, rule, W.float())
    monkeypatch.setitem(periodic.__globals__, "PERIOD", 50.0)
    with pytest.raises(Misuse, match=r"PERIOD was 100\.0 and is 50\.0"):
        load_editor_state(path, rule, W)
    growing = compose("memit_seq")(BASE)
    for state in (5, {}, [1], growing.init(W)._replace(solver=(W,))):
        with pytest.raises(Misuse, match=r"the state differs at .*; save what init and step gave"):
            save_editor_state(path, growing, state, W)


def test_one_transform_twice_is_two_of_a_kind_and_caps_differ_on_a_batch(tmp_path: Path) -> None:
    path, clip = tmp_path / "state.safetensors", clip_norm(ratio=0.5)
    one = editor(memit(weighting=2.0), values=chain(clip, clip))
    save_editor_state(path, one, one.init(W), W)
    again = editor(memit(weighting=2.0), values=chain(clip_norm(ratio=0.5), clip_norm(ratio=0.5)))
    load_editor_state(path, again, W)
    capped, spectrum = (compose("memit", (), [name])(BASE) for name in ("cap_absolute", "cap_spectrum"))
    save_editor_state(path, capped, capped.init(W), W)
    with pytest.raises(Misuse, match="saved by another editor"):
        load_editor_state(path, spectrum, W)


def test_a_state_for_another_width_or_no_state_is_refused(tmp_path: Path) -> None:
    path, rule = tmp_path / "state.safetensors", compose("memit_seq")(BASE)
    weight, state = edited(rule)
    save_editor_state(path, rule, state, weight)
    with pytest.raises(Misuse, match=r"the weight was \(8, 16\) float64 and is \(4, 8\) float64"):
        load_editor_state(path, compose("memit_seq")(Setting("small", m=4, n=8)), torch.zeros(4, 8).double())
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(Misuse, match="does not say which editor"):
        load_editor_state(path, rule, weight)
    path.write_bytes(b"no tensors")
    with pytest.raises(Misuse, match="no readable safetensors"):
        load_editor_state(path, rule, weight)
    with pytest.raises(Misuse, match="no readable safetensors"):
        load_editor_state(tmp_path / "nowhere.safetensors", rule, weight)
    assert list(tmp_path.iterdir()) == [path]
