"""`colorjax export`."""

from typing import Any

from colorjax.cli.console import Printer
from colorjax.cli.options import add_command, add_overwrite, add_weights


def add_export(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "export",
        _export,
        "Write the network for programs without Python: ONNX or StableHLO.",
        """  colorjax export --out exported
  colorjax export --format stablehlo --weights run/weights.safetensors --out exported""",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FOLDER",
        help="folder for the program and a text that explains its use",
    )
    parser.add_argument(
        "--format",
        choices=["onnx", "stablehlo"],
        default="onnx",
        help="format of the program (default: onnx)",
    )
    add_weights(parser)
    add_overwrite(parser, "files")


def _export(args: Any, printer: Printer) -> int:
    from colorjax.export import export_network
    from colorjax.weights import load_weights

    weights = load_weights(args.weights)
    for path in export_network(args.out, weights, format=args.format, overwrite=args.overwrite):
        printer.line(str(path))
    return 0
