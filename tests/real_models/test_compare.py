"""Editors in step: each line is the run that `edit` makes, a stopped comparison resumes to equal rows, bad input."""

from __future__ import annotations

import json
import signal
import sys
import time

import pandas as pd
import pytest

from real_models import compare
from real_models.__main__ import main
from real_models.collapse.point import Bracket, collapse_point
from real_models.config import CompareConfig, EditConfig, SolveConfig
from sim.results import read_json

EDITORS = ("rome", "memit+nas:drop=2", "alphaedit+nas:one_sided", "memit+original+rect")
SOLVE = ("--prefixes", "2", "--prefix-tokens", "3", "--steps", "3", "--energy", "0.2", "--pilots", "5")
SHORT = (*SOLVE, "--layers", "0", "1", "--eval-sample", "5", "--edits", "6", "--checkpoint-every", "3")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def words(tiny, command, out, *more):
    given = ("--model", str(tiny.model), "--data", str(tiny.data), "--text", str(tiny.text), "--out", str(out))
    return [command, *given, *SHORT, *more]


def call(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["real_models", *arguments])
    return main()


def tables(out):
    return [pd.read_parquet(out / f"{name}.parquet") for name in ("rows", "checkpoints")]


ALONE = {
    "rome": ("--rule", "rome"),
    "memit+nas:drop=2": ("--rule", "memit", "--anchor", "--drop", "2"),
    "alphaedit+nas:one_sided": ("--rule", "alphaedit", "--anchor", "--one-sided"),
    "memit+original+rect": ("--rule", "memit", "--values-from", "original", "--deltas", "rect"),
}


def test_each_line_is_the_run_that_edit_makes(tiny_gpt2, tmp_path, monkeypatch, capsys):
    exact = ("--dtype", "float64", "--identity-every", "1")
    out = tmp_path / "together"
    arguments = words(tiny_gpt2, "compare", out, *exact, "--editors", *EDITORS, "--seeds", "3", "4")
    assert call(monkeypatch, arguments) == 0
    assert "CP@60" in capsys.readouterr().out
    rows, points = tables(out)
    assert len(rows) == 2 * len(EDITORS) * 6 * 2
    assert rows["instant_exact"].isin([0.0, 100.0]).all()
    assert len(pd.read_parquet(out / "points.parquet")) == 2 * len(EDITORS) * 2
    for editor, own in ALONE.items():
        alone = tmp_path / editor.replace(":", "-")
        assert call(monkeypatch, words(tiny_gpt2, "edit", alone, *exact, *own, "--seed", "4")) == 0
        wanted = tables(alone)
        for table, other in zip((rows, points), wanted, strict=True):
            mine = table[(table["editor"] == editor) & (table["seed"] == 4)].reset_index(drop=True)
            common = [name for name in other if name not in ("identity_error", "rounding")]
            if "+rect" in editor:  # `edit` does not measure T1 behind a delta transform
                common = [name for name in common if not name.startswith(("identity", "metric_norm"))]
            # The anchor is measured on pilots that an unanchored run does not draw; streams are the same.
            pd.testing.assert_frame_equal(mine[common], other[common], rtol=1e-6, atol=1e-8)


def test_seeds_and_editors_differ(tiny_gpt2, tmp_path, monkeypatch):
    out = tmp_path / "run"
    arguments = words(tiny_gpt2, "compare", out, "--editors", "rome", "memit", "--seeds", "0", "1")
    assert call(monkeypatch, arguments) == 0
    rows, _ = tables(out)
    norms = rows[rows["layer"] == 1].groupby(["editor", "seed"])["weight_norm_after"].last()
    assert norms.nunique() == 4
    summary = read_json(out / "summary.json")
    assert [(line["editor"], line["seed"], line["edits"]) for line in summary["streams"]] == [
        *(("rome", 0, 6), ("memit", 0, 6), ("rome", 1, 6), ("memit", 1, 6)),
    ]


def test_single_edits_each_begin_on_the_unedited_model(tiny_gpt2, tmp_path, monkeypatch, capsys):
    """The first is a stream's first; the planted fault, a stream, has another norm before its second edit."""
    found = {}
    for name, more in (("single", ("--single",)), ("stream", ())):
        out = tmp_path / name
        editors = ("--editors", "rome", "memit_seq+nas", "--seeds", "0")
        assert call(monkeypatch, words(tiny_gpt2, "compare", out, "--dtype", "float64", *editors, *more)) == 0
        found[name] = tables(out)
    said = capsys.readouterr().out
    assert "single edits" in said
    assert not (tmp_path / "single" / "points.parquet").exists()
    rows, points = found["single"]
    stream, _ = found["stream"]
    assert (points["step"] == 0).all()
    assert len(rows) == len(stream) == 2 * 6 * 2
    before = rows.groupby(["layer", "editor"])["weight_norm"].agg(["min", "max"])
    assert (before["min"] == before["max"]).all()
    assert stream.groupby(["layer", "editor"])["weight_norm"].nunique().max() == 6
    for editor in ("rome", "memit_seq+nas"):
        one, other = (table[(table["editor"] == editor) & (table["step"] == 0)] for table in (rows, stream))
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


