"""The loop around the pure step: chunks of steps, evaluations, checkpoints, signals, the run folder."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8

from colorjax import config as configs
from colorjax.baselines import LUMA, fit_baselines
from colorjax.checkpoint import Checkpoints
from colorjax.config import Config
from colorjax.data import photo_order
from colorjax.errors import CheckpointError, ConfigError, OutputError, TrainingError
from colorjax.inference import recolor
from colorjax.networks import init_params
from colorjax.photos import write_bytes
from colorjax.report import read_metrics, write_curves, write_samples
from colorjax.training import evaluation_loss, init_state, train_chunk
from colorjax.weights import save_weights

LONGEST_CHUNK = 50  # steps between which signals wait
COPIES = 6  # of the parameters in memory at most, as measured; one more to keep the best of
SHOWN = 8  # photos on samples.png

Photos = UInt8[np.ndarray, "_ n n 3"]


class Interrupted(TrainingError):
    """A signal ended the run, which is saved and can go on."""

    def __init__(self, number: int, step: int):
        super().__init__(f"interrupted at step {step}; the same command with --resume goes on")
        self.exit_code = 128 + number  # as a shell would say it


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run reached.

    Attributes:
        weights: path of the best pass's weights.
        best_step: the step of that evaluation.
        best_loss: its validation loss; without validation photos the training loss of the last pass.
        metrics: the lines of `metrics.jsonl`.
    """

    weights: pathlib.Path
    best_step: int
    best_loss: float
    metrics: list[dict[str, Any]]


def train(
    photos: Photos,
    validation: Photos,
    config: Config,
    run: str | os.PathLike,
    *,
    seed: int = 0,
    resume: bool = False,
    checkpoint_every: int = 500,
    initial_params: PyTree | None = None,
    record: dict[str, Any] | None = None,
    progress: Callable[[int, dict[str, Any]], None] = lambda step, metrics: None,
) -> Outcome:
    """Train a network and keep all of it in a run folder.

    Args:
        photos: to train on; at least one.
        validation: to choose the best pass by; may be empty.
        config: fitted to the photos by `training.fit_config`.
        run: the folder; new or empty unless `resume`.
        seed: decides parameters, order and augmentation.
        resume: go on from the run's last checkpoint, if it has one.
        checkpoint_every: steps between checkpoints; there is also one at the end.
        initial_params: to start from, in place of fresh ones.
        record: JSON-able facts to keep in the weights files.
        progress: called after each chunk with the step and its mean metrics.

    Raises:
        ConfigError: the network is too large for this machine's memory.
        CheckpointError: the run exists, or is not this one's.
        TrainingError: the loss is no longer finite.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
        OutputError: the folder cannot be written.

    Spec: TRN-010, TRN-011, TRN-012, TRN-013, TRN-014, TRN-015
    """
    run = pathlib.Path(run)
    _check_memory(config, COPIES + bool(len(validation)))
    _open_run(run, _manifest(photos, validation, config, seed), resume)
    record = {**(record or {}), "baselines": fit_baselines(photos), "photos": len(photos)}
    state = jax.jit(init_state, static_argnames="config")(
        jax.random.key(seed), config=config, params=initial_params
    )
    copy = jax.jit(partial(jax.tree.map, jnp.copy))  # the state itself is donated
    best = {"loss": math.inf, "step": 0}
    # without validation photos there is nothing to choose a pass by: the last one is kept
    best_params = copy(state.averaged) if len(validation) else None
    since: dict[str, Any] = {"loss": 0.0, "steps": 0}  # since the last evaluation
    chunk = _chunk_steps(config)
    order = photo_order(len(photos), config.batch, seed=seed)

    def gather(step: int) -> UInt8[np.ndarray, "steps batch n n 3"]:
        """Return the next chunk's batches."""
        last = min(step + chunk, config.steps)
        return photos[
            np.array([order(s) for s in range(step, last)], int).reshape(-1, config.batch)
        ]

    run_chunk = jax.jit(train_chunk, static_argnames="config", donate_argnames="state")
    evaluate = jax.jit(evaluation_loss, static_argnames="config")

    with Checkpoints(run / "checkpoints") as checkpoints, _signals() as received:
        if (latest := checkpoints.latest()) is not None:
            arrays, facts = checkpoints.restore(latest, {"state": state, "best": best_params})
            state, best_params = arrays["state"], arrays["best"]
            best, since = facts["best"], facts["since"]
        step = saved = int(state.step)

        def save() -> None:
            """Write what the run has reached by now."""
            arrays = {"state": state, "best": best_params}
            checkpoints.save(step, arrays, {"best": best, "since": since})

        _cut_metrics(run, step)
        started, seen = time.perf_counter(), 0

        batches = gather(step)
        while step < config.steps and not received:
            steps = len(batches)
            state, metrics = run_chunk(state, jnp.asarray(batches), config=config)
            batches = gather(step + steps)  # while the device works
            losses = _finite_losses(metrics, step)
            step, seen = step + steps, seen + steps * config.batch
            since = {"loss": since["loss"] + losses.sum(), "steps": since["steps"] + steps}

            if step % config.pass_steps == 0 or step == config.steps:
                line = {
                    "step": step,
                    "pass": step / config.pass_steps,
                    "train_loss": since["loss"] / since["steps"],
                    "validation_loss": (
                        float(evaluate(state.averaged, jnp.asarray(validation), config=config))
                        if len(validation)
                        else None
                    ),
                    "learning_rate": metrics["learning_rate"][-1].item(),
                    "seconds": round(time.perf_counter() - started, 3),
                }
                _append_metrics(run, line)
                since = {"loss": 0.0, "steps": 0}
                if best_params is None:
                    best = {"loss": line["train_loss"], "step": step}
                elif line["validation_loss"] < best["loss"]:
                    best = {"loss": line["validation_loss"], "step": step}
                    best_params = copy(state.averaged)
            progress(
                step,
                {
                    "loss": float(losses.mean()),
                    "best": best["loss"],
                    "photos_per_second": seen / (time.perf_counter() - started),
                },
            )
            if step // checkpoint_every > saved // checkpoint_every or received:
                save()
                saved = step
        if received and step < config.steps:
            raise Interrupted(received[0], step)
        save()

    kept = state.averaged if best_params is None else best_params
    save_weights(run / "weights.safetensors", kept, config, record={**record, **best})
    last = run / "weights-last.safetensors"
    save_weights(last, state.averaged, config, record={**record, "step": step})
    lines = read_metrics(run / "metrics.jsonl")
    write_curves(run / "loss.png", lines, best["step"] / config.pass_steps)
    _write_samples(run / "samples.png", validation if len(validation) else photos, kept, config)
    return Outcome(run / "weights.safetensors", best["step"], best["loss"], lines)


