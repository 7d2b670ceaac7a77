"""The catalogue with the regime that each rule and transform was certified to have, with and without NAS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sim.card import QUANTITIES, as_values
from sim.catalogue import DELTAS, RULES, VALUES, Part
from sim.certificate import certify
from sim.compose import compose
from sim.results import read_json
from sim.settings import BASE
from theory.command import Misuse

RECORD = Path(__file__).parent / "certified.json"
"""What `python -m sim rules --certify` found last."""

Transforms = tuple[str, ...]

BEARER = "rome"
"""The rule behind which a transform is certified: alone it grows exponentially."""


class Entry(NamedTuple):
    """A row of the catalogue.

    Attributes:
        name: of the rule or transform.
        kind: "rule", "values" or "deltas".
        part: what the catalogue holds.
        editors: "plain" and "nas" -> the words of `compose`; no "plain" where the transform is NAS itself.
    """

    name: str
    kind: str
    part: Part
    editors: dict[str, tuple[str, Transforms, Transforms]]


def entries() -> list[Entry]:
    """Every rule and transform, with the editors in which it is certified.

    >>> [one.editors["nas"] for one in entries() if one.name in ("memit", "rect")]
    [('memit', ('nas',), ()), ('rome', ('nas',), ('rect',))]
    """
    rows = []
    for kind, parts in (("rule", RULES), ("values", VALUES), ("deltas", DELTAS)):
        for name, part in parts.items():
            rule = name if kind == "rule" else BEARER
            values: Transforms = (name,) if kind == "values" else ()
            deltas: Transforms = (name,) if kind == "deltas" else ()
            if name.startswith("nas"):
                editors = {"nas": (rule, values, deltas)}
            else:
                editors = {"plain": (rule, values, deltas), "nas": (rule, (*values, "nas"), deltas)}
            rows.append(Entry(name, kind, part, editors))
    return rows


def certify_all(chosen: Sequence[Entry], *, seeds: int = 16, seed: int = 0) -> Iterator[dict[str, Any]]:
    """The rows of the list, certified anew in the headline's setting.

    Args:
        chosen: some of `entries()`.
        seeds: independent streams an editor.
        seed: the first of them.

    Yields:
        One row an entry: name, kind, form, source, and for plain and nas the editor, its regime and the number that
        goes with it; None where there is no such editor.
    """
    for entry in chosen:
        row: dict[str, Any] = listed(entry)
        for way, words in entry.editors.items():
            findings = list(certify(compose(*words), (BASE,), seeds=seeds, seed=seed))
            values = as_values(" + ".join([words[0], *words[1], *words[2]]), findings, {}, seed, seeds)
            kept = (
                "editor",
                "regime",
                "predicted",
                "relation",
                *QUANTITIES,
                *(f"{name}_interval" for name in QUANTITIES),
            )
            row[way] = {name: values[name] for name in kept}
        yield row


def listed(entry: Entry) -> dict[str, Any]:
    """A row without its certificates."""
    part = entry.part
    return {
        "name": entry.name,
        "kind": entry.kind,
        "form": part.form,
        "source": part.source,
        "plain": None,
        "nas": None,
    }


def recorded() -> list[dict[str, Any]]:
    """The rows of the list with the certificates on record.

    Raises:
        Misuse: the record lacks an entry of the catalogue.
    """
    rows = {row["name"]: row for row in read_json(RECORD)["rows"]}
    lacking = [entry.name for entry in entries() if entry.name not in rows]
    if lacking:
        raise Misuse(f"{RECORD.name} has no certificate of {', '.join(lacking)}; run python -m sim rules --certify")
    return [{**listed(entry), **{way: rows[entry.name][way] for way in ("plain", "nas")}} for entry in entries()]
