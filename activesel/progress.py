"""Progress on long work: a bar with an ETA on a terminal, silence in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


def ignore_progress(_done: int) -> None:
    """Stand in for a bar where nobody watches."""


@contextmanager
def show_progress(title: str, total: int) -> Iterator[Advance]:
    """Yield a function to call with the number of items just finished; draws on stderr, only if it is a terminal."""
    if not sys.stderr.isatty() or total == 0:
        yield ignore_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)
