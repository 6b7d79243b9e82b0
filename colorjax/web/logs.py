"""What the libraries of the page log: one line on stderr for each error, without a traceback."""

import contextlib
import logging
from collections.abc import Iterator

from colorjax.errors import in_one_line

LIBRARIES = ("asyncio", "engineio.server", "nicegui", "socketio.server")
LONGEST = 200  # characters of a line


class OneLine(logging.Formatter):
    """Reduces a record to the first line of its message, and its exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line for a record. A browser may have sent any part of it."""
        told = record.getMessage().partition("\n")[0]
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            found = f"{type(error).__name__}: {error}"
            told = found if told == str(error) else f"{told} ({found})"
        return f"colorjax: the page: {in_one_line(told)}"[:LONGEST]


@contextlib.contextmanager
def one_line_each() -> Iterator[None]:
    """Print the errors of the libraries, while the block runs, as one line each, and nothing less severe."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logs = [logging.getLogger(name) for name in LIBRARIES]
    were = [(log.handlers, log.level, log.propagate) for log in logs]
    for log in logs:
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, (handlers, level, propagate) in zip(logs, were, strict=True):
            log.handlers, log.propagate = handlers, propagate
            log.setLevel(level)
