"""What the subcommands share: the parser whose errors are one line, common options, checks of values."""

import argparse
import contextlib
import json
import math
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from colorjax.console import Printer
from colorjax.errors import ConfigError, UsageError

COLUMNS = {  # of the table: each metric and how it is written
    "psnr": ".2f",
    "psnr_pooled": ".2f",
    "ssim": ".4f",
    "ciede2000": ".2f",
    "auc": ".4f",
    "colourfulness": ".1f",
    "colourfulness_absolute": ".1f",
    "loss": ".4g",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage.

        Spec: CMD-005
        """
        raise UsageError(f"{' '.join(message.split())}; see {self.prog} --help")


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""

    exit_code = 143


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what is being written is finished or removed.

    Spec: CMD-004
    """

    def stop(number: int, frame: object) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread handle signals
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def add_command(
    commands: Any, name: str, run: Callable[..., int], description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a subcommand with the options that all have.

    Spec: CMD-006, CMD-007
    """
    parser = commands.add_parser(
        name, help=description, description=description, epilog=f"examples:\n{examples}"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--device", choices=["cpu", "gpu", "tpu"], help="where to compute")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--no-cache", action="store_true", help="keep no compiled programs")
    return parser


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add `--weights`.

    Spec: CMD-012, FIL-055
    """
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="or `photo` or `photo-small`, the packaged ones (default: photo)",
    )


def add_vividness(parser: argparse.ArgumentParser) -> None:
    """Add `--vividness`.

    Spec: INF-012
    """
    text = "strength of the colour: 0 is gray, 1 (default) natural, 2 twice as strong"
    parser.add_argument("--vividness", type=value, default=1.0, metavar="X", help=text)


def print_results(printer: Printer, result: dict[str, Any]) -> None:
    """Print the summary of an evaluation as a table.

    Spec: EVL-025
    """
    rows = [
        [
            method,
            *(
                "–" if summary[name] is None else format(summary[name], how)
                for name, how in COLUMNS.items()
            ),
        ]
        for method, summary in result["summary"].items()
    ]
    printer.table(["", *COLUMNS], rows)


def value(text: str) -> Any:
    """Return a number or a word; the config says whether it fits.

    Spec: CMD-005
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Check an option that is no field of the config.

    Spec: CMD-005
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is {value!r}; expected an integer of at least {least}")
    if most is not None and value > most:
        raise ConfigError(f"{name} is {value}; expected at most {most}")
    return value


def vividness(value: Any) -> float:
    """Check the option.

    Spec: CMD-005, INF-012
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ConfigError(f"vividness is {value!r}; expected a finite number of at least 0")
    return float(value)
