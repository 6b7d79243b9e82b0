"""The command: `colorjax train`, `colorjax colorize`, `colorjax evaluate`."""

import argparse
import json
import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import colorjax
from colorjax import config as configs
from colorjax.console import Printer
from colorjax.errors import ColorjaxError, ConfigError, UsageError

# Options of `train` that are fields of the config; --set reaches the others.
FIELDS = {
    "--size": ("size", "N", "the network sees photos as N × N"),
    "--framing": (
        "framing",
        "HOW",
        "squash the aspect, crop the centre, or whole: views from anywhere",
    ),
    "--batch": ("batch", "N", "photos a step; shrinks to what is there"),
    "--objective": ("objective.name", "NAME", "what is minimised: matching, squared-error, chroma"),
    "--learning-rate": ("optimizer.learning_rate", "X", "peak step size"),
    "--schedule": ("optimizer.schedule", "NAME", "constant, cosine or inverse-cube"),
    "--weight-decay": ("optimizer.weight_decay", "X", "λ"),
    "--depth": ("network.depth", "N", "hidden layers"),
    "--hidden-activation": ("network.hidden_activation", "NAME", "relu, sigmoid or tanh"),
    "--output-activation": ("network.output_activation", "NAME", "clip, sigmoid or tanh"),
    "--hidden-multiple": ("network.hidden_multiple", "N", "hidden width over output width"),
}
PROTOCOL = 256  # side of the photos that colorizers are compared on
MEASURED = 50  # training photos measured at the end of a run without validation photos
RESULTS = (("loss", ".4g"), ("psnr", ".2f"), ("ssim", ".4f"), ("colourfulness", ".1f"))


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage.

        Spec: CMD-005
        """
        raise UsageError(f"{' '.join(message.split())}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Spec: CMD-004, CMD-005, CMD-006
    """
    try:
        options = make_parser().parse_args(arguments)
        printer = Printer(quiet=options.quiet)
        _join_processes(options)
        _choose_device(options.device)
        if not options.no_cache:
            from colorjax.cache import use_compilation_cache

            use_compilation_cache()
        return options.run(options, printer)
    except ColorjaxError as error:
        Printer().error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        Printer().error("interrupted; what is done stays, the same command does the rest")
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command.

    Spec: CMD-006
    """
    parser = _Parser(
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
    _add_train(commands)
    _add_colorize(commands)
    _add_evaluate(commands)
    return parser


def _add_command(commands, name, run, description, examples) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=description, description=description, epilog=f"examples:\n{examples}"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--device", choices=["cpu", "gpu", "tpu"], help="where to compute")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--no-cache", action="store_true", help="keep no compiled programs")
    return parser


def _add_train(commands) -> None:
    parser = _add_command(
        commands,
        "train",
        _train,
        "Train a network on colour photos.",
        """  colorjax train samples --out run
  colorjax train my-photos --preset seed-tanh2 --passes 100 --out run
  colorjax train my-photos --validation other-photos --size 32 --out run
  colorjax train my-photos --out run --resume""",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders, or `samples`")
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--preset", default="seed-relu", metavar="NAME", help=", ".join(configs.PRESETS)
    )
    parser.add_argument(
        "--validation",
        default="0.1",
        metavar="FOLDER|SHARE",
        help="photos to choose the best pass by: a folder, or a share of PHOTOS (default 0.1)",
    )
    parser.add_argument(
        "--mix",
        metavar="X,X,…",
        help="share of the draws for each of PHOTOS (default: by its number of photos)",
    )
    parser.add_argument(
        "--memory",
        type=_value,
        metavar="GB",
        help="that decoded photos may take; more are read anew at each step (default: 40 % of all)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=_value, metavar="N", help="length of the run in steps")
    length.add_argument(
        "--passes", type=_value, metavar="N", help="length in passes over the photos"
    )
    for flag, (_, metavar, text) in FIELDS.items():
        parser.add_argument(flag, type=_value, metavar=metavar, help=text)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field of the config, such as optimizer.warmup=0.1 or network.copy_gray=false",
    )
    parser.add_argument("--seed", type=_value, default=0, metavar="N", help="of all randomness")
    parser.add_argument(
        "--checkpoint-every", type=_value, default=500, metavar="N", help="in steps (default 500)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN")
    parser.add_argument("--init-from", metavar="WEIGHTS", help="start from these parameters")
    parser.add_argument("--tensorboard", action="store_true", help="TensorBoard events in RUN too")
    parser.add_argument(
        "--profile", type=_value, default=0, metavar="N", help="trace N steps into RUN/profile"
    )
    several = parser.add_argument_group("several processes, one a host or device")
    several.add_argument(
        "--distributed", action="store_true", help="ask the cluster: Slurm, Kubernetes, Cloud TPU"
    )
    several.add_argument("--coordinator", metavar="HOST:PORT", help="where no cluster tells")
    several.add_argument("--processes", type=_value, metavar="N", help="how many there are")
    several.add_argument("--process", type=_value, metavar="I", help="which this is, from 0")


def _add_colorize(commands) -> None:
    parser = _add_command(
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
    _add_vividness(parser)
    parser.add_argument("--compare", action="store_true", help="also a sheet of gray and colour")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--quality", type=_value, default=95, metavar="N", help="of JPEG and WebP")


def _add_vividness(parser) -> None:
    text = "strength of the colour: 0 is gray, 1 (default) natural, 2 twice as strong"
    parser.add_argument("--vividness", type=_value, default=1.0, metavar="X", help=text)


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
    _add_vividness(parser)
    parser.add_argument("--json", metavar="FILE", help="write every number, per photo too")


def _value(text: str) -> Any:
    """Return a number or a word; the config says whether it fits."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _whole(name: str, value: Any, least: int) -> int:
    """Check an option that is no field of the config."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is {value!r}; expected an integer of at least {least}")
    return value


def _vividness(value: Any) -> float:
    """Check the option."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ConfigError(f"vividness is {value!r}; expected a finite number of at least 0")
    return float(value)


