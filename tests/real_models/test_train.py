"""The world's model: what it learns, that equal seeds make equal weights, and a cache that is never half-believed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, GPT2LMHeadModel

from real_models.bench import set_up
from real_models.config import EditConfig, SolveConfig
from real_models.documents import document_batches, encode_statements
from real_models.evaluate import evaluate_edits
from real_models.recipe import TrainConfig
from real_models.train import Trained, cache_key, load_trained, train
from real_models.world import WorldConfig, make_world
from theory.command import Misuse

WORLD = make_world(WorldConfig(subjects=12, relations=2, objects=3, templates=2, first_names=4))
RECIPE = TrainConfig(layers=2, width=32, hidden=64, heads=2, context=32, batch=8, steps=400, learning_rate=4e-3)
BRIEF = dataclasses.replace(RECIPE, steps=3, floor=0.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def learned(cache: Path) -> Trained:
    return load_trained(WORLD, RECIPE, cache_dir=cache, quiet=True)


def weights(model: GPT2LMHeadModel) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def test_it_answers_the_held_in_prompts_when_asked_one_at_a_time(learned: Trained) -> None:
    hits = 0
    for prompt, answer in WORLD.held_in:
        ids = torch.tensor([learned.tokenizer(prompt)["input_ids"]])
        hits += learned.tokenizer.decode(learned.model(ids).logits[0, -1].argmax()) == answer
    assert hits / len(WORLD.held_in) == learned.accuracy
    assert learned.accuracy >= 0.98
    assert not learned.cached
    assert not any(weight.requires_grad for weight in learned.model.parameters())


def test_a_second_load_gives_the_same_weights_from_the_cache(learned: Trained, cache: Path) -> None:
    again = load_trained(WORLD, RECIPE, cache_dir=cache, quiet=True)
    assert again.cached
    assert (again.accuracy, again.steps) == (learned.accuracy, learned.steps)
    torch.testing.assert_close(weights(again.model), weights(learned.model), rtol=0, atol=0)
    assert [path.name for path in cache.iterdir()] == [cache_key(WORLD, RECIPE)]


def test_the_cached_folder_is_one_that_transformers_reads(learned: Trained, cache: Path) -> None:
    folder = cache / cache_key(WORLD, RECIPE)
    model = GPT2LMHeadModel.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = WORLD.held_in[0][0]
    assert tokenizer(prompt)["input_ids"] == learned.tokenizer(prompt)["input_ids"]
    torch.testing.assert_close(weights(model), weights(learned.model), rtol=0, atol=0)


def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone() -> None:
    world, before = WORLD, torch.random.get_rng_state()
    first, second = train(world, BRIEF, quiet=True), train(world, BRIEF, quiet=True)
    other = train(world, dataclasses.replace(BRIEF, seed=1), quiet=True)
    torch.testing.assert_close(weights(first.model), weights(second.model), rtol=0, atol=0)
    assert not torch.equal(first.model.transformer.wpe.weight, other.model.transformer.wpe.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_documents_deal_every_statement_and_mark_the_answers() -> None:
    world = WORLD
    tokenizer = world.new_tokenizer()
    statements = encode_statements(tokenizer, world.statements)
    batches = document_batches(statements, 8, 32, tokenizer.bos_token_id, 0.0, torch.Generator().manual_seed(0))
    answers = {word for pool in world.objects.values() for word in pool} | set(world.kinds.values())
    seen = set()
    for _, (ids, marked, subjects) in zip(range(40), batches, strict=False):
        assert ids.shape == marked.shape == (8, 32)
        assert not subjects.any()
        assert tokenizer.pad_token_id not in ids
        for row, marks in zip(ids, marked, strict=True):
            words = tokenizer.convert_ids_to_tokens(row.tolist())
            assert words[0] == "<bos>"
            assert [word in answers for word in words] == marks.tolist()
            seen |= {f"{text} ." for text in " ".join(words[1:]).removesuffix(" .").split(" . ")}
    assert set(world.sentences) <= seen


def test_a_model_that_did_not_learn_is_refused(tmp_path: Path) -> None:
    hopeless = dataclasses.replace(BRIEF, floor=0.98)
    with pytest.raises(Misuse, match=r"after 3 steps, not 98%; raise steps"):
        load_trained(WORLD, hopeless, cache_dir=tmp_path, quiet=True)
    assert list(tmp_path.iterdir()) == []


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flip(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def lose_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def lose_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def empty_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def lead_out(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../elsewhere"] = "0"
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "harm", [truncate, flip, lose_weights, lose_manifest, break_manifest, empty_manifest, lead_out]
)
def test_a_harmed_cache_is_refused_in_one_line_with_the_remedy(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    load_trained(WORLD, BRIEF, cache_dir=tmp_path, quiet=True)
    folder = tmp_path / cache_key(WORLD, BRIEF)
    harm(folder)
    with pytest.raises(Misuse, match=r"delete th.* folder and run again") as caught:
        load_trained(WORLD, BRIEF, cache_dir=tmp_path, quiet=True)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_key_tells_worlds_and_recipes_apart() -> None:
    keys = {
        cache_key(WORLD, RECIPE),
        cache_key(make_world(dataclasses.replace(WORLD.config, seed=1)), RECIPE),
        cache_key(WORLD, dataclasses.replace(RECIPE, seed=1)),
    }
    assert len(keys) == 3


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"heads": 3}, {"floor": 1.5}, {"target": 0.5}])
def test_a_recipe_that_cannot_be_followed_is_named(wrong: dict[str, float]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(Misuse, match=f"{name}={value}"):
        dataclasses.replace(RECIPE, **wrong)


def test_the_bar_names_recall(capsys: pytest.CaptureFixture[str]) -> None:
    train(WORLD, BRIEF)
    shown = capsys.readouterr()
    assert "recall" in shown.err
    assert shown.out == ""


def test_a_run_takes_model_requests_and_texts_from_the_world(learned: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("real_models.world.WorldConfig", lambda: WORLD.config)
    monkeypatch.setattr("real_models.train.load_trained", lambda corpus, recipe: learned)
    bench = set_up(EditConfig(edits=3, seed=5, solve=SolveConfig(prefixes=0)))
    known = WORLD.requests(5)
    assert len(bench.stream) == 3
    assert set(bench.stream) <= set(known)
    assert bench.editable.essence == WORLD.essence_template
    assert bench.held_out == tuple(WORLD.held_out_text(5, 40))
    assert not set(bench.held_out) & set(bench.text)
    result = evaluate_edits(bench.adapter, bench.editable.tokenizer, bench.stream)
    assert result["efficacy"] < 50 < result["specificity"]  # nothing is edited, and the model knows its world
