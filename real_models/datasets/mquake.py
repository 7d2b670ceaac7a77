"""MQuAKE-CF's records as requests: several rewrites a record, and questions that need all of them.

| Request | field, of each item of requested_rewrite |
|---|---|
| template, subject | prompt, subject |
| target_new, target_true | target_new.str, target_true.str |
| hops | the record's questions with new_answer; on its last rewrite, when all are written |

Source: princeton-nlp/MQuAKE.
"""

from __future__ import annotations

from typing import Any

from real_models.datasets.records import items, open_place, text, texts
from real_models.requests import Probe, Request
from theory.command import Misuse


def mquake(record: Any, index: int) -> tuple[Request, ...]:
    """The requests of a record, the last with its multi-hop questions."""
    rewrites = items(record, "requested_rewrite")
    if not rewrites:
        raise Misuse("field requested_rewrite: it holds no rewrite")
    answer = text(record, "new_answer")
    hops = tuple(Probe(question, answer) for question in texts(record, "questions"))
    return tuple(
        Request(
            case_id=1000 * index + place,
            template=open_place(rewrite, "prompt"),
            subject=text(rewrite, "subject"),
            target_new=text(rewrite, "target_new.str"),
            target_true=text(rewrite, "target_true.str"),
            hops=hops if place == len(rewrites) - 1 else (),
        )
        for place, rewrite in enumerate(rewrites)
    )
