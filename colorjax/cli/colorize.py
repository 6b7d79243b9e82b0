"""`colorjax colorize`."""

import json
import os
import pathlib
import stat
import sys
import time
import webbrowser
from typing import Any

from colorjax.cli.console import Printer
from colorjax.cli.options import (
    add_command,
    add_vividness,
    add_weights,
    check_integer,
    check_vividness,
    handle_sigterm,
    parse_value,
)
from colorjax.errors import (
    ColorjaxError,
    OutputError,
    PhotoError,
    TooLargeError,
    TruncatedError,
    UsageError,
)

LARGEST_STREAM = 1 << 30  # bytes of a photo on standard input
STATUSES = ("done", "skipped", "busy", "failed")


def add_colorize(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "colorize",
        _colorize,
        "Give photos and videos their color, at their own size and on their own light.",
        """  colorjax colorize old.jpg                     writes old.color.jpg
  colorjax colorize old.jpg --out new.png --vividness 1.5
  colorjax colorize album --out colored --compare --exclude 'draft-*'
  colorjax colorize old.jpg --variants 3 --hints dots.png
  colorjax colorize video.mp4
  colorjax colorize - < old.jpg > new.jpg""",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="files, folders (searched to the bottom), `samples`, or - for standard input",
    )
    parser.add_argument(
        "--out",
        metavar="FILE_OR_FOLDER",
        help="default: beside each input; - for standard output",
    )
    add_weights(parser)
    add_vividness(parser)
    parser.add_argument(
        "--keep-color",
        action="store_true",
        help="blend with what color there is, such as hand coloring or faded color; one tone over all is none",
    )
    parser.add_argument(
        "--variants",
        type=parse_value,
        default=1,
        metavar="N",
        help="plausible colorings of each input: old.color.1.jpg, … (default 1)",
    )
    parser.add_argument(
        "--hints",
        metavar="FILE",
        help="colors that are known: a picture with dots on transparency, or JSON points; of a video, in every frame",
    )
    parser.add_argument(
        "--hints-dir", metavar="FOLDER", help="such files by the names of the inputs"
    )
    parser.add_argument("--compare", action="store_true", help="also a sheet of gray and color")
    parser.add_argument(
        "--gallery",
        metavar="FOLDER",
        help="also web pages with a before/after slider for each photo, and for a still of each video",
    )
    parser.add_argument("--open", action="store_true", help="show the result when it is done")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    for option, text in (("--include", "only files"), ("--exclude", "no files")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="PATTERN",
            help=f"of folders {text} whose name matches, such as 'scan-*' or 'inner/*.jpg'; may be repeated",
        )
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="of the photos' outputs: jpg, png, tif, webp, avif, … (default: as each input, where it holds color)",
    )
    parser.add_argument(
        "--quality",
        type=parse_value,
        default=95,
        metavar="N",
        help="of JPEG, WebP, AVIF and HEIC (default 95)",
    )
    parser.add_argument(
        "--max-megapixels",
        type=parse_value,
        default=400,
        metavar="N",
        help="refuse larger photos (default 400)",
    )
    parser.add_argument(
        "--allow-truncated",
        action="store_true",
        help="open photos whose end is missing, too; the rest is blank",
    )
    parser.add_argument("--json", metavar="FILE", help="write what became of each input")


