"""`colorjax evaluate`: weights measured on photos beside the baselines."""

import json
from typing import Any

from colorjax import config as configs
from colorjax.cli.console import Printer
from colorjax.cli.options import (
    add_command,
    add_vividness,
    add_weights,
    print_results,
    value,
    vividness,
    whole,
)

PROTOCOL = 256  # side of the photos that colorizers are compared on


def add_evaluate(commands: Any) -> None:
    """Add the subcommand.

    Spec: CMD-001, CMD-006
    """
    parser = add_command(
        commands,
        "evaluate",
        _evaluate,
        "Measure weights on color photos, beside the baselines.",
        """  colorjax evaluate my-photos --weights run/weights.safetensors
  colorjax evaluate my-photos --weights run/weights.safetensors --size 256 --json result.json
  colorjax evaluate my-photos --hints 10""",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders, or `samples`")
    add_weights(parser)
    parser.add_argument(
        "--size",
        type=value,
        metavar="N",
        help="of the photos (default: 256, or the dense network's own)",
    )
    add_vividness(parser)
    parser.add_argument(
        "--hints",
        type=value,
        default=0,
        metavar="N",
        help="tell the true color of N places: 1 is the center, more are random (default 0)",
    )
    parser.add_argument("--json", metavar="FILE", help="write every number, per photo too")
    parser.add_argument("--overwrite", action="store_true", help="replace a --json that exists")


def _evaluate(options: Any, printer: Printer) -> int:
    from colorjax.data import photosets
    from colorjax.evaluation.evaluate import evaluate
    from colorjax.photos import write_bytes
    from colorjax.weights import load_record, load_weights

    if options.json:
        _claim(options)
    strength, hints = vividness(options.vividness), whole("hints", options.hints, 0)
    params, config = load_weights(options.weights)
    baselines = load_record(options.weights).get("baselines", {})
    dense = isinstance(config.network, configs.DenseConfig)
    usual = config.size if dense else PROTOCOL
    size = usual if options.size is None else whole("size", options.size, 1)
    if dense and size == config.size:
        framing = "crop" if config.framing == "whole" else config.framing
        found = photosets.load_photos(options.photos, size, framing=framing)
    else:
        found = photosets.load_photos(options.photos, size, framing="crop", method="bicubic")
    for failure in found.failures:
        printer.error(failure)
    rgb = photosets.center_squares(found.rgb, size)
    result = evaluate(rgb, found.names, params, config, baselines, vividness=strength, hints=hints)
    left_out = f", {len(found.gray)} without color left out" if found.gray else ""
    printer.line(f"{len(found.rgb)} photos at {size} × {size}{left_out}")
    print_results(printer, result)
    if options.json:
        text = json.dumps({"size": size, "left_out": found.gray, **result}, indent=1)
        write_bytes(options.json, text.encode(), overwrite=options.overwrite)
    return 1 if found.failures else 0


def _claim(options: Any) -> None:
    """Refuse to write over a photo, the weights, or what exists."""
    from colorjax.jobs.outputs import Claims
    from colorjax.photos import find_photos

    read = [path for path, _ in find_photos(options.photos)]
    claims = Claims([*read, *([options.weights] if options.weights else [])])
    claims.claim_alone(options.json, overwrite=options.overwrite)
