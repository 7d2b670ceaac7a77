"""The measured claims on made-up runs whose answer is known, and the jobs that make real ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from real_models.claims import claims
from real_models.finished import Run
from real_models.forecast_claims import path_along
from real_models.jobs import Job, Runner, forget_stale, step_of
from real_models.keys import FILE, write_keys
from sim.results import provenance
from sim.resume import finish
from theory.claim import Verdict, examine
from theory.command import Misuse
from theory.files import write_json
from theory.growth.value_models import ValueModel

EDITS = 200
NOISE = 1e-7


def rows_of(norms, follow, seed):
    """Hard writes with s = 1 whose ‖v‖² − ‖Wk‖² is the change of ‖W‖²; values follow the weight or do not."""
    chance = np.random.default_rng(seed)
    before, after = norms[:-1], norms[1:]
    readout = (0.3 * before if follow else np.full(EDITS, 2.0)) * chance.uniform(0.8, 1.2, EDITS)
    value = np.sqrt(readout**2 + after**2 - before**2)
    frame = {
        "step": range(EDITS),
        "layer": 0,
        "weight_norm": before,
        "weight_norm_after": after,
        "readout_norm": readout,
        "value_norm": value,
        "v0_norm": readout,
        "solved_norm": value * chance.uniform(0.9, 1.1, EDITS),
        "shift_norm": 1.0,
        "residual_norm": np.sqrt(after**2 - before**2),
        "bias_norm": 0.0,
        "s": 1.0,
        "eta": 1.0,
        "identity_measured": after**2 - before**2 + NOISE * chance.standard_normal(EDITS),
        "identity_predicted": after**2 - before**2,
        "identity_scale": readout**2 + value**2,
        "identity_noise": NOISE,
        "identity_readout_norm": readout,
        "identity_value_norm": value,
    }
    return pd.DataFrame(frame)


def soften(rows):
    """The same change of norm from soft writes: η = 1/2 and s = 1, so ‖v‖² makes up for η and for ‖r‖²."""
    change, residual = rows["identity_predicted"], 0.5
    value = np.sqrt(rows["readout_norm"] ** 2 + 2 * change + residual**2 / 2)
    values = {"value_norm": value, "identity_value_norm": value, "solved_norm": np.full(EDITS, 3.0)}
    measured = change + NOISE * np.random.default_rng(5).standard_normal(EDITS)
    return rows.assign(eta=0.5, residual_norm=residual, identity_measured=measured, **values)


def off_once(rows, error):
    """One write whose measured change is another."""
    return rows.assign(identity_measured=rows["identity_measured"] + np.where(rows["step"] == 7, error, 0.0))


def wander(seed):
    """A random walk, which follows nothing."""
    return np.cumsum(np.random.default_rng(seed).normal(0.01, 0.1, EDITS))


@pytest.fixture
def runs(tmp_path):
    t = np.arange(EDITS + 1)
    grown, settled = 5 * np.exp(0.005 * t), np.sqrt(25 + 15 * (1 - np.exp(-t / 40)))
    rising = {"efficacy_exact": [90, 60, 30, 10, 5], "specificity_exact": [80, 50, 20, 5, 1]}
    frames = {
        "rome": rows_of(grown, True, 0),
        "rome-anchored": rows_of(settled, True, 1),
        "memit": soften(rows_of(grown, False, 2)),
        "alphaedit": soften(rows_of(grown, False, 3)),
    }
    made = {}
    for name, rows in frames.items():
        points = pd.DataFrame({"step": [0, 40, 80, 120, 160, 200], "specificity": 70.0 if "anch" in name else 50.0})
        points["specificity_se"] = points["efficacy"] = 3.0
        for column, values in rising.items():
            points[column] = [0, *values]
        points["weight_norm"] = [rows["weight_norm"].iloc[min(step, EDITS - 1)] for step in points["step"]]
        (tmp_path / name).mkdir()
        finish(tmp_path / name, {"anchor": 3.0}, {})
        rows.to_parquet(tmp_path / name / "rows.parquet")
        points.to_parquet(tmp_path / name / "checkpoints.parquet")
        made[name] = Run(tmp_path / name, "python -m real_models edit")
    (tmp_path / "layers").mkdir()
    single = pd.DataFrame({"layer": 1, "fresh": [False, *[True] * 25], "efficacy": 100.0, "efficacy_before": 0.0})
    single.to_parquet(tmp_path / "layers" / "rows.parquet")
    finish(tmp_path / "layers", {"layer": 1}, {})
    # Writes that use 11 of 110 key directions: ω² is near 0.11, so that 1 + ω²/11 is the rise of ‖W‖² by 1 % an edit.
    keys = torch.eye(110, dtype=torch.float64)[torch.arange(EDITS) % 11]
    (tmp_path / "keys").mkdir()
    write_keys(keys, torch.eye(11, 110, dtype=torch.float64), tmp_path / "keys" / FILE)
    made["keys"] = Run(tmp_path / "keys", "python -m real_models keys")
    return made | {"layers": Run(tmp_path / "layers", "python -m real_models layers")}


@pytest.mark.claim(
    "M1.identity",
    "M1.single_edit",
    "M1.growth",
    "M1.bounded",
    "M1.proportion",
    "M1.scaling_v0",
    "M1.scaling_solved",
    "M1.forecast",
    "M1.collapse",
    "M1.specificity",
)
def test_known_runs_are_judged_rightly_and_twins_rejected(runs):
    outcomes = {claim.id: examine(claim) for claim in claims(runs)}
    assert all(outcome.twin_rejected for outcome in outcomes.values())
    assert all(outcome.evidence.established for outcome in outcomes.values())
    assert outcomes["M1.proportion"].verdict is Verdict.FALSE
    # None of N writes beyond: an exact interval ends where a share p has (1 − p)^N = 2.5 %.
    assert outcomes["M1.identity"].evidence.interval == pytest.approx((0, 1 - 0.025 ** (1 / (4 * EDITS))))
    assert outcomes["M1.growth"].evidence.measured == pytest.approx(0.005)
    assert outcomes["M1.forecast"].evidence.expected == pytest.approx(0.005, rel=0.1)


@pytest.mark.parametrize(
    ("name", "claim", "spoil"),
    [
        ("rome", "M1.identity", lambda rows: rows.assign(identity_measured=rows["identity_measured"] + 0.01)),
        ("memit", "M1.identity", lambda rows: rows.assign(eta=0.6)),
        ("alphaedit", "M1.identity", lambda rows: rows.assign(eta=0.6)),
        ("alphaedit", "M1.identity", lambda rows: off_once(rows, 8 * NOISE)),
        ("rome", "M1.identity", lambda rows: rows.assign(identity_noise=NOISE / 1.5)),
        ("memit", "M1.identity", lambda rows: rows.assign(identity_noise=NOISE * 2)),
        ("rome", "M1.identity", lambda rows: off_once(rows, math.nan)),
        ("rome", "M1.growth", lambda rows: rows_of(5 + 0.05 * np.arange(EDITS + 1.0), True, 0)),
        ("rome-anchored", "M1.bounded", lambda rows: rows.assign(s=500.0)),
        ("rome-anchored", "M1.bounded", lambda rows: rows_of(5 * np.exp(0.004 * np.arange(EDITS + 1)), True, 0)),
        ("memit", "M1.proportion", lambda rows: rows_of(5 * np.exp(0.005 * np.arange(EDITS + 1)), True, 0)),
        ("rome", "M1.growth", lambda rows: rows_of(5 * np.exp(np.sin(np.arange(EDITS + 1) / 130)), True, 0)),
        ("rome", "M1.scaling_v0", lambda rows: rows.assign(v0_norm=rows["v0_norm"].to_numpy()[::-1])),
        ("rome", "M1.scaling_v0", lambda rows: rows.assign(v0_norm=rows["weight_norm"] ** 0.3)),
        ("rome", "M1.scaling_v0", lambda rows: rows.assign(v0_norm=np.exp(wander(1)))),
        ("memit", "M1.proportion", lambda rows: rows.assign(solved_norm=np.exp(wander(2)))),
        ("memit", "M1.proportion", lambda rows: rows.assign(solved_norm=rows["weight_norm"] ** 0.9)),
        ("layers", "M1.single_edit", lambda rows: rows.assign(efficacy=[100.0] * 24 + [0.0] * 2)),
        ("layers", "M1.single_edit", lambda rows: rows.assign(efficacy=100.0).iloc[:15]),
    ],
)
def test_a_spoilt_run_is_not_accepted(runs, name, claim, spoil):
    spoil(runs[name].rows).to_parquet(runs[name].folder / "rows.parquet")
    fresh = {key: Run(run.folder, run.command) for key, run in runs.items()}
    (chosen,) = (one for one in claims(fresh) if one.id == claim)
    assert not examine(chosen).evidence.established


def test_a_write_within_the_noise_of_its_stored_weight_keeps_t1(runs):
    rows = runs["alphaedit"].rows
    error = np.where(rows["step"] == 7, 4.5 * NOISE, rows["identity_measured"] - rows["identity_predicted"])
    rows = rows.assign(identity_measured=rows["identity_predicted"] + error)
    rows.to_parquet(runs["alphaedit"].folder / "rows.parquet")
    fresh = {key: Run(run.folder, run.command) for key, run in runs.items()}
    found = examine(claims(fresh)[0])
    assert found.evidence.established
    assert "largest 4.5 σ" in " ".join(found.evidence.steps)


def phase(name):
    return Job(name, ("sim", "phase", "--clamps", "1.0", "--dimensions", "4", "--edits", "20", "--seeds", "2"))


def test_a_job_runs_as_the_user_would_type_it(tmp_path):
    seen = []
    runner = Runner(tmp_path, lambda name, step: seen.append((name, step)))
    try:
        summary = runner.start(phase("phase")).result()
    finally:
        runner.stop()
    assert summary["schema"] == 1
    assert len(pd.read_parquet(tmp_path / "phase" / "rows.parquet")) == 1
    assert seen[0] == ("phase", None)
    assert ("phase", 1) in seen


def test_a_job_may_write_a_file_of_rows(tmp_path):
    job = Job("rules", ("sim", "rules"), file=True)
    assert job.command() == "python -m sim rules --json results/rules.json"
    (tmp_path / "rules.json").write_text("[]")
    runner = Runner(tmp_path, lambda name, step: None)
    try:
        written = runner.start(job).result()["written"]
    finally:
        runner.stop()
    assert {"rome", "memit"} <= {row["name"] for row in written["rows"]}


def test_a_job_that_fails_says_what_it_said(tmp_path):
    runner = Runner(tmp_path, lambda name, step: None)
    try:
        with pytest.raises(Misuse, match=r"sim phase --edits -3 ended with status 2 and said: .*edits.*-3"):
            runner.start(Job("bad", ("sim", "phase", "--edits", "-3"))).result()
    finally:
        runner.stop()


def test_runs_of_other_code_are_forgotten_and_own_ones_kept(tmp_path):
    for name, code in (("own", provenance()["code"]), ("other", "0123")):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "resume.json", {"code": code, "facts": {"step": 7}})
        forget_stale(tmp_path / name)
    assert step_of(tmp_path / "own") == 7
    assert not (tmp_path / "other").exists()
    assert step_of(tmp_path / "other") == 0


def test_a_jobs_command_leaves_the_layer_to_measurement():
    job = Job("rome", ("real_models", "edit", "--layers", "{layer}", "--rule", "rome"))
    assert job.command() == "python -m real_models edit --rule rome --out results/rome"


def test_the_path_along_given_keys_is_the_mean_over_values():
    rng = np.random.default_rng(4)
    weight, keys, model = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), ValueModel(-0.2, 0.7, 0.3)
    told = path_along(keys, model, weight.T @ weight)
    signs = [-1.0, 1.0]
    weights = [weight]  # noise across Wk, either way and of either part, so that its mean is 0 and its square exact
    for step, k in enumerate(keys, start=1):
        weights = [
            W + np.outer(model.pull * (W @ k) + noise, k) / (k @ k)
            for W in weights
            for one in signs
            for noise in [one * np.sqrt(0.7**2 * np.sum((W @ k) ** 2) + 0.3**2) * np.array([0.6, 0.8])]
        ]
        assert np.mean([np.sum(W**2) for W in weights]) == pytest.approx(told[step], rel=1e-12)
