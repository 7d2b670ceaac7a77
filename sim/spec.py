"""What a sweep runs: a TOML file's grid of experiments times seeds, as trials in a fixed order."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

from sim.config import GrowConfig, check
from theory.command import Misuse

CHOSEN = {option.name: option for option in fields(GrowConfig) if option.name not in ("seed", "seeds", "confidence")}


@dataclass(frozen=True)
class SweepConfig:
    """Run every trial of a TOML file's grid; the same command again does only what is missing."""

    spec: tyro.conf.Positional[Path]
    """The sweep: [base] and [grid] of `grow`'s options, `seeds`, `first_seed`."""
    out: Path = Path("results/sweep")
    """The sweep's folder."""
    workers: int = 2
    """Processes of one thread each (1: in this process)."""
    ray: Annotated[str | None, tyro.conf.arg(metavar="auto|ADDRESS")] = None
    """Run on this Ray cluster instead (extra "cluster")."""
    cpus_per_trial: float = 1.0
    """What a trial asks of a Ray node."""


@dataclass(frozen=True)
class Sweep:
    """A grid of experiments times seeds.

    Attributes:
        seeds: repetitions a cell.
        first_seed: the first trial's.
        base: what all cells share.
        grid: what varies, in the file's order.
    """

    seeds: int
    first_seed: int
    base: dict[str, Any]
    grid: dict[str, list[Any]]

    def cells(self) -> list[GrowConfig]:
        """One experiment a cell; the last name of the grid varies fastest."""
        settings = (dict(zip(self.grid, cell, strict=True)) for cell in itertools.product(*self.grid.values()))
        return [GrowConfig(**self.base, **setting, seeds=2) for setting in settings]

    def trials(self) -> list[GrowConfig]:
        """One experiment a trial: repetitions within cells, and no two share a seed."""
        cells = ((cell, self.first_seed + index * self.seeds) for index, cell in enumerate(self.cells()))
        return [replace(cell, seed=first + i) for cell, first in cells for i in range(self.seeds)]

    def varied(self, trial: GrowConfig) -> dict[str, Any]:
        """What sets a trial's cell apart."""
        return {name: getattr(trial, name) for name in self.grid}


def read_sweep(path: Path) -> Sweep:
    """Read a sweep.

    Args:
        path: a TOML file with `seeds` (repetitions a cell), optionally `first_seed`, and tables [base] and [grid].

    Returns:
        The sweep, every cell of which can be run.

    Raises:
        Misuse: the file is no TOML, a key or option is unknown, a value has the wrong type or cannot be run.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} is not TOML ({error}); see docs/sweeps.md") from error
    unknown = sorted(content.keys() - {"seeds", "first_seed", "base", "grid"})
    if unknown:
        raise Misuse(f"{path} has an unknown key {unknown[0]!r}; it holds seeds, first_seed, [base] and [grid]")
    seeds, first = _whole(path, content, "seeds", 1), _whole(path, content, "first_seed", 0)
    base, grid = _table(path, content, "base"), _table(path, content, "grid")
    doubled = sorted(base.keys() & grid.keys())
    if doubled:
        raise Misuse(f"{path} gives {doubled[0]!r} in [base] and in [grid]; keep one of them")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise Misuse(f"{path}: [grid] {name} is {values!r}; give a list with at least one value")
        if len({repr(value) for value in values}) < len(values):
            raise Misuse(f"{path}: [grid] {name} names a value twice; list each once")
    sweep = Sweep(
        seeds,
        first,
        {name: _typed(path, name, value) for name, value in base.items()},
        {name: [_typed(path, name, value) for value in values] for name, values in grid.items()},
    )
    for cell in sweep.cells():
        try:
            check(cell)
        except Misuse as error:
            raise Misuse(f"{path}, cell {sweep.varied(cell)}: {error}") from error
    return sweep


def _whole(path: Path, content: dict[str, Any], name: str, least: int) -> int:
    value = content.get(name, least)
    if type(value) is not int or value < least:
        raise Misuse(f"{path}: {name} is {value!r}; give a whole number from {least} on")
    return value


def _table(path: Path, content: dict[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise Misuse(f"{path}: {name} is {table!r}; it is a table, [{name}]")
    unknown = sorted(table.keys() - CHOSEN.keys())
    if unknown:
        raise Misuse(f"{path}: [{name}] has an unknown option {unknown[0]!r}; choose from {', '.join(CHOSEN)}")
    return table


def _typed(path: Path, name: str, value: Any) -> Any:
    """The value, where it has the option's type; whole numbers may stand for real ones."""
    kind = get_type_hints(GrowConfig)[name]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise Misuse(f"{path}: {name} is {value!r}; choose from {', '.join(get_args(kind))}")
        return value
    wanted = get_args(kind)[0] if get_args(kind) else kind
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise Misuse(f"{path}: {name} is {value!r}; give a value of type {wanted.__name__}")
    return value
