"""A small transformer that knows a made-up world, trained on the spot and kept in the user's cache."""

from __future__ import annotations

import errno
import hashlib
import math
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from real_models.cache import cache_folder
from real_models.documents import Questions, ask, document_batches, encode_statements, world_tokenizer
from real_models.recipe import TrainConfig
from real_models.world import World, WorldConfig, make_world
from sim.results import read_json, sha256
from theory.command import Misuse
from theory.files import write_json

MANIFEST = "manifest.json"


class Trained(NamedTuple):
    """What `train` made.

    Attributes:
        model: in evaluation mode, no parameter asking for a gradient.
        tokenizer: a fast tokenizer, one token a word, which opens every text with BOS.
        accuracy: share of the world's held-in prompts that the model answers.
        steps: how many it took.
        seconds: wall time.
    """

    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    accuracy: float
    steps: int
    seconds: float


@dataclass(frozen=True)
class WorldModel:
    """A trained model with its world.

    Attributes:
        model: in evaluation mode, no parameter asking for a gradient.
        tokenizer: its fast tokenizer.
        world: what it knows.
        accuracy: share of the held-in prompts that it answered when it was made.
        steps: training steps that it took.
        seconds: wall time of the training.
        cached: it was loaded, not trained.
    """

    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    world: World
    accuracy: float
    steps: int
    seconds: float
    cached: bool


def train(world: World, config: TrainConfig, *, quiet: bool = False) -> Trained:
    """Teach a transformer of GPT-2's architecture every fact of a world.

    Args:
        world: what to learn.
        config: the recipe.
        quiet: show no progress bar on stderr.

    Returns:
        The model, its tokenizer, and what the training took. Equal arguments give equal weights on a machine with
        equal threads; torch's global generator is left as it was.

    Raises:
        Misuse: the model answers too few of the held-in prompts after all steps.
    """
    started = time.monotonic()
    tokenizer = world_tokenizer(world)
    model = new_model(config, tokenizer)
    optimizer = _optimizer(model, config)
    questions = ask(tokenizer, world.held_in)
    generator = torch.Generator().manual_seed(config.seed)
    statements = encode_statements(tokenizer, world.sentences)
    batches = document_batches(statements, config.batch, config.context, tokenizer.bos_token_id, generator)
    accuracy = 0.0
    with _bar(quiet) as bar:
        task = bar.add_task("training the world's model", total=config.steps, accuracy=accuracy, rate=0.0)
        for step, (ids, answers) in zip(range(1, config.steps + 1), batches, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = group["scale"] * config.learning_rate * _schedule(step, config)
            optimizer.zero_grad(set_to_none=True)
            _loss(model, ids, answers, config.answer_weight).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % config.check_every == 0 or step == config.steps:
                accuracy = recall(model, questions)
            bar.update(task, completed=step, accuracy=accuracy, rate=step / (time.monotonic() - started))
            if accuracy >= config.target:
                break
    if accuracy < config.floor:
        raise Misuse(
            f"the world's model answers {accuracy:.1%} of {len(world.held_in)} held-in prompts after "
            f"{config.steps} steps, not {config.floor:.0%}; raise steps or make the world smaller"
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


def recall(model: GPT2LMHeadModel, questions: Questions, batch: int = 512) -> float:
    """The share of questions whose answer is the model's most likely next word."""
    hits = 0
    with torch.no_grad():
        for ids, last, answers in zip(*(part.split(batch) for part in questions), strict=True):
            seen = torch.arange(ids.shape[1]) <= last[:, None]
            states = model.transformer(ids, attention_mask=seen.long(), use_cache=False).last_hidden_state
            hidden = states[torch.arange(len(ids)), last]
            hits += int((model.lm_head(hidden).argmax(dim=-1) == answers).sum())
    return hits / len(questions.ids)


def _loss(
    model: GPT2LMHeadModel, ids: Int[Tensor, "b t"], answers: Bool[Tensor, "b t"], answer_weight: float
) -> Float[Tensor, ""]:
    """Mean NLL over all tokens, plus answer_weight times the mean NLL over answers."""
    logits = model(ids, use_cache=False).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses.mean() + answer_weight * losses[answers[:, 1:].flatten()].mean()


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


def load_world_model(
    world: WorldConfig, recipe: TrainConfig | None = None, *, cache_dir: Path | None = None, quiet: bool = False
) -> WorldModel:
    """The trained model of a world: from the cache, or trained now and put there.

    The cache holds one folder a (world, recipe, source text of the code that makes them), in transformers' layout,
    with a manifest of checksums. It is written under another name and then renamed, so no reader sees half of it.

    Args:
        world: which world.
        recipe: how to train; None is `TrainConfig()`.
        cache_dir: where the models are kept; None is the user's cache directory.
        quiet: show no progress bar.

    Returns:
        The model with its world and what the training took.

    Raises:
        Misuse: the cached model is truncated or altered, or the training ends below the recipe's floor.
        OSError: the cache cannot be written.
    """
    recipe = recipe or TrainConfig()
    made = make_world(world)
    folder = (cache_dir or cache_folder("world")) / cache_key(world, recipe)
    cached = folder.exists()
    if not cached:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _store(train(made, recipe, quiet=quiet), folder)
    trained = _load(made, recipe, folder)
    return WorldModel(trained.model, trained.tokenizer, made, trained.accuracy, trained.steps, trained.seconds, cached)


def cache_key(world: WorldConfig, recipe: TrainConfig) -> str:
    """SHA-256 of both configs and of the source text that turns them into weights, shortened to 20 digits."""
    digest = hashlib.sha256(repr((asdict(world), asdict(recipe))).encode())
    for source in ("world.py", "documents.py", "recipe.py", "train.py"):
        digest.update(Path(__file__).with_name(source).read_bytes())
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


def _load(world: World, recipe: TrainConfig, folder: Path) -> Trained:
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
    tokenizer = world_tokenizer(world)
    model = new_model(recipe, tokenizer)
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({**weights, "lm_head.weight": weights["transformer.wte.weight"]})
    return Trained(model.eval().requires_grad_(False), tokenizer, *facts)
