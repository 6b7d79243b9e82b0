"""One photo from or to a standard stream, for `colorjax colorize -`."""

import os
import pathlib
import stat
import sys
from typing import Any

from colorjax.cli.console import Printer, stdout_failure
from colorjax.cli.tally import truncated_line
from colorjax.errors import PhotoError, UsageError

LARGEST_STREAM = 1 << 30  # bytes of a photo from or to a standard stream


def colorize_stream(
    args: Any, options: Any, suffix: str | None, written: Any, printer: Printer
) -> int:
    """Color one photo from or to a standard stream, and print nothing else on it."""
    from colorjax.jobs import batch
    from colorjax.jobs.hintfiles import check_hints
    from colorjax.jobs.outputs import Claims
    from colorjax.jobs.planning import failure
    from colorjax.photos import format_of, read_bytes, write_bytes
    from colorjax.weights import load_weights

    if len(args.inputs) > 1:
        raise UsageError("'-' stands for one photo; remove the other inputs")
    for name in ("compare", "gallery", "json", "hints_dir", "open"):
        if getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')} cannot be used with a standard stream")
    if options.variants > 1:
        raise UsageError("--variants cannot be used with a standard stream, which holds one photo")
    (source,) = args.inputs
    out = "-" if args.out is None else args.out
    if source != "-" and os.path.isdir(source):
        raise UsageError(f"{source}: a folder; expected one photo for standard output")
    check_hints(args.hints, None)
    given: Any = sys.stdin if source == "-" else None
    read = [given.fileno() if _is_file(given) else source]
    claims = Claims(read + [each for each in (args.hints, args.weights) if each])
    if out != "-":
        format_of(out)
        suffix = suffix or os.path.splitext(out)[1]
        claims.claim_alone(out, overwrite=args.overwrite)
    elif _is_file(sys.stdout):
        claims.claim_alone(sys.stdout.fileno(), overwrite=True)
    weights = load_weights(args.weights)
    name = "standard input" if source == "-" else source
    shown = Printer(quiet=args.quiet, stderr=True) if out == "-" else printer
    data = _standard_input() if source == "-" else read_bytes(source, LARGEST_STREAM + 1)
    if len(data) > LARGEST_STREAM:
        most = f"{LARGEST_STREAM / (1 << 30):g} GiB"
        expected = "a photo, or a file's name" if source == "-" else "an output file"
        raise PhotoError(f"{name}: longer than {most}; expected {expected}")
    try:
        colored = batch.colorize_bytes(
            data,
            weights,
            options,
            name=name,
            suffix=suffix,
            hints=args.hints,
            note=lambda photo: photo.truncated and printer.error(truncated_line(name)),
            progress=shown.progress,
            target="standard output" if out == "-" else out,
            **written,
        )
    except Exception as error:
        raise failure(pathlib.Path(name), error) from error
    if out != "-":
        write_bytes(out, colored, overwrite=args.overwrite)
        return 0
    try:
        sys.stdout.buffer.write(colored)
        sys.stdout.buffer.flush()
    except (OSError, ValueError, AttributeError) as error:
        raise stdout_failure(error) from error
    return 0


def _is_file(stream: Any) -> bool:
    """Return whether a standard stream is a regular file."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # the stream is closed
        return False


def _standard_input() -> bytes:
    """Read all of standard input, up to one byte more than the limit."""
    try:
        given: Any = sys.stdin
        return given.buffer.read(LARGEST_STREAM + 1)
    except (OSError, ValueError, AttributeError) as error:
        found = getattr(error, "strerror", None) or "it is closed"
        raise PhotoError(f"standard input: {found}; expected a photo") from error
    except MemoryError:
        raise PhotoError("standard input: does not fit in memory; expected a file") from None
