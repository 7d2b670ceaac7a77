"""How the model of a made-up world is trained; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from theory.command import Misuse


@dataclass(frozen=True)
class TrainConfig:
    """How the model is made.

    The embeddings start long and learn slowly, so that a name stays a mere name and the facts go into the MLPs.
    With embeddings that learn as fast as the rest, subjects with one answer come to share their keys (a mean cosine
    of 0.64 in the first layer instead of 0.23), and one edit overwrites half of its neighbours.
    """

    seed: int = 0
    """Draws the initial weights and the documents."""
    layers: int = 4
    """Transformer blocks."""
    width: int = 128
    """Residual stream d."""
    hidden: int = 512
    """MLP width: the key dimension n of the edited weight."""
    heads: int = 4
    """Attention heads a block."""
    context: int = 64
    """Tokens a document, and the longest text that the model reads."""
    batch: int = 24
    """Documents a step."""
    steps: int = 300
    """Most steps; the learning rate has fallen to a twentieth at the last."""
    warmup: int = 40
    """Steps in which the learning rate rises."""
    learning_rate: float = 2e-3
    """AdamW's largest learning rate."""
    decay: float = 0.01
    """AdamW's weight decay, on matrices other than the embeddings."""
    embedding_rate: float = 0.1
    """The embeddings' learning rate as a share of the others'."""
    embedding_scale: float = 0.1
    """Standard deviation of the initial embeddings."""
    answer_weight: float = 1.0
    """Extra weight of the mean loss over answers, beside the mean loss over all tokens."""
    check_every: int = 20
    """Steps between measurements of the accuracy."""
    target: float = 0.999
    """Stop early once so many of the held-in prompts are answered."""
    floor: float = 0.98
    """Refuse a model that answers fewer."""

    def __post_init__(self) -> None:
        for name in ("layers", "width", "hidden", "heads", "context", "batch", "steps", "warmup", "check_every"):
            if getattr(self, name) < 1:
                raise Misuse(f"the training has {name}={getattr(self, name)}; it must be at least 1")
        if self.width % self.heads:
            raise Misuse(f"the model's width {self.width} is no multiple of heads={self.heads}; change one of them")
        if not 0 <= self.floor <= self.target <= 1:
            raise Misuse(f"the training has floor={self.floor}, target={self.target}; need 0 <= floor <= target <= 1")
