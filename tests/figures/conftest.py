"""Small result folders, made by a recursion of their own and not by the rooms that the figures read from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

MakeRun = Callable[..., Path]


def _write(folder: Path, config: dict[str, Any], summary: dict[str, Any], **tables: pd.DataFrame) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def _stream(rng: np.random.Generator, m: int, n: int, edits: int, anchor: float | None, soft: bool) -> pd.DataFrame:
    """A linear memory under v = Wk + δ, ‖δ‖ = ¾‖Wk‖ on average, written hard (M = I) or half (η = ½)."""
    weight, eta, rows = rng.normal(size=(m, n)) / np.sqrt(n), 0.5 if soft else 1.0, []
    for step in range(edits):
        key = rng.normal(size=n) * rng.uniform(0.8, 1.2)
        read = weight @ key
        shift = rng.normal(size=m)
        shift *= 0.75 * rng.uniform(0.7, 1.3) * np.linalg.norm(read) / np.linalg.norm(shift)
        solved = read + shift
        value = solved if anchor is None else anchor * solved / np.linalg.norm(solved)
        after = weight + eta * np.outer(value - read, key) / (key @ key)
        norms = {"readout_norm": read, "v0_norm": read, "solved_norm": solved, "value_norm": value, "key_norm": key}
        rows.append(
            {"step": step, "case_id": 100 + step, "weight_norm": np.linalg.norm(weight)}
            | {name: np.linalg.norm(vector) for name, vector in norms.items()}
            | {"weight_norm_after": np.linalg.norm(after), "s": key @ key, "eta": eta, "finite": True}
        )
        weight = after
    return pd.DataFrame(rows)


def _checkpoints(rng: np.random.Generator, norms: np.ndarray, every: int) -> pd.DataFrame:
    steps = np.arange(every, len(norms) + 1, every)
    harm = np.log(np.maximum(1, norms[steps - 1] / norms[0]))
    rows: dict[str, Any] = {"step": steps, "evaluated": np.minimum(steps, 100), "weight_norm": norms[steps - 1]}
    for name, floor, height in (("efficacy", 55, 44), ("generalisation", 52, 40), ("specificity", 45, 45)):
        rows[name] = floor + height * np.exp(-harm) - np.abs(rng.normal(size=len(steps)))
        rows[f"{name}_se"] = rng.uniform(2, 4, size=len(steps))
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def edit_run() -> MakeRun:
    """Makes the folder of a sequential run: edit_run(folder, rule=..., anchor=..., seed=..., ...)."""

    def make(folder: Path, **changes: Any) -> Path:
        settings = {"rule": "rome", "metric": "identity", "anchor": False, "seed": 0, "edits": 60, "m": 7, "n": 12}
        settings |= {"clamp": 0.75, "layer": 3, "every": 10} | changes
        rng = np.random.default_rng(settings["seed"])
        value = 2.0 if settings["anchor"] else None
        soft = settings["rule"] != "rome"
        rows = _stream(rng, settings["m"], settings["n"], settings["edits"], value, soft)
        rows.insert(1, "layer", settings["layer"])
        config = {"model": "world", "data": "world", "solve": {"clamp": settings["clamp"]}}
        config |= {name: settings[name] for name in ("rule", "metric", "anchor", "edits", "seed")}
        summary = {"schema": 1, "seed": settings["seed"], "layers": [settings["layer"]], "anchor": value}
        summary |= {"status": "finished", "n": settings["n"], "provenance": {"commit": "abc1234"}}
        points = _checkpoints(rng, rows["weight_norm_after"].to_numpy(), settings["every"])
        return _write(folder, config, summary, rows=rows, checkpoints=points)

    return make


@pytest.fixture(scope="session")
def phase_run() -> MakeRun:
    """Makes the folder of a sweep of growth factors: phase_run(folder, measured=lambda c, n: ...)."""

    def make(folder: Path, dimensions: tuple[int, ...] = (8, 32), clamps: tuple[float, ...] = (0.5, 1.0, 2.0)) -> Path:
        rng = np.random.default_rng(5)
        grid = [(clamp, n) for clamp in clamps for n in dimensions]
        rows = [
            {"clamp": clamp, "n": n, "measured": 1 + gain * error, "low": 1 + gain * (error - 0.1)}
            | {"high": 1 + gain * (error + 0.1), "predicted": 1 + gain}
            for clamp, n in grid
            for gain, error in [(clamp * clamp / n, rng.uniform(0.92, 1.08))]
        ]
        config = {"clamps": list(clamps), "dimensions": list(dimensions), "seed": 11}
        return _write(folder, config, {"provenance": {"commit": "abc1234"}}, rows=pd.DataFrame(rows))

    return make


@pytest.fixture
def scaling_run() -> MakeRun:
    """Makes the folder of timings: power laws of each size with noise between repeats."""

    def make(folder: Path, powers: dict[str, float] | None = None) -> Path:
        rng, laws = np.random.default_rng(9), powers or {"n": 1.0, "m": 0.8, "block": -0.7, "trials": -0.9}
        base = {"m": 64, "n": 128, "block": 16, "trials": 1}
        rows = [
            base | {"rule": rule, "axis": axis, axis: size, "repeat": repeat}
            | {"ms": 0.02 * factor * size**power * rng.lognormal(0, 0.05)}
            for rule, factor in (("rome", 1.0), ("memit_seq", 4.0))
            for axis, power in laws.items()
            for size in (8, 16, 32, 64, 128)
            for repeat in range(5)
        ]  # fmt: skip
        config = {"ns": [8, 16, 32, 64, 128], "seed": 3}
        return _write(folder, config, {"provenance": {"commit": "abc1234"}}, rows=pd.DataFrame(rows))

    return make


@pytest.fixture
def certificate_run() -> MakeRun:
    """Makes the folder of a certificate: exponential growth with a rate that theory has, and a bound without one."""

    def make(folder: Path, rate: float = 0.03) -> Path:
        rows = []
        for setting, regime, told in (("relative shift", "exponential", rate), ("fixed values", "bounded", None)):
            for edits in (96.0, 224.0, 448.0, 896.0):
                mean = 2.0 + (rate * edits if told else 0.01 * np.sin(edits))
                rows.append(
                    {"setting": setting, "m": 8, "n": 16, "edits": edits, "mean": mean, "low": mean - 0.2}
                    | {"high": mean + 0.3, "regime": regime, "predicted": told, "relation": "≤" if told else ""}
                )
        config = {"rule": "rome", "values": [], "deltas": [], "seeds": 16, "seed": 4}
        summary = {"editor": "rome", "provenance": {"commit": "abc1234"}}
        return _write(folder, config, summary, rows=pd.DataFrame(rows))

    return make


EDITORS = ("rome", "memit+rect:share=0.6", "rome+nas", "memit+nas+rect:share=0.6", "rome+nas:times=0.8")


@pytest.fixture
def compare_run() -> MakeRun:
    """Makes the folder of a comparison: compare_run(folder, editors=..., edits=...); scores fall, norms grow."""

    def make(
        folder: Path, editors: tuple[str, ...] = EDITORS, edits: int = 80, seeds: tuple[int, ...] = (3, 4)
    ) -> Path:
        rng, rows, points, told = np.random.default_rng(2), [], [], []
        steps = [0, *range(20, edits + 1, 20)]
        for place, editor in enumerate(editors):
            for seed in seeds:
                name = {"editor": editor, "seed": seed}
                norm = 2 * np.cumprod(np.append(1.0, 1 + 0.02 * (place + 1) * rng.uniform(0.5, 1.5, edits)))
                rows += [name | {"step": t, "layer": layer, "weight_norm_after": norm[t + 1]}
                         for t in range(edits) for layer in (1, 2)]  # fmt: skip
                for step in steps:
                    score = max(0.0, 100 - (place + 1) * 0.3 * step + rng.normal())
                    parts = {"score_exact": score, "score_rescaled": score / 2 + 40, "agreement": 100 - step / 4}
                    points.append(
                        name | parts | {"step": step, "weight_norm": norm[step], "perplexity_ratio": 1 + step}
                    )
                for score, fell in (("score_rescaled", place % 2 == 0), ("score_exact", True)):
                    bracket = {"point_low": 20.0 * place, "point_high": 20.0 * place + 20 if fell else np.inf}
                    forecast = {"low": 30.0, "median": 45.0 + place, "high": 90.0, "chance": 0.3 + 0.1 * place}
                    told.append(name | bracket | forecast | {"score": score, "collapsed": fell, "until": 10.0}
                                | {"right": None if place == 4 else place != 1})  # fmt: skip
        config = {"editors": list(editors), "seeds": list(seeds), "run": {"edits": edits, "pilots": 100}}
        lines = [
            {"editor": editor, "seed": seed, "layers": [1, 2]}
            | ({"anchors": {"2": 5.0}, "anchor_se": {"2": 0.1}} if "nas" in editor else {"anchors": {}})
            for editor in editors
            for seed in seeds
        ]
        summary = {"edits": edits, "streams": lines, "provenance": {"commit": "abc1234"}}
        tables = {"rows": rows, "checkpoints": points, "points": told}
        return _write(folder, config, summary, **{name: pd.DataFrame(table) for name, table in tables.items()})

    return make


@pytest.fixture
def keys_run() -> MakeRun:
    """Makes the folder of a stream's keys (N, n), one direction longer than the others."""

    def make(folder: Path, count: int = 40, n: int = 5) -> Path:
        keys = np.random.default_rng(6).normal(size=(count, n)) * np.array([3.0, *[1.0] * (n - 1)])
        _write(folder, {"read": {"seed": 1}}, {"layer": 2, "provenance": {"commit": "abc1234"}})
        save_file({"keys": keys}, folder / "keys.safetensors")
        return folder

    return make


