"""`colorjax colorize`."""

import json
import os
import pathlib
import webbrowser
from typing import Any

from colorjax.cli.console import Printer
from colorjax.cli.options import (
    add_command,
    add_max_megapixels,
    add_overwrite,
    add_quality,
    add_vividness,
    add_weights,
    check_extra,
    check_integer,
    check_vividness,
    parse_value,
)
from colorjax.cli.stream import colorize_stream
from colorjax.cli.tally import Tally, in_color_line
from colorjax.errors import (
    ColorjaxError,
    OutputError,
    UsageError,
)


def add_colorize(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "colorize",
        _colorize,
        "Color photos and videos at full size. Every pixel keeps its brightness.",
        """  colorjax colorize old.jpg                     writes old.color.jpg
  colorjax colorize old.jpg --out new.png --vividness 1.5
  colorjax colorize album --out colored --compare --exclude 'draft-*'
  colorjax colorize old.jpg --variants 3 --hints dots.png
  colorjax colorize video.mp4
  colorjax colorize - < old.jpg > new.jpg""",
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="files, folders (searched recursively), `samples`, or - for standard input",
    )
    parser.add_argument(
        "--out",
        metavar="FILE_OR_FOLDER",
        help="where to write (default: next to each input), or - for standard output",
    )
    add_weights(parser)
    add_vividness(parser)
    parser.add_argument(
        "--keep-color",
        action="store_true",
        help="keep the color that a photo has, such as hand coloring; the tone of a sepia photo is removed",
    )
    parser.add_argument(
        "--variants",
        type=parse_value,
        default=1,
        metavar="N",
        help="write N different colorings of each input: old.color.1.jpg, … (default 1)",
    )
    parser.add_argument(
        "--look",
        default="natural",
        metavar="NAME",
        help="natural (default), vivid, warm, cool, or other likely colors: other-1, other-2",
    )
    parser.add_argument(
        "--list-looks", action="store_true", help="print the names of the looks and exit"
    )
    parser.add_argument(
        "--hints",
        metavar="FILE",
        help="known colors: a picture with dots on a transparent background, or points in JSON",
    )
    parser.add_argument(
        "--hints-dir",
        metavar="FOLDER",
        help="folder with a hint file for each input, of the same name",
    )
    parser.add_argument(
        "--compare", action="store_true", help="also write a sheet with gray and color side by side"
    )
    parser.add_argument(
        "--gallery",
        metavar="FOLDER",
        help="also write web pages with a before/after slider for each photo, and for a still of each video",
    )
    parser.add_argument("--open", action="store_true", help="open the result when it is done")
    add_overwrite(parser)
    for option, text in (("--include", "only use"), ("--exclude", "skip")):
        parser.add_argument(
            option,
            action="append",
            default=[],
            metavar="PATTERN",
            help=f"in folders, {text} files that match, such as 'scan-*' or 'inner/*.jpg'; may be repeated",
        )
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="format of the outputs: jpg, png, tif, webp, avif, … (default: that of the input, if possible)",
    )
    add_quality(parser)
    add_max_megapixels(parser, 400)
    parser.add_argument(
        "--allow-truncated",
        action="store_true",
        help="open photos even if their end is missing; the missing part is blank",
    )
    parser.add_argument("--json", metavar="FILE", help="write the result for each input to FILE")


def limit_threads(args: Any) -> None:
    """Make JAX color each photo in the calling thread, before it starts a CPU.

    The cores work on different photos, and splitting up the work on one photo gains nothing.
    """
    if args.command != "colorize":
        return
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    os.environ.setdefault("PJRT_NPROC", "1")


def _colorize(args: Any, printer: Printer) -> int:
    if "samples" in args.inputs:
        check_extra("samples", "train", "skimage")

    from colorjax.inference.looks import NATURAL, find_look, looks
    from colorjax.jobs import batch, planning
    from colorjax.jobs.coloring import ColorOptions
    from colorjax.jobs.gallery import is_page, page_paths, write_gallery
    from colorjax.jobs.outputs import Claims
    from colorjax.photos import write_bytes
    from colorjax.weights import load_weights

    if args.list_looks:
        for name in looks(load_weights(args.weights)[1]):
            printer.line(name)
        return 0
    if not args.inputs:
        raise UsageError("the following arguments are required: INPUT")
    if args.look != NATURAL:
        find_look(args.look, load_weights(args.weights)[1])
        if args.variants != 1:
            raise UsageError("--look and --variants: expected only one of them")
    options = ColorOptions(
        vividness=check_vividness(args.vividness),
        variants=check_integer("variants", args.variants, 1, 16),
        look=args.look,
        keep_color=args.keep_color,
    )
    suffix = _suffix(args.format, args.out)
    written: dict[str, Any] = {
        "quality": check_integer("quality", args.quality, 1, 100),
        "max_pixels": 1_000_000 * check_integer("max-megapixels", args.max_megapixels, 1),
        "allow_truncated": args.allow_truncated,
    }
    if "-" in (*args.inputs, args.out):
        return colorize_stream(args, options, suffix, written, printer)
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
    tally = Tally(printer, failures, variants=args.variants)

    how: dict[str, Any] = {
        "compare": args.compare,
        "overwrite": args.overwrite,
        "claims": claims,
        "progress": printer.progress,
    }
    results = batch.colorize_files(photos, weights, options, **how, **written)
    with printer.progress(max(1, len(photos)), "photos") as show:
        for number, result in enumerate(results, 1):
            tally.note(result)
            show(number, str(result.job.target))
    for job in videos:
        result = batch.colorize_video(
            job, weights, options, max_pixels=written["max_pixels"], **how
        )
        tally.note(result)

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


def show_file(path: pathlib.Path, printer: Printer) -> None:
    """Show a file or folder in the system's default program."""
    try:
        shown = webbrowser.open(path.absolute().as_uri())
    except (OSError, webbrowser.Error):
        shown = False
    if not shown:
        printer.error(f"{path}: no program here can show it; open it yourself")


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
        raise UsageError(f"--format {name}: contradicts --out {out}; expected only one of them")
    return suffix
