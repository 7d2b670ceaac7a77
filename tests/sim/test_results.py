"""A run's folder: whole or not there, its own or refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch

from sim import results, resume
from sim.results import claim_folder
from sim.resume import finish, load_state, save_state
from theory.command import Misuse
from theory.files import write_atomically, write_json


@dataclass(frozen=True)
class Config:
    rule: str = "rome"
    edits: int = 3


TENSORS = {"weight": torch.arange(6.0).reshape(2, 3)}
ROWS = {"rows": [{"step": 1, "norm": 0.5}, {"step": 2, "norm": float("nan")}]}


def saved(folder: Path, step: int = 2) -> Path:
    claim_folder(folder, Config())
    save_state(folder, TENSORS, {"step": step}, ROWS)
    return folder


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def fail(place: Path) -> None:
        place.write_text('{"new": ')
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, fail)
    assert json.loads(path.read_text()) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_writer_that_fails_first_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    with pytest.raises(OSError, match="No such file"):
        write_json(tmp_path / "missing" / "a.json", {})
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_midway_keeps_the_state_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "run")

    def fail(path: Path, rows: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume, "write_table", fail)
    with pytest.raises(OSError, match="No space left"):
        save_state(folder, {"weight": torch.zeros(1)}, {"step": 4}, ROWS)
    loaded = load_state(folder)
    assert loaded is not None
    assert loaded[1] == {"step": 2}
    assert torch.equal(loaded[0]["weight"], TENSORS["weight"])


def test_state_round_trip_keeps_tensors_facts_and_rows(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    saved(folder, step=5)
    loaded = load_state(folder)
    assert loaded is not None
    tensors, facts, tables = loaded
    assert torch.equal(tensors["weight"], TENSORS["weight"])
    assert facts == {"step": 5}
    assert tables["rows"][0] == ROWS["rows"][0]
    assert not list(folder.glob("*-2.*")), "the state before is gone"
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pt", ".pickle")]


def test_a_folder_without_state_has_nothing_to_resume(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("pattern", ["state-*", "rows-*"])
@pytest.mark.parametrize("damage", ["truncate", "alter", "remove"])
def test_a_damaged_state_is_refused(tmp_path: Path, pattern: str, damage: str) -> None:
    folder = saved(tmp_path / "run")
    file = next(folder.glob(pattern))
    content = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "truncate" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Misuse, match=f"{file.name} is missing, truncated or altered; delete the folder"):
        load_state(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ("[]", "not a resume record"),
        ('{"schema": 1}', "not a resume record"),
        ('{"schema": 99, "facts": {}, "files": {}}', "schema 99, not 1"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, content: str, message: str) -> None:
    folder = saved(tmp_path / "run")
    (folder / "resume.json").write_text(content)
    with pytest.raises(Misuse, match=message):
        load_state(folder)


def test_a_record_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    record = json.loads((folder / "resume.json").read_text())
    (tmp_path / "outside.safetensors").write_bytes((folder / record["files"]["state"]["file"]).read_bytes())
    record["files"]["state"]["file"] = "../outside.safetensors"
    (folder / "resume.json").write_text(json.dumps(record))
    with pytest.raises(Misuse, match="outside the run's folder"):
        load_state(folder)


def test_a_file_that_is_no_safetensors_is_refused_even_with_its_checksum(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    record = json.loads((folder / "resume.json").read_text())
    file = folder / record["files"]["state"]["file"]
    file.write_bytes(b"\x80\x04N.")
    record["files"]["state"]["sha256"] = results.sha256(file)
    (folder / "resume.json").write_text(json.dumps(record))
    with pytest.raises(Misuse, match="not a safetensors file"):
        load_state(folder)


def test_a_folder_of_another_config_is_refused(tmp_path: Path) -> None:
    assert claim_folder(tmp_path / "run", Config()) is False
    assert claim_folder(tmp_path / "run", Config()) is True
    with pytest.raises(Misuse, match=r"another config \(differs in edits, rule\).*--out"):
        claim_folder(tmp_path / "run", Config(rule="memit", edits=4))


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Misuse, match="not a run's folder"):
        claim_folder(tmp_path, Config())
    with pytest.raises(Misuse, match="not a run's folder"):
        claim_folder(tmp_path / "notes.txt", Config())
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("[1]")
    with pytest.raises(Misuse, match="not a run's config"):
        claim_folder(tmp_path / "run", Config())


def test_finish_writes_the_tables_and_drops_the_resume_state(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    finish(folder, {"seed": 7}, ROWS)
    assert {file.name for file in folder.iterdir()} == {"config.json", "rows.parquet", "summary.json"}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["schema"] == 1
    assert summary["seed"] == 7
    assert {"commit", "python", "torch"} <= summary["provenance"].keys()
    assert pd.read_parquet(folder / "rows.parquet")["step"].tolist() == [1, 2]
