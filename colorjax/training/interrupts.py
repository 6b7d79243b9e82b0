"""SIGINT and SIGTERM, collected until a step is done."""

import contextlib
import signal
from collections.abc import Iterator

from colorjax.errors import TrainingError


class Interrupted(TrainingError):
    """A signal ended the run. The state is saved, and the run can be resumed."""

    def __init__(self, number: int, step: int):
        super().__init__(f"interrupted at step {step}; use --resume to continue")
        self.exit_code = 128 + number  # as a shell reports it


@contextlib.contextmanager
def collect_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of ending the process. A second signal ends it as usual.

    Yields:
        A list that grows with each signal.
    """
    received: list[int] = []
    before = {}

    def note(number: int, _) -> None:
        received.append(number)
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # only the main thread receives signals
            before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
