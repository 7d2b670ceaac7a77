"""Which mutants to judge; nothing here imports a prover, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A sample of mutants, and how they are judged."""

    count: int = 60
    """how many mutants, the same number from every module as far as it goes; 0 is all of them"""
    only: tuple[str, ...] = ()
    """modules such as "writes.norms", or families such as "writes"; all formula modules without it"""
    seed: int = 0
    """which mutants: each has its rank by name, so that new modules do not change the choice within the old ones"""
    jobs: int = 0
    """processes at a time; 0 is the number of cores"""
    timeout: float = 60.0
    """seconds after which a mutant counts as killed"""
