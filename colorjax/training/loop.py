"""The loop around the pure step: chunks of steps, evaluations, checkpoints; on one device or on many hosts."""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, PyTree, UInt8

from colorjax.config import Config
from colorjax.data import datasets, order
from colorjax.data.loader import Loader
from colorjax.errors import ConfigError, TrainingError
from colorjax.evaluation.baselines import fit_baselines
from colorjax.evaluation.report import read_metrics
from colorjax.networks import init_params
from colorjax.training import devices, runs
from colorjax.training.checkpoint import Checkpoints
from colorjax.training.compiled import CompiledTraining
from colorjax.training.interrupts import Interrupted, collect_signals
from colorjax.training.log import RunLogger
from colorjax.training.profiling import Speed, Trace
from colorjax.weights import save_weights

LONGEST_CHUNK = 50  # steps
LARGEST_CHUNK = 4_000_000  # bytes of photos: between chunks signals wait
HOPELESS = 5  # steps in a row that are not finite
COPIES = 6  # of the parameters in memory at most, as measured; one more to keep the best of
SHOWN = 8  # photos on samples.png
BASELINE_PHOTOS = 500  # that the baselines are fitted on, where photos are not one array
TIMES = ("seconds", "photos_per_second", "utilization")  # what no other run repeats


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
    photos: datasets.Photos,
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
    tensorboard: bool = False,
    profile: int = 0,
    progress: Callable[[int, dict[str, Any]], None] = lambda step, metrics: None,
) -> Outcome:
    """Train a network and keep all of it in a run folder.

    Args:
        photos: to train on; at least one, of the config's source size.
        validation: to choose the best pass by; may be empty.
        config: fitted to the photos by `config.fit_config`.
        run: the folder; new or empty unless `resume`. Several processes share it.
        source: for each photo the place it is from; only with `mix`.
        mix: for each place its share of the draws, in any unit.
        seed: decides parameters, order and augmentation.
        resume: go on from the run's last checkpoint, if it has one.
        checkpoint_every: steps between checkpoints; there is also one at the end.
        initial_params: to start from, in place of fresh ones.
        record: JSON-able facts to keep in the weights files.
        tensorboard: write TensorBoard events too.
        profile: steps, after the first chunk, to write a `jax.profiler` trace of.
        progress: called after each chunk with the step and its mean metrics.

    Raises:
        ConfigError: the network is too large for this machine's memory, or the batch cannot be shared out to devices.
        CheckpointError: the run exists, or is not this one's.
        TrainingError: too many steps in a row are not finite, the disk is full, or another process is gone.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
        OutputError: the folder cannot be written.
    """
    run = pathlib.Path(run)
    _check_memory(config, COPIES + bool(len(validation)))
    manifest = runs.make_manifest(config, seed=seed, photos=_identity(photos, validation, mix))
    if devices.is_first():
        runs.open_run(run, manifest, resume=resume)
    devices.wait_for_all("the run's folder")
    compiled = CompiledTraining(config)
    state = compiled.start(jax.random.key(seed), initial_params)
    # without validation photos there is nothing to choose a pass by: the last one is kept
    best_params = compiled.copy(state.averaged) if len(validation) else None
    judged = compiled.put(validation)
    reached = _Reached()
    loader = Loader(
        photos,
        order.photo_order(len(photos), config.batch, seed=seed, source=source, weights=mix),
        size=config.source_size or config.size,
        seed=seed,
        slots=devices.own_slots(config.batch, compiled.mesh) if jax.process_count() > 1 else None,
    )
    shown = validation[:SHOWN] if len(validation) else _squares(photos, config, SHOWN)

    with contextlib.ExitStack() as stack:
        stack.enter_context(_ending_cleanly(run))
        checkpoints = Checkpoints(run / "checkpoints", runs.digest(manifest))
        stack.enter_context(checkpoints)
        received = stack.enter_context(collect_signals())
        if (latest := checkpoints.latest()) is not None:
            arrays, facts = checkpoints.restore(latest, {"state": state, "best": best_params})
            state, best_params = arrays["state"], arrays["best"]
            reached = _Reached.of(facts.get("reached"))
            if reached is None:
                checkpoints.refuse(latest, "cannot be read (it tells not what was reached)")
        step = saved = int(state.step)
        logger = None
        if devices.is_first():
            logger = RunLogger(run, shown, config, step=step, tensorboard=tensorboard)
            stack.enter_context(logger)

        def save() -> None:
            """Write what the run has reached by now."""
            arrays = {"state": state, "best": best_params}
            checkpoints.save(step, arrays, {"reached": dataclasses.asdict(reached)})

        speed = Speed(config, devices_used=compiled.mesh.size)
        signal = devices.any_process(received[0] if received else 0)
        chunks = loader.chunks(step, config.steps, _chunk_steps(config))
        trace = Trace(run / "profile", step, profile)
        while step < config.steps and not signal:
            batches = next(chunks)
            steps = len(batches)
            with trace.step(step):
                state, metrics = compiled.step(state, batches)
            loss = reached.add(metrics)
            step, seen = step + steps, speed.count(steps)

            if step % config.pass_steps == 0 or step == config.steps:
                line = {
                    "step": step,
                    "pass": step / config.pass_steps,
                    **reached.means(),
                    "validation_loss": compiled.evaluate(state, judged),
                    "learning_rate": metrics["learning_rate"][-1].item(),
                    "skipped": int(metrics["skipped"][-1]),
                    **speed.measure(compiled.operations or math.nan),
                }
                if reached.judge(line) and best_params is not None:
                    best_params = compiled.copy(state.averaged)
                if logger:
                    logger.write(line)
                if devices.any_process(int(logger is not None and logger.is_time_for_pictures())):
                    host = compiled.fetch(state.averaged)
                    if logger:
                        logger.draw(host, reached.best_step)
            progress(step, {"loss": loss, "best": reached.best_loss, "photos_per_second": seen})
            signal = devices.any_process(received[0] if received else 0)
            hopeless = np.flatnonzero(metrics["skipped_in_a_row"] >= HOPELESS)
            if step // checkpoint_every > saved // checkpoint_every or signal or len(hopeless):
                save()
                saved = step
            if len(hopeless):
                first = step - steps + int(hopeless[0]) - HOPELESS + 1
                raise TrainingError(
                    f"{HOPELESS} steps in a row, from step {first} on, are not finite; the state before them is saved; "
                    "lower --learning-rate"
                )
        trace.stop()
        if signal and step < config.steps:
            checkpoints.wait()
            raise Interrupted(signal, step)
        save()

        last = compiled.fetch(state.averaged)
        kept = last if best_params is None else compiled.fetch(best_params)
        weights = run / "weights.safetensors"
        if logger:
            best = {"loss": reached.best_loss, "step": reached.best_step}
            facts = {
                **(record or {}),
                "baselines": _baselines(photos, config),
                "photos": len(photos),
            }
            save_weights(weights, kept, config, record={**facts, **best})
            file = run / "weights-last.safetensors"
            save_weights(file, last, config, record={**facts, "step": step})
            logger.draw(kept, reached.best_step)
        checkpoints.wait()
        devices.wait_for_all("the weights")
        lines = read_metrics(run / "metrics.jsonl")
    return Outcome(weights, reached.best_step, reached.best_loss, lines)


