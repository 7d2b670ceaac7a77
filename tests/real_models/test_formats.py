"""ZsRE, WikiBigEdit and MQuAKE: what becomes of each field, and what a malformed record is told."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest

from real_models.datasets.formats import FORMATS, read_requests
from real_models.requests import Probe, Request
from theory.command import Misuse

DATA = os.environ.get("NORM_ANCHOR_DATA")
ZSRE = {
    "subject": "Lake Ena",
    "src": "When was Lake Ena mapped?",
    "pred": "1801",
    "rephrase": "In which year was Lake Ena mapped?",
    "alt": "1776",
    "answers": ["1802", "in 1802"],
    "loc": "nq question: who sang the song",
    "loc_ans": "Ada",
    "portability": {"New Question": "Who mapped it?", "New Answer": "Bo"},
}
WIKI = {
    "subject": "Lake Ena",
    "update": "What does Lake Ena flow into?",
    "ans": "the Orr",
    "rephrase": "Into what does Lake Ena flow?",
    "loc": "What is the Orr?",
    "loc_ans": "a river",
    "mhop": "In which land is the river that Lake Ena flows into?",
    "mhop_ans": "Ond",
}
MQUAKE = {
    "case_id": 1,
    "requested_rewrite": [
        {"prompt": "{} lies in", "subject": "Ena", "target_new": {"str": "Ond"}, "target_true": {"str": "Urr"}},
        {"prompt": "The king of {} is", "subject": "Ond", "target_new": {"str": "Bo"}, "target_true": {"str": "Al"}},
    ],
    "questions": ["Who is king where Ena lies?", "Who rules Ena's land?"],
    "new_answer": "Bo",
}
AS_ZSRE = Request(
    *(0, "When was {} mapped?", "Lake Ena", "1802", None, ("In which year was Lake Ena mapped?",)),
    *((Probe("nq question: who sang the song?", "Ada"),), (Probe("Who mapped it?", "Bo"),)),
)
AS_WIKI = Request(
    *(0, "What does {} flow into?", "Lake Ena", "the Orr", None, ("Into what does Lake Ena flow?",)),
    *((Probe("What is the Orr?", "a river"),), (Probe(WIKI["mhop"], "Ond"),)),
)


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "facts.json"
        path.write_text(json.dumps(records))
        return path

    return write


def without(record, *names):
    left = copy.deepcopy(record)
    for name in names:
        left.pop(name)
    return left


def test_each_format_is_told_by_its_fields(write):
    assert read_requests(write(ZSRE)).requests == (AS_ZSRE,)
    assert read_requests(write(WIKI)).requests == (AS_WIKI,)
    first, second = read_requests(write(MQUAKE)).requests
    assert first == Request(0, "{} lies in", "Ena", "Ond", "Urr")
    hops = tuple(Probe(question, "Bo") for question in MQUAKE["questions"])
    assert second == Request(1, "The king of {} is", "Ond", "Bo", "Al", hops=hops)


def test_a_format_can_be_named(write):
    (request,) = read_requests(write(ZSRE), form="zsre_alt").requests
    assert request == AS_ZSRE.__class__(**{**vars(AS_ZSRE), "target_new": "1776"})
    with pytest.raises(Misuse, match="no data format 'zsree'; known are mquake, counterfact"):
        read_requests(write(ZSRE), form="zsree")
    with pytest.raises(Misuse, match="record 0: field update is missing"):
        read_requests(write(ZSRE), form="wikibigedit")
    assert set(FORMATS) == {"mquake", "counterfact", "zsre", "zsre_alt", "wikibigedit", "easyedit"}


@pytest.mark.parametrize(
    ("record", "lacking"),
    [(ZSRE, ("rephrase", "loc", "loc_ans", "portability")), (WIKI, ("rephrase", "loc", "loc_ans", "mhop", "mhop_ans"))],
)
def test_what_a_record_lacks_stays_lacking(write, record, lacking):
    (request,) = read_requests(write(without(record, *lacking))).requests
    assert (request.paraphrases, request.neighborhood, request.hops) == ((), (), ())


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (without(ZSRE, "answers") | {"answers": []}, "field answers: it holds no answer"),
        (ZSRE | {"answers": [3]}, r"field answers\[0\]: 3 is a int"),
        (ZSRE | {"subject": "Lake Una"}, "field subject: 'Lake Una' is not in the prompt"),
        (ZSRE | {"src": "{} Lake Ena"}, r"field src: '\{\} Lake Ena' has a place"),
        (without(ZSRE, "loc_ans"), "field loc_ans is missing"),
        (without(WIKI, "loc"), "field loc is missing"),
        (WIKI | {"ans": " "}, "field ans: ' ' is blank"),
        (without(WIKI, "mhop_ans"), "field mhop_ans is missing"),
        (MQUAKE | {"requested_rewrite": []}, "field requested_rewrite: it holds no rewrite"),
        (MQUAKE | {"requested_rewrite": [{"prompt": "in", "subject": "x"}]}, "field prompt: 'in' has 0 places"),
        (without(MQUAKE, "new_answer"), "field new_answer is missing"),
    ],
)
def test_a_malformed_record_is_named(write, record, says):
    path = write(record)
    with pytest.raises(Misuse, match=f"^{path}: record 0: {says}"):
        read_requests(path)


@pytest.mark.skipif(DATA is None, reason="NORM_ANCHOR_DATA does not name a folder with the data sets")
def test_the_real_zsre_is_sound():
    loaded = read_requests(Path(str(DATA)) / "zsre" / "zsre_mend_eval_1037.json")
    assert (len(loaded.requests), loaded.skipped) == (1037, 0)
    assert all(one.target_true is None and one.paraphrases and one.neighborhood for one in loaded.requests)
    assert all(one.neighborhood[0].prompt.startswith("nq question: ") for one in loaded.requests)
    assert len({one.case_id for one in loaded.requests}) == 1037
