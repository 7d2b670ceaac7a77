"""The claims as the report shows them: text and mathematics as HTML, numbers as a reader sees them, what is related."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from figures.gallery import GALLERY
from figures.places import NOWHERE, Place
from figures.report_text import ShownStep, derivation, notes, shown
from theory.claim import Kind, Verdict
from theory.command import Misuse
from theory.row import families

NEEDED = (
    *("id", "source", "kind", "statement", "verdict", "measured", "expected", "interval", "command", "steps"),
    *("twin", "twin_rejected"),
)
NAMED = re.compile(r"\b[MST]\d+b?\.\w+")
RELATIONS = {"=": "=", "<=": "≤", "~": "≈"}
AGAINST = (Verdict.FALSE, Verdict.UNDECIDED, Verdict.NOT_MEASURED)
"""Verdicts whose claims the summary names one by one."""


class Setting(NamedTuple):
    """A setting of a simulated claim: its number and interval, and theory's with its relation to it."""

    name: Markup
    measured: str
    interval: str
    relation: str
    predicted: str


@dataclass(frozen=True)
class Shown:
    """A claim as the report shows it.

    Attributes:
        id: its id, which is also its anchor.
        verdict: its verdict.
        kind: how it is established.
        source: where it comes from, as the account says it.
        families: the parts of the paper and of the theory in its source ("P7", "T3b").
        statement: as HTML.
        search: what a search looks in.
        derivation: its steps, each with the prover that closed it.
        notes: what a check without a derivation noted.
        settings: of a simulated claim, each setting's number beside theory's.
        measured: the number or normal form that was found.
        interval: its interval; empty without one.
        expected: what the claim asserts.
        command: what reproduces it.
        twin: its planted twin.
        rejected: whether the twin was rejected; None where nothing was run.
        figures: names of the figures that it belongs to.
        place: the files that state and test it.
    """

    id: str
    verdict: str
    kind: str
    source: str
    families: tuple[str, ...]
    statement: Markup
    search: str
    derivation: tuple[ShownStep, ...]
    notes: tuple[ShownStep, ...]
    settings: tuple[Setting, ...]
    measured: Markup
    interval: str
    expected: Markup
    command: str
    twin: Markup
    rejected: bool | None
    figures: tuple[str, ...]
    place: Place


def read_claims(path: Path) -> list[dict[str, Any]]:
    """The rows of a claims.json.

    Raises:
        Misuse: the file cannot be read, holds no claims, or a claim lacks a field.
    """
    again = "write it again with: paper-checks"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} is not readable JSON ({error}); {again}") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise Misuse(f"there is no file {path}; {again}") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Misuse(f"{path} holds no list of claims; {again}")
    seen: set[str] = set()
    for row in rows:
        lacking = [name for name in NEEDED if name not in row]
        if lacking:
            raise Misuse(f"{path}: the claim {row.get('id', '?')} lacks the field {lacking[0]!r}; {again}")
        if row["id"] in seen:
            raise Misuse(f"{path} holds the claim {row['id']} twice; {again}")
        seen.add(row["id"])
    return rows


def show_claims(rows: Sequence[Mapping[str, Any]], drawn: Sequence[str], places: Mapping[str, Place]) -> list[Shown]:
    """The claims as the report shows them.

    Args:
        rows: the rows of claims.json.
        drawn: the names of the figures that the report holds.
        places: claim's id -> its files.

    Raises:
        Misuse: a line of a claim cannot be rendered.
    """
    made = []
    for row in rows:
        try:
            made.append(_show(row, drawn, places.get(row["id"], NOWHERE)))
        except ValueError as error:
            raise Misuse(f"the claim {row['id']} cannot be shown: {error}") from error
    return made


def _show(row: Mapping[str, Any], drawn: Sequence[str], place: Place) -> Shown:
    settings = row.get("compared") or ()
    told = tuple(f"{one['setting']}: " for one in settings)
    kept = [line for line in row["steps"] if not (told and line.startswith(told))]
    proof = derivation(row.get("derivation") or ())
    words = (row["id"], row["source"], row["verdict"], row["kind"], row["statement"], row["twin"], row["command"])
    return Shown(
        id=row["id"],
        verdict=row["verdict"],
        kind=row["kind"],
        source=row["source"],
        families=families(row["source"]),
        statement=shown(row["statement"]),
        search=" ".join(words).lower(),
        derivation=tuple(proof),
        notes=() if proof else tuple(notes(kept)),
        settings=tuple(_setting(one) for one in settings),
        measured=_value(row["measured"]),
        interval="" if row["interval"] is None else " to ".join(number(end) for end in row["interval"]),
        expected=_value(row["expected"]),
        command=row["command"],
        twin=shown(row["twin"]),
        rejected=row["twin_rejected"],
        figures=tuple(name for name in drawn if GALLERY[name].about(row["id"])),
        place=place,
    )


def _setting(one: Mapping[str, Any]) -> Setting:
    """A line of the table of settings."""
    interval = f"{number(one['low'])} to {number(one['high'])}"
    relation = RELATIONS.get(one["relation"], one["relation"])
    return Setting(shown(one["setting"]), number(one["measured"]), interval, relation, number(one["predicted"]))


def _value(value: str | float) -> Markup:
    """A measured or expected value."""
    return shown(value) if isinstance(value, str) else Markup(number(value))


def number(value: str | float) -> str:
    """A number of claims.json, where one that is not finite is text, as a reader sees it.

    >>> number(1.23456789), number("inf"), number(-2e-9)
    ('1.235', '∞', '−2·10⁻⁹')
    """
    text = f"{float(value):.4g}".replace("inf", "∞").replace("nan", "not a number")
    digits, _, power = text.partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) if power else ""
    return (f"{digits}·10{raised}" if power else digits).replace("-", "−")


def related(claims: Sequence[Shown]) -> dict[str, dict[str, list[str]]]:
    """For each claim the others with the same source, by other kinds of evidence: id -> kind -> ids.

    A source that names a claim itself ("T3b.spectrum") leads to that claim alone, and back from it.
    """
    known = {claim.id for claim in claims}
    named = {claim.id: set(NAMED.findall(claim.source)) & known for claim in claims}
    return {
        one.id: {
            kind: found
            for kind in Kind
            if (
                found := [
                    other.id
                    for other in claims
                    if other.id != one.id
                    and other.kind == kind
                    and (other.id in named[one.id] or one.id in named[other.id] or _shares(one, other, named))
                ]
            )
        }
        for one in claims
    }


def linked(remark: str, known: Collection[str]) -> Markup:
    """A remark as HTML, in which every claim that it names and the report holds is a link.

    >>> print(linked("see T1.rome and T9.none", {"T1.rome"}))
    see <a href="#T1.rome">T1.rome</a> and T9.none
    """
    pieces = re.split(f"({NAMED.pattern})", remark)
    anchor = Markup('<a href="#{0}">{0}</a>')
    return Markup().join(anchor.format(piece) if piece in known else shown(piece) for piece in pieces)


def _shares(one: Shown, other: Shown, named: Mapping[str, set[str]]) -> bool:
    """Whether two claims of different kinds speak of the same part of the paper or of the theory."""
    if one.kind == other.kind or named[one.id] or named[other.id]:
        return False
    return bool(set(one.families) & set(other.families))
