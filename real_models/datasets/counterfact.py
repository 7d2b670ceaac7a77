"""CounterFact's records as requests, from its native files and from files with EasyEdit's field names.

| Request | native | EasyEdit's field names |
|---|---|---|
| template | requested_rewrite.prompt, with one `{}` | prompt, with `{}` put where the subject stands |
| subject | requested_rewrite.subject | subject |
| target_new, target_true | requested_rewrite.target_new.str, .target_true.str | target_new, ground_truth |
| paraphrases | paraphrase_prompts | rephrase_prompt |
| neighborhood: prompt | neighborhood_prompts | locality_prompt |
| neighborhood: answer | requested_rewrite.target_true.str | locality_ground_truth |
| openings | generation_prompts | |

Files in circulation with EasyEdit's names often hold one of the native *generation* prompts as rephrase_prompt
("Angola's surroundings include" for "Angola is located in"). Such a probe does not ask for the edited fact, so
generalisation on these files is not comparable with generalisation on native files.
Sources: kmeng01/rome and zjunlp/EasyEdit.
"""

from __future__ import annotations

from typing import Any

from real_models.datasets.records import field, open_place, open_template, present, text, texts
from real_models.requests import Probe, Request
from theory.command import Misuse


def native(record: Any, index: int) -> Request:
    """A request from a record with CounterFact's own fields."""
    template = open_place(record, "requested_rewrite.prompt")
    subject = text(record, "requested_rewrite.subject")
    new, true = _targets(record, "requested_rewrite.target_new.str", "requested_rewrite.target_true.str")
    return Request(
        case_id=_case_id(record),
        template=template,
        subject=subject,
        target_new=new,
        target_true=true,
        paraphrases=texts(record, "paraphrase_prompts"),
        neighborhood=tuple(Probe(prompt, true) for prompt in texts(record, "neighborhood_prompts")),
        openings=texts(record, "generation_prompts"),
    )


def easyedit(record: Any, index: int) -> Request:
    """A request from a record with EasyEdit's field names."""
    subject = text(record, "subject")
    template = open_template(text(record, "prompt"), subject)
    new, true = _targets(record, "target_new", "ground_truth")
    rephrase = present(record, "rephrase_prompt")
    locality = present(record, "locality_prompt") or present(record, "locality_ground_truth")
    return Request(
        case_id=_case_id(record),
        template=template,
        subject=subject,
        target_new=new,
        target_true=true,
        paraphrases=(text(record, "rephrase_prompt"),) if rephrase else (),
        neighborhood=(Probe(text(record, "locality_prompt"), text(record, "locality_ground_truth")),)
        if locality
        else (),
    )


def _targets(record: Any, new_field: str, true_field: str) -> tuple[str, str]:
    """The new and the true answer, which differ."""
    new, true = text(record, new_field), text(record, true_field)
    if new == true:
        raise Misuse(f"field {new_field}: {new!r} is the true answer already, so there is nothing to rewrite")
    return new, true


def _case_id(record: Any) -> int:
    value = field(record, "case_id")
    if not isinstance(value, int) or isinstance(value, bool):
        raise Misuse(f"field case_id: {value!r:.60} is a {type(value).__name__}, not an int")
    return value