@dataclasses.dataclass
class _Reached:
    """What a run has reached beside its state: JSON-able.

    Attributes:
        best_loss: of the best evaluation.
        best_step: its step.
        objective: summed over the good steps since the last evaluation.
        loss: likewise; None where the objective does not compute it.
        steps: how many these are.
    """

    best_loss: float = math.inf
    best_step: int = 0
    objective: float = 0.0
    loss: float | None = None
    steps: int = 0

    @classmethod
    def of(cls, facts: Any) -> "_Reached | None":
        """Return what a checkpoint tells, or None if that is something else."""
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(facts, dict) or sorted(facts) != sorted(names):
            return None
        fits = all(type(facts[name]) in (int, float) for name in names if name != "loss")
        fits &= type(facts["loss"]) in (int, float, type(None))
        return cls(**facts) if fits else None

    def add(self, metrics: dict[str, np.ndarray]) -> float:
        """Count a chunk's steps; return their mean loss, or objective."""
        good = metrics["skipped_in_a_row"] == 0
        sums = {
            name: float(np.asarray(metrics[name], np.float64)[good].sum())
            for name in ("objective", "loss")
            if name in metrics
        }
        self.steps += int(good.sum())
        self.objective += sums["objective"]
        if "loss" in sums:
            self.loss = (self.loss or 0.0) + sums["loss"]
        return sums.get("loss", sums["objective"]) / good.sum() if good.any() else math.nan

    def means(self) -> dict[str, float | None]:
        """Return the means since the last evaluation; None if no step was good, or for what is not computed."""
        return {
            "train_loss": None if self.loss is None or not self.steps else self.loss / self.steps,
            "train_objective": self.objective / self.steps if self.steps else None,
        }

    def judge(self, line: dict[str, Any]) -> bool:
        """Tell whether an evaluation is the best so far, and begin to count anew.

        Without validation photos the last is the best.
        """
        self.objective, self.loss, self.steps = 0.0, None, 0
        found = line["validation_loss"]
        better = found is None or found < self.best_loss
        if found is None:
            found = line["train_objective"] if line["train_loss"] is None else line["train_loss"]
        if better and found is not None:
            self.best_loss, self.best_step = found, line["step"]
        return better


@contextlib.contextmanager
def _ending_cleanly(run: pathlib.Path) -> Iterator[None]:
    """Turn a full disk, or another process' death, into one line."""
    with runs.ending_cleanly(run):
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if jax.process_count() == 1:
                raise
            why = str(error).splitlines()[0][:160]
            raise TrainingError(
                f"another process of the run is gone ({why}); the same command with --resume goes on"
            ) from None


def _baselines(photos, config):
    """Fit the baselines on the photos, or on some of those that do not lie in one array."""
    if not isinstance(photos, np.ndarray):
        photos = _squares(photos, config, BASELINE_PHOTOS)
    return fit_baselines(photos)


def _squares(photos, config, most):
    """Return the center squares of some photos from all over the set."""
    some = np.arange(0, len(photos), -(-len(photos) // most))
    return datasets.center_squares(datasets.subset(photos, some), config.source_size or config.size)


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
        "digest": datasets.digest(photos) + datasets.digest(validation),
        "mix": list(mix),
    }
