"""Progress bars with rate and time left, for the edge only: a bar wraps an iterator and changes nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar(items: Iterable[Any], title: str) -> Iterator[Any]:
    """Iterate with a progress bar on stderr: count, rate, time spent, time left.

    Args:
        items: what to iterate over; its length is shown where it has one.
        title: what the items are.

    Yields:
        The items.
    """
    with _progress() as bar:
        total = len(items) if isinstance(items, Sized) else None
        yield from bar.track(items, total=total, description=title)


@contextmanager
def counter(total: int | None, title: str) -> Iterator[Callable[[], None]]:
    """The same bar for work that arrives out of order: a function to be called for every piece that is done.

    Args:
        total: how many pieces there are, or None where nobody knows.
        title: what the pieces are.
    """
    with _progress() as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def _progress() -> Progress:
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
    return Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True))
