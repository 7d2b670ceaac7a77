"""CounterFact's records as requests, from its native files and from files with EasyEdit's field names.

| Request | native | EasyEdit's field names |
|---|---|---|
| template | requested_rewrite.prompt, with one `{}` | prompt, with `{}` put where the subject stands |
| subject | requested_rewrite.subject | subject |
| target_new, target_true | requested_rewrite.target_new.str, .target_true.str | target_new, ground_truth |
| paraphrases | paraphrase_prompts | rephrase_prompt |
| neighborhood: prompt | neighborhood_prompts | locality_prompt |
| neighborhood: answer | requested_rewrite.target_true.str | locality_ground_truth |

Files in circulation with EasyEdit's names often hold one of the native *generation* prompts as rephrase_prompt
("Angola's surroundings include" for "Angola is located in"). Such a probe does not ask for the edited fact, so
generalisation on these files is not comparable with generalisation on native files.
Sources: kmeng01/rome and zjunlp/EasyEdit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_models.requests import Probe, Request
from theory.command import Misuse

ABSENT = object()


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


def read_counterfact(path: Path, *, skip_bad: bool = False, limit: int | None = None) -> Loaded:
    """Read CounterFact records; the format is that of the file's first recognisable record.

    A record is malformed when a field is missing, of another type or blank; when the subject is not in the prompt, or
    the template has not exactly one `{}`; when it asks for the answer it already has; when its case_id came before.
    Optional probes that a record lacks (or gives as null) stay lacking. White space around a text is dropped.

    Args:
        path: a JSON file, a list of records.
        skip_bad: pass over malformed records, and count them, rather than stop at the first.
        limit: stop after this many sound records; None reads all.

    Returns:
        The requests, with the count of skipped records and the reasons.

    Raises:
        Misuse: the file is missing, empty, not a JSON list or of neither format; a record is malformed and `skip_bad`
            is off; no record is sound.
    """
    if limit is not None and limit < 1:
        raise Misuse(f"limit {limit} leaves no record to read; pass 1 or more, or None for all")
    records = _read_list(path)
    read = _reader(path, records)
    requests: list[Request] = []
    reasons: list[str] = []
    places: dict[int, int] = {}
    for index, record in enumerate(records):
        if len(requests) == limit:
            break
        try:
            request = read(record)
            if request.case_id in places:
                raise Misuse(f"field case_id: {request.case_id} is that of record {places[request.case_id]} too")
        except Misuse as error:
            reasons.append(f"{path}: record {index}: {error}")
            if not skip_bad:
                raise Misuse(f"{reasons[-1]}; mend the record or pass over bad records with --skip-bad") from error
        else:
            places[request.case_id] = index
            requests.append(request)
    if not requests:
        raise Misuse(f"{path} has no sound record among {len(records)} (the first: {reasons[0]}); pass another file")
    return Loaded(tuple(requests), len(reasons), tuple(reasons))


def _read_list(path: Path) -> list[Any]:
    """The file's JSON list, which is not empty."""
    remedy = "pass a CounterFact JSON file (a list of records)"
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


def _reader(path: Path, records: list[Any]) -> Callable[[Any], Request]:
    """The function that reads this file's records."""
    for record in records:
        if isinstance(record, dict) and "requested_rewrite" in record:
            return _native
        if isinstance(record, dict) and {"prompt", "subject", "target_new"} & record.keys():
            return _easyedit
    raise Misuse(
        f"{path}: none of its {len(records)} records has requested_rewrite (native) or prompt, subject, target_new "
        "(EasyEdit's names); pass a CounterFact file"
    )


def _native(record: Any) -> Request:
    """A request from a record with CounterFact's own fields."""
    template = _text(record, "requested_rewrite.prompt")
    if template.count("{}") != 1:
        raise Misuse(f"field requested_rewrite.prompt: {template!r} has {template.count('{}')} places {{}}, not one")
    subject = _text(record, "requested_rewrite.subject")
    new, true = _targets(record, "requested_rewrite.target_new.str", "requested_rewrite.target_true.str")
    return Request(
        case_id=_case_id(record),
        template=template,
        subject=subject,
        target_new=new,
        target_true=true,
        paraphrases=_texts(record, "paraphrase_prompts"),
        neighborhood=tuple(Probe(prompt, true) for prompt in _texts(record, "neighborhood_prompts")),
    )


