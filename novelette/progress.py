"""Progress for a person: a bar on a terminal, a plain line now and then elsewhere. Always on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_EVERY_S = 30.0

Show = Callable[..., None]  # show(done) or show(done, words)


@contextmanager
def progress(what: str, total: int, *, start: int = 0, shown: bool = True) -> Iterator[Show]:
    """A function show(done, words) for `done` of `total`; `words` stand beside the bar.

    Args: start: how much was done before this began, so that the time left is right.   shown: False shows nothing.
    """
    console = Console(stderr=True)
    began = last = time.monotonic()

    def plain(done: int, words: str = "") -> None:
        nonlocal last
        if shown and time.monotonic() - last > PLAIN_EVERY_S:
            last = time.monotonic()
            left = (total - done) * (last - began) / max(done - start, 1)
            console.print(f"{what} {done:,} of {total:,}  {words}  {left:,.0f} s left", highlight=False, soft_wrap=True)

    if not (shown and console.is_terminal):
        yield plain
        return
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, completed=start, words="")
        yield lambda done, words="": bar.update(task, completed=done, words=words)
