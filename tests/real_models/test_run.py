"""Whole runs from the command line: every rule, resume after SIGKILL and after Ctrl-C, and bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from real_models.__main__ import main
from sim.results import read_json

SHORT = [
    "--prefixes",
    "2",
    "--prefix-tokens",
    "3",
    "--steps",
    "3",
    "--layers",
    "1",
    "--eval-sample",
    "5",
    "--edits",
    "3",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def words(tiny, out, *more):
    given = ["--model", str(tiny.model), "--data", str(tiny.data), "--text", str(tiny.text), "--out", str(out)]
    return ["edit", *given, *SHORT, *more]


def call(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["real_models", *arguments])
    return main()


def rows_of(out):
    return pd.read_parquet(out / "rows.parquet"), pd.read_parquet(out / "checkpoints.parquet")


@pytest.mark.claim("M1.identity")
@pytest.mark.parametrize("anchor", [(), ("--anchor", "--pilots", "5", "--drop", "2")])
@pytest.mark.parametrize(
    "rule", [("rome",), ("rome", "--metric", "covariance"), ("memit",), ("alphaedit", "--energy", "0.2")]
)
def test_every_rule_runs_and_t1_holds_at_every_write(tiny, tmp_path, monkeypatch, rule, anchor):
    """In float64: this text's C is close to singular, and float32 storage alone would cost T1 three digits."""
    out = tmp_path / "run"
    stream = ("--edits", "6", "--checkpoint-every", "3", "--layers", "0", "1", "--dtype", "float64")
    arguments = words(tiny, out, "--rule", *rule, *anchor, *stream, "--identity-every", "1")
    assert call(monkeypatch, arguments) == 0
    rows, checkpoints = rows_of(out)
    assert len(rows) == 12
    assert list(checkpoints["step"]) == [0, 3, 6]
    assert rows["identity_error"].max() < 1e-8
    assert rows["finite"].all()
    summary = read_json(out / "summary.json")
    assert summary["layers"] == [0, 1]
    assert (summary["anchor"] is not None) == bool(anchor)
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoints.parquet",
        "config.json",
        "rows.parquet",
        "summary.json",
        "weights.safetensors",
    ]


def test_the_layer_is_chosen_by_measurement(tiny, tmp_path, monkeypatch, capsys):
    arguments = [word for word in words(tiny, tmp_path / "run", "--edits", "2", "--layer-trials", "4")]
    at = arguments.index("--layers")
    del arguments[at : at + 2]
    assert call(monkeypatch, arguments) == 0
    summary = read_json(tmp_path / "run" / "summary.json")
    table = summary["single_edits"]
    assert set(table) == {"0", "1", "2"}
    best = max(means["efficacy"] for means in table.values())
    assert table[str(summary["layers"][0])]["efficacy"] == best


def log_of(out):
    return out.with_suffix(".log").read_text()


def wait_for_step(out, step):
    """Until the saved state has reached a step."""
    record, deadline = out / "resume.json", time.monotonic() + 120
    while not record.exists() or json.loads(record.read_text())["facts"]["step"] < step:
        assert time.monotonic() < deadline, f"step {step} was not reached"
        time.sleep(0.005)


LONG = (
    "--edits",
    "30",
    "--save-every",
    "4",
    "--rule",
    "alphaedit",
    "--energy",
    "0.2",
    "--anchor",
    "--pilots",
    "5",
    "--checkpoint-every",
    "10",
)


@pytest.fixture(scope="module")
def start(begin, tiny_gpt2):
    """Begins or continues a long run in the folder."""
    return lambda out: begin("real_models", words(tiny_gpt2, out, *LONG), out.with_suffix(".log"))


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(out.parent / "cache"))
        assert start(out).wait() == 0, log_of(out)
    return out


