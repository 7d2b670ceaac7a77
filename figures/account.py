"""paper_checks.md: a summary in ten lines, the paper's claims, then every claim by kind of evidence with its links."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from figures.findings import OPEN, number, numbers, summary
from figures.places import NOWHERE, Place
from theory.claim import Kind, Verdict
from theory.row import families


def account(rows: Sequence[Mapping[str, Any]], level: str, made: Mapping[str, str], places: Mapping[str, Place]) -> str:
    """The text of paper_checks.md.

    Args:
        rows: the rows of claims.json.
        level: of the run that made them.
        made: its provenance.
        places: claim's id -> its files, to be linked to.

    Returns:
        Markdown.
    """
    twins = [row["twin_rejected"] for row in rows if row["twin_rejected"] is not None]
    counted = ", ".join(
        f"{verdict} {count}" for verdict in Verdict if (count := sum(row["verdict"] == verdict for row in rows))
    )
    lines = [
        "# The account",
        "",
        "What holds, what is conditional, what is false as stated and what was not measured here, of arXiv 2602.02543",
        f"(P1 to P13) and of the theory behind it (T1 to T7). {len(rows)} claims: {counted}.",
        f"{sum(twins)} of {len(twins)} planted false twins were rejected by the check that accepts the claim itself.",
        "",
        *(summary_line(*line) for line in summary(rows)),
        "",
        f"Written by `paper-checks --level {level} --write` (Python {made['python']}, torch {made['torch']},",
        f"transformers {made['transformers']}). Intervals are at 95 %; those of simulated claims are at 99.994 %, over",
        "seeds. An M1 claim speaks of one small transformer, one stream and seed 0; M2 claims speak of the record in",
        "benchmarks/results/collapse: a trained transformer a comparison, intervals over three streams on it. In a",
        'proved claim a step marked "two routes" sets a float function beside the formula: it checks the code and',
        "carries no proof.",
        "",
        *of_the_paper(rows),
    ]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        lines += [f"## {kind.capitalize()}", ""]
        heads = ("id", "source", "verdict", "statement", "found", "expected", "twin, rejected", "command", "where")
        shown = [head for head in heads if head != "command" or kind == Kind.MEASURED]
        lines += [f"| {' | '.join(shown)} |", "|---" * len(shown) + "|"]
        lines += [table_line(row, places.get(row["id"], NOWHERE)) for row in rows if row["kind"] == kind]
        lines.append("")
    lines += ["## What is open", "", *(f"- {linked(remark, rows)}" for remark in OPEN), ""]
    return "\n".join(lines)


def summary_line(verdict: str, says: str, claims: Sequence[str]) -> str:
    """A line of the summary, with links to the claims it stands on."""
    named = ", ".join(link(id) for id in claims)
    return f"- **{verdict}**: {f'{says} ({named})' if says else named}."


def of_the_paper(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of the paper's claims: what came of P1, P2, ... by whichever evidence."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for part in families(row["source"]):
            if part[0] == "P":
                found.setdefault(part, {}).setdefault(row["verdict"], []).append(link(row["id"]))
    if not found:
        return []
    lines = ["## The paper's claims", "", "| claim | verdicts |", "|---|---|"]
    for part in sorted(found, key=lambda name: int(name[1:])):
        own = found[part]
        verdicts = "; ".join(f"**{verdict}**: {', '.join(own[verdict])}" for verdict in Verdict if verdict in own)
        lines.append(f"| {part} | {verdicts} |")
    return [*lines, ""]


def table_line(row: Mapping[str, Any], place: Place) -> str:
    """A row of the account's table; only of a measurement are the notes and the command repeated here."""
    measured = row["kind"] == Kind.MEASURED
    notes = row["steps"] if measured else farthest(row)
    found = "; ".join(cell(note) for note in (numbers(row), *notes))
    twin = "" if row["twin_rejected"] is None else f"{'yes' if row['twin_rejected'] else 'NO'}: {cell(row['twin'])}"
    cells = [f'<a id="{row["id"]}"></a>{row["id"]}', row["source"], row["verdict"], cell(row["statement"]), found]
    cells += [cell(number(row["expected"])), twin]
    if measured:
        cells.append(f"`{row['command']}`" if row["command"] else "")
    where = [] if place.code is None else [f"[code]({place.code})"]
    cells.append(" ".join([*where, *(f"[test]({path})" for path in place.tests)]))
    return "| " + " | ".join(cells) + " |"


def farthest(row: Mapping[str, Any]) -> list[str]:
    """Which of a confrontation's settings the row's number is of: the one that theory meets worst."""
    settings = row["compared"]
    at = [one["setting"] for one in settings if one["measured"] == row["measured"]]
    return [f"of {len(settings)} settings the farthest off, {at[0]}"] if at else []


def link(id: str) -> str:
    """A link to a claim's row.

    >>> link("T1.rome")
    '[T1.rome](#T1.rome)'
    """
    return f"[{id}](#{id})"


def linked(text: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Text in which every claim that it names is a link."""
    known = {row["id"] for row in rows}
    return re.sub(r"[A-Z]\d+b?\.\w+", lambda match: link(match[0]) if match[0] in known else match[0], text)


def cell(text: str) -> str:
    r"""Text as it stands in a cell: nothing in it is markup.

    >>> cell("a*b | <W_0> ‖W‖_F")
    'a\\*b \\| &lt;W_0> ‖W‖\\_F'
    """
    marked = re.sub(r"[\\*|`\[]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)
    return marked.replace("<", "&lt;").replace("\n", " ")
