"""The training loop: chunks of steps, evaluations and checkpoints, on one device or on many hosts."""

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

from colorjax.color.luma import LUMA_WEIGHTS
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
from colorjax.training.step import TrainState
from colorjax.weights import save_weights

LONGEST_CHUNK = 50  # steps
LARGEST_CHUNK = 32_000_000  # bytes of photos; signals are handled between chunks
MAX_FAILED = 5  # steps in a row that are not finite
COPIES = 6  # most copies of the parameters in memory, as measured; keeping the best takes one more
SHOWN = 8  # photos on samples.png
BASELINE_PHOTOS = 500  # photos for the baselines, if the photos are not one array
TIMES = ("seconds", "photos_per_second", "utilization")  # metrics that differ from run to run


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
        weights: The path of the weights of the best pass.
        best_step: The step at which that pass ended.
        best_loss: Its validation loss. Without validation photos, the training loss of the last pass.
        metrics: The lines of `metrics.jsonl`.
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
    phase: Callable[[str], None] = lambda name: None,
) -> Outcome:
    """Train a network, and keep everything about it in a run folder.

    Args:
        photos: The photos to train on, of the config's source size; at least one.
        validation: The photos that decide which pass is best. May be empty.
        config: The config, fitted to the photos by `config.fit_config`.
        run: The run folder, new or empty unless `resume` is set. Several processes share it.
        source: For each photo, the index of the place where it was found. Used only with `mix`.
        mix: For each place, its relative weight.
        seed: The seed of the parameters, the order of the photos, and the augmentation.
        resume: Whether to continue from the last checkpoint of the run, if there is one.
        checkpoint_every: The steps between checkpoints. There is also one at the end.
        initial_params: Parameters to start from, instead of random ones.
        record: JSON-serializable facts to store in the weights files.
        tensorboard: Whether to write TensorBoard events, too.
        profile: The number of steps, after the first chunk, to trace with `jax.profiler`.
        progress: Called after each chunk with the step and what is known then: `loss`, the chunk's mean training loss;
            `gain` and `best_gain`, the gains of the last and the best evaluation over gray in dB, or None;
            and `photos_per_second`.
        phase: Called with the name of each phase when it begins. Taking steps is not a phase.

    Raises:
        ConfigError: the network is too large for the memory of this machine, or the batch cannot be split evenly.
        CheckpointError: the folder holds another run, or a run and `resume` is not set, or another process is training
            this run.
        TrainingError: too many steps in a row are not finite, the disk is full, a step does not fit into memory, or
            another process has died.
        Interrupted: SIGINT or SIGTERM was received. The state is saved.
        OutputError: the folder cannot be written.
    """
    run = pathlib.Path(run)
    phase("compiling")
    _check_memory(config, COPIES + bool(len(validation)))
    compiled = CompiledTraining(config)
    manifest = runs.make_manifest(config, seed=seed, photos=_identity(photos, validation, mix))
    with contextlib.ExitStack() as stack:
        if devices.is_first():
            stack.enter_context(runs.open_run(run, manifest, resume=resume))
        devices.wait_for_all("the run's folder")
        stack.enter_context(_report_failures(run))
        state = compiled.start(jax.random.key(seed), initial_params)
        loader = Loader(
            photos,
            order.photo_order(len(photos), config.batch, seed=seed, source=source, weights=mix),
            size=config.source_size or config.size,
            seed=seed,
            slots=devices.own_slots(config.batch, compiled.mesh)
            if jax.process_count() > 1
            else None,
        )
        shown = validation[:SHOWN] if len(validation) else _squares(photos, config, SHOWN)

        checkpoints = Checkpoints(run / "checkpoints", runs.digest(manifest))
        stack.enter_context(checkpoints)
        received = stack.enter_context(collect_signals())
        training = _Training(compiled, checkpoints, state, validation)
        training.restore()
        if devices.is_first():
            logger = RunLogger(run, shown, config, step=training.step, tensorboard=tensorboard)
            training.logger = stack.enter_context(logger)
        speed = Speed(config, devices_used=compiled.mesh.size)
        trace = Trace(run / "profile", training.step, profile)
        if training.step == 0:
            phase("evaluating")
            training.judge_start()
            phase("compiling")
        chunks = loader.chunks(training.step, config.steps, _chunk_steps(config))

        signal = devices.any_process(received[0] if received else 0)
        while training.step < config.steps and not signal:
            batches = next(chunks)
            with trace.step(training.step):
                metrics, loss = training.take_steps(batches)
            rate = speed.count(len(batches))
            training.write_chunk(loss)
            if training.step % config.pass_steps == 0 or training.step == config.steps:
                phase("evaluating")
                training.evaluate(metrics, speed.measure(compiled.operations or math.nan))
            known = {
                "gain": training.gain,
                "best_gain": training.gain_of(training.progress.best_loss),
            }
            progress(training.step, {"loss": loss, **known, "photos_per_second": rate})
            signal = devices.any_process(received[0] if received else 0)
            failed = training.failed_step(metrics)
            if signal or failed is not None or training.is_checkpoint_due(checkpoint_every):
                training.save()
            if failed is not None:
                raise TrainingError(
                    f"{MAX_FAILED} steps in a row, from step {failed} on, are not finite; "
                    "the state before them is saved; lower --learning-rate"
                )
        trace.stop()
        phase("saving")
        if signal and training.step < config.steps:
            checkpoints.wait()
            raise Interrupted(signal, training.step)
        training.save()
        facts = {"baselines": _baselines(photos, config), "photos": len(photos)}
        weights = training.write_weights(run, (record or {}) | facts)
        checkpoints.wait()
        devices.wait_for_all("the weights")
        lines = read_metrics(run / runs.METRICS)
    return Outcome(weights, training.progress.best_step, training.progress.best_loss, lines)