def _colorize(args: Any, printer: Printer) -> int:
    import jax

    # a CPU computes in the thread that asks, and in no other: photos share out the cores, and a part of one is too
    # little to gain by that
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    os.environ.setdefault("PJRT_NPROC", "1")
    from colorjax.jobs import batch, planning
    from colorjax.jobs.coloring import ColorOptions
    from colorjax.jobs.gallery import is_page, page_paths, write_gallery
    from colorjax.jobs.outputs import Claims
    from colorjax.photos import write_bytes
    from colorjax.weights import load_weights

    options = ColorOptions(
        vividness=check_vividness(args.vividness),
        variants=check_integer("variants", args.variants, 1, 16),
        keep_color=args.keep_color,
    )
    suffix = _suffix(args.format, args.out)
    written: dict[str, Any] = {
        "quality": check_integer("quality", args.quality, 1, 100),
        "max_pixels": 1_000_000 * check_integer("max-megapixels", args.max_megapixels, 1),
        "allow_truncated": args.allow_truncated,
    }
    if "-" in (*args.inputs, args.out):
        return _colorize_stream(args, options, suffix, written, printer)
    weights = load_weights(args.weights)
    claims = Claims([args.weights] if args.weights else [])
    jobs, failures = planning.plan(
        args.inputs,
        args.out,
        variants=options.variants,
        compare=args.compare,
        suffix=suffix,
        include=args.include,
        exclude=args.exclude,
        hints=args.hints,
        hints_dir=args.hints_dir,
        outputs=[each for each in (args.gallery, args.hints_dir) if each],
        claims=claims,
    )
    if args.json:
        claims.claim_alone(args.json, overwrite=args.overwrite)
    if args.gallery:
        for page in page_paths(args.gallery, len(jobs) * options.variants):
            claims.claim_alone(page, overwrite=args.overwrite or is_page(page))
        planning.make_folder(pathlib.Path(args.gallery))
    photos = [job for job in jobs if not job.is_video]
    videos = [job for job in jobs if job.is_video]
    tally = _Tally(printer, failures, variants=args.variants)

    with handle_sigterm():
        how = {"compare": args.compare, "overwrite": args.overwrite}
        results = batch.colorize_files(photos, weights, options, **how, **written)
        with printer.progress(max(1, len(photos)), "photos") as show:
            for number, result in enumerate(results, 1):
                tally.note(result)
                show(number, str(result.job.target))
        for job in videos:
            tally.note(
                batch.colorize_video(job, weights, options, **how, progress=printer.progress)
            )

    summary = tally.summary()

    def write_json() -> None:
        text = json.dumps(summary, indent=1)
        write_bytes(args.json, text.encode(), overwrite=args.overwrite)

    def write_pages() -> None:
        pairs = batch.finished_pairs(jobs, variants=options.variants)
        write_gallery(args.gallery, pairs, overwrite=args.overwrite)
        printer.line(f"before and after:  {page_paths(args.gallery, 1)[0]}")

    faults = []
    for asked, write in ((args.json, write_json), (args.gallery, write_pages)):
        if asked:
            try:
                write()
            except ColorjaxError as fault:
                faults.append(fault)
    if tally.in_color:
        printer.line(in_color_line(tally.in_color))
    printer.line(tally.line())
    for fault in faults:
        printer.error(str(fault))
    if args.open and tally.outputs:
        shown = pathlib.Path(tally.outputs[0])
        if args.gallery and not faults:
            shown = pathlib.Path(page_paths(args.gallery, 1)[0])
        elif len(jobs) > 1:
            shown = shown.parent
        show_file(shown, printer)
    return max([tally.exit_code, *(fault.exit_code for fault in faults)])


class _Tally:
    """Counts results of photos and videos, and prints errors."""

    def __init__(self, printer: Printer, failures: list[str], *, variants: int) -> None:
        self.printer, self.variants, self.start = printer, variants, time.monotonic()
        self.counts = dict.fromkeys(STATUSES, 0) | {"failed": len(failures)}
        self.photos: list[dict[str, Any]] = []
        self.videos: list[dict[str, Any]] = []
        self.outputs: list[str] = []  # that are there now
        self.in_color: list[str] = []  # photos that were in color before
        self.photo_seconds = 0.0
        self.exit_code = 1 if failures else 0
        for failure in failures:
            printer.error(failure)
            self.photos.append({"status": "failed", "error": failure})

    def note(self, result: Any) -> None:
        """Count a result."""
        self.counts[result.status] += 1
        kind, noted = ("video", self.videos) if result.job.is_video else ("photo", self.photos)
        noted.append({kind: str(result.job.source), "status": result.status})
        if kind == "photo":
            self.photo_seconds = time.monotonic() - self.start
        if result.truncated:
            self.printer.error(truncated_line(result.job.source))
            noted[-1]["truncated"] = True
        if result.in_color:
            self.in_color.append(str(result.job.source))
            noted[-1]["in_color"] = True
        if result.error is None:
            outputs = [str(path) for path in result.job.targets(self.variants)]
            noted[-1] |= {"output": outputs[0]} if self.variants == 1 else {"outputs": outputs}
            if result.status in ("done", "skipped"):
                self.outputs += outputs
            return
        text = str(result.error)
        if isinstance(result.error, TooLargeError):
            text += ", or --max-megapixels to raise the limit"
        if isinstance(result.error, TruncatedError):
            text += ", or --allow-truncated to open what there is"
        self.printer.error(text)
        noted[-1]["error"] = text
        self.exit_code = max(self.exit_code, result.error.exit_code)

    def summary(self) -> dict[str, Any]:
        """Return all numbers so far, for `--json`."""
        numbers = {"seconds": time.monotonic() - self.start, "photos_per_second": self.rate()}
        return self.counts | numbers | {"photos": self.photos, "videos": self.videos}

    def rate(self) -> float:
        """Return the photos colored per second, until the videos began."""
        done = sum(photo["status"] == "done" for photo in self.photos)
        return done / self.photo_seconds if done else 0.0

    def line(self) -> str:
        """Return the summary in one line. For a single input it names the files and gives no rate."""
        alone = sum(self.counts.values()) == 1
        named = f": {', '.join(self.outputs)}" if alone else ""
        parts = [f"{self.counts['done']} colorized"]
        if self.counts["done"]:
            parts[0] += named
        if self.counts["skipped"]:
            advice = "--overwrite to redo"
            if alone:
                advice = "add --overwrite to replace it, or --out NAME to write another"
            parts.append(f"{self.counts['skipped']} there already{named} ({advice})")
        if self.counts["busy"]:
            parts.append(f"{self.counts['busy']} that another run is at work on")
        if self.counts["failed"]:
            parts.append(f"{self.counts['failed']} failed")
        if self.rate() and not alone:
            parts.append(f"{self.rate():.3g} photos a second")
        return ", ".join(parts)


