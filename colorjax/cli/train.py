"""`colorjax train`."""

import argparse
import json
import math
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from colorjax import config as configs
from colorjax.cli.console import Printer
from colorjax.cli.options import add_command, check_extra, check_integer, parse_value, print_results
from colorjax.errors import ConfigError, UsageError

# options of `train` that are fields of the config; --set can change the others
FIELDS = {
    "--size": ("size", "N", "the network sees photos as N × N"),
    "--framing": (
        "framing",
        "HOW",
        "squash the photo, crop its center, or keep it whole for random views",
    ),
    "--batch": ("batch", "N", "photos per step, at most the number of photos"),
    "--objective": (
        "objective.name",
        "NAME",
        "what to minimize: matching, squared-error or chroma",
    ),
    "--learning-rate": ("optimizer.learning_rate", "X", "peak learning rate"),
    "--schedule": ("optimizer.schedule", "NAME", "constant, cosine or inverse-cube"),
    "--weight-decay": ("optimizer.weight_decay", "X", "weight decay λ"),
    "--depth": ("network.depth", "N", "hidden layers of a dense network"),
    "--hidden-activation": ("network.hidden_activation", "NAME", "relu, sigmoid or tanh"),
    "--output-activation": ("network.output_activation", "NAME", "clip, sigmoid or tanh"),
    "--hidden-multiple": ("network.hidden_multiple", "N", "ratio of hidden width to output width"),
}
# learning rate, passes and least steps for training from the packaged weights
TUNED_RATE, TUNED_PASSES, TUNED_STEPS = 2e-4, 20, 100
MEASURED = 50  # training photos to measure at the end of a run without validation photos