class _Training:
    """The state of a run, and what may happen to it.

    Attributes:
        state: The training state.
        step: The number of steps done.
        best_params: The parameters of the best evaluation. None without validation photos: then the last pass counts.
        progress: What the run has reached.
        gain: The gain over gray of the last evaluation in dB. None without validation photos, or after a resume.
        logger: Writes metrics and pictures, in the first process only.
    """

    def __init__(
        self,
        compiled: CompiledTraining,
        checkpoints: Checkpoints,
        state: TrainState,
        validation: UInt8[np.ndarray, "_ n n 3"],
    ):
        self.compiled, self.checkpoints, self.state = compiled, checkpoints, state
        self.best_params = compiled.copy(state.averaged) if len(validation) else None
        self.validation = compiled.put(validation)
        self._gray_loss = _gray_loss(validation)
        self.gain: float | None = None
        self.progress: _Progress = _Progress()
        self.logger: RunLogger | None = None
        self.step = self.saved = int(state.step)

    def restore(self) -> None:
        """Continue from the last checkpoint, if there is one."""
        latest = self.checkpoints.latest()
        if latest is None:
            return
        like = {"state": self.state, "best": self.best_params}
        arrays, facts = self.checkpoints.restore(latest, like)
        progress = _Progress.from_facts(facts.get("reached"))
        if progress is None:
            return self.checkpoints.refuse(
                latest, "cannot be read (its progress is missing or invalid)"
            )
        self.state, self.best_params, self.progress = arrays["state"], arrays["best"], progress
        self.step = self.saved = int(self.state.step)

    def take_steps(
        self, batches: UInt8[np.ndarray, "steps batch n n 3"]
    ) -> tuple[dict[str, np.ndarray], float]:
        """Take the steps of a chunk. Return their metrics and their mean loss."""
        self.state, metrics = self.compiled.step(self.state, batches)
        self.step += len(batches)
        return metrics, self.progress.add(metrics)

    def gain_of(self, loss: float | None) -> float | None:
        """Return by how many dB a validation loss is better than that of gray, or None if one of them is unknown."""
        if loss is None or not 0 < loss < math.inf or not self._gray_loss:
            return None
        return 10 * math.log10(self._gray_loss / loss)

    def judge_start(self) -> None:
        """Measure the parameters that the run starts from. They are kept if no pass is better."""
        loss = self.compiled.evaluate(self.state, self.validation)
        self.gain = self.gain_of(loss)
        if loss is not None and math.isfinite(loss):
            self.progress.best_loss = loss

    def write_chunk(self, loss: float) -> None:
        """Write the loss of the last chunk."""
        if self.logger:
            self.logger.write_chunk(self.step, loss, self.progress.best_step)

    def evaluate(self, metrics: dict[str, np.ndarray], speed: dict[str, float]) -> None:
        """Measure the validation loss, keep the parameters if they are the best, and write a line of metrics."""
        loss = self.compiled.evaluate(self.state, self.validation)
        self.gain = self.gain_of(loss)
        line = {
            "step": self.step,
            "pass": self.step / self.compiled.config.pass_steps,
            **self.progress.means(),
            "validation_loss": loss,
            "validation_gain": self.gain,
            "learning_rate": metrics["learning_rate"][-1].item(),
            "skipped": int(metrics["skipped"][-1]),
            **speed,
        }
        if self.progress.judge(line) and self.best_params is not None:
            self.best_params = self.compiled.copy(self.state.averaged)
        if self.logger:
            self.logger.write(line)
        due = self.logger is not None and self.logger.is_time_for_pictures()
        if devices.any_process(int(due)):
            params = self.compiled.fetch(self.state.averaged)
            if self.logger:
                self.logger.draw(params, self.progress.best_step)

    def failed_step(self, metrics: dict[str, np.ndarray]) -> int | None:
        """Return the first of too many steps in a row that were not finite, or None."""
        failed = np.flatnonzero(metrics["skipped_in_a_row"] >= MAX_FAILED)
        if not len(failed):
            return None
        first = self.step - len(metrics["skipped_in_a_row"]) + int(failed[0])
        return first - MAX_FAILED + 1

    def is_checkpoint_due(self, every: int) -> bool:
        """Return whether a multiple of `every` steps was passed since the last checkpoint."""
        return self.step // every > self.saved // every

    def save(self) -> None:
        """Write a checkpoint."""
        arrays = {"state": self.state, "best": self.best_params}
        self.checkpoints.save(self.step, arrays, {"reached": dataclasses.asdict(self.progress)})
        self.saved = self.step

    def write_weights(self, run: pathlib.Path, record: dict[str, Any]) -> pathlib.Path:
        """Write the weights of the best and of the last pass. Return the path of the former."""
        path, config = run / "weights.safetensors", self.compiled.config
        last = self.compiled.fetch(self.state.averaged)
        kept = last if self.best_params is None else self.compiled.fetch(self.best_params)
        if self.logger:
            best = {"loss": self.progress.best_loss, "step": self.progress.best_step}
            save_weights(path, kept, config, record=record | best)
            last_path = run / "weights-last.safetensors"
            save_weights(last_path, last, config, record=record | {"step": self.step})
            self.logger.draw(kept, self.progress.best_step)
        return path


