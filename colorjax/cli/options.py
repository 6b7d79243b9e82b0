"""What the subcommands share: the parser, common options, and checks of values."""

import argparse
import contextlib
import difflib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from colorjax.cli.console import Printer, discard, stdout_failure
from colorjax.errors import ConfigError, UsageError, missing_extra
from colorjax.jsontext import parse_json

COLUMNS = {  # of the table: for each number its heading, with the unit and the better direction, and its format
    "gain": ("gain\ndB ↑", "+.2f"),
    "gain_pooled": ("pooled\ndB ↑", "+.2f"),
    "psnr": ("PSNR\ndB ↑", ".2f"),
    "ssim": ("SSIM\n↑", ".3f"),
    "ciede2000": ("ΔE\n↓", ".2f"),
    "auc": ("AuC\n↑", ".3f"),
    "colorfulness": ("color\nlevels", ".1f"),
    "warm": ("warm\nshare", ".0%"),
    "loss": ("loss\n↓", ".3g"),
    "lpips": ("LPIPS\n↓", ".3f"),  # in place of the loss
}

PLACE_COLUMNS = {  # of the table by place
    "photos": ("photos\n", "d"),
    "gain": COLUMNS["gain"],
    "gain_interval": ("95 %\n± dB", ".2f"),
    "gain_pooled": COLUMNS["gain_pooled"],
    "colorfulness": COLUMNS["colorfulness"],
    "truth_colorfulness": ("truth\nlevels", ".1f"),
    "warm": COLUMNS["warm"],
    "truth_warm": ("truth\nshare", ".0%"),
}
MOST_NAME = 20  # characters of the name of a place


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line.

    Attributes:
        commands: The parsers of the subcommands by name. A subcommand's own parser has none.
    """

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )
        self.commands: dict[str, Parser] = {}

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parse arguments. A photo alone means `colorize`, and no arguments at all mean `--help`.

        Raises:
            UsageError: an option is unknown, or a value is missing or empty.
        """
        given = list(sys.argv[1:] if args is None else args)
        parsed, unknown = self.parse_known_args(self._with_subcommand(given), namespace)
        parser = self.commands.get(getattr(parsed, "command", ""), self)
        for name, value in vars(parsed).items():
            # such as "$PHOTOS" in a shell where this variable is not set
            if value == "" or (isinstance(value, list) and "" in value):
                parser.error(f"argument {name.replace('_', '-')}: empty; expected a value")
        if unknown:
            known = [name for action in parser._actions for name in action.option_strings]
            near = [_suggestion(word.partition("=")[0], known) for word in unknown]
            parser.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(near[:1])}")
        return parsed

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write help or the version at once, so that a full stdout is noticed."""
        super()._print_message(message, file)
        if not file:  # stdout is closed
            return
        try:
            file.flush()
        except BrokenPipeError:
            discard(file)
        except OSError as error:
            raise stdout_failure(error) from error

    def _with_subcommand(self, given: list[str]) -> list[str]:
        """Return the arguments with the subcommand that the user left out."""
        if not self.commands:
            return given
        if not given:
            return ["--help"]
        first = given[0]
        if first in self.commands or first in ("-h", "--help", "--version"):
            return given
        if first.startswith("-") and first != "-":
            photo = any(map(os.path.exists, given))
        else:
            photo = first == "-" or os.path.exists(first) or bool(os.path.splitext(first)[1])
            if not photo:
                self.error(
                    f"{first}: neither a command nor a photo{_suggestion(first, self.commands)}"
                )
        return ["colorize", *given] if photo else given

    def error(self, message: str) -> NoReturn:
        """Raise an error instead of printing the usage."""
        raise UsageError(f"{' '.join(message.split())}; see {self.prog} --help")


def _suggestion(word: str, known: Iterable[str]) -> str:
    """Return a question that suggests the most similar known word, or nothing."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {found[0]}?" if found else ""


