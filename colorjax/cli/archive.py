"""`colorjax archive`."""

import os
from typing import Any

from colorjax.cli.console import Printer
from colorjax.cli.options import (
    add_command,
    add_overwrite,
    add_quality,
    add_vividness,
    add_weights,
    check_integer,
    check_vividness,
    parse_value,
)
from colorjax.cli.tally import STATUSES


def add_archive(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "archive",
        _archive,
        "Color a large archive with many workers, using Ray on this machine or on its Ray cluster.",
        """  colorjax archive scans --out colored --workers 8
  RAY_ADDRESS=auto colorjax archive scans --out colored --workers 200""",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, or `samples`")
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="folder that mirrors the tree of the inputs"
    )
    add_weights(parser)
    parser.add_argument(
        "--workers",
        type=parse_value,
        metavar="N",
        help="number of workers, one core each (default: the cores of this machine)",
    )
    add_vividness(parser)
    add_overwrite(parser)
    add_quality(parser)


def _archive(args: Any, printer: Printer) -> int:
    from colorjax.jobs import archive, planning
    from colorjax.jobs.coloring import ColorOptions
    from colorjax.jobs.outputs import Claims
    from colorjax.weights import load_weights

    workers = (os.cpu_count() or 1) if args.workers is None else args.workers
    how = {
        "workers": check_integer("workers", workers, 1),
        "quality": check_integer("quality", args.quality, 1, 100),
        "overwrite": args.overwrite,
    }
    options = ColorOptions(vividness=check_vividness(args.vividness))
    load_weights(args.weights)  # reports a bad file once, and not once per worker
    claims = Claims([args.weights] if args.weights else [])
    jobs, failures = planning.plan(args.inputs, args.out, claims=claims)
    for failure in failures:
        printer.error(failure)
    counts = dict.fromkeys(STATUSES, 0) | {"failed": len(failures)}
    with printer.progress(max(1, len(jobs)), "photos") as show:
        for number, done in enumerate(
            archive.colorize_archive(jobs, args.weights, options, **how), 1
        ):
            counts[done.status] += 1
            if done.error:
                printer.error(done.error)
            show(number, done.name)
    printer.line(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 1 if counts["failed"] else 0
