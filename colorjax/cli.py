"""The command: `colorjax train`, `colorjax colorize`, `colorjax evaluate`."""

import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import colorjax
from colorjax import config as configs
from colorjax.commands.app import add_app
from colorjax.commands.colorize import add_colorize
from colorjax.commands.evaluate import add_evaluate, print_results
from colorjax.commands.export import add_export
from colorjax.commands.options import Parser
from colorjax.commands.options import add_command as _add_command
from colorjax.commands.options import value as _value
from colorjax.commands.options import whole as _whole
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
MEASURED = 50  # training photos measured at the end of a run without validation photos


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Spec: CMD-004, CMD-005, CMD-006
    """
    try:
        options = make_parser().parse_args(arguments)
        printer = Printer(quiet=options.quiet)
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
    _add_train(commands)
    add_colorize(commands)
    add_evaluate(commands)
    add_app(commands)
    add_export(commands)
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
    for name in ("steps", "passes"):
        if getattr(options, name) is not None:
            _whole(name, getattr(options, name), 1)

    import numpy as np

    from colorjax import data, trainer, training
    from colorjax.evaluation import evaluate
    from colorjax.weights import fits, load_record, load_weights

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
    for failure in failures:
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
            progress=lambda step, metrics: show(
                step,
                f"loss {metrics['loss']:.4g}, best {metrics['best']:.4g}, "
                f"{metrics['photos_per_second']:.0f} photos/s",
            ),
        )
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
    print_results(printer, result)
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