@pytest.fixture
def row_files() -> MakeRun:
    """Writes files of claims, of mutants and of timings into a folder, and their provenance."""

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        settings = [
            {"setting": f"n = {n}", "measured": told * ratio, "low": told * (ratio - 0.1), "high": told * (ratio + 0.2)}
            | {"predicted": told, "relation": relation}
            for n, told, ratio, relation in ((8, 2.0, 1.05, "="), (16, -3.0, 0.9, "<="), (32, 0.0, 1.0, "="))
        ]
        claims = [
            {"id": f"S4.{name}", "source": source, "verdict": "holds", "compared": settings}
            for name, source in (("growth", "P2, T3"), ("mask", "T4"), ("field", "T3b"), ("none", "P7"))
        ]
        said = "bfloat16, MEMIT (A = 256 I), 32 keys, m = 64, n = 512, c = 0.05"
        spread = {"measured": 1e-8, "low": 9e-9, "high": 1.1e-8, "predicted": 1e-2}
        noise = [settings[0] | {"setting": said}, settings[0] | {"setting": f"{said}, after growth"} | spread]
        claims += [
            {"id": f"S4.{name}", "source": "T7", "verdict": "holds", "compared": noise[:count]}
            for name, count in (("storage_noise", 1), ("changed_entries", 2))
        ]
        claims.append({"id": "T1.rome", "source": "T1", "verdict": "holds", "compared": []})
        mutants = [
            {"module": f"theory/{module}.py", "outcome": outcome, "killed_by": ""}
            for module, counts in (("a", (5, 1, 0)), ("writes/b_proofs", (3, 0, 2)))
            for outcome, count in zip(("killed", "survived", "void"), counts, strict=True)
            for _ in range(count)
        ]
        timings = [
            {"rule": rule, "textbook_s": 30.0, "fast_s": 6.0, "ratio": 5.0, "solve_s": 4.0, "look_s": 0.5}
            | {"write_s": 1.5, "anchor_overhead": 1e-4}
            for rule in ("memit", "alphaedit")
        ]
        made = {"commit": "abc1234"}
        grows = {"regime": "exponential", "rate": 0.03, "rate_interval": [0.02, 0.05]}
        still = {"regime": "bounded", "rate": None, "rate_interval": None}
        rules = [
            {"name": name, "kind": kind, "form": "", "plain": plain, "nas": nas}
            for name, kind, plain, nas in (
                ("rome", "rule", grows, still),
                ("memit_seq", "rule", still, still),
                ("rect", "deltas", grows, still),
                ("nas", "values", None, still),
            )
        ]
        bench = {"rows": timings, "config": {"seed": 0}, "provenance": made}
        files = {"claims": claims, "mutants": mutants, "bench": bench, "provenance": made}
        for name, content in (files | {"rules": {"rows": rules, "provenance": made}}).items():
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def memory_run() -> MakeRun:
    """Makes the folder of simulated streams: hard writes on isotropic keys, by a recursion of the mean alone."""

    def make(folder: Path, *, anchor: bool = True, keys: str = "gaussian", edits: int = 60, n: int = 10) -> Path:
        mean, a, noise, rows = 4.0, 1.5, np.random.default_rng(1), []
        for t in range(edits):
            gain = a * a / (n - 2) if keys == "unseen" else a * a / (n - 2) - mean / n if anchor else 0.4 * mean / n
            row = {"step": t + 1, "edits": t + 1, "norm_sq": mean, "norm_sq_after": mean + gain, "predicted": gain}
            law = np.nan if anchor else 4.0 * (1 + 0.4 / n) ** (t + 1)
            spread = 0.1 * noise.uniform(1, 1.2)
            ends = {f"weight_norm_q{q}": np.sqrt(mean + gain) * (1 + s) for q, s in (("05", -spread), ("95", spread))}
            rows.append(row | ends | {"s": float(n), "norm_sq_law": law})
            mean += gain
        config = {"rule": "rome", "metric": "identity", "transforms": "", "anchor": anchor, "keys": keys, "n": n}
        config |= {"anisotropy": 1.0, "seed": 0}
        seeds = pd.DataFrame({"seed": [0, 1], "anchor": [a, a] if anchor else [np.nan, np.nan]})
        return _write(folder, config, {"provenance": {"commit": "abc1234"}}, rows=pd.DataFrame(rows), seeds=seeds)

    return make


