"""The loop around the pure step: chunks of steps, evaluations, checkpoints."""

import dataclasses
import math
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, PyTree, UInt8

from colorjax import data, runs
from colorjax.baselines import LUMA, fit_baselines
from colorjax.checkpoint import Checkpoints
from colorjax.config import Config
from colorjax.errors import ConfigError, TrainingError
from colorjax.feed import Feed
from colorjax.inference import recolor
from colorjax.interrupts import Interrupted, collected_signals
from colorjax.networks import init_params
from colorjax.report import read_metrics, write_curves, write_samples
from colorjax.training import evaluation_loss, init_state, train_chunk
from colorjax.weights import save_weights

LONGEST_CHUNK = 50  # steps
LARGEST_CHUNK = 4_000_000  # bytes of photos: between chunks signals wait
HOPELESS = 5  # steps in a row that are not finite
COPIES = 6  # of the parameters in memory at most, as measured; one more to keep the best of
SHOWN = 8  # photos on samples.png
BASELINE_PHOTOS = 500  # that the baselines are fitted on, where photos are not one array
TIMES = ("seconds",)  # fields of metrics.jsonl that no other run repeats


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
    photos: data.Photos,
    validation: UInt8[np.ndarray, "_ n n 3"],
    config: Config,
    run: str | os.PathLike,
    *,
    source: Int[np.ndarray, " photos"] | None = None,
    mix: Sequence[int | float] = (),
    seed: int = 0,
    resume: bool = False,
    checkpoint_every: int = 500,
    initial_params: PyTree | None = None,
    record: dict[str, Any] | None = None,
    progress: Callable[[int, dict[str, Any]], None] = lambda step, metrics: None,
) -> Outcome:
    """Train a network and keep all of it in a run folder.

    Args:
        photos: to train on; at least one, of the config's source size.
        validation: to choose the best pass by; may be empty.
        config: fitted to the photos by `training.fit_config`.
        run: the folder; new or empty unless `resume`.
        source: for each photo the place it is from; only with `mix`.
        mix: for each place its share of the draws, in any unit.
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
    manifest = runs.make_manifest(config, seed=seed, photos=_identity(photos, validation, mix))
    runs.open_run(run, manifest, resume=resume)
    record = {**(record or {}), "baselines": _baselines(photos, config), "photos": len(photos)}
    state = jax.jit(init_state, static_argnames="config")(
        jax.random.key(seed), config=config, params=initial_params
    )
    copy = jax.jit(partial(jax.tree.map, jnp.copy))  # the state itself is donated
    # without validation photos there is nothing to choose a pass by: the last one is kept
    best_params = copy(state.averaged) if len(validation) else None
    reached = _Reached()
    chunk = _chunk_steps(config)
    order = data.photo_order(len(photos), config.batch, seed=seed, source=source, weights=mix)
    feed = Feed(photos, order, size=config.source_size or config.size, seed=seed)

    run_chunk = jax.jit(train_chunk, static_argnames="config", donate_argnames="state")
    evaluate = jax.jit(evaluation_loss, static_argnames="config")

    with (
        runs.ending_cleanly(run),
        Checkpoints(run / "checkpoints", runs.digest(manifest)) as checkpoints,
        collected_signals() as received,
    ):
        if (latest := checkpoints.latest()) is not None:
            arrays, facts = checkpoints.restore(latest, {"state": state, "best": best_params})
            state, best_params = arrays["state"], arrays["best"]
            reached = _Reached(**facts["reached"])
        step = saved = int(state.step)

        def save() -> None:
            """Write what the run has reached by now."""
            arrays = {"state": state, "best": best_params}
            checkpoints.save(step, arrays, {"reached": dataclasses.asdict(reached)})

        runs.cut_metrics(run, step)
        started, seen = time.perf_counter(), 0

        chunks = feed.chunks(step, config.steps, chunk)
        while step < config.steps and not received:
            batches = next(chunks)
            steps = len(batches)
            state, metrics = run_chunk(state, jnp.asarray(batches), config=config)
            metrics = jax.device_get(metrics)
            loss = reached.add(metrics)
            step, seen = step + steps, seen + steps * config.batch

            if step % config.pass_steps == 0 or step == config.steps:
                line = {
                    "step": step,
                    "pass": step / config.pass_steps,
                    "train_loss": reached.mean_loss(),
                    "validation_loss": (
                        float(evaluate(state.averaged, jnp.asarray(validation), config=config))
                        if len(validation)
                        else None
                    ),
                    "learning_rate": metrics["learning_rate"][-1].item(),
                    "skipped": int(state.skipped),
                    "seconds": round(time.perf_counter() - started, 3),
                }
                runs.append_metrics(run, line)
                if reached.judge(line) and best_params is not None:
                    best_params = copy(state.averaged)
            progress(
                step,
                {
                    "loss": loss,
                    "best": reached.best_loss,
                    "photos_per_second": seen / (time.perf_counter() - started),
                },
            )
            hopeless = np.flatnonzero(metrics["skipped_in_a_row"] >= HOPELESS)
            if step // checkpoint_every > saved // checkpoint_every or received or len(hopeless):
                save()
                saved = step
            if len(hopeless):
                first = step - steps + int(hopeless[0]) - HOPELESS + 1
                raise TrainingError(
                    f"{HOPELESS} steps in a row, from step {first} on, are not finite; the state before them is saved; "
                    "lower --learning-rate"
                )
        if received and step < config.steps:
            checkpoints.wait()
            raise Interrupted(received[0], step)
        save()

        kept = state.averaged if best_params is None else best_params
        weights, last = run / "weights.safetensors", run / "weights-last.safetensors"
        best = {"loss": reached.best_loss, "step": reached.best_step}
        save_weights(weights, kept, config, record={**record, **best})
        save_weights(last, state.averaged, config, record={**record, "step": step})
        lines = read_metrics(run / "metrics.jsonl")
        write_curves(run / "loss.png", lines, reached.best_step / config.pass_steps)
        shown = validation[:SHOWN]
        if not len(shown):
            shown = data.centre_squares(
                data.subset(photos, np.arange(len(photos))[:SHOWN]), feed.size
            )
        _write_samples(run / "samples.png", shown, kept, config)
    return Outcome(weights, reached.best_step, reached.best_loss, lines)


@dataclasses.dataclass
class _Reached:
    """What a run has reached beside its state: JSON-able.

    Attributes:
        best_loss: of the best evaluation.
        best_step: its step.
        loss: summed over the good steps since the last evaluation.
        steps: how many these are.
    """

    best_loss: float = math.inf
    best_step: int = 0
    loss: float = 0.0
    steps: int = 0

    def add(self, metrics: dict[str, np.ndarray]) -> float:
        """Count a chunk's steps; return their mean loss.

        Spec: TRN-010, TRN-043
        """
        good = np.asarray(metrics["loss"], np.float64)[metrics["skipped_in_a_row"] == 0]
        self.loss, self.steps = self.loss + float(good.sum()), self.steps + len(good)
        return float(good.mean()) if len(good) else math.nan

    def mean_loss(self) -> float | None:
        """Return the mean since the last evaluation; None if no step was good.

        Spec: TRN-010
        """
        return self.loss / self.steps if self.steps else None

    def judge(self, line: dict[str, Any]) -> bool:
        """Tell whether an evaluation is the best so far, and begin to count anew.

        Without validation photos the last is the best.

        Spec: TRN-011
        """
        self.loss, self.steps = 0.0, 0
        found = line["validation_loss"]
        if found is None:
            better, found = True, line["train_loss"]
        else:
            better = found < self.best_loss
        if better and found is not None:
            self.best_loss, self.best_step = found, line["step"]
        return better


def _baselines(photos, config):
    """Fit the baselines on the photos, or on some of those that do not lie in one array."""
    if not isinstance(photos, np.ndarray):
        some = np.arange(0, len(photos), -(-len(photos) // BASELINE_PHOTOS))
        photos = data.centre_squares(data.subset(photos, some), config.source_size or config.size)
    return fit_baselines(photos)


def _write_samples(path, shown, params, config):
    """Write the sheet of some photos."""
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
    step_bytes = 3 * config.batch * (config.source_size or config.size) ** 2
    longest = min(config.pass_steps, LONGEST_CHUNK, max(1, LARGEST_CHUNK // step_bytes))
    return next(n for n in range(longest, 0, -1) if config.pass_steps % n == 0)


def _identity(photos, validation, mix) -> dict[str, Any]:
    """Return what tells these photos from others."""
    return {
        "training": len(photos),
        "validation": len(validation),
        "digest": data.digest(photos) + data.digest(validation),
        "mix": list(mix),
    }