@pytest.fixture(scope="module")
def start(begin, tiny_gpt2):
    """Begins or continues a long comparison in the folder."""
    editors = ("--editors", "rome", "memit_seq+nas", "alphaedit+rect", "--seeds", "0", "1")
    long = ("--edits", "24", "--save-every", "4", "--checkpoint-every", "8")
    given = (*editors, *long)
    return lambda out: begin("real_models", words(tiny_gpt2, "compare", out, *given), out.with_suffix(".log"))


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The folder of a comparison that nothing stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(out.parent / "cache"))
        assert start(out).wait() == 0, out.with_suffix(".log").read_text()
    return out


@pytest.mark.parametrize("moment", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_comparison_resumes_to_the_rows_of_an_uninterrupted_one(start, whole, tmp_path, moment):
    for at, extra in ((0, 0.02), (8, 0.05)):
        process = start(tmp_path / "parts")
        record, deadline = tmp_path / "parts" / "resume.json", time.monotonic() + 120
        while not record.exists() or json.loads(record.read_text())["facts"]["step"] < at:
            assert time.monotonic() < deadline, (tmp_path / "parts.log").read_text()
            time.sleep(0.005)
        time.sleep(extra)
        process.send_signal(moment)
        assert process.wait() == (-9 if moment == signal.SIGKILL else 130)
        assert not (tmp_path / "parts" / "summary.json").exists()
    assert start(tmp_path / "parts").wait() == 0, (tmp_path / "parts.log").read_text()
    for one, other in zip(tables(whole), tables(tmp_path / "parts"), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--rule", "memit"], "--rule speaks of one editor"),
        (["--anchor"], "--anchor speaks of one editor"),
        (["--seed", "3"], "a comparison has --seeds"),
        (["--seeds", "1", "1"], "--seeds is 1 1"),
        (["--editors", "rome+nas:size=2"], "nas has no option 'size=2'"),
        (["--editors", "romeo"], "there is no rule 'romeo'"),
        (["--editors", "rome+rict"], "there is no transform 'rict'"),
        (["--editors", "memit", "rome", "--batch", "2"], "rome writes one key at a time"),
        (["--layers", "7"], "layer 7 is out of range"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tiny_gpt2, tmp_path, monkeypatch, capsys, more, message):
    out = tmp_path / "run"
    assert call(monkeypatch, words(tiny_gpt2, "compare", out, *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not out.exists()


def test_the_collapse_point_is_the_first_of_two_checkpoints_below():
    """The unedited model's 0 does not count, nor a single dip, nor too few edits; a missing score and the last do."""
    steps = [0, 8, 40, 80, 120, 160, 200]
    scores = [0.0, 20.0, 90.0, 55.0, 61.0, float("nan"), 50.0]
    frame = pd.DataFrame({"step": steps, "score_rescaled": scores})
    assert collapse_point(frame) == Bracket(120.0, 160.0)
    assert collapse_point(frame[frame["step"] < 150]) == Bracket(120.0, float("inf"))
    assert collapse_point(frame[frame["step"] < 100]) == Bracket(40.0, 80.0)
    assert collapse_point(frame, threshold=95.0) == Bracket(0.0, 40.0)
    assert collapse_point(frame.sample(frac=1.0, random_state=0)) == Bracket(120.0, 160.0)
    broken = pd.DataFrame({"step": [0, 8, 13], "score_rescaled": [0.0, 90.0, float("nan")]})
    assert collapse_point(broken) == Bracket(0.0, 13.0)


def test_a_broken_stream_ends_alone_and_a_resume_does_not_write_twice(tiny_gpt2, tmp_path, monkeypatch):
    """The first line breaks at its fifth edit; the others go on, and a state saved later resumes behind it."""
    config = arguments_of(tiny_gpt2)
    made, calls = compare.edit_streams, []

    def broken(editable, streams, run, *, identity):
        calls.append(len(streams))
        outcomes = made(editable, streams, run, identity=identity)
        return [outcomes[0]._replace(finite=False), *outcomes[1:]] if len(calls) == 5 else outcomes

    monkeypatch.setattr(compare, "edit_streams", broken)
    whole = compare.run_comparison(config, tmp_path / "whole", lambda items, _: items)
    assert calls == [2] * 5 + [1] * 3
    assert [line["edits"] for line in whole["streams"]] == [5, 8]
    assert whole["streams"][0]["status"] == "stopped: a number was not finite at edit 5"
    rows, points = tables(tmp_path / "whole")
    dead = points[points["editor"] == "rome"]
    assert list(dead["step"]) == [0, 4, 5]
    assert dead["score_rescaled"].isna().iloc[-1]
    assert collapse_point(dead, "weight_norm", 0.0).high == 5

    calls.clear()
    stop = compare.save

    def save_and_stop(lines, after, out):
        stop(lines, after, out)
        if after == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(compare, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        compare.run_comparison(config, tmp_path / "parts", lambda items, _: items)
    resumed = compare.run_comparison(config, tmp_path / "parts", lambda items, _: items)
    assert calls == [2] * 5 + [1] * 3
    assert [line["edits"] for line in resumed["streams"]] == [5, 8]
    for one, other in zip((rows, points), tables(tmp_path / "parts"), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def arguments_of(tiny):
    """Two editors over eight edits, saved every second."""
    solve = SolveConfig(steps=3, prefixes=2, prefix_tokens=3)
    run = EditConfig(
        model=str(tiny.model),
        data=str(tiny.data),
        text=str(tiny.text),
        layers=(1,),
        edits=8,
        checkpoint_every=4,
        save_every=2,
        eval_sample=5,
        solve=solve,
    )
    return CompareConfig(("rome", "memit"), (0,), run)
