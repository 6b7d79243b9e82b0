"""The command: `colorjax train`, `colorjax colorize`, `colorjax evaluate`."""

import json
from collections.abc import Sequence

import colorjax
from colorjax import config as configs
from colorjax.commands.app import add_app
from colorjax.commands.archive import add_archive
from colorjax.commands.colorize import add_colorize
from colorjax.commands.export import add_export
from colorjax.commands.options import Parser, add_vividness, print_results
from colorjax.commands.options import add_command as _add_command
from colorjax.commands.options import value as _value
from colorjax.commands.options import vividness as _vividness
from colorjax.commands.options import whole as _whole
from colorjax.commands.train import add_train, join_processes
from colorjax.console import Printer
from colorjax.errors import ColorjaxError, UsageError

PROTOCOL = 256  # side of the photos that colorizers are compared on


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Spec: CMD-004, CMD-005, CMD-006
    """
    try:
        options = make_parser().parse_args(arguments)
        printer = Printer(quiet=options.quiet)
        join_processes(options)
        _choose_device(options.device)
        if not options.no_cache:
            from colorjax.cache import use_compilation_cache

            use_compilation_cache()
        return options.run(options, printer)
    except ColorjaxError as error:
        Printer().error(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        Printer().error("interrupted; what is done stays, the same command does the rest")
        return getattr(stop, "exit_code", 130)


def make_parser() -> Parser:
    """Return the parser of the command.

    Spec: CMD-006
    """
    parser = Parser(
        prog="colorjax",
        description="Colour for black-and-white photos.",
        epilog="""examples:
  colorjax colorize old.jpg                                  writes old.colour.jpg
  colorjax train my-photos --preset photo --out run
  colorjax evaluate my-photos --weights run/weights.safetensors

`colorjax train --help` and so on tell more.""",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"colorjax {colorjax.__version__} (Apache-2.0); packaged weights: non-commercial use only",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_train(commands)
    add_colorize(commands)
    _add_evaluate(commands)
    add_archive(commands)
    add_app(commands)
    add_export(commands)
    return parser


def _add_evaluate(commands) -> None:
    parser = _add_command(
        commands,
        "evaluate",
        _evaluate,
        "Measure weights on colour photos, beside the baselines.",
        """  colorjax evaluate my-photos --weights run/weights.safetensors
  colorjax evaluate my-photos --weights run/weights.safetensors --size 256 --json result.json""",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders, or `samples`")
    parser.add_argument("--weights", metavar="FILE", help="default: the packaged weights")
    parser.add_argument(
        "--size",
        type=_value,
        metavar="N",
        help="of the photos (default: 256, or the dense network's own)",
    )
    add_vividness(parser)
    parser.add_argument("--json", metavar="FILE", help="write every number, per photo too")


def _choose_device(device: str | None) -> None:
    """Make JAX use a kind of device, before it starts any."""
    if device is None:
        return
    import jax

    jax.config.update("jax_platforms", device)
    try:
        jax.devices()
    except RuntimeError:
        raise UsageError(
            f"--device {device}: there is none here, or JAX has no support for it"
        ) from None


def _evaluate(options, printer: Printer) -> int:
    from colorjax import data
    from colorjax.evaluation import evaluate
    from colorjax.photos import write_bytes
    from colorjax.weights import load_record, load_weights

    vividness = _vividness(options.vividness)
    params, config = load_weights(options.weights)
    baselines = load_record(options.weights).get("baselines", {})
    dense = isinstance(config.network, configs.DenseConfig)
    usual = config.size if dense else PROTOCOL
    size = usual if options.size is None else _whole("size", options.size, 1)
    if dense and size == config.size:
        framing = "crop" if config.framing == "whole" else config.framing
        found = data.load_photos(options.photos, size, framing=framing)
    else:
        found = data.load_photos(options.photos, size, framing="crop", method="bicubic")
    for failure in found.failures:
        printer.error(failure)
    rgb = data.centre_squares(found.rgb, size)
    result = evaluate(rgb, found.names, params, config, baselines, vividness=vividness)
    left_out = f", {len(found.gray)} without colour left out" if found.gray else ""
    printer.line(f"{len(found.rgb)} photos at {size} × {size}{left_out}")
    print_results(printer, result)
    if options.json:
        text = json.dumps({"size": size, "left_out": found.gray, **result}, indent=1)
        write_bytes(options.json, text.encode(), overwrite=True)
    return 1 if found.failures else 0
