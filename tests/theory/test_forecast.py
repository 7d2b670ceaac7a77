"""Forecasts by second routes: a dense operator, a known sample, a simulated stream; and mistakes named on one line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from theory.__main__ import Predict, predict
from theory.accumulating.spectrum import spectral_growth
from theory.command import Misuse
from theory.forecast import Rule, forecast
from theory.growth.value_models import anchored, proportional, relative_shift


@pytest.fixture
def keys():
    rng = np.random.default_rng(3)
    return rng.normal(size=(40, 5)) * np.array([3.0, 1.0, 1.0, 0.5, 0.2])


def dense_radius(keys, raised, gains):
    """The top eigenvalue of T as an n² × n² matrix, key by key."""
    s = np.einsum("ij,ij->i", keys, raised)
    total = sum(
        g**2 * np.kron(np.outer(u, k), np.outer(u, k)) for g, k, u in zip(gains, keys, raised / s[:, None], strict=True)
    )
    return np.linalg.eigvals(total / len(keys)).real.max()


@pytest.mark.claim("T3.forecast")
@pytest.mark.parametrize("weighting", [1.0, 6.0])
def test_memoryless_rules_against_the_dense_operator(keys, weighting):
    c, covariance = 0.75, np.diag([2.0, 1.0, 1.0, 0.5, 0.3])
    raised = keys @ np.linalg.inv(covariance)
    hard = 1 + c**2 * dense_radius(keys, raised, np.ones(40))
    found = forecast(keys, Rule("rome", weighting), relative_shift(c), covariance)
    assert found.factor.value == pytest.approx(hard, rel=1e-9)
    s = np.einsum("ij,ij->i", keys, raised) / weighting
    soft = 1 + c**2 * dense_radius(keys, raised, s / (1 + s))
    found = forecast(keys, Rule("memit", weighting), relative_shift(c), covariance)
    assert found.factor.value == pytest.approx(soft, rel=1e-9)
    assert found.mean_gain == pytest.approx(np.mean(s / (1 + s)))
    assert found.doubling == pytest.approx(np.log(2) / np.log(soft), rel=1e-6)


def test_a_metric_of_one_is_no_metric(keys):
    plain = forecast(keys, Rule("memit", 4.0), relative_shift(1.0))
    given = forecast(keys, Rule("memit", 4.0), relative_shift(1.0), np.eye(5))
    assert plain.factor.value == pytest.approx(given.factor.value, rel=1e-9)
    assert plain.plateau[0] == pytest.approx(given.plateau[0], rel=1e-9)
    assert plain.excitation == pytest.approx(given.excitation)


def test_the_share_of_spread_layers_enters_squared(keys):
    alone, spread = (forecast(keys, Rule("rome", layers_left=n), relative_shift(1.0)).factor.value for n in (1, 3))
    assert spread - 1 == pytest.approx((alone - 1) / 9, rel=1e-6)


def test_values_no_longer_than_readouts_do_not_grow(keys):
    assert forecast(keys, Rule("rome"), proportional(1.0, 0.4)).doubling == np.inf


def test_an_accumulating_rule_saturates(keys):
    found = forecast(np.tile(keys, (20, 1)), Rule("alphaedit", ridge=0.1), relative_shift(1.0))
    growth = np.diff(np.log(found.readout))
    assert np.all(growth > 0)
    assert growth[-1] < growth[0] / 10


@pytest.mark.parametrize(
    ("name", "start"),
    [("memit-seq", 6.0), ("ote-se", 6.0), ("encore", 6.5), ("rlsedit", 6.5), ("alphaedit", 0.5), ("deltaedit", 0.5)],
)
def test_an_accumulating_rule_starts_from_its_own_statistic(keys, name, start):
    rule, c = Rule(name, weighting=6.0, ridge=0.5), 0.75
    found = forecast(keys, rule, relative_shift(c))
    spectrum = np.linalg.eigvalsh(keys.T @ keys / len(keys))
    s = [np.sum(spectrum / (start + tau * spectrum)) for tau in (0.0, 3.0)]
    edits = 3.0 * (1 + s[1])  # the mean field at τ = 3
    logs = np.interp(edits, found.at, np.log(found.readout))
    assert found.readout[0] == 1
    assert spectral_growth(spectrum, start, c, int(found.at[-1]))[0][found.at] == pytest.approx(found.readout, rel=1e-9)
    assert logs <= c**2 * np.log((1 + s[0]) / (1 + s[1])) + 1e-9  # chords of a concave curve lie below it
    if "C" in found.form.metric_text:
        given = forecast(keys, rule, relative_shift(c), np.eye(5))
        np.testing.assert_allclose(given.readout, found.readout, rtol=1e-9)
        assert given.threshold.edits == pytest.approx(found.threshold.edits, rel=1e-4, abs=1e-4)


def test_a_spread_residual_shortens_the_shift_of_an_accumulating_rule(keys):
    alone, spread = (forecast(keys, Rule("alphaedit", layers_left=n), relative_shift(1.0)) for n in (1, 3))
    np.testing.assert_allclose(np.log(spread.readout), np.log(alone.readout) / 9, rtol=1e-12, atol=1e-15)


def test_what_a_rule_does_not_have_is_refused(keys):
    for name in ("alphaedit", "deltaedit", "ultraedit", "rledit", "stableedit"):
        with pytest.raises(Misuse, match="has no covariance C; leave it out"):
            forecast(keys, Rule(name), covariance=np.eye(5))
    with pytest.raises(Misuse, match="no relative shift; ask for rlsedit"):
        forecast(keys, Rule("rlsedit-released"))
    with pytest.raises(Misuse, match=r"C \(3, 3\) does not fit keys \(40, 5\)"):
        forecast(keys, Rule("memit-seq"), covariance=np.eye(3))
    for ridge in (-1.0, np.nan, np.inf):
        with pytest.raises(Misuse, match=f"the ridge is {ridge}"):
            forecast(keys, Rule("encore", ridge=ridge), covariance=np.eye(5))


def test_anchored_keys_of_one_dimension_do_not_grow():
    found = forecast(np.ones((6, 1)), Rule("rome"), anchored(1.0))
    assert found.factor.low <= 0 <= found.factor.high < 1e-12
    assert found.doubling == np.inf
    assert found.interval.high == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rule": "prune"}, "rules that have one are rome"),
        ({"rule": "romee"}, "rome"),
        ({"rule": "memit", "weighting": -1.0}, "weighting λ is -1.0"),
        ({"rule": "memit", "layers_left": 0}, "over 0 layers"),
        ({"rule": "rome", "confidence": 1.0}, "confidence is 1.0"),
        ({"rule": "rome", "alpha": -1.0}, "α = -1.0"),
        ({"rule": "alphaedit", "alpha": 2.0}, "--clamp alone"),
        ({"rule": "alphaedit", "ridge": 0.0}, "ridge"),
    ],
)
def test_a_mistake_is_one_line(keys, tmp_path, options, said):
    save_file({"keys": keys}, tmp_path / "keys.safetensors")
    with pytest.raises(Misuse, match=said):
        predict(Predict(keys=tmp_path / "keys.safetensors", **options))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"key": np.ones((4, 2))}, "holds key, not 'keys'"),
        ({"keys": np.ones(4)}, r"shape \(4,\)"),
        ({"keys": np.array([[1.0, 0.0], [0.0, 0.0]])}, "key 1 is zero"),
        ({"keys": np.array([[1.0, np.nan], [0.0, 1.0]])}, "NaN or infinity"),
    ],
)
def test_a_bad_sample_is_named(tmp_path, tensors, said):
    save_file(tensors, tmp_path / "keys.safetensors")
    with pytest.raises(Misuse, match=said):
        predict(Predict(rule="rome", keys=tmp_path / "keys.safetensors"))


def test_a_bad_covariance_or_file_is_named(keys, tmp_path):
    save_file({"keys": keys}, tmp_path / "keys.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors here")
    with pytest.raises(Misuse, match="is no safetensors file"):
        predict(Predict(rule="rome", keys=tmp_path / "text.safetensors"))
    with pytest.raises(Misuse, match="is no file"):
        predict(Predict(rule="rome", keys=tmp_path / "missing.safetensors"))
    wrong = {
        "not symmetric": np.eye(5) + np.triu(np.ones((5, 5))),
        "not positive definite": -np.eye(5),
        "condition number": np.diag([1.0, 1, 1, 1, 1e-17]),
        "does not fit": np.eye(4),
    }
    for said, matrix in wrong.items():
        save_file({"covariance": matrix}, tmp_path / "c.safetensors")
        with pytest.raises(Misuse, match=said):
            predict(Predict(rule="rome", keys=tmp_path / "keys.safetensors", covariance=tmp_path / "c.safetensors"))


def test_the_command_prints_and_writes(keys, tmp_path):
    save_file({"keys": keys}, tmp_path / "keys.safetensors")
    command = [sys.executable, "-m", "theory", "predict", "--rule", "memit", "--clamp", "0.75", "--weighting", "5",
               "--keys", str(tmp_path / "keys.safetensors"), "--json", str(tmp_path / "f.json")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "f.json").read_text())
    assert f"{written['factor']['value']:.8g}" in done.stdout
    assert "doubling time" in done.stdout
    assert written["kind"] == "memoryless"


def test_measured_pairs_name_a_value_model(keys, tmp_path, capsys):
    rng = np.random.default_rng(5)
    readouts = rng.normal(size=(400, 3)) * rng.uniform(0.5, 2.0, size=(400, 1))
    lengths = np.linalg.norm(readouts, axis=1, keepdims=True)
    noise = rng.normal(size=readouts.shape) / np.sqrt(3)
    values = 0.8 * readouts + 0.9 * lengths * noise
    save_file({"keys": keys}, tmp_path / "keys.safetensors")
    save_file({"readouts": readouts, "values": values}, tmp_path / "v.safetensors")
    assert predict(Predict(rule="rome", keys=tmp_path / "keys.safetensors", values=tmp_path / "v.safetensors")) == 0
    printed = float(capsys.readouterr().out.split("‖W‖²")[1].split()[0])
    told = forecast(keys, Rule("rome"), proportional(0.8**2 + 0.9**2, 0.8 / np.hypot(0.8, 0.9))).factor.value
    assert printed - 1 == pytest.approx(told - 1, rel=0.3)
