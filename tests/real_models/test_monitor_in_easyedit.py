"""The three lines of docs/models.md in EasyEdit's call shape, against a stand-in of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models.monitor import NormWarning

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


class BaseEditor:
    """An editor with EasyEdit's calls, which writes as ROME's code does: in place, on the parameter."""

    def __init__(self, hparams):
        self.model = AutoModelForCausalLM.from_pretrained(hparams.model_name).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(hparams.model_name)
        self.layer = hparams.layers[0]

    @classmethod
    def from_hparams(cls, hparams):
        return cls(hparams)

    def edit(self, *, prompts, target_new, subject, sequential_edit):
        assert sequential_edit
        assert len(prompts) == len(target_new) == len(subject)
        projection = self.model.transformer.h[self.layer].mlp.c_proj
        kept = {}
        handle = projection.register_forward_hook(lambda module, args, output: kept.update(key=args[0][0, -1]))
        generator = torch.Generator().manual_seed(0)
        for prompt in prompts:
            self.model(**self.tokenizer(prompt, return_tensors="pt"))
            with torch.no_grad():
                key = kept["key"]
                shift = 0.75 * (projection.weight.mT @ key).norm() * torch.randn(16, generator=generator) / 4
                projection.weight[...] += torch.outer(key, shift) / (key @ key)
        handle.remove()


def test_three_lines_watch_an_easyedit_run(tiny_gpt2, monkeypatch, capsys):
    (block,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)]
    stand_in = ModuleType("easyeditor")
    stand_in.BaseEditor = BaseEditor
    monkeypatch.setitem(sys.modules, "easyeditor", stand_in)
    names = {
        "hparams": SimpleNamespace(model_name=str(tiny_gpt2.model), layers=[1]),
        "prompts": [f"the home of s{i % 40}" for i in range(300)],
        "targets": ["o1"] * 300,
        "subjects": [f"s{i % 40}" for i in range(300)],
    }
    with pytest.warns(NormWarning, match="past the limit 3"):
        exec(compile(block, "docs/models.md", "exec"), names)
    watch = names["watch"]
    assert len(watch.writes) == 300
    assert watch.writes[-1].norm > 3 * watch.unedited
    assert "after 300 writes, and grows by" in capsys.readouterr().out