def add_train(commands: Any) -> None:
    """Add the subcommand to the parser."""
    parser = add_command(
        commands,
        "train",
        _train,
        "Train a network on color photos.",
        """  colorjax train my-photos --out run                       from the packaged weights
  colorjax train my-photos --out run --resume              after Ctrl-C or a kill
  colorjax train my-photos --validation other-photos --out run
  colorjax train my-photos --init-from random --out run    from scratch
  colorjax train samples --preset seed-tanh2 --passes 100 --out run""",
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders, or `samples`")
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--preset",
        default="photo",
        metavar="NAME",
        help=f"the network: {', '.join(configs.PRESETS)} (default: photo)",
    )
    parser.add_argument(
        "--validation",
        default="0.1",
        metavar="FOLDER|SHARE",
        help="photos that decide which pass is best: a folder, or a share of PHOTOS (default 0.1)",
    )
    parser.add_argument(
        "--mix",
        metavar="X,X,…",
        help="relative weight of each of PHOTOS (default: its number of photos)",
    )
    parser.add_argument(
        "--memory",
        type=parse_value,
        metavar="GB",
        help="memory for decoded photos; others are read again at each step (default: 40 %% of the computer's)",
    )
    parser.add_argument(
        "--pack",
        metavar="FOLDER",
        help="store decoded photos in FOLDER instead of memory; the next run uses them again",
    )
    length = parser.add_mutually_exclusive_group()
    length_text = (
        f"default: {TUNED_PASSES} passes, but at least {TUNED_STEPS} steps, when starting from the packaged weights, "
        "otherwise that of the preset"
    )
    length.add_argument(
        "--steps", type=parse_value, metavar="N", help=f"length in steps ({length_text})"
    )
    length.add_argument(
        "--passes", type=parse_value, metavar="N", help="length in passes over the photos"
    )
    tuned = {"--learning-rate": f"{TUNED_RATE:g} from the packaged weights, otherwise the preset's"}
    for flag, (_, metavar, text) in FIELDS.items():
        default = tuned.get(flag, "the preset's")
        parser.add_argument(
            flag, type=parse_value, metavar=metavar, help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change any field of the config, such as optimizer.warmup=0.1 or network.copy_gray=false",
    )
    parser.add_argument(
        "--seed",
        type=parse_value,
        default=0,
        metavar="N",
        help="seed of all random numbers (default 0)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=parse_value,
        default=500,
        metavar="N",
        help="steps between checkpoints (default 500)",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN")
    parser.add_argument(
        "--init-from",
        metavar="WEIGHTS",
        help="a weights file, `packaged`, `photo-free` or `random` (default: `packaged`; dense networks: `random`)",
    )
    parser.add_argument(
        "--encoder",
        metavar="FILE",
        help="start the encoder of a photo network from a file that scripts/convert-encoder wrote",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="also write TensorBoard events to RUN"
    )
    parser.add_argument(
        "--profile",
        type=parse_value,
        default=0,
        metavar="N",
        help="trace N steps into RUN/profile (default 0)",
    )
    several = parser.add_argument_group("several processes, one for each host or device")
    several.add_argument(
        "--distributed",
        action="store_true",
        help="let the cluster manager coordinate: Slurm, Kubernetes, Cloud TPU",
    )
    several.add_argument(
        "--coordinator", metavar="HOST:PORT", help="address of process 0, without a cluster manager"
    )
    several.add_argument("--processes", type=parse_value, metavar="N", help="number of processes")
    several.add_argument(
        "--process", type=parse_value, metavar="I", help="index of this process, from 0"
    )


def join_processes(args: argparse.Namespace) -> None:
    """Join the other processes of the run, if there are any, before JAX starts a device.

    Raises:
        UsageError: no cluster manager was found, or the other processes cannot be reached.
    """
    if args.command != "train" or not (args.distributed or args.coordinator):
        return
    flags = (args.coordinator, args.processes, args.process)
    if args.coordinator:
        check_integer("processes", args.processes, 1)
        check_integer("process", args.process, 0)
    elif flags != (None, None, None):
        raise UsageError("--processes and --process need --coordinator HOST:PORT")
    from colorjax.training import devices

    devices.join_processes(*flags)


def _train(args: argparse.Namespace, printer: Printer) -> int:
    """Train. If a signal ends the command outside the steps, say how to continue."""
    try:
        return _make_run(args, printer)
    except KeyboardInterrupt as stop:
        if not os.path.exists(os.path.join(args.out, "config.json")):
            raise
        printer.error("interrupted; use --resume to continue")
        return getattr(stop, "exit_code", 130)


def _make_run(args: argparse.Namespace, printer: Printer) -> int:
    check_extra("train", "train", "orbax", "grain", "matplotlib", "skimage")
    config = _config(args)

    from colorjax.data.datasets import check_readable
    from colorjax.training import devices, log, loop, runs

    if not devices.is_first():
        printer = Printer(quiet=True)
    runs.check_place(pathlib.Path(args.out), resume=args.resume or not devices.is_first())
    if args.tensorboard:
        log.tensorboard_writer()
    initial_params, origin = _start(args, config)
    mix = _mix(args.mix, len(args.photos))
    with printer.progress(0, "photos") as show:
        show.phase("reading photos")
        photos = _load_photos(args, config, show.count)
    for failure in photos.failures if devices.is_first() else ():
        printer.error(failure)
    check_readable(photos.found)
    for place, name in enumerate(args.photos if mix else ()):
        if place not in photos.source:
            raise UsageError(f"--mix {args.mix}: {name}: no photo to train on")
    count, validation = len(photos.rgb), photos.validation
    config = configs.fit_config(config, photos=count, passes=args.passes, steps=args.steps)
    if _is_fine_tuning(args) and args.passes is None and args.steps is None:
        wanted = max(TUNED_PASSES * config.pass_steps, TUNED_STEPS)
        config = configs.replace(config, {"steps": min(wanted, config.steps)})
    left_out = f", {photos.gray} without color left out" if photos.gray else ""
    printer.line(f"{count} photos to train on, {len(validation)} to validate{left_out}")
    if "license" in origin:
        printer.line(
            f"from {origin['init_from']} weights; the result inherits their terms: {origin['license']}"
        )
    with printer.progress(config.steps, "steps") as show:
        outcome = loop.train(
            photos.rgb,
            validation,
            config,
            args.out,
            source=photos.source,
            mix=mix,
            seed=args.seed,
            resume=args.resume,
            checkpoint_every=args.checkpoint_every,
            initial_params=initial_params,
            record={"preset": args.preset} | origin,
            tensorboard=args.tensorboard,
            profile=args.profile,
            progress=lambda step, known: show(step, _note(known, validated=len(validation) > 0)),
            phase=show.phase,
        )
        if not devices.is_first():
            return 0
        show.phase("evaluating")
        which, result = _evaluate(args.out, outcome, photos, config)
    kept = f"the best of {len(outcome.metrics)} passes ended at step {outcome.best_step}"
    if not outcome.best_step:
        kept = f"none of {len(outcome.metrics)} passes was better than the start, which is kept"
    printer.line(f"{kept}; on {which}:")
    print_results(printer, result)
    printer.line(f"color photos with it:  colorjax colorize PHOTO --weights {outcome.weights}")
    return 1 if photos.failures else 0


def _config(args: argparse.Namespace) -> configs.Config:
    """Return the config that the arguments describe, after checking the other numbers."""
    preset = configs.preset(args.preset)
    changes = {"optimizer.learning_rate": TUNED_RATE} if _is_fine_tuning(args) else {}
    for flag, (field, _, _) in FIELDS.items():
        if (value := getattr(args, flag[2:].replace("-", "_"))) is not None:
            if field.startswith("network.") and not isinstance(preset.network, configs.DenseConfig):
                raise UsageError(
                    f"{flag} is for the presets seed-…; expected --preset seed-relu or another"
                )
            changes[field] = value
    for assignment in args.set:
        field, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: expected FIELD=VALUE")
        changes[field] = parse_value(value)
    config = configs.replace(preset, changes)
    check_integer("seed", args.seed, 0, configs.MAX_SEED)
    check_integer("checkpoint-every", args.checkpoint_every, 1)
    check_integer("profile", args.profile, 0)
    for name in ("steps", "passes"):
        if getattr(args, name) is not None:
            check_integer(name, getattr(args, name), 1, configs.MAX_STEPS)
    return config


def _is_fine_tuning(args: argparse.Namespace) -> bool:
    """Return whether the run starts from the packaged weights, which is the default if the preset has any."""
    photo = isinstance(configs.preset(args.preset).network, configs.PhotoConfig)
    default = "packaged" if photo and not args.encoder else "random"
    return (args.init_from or default) == "packaged"


def _start(args: argparse.Namespace, config: configs.Config) -> tuple[Any, dict[str, Any]]:
    """Return the parameters to start from, or None for random ones, and the facts about their origin for the record."""
    import jax

    from colorjax.networks import fits, init_params
    from colorjax.training.encoder import load_encoder
    from colorjax.weights import PACKAGED, load_record, load_weights

    if args.encoder and args.init_from:
        raise UsageError("--encoder and --init-from: expected only one of them")
    if args.encoder:
        params = init_params(jax.random.key(args.seed), config)
        params["encoder"] = load_encoder(args.encoder, config)
        return params, {}
    source = path = "packaged" if _is_fine_tuning(args) else args.init_from or "random"
    if source == "random":
        return None, {}
    if source == "packaged":
        path = args.preset if args.preset in PACKAGED else None
    params, _ = load_weights(path)
    if not fits(params, config):
        raise UsageError(
            f"{source}: does not fit the network of this command; --init-from random starts anew"
        )
    record = load_record(path)
    kept = {name: record[name] for name in ("license",) if name in record}
    return params, {"init_from": source} | kept


class _Photos(NamedTuple):
    """The photos of a run.

    Attributes:
        found: All photos of PHOTOS.
        rgb: The training photos.
        source: For each of them, the index of its place.
        validation: The validation photos, center squares.
        names: The names of the validation photos.
        gray: The number of photos without color, which are left out.
        failures: One line for each file that cannot be read.
    """

    found: Any
    rgb: Any
    source: Any
    validation: Any
    names: Sequence[str]
    gray: int
    failures: list[str]


def _load_photos(
    args: argparse.Namespace, config: configs.Config, count: Callable[[int, int], None]
) -> _Photos:
    """Read the training and validation photos. `count` is called with the files that are read, and all files."""
    import numpy as np

    from colorjax.data import datasets, order

    share, size = _share(args.validation), config.source_size or config.size
    load = partial(
        datasets.load_photos,
        size=size,
        framing=config.framing,
        memory=_bytes(args.memory),
        pack=args.pack,
        outputs=[args.out],
        progress=count,
    )
    found = load(args.photos)
    failures, gray = [*found.failures], len(found.gray)
    if share is None:
        chosen, others = np.arange(len(found.rgb)), load([args.validation])
        validation, names = others.rgb, others.names
        failures, gray = [*failures, *others.failures], gray + len(others.gray)
    else:
        chosen, judging = order.split(len(found.rgb), share, seed=args.seed)
        validation = datasets.subset(found.rgb, judging)
        names = [found.names[i] for i in judging]
    rgb, source = datasets.subset(found.rgb, chosen), found.source[chosen]
    validation = datasets.center_squares(validation, size)
    return _Photos(found, rgb, source, validation, names, gray, failures)


def _evaluate(
    run: str, outcome: Any, photos: _Photos, config: configs.Config
) -> tuple[str, dict[str, Any]]:
    """Evaluate the weights of a run and the baselines, and write the result. Return which photos, and the result."""
    import numpy as np

    from colorjax.data.datasets import center_squares, subset
    from colorjax.evaluation.evaluate import evaluate
    from colorjax.photos import write_bytes
    from colorjax.weights import load_record, load_weights

    which, judged, names = "validation photos", photos.validation, photos.names
    if not len(judged):
        some = subset(photos.rgb, np.arange(len(photos.rgb))[:MEASURED])
        judged = center_squares(some, config.source_size or config.size)
        which, names = "of the training photos", [str(i) for i in range(len(judged))]
    params, _ = load_weights(outcome.weights)
    baselines = load_record(outcome.weights)["baselines"]
    result = evaluate(judged, names, params, config, baselines)
    text = json.dumps({"size": judged.shape[1], **result}, indent=1)
    write_bytes(f"{run}/evaluation.json", text.encode(), overwrite=True)
    return f"{len(judged)} {which}", result


def _note(known: dict[str, Any], *, validated: bool) -> str:
    """Return the text of the progress line: with validation photos the gain over gray, without them the loss."""
    shown = []
    if validated and known["gain"] is not None:
        shown.append(f"{known['gain']:+.2f} dB over gray")
    if validated and known["best_gain"] is not None:
        shown.append(f"best {known['best_gain']:+.2f}")
    if not validated and math.isfinite(known["loss"]):
        shown.append(f"loss {known['loss']:.4g}")
    if math.isfinite(known["photos_per_second"]):
        shown.append(f"{known['photos_per_second']:.0f} photos/s")
    return ", ".join(shown)


def _share(validation: str) -> float | None:
    """Return the share given by --validation, or None if it is a folder."""
    value = parse_value(validation)
    if not isinstance(value, int | float):
        if validation != "samples" and not os.path.exists(validation):
            raise UsageError(f"--validation {validation}: neither a share nor an existing folder")
        return None
    if not 0 <= value < 1:
        raise UsageError(f"--validation {validation}: expected a share in [0, 1) or a folder")
    return value


def _mix(text: str | None, places: int) -> tuple[int | float, ...]:
    """Return the weights given by --mix."""
    if text is None:
        return ()
    weights = tuple(parse_value(part) for part in text.split(","))
    if not all(isinstance(w, int | float) and math.isfinite(w) and w > 0 for w in weights):
        raise ConfigError(f"mix is {text!r}; expected finite numbers above 0, separated by commas")
    if len(weights) != places:
        raise ConfigError(f"mix is {text!r}; expected {places} numbers, one for each of PHOTOS")
    return weights


def _bytes(memory: Any) -> int | None:
    """Return the bytes given by --memory."""
    if memory is None:
        return None
    if not isinstance(memory, int | float) or not math.isfinite(memory) or memory < 0:
        raise ConfigError(f"memory is {memory!r}; expected gigabytes, at least 0")
    return int(min(memory * 1e9, sys.maxsize))
