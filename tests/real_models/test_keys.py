"""The keys that theory reads are the keys that the run writes at."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from real_models.__main__ import keys
from real_models.bench import set_up
from real_models.config import EditConfig, KeysCommand, KeysConfig, SolveConfig
from real_models.editors import make_editors
from real_models.keys import stream_keys
from real_models.sequence import edit_once
from theory.command import Misuse


@pytest.fixture
def config(tiny_gpt2):
    own = {"model": str(tiny_gpt2.model), "data": str(tiny_gpt2.data)}
    return EditConfig(**own, edits=5, layers=(0,), pilots=2, solve=SolveConfig(steps=2, prefixes=0))


def test_keys_stay_what_they_are_while_the_layer_is_edited(config):
    bench = set_up(config)
    before = stream_keys(bench, 0, lambda items, title: items)
    assert before.shape == (5, bench.adapter.weight(0).shape[1])
    layered = make_editors(bench, [0], {})
    for request, key in zip(bench.stream, before, strict=True):
        rows, layered, finite = edit_once(bench.editable, (request,), layered, config.solve)
        assert finite
        assert rows[0]["key_norm"] == pytest.approx(float(key.norm()), rel=1e-5)
    after = stream_keys(bench, 0, lambda items, title: items)
    torch.testing.assert_close(after, before)


def test_the_command_writes_keys_and_weight_once(config, tmp_path, capsys):
    command = KeysCommand(KeysConfig(config), tmp_path / "keys")
    assert keys(command) == 0
    found = load_file(tmp_path / "keys" / "keys.safetensors")
    assert found["keys"].shape == (5, found["weight"].shape[1])
    assert found["keys"].dtype == torch.float64
    written = (tmp_path / "keys" / "keys.safetensors").stat().st_mtime_ns
    assert keys(command) == 0
    assert (tmp_path / "keys" / "keys.safetensors").stat().st_mtime_ns == written
    assert capsys.readouterr().out.count("5 keys of dimension") == 2


def test_misuse_is_named_before_a_model_is_loaded(tmp_path):
    with pytest.raises(Misuse, match="name it with --layers"):
        keys(KeysCommand(KeysConfig(EditConfig()), tmp_path / "keys"))
    assert not (tmp_path / "keys").exists()
