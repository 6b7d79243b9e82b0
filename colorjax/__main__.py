"""`python -m colorjax` is the command `colorjax`."""

import os
import signal
import sys
from typing import NoReturn

from colorjax.errors import INTERRUPTED


def run() -> int:
    """Run the command. While it loads, Ctrl-C ends it at once, even if a library would catch the signal.

    When it ends, Ctrl-C is ignored, because libraries would print tracebacks while they clean up.
    """
    usual = signal.getsignal(signal.SIGINT)
    # a background job of a shell ignores the signal, and keeps doing so
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from colorjax.cli import main

    try:
        return main(loaded=lambda: signal.signal(signal.SIGINT, usual))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(number: int, frame: object) -> NoReturn:
    os.write(2, f"colorjax: {INTERRUPTED}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(run())
