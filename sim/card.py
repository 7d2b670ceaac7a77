"""A certificate in plain values, as a table of rows, and as a page for a paper's appendix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sim.certificate import Finding, middle
from sim.laws import LAWS, TRAITS
from sim.montecarlo import Interval
from sim.results import plain

QUANTITIES = {"rate": "log ‖W‖² grows an edit by", "power": "power of ‖W‖²", "plateau": "plateau of ‖W‖²"}


def as_values(
    name: str, findings: Sequence[Finding], traits: Mapping[str, str | None], seed: int, seeds: int
) -> dict[str, Any]:
    """A certificate as JSON values; its head is the first setting's.

    Args:
        name: what the editor is called.
        findings: one a setting.
        traits: what `sim.laws.tried` found of `TRAITS`.
        seed: the first of the streams' seeds.
        seeds: how many.
    """
    settings = [_in_values(finding) for finding in findings]
    head = {key: value for key, value in settings[0].items() if key not in plain(findings[0].setting)}
    return {
        "editor": name,
        **head,
        "laws": list(LAWS),
        "traits": dict(traits),
        "worst_case": [row["name"] + ": " + row["regime"] for row in settings if row["keys"] == "unseen"],
        "precision": [row["name"] + ": " + row["regime"] for row in settings if row["dtype"] != "float64"],
        "settings": settings,
        "seeds": list(range(seed, seed + seeds)),
    }


def _in_values(finding: Finding) -> dict[str, Any]:
    gap = None
    if finding.rate is not None and finding.foretold is not None:
        gap = finding.rate.mean - finding.foretold
    values: dict[str, Any] = {**plain(finding.setting), "regime": finding.verdict.regime}
    for name in QUANTITIES:
        interval = getattr(finding, name)
        values[name], values[f"{name}_interval"] = _mean(interval), _ends(interval)
    return values | {
        "predicted": finding.foretold,
        "relation": finding.relation,
        "gap": gap,
        "step_by_step": finding.step_by_step,
        "refused": finding.refused,
        "evidence": _evidence(finding),
    }


def _evidence(finding: Finding) -> dict[str, Any]:
    verdict = finding.verdict
    looks = [
        {"edits": look.edits, "growth": look.growth.mean, "growth_interval": [look.growth.low, look.growth.high]}
        | {"ratio": look.ratio, "regime": look.regime}
        for look in verdict.looks
    ]
    return {
        "error_rate": verdict.error_rate,
        "streams": finding.streams,
        "overflowed": verdict.overflowed,
        "looks": looks,
    }


def _mean(interval: Interval | None) -> float | None:
    return None if interval is None else interval.mean


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def as_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Where the streams stood: one row a setting and averaged stretch, at its middle; log ‖W‖²_F, 95 % interval."""
    return [
        {"setting": finding.setting.name, "m": finding.setting.m, "n": finding.setting.n}
        | {"edits": middle(level.edits, first=not index)}
        | level.log_norm_sq._asdict()
        | {"regime": finding.verdict.regime, "predicted": finding.foretold, "relation": finding.relation}
        for finding in findings
        for index, level in enumerate(finding.verdict.levels)
    ]


def summed_up(finding: Finding) -> str:
    """The number that goes with a regime, in words."""
    return _in_words(_in_values(finding))


def _in_words(values: Mapping[str, Any]) -> str:
    if values["refused"] is not None:
        return f"not run: {values['refused']}"
    for name, words in QUANTITIES.items():
        if values[name] is not None:
            low, high = values[f"{name}_interval"]
            return f"{words} {values[name]:.4g} [{low:.4g}, {high:.4g}]"
    gone, streams = values["evidence"]["overflowed"], values["evidence"]["streams"]
    left = f"; {gone} of {streams} streams left the range of {values['dtype']}" if gone else ""
    return f"no two looks in a row agreed{left}"


def as_card(values: Mapping[str, Any], command: str, commit: str) -> str:
    """A certificate as a page of Markdown.

    Args:
        values: what `as_values` made.
        command: the line that makes it again.
        commit: of the code that made it.
    """
    lines = [
        f"# Growth certificate: {values['editor']}",
        "",
        f"**{values['regime'].capitalize()}** under values that shift with the read-out: {_in_words(values)}.",
        "",
        "| setting | m x n | regime | measured (95 %) | theory | edits |",
        "|---|---|---|---|---|---|",
    ]
    for row in values["settings"]:
        told = "" if row["predicted"] is None else f"{row['relation']} {row['predicted']:.4g}"
        looks = row["evidence"]["looks"]
        edits = str(looks[-1]["edits"] if looks else 0)
        cells = (row["name"], f"{row['m']} x {row['n']}", row["regime"], _in_words(row), told, edits)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Laws kept: {', '.join(values['laws'])}.", "", "| trait | says | seen |", "|---|---|---|"]
    for name, seen in values["traits"].items():
        stated = " ".join((TRAITS[name].__doc__ or "").split())
        lines.append(f"| {name} | {stated.replace('|', '&#124;')} | {'yes' if seen is None else f'no: {seen}'} |")
    lines += [
        "",
        f"Streams on linear memories, seeds {values['seeds'][0]} to {values['seeds'][-1]}, commit {commit}. A regime",
        "is named when two doublings of the time in a row pass the same one-sided t tests on log ‖W‖² over independent",
        f"streams; the probability of naming one that is not there is at most {values['evidence']['error_rate']:g} a",
        "setting. Powers of ‖W‖² below 0.1 count as bounded, and above 3 are not told from an exponential.",
        '"Undecided" says that no such agreement came in the edits given.',
        "",
        f"    {command}",
        "",
    ]
    return "\n".join(lines)