def _join_processes(options) -> None:
    """Make this one of several processes, if the command says so, before JAX starts any device."""
    if options.command != "train" or not (options.distributed or options.coordinator):
        return
    flags = (options.coordinator, options.processes, options.process)
    if options.coordinator:
        _whole("processes", options.processes, 1)
        _whole("process", options.process, 0)
    elif flags != (None, None, None):
        raise UsageError("--processes and --process need --coordinator HOST:PORT")
    from colorjax.devices import join_processes

    join_processes(*flags)


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


def _train(options, printer: Printer) -> int:
    changes = {
        field: value
        for flag, (field, _, _) in FIELDS.items()
        if (value := getattr(options, flag[2:].replace("-", "_"))) is not None
    }
    for assignment in options.set:
        field, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: expected FIELD=VALUE")
        changes[field] = _value(value)
    config = configs.replace(configs.preset(options.preset), changes)
    _whole("seed", options.seed, 0)
    _whole("checkpoint-every", options.checkpoint_every, 1)
    _whole("profile", options.profile, 0)
    for name in ("steps", "passes"):
        if getattr(options, name) is not None:
            _whole(name, getattr(options, name), 1)

    import numpy as np

    from colorjax import data, devices, trainer, training
    from colorjax.evaluation import evaluate
    from colorjax.weights import fits, load_record, load_weights

    if not devices.is_first():
        printer = Printer(quiet=True)
    initial_params = None
    if options.init_from:
        initial_params, _ = load_weights(options.init_from)
        if not fits(initial_params, config):
            raise UsageError(f"{options.init_from}: of another network than this command's")
    share, mix = _share(options.validation), _mix(options.mix, len(options.photos))
    kept = config.source_size or config.size
    load = partial(
        data.load_photos, size=kept, framing=config.framing, memory=_bytes(options.memory)
    )
    found = load(options.photos)
    failures, gray = [*found.failures], len(found.gray)
    if share is None:
        chosen, others = np.arange(len(found.rgb)), load([options.validation])
        validation, names = others.rgb, others.names
        failures, gray = [*failures, *others.failures], gray + len(others.gray)
    else:
        chosen, judging = data.split(len(found.rgb), share, seed=options.seed)
        validation = data.subset(found.rgb, judging)
        names = [found.names[i] for i in judging]
    rgb, source = data.subset(found.rgb, chosen), found.source[chosen]
    validation = data.centre_squares(validation, kept)
    for failure in failures if devices.is_first() else ():
        printer.error(failure)
    data.check_readable(found)
    config = training.fit_config(
        config, photos=len(rgb), passes=options.passes, steps=options.steps
    )
    printer.line(
        f"{len(rgb)} photos to train on, {len(validation)} to validate"
        + (f", {gray} without colour left out" if gray else "")
    )

    with printer.progress(config.steps, "steps") as show:
        outcome = trainer.train(
            rgb,
            validation,
            config,
            options.out,
            source=source,
            mix=mix,
            seed=options.seed,
            resume=options.resume,
            checkpoint_every=options.checkpoint_every,
            initial_params=initial_params,
            record={"preset": options.preset},
            tensorboard=options.tensorboard,
            profile=options.profile,
            progress=lambda step, metrics: show(
                step,
                f"loss {metrics['loss']:.4g}, best {metrics['best']:.4g}, "
                f"{metrics['photos_per_second']:.0f} photos/s",
            ),
        )
    if not devices.is_first():
        return 0
    which = f"{len(validation)} validation photos"
    judged = validation
    if not len(validation):
        which = f"{min(len(rgb), MEASURED)} of the training photos"
        judged = data.centre_squares(data.subset(rgb, np.arange(len(rgb))[:MEASURED]), kept)
        names = [str(i) for i in range(len(judged))]
    params, _ = load_weights(outcome.weights)
    baselines = load_record(outcome.weights)["baselines"]
    result = evaluate(judged, names, params, config, baselines)
    kept = f"the best of {len(outcome.metrics)} passes is after step {outcome.best_step}"
    printer.line(f"{kept}; on {which}:")
    _print_results(printer, result)
    printer.line(f"colour photos with it:  colorjax colorize PHOTO --weights {outcome.weights}")
    return 1 if failures else 0


