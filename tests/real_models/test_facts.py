"""A model of a file's own facts: what is stated, how it is read, what is learnt, and what a run takes from it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from real_models.adapters.adapter import adapter_for
from real_models.bench import set_up
from real_models.config import EditConfig, SolveConfig
from real_models.corpus import sentence
from real_models.corpus_tokenizers import SPECIAL, byte_pair_tokenizer
from real_models.datasets.formats import read_requests
from real_models.documents import ask, document_batches, encode_statements
from real_models.evaluate import evaluate_edits, score_answers
from real_models.facts import Facts, known_facts
from real_models.prompts import encode, fill
from real_models.recipe import FACTS, TrainConfig, chosen_recipe
from real_models.requests import Probe, Request
from real_models.train import Trained, cache_key, load_trained, recall, train
from theory.command import Misuse

DATA = os.environ.get("NORM_ANCHOR_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="NORM_ANCHOR_DATA is unset: no CounterFact files to read")

RIVERS = ("Amstel", "Brenta", "Côle", "Dvina", "Ebro", "Fulda", "Garonne", "Havel", "Inn", "Jiu", "Kama", "Loire")
SEAS = ("Black Sea", "Ägäis", "Kattegat")
RECIPE = TrainConfig(
    layers=2, width=32, hidden=64, heads=2, context=48, batch=8, steps=400, learning_rate=6e-3, embedding_rate=1.0
)
BRIEF = dataclasses.replace(RECIPE, steps=3, floor=0.0)


def record(case: int) -> dict[str, Any]:
    """A native CounterFact record: a river, its sea, another sea, and another river of the same sea."""
    river, sea = RIVERS[case], SEAS[case % 3]
    return {
        "case_id": case,
        "requested_rewrite": {
            "prompt": "The river {} flows into the",
            "subject": river,
            "target_true": {"str": sea},
            "target_new": {"str": SEAS[(case + 1) % 3]},
        },
        "paraphrase_prompts": [f"Printed in {1900 + case}. The mouth of the {river} is in the"],
        "neighborhood_prompts": [f"The river {RIVERS[(case + 3) % 12]} flows into the"],
    }


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "rivers.json", [record(case) for case in range(12)])


@pytest.fixture(scope="module")
def facts(data: Path) -> Facts:
    return known_facts(read_requests(data).requests, "rivers")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def learned(facts: Facts, cache: Path) -> Trained:
    return load_trained(facts, RECIPE, cache_dir=cache, quiet=True)


def test_the_statements_are_the_files_true_ones_and_each_prompt_comes_once(facts: Facts) -> None:
    expected = {f"The river {river} flows into the": SEAS[i % 3] for i, river in enumerate(RIVERS)}
    for i, river in enumerate(RIVERS):
        expected[f"Printed in {1900 + i}. The mouth of the {river} is in the"] = SEAS[i % 3]
    assert dict(facts.held_in) == expected
    assert len(facts.statements) == len(expected) == 24
    assert (facts.contradicted, facts.unanswered) == (0, 0)


def test_of_two_answers_the_requests_own_comes_first_and_the_rest_is_counted() -> None:
    early = Request(0, "{} is in", "Rome", "Peru", "Italy", neighborhood=(Probe("Lyon is in", "Gaul"),))
    late = Request(1, "{} is in", "Lyon", "Peru", "France", neighborhood=(Probe("Rome is in", "Italy"),))
    unknown = Request(2, "{} is in", "Nice", "Peru", None)
    facts = known_facts((early, late, unknown), "")
    assert facts.held_in == (("Rome is in", "Italy"), ("Lyon is in", "France"))
    assert (facts.contradicted, facts.unanswered) == (1, 1)
    with pytest.raises(Misuse, match="none of the 1 records tells its true answer"):
        known_facts((unknown,), "")


def test_texts_are_drawn_from_the_statements_afresh(facts: Facts) -> None:
    held_out = facts.held_out_text(seed=0, documents=20)
    assert held_out == facts.held_out_text(seed=0, documents=20)
    assert held_out != facts.held_out_text(seed=1, documents=20)
    assert not set(held_out) & set(facts.text(seed=0, documents=200))
    stated = set(map(sentence, facts.statements))
    assert {f"{one} ." for text in held_out for one in text.removesuffix(" .").split(" . ")} <= stated


def test_equal_texts_give_equal_tokenizers_and_any_text_can_be_read(facts: Facts) -> None:
    one, two = facts.new_tokenizer(), facts.new_tokenizer()
    assert one.get_vocab() == two.get_vocab()
    assert one.convert_ids_to_tokens(range(len(SPECIAL))) == list(SPECIAL.values())
    strange = "Ünïcode 漢字, “quoted”\n and\ttabs; 1234 — ’s"
    ids = one(strange)["input_ids"]
    assert ids[0] == one.bos_token_id
    assert one.unk_token_id not in ids
    assert one.decode(ids[1:]) == f" {strange}"


def test_a_word_is_read_alike_at_the_beginning_and_within(facts: Facts) -> None:
    tokenizer = facts.new_tokenizer()
    whole = tokenizer(" ".join(map(sentence, facts.statements)), add_special_tokens=False)["input_ids"]
    parts = [tokenizer(sentence(one), add_special_tokens=False)["input_ids"] for one in facts.statements]
    assert [token for part in parts for token in part] == whole


@pytest.mark.parametrize("size", [260, 300, 1000])
@pytest.mark.parametrize("prefix", ["", "So it was. ", "Ça va ? "])
def test_offsets_find_subject_and_answer(facts: Facts, size: int, prefix: str) -> None:
    tokenizer = byte_pair_tokenizer(list(map(sentence, facts.statements)), size)
    for subject in RIVERS:
        for template in ("The river {} flows into the", "{}'s mouth is in the", "Where? In {}, the"):
            prompt, span = fill(template, subject, prefix)
            encoded = encode(tokenizer, prompt, subject=span, answer="Ägäis")
            upto = tokenizer.decode(encoded.ids[1 : encoded.subject_last + 1])
            assert upto == f" {prompt[: span[1]]}"
            assert tokenizer.decode(encoded.ids[encoded.answer_start :]) == " Ägäis"


def test_documents_mark_every_token_of_the_answers(facts: Facts) -> None:
    tokenizer = byte_pair_tokenizer(list(map(sentence, facts.statements)), 300)
    statements = encode_statements(tokenizer, facts.statements)
    for one, ids, marks, named in zip(facts.statements, *statements[:1], *statements[2:], strict=True):
        assert tokenizer.decode(ids[marks]) == f" {one.answer}"
        subject = next(river for river in RIVERS if river in one.prompt)
        assert tokenizer.decode(ids[named]).strip() == subject
    assert statements.answers.sum(dim=1).max() > 2
    opened = stated = 0
    batches = document_batches(statements, 4, 200, tokenizer.bos_token_id, 0.5, torch.Generator().manual_seed(0))
    for _, (ids, marks, numbers) in zip(range(5), batches, strict=False):
        assert ids.shape == (4, 200)
        assert (ids[:, 0] == tokenizer.bos_token_id).all()
        assert tokenizer.pad_token_id not in ids
        opened += int((ids == tokenizer.bos_token_id).sum())
        for row, marked, number in zip(ids, marks, numbers, strict=True):
            stated += int((marked & ~marked.roll(1)).sum())
            for one in range(1, int(number.max())):  # the last may be cut by the document's end
                assert tokenizer.decode(row[number == one]).strip() in RIVERS
            answers = tokenizer.decode(row[marked & (number.cummax(dim=0).values < number.max())])
            assert set(answers.split()) <= set(" ".join(SEAS).split())
    assert 0.3 < opened / stated < 0.75


def test_with_parted_statements_each_is_seen_as_often_as_any_other(facts: Facts) -> None:
    tokenizer = facts.new_tokenizer()
    statements = encode_statements(tokenizer, facts.statements)
    batches = document_batches(statements, 2, 60, tokenizer.bos_token_id, 0.5, torch.Generator().manual_seed(0))
    counted = Counter[str]()
    for _, documents in zip(range(120), batches, strict=False):
        for row, number in zip(documents.ids, documents.subjects, strict=True):
            counted.update(tokenizer.decode(row[number == one]).strip() for one in range(1, int(number.max()) + 1))
    counts = [counted[river] for river in RIVERS if river != "Côle"]
    assert min(counts) > 0.8 * max(counts) > 20


def test_subjects_of_neighbourhood_prompts_are_told_by_the_files_own_prompts() -> None:
    request = Request(
        *(0, "The river {} flows into the", "Inn", "Ebro", "Danube", ("In 1901. Inn, a river of the",)),
        neighborhood=(Probe("Isar, a river of the", "Danube"), Probe("Where flows the Lech? To the", "Danube")),
    )
    named = [
        None if one.subject is None else one.prompt[slice(*one.subject)]
        for one in known_facts((request,), "").statements
    ]
    assert named == ["Inn", "Inn", "Isar", None]


def test_recall_counts_answers_whose_every_token_is_the_likeliest(facts: Facts, learned: Trained) -> None:
    questions = ask(learned.tokenizer, facts.held_in)
    scores = score_answers(adapter_for(learned.model), learned.tokenizer, facts.held_in)
    assert recall(learned.model, questions) == sum(score.exact for score in scores) / len(scores) == learned.accuracy
    wrong = [(prompt, SEAS[SEAS.index(answer) - 1]) for prompt, answer in facts.held_in]
    assert recall(learned.model, ask(learned.tokenizer, wrong)) < 0.02
    # one wrong token of several loses the answer
    half = [(prompt, f"{answer} {answer}") for prompt, answer in facts.held_in]
    scores = score_answers(adapter_for(learned.model), learned.tokenizer, half)
    assert max(score.tokens for score in scores) > 0.4
    assert recall(learned.model, ask(learned.tokenizer, half)) == sum(score.exact for score in scores) / len(scores)


def test_the_model_knows_the_file_and_its_probes(data: Path, learned: Trained) -> None:
    assert learned.accuracy >= 0.98
    requests = read_requests(data).requests
    result = evaluate_edits(adapter_for(learned.model), learned.tokenizer, requests)
    assert result["efficacy"] == result["generalisation"] == 0  # nothing is edited
    assert result["specificity_exact"] == 100


def test_a_second_load_comes_from_the_cache_and_another_file_does_not(
    facts: Facts, learned: Trained, cache: Path
) -> None:
    again = load_trained(facts, RECIPE, cache_dir=cache, quiet=True)
    assert again.cached
    assert not learned.cached
    for name, weight in learned.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name])
    keys = {
        cache_key(facts, RECIPE),
        cache_key(dataclasses.replace(facts, identity="another file"), RECIPE),
        cache_key(dataclasses.replace(facts, statements=facts.statements[:-1]), RECIPE),
        cache_key(facts, BRIEF),
    }
    assert len(keys) == 4


def test_equal_seeds_give_equal_weights(facts: Facts) -> None:
    recipe = dataclasses.replace(BRIEF, text_share=0.3)
    first, second = (train(facts, recipe, quiet=True).model.state_dict() for _ in range(2))
    other = train(facts, dataclasses.replace(recipe, text_share=0.4), quiet=True).model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["transformer.wte.weight"], other["transformer.wte.weight"])


def test_a_context_too_short_for_a_statement_is_refused(facts: Facts) -> None:
    with pytest.raises(Misuse, match=r"context=8 does not hold a statement of \d+ tokens"):
        train(facts, dataclasses.replace(BRIEF, context=8), quiet=True)


def test_a_name_gives_a_recipe_its_options() -> None:
    assert chosen_recipe("facts", FACTS) == chosen_recipe("facts:", FACTS) == FACTS
    chosen = chosen_recipe("facts:width=96,hidden=384,layers=3,target=0.99,learning_rate=1", FACTS)
    assert chosen == dataclasses.replace(FACTS, width=96, hidden=384, layers=3, target=0.99, learning_rate=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("facts:wit=96", "model facts has no option 'wit'; it has seed, layers, width"),
        ("facts:width=9.5", "model facts's width is '9.5'; write it as width=NUMBER, a whole number; it has seed"),
        ("world:width", "model world's width is ''"),
        ("world:decay=much", "model world's decay is 'much'; write it as decay=NUMBER, a number; it has seed"),
        ("facts:width=0", "width=0"),
        ("facts:learning_rate=nan", "learning_rate=nan"),
        ("facts:embedding_rate=-1", "embedding_rate=-1"),
        ("facts:text_share=0", "text_share=0"),
        ("facts:alone=2", "alone=2"),
        ("facts:veil=-1", "veil=-1"),
    ],
)
def test_an_option_that_cannot_be_is_named(text: str, message: str) -> None:
    with pytest.raises(Misuse, match=message):
        chosen_recipe(text, FACTS)


def small(data: str, **more: Any) -> EditConfig:
    """A run of three edits on a model that is trained in a moment."""
    recipe = ",".join(
        f"{field.name}={getattr(RECIPE, field.name)}"
        for field in dataclasses.fields(TrainConfig)
        if getattr(RECIPE, field.name) != getattr(FACTS, field.name)
    )
    solve = SolveConfig(prefixes=1, prefix_tokens=4)
    return EditConfig(model=f"facts:{recipe}", data=data, edits=3, seed=5, solve=solve, **more)


def test_a_run_takes_model_requests_and_texts_from_the_file(
    data: Path, learned: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bench = set_up(small(str(data)))
    known = read_requests(data).requests
    assert set(bench.stream) <= set(known)
    assert bench.editable.essence == "{} is a"
    facts = known_facts(known, "")
    assert bench.text == tuple(facts.text(5, 400))
    assert bench.held_out == tuple(facts.held_out_text(5, 40))
    weight = bench.adapter.model.state_dict()["transformer.wte.weight"]
    assert torch.equal(weight, learned.model.state_dict()["transformer.wte.weight"])
    assert [path.parent.name for path in tmp_path.glob("norm-anchor-lab/*/*/manifest.json")] != []
    assert torch.isfinite(bench.covariance(0)).all()


@pytest.mark.parametrize(
    ("model", "name", "text", "message"),
    [
        ("facts", "world", None, "do not go together; facts learns a data set's file, so pass --data FILE"),
        ("facts:width=64", "world", None, "model 'facts:width=64' and data 'world' do not go together"),
        ("world:width=64", "rivers.json", None, "do not go together; the world needs both or none"),
        ("facts", "rivers.json", "t.txt", "--text t.txt is not read with the facts, which brings its own text"),
        ("facts", "nowhere.json", None, "nowhere.json is not a file"),
        ("facts:breadth=9", "rivers.json", None, "no option 'breadth'"),
        ("world:breadth=9", "world", None, "no option 'breadth'"),
    ],
)
def test_names_that_do_not_go_together_are_told(
    model: str, name: str, text: str | None, message: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    with pytest.raises(Misuse, match=message):
        set_up(EditConfig(model=model, data=name, text=text))


@needs_data
def test_the_real_file_is_stated_in_full() -> None:
    path = Path(str(DATA)) / "counterfact" / "counterfact_native_500.json"
    requests = read_requests(path).requests
    facts = known_facts(requests, "")
    asked = [(request.prompt, request.target_true) for request in requests]
    asked += [(prompt, request.target_true) for request in requests for prompt in request.paraphrases]
    asked += [(probe.prompt, probe.answer) for request in requests for probe in request.neighborhood]
    assert len(asked) == 500 * 13
    stated = dict(facts.held_in)
    assert len(stated) == len(facts.statements) == len({prompt for prompt, _ in asked})
    assert sum(stated[prompt] != answer for prompt, answer in asked) == facts.contradicted == 45
    tokenizer = facts.new_tokenizer()
    statements = encode_statements(tokenizer, facts.statements)
    assert int(statements.lengths.max()) < FACTS.context
    assert (statements.answers.sum(dim=1) == 1).all()
    for request in requests[:50]:
        prompt, span = fill(request.template, request.subject)
        encoded = encode(tokenizer, prompt, subject=span, answer=request.target_new)
        assert tokenizer.decode(encoded.ids[1 : encoded.subject_last + 1]).rstrip() == f" {prompt[: span[1]]}"
        assert tokenizer.decode(encoded.ids[encoded.answer_start :]) == f" {request.target_new}"
