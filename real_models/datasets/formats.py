"""Which data set a file is of, told by the fields of its records, and its requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from real_models.datasets.counterfact import easyedit, native
from real_models.datasets.mquake import mquake
from real_models.datasets.records import Loaded, Read, collect, read_list
from real_models.datasets.wikibigedit import wikibigedit
from real_models.datasets.zsre import zsre, zsre_alt
from real_models.requests import Request
from theory.command import Misuse


class Format(NamedTuple):
    """A data set's format.

    Attributes:
        knows: whether a record has the format's own fields.
        read: the reader of one record.
        fields: those fields, for messages.
    """

    knows: Callable[[dict[str, Any]], bool]
    read: Read
    fields: str


def alone(read: Callable[[Any, int], Request]) -> Read:
    """A reader of records that hold one request each."""
    return lambda record, index: (read(record, index),)


FORMATS = {
    "mquake": Format(
        lambda record: isinstance(record.get("requested_rewrite"), list), mquake, "requested_rewrite, a list"
    ),
    "counterfact": Format(lambda record: "requested_rewrite" in record, alone(native), "requested_rewrite"),
    "zsre": Format(lambda record: {"src", "answers"} <= record.keys(), alone(zsre), "src, answers"),
    "zsre_alt": Format(lambda record: {"src", "alt"} <= record.keys(), alone(zsre_alt), "src, alt"),
    "wikibigedit": Format(lambda record: {"update", "ans"} <= record.keys(), alone(wikibigedit), "update, ans"),
    "easyedit": Format(
        lambda record: bool({"prompt", "subject", "target_new"} & record.keys()),
        alone(easyedit),
        "prompt, subject, target_new",
    ),
}
"""By name, in the order in which they are recognised."""


def read_requests(path: Path, *, form: str | None = None, skip_bad: bool = False, limit: int | None = None) -> Loaded:
    """Read a data set's file.

    A record is malformed when a field is missing, of another type or blank; when the subject is not in the prompt, or
    the template has not exactly one `{}`; when it asks for the answer it already has; when its case_id came before.
    Optional probes that a record lacks (or gives as null) stay lacking. White space around a text is dropped.

    Args:
        path: a JSON file, a list of records.
        form: a name of `FORMATS`; None takes that of the first record which one of them knows.
        skip_bad: pass over malformed records, and count them, rather than stop at the first.
        limit: stop after this many sound records; None reads all.

    Returns:
        The requests, with the count of skipped records and the reasons.

    Raises:
        Misuse: the file is missing, empty, not a JSON list or of no format; a record is malformed and `skip_bad` is
            off; no record is sound.
    """
    if limit is not None and limit < 1:
        raise Misuse(f"limit {limit} leaves no record to read; pass 1 or more, or None for all")
    if form is not None and form not in FORMATS:
        raise Misuse(f"there is no data format {form!r}; known are {', '.join(FORMATS)}")
    records = read_list(path)
    read = FORMATS[form].read if form else recognised(path, records)
    return collect(path, records, read, skip_bad=skip_bad, limit=limit)


def recognised(path: Path, records: list[Any]) -> Read:
    """The reader of the format that the first recognisable record is of."""
    for record in records:
        for known in FORMATS.values() if isinstance(record, dict) else ():
            if known.knows(record):
                return known.read
    told = "; ".join(f"{name} ({known.fields})" for name, known in FORMATS.items())
    raise Misuse(f"{path}: none of its {len(records)} records has the fields of a known format: {told}")