def _share(validation: str) -> float | None:
    """Return the share that --validation names, or None if it names a place."""
    value = _value(validation)
    if not isinstance(value, int | float):
        if validation != "samples" and not os.path.exists(validation):
            raise UsageError(
                f"--validation {validation}: neither a share nor a folder that is there"
            )
        return None
    if not 0 <= value < 1:
        raise UsageError(f"--validation {validation}: expected a share in [0, 1) or a folder")
    return value


def _mix(text: str | None, places: int) -> tuple[float, ...]:
    """Return the weights that --mix names."""
    if text is None:
        return ()
    weights = tuple(_value(part) for part in text.split(","))
    if not all(isinstance(w, int | float) and math.isfinite(w) and w > 0 for w in weights):
        raise ConfigError(f"mix is {text!r}; expected finite numbers above 0, with commas between")
    if len(weights) != places:
        raise ConfigError(f"mix is {text!r}; expected {places} numbers, one for each of PHOTOS")
    return weights


def _bytes(memory: Any) -> int | None:
    """Return the bytes of --memory."""
    if memory is None:
        return None
    if not isinstance(memory, int | float) or not math.isfinite(memory) or memory < 0:
        raise ConfigError(f"memory is {memory!r}; expected gigabytes, at least 0")
    return int(memory * 1e9)


def _colorize(options, printer: Printer) -> int:
    from colorjax import batch
    from colorjax.weights import load_weights

    if _whole("quality", options.quality, 1) > 100:
        raise ConfigError(f"quality is {options.quality}; expected at most 100")
    vividness = _vividness(options.vividness)
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
            quality=options.quality,
            vividness=vividness,
            done=done,
        )
    kept = f", {counts['kept']} kept (--overwrite to redo)" if counts["kept"] else ""
    failed = f", {len(failures)} failed" if failures else ""
    printer.line(f"{counts['done']} colorized{kept}{failed}")
    return 1 if failures else 0


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
    rgb = data.centre_squares(found.rgb, size)
    for failure in found.failures:
        printer.error(failure)
    result = evaluate(rgb, found.names, params, config, baselines, vividness=vividness)
    left_out = f", {len(found.gray)} without colour left out" if found.gray else ""
    printer.line(f"{len(found.rgb)} photos at {size} × {size}{left_out}")
    _print_results(printer, result)
    if options.json:
        text = json.dumps({"size": size, "left_out": found.gray, **result}, indent=1)
        write_bytes(options.json, text.encode(), overwrite=True)
    return 1 if found.failures else 0


def _print_results(printer: Printer, result: dict[str, Any]) -> None:
    rows = [
        [
            method,
            *(
                "–" if summary[name] is None else format(summary[name], how)
                for name, how in RESULTS
            ),
        ]
        for method, summary in result["summary"].items()
    ]
    printer.table(["", *(name for name, _ in RESULTS)], rows)
