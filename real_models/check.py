"""What is wrong with a run's config, told before anything is loaded."""

from __future__ import annotations

import torch

from real_models.config import EditConfig
from sim.compose import chosen_rule, chosen_transforms
from theory.command import Misuse


def check(config: EditConfig) -> None:
    """Raise Misuse for values that no run can use."""
    positive: dict[str, float] = {"edits": config.edits, "pilots": config.pilots, "layer_trials": config.layer_trials}
    positive |= {"score_trials": config.score_trials}
    positive |= {"checkpoint_every": config.checkpoint_every, "save_every": config.save_every}
    positive |= {"batch": config.batch, "identity_every": config.identity_every}
    positive |= {"eval_sample": config.eval_sample, "steps": config.solve.steps, "clamp": config.solve.clamp}
    positive |= {"learning_rate": config.solve.learning_rate, "anchor_times": config.anchor_times}
    for name, value in positive.items():
        if not value > 0:
            raise Misuse(f"--{name.replace('_', '-')} is {value}; it must be positive")
    if config.fluency < 0:
        raise Misuse(f"--fluency is {config.fluency}; give a number of texts, such as 10")
    if config.solve.essence is not None and config.solve.essence.count("{}") != 1:
        raise Misuse(f"--essence is {config.solve.essence!r}; it needs exactly one {{}} for the subject")
    check_rule(config)
    if config.metric == "covariance" and config.rule != "rome":
        raise Misuse(f"--metric is ROME's choice of C, not {config.rule}'s; leave --metric out")
    if config.rule != "memit" and config.weighting is not None:
        raise Misuse(f"--weighting is MEMIT's λ, not {config.rule}'s; write --rule NAME:weighting=VALUE")
    if config.rule != "alphaedit" and (config.ridge is not None or config.threshold is not None):
        raise Misuse(f"--ridge and --threshold are AlphaEdit's, not {config.rule}'s; leave them out")
    if config.anchor and config.pilots < 2:
        raise Misuse(f"--pilots is {config.pilots}; an anchor needs at least 2")
    shaped = config.one_sided or config.drop is not None or config.anchor_at != "last" or config.anchor_times != 1
    if not config.anchor and shaped:
        raise Misuse(
            "--one-sided, --drop, --anchor-times and --anchor-at shape the anchor; add --anchor or leave them out"
        )
    if config.solve.most_probable is not None and config.solve.most_probable < 0:
        raise Misuse(f"--most-probable is {config.solve.most_probable}; give a number of updates, such as 4")
    if config.solve.keep is not None and not 0 < config.solve.keep <= 1:
        raise Misuse(f"--keep is {config.solve.keep}; choose a share above 0 and at most 1, such as 0.2")
    if config.solve.elastic < 0:
        raise Misuse(f"--elastic is {config.solve.elastic}; it must not be negative")
    try:
        torch.empty(0, device=config.device)
    except (RuntimeError, AssertionError) as error:
        raise Misuse(f"--device {config.device} cannot be used here ({str(error).splitlines()[0]}); try cpu") from error


def check_rule(config: EditConfig) -> None:
    """Raise Misuse for a rule or a transform that no run can use."""
    if config.rule.startswith("alphaedit:") or config.rule.partition(":")[0] == "alphaedit_free":
        raise Misuse(f"--rule {config.rule} is for linear memories; write --rule alphaedit with --energy and --ridge")
    chosen_rule(config.rule)
    if config.deltas and chosen_transforms("+".join(config.deltas))[0]:
        raise Misuse(f"--deltas {' '.join(config.deltas)} has a value transform; NAS is --anchor")
