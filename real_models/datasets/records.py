"""A data set's file as requests: a JSON list, each record checked field by field."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_models.requests import Request
from theory.command import Misuse

ABSENT = object()
Read = Callable[[Any, int], Sequence[Request]]
"""A record and its place in the file -> its requests."""


@dataclass(frozen=True)
class Loaded:
    """What a file gave.

    Attributes:
        requests: the sound records, in the file's order.
        skipped: how many malformed records were passed over.
        reasons: why, one line for each of them.
    """

    requests: tuple[Request, ...]
    skipped: int = 0
    reasons: tuple[str, ...] = ()


def collect(path: Path, records: list[Any], read: Read, *, skip_bad: bool, limit: int | None) -> Loaded:
    """The requests of a file's records.

    Args:
        path: the file, for messages.
        records: its list.
        read: reads one record, and raises Misuse naming the field where it is malformed.
        skip_bad: pass over malformed records, and count them, rather than stop at the first.
        limit: stop after this many sound records; None reads all.

    Raises:
        Misuse: a record is malformed and `skip_bad` is off, or no record is sound.
    """
    requests: list[Request] = []
    reasons: list[str] = []
    places: dict[int, int] = {}
    sound = 0
    for index, record in enumerate(records):
        if sound == limit:
            break
        try:
            made = read(record, index)
            known = [one.case_id for one in made if one.case_id in places]
            if known:
                raise Misuse(f"field case_id: {known[0]} is that of record {places[known[0]]} too")
        except Misuse as error:
            reasons.append(f"{path}: record {index}: {error}")
            if not skip_bad:
                raise Misuse(f"{reasons[-1]}; mend the record or pass over bad records with --skip-bad") from error
        else:
            sound += 1
            places |= dict.fromkeys((one.case_id for one in made), index)
            requests += made
    if not requests:
        raise Misuse(f"{path} has no sound record among {len(records)} (the first: {reasons[0]}); pass another file")
    return Loaded(tuple(requests), len(reasons), tuple(reasons))


def read_list(path: Path) -> list[Any]:
    """The file's JSON list, which is not empty."""
    remedy = "pass a data set's JSON file (a list of records)"
    if not path.is_file():
        raise Misuse(f"{path} is not a file; {remedy}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number or a nesting beyond Python's limits
        size = path.stat().st_size
        raise Misuse(f"{path} is not JSON ({size} bytes: {error}); {remedy}") from error
    if not isinstance(content, list):
        raise Misuse(f"{path} holds a JSON {type(content).__name__}, not a list; {remedy}")
    if not content:
        raise Misuse(f"{path} holds an empty list; {remedy}")
    return content


def text(record: Any, name: str) -> str:
    """A text that a record must have."""
    return checked(field(record, name), name)


def texts(record: Any, name: str) -> tuple[str, ...]:
    """An optional list of texts; empty where the record lacks it."""
    return tuple(checked(value, f"{name}[{place}]") for place, value in enumerate(items(record, name)))


def items(record: Any, name: str) -> list[Any]:
    """An optional list; empty where the record lacks it."""
    if not present(record, name):
        return []
    values = field(record, name)
    if not isinstance(values, list):
        raise Misuse(f"field {name}: {values!r} is a {type(values).__name__}, not a list")
    return values


def checked(value: Any, name: str) -> str:
    """A text that is not blank, without the white space around it."""
    if not isinstance(value, str):
        raise Misuse(f"field {name}: {value!r:.60} is a {type(value).__name__}, not a str")
    if not value.strip():
        raise Misuse(f"field {name}: {value!r} is blank")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Misuse(f"field {name}: {value!r} holds half of a surrogate pair, which no tokenizer can read")
    return value.strip()


def present(record: Any, name: str) -> bool:
    """Whether a record has a field, and not as null."""
    return isinstance(record, dict) and record.get(name) is not None


def field(record: Any, name: str) -> Any:
    """The value at a dotted path of keys."""
    value, path = record, ""
    for key in name.split("."):
        if not isinstance(value, dict):
            raise Misuse(f"field {path or name}: {value!r:.60} is a {type(value).__name__}, not an object")
        path = f"{path}.{key}" if path else key
        value = value.get(key, ABSENT)
        if value is ABSENT:
            raise Misuse(f"field {path} is missing")
    return value


def open_template(prompt: str, subject: str, name: str = "prompt") -> str:
    """Put `{}` where the subject stands in a prompt.

    Of several occurrences the last that stands as a word of its own is taken, or the last of all where none does:
    an edit acts at the subject's last token, and only there has a causal model read all that the prompt says of it.

    Args:
        prompt: text that holds the subject literally.
        subject: its name, in the prompt's own spelling and case.
        name: the field that holds the prompt, for messages.

    Raises:
        Misuse: the subject is not in the prompt, or the prompt already has a `{}`.

    >>> open_template("Paris, as Parisians say of Paris, is", "Paris")
    'Paris, as Parisians say of {}, is'
    """
    if "{}" in prompt:
        raise Misuse(f"field {name}: {prompt!r} has a place {{}}, where this format wants the subject itself")
    starts = [start for start in range(len(prompt)) if prompt.startswith(subject, start)]
    if not starts:
        raise Misuse(f"field subject: {subject!r} is not in the prompt {prompt!r}")
    start = ([start for start in starts if _stands_alone(prompt, start, len(subject))] or starts)[-1]
    return f"{prompt[:start]}{{}}{prompt[start + len(subject) :]}"


def _stands_alone(prompt: str, start: int, length: int) -> bool:
    """Whether neither neighbour of a stretch is a letter or a digit."""
    return not prompt[max(start - 1, 0) : start].isalnum() and not prompt[start + length :][:1].isalnum()


def open_place(record: Any, name: str) -> str:
    """A template, which has exactly one `{}`."""
    template = text(record, name)
    if template.count("{}") != 1:
        raise Misuse(f"field {name}: {template!r} has {template.count('{}')} places {{}}, not one")
    return template