@pytest.mark.parametrize("moment", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_resumes_to_the_rows_of_an_uninterrupted_one(start, whole, tmp_path, moment):
    """Killed at random moments, or stopped by Ctrl-C, AlphaEdit with an anchor ends with equal rows."""
    for step, extra in ((0, 0.003), (8, 0.011), (16, 0.0)):
        process = start(tmp_path / "parts")
        wait_for_step(tmp_path / "parts", step)
        time.sleep(extra)
        process.send_signal(moment)
        code = process.wait()
        assert code == (-9 if moment == signal.SIGKILL else 130), log_of(tmp_path / "parts")
        assert not (tmp_path / "parts" / "summary.json").exists()
    last = start(tmp_path / "parts")
    assert last.wait() == 0, log_of(tmp_path / "parts")
    for one, other in zip(rows_of(whole), rows_of(tmp_path / "parts"), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    weights = [load_file(out / "weights.safetensors") for out in (whole, tmp_path / "parts")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_finished_run_is_not_run_again(tiny_gpt2, tmp_path, monkeypatch):
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "run")) == 0
    before = (tmp_path / "run" / "rows.parquet").stat().st_mtime_ns
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "run")) == 0
    assert (tmp_path / "run" / "rows.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--layers", "9"], "layer 9 is out of range; this model has layers 0 to 2"),
        (["--edits", "0"], "--edits is 0"),
        (["--edits", "41"], "--edits 41 is more than the 40 requests"),
        (["--device", "cuda:77"], "--device cuda:77 cannot be used here"),
        (["--device", "abacus"], "--device abacus cannot be used here"),
        (["--model", "no/such/model"], "no/such/model"),
        (["--data", "nowhere.json"], "nowhere.json"),
        (["--text", "nowhere.txt", "--rule", "memit"], "nowhere.txt"),
        (["--drop", "2"], "add --anchor"),
        (["--anchor", "--pilots", "1"], "at least 2"),
        (["--rule", "memit", "--metric", "covariance"], "ROME's choice"),
        (["--rule", "memit", "--weighting", "-1"], "weighting"),
        (["--rule", "alphaedit", "--threshold", "1e9"], "every eigenvalue of C lies below"),
        (["--rule", "alphaedit", "--threshold", "1e-30"], "no eigenvalue of C lies below"),
        (["--rule", "alphaedit", "--energy", "3"], "between 0 and 1"),
        (["--essence", "is a"], "exactly one {}"),
        (["--model", "world"], "do not go together"),
        (["--model", "world", "--data", "world"], "brings its own text"),
        (["--weighting", "3"], "--weighting is MEMIT's"),
        (["--ridge", "3"], "--ridge and --threshold are AlphaEdit's"),
        (["--anchor-at", "every"], "add --anchor"),
        (["--keep", "1.5"], "--keep is 1.5"),
        (["--most-probable", "-1"], "--most-probable is -1"),
        (["--elastic", "-1"], "--elastic is -1"),
        (["--rule", "romeo"], "there is no rule 'romeo'; did you mean rome?"),
        (["--rule", "encore:ridge=2"], "encore has no option 'ridge'"),
        (["--rule", "alphaedit:ridge=2"], "write --rule alphaedit with --energy and --ridge"),
        (["--deltas", "rict"], "there is no transform 'rict'; did you mean rect?"),
        (["--deltas", "nas"], "NAS is --anchor"),
        (["--batch", "0"], "--batch is 0"),
        (["--batch", "2"], "rome writes one key at a time; use memit"),
        (["--fluency", "-1"], "--fluency is -1"),
        (["--identity-every", "0"], "--identity-every is 0"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tiny_gpt2, tmp_path, monkeypatch, capsys, more, message):
    out = tmp_path / "run"
    assert call(monkeypatch, words(tiny_gpt2, out, *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert "Traceback" not in error
    assert not out.exists()


@pytest.mark.parametrize("more", [["--lairs", "1"], ["--metric", "x"], ["--dtype", "int8"]])
def test_unknown_options_end_with_status_2(tiny_gpt2, tmp_path, monkeypatch, more):
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, words(tiny_gpt2, tmp_path / "run", *more))
    assert stop.value.code == 2


def test_rules_that_need_text_say_so(tiny_gpt2, tmp_path, monkeypatch, capsys):
    arguments = words(tiny_gpt2, tmp_path / "run", "--rule", "memit")
    at = arguments.index("--text")
    del arguments[at : at + 2]
    assert call(monkeypatch, arguments) == 2
    assert "rule memit needs text for the covariance C; pass --text FILE" in capsys.readouterr().err


def test_a_singular_covariance_names_the_remedy(tiny_gpt2, tmp_path, monkeypatch, capsys):
    text = tmp_path / "short.txt"
    text.write_text("the home of s1\n\na\n")
    arguments = words(tiny_gpt2, tmp_path / "run", "--rule", "memit", "--text", str(text))
    assert call(monkeypatch, arguments) == 2
    assert "is singular (24 x 24); use more keys than the key dimension" in capsys.readouterr().err


def test_a_folder_of_another_config_is_left_alone(tiny_gpt2, tmp_path, monkeypatch, capsys):
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "run")) == 0
    before = (tmp_path / "run" / "config.json").read_bytes()
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "run", "--edits", "4")) == 2
    assert "differs in edits" in capsys.readouterr().err
    assert (tmp_path / "run" / "config.json").read_bytes() == before


