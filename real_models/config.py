"""What a user may choose; nothing here imports torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class SolveConfig:
    """The value solve; defaults are the MEMIT family's published ones for GPT-J."""

    learning_rate: float = 0.5
    """Adam's learning rate for δ."""
    steps: int = 25
    """Losses a solve evaluates at most; one update fewer, as published."""
    clamp: float = 0.75
    """Largest ‖δ‖ as a multiple of the layer output's norm ‖h‖."""
    decay: float = 0.5
    """Weight of ‖δ‖/‖h‖² in the loss."""
    kl: float = 0.0625
    """Weight of the KL term at the essence prompt."""
    stop_loss: float = 0.05
    """A solve ends when its loss is below this."""
    most_probable: int | None = None
    """MPES: also end a solve this many updates after the new answer has become the likeliest at every prompt (4 on
    GPT-2 XL, 2 on Llama-3 as published); default: never."""
    keep: float | None = None
    """EAC: from half of the steps on move only this share of δ's dimensions (0.2 for ROME, 0.05 for MEMIT as
    published); default: all."""
    elastic: float = 5e-7
    """EAC, with --keep: weight of Σ|δ_j|/score_j in the loss."""
    prefixes: int = 5
    """How many texts, sampled from the model, stand before the prompt in turn."""
    prefix_tokens: int = 10
    """Tokens a prefix."""
    essence: str | None = None
    """The prompt whose next-token distribution an edit should keep; default: the world's own, else "{} is a"."""


@dataclass(frozen=True)
class EditConfig:
    """One sequential run: which model, which edits, which rule."""

    model: str = "world"
    """A llama2.c checkpoint, a local folder or a hub name; "world" trains one on a synthetic world, "facts" one on what
    the data set's file says to be true; world:OPTION=VALUE,… and facts:OPTION=VALUE,… change how, such as
    facts:width=64,hidden=256,layers=3."""
    data: str = "world"
    """A data set's JSON file, or hub:OWNER/NAME/FILE; "world" is the synthetic world's own facts."""
    data_format: Literal["counterfact", "easyedit", "zsre", "zsre_alt", "wikibigedit", "mquake"] | None = None
    """The file's format; default: told by its fields (MultiCounterFact's are CounterFact's)."""
    rule: str = "rome"
    """The update rule: a name of `python -m sim rules`, or NAME:OPTION=VALUE,…"""
    deltas: tuple[str, ...] = ()
    """Delta transforms in order, such as rect or prune, as NAME or NAME:OPTION=VALUE,…"""
    metric: Literal["identity", "covariance"] = "identity"
    """ROME's C: the identity as in the paper's theorem, or measured on text."""
    anchor: bool = False
    """Norm-Anchor Scaling: rescale each solved value to the pilots' mean norm."""
    one_sided: bool = False
    """Let the anchor only shorten values; as published it also lengthens them."""
    drop: float | None = None
    """Drop an edit whose value is longer than this many anchors (2 as published); default: drop nothing."""
    anchor_times: float = 1.0
    """With --anchor: the anchor is this many times the pilots' mean norm (1 as published)."""
    anchor_at: Literal["last", "every"] = "last"
    """With --anchor: rescale the solved value once, at the last edited layer as published, or what every edited layer
    writes, each to an anchor of its own."""
    values_from: Literal["current", "original"] = "current"
    """The weights on which a value is solved: the edited ones, or as NSE does the original ones."""
    edits: int = 100
    """How many edits."""
    order: Literal["shuffled", "template"] = "shuffled"
    """The stream's order: as the seed shuffles it, or one prompt template after another, a stream that drifts."""
    batch: int = 1
    """Edits a step, written together."""
    layers: tuple[int, ...] | None = None
    """The edited layers, in order; default: the one layer with the best measured single-edit efficacy."""
    layer_trials: int = 20
    """Single edits a layer when the layer is chosen by measurement."""
    score_trials: int = 20
    """Fresh single edits at the chosen layer (the `layers` command only)."""
    pilots: int = 100
    """Pilot solves on the unedited model behind the anchor (1000 as published)."""
    weighting: float | None = None
    """MEMIT's λ; default: the key dimension, the published ratio on GPT-J (15000 : 16384)."""
    ridge: float | None = None
    """AlphaEdit's L2 (10 as published); default: a tenth of tr(PC), which writes a typical key with η near 0.9."""
    threshold: float | None = None
    """AlphaEdit's absolute null-space threshold on C's eigenvalues (2e-2 as published); default: by energy."""
    energy: float = 0.02
    """AlphaEdit, without --threshold: the null space holds at most this share of C's trace."""
    text: str | None = None
    """Text for C and for held-out perplexity: a .txt file or a JSON list of strings; the world brings its own."""
    checkpoint_every: int = 50
    """Edits between evaluations."""
    early: bool = False
    """Evaluate also after 8, 16, 32, … edits, up to the first of the regular evaluations."""
    eval_sample: int = 100
    """Evaluate at most this many of the edits so far, sampled with the run's seed."""
    fluency: int = 0
    """Texts of 100 tokens that the model writes at every checkpoint, to measure fluency on; default: none."""
    save_every: int = 25
    """Edits between saves of the resume state."""
    identity_every: int = 25
    """Steps between measurements of both sides of T1's identity, each of which costs dense products with M⁻¹; with
    --deltas it is not measured."""
    skip_bad: bool = False
    """Go on past malformed records, and report how many there were."""
    seed: int = 0
    """Seed of the stream's order, of the prefixes and of the pilots."""
    dtype: Literal["float32", "bfloat16", "float16", "float64"] = "float32"
    """The model's dtype; solves run in float64."""
    device: str = "cpu"
    """A torch device."""
    solve: Annotated[SolveConfig, tyro.conf.arg(name="")] = field(default_factory=SolveConfig)
    """The value solve."""