def _finite_losses(metrics, step):
    """Return the losses of a chunk that began at a step."""
    losses = np.asarray(metrics["loss"], np.float64)
    finite = np.isfinite(losses + np.asarray(metrics["objective"]))
    if not finite.all():
        bad = step + int(np.argmin(finite))
        raise TrainingError(f"the loss is not finite at step {bad}; lower --learning-rate")
    return losses


def _write_samples(path, photos, params, config):
    """Write the sheet of the first photos."""
    shown = photos[:SHOWN]
    gray = np.rint(shown @ LUMA).astype(np.uint8)
    write_samples(path, shown, gray, np.asarray(recolor(params, jnp.asarray(shown), config)))


def _check_memory(config: Config, copies: int) -> None:
    """Refuse a network that this machine cannot train: better one line now than a killed process later."""
    if jax.default_backend() != "cpu" or not hasattr(os, "sysconf"):
        return
    shapes = jax.eval_shape(lambda key: init_params(key, config), jax.random.key(0))
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    needed = 4 * count * copies
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise ConfigError(
            f"this network has {count / 1e6:.0f} million parameters; training needs about {needed / 1e9:.0f} GB, "
            f"there are {there / 1e9:.0f} GB: lower the size or the network's widths"
        )


def _chunk_steps(config: Config) -> int:
    """Return the largest divisor of a pass's steps that is not too long: chunks end where passes do."""
    longest = min(config.pass_steps, LONGEST_CHUNK)
    return next(n for n in range(longest, 0, -1) if config.pass_steps % n == 0)


def _manifest(photos: Photos, validation: Photos, config: Config, seed: int) -> dict[str, Any]:
    """Return what makes a run the run that it is."""
    digest = hashlib.sha256(photos.tobytes() + validation.tobytes()).hexdigest()
    data = {"training": len(photos), "validation": len(validation), "sha256": digest}
    return {"config": json.loads(configs.to_json(config)), "seed": seed, "photos": data}


def _open_run(run: pathlib.Path, manifest: dict[str, Any], resume: bool) -> None:
    """Make the run folder, or check that it is this run's."""
    file = run / "config.json"
    if file.exists() and not resume:
        raise CheckpointError(f"{run}: a run is there already; --resume goes on with it")
    if run.exists() and not run.is_dir():
        raise OutputError(f"{run}: a file; expected a folder for the run")
    if not file.exists():
        if run.exists() and any(run.iterdir()):
            raise OutputError(
                f"{run}: a folder with other things in it; expected a new or empty one"
            )
        try:
            run.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{run}: cannot make the folder ({error.strerror})") from None
        write_bytes(file, json.dumps(manifest, indent=1, sort_keys=True).encode())
        return
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error})") from None
    old, new = dict(_leaves(found)), dict(_leaves(manifest))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            raise CheckpointError(
                f"{run}: its {name} is {old.get(name)}, this command's is {new.get(name)}"
            )


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for name, branch in tree.items():
        yield from _leaves(branch, f"{prefix}.{name}" if prefix else name)


def _append_metrics(run: pathlib.Path, line: dict[str, Any]) -> None:
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _cut_metrics(run: pathlib.Path, step: int) -> None:
    """Drop the lines after the checkpoint, which the resumed run writes again."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    write_bytes(path, "".join(whole).encode(), overwrite=True)


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in place of dying of them; a second one kills as usual."""
    received: list[int] = []
    before = {}

    def note(number: int, _) -> None:
        received.append(number)
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not the main thread: nobody can interrupt
            before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
