"""The catalogue with the regime that each rule and transform was certified to have, with and without NAS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sim.card import QUANTITIES, as_values
from sim.catalogue import DELTAS, POLICIES, RULES, VALUES
from sim.certificate import certify
from sim.compose import compose
from sim.pool import over_processes
from sim.results import read_json
from sim.settings import BASE, Setting
from theory.command import Misuse

RECORD = Path(__file__).parent / "certified.json"
"""What `python -m sim rules --certify` found last."""

Transforms = tuple[str, ...]

KEPT = ("editor", "regime", "predicted", "relation", *QUANTITIES, *(f"{name}_interval" for name in QUANTITIES))

BEARER = "rome"
"""The rule behind which a transform is certified: alone it grows exponentially."""


class Entry(NamedTuple):
    """A row of the catalogue.

    Attributes:
        name: of the rule, transform or policy.
        kind: "rule", "values", "deltas" or "policy".
        form: a rule's metric form, a policy's option.
        source: where it was published.
        editors: "plain" and "nas" -> the words of `compose`; no "plain" where the transform is NAS itself, and none at
            all for a policy that a linear memory has not.
        setting: where it is certified.
    """

    name: str
    kind: str
    form: str
    source: str
    editors: dict[str, tuple[str, Transforms, Transforms]]
    setting: Setting = BASE


def entries() -> list[Entry]:
    """Every rule, transform and policy, with the editors in which it is certified.

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
            rows.append(Entry(name, kind, part.form, part.source, editors))
    for name, policy in POLICIES.items():
        editors = {} if policy.setting is None else {"plain": (BEARER, (), ()), "nas": (BEARER, ("nas",), ())}
        rows.append(Entry(name, "policy", policy.option, policy.source, editors, policy.setting or BASE))
    return rows


def certify_all(
    chosen: Sequence[Entry], *, seeds: int = 16, seed: int = 0, workers: int = 1
) -> Iterator[dict[str, Any]]:
    """The rows of the list, certified anew.

    Args:
        chosen: some of `entries()`.
        seeds: independent streams an editor.
        seed: the first of them.
        workers: processes over which the entries go.

    Yields:
        One row an entry: name, kind, form, source, and for plain and nas the editor, its regime and the number that
        goes with it; None where there is no such editor.
    """
    one = partial(_row, seeds=seeds, seed=seed)
    yield from map(one, chosen) if workers == 1 else over_processes(one, chosen, workers)


def _row(entry: Entry, *, seeds: int, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = listed(entry)
    for way, words in entry.editors.items():
        findings = list(certify(compose(*words), (entry.setting,), seeds=seeds, seed=seed, thorough=True))
        values = as_values(" + ".join([words[0], *words[1], *words[2]]), findings, (), {}, seed, seeds)
        row[way] = {name: values[name] for name in KEPT}
    return row


def listed(entry: Entry) -> dict[str, Any]:
    """A row without its certificates."""
    row = {name: getattr(entry, name) for name in ("name", "kind", "form", "source")}
    return row | {"setting": entry.setting.name, "plain": None, "nas": None}


def recorded() -> dict[str, Any]:
    """The list with the certificates on record, and the record's seeds and provenance.

    Raises:
        Misuse: the record lacks an entry of the catalogue.
    """
    record = read_json(RECORD)
    rows = {row["name"]: row for row in record["rows"]}
    lacking = [entry.name for entry in entries() if entry.name not in rows]
    if lacking:
        raise Misuse(f"{RECORD.name} has no certificate of {', '.join(lacking)}; run python -m sim rules --certify")
    listing = [{**listed(entry), **{way: rows[entry.name][way] for way in ("plain", "nas")}} for entry in entries()]
    return {**record, "rows": listing}
