"""A small transformer that knows a corpus, trained on the spot and kept in the user's cache."""

from __future__ import annotations

import errno
import hashlib
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from real_models.cache import cache_folder
from real_models.corpus import Corpus
from real_models.documents import Documents, ask, document_batches, encode_statements
from real_models.prompts import Batch
from real_models.recipe import TrainConfig
from real_models.veil import masked, places
from sim.results import read_json, sha256
from theory.command import Misuse
from theory.files import write_json

MANIFEST = "manifest.json"


class Trained(NamedTuple):
    """What `train` made.

    Attributes:
        model: in evaluation mode, no parameter asking for a gradient.
        tokenizer: the corpus's, fast, which opens every text with BOS.
        accuracy: share of the corpus's held-in prompts that the model answered when it was made.
        steps: how many it took.
        seconds: wall time of the training.
        cached: it was loaded, not trained.
    """

    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    accuracy: float
    steps: int
    seconds: float
    cached: bool = False


def train(corpus: Corpus, config: TrainConfig, *, quiet: bool = False) -> Trained:
    """Teach a transformer of GPT-2's architecture every statement of a corpus.

    Args:
        corpus: what to learn.
        config: the recipe.
        quiet: show no progress bar on stderr.

    Returns:
        The model, its tokenizer, and what the training took. Equal arguments give equal weights on a machine with
        equal threads; torch's global generator is left as it was.

    Raises:
        Misuse: the model answers too few of the held-in prompts after all steps.
    """
    started = time.monotonic()
    tokenizer = corpus.new_tokenizer()
    model = new_model(config, tokenizer)
    optimizer = _optimizer(model, config)
    questions = ask(tokenizer, corpus.held_in)
    generator, draw = (torch.Generator().manual_seed(config.seed) for _ in range(2))
    statements = encode_statements(tokenizer, corpus.statements)
    if config.context <= (longest := int(statements.lengths.max())):
        raise Misuse(
            f"context={config.context} does not hold a statement of {longest} tokens behind BOS; raise it to "
            f"{longest + 1} or more"
        )
    batches = document_batches(
        statements, config.batch, config.context, tokenizer.bos_token_id, config.alone, generator
    )
    accuracy = 0.0
    with _bar(quiet) as bar:
        task = bar.add_task(f"training the {corpus.name} model", total=config.steps, accuracy=accuracy, rate=0.0)
        for step, documents in zip(range(1, config.steps + 1), batches, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = group["scale"] * config.learning_rate * _schedule(step, config)
            optimizer.zero_grad(set_to_none=True)
            _loss(model, documents, config, draw).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % config.check_every == 0 or step == config.steps:
                accuracy = recall(model, questions)
            bar.update(task, completed=step, accuracy=accuracy, rate=step / (time.monotonic() - started))
            if accuracy >= config.target:
                break
    if accuracy < config.floor:
        raise Misuse(
            f"the {corpus.name} model answers {accuracy:.1%} of {len(corpus.held_in)} held-in prompts after "
            f"{config.steps} steps, not {config.floor:.0%}; raise steps or give it less to learn"
        )
    return Trained(model.eval().requires_grad_(False), tokenizer, accuracy, step, time.monotonic() - started)


def new_model(config: TrainConfig, tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """An untrained model whose initial weights depend on the seed alone."""
    shape = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=config.context,
        n_embd=config.width,
        n_layer=config.layers,
        n_head=config.heads,
        n_inner=config.hidden,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = GPT2LMHeadModel(shape).float()
    embeddings = model.get_input_embeddings().weight
    with torch.no_grad():
        embeddings.mul_(config.embedding_scale / shape.initializer_range)
    return model


def recall(model: GPT2LMHeadModel, questions: Sequence[Batch]) -> float:
    """The share of questions whose answer is, token by token behind the true ones, the model's most likely text."""
    hits = asked = 0
    for batch in questions:
        with torch.no_grad():
            seen = batch.answer.int().flip(1).cummax(dim=1).values.flip(1)
            states = model.transformer(batch.ids, attention_mask=seen, use_cache=False).last_hidden_state[batch.answer]
            wrong = model.lm_head(states).argmax(dim=-1) != batch.ids.roll(-1, dims=1)[batch.answer]
        missed = torch.nonzero(batch.answer)[wrong, 0].unique()
        asked, hits = asked + len(batch.ids), hits + len(batch.ids) - len(missed)
    return hits / asked


def _loss(
    model: GPT2LMHeadModel, documents: Documents, config: TrainConfig, draw: torch.Generator
) -> Float[Tensor, ""]:
    """Mean NLL over tokens drawn at random, plus answer_weight times the mean NLL over answers."""
    ids, answers = documents.ids, documents.answers
    targets, marked = ids.roll(-1, dims=1), answers.roll(-1, dims=1)  # behind the last token comes BOS, no answer
    drawn = torch.rand(ids.shape, generator=draw) < config.text_share
    read = drawn | marked
    states = _states(model, documents, config, draw)[read]
    losses = torch.nn.functional.cross_entropy(model.lm_head(states), targets[read], reduction="none")
    drawn[:, -1] = False
    return losses[drawn[read]].mean() + config.answer_weight * losses[marked[read]].mean()


def _states(
    model: GPT2LMHeadModel, documents: Documents, config: TrainConfig, draw: torch.Generator
) -> Float[Tensor, "b t d"]:
    """What the model makes of documents in which each BOS opens a text of its own."""
    if config.alone == config.veil == 0:
        return model.transformer(documents.ids, use_cache=False).last_hidden_state
    texts = (documents.ids == model.config.bos_token_id).cumsum(dim=1)
    veiled = torch.rand(len(documents.ids), 1, generator=draw) < config.veil
    with masked(model, texts, documents.subjects * veiled):
        return model.transformer(documents.ids, position_ids=places(texts), use_cache=False).last_hidden_state


def _optimizer(model: GPT2LMHeadModel, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW; each group's `scale` multiplies the scheduled learning rate."""
    embeddings = model.get_input_embeddings().weight
    others = [weight for weight in model.parameters() if weight is not embeddings]
    groups = [
        {"params": [embeddings], "scale": config.embedding_rate, "weight_decay": 0.0},
        {"params": [weight for weight in others if weight.dim() > 1], "scale": 1.0, "weight_decay": config.decay},
        {"params": [weight for weight in others if weight.dim() == 1], "scale": 1.0, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def _schedule(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine from 1 down to 1/20 at the last step."""
    return min(1, step / config.warmup) * (0.525 + 0.475 * math.cos(math.pi * step / config.steps))


def _bar(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("recall {task.fields[accuracy]:.1%}"),
        console=Console(stderr=True),
        disable=quiet,
    )


def load_trained(
    corpus: Corpus, recipe: TrainConfig | None = None, *, cache_dir: Path | None = None, quiet: bool = False
) -> Trained:
    """The trained model of a corpus: from the cache, or trained now and put there.

    The cache holds one folder a (corpus, recipe, source text of the code that makes weights of them), in transformers'
    layout, with a manifest of checksums. It is written under another name and then renamed, so no reader sees half of
    it.

    Args:
        corpus: what the model knows.
        recipe: how to train; None is `TrainConfig()`.
        cache_dir: where the models are kept; None is the user's cache directory.
        quiet: show no progress bar.

    Returns:
        The model and what the training took.

    Raises:
        Misuse: the cached model is truncated or altered, or the training ends below the recipe's floor.
        OSError: the cache cannot be written.
    """
    recipe = recipe or TrainConfig()
    folder = (cache_dir or cache_folder(corpus.name)) / cache_key(corpus, recipe)
    cached = folder.exists()
    if not cached:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _store(train(corpus, recipe, quiet=quiet), folder)
    return _load(corpus, recipe, folder)._replace(cached=cached)


def cache_key(corpus: Corpus, recipe: TrainConfig) -> str:
    """SHA-256 of corpus and recipe and of the source text that turns them into weights, shortened to 20 digits."""
    stated = (corpus.name, corpus.identity, corpus.statements, corpus.held_in)
    digest = hashlib.sha256(repr((stated, asdict(recipe))).encode())
    for source in ("corpus", "corpus_tokenizers", "documents", "prompts", "recipe", "train", "veil"):
        digest.update(Path(__file__).with_name(f"{source}.py").read_bytes())
    return digest.hexdigest()[:20]


def _store(trained: Trained, folder: Path) -> None:
    """Write the model's folder under a temporary name, then rename it."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        weights = {f"transformer.{name}": weight for name, weight in trained.model.transformer.state_dict().items()}
        save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
        trained.model.config.save_pretrained(temporary)
        trained.tokenizer.save_pretrained(temporary)
        facts = {"accuracy": trained.accuracy, "steps": trained.steps, "seconds": trained.seconds}
        files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        write_json(temporary / MANIFEST, {**facts, "files": files})
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another process was first with the same model
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(corpus: Corpus, recipe: TrainConfig, folder: Path) -> Trained:
    """Read a model's folder after checking every file of its manifest."""
    altered = Misuse(f"the cached model in {folder} is truncated or altered; delete that folder and run again")
    if not (folder / MANIFEST).is_file():
        raise altered
    manifest = read_json(folder / MANIFEST)
    try:
        files, facts = dict(manifest["files"]), (manifest["accuracy"], manifest["steps"], manifest["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise altered from error
    if "model.safetensors" not in files:
        raise altered
    for name, checksum in files.items():
        if Path(name).name != name or not (folder / name).is_file() or sha256(folder / name) != checksum:
            raise altered
    tokenizer = corpus.new_tokenizer()
    model = new_model(recipe, tokenizer)
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({**weights, "lm_head.weight": weights["transformer.wte.weight"]})
    return Trained(model.eval().requires_grad_(False), tokenizer, *facts)
