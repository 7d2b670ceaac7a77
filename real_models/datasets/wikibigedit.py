"""WikiBigEdit's records as requests.

| Request | field |
|---|---|
| template | update, with `{}` put where the subject stands |
| subject, target_new | subject, ans |
| target_true | none |
| paraphrases | rephrase |
| neighborhood | loc with loc_ans |
| hops | mhop with mhop_ans |

What a record lacks stays lacking: the released evaluation puts the edit prompt in the place of a missing rephrase or
loc, which lifts generalisation and specificity. A subject that is not in its question is an error here, where the
released code looks for something similar or puts the subject in front. Source: lukasthede/WikiBigEdit on the hub.
"""

from __future__ import annotations

from typing import Any

from real_models.datasets.records import open_template, present, text
from real_models.requests import Probe, Request


def wikibigedit(record: Any, index: int) -> Request:
    """A request from a record with WikiBigEdit's fields."""
    subject = text(record, "subject")

    def probes(question: str, answer: str) -> tuple[Probe, ...]:
        there = present(record, question) or present(record, answer)
        return (Probe(text(record, question), text(record, answer)),) if there else ()

    return Request(
        case_id=index,
        template=open_template(text(record, "update"), subject, "update"),
        subject=subject,
        target_new=text(record, "ans"),
        target_true=None,
        paraphrases=(text(record, "rephrase"),) if present(record, "rephrase") else (),
        neighborhood=probes("loc", "loc_ans"),
        hops=probes("mhop", "mhop_ans"),
    )
