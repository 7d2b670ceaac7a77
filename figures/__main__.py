"""`python -m figures list | report | all | NAME --results DIR --out DIR`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from figures.gallery import FORMATS, GALLERY, commands, draw_one, gather
from theory.command import dispatch


@dataclass(frozen=True)
class List:
    """Name the figures, what each shows and what makes its data."""

    results: Path = Path("results")
    """The results folder that the commands shall name."""


@dataclass(frozen=True)
class Draw:
    """What every drawing command asks."""

    results: Path = Path("results")
    """A folder that is searched for runs, at any depth."""
    out: Path = Path("results/figures")
    """The folder for the files, which are named after their figure."""
    format: tyro.conf.UseAppendAction[tuple[Literal["pdf", "png", "svg"], ...]] = ()
    """A file format; give it several times for several. Default: pdf and png."""


@dataclass(frozen=True)
class All(Draw):
    """Draw every figure that the results folder has the data for, and say what the others lack."""


@dataclass(frozen=True)
class Report:
    """Write one HTML page of the claims, their derivations and the figures, from what `paper-checks` left."""

    claims: Path = Path("results/paper-checks/claims.json")
    """The claims; provenance.json beside them is told too."""
    results: tuple[Path, ...] = (Path("results"),)
    """Folders that are searched for the figures' runs, at any depth."""
    out: Path = Path("results/report")
    """The folder for index.html."""


def write_page(asked: Report) -> None:
    """Write the report and print its path."""
    from figures.report import write_report

    print(write_report(asked.claims, asked.results, asked.out))


def list_figures(asked: List) -> None:
    """Print the gallery."""
    for name, entry in GALLERY.items():
        print(f"{name}\n    {entry.shows}")
        print(f"    $ {commands(entry.commands, asked.results)}")


def draw_every(asked: All) -> None:
    """Draw what can be drawn; name the rest on stderr."""
    gathered = gather(asked.results, asked.out, asked.format or FORMATS)
    for path in gathered.paths:
        print(path)
    for name, reason in gathered.missing.items():
        print(f"not drawn: {name}: {reason}", file=sys.stderr)


def _command(name: str, shows: str) -> tuple[type, Callable[[Any], None]]:
    """The config class and the function of one figure's subcommand."""
    config = make_dataclass(name, [], bases=(Draw,), frozen=True, namespace={"__doc__": shows})

    def run(asked: Draw) -> None:
        for path in draw_one(name, asked.results, asked.out, asked.format or FORMATS):
            print(path)

    return config, run


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    choices: dict[str, tuple[type, Callable[[Any], None]]] = {"list": (List, list_figures), "all": (All, draw_every)}
    choices["report"] = (Report, write_page)
    choices |= {name: _command(name, entry.shows) for name, entry in GALLERY.items()}
    return dispatch("python -m figures", "Draw figures from result folders.", choices, args)


if __name__ == "__main__":
    raise SystemExit(main())