def _easyedit(record: Any) -> Request:
    """A request from a record with EasyEdit's field names."""
    subject = _text(record, "subject")
    template = open_template(_text(record, "prompt"), subject)
    new, true = _targets(record, "target_new", "ground_truth")
    rephrase = _present(record, "rephrase_prompt")
    locality = _present(record, "locality_prompt") or _present(record, "locality_ground_truth")
    return Request(
        case_id=_case_id(record),
        template=template,
        subject=subject,
        target_new=new,
        target_true=true,
        paraphrases=(_text(record, "rephrase_prompt"),) if rephrase else (),
        neighborhood=(Probe(_text(record, "locality_prompt"), _text(record, "locality_ground_truth")),)
        if locality
        else (),
    )


def open_template(prompt: str, subject: str) -> str:
    """Put `{}` where the subject stands in a prompt.

    Of several occurrences the last that stands as a word of its own is taken, or the last of all where none does:
    an edit acts at the subject's last token, and only there has a causal model read all that the prompt says of it.

    Args:
        prompt: text that holds the subject literally.
        subject: its name, in the prompt's own spelling and case.

    Raises:
        Misuse: the subject is not in the prompt, or the prompt already has a `{}`.

    >>> open_template("Paris, as Parisians say of Paris, is", "Paris")
    'Paris, as Parisians say of {}, is'
    """
    if "{}" in prompt:
        raise Misuse(f"field prompt: {prompt!r} has a place {{}}, where EasyEdit's names want the subject itself")
    starts = [start for start in range(len(prompt)) if prompt.startswith(subject, start)]
    if not starts:
        raise Misuse(f"field subject: {subject!r} is not in the prompt {prompt!r}")
    start = ([start for start in starts if _stands_alone(prompt, start, len(subject))] or starts)[-1]
    return f"{prompt[:start]}{{}}{prompt[start + len(subject) :]}"


def _stands_alone(prompt: str, start: int, length: int) -> bool:
    """Whether neither neighbour of a stretch is a letter or a digit."""
    return not prompt[max(start - 1, 0) : start].isalnum() and not prompt[start + length :][:1].isalnum()


def _targets(record: Any, new_field: str, true_field: str) -> tuple[str, str]:
    """The new and the true answer, which differ."""
    new, true = _text(record, new_field), _text(record, true_field)
    if new == true:
        raise Misuse(f"field {new_field}: {new!r} is the true answer already, so there is nothing to rewrite")
    return new, true


def _case_id(record: Any) -> int:
    value = _field(record, "case_id")
    if not isinstance(value, int) or isinstance(value, bool):
        raise Misuse(f"field case_id: {value!r:.60} is a {type(value).__name__}, not an int")
    return value


def _text(record: Any, name: str) -> str:
    return _checked(_field(record, name), name)


def _texts(record: Any, name: str) -> tuple[str, ...]:
    """An optional list of texts; empty where the record lacks it."""
    if not _present(record, name):
        return ()
    values = _field(record, name)
    if not isinstance(values, list):
        raise Misuse(f"field {name}: {values!r} is a {type(values).__name__}, not a list")
    return tuple(_checked(value, f"{name}[{place}]") for place, value in enumerate(values))


def _checked(value: Any, name: str) -> str:
    """A text that is not blank, without the white space around it."""
    if not isinstance(value, str):
        raise Misuse(f"field {name}: {value!r:.60} is a {type(value).__name__}, not a str")
    if not value.strip():
        raise Misuse(f"field {name}: {value!r} is blank")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Misuse(f"field {name}: {value!r} holds half of a surrogate pair, which no tokenizer can read")
    return value.strip()


def _present(record: Any, name: str) -> bool:
    return isinstance(record, dict) and record.get(name) is not None


def _field(record: Any, name: str) -> Any:
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
