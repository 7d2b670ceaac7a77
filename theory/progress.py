"""Progress bars with rate and time left, for the edge only: a bar wraps an iterator and changes nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any


def progress_bar(items: Iterable[Any], title: str) -> Iterator[Any]:
    """Iterate with a progress bar on stderr: count, rate, time spent, time left.

    Args:
        items: what to iterate over; its length is shown where it has one.
        title: what the items are.

    Yields:
        The items.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Items a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:.1f}/s", style="progress.data.speed")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        total = len(items) if isinstance(items, Sized) else None
        yield from bar.track(items, total=total, description=title)
