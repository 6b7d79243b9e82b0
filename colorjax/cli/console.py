"""What the command prints: a progress bar on a terminal, plain lines elsewhere, tables, errors."""

import contextlib
import datetime
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from colorjax.errors import OutputError, in_one_line

WIDTH = 160  # columns of a table without a terminal
LINES = 10  # progress lines of a run without a terminal
MANY = 1000  # photos that take long enough to read to show progress


class _Output(Console):
    """Stdout or stderr. If writing fails, nothing more is printed, and the work continues."""

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
        discard(self.file)
        if not self.stderr and not isinstance(error, BrokenPipeError):
            _say(f"standard output: cannot be written ({error.strerror}); the work continues")


def discard(stream: Any) -> None:
    """Send to nowhere what a failed stream still holds, so that Python does not try to write it again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def stdout_failure(error: Exception) -> OutputError:
    """Discard what stdout still holds after a failure, and return the error to raise."""
    discard(sys.stdout)
    found = getattr(error, "strerror", None) or "it is closed"
    return OutputError(f"standard output: cannot be written ({found})")


class Printer:
    """Prints to stdout, to stderr, or nothing if quiet. Errors always go to stderr, one line each."""

    bars: Progress | None = None  # those that are shown, on a terminal

    def __init__(self, *, quiet: bool = False, stderr: bool = False):
        with contextlib.suppress(AttributeError, ValueError):  # a replacement of stdout may lack it
            sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
        self.console = _Output(
            quiet=quiet, stderr=stderr, soft_wrap=True, highlight=False, markup=False
        )
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
    def progress(self, total: int, unit: str) -> Iterator["Bar | Lines"]:
        """Show progress. Yields a function that is called with the amount that is done and a note, such as the loss.

        Nested progress, from any thread, is shown as a second bar below the first one while it lasts.
        """
        if not self.console.is_terminal or self.console.quiet:
            yield Lines(self, total, unit)
            return
        with self._shown() as bars:
            bar = Bar(bars, total, unit)
            try:
                yield bar
            finally:
                bar.close()

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Progress]:
        """Return the bars on the terminal. They are made if there are none."""
        if self.bars:
            yield self.bars
            return
        self.bars = Progress(
            SpinnerColumn(),
            BarColumn(12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} "),
            _Doing(),
            TimeRemainingColumn(),
            console=self.console,
            refresh_per_second=4,
        )
        try:
            with self.bars:
                yield self.bars
        finally:
            self.bars = None


class Bar:
    """Progress on a terminal: one line among those that rich draws from a thread."""

    def __init__(self, bars: Progress, total: int, unit: str):
        self._bars = bars
        self._task = bars.add_task("", total=total, unit=unit, note="", since=None)

    def close(self) -> None:
        """Remove the line, unless it is the first one."""
        if self._bars.tasks[0].id != self._task:
            self._bars.remove_task(self._task)

    def __call__(self, done: int, note: str) -> None:
        """Show the amount that is done."""
        self._bars.update(self._task, completed=done, note=note, since=None)

    def phase(self, name: str) -> None:
        """Start a phase, and show how long it takes."""
        self._bars.update(self._task, note=name, since=time.monotonic())

    def count(self, done: int, total: int) -> None:
        """Show how much of the phase is done."""
        self._bars.update(self._task, completed=done, total=total)


class _Doing(ProgressColumn):
    """The note of a task, and the seconds since its phase began."""

    def render(self, task: Task) -> Text:
        since = task.fields["since"]
        passed = "" if since is None else f", {time.monotonic() - since:.0f} s"
        return Text(f"{task.fields['note']}{passed}")


class Lines:
    """Progress without a terminal: a few plain lines."""

    def __init__(self, printer: Printer, total: int, unit: str):
        self._printer, self._total, self._unit = printer, total, unit
        self._printed, self._first = 0, (0, time.monotonic())
        self._phases: set[str] = set()

    def __call__(self, done: int, note: str) -> None:
        """Print a line at each tenth of the total."""
        if not self._first[0]:
            # the part before a resume does not count
            self._first = (done, time.monotonic())
        if done * LINES // self._total > self._printed:
            self._printed = done * LINES // self._total
            since, started = self._first
            left = _time_left(done - since, self._total - done, time.monotonic() - started)
            self._printer.line(f"{done}/{self._total} {self._unit}  {note}{left}".rstrip())

    def phase(self, name: str) -> None:
        """Print the name of a phase when it begins for the first time."""
        if name not in self._phases:
            self._phases.add(name)
            self._printer.line(f"{name} …")

    def count(self, done: int, total: int) -> None:
        """Print a line at each tenth of a phase that may take long."""
        if total >= MANY:
            self._total = total
            self(done, "")


def _say(text: str) -> None:
    """Print a line on stderr, if that is possible."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"colorjax: {in_one_line(text)}", file=sys.stderr)


def _time_left(done: int, missing: int, seconds: float) -> str:
    """Return ", 1:02:03 left" at the current rate, or an empty text if no rate is known or nothing is left."""
    if done <= 0 or missing <= 0:
        return ""
    return f", {datetime.timedelta(seconds=round(seconds * missing / done))} left"
