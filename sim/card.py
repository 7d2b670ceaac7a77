"""A certificate in plain values, and as a page for a paper's appendix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.certificate import Finding
from sim.montecarlo import Interval
from sim.results import plain


def as_values(name: str, findings: Sequence[Finding], seed: int, seeds: int) -> dict[str, Any]:
    """A certificate as JSON values; its head is the first setting's."""
    head = findings[0]
    return {
        "editor": name,
        **_numbers(head),
        "evidence": _evidence(head),
        "settings": [
            {**plain(finding.setting), **_numbers(finding), "evidence": _evidence(finding)} for finding in findings
        ],
        "seeds": list(range(seed, seed + seeds)),
    }


def _numbers(finding: Finding) -> dict[str, Any]:
    gap = None
    if finding.rate is not None and finding.foretold is not None:
        gap = finding.rate.mean - finding.foretold
    return {
        "regime": finding.verdict.regime,
        "rate": _mean(finding.rate),
        "rate_interval": _ends(finding.rate),
        "power": _mean(finding.power),
        "power_interval": _ends(finding.power),
        "plateau": _mean(finding.plateau),
        "plateau_interval": _ends(finding.plateau),
        "predicted": finding.foretold,
        "relation": finding.relation,
        "gap": gap,
        "step_by_step": finding.step_by_step,
        "refused": finding.refused,
    }


def _evidence(finding: Finding) -> dict[str, Any]:
    verdict = finding.verdict
    looks = [
        {"edits": look.edits, "growth": look.growth.mean, "growth_interval": [look.growth.low, look.growth.high]}
        | {"ratio": look.ratio, "regime": look.regime}
        for look in verdict.looks
    ]
    return {"error_rate": verdict.error_rate, "overflowed": verdict.overflowed, "looks": looks}


def _mean(interval: Interval | None) -> float | None:
    return None if interval is None else interval.mean


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def summed_up(finding: Finding) -> str:
    """The number that goes with a regime, in words."""
    if finding.refused is not None:
        return f"not run: {finding.refused}"
    for name, interval in (
        ("log ‖W‖² grows by", finding.rate),
        ("power of ‖W‖²", finding.power),
        ("plateau of ‖W‖²", finding.plateau),
    ):
        if interval is not None:
            unit = " an edit" if interval is finding.rate else ""
            return f"{name} {interval.mean:.4g}{unit} [{interval.low:.4g}, {interval.high:.4g}]"
    return "no two looks in a row agreed"


def as_card(name: str, findings: Sequence[Finding], command: str, seed: int, seeds: int, commit: str) -> str:
    """A certificate as a page of Markdown."""
    head = findings[0]
    lines = [
        f"# Growth certificate: {name}",
        "",
        f"**{head.verdict.regime.capitalize()}** under values that shift with the read-out: {summed_up(head)}.",
        "",
        "| setting | m x n | regime | measured (95 %) | theory | edits |",
        "|---|---|---|---|---|---|",
    ]
    for finding in findings:
        told = "" if finding.foretold is None else f"{finding.relation} {finding.foretold:.4g}"
        edits = finding.verdict.looks[-1].edits if finding.verdict.looks else 0
        size = f"{finding.setting.m} x {finding.setting.n}"
        cells = (finding.setting.name, size, finding.verdict.regime, summed_up(finding), told, str(edits))
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Streams on linear memories, seeds {seed} to {seed + seeds - 1}, commit {commit}. A regime is named when two",
        "doublings of the time in a row pass the same one-sided t tests on log ‖W‖² over independent streams; the",
        f"probability of naming one that is not there is at most {head.verdict.error_rate:g} a setting. Powers of ‖W‖²",
        'below 0.1 count as bounded, and above 3 are not told from an exponential. "Undecided" says that no such',
        "agreement came in the edits given.",
        "",
        f"    {command}",
        "",
    ]
    return "\n".join(lines)