@pytest.mark.parametrize("damage", ["truncate", "flip", "escape"])
def test_a_damaged_checkpoint_is_refused(begin, tiny_gpt2, tmp_path, capsys, monkeypatch, damage):
    command = words(tiny_gpt2, tmp_path / "run", "--edits", "30", "--save-every", "4")
    process = begin("real_models", command, tmp_path / "log")
    wait_for_step(tmp_path / "run", 4)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -9, (tmp_path / "log").read_text()
    record = json.loads((tmp_path / "run" / "resume.json").read_text())
    state = tmp_path / "run" / record["files"]["state"]["file"]
    content = state.read_bytes()
    if damage == "escape":
        (tmp_path / "elsewhere.safetensors").write_bytes(content)
        record["files"]["state"]["file"] = "../elsewhere.safetensors"
        (tmp_path / "run" / "resume.json").write_text(json.dumps(record))
    else:
        state.write_bytes(content[:-16] if damage == "truncate" else content[:-1] + bytes([content[-1] ^ 1]))
    assert call(monkeypatch, command) == 2
    message = "outside the run's folder" if damage == "escape" else "truncated or altered"
    assert message in capsys.readouterr().err


def test_a_model_that_overflows_stops_with_its_rows_saved(tiny_gpt2, tmp_path, monkeypatch):
    """In float16 the clamp lets v* pass the largest number; the run ends, and says at which edit."""
    arguments = words(
        tiny_gpt2, tmp_path / "run", "--edits", "30", "--dtype", "float16", "--clamp", "1e9", "--learning-rate", "1e6"
    )
    assert call(monkeypatch, arguments) == 1
    rows, _ = rows_of(tmp_path / "run")
    summary = read_json(tmp_path / "run" / "summary.json")
    assert summary["status"] == f"stopped: a number was not finite at edit {len(rows)}"
    assert not rows["finite"].iloc[-1]
    assert rows["finite"].iloc[:-1].all()
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_a_model_with_nan_weights_is_refused(tiny_gpt2, tmp_path, monkeypatch, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in Path(tiny_gpt2.model).iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    tensors = load_file(broken / "model.safetensors")
    name = sorted(tensors)[-1]
    tensors[name].view(-1)[0] = torch.nan
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "run", "--model", str(broken))) == 2
    assert name in capsys.readouterr().err


def test_an_unwritable_folder_is_one_line(tiny_gpt2, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "file" / "run", "--edits", "2")) == 2
    assert "choose a folder you can write to" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(begin, tiny_gpt2, tmp_path):
    """RLIMIT_FSIZE makes every file larger than 3 kB fail, as a full disk does."""
    out = tmp_path / "run"
    limited = f"ulimit -f 3; exec {sys.executable} -m real_models " + " ".join(words(tiny_gpt2, out, "--edits", "2"))
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {limited}"], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 2, done.stderr
    assert "free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(out.glob(".*"))
    assert not (out / "summary.json").exists()
    again = begin("real_models", words(tiny_gpt2, out, "--edits", "2"), tmp_path / "log")
    assert again.wait() == 0, (tmp_path / "log").read_text()


