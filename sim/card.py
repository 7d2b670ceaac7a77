"""A certificate in plain values, as a table of rows, and as a page for a paper's appendix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sim.certificate import Finding, middle
from sim.laws import TRAITS
from sim.montecarlo import Interval
from sim.results import plain
from sim.settings import Setting, worded

WORLD = tuple(field.name for field in fields(Setting))
QUANTITIES = {"rate": "log ‖W‖² grows an edit by", "power": "power of ‖W‖²", "plateau": "plateau of ‖W‖²"}


def as_values(
    name: str,
    findings: Sequence[Finding],
    laws: Sequence[str],
    traits: Mapping[str, str | None],
    seed: int,
    seeds: int,
) -> dict[str, Any]:
    """A certificate as JSON values; its head is the first setting's.

    Args:
        name: what the editor is called.
        findings: one a setting.
        laws: those that were tried, and kept.
        traits: what `sim.laws.tried` found of `TRAITS`.
        seed: the first of the streams' seeds.
        seeds: how many.
    """
    settings = [_in_values(finding) for finding in findings]
    head = {key: value for key, value in settings[0].items() if key not in WORLD}
    return {
        "editor": name,
        **head,
        "laws": list(laws),
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
        "contradicted": finding.contradicted,
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
    """The number that goes with a regime, in words, with theory's where it has one."""
    values = _in_values(finding)
    told = "" if finding.foretold is None or finding.contradicted else f"; theory {_of_theory(values)}"
    return f"{_in_words(values)}{told}"


def _in_words(values: Mapping[str, Any]) -> str:
    if values["refused"] is not None:
        return f"not run: {values['refused']}"
    for name, words in QUANTITIES.items():
        if values[name] is not None:
            low, high = values[f"{name}_interval"]
            return f"{words} {values[name]:.4g} [{low:.4g}, {high:.4g}]"
    if values["contradicted"] is not None:
        seen = f"looks {values['contradicted']}"
        return (
            f"{seen}, but in theory the mean grows exponentially ({_of_theory(values)} an edit): too slowly for "
            "these edits"
        )
    gone, streams = values["evidence"]["overflowed"], values["evidence"]["streams"]
    left = f"; {gone} of {streams} streams left their dtype's range" if gone else ""
    return f"no two looks in a row agreed{left}"


def _of_theory(values: Mapping[str, Any]) -> str:
    return "" if values["predicted"] is None else f"{values['relation']} {values['predicted']:.4g}"


def as_card(values: Mapping[str, Any], command: str, made: Mapping[str, str]) -> str:
    """A certificate as a page of Markdown.

    Args:
        values: what `as_values` made.
        command: the line that makes it again.
        made: what it was made with, by name: versions, the commit, and the file of an editor of one's own.
    """
    lines = [
        f"# Growth certificate: {values['editor']}",
        "",
        f"**{values['regime'].capitalize()}** in the first setting: {_in_words(values)}. Over all settings:",
        f"{_count(values)}.",
        "",
        "| setting | m x n | regime | measured (95 %) | theory | edits |",
        "|---|---|---|---|---|---|",
    ]
    for row in values["settings"]:
        looks = row["evidence"]["looks"]
        edits = str(looks[-1]["edits"] if looks else 0)
        cells = (row["name"], f"{row['m']} x {row['n']}", row["regime"], _in_words(row), _of_theory(row), edits)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Laws kept: {', '.join(values['laws'])}.", "", "| trait | says | seen |", "|---|---|---|"]
    for name, seen in values["traits"].items():
        stated = " ".join((TRAITS[name].__doc__ or "").split())
        lines.append(f"| {name} | {stated.replace('|', '&#124;')} | {'yes' if seen is None else f'no: {seen}'} |")
    lines += [
        "",
        f"Streams on linear memories, seeds {values['seeds'][0]} to {values['seeds'][-1]}. A regime is",
        "named when two doublings of the time in a row pass the same one-sided t tests on log ‖W‖² over independent",
        f"streams, all tests of a setting together at level {values['evidence']['error_rate']:g} (normal log ‖W‖²). It",
        "speaks of the growth over the edits given: a power of ‖W‖² below 0.1, or an exponential that slow, counts as",
        'bounded there, and a long relaxation as a power. "Undecided" says that no agreement came; more edits',
        "(--thorough, --looks, --seeds) may bring it. Theory: ≈ an estimate of the typical rate of log ‖W‖² an edit, ≤",
        "the mean's rate, which bounds it (T3); none for batches, transforms, or values that do not follow Wk.",
        *_slow(values),
        "",
        *(f"- {row['name']}: {worded(Setting(**{key: row[key] for key in WORLD}))}." for row in values["settings"]),
        "",
        f"    {command}",
        "",
        f"Made with {', '.join(f'{name} {what}' for name, what in made.items())}.",
        "",
    ]
    return "\n".join(lines)


def _count(values: Mapping[str, Any]) -> str:
    """How many settings are in which regime."""
    counts = Counter("not run" if row["refused"] else row["regime"] for row in values["settings"])
    return ", ".join(f"{regime} {number}" for regime, number in counts.most_common())


def _slow(values: Mapping[str, Any]) -> list[str]:
    """Why streams went step by step, and what they were given for it."""
    reasons = dict.fromkeys(row["step_by_step"] for row in values["settings"] if row["step_by_step"])
    return [f"Streams that went step by step ({'; '.join(reasons)}) had fewer looks and streams."] if reasons else []
