"""What a user may choose when an editor is certified; nothing here imports torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from sim.config import demand


@dataclass(frozen=True)
class RulesCommand:
    """List every rule and transform with its source, its metric form and its certified regime with and without NAS."""

    certify: bool = False
    """Certify all of them anew, which takes half an hour on two cores, instead of reading what is on record."""
    seeds: int = 16
    """Independent streams an editor, with --certify."""
    seed: int = 0
    """The first of them."""
    workers: int | None = None
    """Processes, with --certify; default: one a core, four at most."""
    json: Path | None = None
    """also write the list as JSON"""


def check_rules(command: RulesCommand) -> None:
    """Raise Misuse unless the catalogue can be certified so."""
    demand(command.seeds >= 8, "seeds", command.seeds, "a regime needs at least 8 streams, such as 16")
    demand(0 <= command.seed < 2**63, "seed", command.seed, "give a number from 0 to 2⁶³ − 1")
    asked = command.certify or (command.seeds, command.seed) == (16, 0)
    demand(asked, "seeds", command.seeds, "seeds are for --certify; the record has its own")


@dataclass(frozen=True)
class CertifyConfig:
    """One certificate."""

    rule: tyro.conf.Positional[str]
    """A name of `python -m sim rules`, "name:option=value,...", or "module:factory", a function of (m, n) of your own
    that returns an Editor."""
    values: tuple[str, ...] = ()
    """Value transforms in order, such as nas."""
    deltas: tuple[str, ...] = ()
    """Delta transforms in order, such as rect:share=0.2."""
    seeds: int = 24
    """Independent streams a setting."""
    seed: int = 0
    """The first of them."""
    looks: int = 7
    """Doublings of the time at most."""
    error_rate: float = 0.01
    """Of the t tests behind a regime, a setting."""
    thorough: bool = False
    """Give editors that go step by step as many streams and looks as the others, however long it takes."""


@dataclass(frozen=True)
class CertifyCommand:
    """Certify what an editor does to the norm: its regime in each of several settings, by a sequential test."""

    run: Annotated[CertifyConfig, tyro.conf.arg(name="")]
    """The editor and the streams."""
    workers: int | None = None
    """Processes over which the settings go; default: one a core, four at most."""
    json: Path | None = None
    """also write the certificate as JSON"""
    card: Path | None = None
    """also write it as a page of Markdown, for a paper's appendix"""
    out: Path | None = None
    """also write a run's folder, from which `python -m figures certificate` draws"""


def check_certify(command: CertifyConfig) -> None:
    """Raise Misuse unless the certificate can be made."""
    demand(command.seeds >= 8, "seeds", command.seeds, "a regime needs at least 8 streams, such as 16")
    demand(0 <= command.seed < 2**63, "seed", command.seed, "give a number from 0 to 2⁶³ − 1")
    demand(2 <= command.looks <= 12, "looks", command.looks, "give 2 to 12; each doubles the time")
    demand(0 < command.error_rate < 0.5, "error-rate", command.error_rate, "it lies between 0 and 0.5, such as 0.01")


def check_workers(workers: int | None) -> int:
    """How many processes to use, or Misuse."""
    demand(workers is None or 1 <= workers <= 64, "workers", workers, "give 1 to 64 processes")
    return workers or min(4, os.cpu_count() or 1)


def certify_line(command: CertifyConfig) -> str:
    """The line that makes this certificate again.

    >>> certify_line(CertifyConfig("memit:weighting=8", values=("nas",), seeds=8))
    'python -m sim certify memit:weighting=8 --values nas --seeds 8'
    """
    words = ["python -m sim certify", command.rule]
    for name in ("values", "deltas"):
        words += [f"--{name}", *getattr(command, name)] if getattr(command, name) else []
    for option in fields(command):
        value = getattr(command, option.name)
        if option.name in ("seeds", "seed", "looks", "error_rate") and value != option.default:
            words.append(f"--{option.name.replace('_', '-')} {value}")
    words += ["--thorough"] if command.thorough else []
    return " ".join(words)
