"""The made-up world's invariants: what edits at the subject's last token rest on."""

from __future__ import annotations

from collections import Counter

import pytest

from real_models.corpus_tokenizers import SPECIAL
from real_models.documents import ask
from real_models.world import World, WorldConfig, make_world
from theory.command import Misuse

SMALL = WorldConfig(subjects=12, relations=2, objects=3, templates=3, first_names=4)


@pytest.fixture(scope="module", params=[SMALL, WorldConfig()], ids=["small", "default"])
def world(request: pytest.FixtureRequest) -> World:
    return make_world(request.param)


def test_equal_seeds_give_equal_worlds_and_another_seed_another() -> None:
    assert make_world(SMALL) == make_world(SMALL)
    assert make_world(SMALL).subjects != make_world(WorldConfig(**{**vars(SMALL), "seed": 1})).subjects


def test_last_names_belong_to_one_subject_and_are_no_other_word(world: World) -> None:
    last_names = [subject.split()[-1] for subject in world.subjects]
    assert len(set(last_names)) == world.config.subjects
    others = {word for pool in world.objects.values() for word in pool}
    others |= {word for prompts in world.templates.values() for prompt in prompts for word in prompt.split()}
    others |= {subject.split()[0] for subject in world.subjects}
    assert not others & set(last_names)


def test_each_subject_has_one_fact_a_relation_and_answers_are_spread_evenly(world: World) -> None:
    assert Counter((fact.subject, fact.relation) for fact in world.facts) == Counter(
        (subject, relation) for subject in world.subjects for relation in world.templates
    )
    for relation in world.templates:
        counts = Counter(fact.answer for fact in world.facts if fact.relation == relation)
        assert len(counts) == world.config.objects
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_stream_rewrites_each_fact_once(world: World) -> None:
    truth = {fact: fact.answer for fact in world.facts}
    relation_of = {prompt: name for name, prompts in world.templates.items() for prompt in prompts}
    requests = world.requests(seed=3)
    written = Counter((request.subject, relation_of[request.template]) for request in requests)
    assert written == Counter((fact.subject, fact.relation) for fact in truth)
    assert [request.case_id for request in requests] == list(range(len(truth)))
    assert requests == world.requests(seed=3)
    assert [request.subject for request in requests] != [request.subject for request in world.requests(seed=4)]


def test_requests_end_in_the_subject_and_ask_for_another_answer_of_the_relation(world: World) -> None:
    relation_of = {prompt: name for name, prompts in world.templates.items() for prompt in prompts}
    truth = {(fact.subject, fact.relation): fact.answer for fact in world.facts}
    for request in world.requests(seed=0):
        relation = relation_of[request.template]
        assert request.prompt.endswith(f" {request.subject}")
        assert request.target_true == truth[request.subject, relation]
        assert request.target_new != request.target_true
        assert {request.target_new, request.target_true} <= set(world.objects[relation])
        asked = {request.prompt, *request.paraphrases}
        assert asked == {prompt.replace("{}", request.subject) for prompt in world.templates[relation]}


def test_neighbours_are_other_subjects_of_whom_the_same_answer_is_true(world: World) -> None:
    held_in = dict(world.held_in)
    for request in world.requests(seed=0, neighbors=2):
        assert 1 <= len(request.neighborhood) <= 2
        for probe in request.neighborhood:
            assert probe.answer == request.target_true == held_in[probe.prompt]
            assert probe.prompt != request.prompt
            assert probe.prompt.startswith(request.template.removesuffix("{}"))


def test_held_out_documents_are_fresh_and_deterministic(world: World) -> None:
    held_out = world.held_out_text(seed=0, documents=20)
    assert held_out == world.held_out_text(seed=0, documents=20)
    assert not set(held_out) & set(world.text(seed=0, documents=200))
    statements = {statement for document in held_out for statement in document.removesuffix(" .").split(" . ")}
    assert {f"{statement} ." for statement in statements} <= set(world.sentences)


def test_every_word_is_one_token_and_offsets_find_the_last_name(world: World) -> None:
    tokenizer = world.new_tokenizer()
    unknown = tokenizer.unk_token_id
    for request in world.requests(seed=0)[:50]:
        encoding = tokenizer(request.prompt, return_offsets_mapping=True)
        start, end = encoding["offset_mapping"][-1]
        assert request.prompt[start:end] == request.subject.split()[-1]
        assert unknown not in encoding["input_ids"]
        assert encoding["input_ids"][0] == tokenizer.bos_token_id
        assert len(tokenizer(f" {request.target_new}", add_special_tokens=False)["input_ids"]) == 1
    essence = world.essence_template.replace("{}", world.subjects[0])
    assert unknown not in tokenizer(essence)["input_ids"]


def test_any_sequence_of_words_survives_the_round_trip(world: World) -> None:
    tokenizer = world.new_tokenizer()
    ids = list(range(len(SPECIAL), len(tokenizer)))
    text = tokenizer.decode(ids[::-1])
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids[::-1]


def test_questions_end_in_the_subject(world: World) -> None:
    tokenizer = world.new_tokenizer()
    asked = []
    for batch in ask(tokenizer, world.held_in):
        words = tokenizer.convert_ids_to_tokens(batch.ids[batch.answer].tolist())
        answers = tokenizer.convert_ids_to_tokens(batch.ids.roll(-1, dims=1)[batch.answer].tolist())
        asked += zip(words, answers, strict=True)
    assert sorted(asked) == sorted((prompt.split()[-1], answer) for prompt, answer in world.held_in)


@pytest.mark.parametrize(
    "wrong", [{"subjects": 3}, {"objects": 7}, {"relations": 7}, {"relations": 0}, {"templates": 5}, {"first_names": 0}]
)
def test_a_size_that_does_not_fit_is_named(wrong: dict[str, int]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(Misuse, match=f"{name}={value}"):
        WorldConfig(**{**vars(SMALL), **wrong})
