"""`python -m real_models`: sequential edits on transformers."""

from __future__ import annotations

import sys

from real_models.config import EditCommand, LayersCommand
from theory.command import dispatch


def edit(command: EditCommand) -> int:
    """Run or resume a stream of edits and print what it measured."""
    from real_models.report import print_summary
    from real_models.run import run_edits
    from theory.progress import progress_bar

    summary = run_edits(command.run, command.out, progress_bar)
    print_summary(summary, command.out)
    return 0 if summary["status"] == "finished" else 1


def layers(command: LayersCommand) -> int:
    """Measure and print every layer's single-edit efficacy."""
    from real_models.bench import choose_layer, set_up
    from theory.progress import progress_bar

    best, efficacy = choose_layer(set_up(command.run), progress_bar)
    for layer, percent in efficacy.items():
        print(f"layer {layer}: {percent:5.1f} % of single edits succeed{'  <- best' if layer == best else ''}")
    return 0


def main() -> int:
    """The room's command line."""
    commands = {"edit": (EditCommand, edit), "layers": (LayersCommand, layers)}
    return dispatch("python -m real_models", "Sequential edits on transformers.", commands)


if __name__ == "__main__":
    sys.exit(main())
