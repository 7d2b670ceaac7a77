"""CounterFact's two formats, sound and malformed, and the real files."""

import copy
import json
import os
from pathlib import Path

import pytest

from real_models.datasets.formats import read_requests
from real_models.datasets.records import Loaded, open_template
from real_models.requests import Probe, Request
from theory.command import Misuse

DATA = os.environ.get("NORM_ANCHOR_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="NORM_ANCHOR_DATA is unset: no CounterFact files to read")

NATIVE = {
    "case_id": 7,
    "pararel_idx": 1,
    "requested_rewrite": {
        "prompt": "{} is the capital of",
        "relation_id": "P1376",
        "target_new": {"str": "Peru", "id": "Q419"},
        "target_true": {"str": "France", "id": "Q142"},
        "subject": "Paris",
    },
    "paraphrase_prompts": ["Long ago. Paris, capital of", "Paris rules over"],
    "neighborhood_prompts": ["Lyon is in", "Nice is in"],
    "attribute_prompts": ["Lima is in"],
    "generation_prompts": ["Paris is near"],
}
EASYEDIT = {
    "case_id": 7,
    "prompt": "Paris is the capital of",
    "subject": "Paris",
    "target_new": "Peru",
    "ground_truth": "France",
    "rephrase_prompt": "Paris rules over",
    "locality_prompt": "Lyon is in",
    "locality_ground_truth": "France",
}
AS_NATIVE = Request(
    case_id=7,
    template="{} is the capital of",
    subject="Paris",
    target_new="Peru",
    target_true="France",
    paraphrases=("Long ago. Paris, capital of", "Paris rules over"),
    neighborhood=(Probe("Lyon is in", "France"), Probe("Nice is in", "France")),
    openings=("Paris is near",),
)
AS_EASYEDIT = Request(
    case_id=7,
    template="{} is the capital of",
    subject="Paris",
    target_new="Peru",
    target_true="France",
    paraphrases=("Paris rules over",),
    neighborhood=(Probe("Lyon is in", "France"),),
)
GONE = object()


@pytest.fixture
def write(tmp_path):
    """Write a file of records and give its path."""

    def to(records):
        path = tmp_path / "facts.json"
        path.write_text(json.dumps(records), encoding="utf-8")
        return path

    return to


def changed(record, field, value):
    """A copy of a record with one dotted field replaced, or gone."""
    record = copy.deepcopy(record)
    *outer, last = field.split(".")
    place = record
    for key in outer:
        place = place[key]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return record


@pytest.mark.parametrize(("record", "request_"), [(NATIVE, AS_NATIVE), (EASYEDIT, AS_EASYEDIT)])
def test_each_format_is_recognised_and_read(write, record, request_):
    assert read_requests(write([record])) == Loaded((request_,), 0, ())
    assert request_.prompt == "Paris is the capital of"


@pytest.mark.parametrize(
    ("record", "field", "value", "attribute"),
    [
        (NATIVE, "paraphrase_prompts", GONE, "paraphrases"),
        (NATIVE, "paraphrase_prompts", None, "paraphrases"),
        (NATIVE, "paraphrase_prompts", [], "paraphrases"),
        (NATIVE, "neighborhood_prompts", GONE, "neighborhood"),
        (EASYEDIT, "rephrase_prompt", GONE, "paraphrases"),
        (EASYEDIT, "rephrase_prompt", None, "paraphrases"),
    ],
)
def test_a_probe_that_is_missing_stays_missing(write, record, field, value, attribute):
    (request,) = read_requests(write([changed(record, field, value)])).requests
    assert getattr(request, attribute) == ()


def test_easyedit_locality_is_missing_as_a_whole(write):
    record = changed(changed(EASYEDIT, "locality_prompt", GONE), "locality_ground_truth", GONE)
    assert read_requests(write([record])).requests[0].neighborhood == ()


@pytest.mark.parametrize(
    ("record", "field", "value", "says"),
    [
        (NATIVE, "case_id", GONE, "field case_id is missing"),
        (NATIVE, "case_id", "7", "field case_id: '7' is a str, not an int"),
        (NATIVE, "case_id", True, "field case_id: True is a bool, not an int"),
        (NATIVE, "requested_rewrite", None, "field requested_rewrite: None is a NoneType, not an object"),
        (NATIVE, "requested_rewrite.prompt", GONE, "field requested_rewrite.prompt is missing"),
        (NATIVE, "requested_rewrite.prompt", "Paris is in", "field requested_rewrite.prompt: .* has 0 places {}"),
        (NATIVE, "requested_rewrite.prompt", "{} and {}", "field requested_rewrite.prompt: .* has 2 places {}"),
        (NATIVE, "requested_rewrite.subject", " ", "field requested_rewrite.subject: ' ' is blank"),
        (NATIVE, "requested_rewrite.subject", 3, "field requested_rewrite.subject: 3 is a int, not a str"),
        (NATIVE, "requested_rewrite.target_new", "Peru", "field requested_rewrite.target_new: 'Peru' is a str"),
        (NATIVE, "requested_rewrite.target_new.str", "", "field requested_rewrite.target_new.str: '' is blank"),
        (NATIVE, "requested_rewrite.target_new.str", "France", "target_new.str: 'France' is the true answer already"),
        (NATIVE, "requested_rewrite.target_true", GONE, "field requested_rewrite.target_true is missing"),
        (NATIVE, "paraphrase_prompts", "Paris", "field paraphrase_prompts: 'Paris' is a str, not a list"),
        (NATIVE, "paraphrase_prompts", ["Paris", ""], r"field paraphrase_prompts\[1\]: '' is blank"),
        (
            NATIVE,
            "neighborhood_prompts",
            [{"prompt": "x"}],
            r"field neighborhood_prompts\[0\]: .* is a dict, not a str",
        ),
        (EASYEDIT, "case_id", GONE, "field case_id is missing"),
        (EASYEDIT, "prompt", GONE, "field prompt is missing"),
        (EASYEDIT, "prompt", "{} is the capital of", "field prompt: .* has a place {}"),
        (EASYEDIT, "subject", "paris", "field subject: 'paris' is not in the prompt 'Paris is the capital of'"),
        (EASYEDIT, "subject", "Par\ud800", "field subject: .* half of a surrogate pair"),
        (EASYEDIT, "target_new", " \n", r"field target_new: ' \\n' is blank"),
        (EASYEDIT, "target_new", " France ", "field target_new: 'France' is the true answer already"),
        (EASYEDIT, "ground_truth", ["France"], "field ground_truth: .* is a list, not a str"),
        (EASYEDIT, "rephrase_prompt", "", "field rephrase_prompt: '' is blank"),
        (EASYEDIT, "locality_prompt", GONE, "field locality_prompt is missing"),
        (EASYEDIT, "locality_ground_truth", GONE, "field locality_ground_truth is missing"),
    ],
)
def test_a_malformed_record_is_named_and_can_be_skipped(write, record, field, value, says):
    path = write([changed(record, "case_id", 1), changed(record, field, value), changed(record, "case_id", 9)])
    with pytest.raises(Misuse, match=f"^{path}: record 1: .*{says}.*; mend the record or .*--skip-bad$") as caught:
        read_requests(path)
    assert "\n" not in str(caught.value)
    loaded = read_requests(path, skip_bad=True)
    assert [request.case_id for request in loaded.requests] == [1, 9]
    assert loaded.skipped == len(loaded.reasons) == 1
    assert loaded.reasons[0] == str(caught.value).split("; mend")[0]


@pytest.mark.parametrize("record", [None, 3, "text", [], {}])
def test_a_record_that_is_no_object_is_named(write, record):
    path = write([NATIVE, record])
    with pytest.raises(Misuse, match=r"record 1: field "):
        read_requests(path)
    assert read_requests(path, skip_bad=True).skipped == 1


def test_a_case_id_may_come_once(write):
    path = write([NATIVE, changed(NATIVE, "case_id", 8), NATIVE])
    with pytest.raises(Misuse, match=r"record 2: field case_id: 7 is that of record 0 too"):
        read_requests(path)
    loaded = read_requests(path, skip_bad=True)
    assert ([request.case_id for request in loaded.requests], loaded.skipped) == ([7, 8], 1)


def test_a_file_has_one_format(write):
    with pytest.raises(
        Misuse, match=r"record 1: field case_id is missing|record 1: field requested_rewrite is missing"
    ):
        read_requests(write([NATIVE, EASYEDIT]))


def test_the_limit_counts_sound_records(write):
    path = write([3, NATIVE, 4, changed(NATIVE, "case_id", 8), 5])
    loaded = read_requests(path, skip_bad=True, limit=2)
    assert ([request.case_id for request in loaded.requests], loaded.skipped) == ([7, 8], 2)
    assert read_requests(write([NATIVE, 3]), limit=1).requests == (AS_NATIVE,)
    with pytest.raises(Misuse, match="limit 0 leaves no record"):
        read_requests(path, limit=0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"is not JSON \(0 bytes: "),
        (b"[{", "is not JSON"),
        (b"\xff\xfe[]", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"{}", "holds a JSON dict, not a list"),
        (b"3", "holds a JSON int, not a list"),
        (b"[]", "holds an empty list"),
        (b"[3, {}]", "none of its 2 records has the fields of a known format: mquake"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_that_is_no_list_of_records_is_refused(tmp_path, content, says, skip_bad):
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    with pytest.raises(Misuse, match=f"^{path}:? {says}.*;") as caught:
        read_requests(path, skip_bad=skip_bad)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(Misuse, match=f"^{path} is not a file; pass a data set's JSON"):
            read_requests(path)


def test_a_file_without_a_sound_record_is_refused(write):
    path = write([changed(NATIVE, "case_id", "x"), 3])
    with pytest.raises(Misuse, match=r"has no sound record among 2 \(the first: .*record 0: field case_id: 'x'"):
        read_requests(path, skip_bad=True)


@pytest.mark.parametrize(
    ("prompt", "subject", "template"),
    [
        ("The capital of Peru is", "Peru", "The capital of {} is"),
        ("Paris fans in Paris say", "Paris", "Paris fans in {} say"),
        ("Paris is where Parisians", "Paris", "{} is where Parisians"),
        ("Parisians call Parisienne", "Paris", "Parisians call {}ienne"),
        ("aaaa b", "aa", "aa{} b"),
        ("Who owns C++? C++'s owner is", "C++", "Who owns C++? {}'s owner is"),
        ("{a} Peru", "Peru", "{a} {}"),
    ],
)
def test_the_last_occurrence_that_is_a_word_opens_the_template(prompt, subject, template):
    assert open_template(prompt, subject) == template
    assert Request(0, template, subject, "x", "y").prompt == prompt


@needs_data
@pytest.mark.parametrize(
    ("file", "count", "paraphrases", "neighborhood"),
    [("counterfact_native_500.json", 500, 2, 10), ("counterfact_easyedit_21919.json", 21_919, 1, 1)],
)
def test_the_real_files_are_sound(file, count, paraphrases, neighborhood):
    path = Path(DATA) / "counterfact" / file
    loaded = read_requests(path)
    assert (len(loaded.requests), loaded.skipped) == (count, 0)
    records = json.loads(path.read_text(encoding="utf-8"))
    for request, record in zip(loaded.requests, records, strict=True):
        rewrite = record.get("requested_rewrite", record)
        assert request.prompt == rewrite["prompt"].replace("{}", rewrite["subject"])
        assert (len(request.paraphrases), len(request.neighborhood)) == (paraphrases, neighborhood)


@needs_data
def test_the_two_formats_agree_on_the_facts_they_share():
    folder = Path(DATA) / "counterfact"
    ours = read_requests(folder / "counterfact_easyedit_21919.json").requests
    known = {request.case_id: request for request in ours}
    for request in read_requests(folder / "counterfact_native_500.json").requests:
        other = known[request.case_id]
        assert (request.template, request.subject) == (other.template, other.subject)
        assert (request.target_new, request.target_true) == (other.target_new, other.target_true)
        assert set(other.neighborhood) <= set(request.neighborhood)