@dataclass(frozen=True)
class EditCommand:
    """Edit a model in sequence and measure the norm recursion at every write."""

    run: Annotated[EditConfig, tyro.conf.arg(name="")] = field(default_factory=EditConfig)
    """The run."""
    out: Path = Path("results/edit")
    """The run's folder; the same command resumes a run that was stopped."""


@dataclass(frozen=True)
class CompareConfig:
    """Several editors with several seeds, in step on one model."""

    editors: tuple[str, ...] = ("rome", "rome+nas", "memit", "memit+nas", "alphaedit", "alphaedit+nas")
    """Editors, each RULE[:OPTION=VALUE,…] with parts behind +: nas (options one_sided, drop=ANCHORS, times=FACTOR),
    delta transforms such as rect or prune, and `original` for values solved on the unedited weights."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each seed draws a stream's order, its prefixes and its pilots; every editor runs with every seed."""
    run: Annotated[EditConfig, tyro.conf.arg(name="")] = field(default_factory=EditConfig)
    """What they share: model, data, layers, edits, value solve; what `--editors` and `--seeds` say is refused here."""
    single: bool = False
    """Write every edit into the unedited model: its success right after the write is measured, nothing else."""


@dataclass(frozen=True)
class CompareCommand:
    """Run several editors with several seeds in step on one model."""

    compare: Annotated[CompareConfig, tyro.conf.arg(name="")] = field(default_factory=CompareConfig)
    """The comparison."""
    out: Path = Path("results/compare")
    """Its folder; the same command resumes a comparison that was stopped."""


@dataclass(frozen=True)
class CollapseCommand:
    """Run the collapse experiment: every comparison of it, two at a time, each in a folder of its own."""

    data: str | None = None
    """CounterFact's native file; without it the comparison on a model taught its statements is left out."""
    only: tuple[str, ...] = ()
    """Comparisons to run, by name; all without it."""
    out: Path = Path("results/collapse")
    """Where the comparisons' folders go; those that are there already are kept, or resumed."""
    record: Path | None = None
    """Also write there, as small tables, evaluations, norms and summaries."""


@dataclass(frozen=True)
class ForecastCommand:
    """Foretell where the streams of a run collapse, from what it has evaluated so far."""

    run: Annotated[Path, tyro.conf.Positional]
    """The folder of `edit` or `compare`: finished, stopped or still running."""
    score: str = "score_rescaled"
    """Which score: score_rescaled, score_exact or score; it collapses below 60."""


@dataclass(frozen=True)
class LayersConfig:
    """A measurement of single edits at every layer."""

    run: Annotated[EditConfig, tyro.conf.arg(name="")] = field(default_factory=EditConfig)
    """Model, data and value solve; `--layer-trials` edits a layer."""


@dataclass(frozen=True)
class LayersCommand:
    """Measure by single edits which layer takes them best."""

    measure: Annotated[LayersConfig, tyro.conf.arg(name="")] = field(default_factory=LayersConfig)
    """What is measured."""
    out: Path = Path("results/layers")
    """The measurement's folder."""


@dataclass(frozen=True)
class KeysConfig:
    """A reading of keys."""

    run: Annotated[EditConfig, tyro.conf.arg(name="")] = field(default_factory=EditConfig)
    """Model and data; `--edits` keys at the last of `--layers`."""


@dataclass(frozen=True)
class KeysCommand:
    """Write the keys of a stream at one layer, and its weight, for `python -m theory predict`."""

    read: Annotated[KeysConfig, tyro.conf.arg(name="")] = field(default_factory=KeysConfig)
    """What is read."""
    out: Path = Path("results/keys")
    """The reading's folder; its keys.safetensors holds `keys` (edits, n) and `weight` (m, n)."""


@dataclass(frozen=True)
class SpeedConfig:
    """A race of the fast path against the textbook's, on random weights; defaults have GPT-2-small's shape."""

    rules: tuple[Literal["memit", "alphaedit"], ...] = ("alphaedit", "memit")
    """Which rules."""
    edits: int = 5
    """Timed edits a rule, after one that is not counted."""
    width: int = 768
    """Width of the residual stream; the MLP is four times as wide."""
    depth: int = 12
    """Blocks."""
    vocabulary: int = 50257
    """Tokens."""
    layers: tuple[int, ...] = (3, 4, 5, 6, 7)
    """The edited layers."""
    prompts: int = 6
    """Prompts a request, the bare one among them; the essence prompt comes to them."""
    dtype: Literal["float32", "bfloat16", "float16", "float64"] = "float32"
    """The model's dtype; solves run in float64."""
    device: str = "cpu"
    """A torch device."""
    seed: int = 0
    """Of weights, statistics and requests."""
    solve: Annotated[SolveConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: SolveConfig(steps=20, stop_loss=0.0, learning_rate=0.1)
    )
    """The value solve; its prefixes are `--prompts`."""


@dataclass(frozen=True)
class SpeedCommand:
    """Time an edit beside the textbook's, on random weights of a model's shape."""

    race: Annotated[SpeedConfig, tyro.conf.arg(name="")] = field(default_factory=SpeedConfig)
    """What is timed."""
    json: Path | None = None
    """Also write the rows there."""
