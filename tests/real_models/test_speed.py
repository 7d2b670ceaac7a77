"""The fast path and the textbook's write the same, and many requests are solved together as one by one."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
import torch

from real_models.__main__ import main
from real_models.config import SolveConfig, SpeedConfig
from real_models.requests import Request
from real_models.speed import measure, random_editable, random_request
from real_models.values import solve_value, solve_values
from sim.results import read_json

SMALL = SpeedConfig(
    edits=2, width=32, depth=4, vocabulary=60, layers=(1, 2), prompts=3, dtype="float64",
    solve=SolveConfig(steps=6, stop_loss=0.0, learning_rate=0.1),
)  # fmt: skip


def silent(iterable, title):
    return iterable


def test_both_paths_write_the_same():
    rows = measure(SMALL, silent)
    assert [row["rule"] for row in rows] == ["alphaedit", "memit"]
    for row in rows:
        assert row["max_rel_diff"] < 1e-9
        assert row["textbook_s"] / row["fast_s"] == row["ratio"]
        assert len(row["anchor_shares"]) == row["edits"] == 2
        assert set(row) >= {"anchor_overhead", "peak_mib", "solve_s", "look_s", "write_s"}


def test_another_solve_would_be_noticed(monkeypatch):
    """The difference is of the written weights: a path that writes a little less shows."""
    whole = solve_values

    def short(*given):
        return [one._replace(shift=0.999 * one.shift) for one in whole(*given)]

    monkeypatch.setattr("real_models.sequence.solve_values", short)
    assert all(row["max_rel_diff"] > 5e-4 for row in measure(SMALL, silent))


@pytest.mark.parametrize(
    "change", [{}, {"stop_loss": -1.0}, {"most_probable": 2, "learning_rate": 0.5}, {"keep": 0.3}], ids=str
)
def test_requests_solved_together_are_solved_as_alone(change, editable):
    """Also where they stop at different steps, each of which takes rows out of the batch."""
    config = replace(SolveConfig(steps=12, prefixes=2, learning_rate=0.2, clamp=2.0), **change)
    requests = [Request(i, "the home of {}", f"s{i} s2"[: 2 + i % 4], f"o{i}", "o9") for i in range(6)]
    requests += [Request(9, "a {} is the home of", "s5 s6 s7", "o3 o4 o1", "o2")]
    if "stop_loss" in change:  # set to the median of the last losses, so that about half of them stop before
        losses = sorted(one.loss for one in solve_values(editable, requests, 1, replace(config, stop_loss=0.0)))
        config = replace(config, stop_loss=1.01 * losses[3])
    together = solve_values(editable, requests, 1, config)
    for request, solved in zip(requests, together, strict=True):
        alone = solve_value(editable, request, 1, config)
        assert solved.steps == alone.steps
        assert solved.loss == pytest.approx(alone.loss, rel=1e-9)
        for name in ("shift", "output", "key", "stream"):
            torch.testing.assert_close(getattr(solved, name), getattr(alone, name), rtol=1e-8, atol=1e-10)
    if "stop_loss" in change:
        assert len({solved.steps for solved in together}) > 1


def test_random_requests_have_counterfacts_shape():
    editable = random_editable(SMALL)
    request = random_request(SMALL, 0, Random(0))
    assert len(editable.tokenizer(request.prompt).input_ids) == 9
    assert len(editable.prefixes) == 2


def test_the_command_prints_and_writes_a_row_a_rule(tmp_path, monkeypatch, capsys):
    place = tmp_path / "speed.json"
    words = ["bench", "--rules", "memit", "--width", "32", "--depth", "3", "--layers", "1", "--edits", "1"]
    monkeypatch.setattr("sys.argv", ["real_models", *words, "--vocabulary", "60", "--steps", "3", "--json", str(place)])
    assert main() == 0
    assert "memit: " in capsys.readouterr().out
    written = read_json(place)
    assert written["rows"][0]["rule"] == "memit"
    assert written["config"]["width"] == 32