def test_help_is_there_without_torch():
    code = "import sys; sys.argv = ['x', 'edit', '--help']\nfrom real_models.__main__ import main\n"
    code += "try: main()\nexcept SystemExit: print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False False"


def test_layers_are_scored_on_fresh_edits(tiny_gpt2, tmp_path, monkeypatch, capsys):
    out = tmp_path / "layers"
    arguments = words(tiny_gpt2, out, "--edits", "12", "--layer-trials", "4", "--score-trials", "6")
    assert call(monkeypatch, ["layers", *arguments[1:]]) == 0
    rows = pd.read_parquet(out / "rows.parquet")
    summary = read_json(out / "summary.json")
    chosen, fresh = rows[~rows["fresh"]], rows[rows["fresh"]]
    assert (len(chosen), len(fresh)) == (12, 6)
    assert not set(chosen["case_id"]) & set(fresh["case_id"])
    assert set(fresh["layer"]) == {summary["layer"]}
    assert "<- best" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words_of",
    [
        ("memit_seq:weighting=5.0",),
        ("encore",),
        ("rome", "--deltas", "rect", "prune"),
        ("ultraedit", "--deltas", "cap_relative:ratio=0.5"),
        ("memit", "--batch", "3"),
    ],
    ids=" ".join,
)
def test_rules_and_transforms_of_the_catalogue_run_on_models(tiny_gpt2, tmp_path, monkeypatch, words_of):
    stream = ("--edits", "6", "--checkpoint-every", "3", "--layers", "0", "1", "--dtype", "float64")
    assert (
        call(monkeypatch, words(tiny_gpt2, tmp_path / "run", "--rule", *words_of, *stream, "--identity-every", "1"))
        == 0
    )
    rows, checkpoints = rows_of(tmp_path / "run")
    steps = 2 if "--batch" in words_of else 6
    assert len(rows) == 2 * steps
    assert set(rows["requests"]) == {6 // steps}
    assert list(checkpoints["step"]) == [0, 3, 6]
    assert rows["finite"].all()
    errors = rows["identity_error"]
    assert errors.isna().all() if "--deltas" in words_of else errors.max() < 1e-8
    assert checkpoints["agreement"].iloc[0] == 100
    assert checkpoints["perplexity_ratio"].iloc[0] == 1


def test_a_batch_of_two_is_not_two_edits(tiny_gpt2, tmp_path, monkeypatch):
    """Written together, requests share a normal equation, and both values are solved before either is written."""
    norms = []
    for batch in ("1", "2"):
        line = words(tiny_gpt2, tmp_path / batch, "--rule", "memit", "--edits", "2", "--batch", batch)
        assert call(monkeypatch, line) == 0
        norms.append(rows_of(tmp_path / batch)[0]["weight_norm_after"].iloc[-1])
    assert norms[0] != pytest.approx(norms[1], rel=1e-6)


def test_the_identity_is_measured_as_often_as_asked(tiny_gpt2, tmp_path, monkeypatch):
    line = words(tiny_gpt2, tmp_path / "run", "--edits", "5", "--identity-every", "2")
    assert call(monkeypatch, line) == 0
    assert rows_of(tmp_path / "run")[0]["identity_error"].notna().tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(("dtype", "low", "high"), [("float64", 0, 0), ("float32", 1e-8, 1e-5), ("bfloat16", 1e-3, 1)])
def test_what_the_weights_dtype_loses_of_a_write_is_told(tiny_gpt2, tmp_path, monkeypatch, dtype, low, high):
    assert call(monkeypatch, words(tiny_gpt2, tmp_path / "run", "--edits", "4", "--dtype", dtype)) == 0
    lost = rows_of(tmp_path / "run")[0]["rounding"]
    assert ((low <= lost) & (lost <= high)).all()
