"""The command: one module for each subcommand.

Start with `main` here. `options` holds the parser, the shared options and the checks of their values, `console` prints,
and `cache` keeps compiled programs. Each subcommand module adds its options and imports what it runs only when it
runs, so that `colorjax --help` is fast. This package may import everything.
"""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Sequence

import colorjax
from colorjax.cli.app import add_app
from colorjax.cli.archive import add_archive
from colorjax.cli.colorize import add_colorize, limit_threads
from colorjax.cli.console import Printer
from colorjax.cli.evaluate import add_evaluate
from colorjax.cli.export import add_export
from colorjax.cli.options import Parser, handle_termination
from colorjax.cli.train import add_train, join_processes
from colorjax.errors import INTERRUPTED, ColorjaxError, UsageError


def main(
    arguments: Sequence[str] | None = None, *, loaded: Callable[[], object] = lambda: None
) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The arguments of the command. None means those of the process.
        loaded: Called when all libraries are imported and the work begins.
    """
    try:
        args = make_parser().parse_args(arguments)
        printer = Printer(quiet=args.quiet)
        with _importing():
            join_processes(args)
            limit_threads(args)
            _choose_device(args.device)
            if not args.no_cache:
                from colorjax.cli.cache import use_compilation_cache

                use_compilation_cache()
        loaded()
        with handle_termination():
            return args.run(args, printer)
    except ColorjaxError as error:
        for line in (*getattr(error, "__notes__", ()), str(error)):
            Printer().error(line)
        return error.exit_code
    except KeyboardInterrupt as stop:
        Printer().error(INTERRUPTED)
        return getattr(stop, "exit_code", 130)


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Exclude imported objects from garbage collection: collecting them takes a fifth of a short command."""
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
        gc.enable()


def make_parser() -> Parser:
    """Return the parser of the command."""
    parser = Parser(
        prog="colorjax",
        description="Color for black-and-white photos.",
        epilog="""examples:
  colorjax old.jpg                                           writes old.color.jpg
  colorjax colorize album --out colored
  colorjax train my-photos --out run
  colorjax evaluate my-photos --weights run/weights.safetensors

`colorjax COMMAND --help` lists the options of each command.""",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"colorjax {colorjax.__version__} (Apache-2.0); weights: non-commercial use only, except photo-free",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parser.commands = commands.choices
    add_train(commands)
    add_colorize(commands)
    add_evaluate(commands)
    add_archive(commands)
    add_app(commands)
    add_export(commands)
    return parser


def _choose_device(device: str | None) -> None:
    """Make JAX use one kind of device, before it starts any. The environment may name one, too."""
    named = os.environ.get("JAX_PLATFORMS")
    if not device and not named:
        return
    import jax

    if device:
        jax.config.update("jax_platforms", device)
    try:
        jax.devices()
    except RuntimeError:
        asked = f"--device {device}" if device else f"JAX_PLATFORMS={named}"
        raise UsageError(
            f"{asked}: this machine has none, or JAX is installed without support for it"
        ) from None