TERMINATING = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # no SIGHUP on Windows


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM, or SIGHUP because its terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def handle_termination() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the block as Ctrl-C does, so that files in progress are finished or removed.

    A signal that the process ignores, as under nohup, stays ignored.
    """

    def stop(number: int, frame: object) -> NoReturn:
        if number != signal.SIGTERM:  # the system and the shell both send SIGHUP
            signal.signal(number, signal.SIG_IGN)
        raise Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    heard = [n for n in TERMINATING if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # else a library set it, which Python cannot restore
                signal.signal(number, handler)


def add_command(
    commands: Any, name: str, run: Callable[..., int], description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a subcommand with the options that all subcommands have."""
    parser = commands.add_parser(
        name, help=description, description=description, epilog=f"examples:\n{examples}"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--device",
        choices=["cpu", "gpu", "tpu"],
        help="where to compute (default: the fastest kind that JAX finds)",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--no-cache", action="store_true", help="do not store compiled programs")
    return parser


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add `--weights`."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a weights file, or the packaged `photo`, `photo-small` or `photo-free` (default: photo)",
    )


def add_vividness(parser: argparse.ArgumentParser) -> None:
    """Add `--vividness`."""
    text = "strength of the color; 0: gray, 1: natural (default), above 1: more vivid"
    parser.add_argument("--vividness", type=parse_value, default=1.0, metavar="X", help=text)


def add_overwrite(parser: argparse.ArgumentParser, what: str = "outputs") -> None:
    """Add `--overwrite`."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace existing {what}")


def add_quality(parser: argparse.ArgumentParser) -> None:
    """Add `--quality`."""
    text = "quality of JPEG, WebP, AVIF and HEIC (default 95)"
    parser.add_argument("--quality", type=parse_value, default=95, metavar="N", help=text)


def add_max_megapixels(parser: argparse.ArgumentParser, default: int) -> None:
    """Add `--max-megapixels`."""
    text = f"refuse larger photos (default {default})"
    parser.add_argument(
        "--max-megapixels", type=parse_value, default=default, metavar="N", help=text
    )


def print_results(printer: Printer, result: dict[str, Any]) -> None:
    """Print the summary of an evaluation as a table of at most 80 columns."""
    methods = result["summary"]
    without = "loss" if "lpips" in methods.get("gray", {}) else "lpips"
    columns = {name: column for name, column in COLUMNS.items() if name != without}
    _print_table(printer, methods.items(), columns)
    printer.line("gain: PSNR minus that of gray, mean over photos and over all pixels (pooled)")
    interval = methods.get("weights", {}).get("gain_interval")
    if interval is not None:
        printer.line(f"95 % confidence interval of the weights' mean gain: ± {interval:.2f} dB")
    printer.line("↑ higher is better, ↓ lower is better")
    truth = next(iter(methods.values()))
    color, warm = truth.get("truth_colorfulness"), truth.get("truth_warm")
    if color is not None and warm is not None:
        printer.line(f"color and warm are best close to the truth: {color:.1f} and {warm:.0%}")


def print_places(printer: Printer, places: dict[str, dict[str, Any]]) -> None:
    """Print the summaries of the weights on several places as a table of at most 80 columns."""
    rows = [(place[-MOST_NAME:], summary["weights"]) for place, summary in places.items()]
    _print_table(printer, rows, PLACE_COLUMNS)


def _print_table(
    printer: Printer,
    rows: Iterable[tuple[str, dict[str, Any]]],
    columns: dict[str, tuple[str, str]],
) -> None:
    """Print named numbers in rows, with a dash for those that are missing."""
    cells = [
        [
            name,
            *(
                "–" if numbers.get(key) is None else format(numbers[key], how)
                for key, (_, how) in columns.items()
            ),
        ]
        for name, numbers in rows
    ]
    printer.table(["", *(heading for heading, _ in columns.values())], cells)


def parse_value(text: str) -> Any:
    """Parse an argument as a number if possible, otherwise return the text. The code that uses the value checks it."""
    try:
        return parse_json(text)
    except ValueError:
        return text


def check_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Check an option that is not a field of the config."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is {value!r}; expected an integer of at least {least}")
    if most is not None and value > most:
        raise ConfigError(f"{name} is {value}; expected at most {most}")
    return value


def check_extra(what: str, extra: str, *modules: str) -> None:
    """Check that the modules of an extra are installed, without importing them."""
    if not all(map(importlib.util.find_spec, modules)):
        raise missing_extra(what, extra)


def check_vividness(value: Any) -> float:
    """Check the value of `--vividness`."""
    from colorjax.config import MAX_VIVIDNESS

    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= MAX_VIVIDNESS:
        raise ConfigError(f"vividness is {value!r}; expected a number from 0 to {MAX_VIVIDNESS}")
    return float(value)
