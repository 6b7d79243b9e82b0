"""What the command prints: a progress bar on a terminal, plain lines elsewhere, tables, errors."""

import contextlib
import datetime
import os
import sys
import time
from collections.abc import Iterator, Sequence

from rich import progress
from rich.console import Console
from rich.table import Table
from rich.text import Text

from colorjax.errors import in_one_line

WIDTH = 160  # columns of a table without a terminal
LINES = 10  # progress lines of a run without a terminal
MANY = 1000  # photos that take long to read


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
    def progress(self, total: int, unit: str) -> Iterator["Bar | Lines"]:
        """Show progress. What is yielded is called with the amount that is done and a note, such as the loss."""
        if self.console.is_terminal and not self.console.quiet:
            with Bar(self.console, total, unit) as bar:
                yield bar
        else:
            yield Lines(self, total, unit)


class Bar:
    """Progress on a terminal: a line that moves by itself, from a thread. It is a context manager.

    Attributes:
        renderable: What rich draws.
    """

    def __init__(self, console: Console, total: int, unit: str):
        self.renderable = progress.Progress(
            progress.SpinnerColumn(),
            progress.BarColumn(12),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[unit]} "),
            _Doing(),
            progress.TimeRemainingColumn(),
            console=console,
            refresh_per_second=4,
        )
        self._task = self.renderable.add_task("", total=total, unit=unit, note="", since=None)

    def __enter__(self) -> "Bar":
        self.renderable.start()
        return self

    def __exit__(self, *_) -> None:
        self.renderable.stop()

    def __call__(self, done: int, note: str) -> None:
        """Show that an amount is done."""
        self.renderable.update(self._task, completed=done, note=note, since=None)

    def phase(self, name: str) -> None:
        """Show that something else begins, and from then on how long it takes."""
        self.renderable.update(self._task, note=name, since=time.monotonic())

    def count(self, done: int, total: int) -> None:
        """Show that an amount of the phase is done."""
        self.renderable.update(self._task, completed=done, total=total)


class _Doing(progress.ProgressColumn):
    """The note of a task, and the seconds that pass in a phase."""

    def render(self, task: progress.Task) -> Text:
        since = task.fields["since"]
        passed = "" if since is None else f", {time.monotonic() - since:.0f} s"
        return Text(f"{task.fields['note']}{passed}")


class Lines:
    """Progress elsewhere: some plain lines."""

    def __init__(self, printer: Printer, total: int, unit: str):
        self._printer, self._total, self._unit = printer, total, unit
        self._printed, self._first = 0, (0, time.monotonic())
        self._phases: set[str] = set()

    def __call__(self, done: int, note: str) -> None:
        """Print a line at each tenth of the total."""
        if not self._first[0]:
            # what a resumed run had done before does not count
            self._first = (done, time.monotonic())
        if done * LINES // self._total > self._printed:
            self._printed = done * LINES // self._total
            since, started = self._first
            left = _time_left(done - since, self._total - done, time.monotonic() - started)
            self._printer.line(f"{done}/{self._total} {self._unit}  {note}{left}".rstrip())

    def phase(self, name: str) -> None:
        """Print that something else begins, the first time."""
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
    """Return ", 1:02:03 left" at the current rate, or nothing if there is no rate or nothing is left."""
    if done <= 0 or missing <= 0:
        return ""
    return f", {datetime.timedelta(seconds=round(seconds * missing / done))} left"