HOSTILE = "for a < b & c: <script>alert('it')</script>, a \"quote\", 5 % & 1 > 0"


def report_rows() -> list[dict[str, Any]]:
    """A claim of every verdict and kind, with derivations, settings, steps, and one that is hostile to HTML."""
    step = (
        r"\item so $W' = W + \frac{\eta^{2}}{s}r$: $\left(\frac{c^{2}}{n}\right)\,W^{T}M$ "
        r"$= W^{T}M$\prover{trace algebra}"
    )
    answered = r"\item {}[0, 1] holds it\\ \hspace*{1em}unsatisfiable: $\|W\|^{2}_{F} \leq \infty$\prover{z3}"
    setting = {"setting": "n = 16, ‖W‖²", "measured": 1.06, "low": 1.05, "high": 1.07, "predicted": 1.0625}
    settings = [setting | {"relation": relation} for relation in ("=", "<=", "~")]
    told = ("n = 16, ‖W‖²: 1.06 [1.05, 1.07]", "Student t over seeds")
    wide = r"\item $" + " + ".join(rf"\frac{{x_{{{i}}} + {i}}}{{y^{{{i}}}}}" for i in range(30)) + "$"
    rows: list[dict[str, Any]] = [
        {"id": "T1.rome", "source": "T1, P4", "derivation": (step, answered, r"\item in words, 100 \%", wide)},
        {"id": "T3.hostile", "source": "T3", "statement": HOSTILE, "twin": HOSTILE, "verdict": "conditional"},
        {"id": "T5.short", "source": "P7", "kind": "certified", "verdict": "false as stated", "interval": (0.0, "inf")},
        {"id": "S1.growth", "source": "T1, T3.hostile", "kind": "simulated", "compared": settings, "steps": told},
        {"id": "S4.growth_soft", "source": "P7", "kind": "simulated", "verdict": "undecided", "measured": 1e-9},
        {"id": "M1.growth", "source": "P4", "kind": "measured", "steps": ("layer 0: R² of log ‖W‖", "    0.997")},
        {"id": "T7.number", "source": "T7", "kind": "computed", "measured": "2*(kᵀ·M·k)**2", "twin_rejected": True},
        {"id": "P8.large", "source": "P8", "kind": "measured", "verdict": "not measured here", "twin_rejected": None}
        | {"command": "", "twin": "", "measured": "", "expected": "large models"},
    ]
    common = {"kind": "proved", "statement": "‖W‖²_F grows by 1 + c²/n", "verdict": "holds", "measured": 1.5}
    common |= {"expected": 1.25, "tolerance": 0.0, "interval": None, "seconds": 0.1, "provers": (), "steps": ()}
    return [
        common | {"command": f"python -m theory show {row['id']} && echo", "twin": "it shrinks", "twin_rejected": True}
        | {"compared": (), "derivation": ()} | row
        for row in rows
    ]  # fmt: skip


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory, edit_run: MakeRun, phase_run: MakeRun) -> Path:
    """A results folder as `paper-checks` leaves it, small: claims.json, provenance.json and two runs."""
    folder = tmp_path_factory.mktemp("report") / "results"
    edit_run(folder / "runs" / "rome")
    phase_run(folder / "runs" / "phase")
    (folder / "claims.json").write_text(json.dumps(report_rows()), encoding="utf-8")
    made = {"commit": "abc1234", "python": "3.11", "torch": "2.9"}
    (folder / "provenance.json").write_text(json.dumps(made), encoding="utf-8")
    return folder
