"""How far a long piece of work is and how long it will take."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from actwise.errors import printable

T = TypeVar("T")

_LARGE_FILES = 64
"""Megabytes from which on reading them is shown."""
_MANY_ITEMS = 20_000


class Progress:
    """Shows progress on a console: a bar on a terminal, elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def quiet(self) -> bool:
        """Whether nobody watches."""
        return self._console.quiet

    def say(self, text: str) -> None:
        """Print one line for the person watching."""
        # Broken between words on a terminal, and one line for whoever reads lines.
        soft_wrap = not self._console.is_terminal
        self._console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)

    def glimpse(self, text: str) -> None:
        """Print one line, cut to the width: something to look at, such as a sampled text."""
        line = printable(" ".join(text.split()))
        self._console.print(Text(line), no_wrap=True, overflow="ellipsis", style="dim")

    @contextlib.contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
        """Show how far a stage is and how long it will take.

        Yields a function of the steps done, their total if it has changed, and figures worth
        showing, None for one that is not known yet. On a terminal it draws a bar; elsewhere it
        prints a line every ten seconds.
        """
        bar = Bar(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=max(4, min(24, self._console.width - 80))),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn(
                "{task.fields[figures]}", table_column=Column(no_wrap=True, overflow="ellipsis")
            ),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        task = bar.add_task(title, total=total, completed=done, figures="")
        begin = last = time.monotonic()

        def update(now_done: int, now_total: int | None = None, /, **figures: float | None) -> None:
            nonlocal last, total
            total = total if now_total is None else now_total
            shown = "  ".join(f"{name} {_figure(value)}" for name, value in figures.items())
            bar.update(task, total=total, completed=now_done, figures=shown)
            now = time.monotonic()
            if not self._console.is_terminal and (now - last > 10 or now_done == total):
                last = now
                left = (now - begin) / max(now_done - done, 1) * (total - now_done)
                self.say(f"{title:<22} {now_done}/{total}  {_clock(left)} left  {shown}")

        with bar:
            yield update

    @contextlib.contextmanager
    def reading(self, files: Sequence[Path]) -> Iterator[Callable[[int], None]]:
        """Show how much of some files is read, where that takes a while.

        Yields a function that is told of bytes as they are read. Of a pipe nobody knows the size.
        """
        parts = (part for file in files for part in (file, *file.rglob("*")) if part.is_file())
        total = sum(part.stat().st_size for part in parts) >> 20
        if total < _LARGE_FILES:
            yield lambda count: None
            return
        read = 0
        with self.track("read, MB", total) as show:

            def told(count: int) -> None:
                nonlocal read
                read += count
                show(min(read >> 20, total))

            yield told

    def through(self, title: str, items: Sequence[T]) -> Iterator[T]:
        """Yield items, and show how far that is where there are many."""
        if len(items) < _MANY_ITEMS:
            yield from items
            return
        with self.track(title, len(items)) as show:
            for number, item in enumerate(items, start=1):
                yield item
                if number % 100 == 0 or number == len(items):
                    show(number)


def _figure(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3g}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


QUIET = Progress(Console(quiet=True))
"""Shows nothing."""