@dataclasses.dataclass
class _Progress:
    """What a run has reached besides its state, in a form that JSON can hold.

    Attributes:
        best_loss: The loss of the best evaluation.
        best_step: The step of the best evaluation.
        objective: The sum over the good steps since the last evaluation.
        loss: The same for the loss. None if the objective does not compute it.
        steps: The number of these steps.
    """

    best_loss: float = math.inf
    best_step: int = 0
    objective: float = 0.0
    loss: float | None = None
    steps: int = 0

    @classmethod
    def from_facts(cls, facts: Any) -> "_Progress | None":
        """Restore the progress from a checkpoint, or return None if the facts are not those of a progress."""
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(facts, dict) or sorted(facts) != sorted(names):
            return None
        fits = all(type(facts[name]) in (int, float) for name in names if name != "loss")
        fits &= type(facts["loss"]) in (int, float, type(None))
        return cls(**facts) if fits else None

    def add(self, metrics: dict[str, np.ndarray]) -> float:
        """Count the steps of a chunk. Return their mean loss, or their mean objective."""
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
        """Return the means since the last evaluation. A mean is None if no step was good, or if it is not computed."""
        return {
            "train_loss": None if self.loss is None or not self.steps else self.loss / self.steps,
            "train_objective": self.objective / self.steps if self.steps else None,
        }

    def judge(self, line: dict[str, Any]) -> bool:
        """Return whether an evaluation is the best so far, and reset the sums.

        Without validation photos, the last evaluation is the best.
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
def _report_failures(run: pathlib.Path) -> Iterator[None]:
    """Turn a full disk, exhausted memory, or the death of another process into a `TrainingError`."""
    with runs.report_write_errors(run):
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if str(error).startswith("RESOURCE_EXHAUSTED"):
                raise TrainingError(
                    "the training does not fit into the memory of the device; lower --batch or --size, "
                    "or use --set accumulate=2 or more"
                ) from None
            if jax.process_count() == 1:
                raise
            why = str(error).splitlines()[0][:160]
            raise TrainingError(
                f"another process of the run has died ({why}); use --resume to continue"
            ) from None


def _gray_loss(validation) -> float:
    """Return the loss of the photos' own gray, 0 if there are no photos."""
    losses = [np.sum((photo - (photo @ LUMA_WEIGHTS)[..., None]) ** 2) for photo in validation]
    return float(np.mean(losses)) if losses else 0.0


def _baselines(photos, config):
    """Fit the baselines on the photos, or on some of them if they are not one array."""
    if not isinstance(photos, np.ndarray):
        photos = _squares(photos, config, BASELINE_PHOTOS)
    return fit_baselines(photos)


def _squares(photos, config, most):
    """Return the center squares of some photos, spread over the whole set."""
    some = np.arange(0, len(photos), -(-len(photos) // most))
    return datasets.center_squares(datasets.subset(photos, some), config.source_size or config.size)


def _check_memory(config: Config, copies: int) -> None:
    """Check that this machine has enough memory for the network, so that the system does not kill the process later."""
    if jax.default_backend() != "cpu" or not hasattr(os, "sysconf"):
        return
    shapes = jax.eval_shape(lambda key: init_params(key, config), jax.random.key(0))
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    needed = 4 * count * copies
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise ConfigError(
            f"this network has {count / 1e6:.0f} million parameters; training needs about {needed / 1e9:.0f} GB, "
            f"this machine has {there / 1e9:.0f} GB; lower the size or the widths of the network"
        )


def _chunk_steps(config: Config) -> int:
    """Return the length of a chunk: the largest divisor of the steps per pass that is not too long."""
    step_bytes = 3 * config.batch * (config.source_size or config.size) ** 2
    longest = min(config.pass_steps, LONGEST_CHUNK, max(1, LARGEST_CHUNK // step_bytes))
    return next(n for n in range(longest, 0, -1) if config.pass_steps % n == 0)


def _identity(photos, validation, mix) -> dict[str, Any]:
    """Return facts that identify these photos."""
    return {
        "training": len(photos),
        "validation": len(validation),
        "digest": datasets.digest(photos) + datasets.digest(validation),
        "mix": list(mix),
    }
