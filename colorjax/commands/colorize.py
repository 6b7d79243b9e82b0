"""`colorjax colorize`."""

from colorjax.commands.options import add_command, add_vividness, value, vividness, whole
from colorjax.console import Printer


def add_colorize(commands) -> None:
    parser = add_command(
        commands,
        "colorize",
        _colorize,
        "Give photos their colour, at their own size and on their own light.",
        """  colorjax colorize old.jpg                     writes old.colour.jpg
  colorjax colorize old.jpg --out new.png --vividness 1.5
  colorjax colorize album --out coloured --compare --weights run/weights.safetensors""",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, or `samples`")
    parser.add_argument("--out", metavar="FILE_OR_FOLDER", help="default: beside each input")
    parser.add_argument("--weights", metavar="FILE", help="default: the packaged weights")
    add_vividness(parser)
    parser.add_argument("--compare", action="store_true", help="also a sheet of gray and colour")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--quality", type=value, default=95, metavar="N", help="of JPEG and WebP")


def _colorize(options, printer: Printer) -> int:
    from colorjax import batch
    from colorjax.weights import load_weights

    quality = whole("quality", options.quality, 1, 100)
    strength = vividness(options.vividness)
    weights = load_weights(options.weights)
    jobs, failures = batch.plan(options.inputs, options.out, compare=options.compare)
    for failure in failures:
        printer.error(failure)
    counts = {"done": 0, "kept": 0}

    with printer.progress(max(1, len(jobs)), "photos") as show:

        def done(job, what):
            if what in counts:
                counts[what] += 1
            else:
                printer.error(what)
                failures.append(what)
            show(counts["done"] + counts["kept"], str(job.target))

        batch.colorize_files(
            jobs,
            weights,
            compare=options.compare,
            overwrite=options.overwrite,
            quality=quality,
            vividness=strength,
            done=done,
        )
    kept = f", {counts['kept']} kept (--overwrite to redo)" if counts["kept"] else ""
    failed = f", {len(failures)} failed" if failures else ""
    printer.line(f"{counts['done']} colorized{kept}{failed}")
    return 1 if failures else 0
