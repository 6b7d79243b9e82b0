"""SIGINT and SIGTERM, collected until a step is done."""

import contextlib
import signal
from collections.abc import Iterator

from colorjax.errors import TrainingError


class Interrupted(TrainingError):
    """A signal ended the run, which is saved and can go on."""

    def __init__(self, number: int, step: int):
        super().__init__(f"interrupted at step {step}; the same command with --resume goes on")
        self.exit_code = 128 + number  # as a shell would say it


@contextlib.contextmanager
def collect_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in place of dying of them; a second one kills as usual.

    Yields:
        The signals so far, as they come.
    """
    received: list[int] = []
    before = {}

    def note(number: int, _) -> None:
        received.append(number)
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not the main thread: nobody can interrupt
            before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
