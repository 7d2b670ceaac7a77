"""The edge between a room and its user's shell: subcommands from dataclasses, one-line errors, exit statuses."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class Misuse(ValueError):
    """What the caller asked for cannot be done; the message names the value and the remedy, on one line."""


def told(error: Exception) -> str:
    """An error of a user's own code with where it arose, in a line.

    >>> told(ValueError("no such thing"))
    'ValueError: no such thing'
    """
    raised = list(traceback.extract_tb(error.__traceback__))
    frames = [frame for frame in raised if not _of_library(frame.filename)] or raised
    place = (frames[-1].filename, frames[-1].lineno) if frames else None
    if isinstance(error, SyntaxError):
        place = (error.filename or "?", error.lineno)
    where = "" if place is None else f"{os.path.basename(place[0])}, line {place[1]}: "
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())}"


ROOT = Path(__file__).parents[1]
ROOMS = ("theory", "sim", "real_models", "figures")


def _of_library(filename: str) -> bool:
    """Whether a line is ours or of an installed package, and not of the user's own file."""
    return "site-packages" in filename or any(Path(filename).is_relative_to(ROOT / room) for room in ROOMS)


def guarded(action: Callable[[], int | None], prog: str) -> int:
    """Run an action and turn a user's mistake into one line on stderr.

    Args:
        action: what to run; its return value is the exit status (None is 0).
        prog: the command's name, which opens the error line.

    Returns:
        The exit status: 2 after `Misuse` or an operating-system refusal, 130 after Ctrl-C.
    """
    try:
        return action() or 0
    except Misuse as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of a pipe has seen enough; nothing more can be said to it, not even at interpreter exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"{prog}: {place}{error.strerror or error}; free space or choose a folder you can write to",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: stopped by Ctrl-C", file=sys.stderr)
        return 130


def dispatch(
    prog: str,
    description: str,
    commands: Mapping[str, tuple[type, Callable[[Any], int | None]]],
    args: Sequence[str] | None = None,
) -> int:
    """Parse `prog NAME --options` into that command's config dataclass and run it.

    Args:
        prog: how the user types the program, such as "python -m theory".
        description: one line for `--help`.
        commands: name -> (frozen config dataclass, function of that config).
        args: the command line without the program; None reads `sys.argv`.

    Returns:
        The exit status.
    """
    import tyro

    runs = {config: run for config, run in commands.values()}
    choices: dict[str, Callable[..., Any]] = {name: config for name, (config, _) in commands.items()}
    config = tyro.extras.subcommand_cli_from_dict(
        choices, prog=prog, description=description, args=args, config=(tyro.conf.OmitSubcommandPrefixes,)
    )
    return guarded(lambda: runs[type(config)](config), prog)