def in_color_line(sources: list[str]) -> str:
    """Return the line about photos that were already in color."""
    if len(sources) == 1:
        found = f"{sources[0]}: in color already; its gray was colored"
        return f"{found} (--keep-color keeps its own color)"
    found = f"{len(sources)} photos were in color already; their gray was colored"
    return f"{found} (--keep-color keeps their own color)"


def show_file(path: pathlib.Path, printer: Printer) -> None:
    """Show a file or folder in the system's default program."""
    try:
        shown = webbrowser.open(path.absolute().as_uri())
    except (OSError, webbrowser.Error):
        shown = False
    if not shown:
        printer.error(f"{path}: no program here shows it; open it yourself")


def truncated_line(source: object) -> str:
    """Return the warning about a photo whose end is missing."""
    return f"{source}: its end is missing; what there is was colored, the rest is blank"


def _colorize_stream(
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
        raise UsageError("- stands for one photo; expected no other input")
    for name in ("compare", "gallery", "json", "hints_dir", "open"):
        if getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')} goes with no standard stream")
    if options.variants > 1:
        raise UsageError("--variants goes with no standard stream, which holds one photo")
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
    data = _standard_input() if source == "-" else read_bytes(source)
    try:
        colored = batch.colorize_bytes(
            data,
            weights,
            options,
            name=name,
            suffix=suffix,
            hints=args.hints,
            note=lambda photo: photo.truncated and printer.error(truncated_line(name)),
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
        found = getattr(error, "strerror", None) or "it is closed"
        raise OutputError(f"standard output: cannot be written ({found})") from error
    return 0


def _is_file(stream: Any) -> bool:
    """Return whether a standard stream is a regular file."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # it is closed
        return False


def _standard_input() -> bytes:
    """Read all of standard input, up to a limit."""
    try:
        given: Any = sys.stdin
        data = given.buffer.read(LARGEST_STREAM + 1)
    except (OSError, ValueError, AttributeError) as error:
        found = getattr(error, "strerror", None) or "it is closed"
        raise PhotoError(f"standard input: {found}; expected a photo") from error
    except MemoryError:
        raise PhotoError("standard input: too large for the memory here; expected a file") from None
    if len(data) > LARGEST_STREAM:
        most = f"{LARGEST_STREAM / (1 << 30):g} GiB"
        raise PhotoError(f"standard input: longer than {most}; expected a photo, or a file's name")
    return data


def _suffix(name: str | None, out: str | None) -> str | None:
    """Return the suffix of a format, which must not contradict the suffix of an output file."""
    if name is None:
        return None
    from colorjax.photos import SUFFIXES, format_of

    suffix = f".{name.lower().removeprefix('.')}"
    try:
        kind = format_of(f"photo{suffix}")
    except OutputError:
        expected = "jpg, png, tif, webp, avif, heic, bmp or jp2"
        raise UsageError(f"--format {name}: expected {expected}") from None
    ending = os.path.splitext(out or "")[1].lower()
    if ending not in SUFFIXES[kind] and any(ending in known for known in SUFFIXES.values()):
        raise UsageError(f"--format {name}: --out {out} is of another; expected one of the two")
    return suffix
