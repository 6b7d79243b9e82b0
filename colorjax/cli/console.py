"""What the command prints: a progress bar on a terminal, plain lines elsewhere, tables, errors."""

import contextlib
import datetime
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from colorjax.errors import in_one_line

WIDTH = 160  # columns of a table without a terminal
LINES = 10  # progress lines of a run without a terminal


class _Output(Console):
    """Stdout. If writing to it fails, nothing more is printed, and the work continues."""

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except OSError as error:
            self.give_up(error)

    def on_broken_pipe(self) -> None:
        """Continue; rich would end the process."""
        self.give_up(BrokenPipeError())

    def give_up(self, error: OSError) -> None:
        """Print nothing more, not even when Python exits. Report the reason on stderr, except for a broken pipe."""
        if self.quiet:
            return
        self.quiet = True
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            _say(f"standard output: cannot be written ({error.strerror}); the work continues")


class Printer:
    """Prints to stdout, or nothing if quiet. Errors always go to stderr, one line each."""

    bar: Progress | None = None  # the bars that are shown, on a terminal

    def __init__(self, *, quiet: bool = False):
        with contextlib.suppress(AttributeError, ValueError):  # a replacement of stdout may lack it
            sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
        self.console = _Output(quiet=quiet, soft_wrap=True, highlight=False, markup=False)
        if not self.console.is_terminal:
            self.console.width = WIDTH

    def line(self, text: str) -> None:
        """Print one line."""
        self.console.print(in_one_line(text))

    def error(self, text: str) -> None:
        """Print one line on stderr."""
        _say(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows under column headings, with numbers aligned right."""
        table = Table(box=None, pad_edge=False)
        for i, column in enumerate(columns):
            table.add_column(column, justify="right" if i else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self.console.print(table, soft_wrap=False)

    @contextlib.contextmanager
    def progress(self, total: int, unit: str) -> Iterator[Callable[[int, str], Any]]:
        """Show progress. The yielded function takes the amount that is done and a note, such as the loss.

        Progress within progress, from any thread, is a second bar below the first one while it lasts.
        """
        if self.console.is_terminal and not self.console.quiet:
            with self._bars() as bar:
                task = bar.add_task("", total=total, unit=unit, note="")
                try:
                    yield lambda done, note: bar.update(task, completed=done, note=note)
                finally:
                    if bar.tasks[0].id != task:
                        bar.remove_task(task)
            return
        printed, first = 0, (0, time.monotonic())

        def plain(done: int, note: str) -> None:
            nonlocal printed, first
            if not first[0]:
                # what a resumed run had done before does not count
                first = (done, time.monotonic())
            if done * LINES // total > printed:
                printed = done * LINES // total
                left = _time_left(done - first[0], total - done, time.monotonic() - first[1])
                self.line(f"{done}/{total} {unit}  {note}{left}".rstrip())

        yield plain

    @contextlib.contextmanager
    def _bars(self) -> Iterator[Progress]:
        """Return the bars that are shown, or show new ones."""
        if self.bar:
            yield self.bar
            return
        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}  {task.fields[note]}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        try:
            with self.bar:
                yield self.bar
        finally:
            self.bar = None


def _say(text: str) -> None:
    """Print a line on stderr, if that is possible."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"colorjax: {in_one_line(text)}", file=sys.stderr)


def _time_left(done: int, missing: int, seconds: float) -> str:
    """Return ", 1:02:03 left" at the current rate, or nothing if there is no rate or nothing is left."""
    if done <= 0 or missing <= 0:
        return ""
    return f", {datetime.timedelta(seconds=round(seconds * missing / done))} left"
