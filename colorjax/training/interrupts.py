"""SIGINT, SIGTERM and SIGHUP, collected until a step is done."""

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
    """Collect SIGINT, SIGTERM and SIGHUP instead of ending the process. A second signal ends it as usual.

    A second SIGHUP does not, because the system and the shell both send one when a terminal is closed. Under nohup,
    SIGHUP stays ignored.

    Yields:
        A list that grows with each signal.
    """
    received: list[int] = []
    before = {}

    def note(number: int, _) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_IGN if number == hangup else before[number])

    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    heard = [signal.SIGINT, signal.SIGTERM]
    if hangup and signal.getsignal(hangup) is not signal.SIG_IGN:
        heard.append(hangup)
    for number in heard:
        with contextlib.suppress(ValueError):  # only the main thread receives signals
            before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
