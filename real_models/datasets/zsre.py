"""ZsRE's evaluation records (MEND's) as requests.

| Request | field |
|---|---|
| template | src, with `{}` put where the subject stands |
| subject | subject |
| target_new | answers[0] as MEMIT, AlphaEdit and NAS write, or alt, MEND's counterfactual, as EasyEdit does |
| target_true | none: what the unedited model would say is not in the file |
| paraphrases | rephrase |
| neighborhood | loc, closed by "?", with loc_ans |
| hops | portability."New Question" with ."New Answer", where EasyEdit has added them |

A neighbour is a question of Natural Questions, and its answer is the data set's, not the unedited model's: specificity
starts far below 100 %. Sources: kmeng01/memit `dsets/zsre.py`, eric-mitchell/mend, zjunlp/EasyEdit.
"""

from __future__ import annotations

from typing import Any

from real_models.datasets.records import field, open_template, present, text, texts
from real_models.requests import Probe, Request
from theory.command import Misuse


def zsre(record: Any, index: int) -> Request:
    """A request that writes the data set's own answer."""
    answers = texts(record, "answers")
    if not answers:
        raise Misuse("field answers: it holds no answer")
    return _request(record, index, answers[0])


def zsre_alt(record: Any, index: int) -> Request:
    """A request that writes MEND's counterfactual."""
    return _request(record, index, text(record, "alt"))


def _request(record: Any, index: int, target: str) -> Request:
    subject = text(record, "subject")
    probed = present(record, "loc") or present(record, "loc_ans")
    hop = "portability" in record and isinstance(field(record, "portability"), dict)
    asked = ("portability.New Question", "portability.New Answer")
    return Request(
        case_id=index,
        template=open_template(text(record, "src"), subject, "src"),
        subject=subject,
        target_new=target,
        target_true=None,
        paraphrases=(text(record, "rephrase"),) if present(record, "rephrase") else (),
        neighborhood=(Probe(closed(text(record, "loc")), text(record, "loc_ans")),) if probed else (),
        hops=(Probe(*(text(record, name) for name in asked)),) if hop else (),
    )


def closed(question: str) -> str:
    """A question with its mark.

    >>> closed("who sings"), closed("who sings?")
    ('who sings?', 'who sings?')
    """
    return question if question.endswith("?") else f"{question}?"
