"""The speed of a run, and profiler traces."""

import contextlib
import math
import pathlib
import time
from collections.abc import Iterator

import jax

from colorjax.config import Config
from colorjax.training import devices


class Speed:
    """The speed of a run since this process started it."""

    def __init__(self, config: Config, *, devices_used: int):
        """Start the clock, after measuring what the devices can reach.

        Args:
            config: The config of the run.
            devices_used: The number of devices that share the work.
        """
        self.config, self.photos = config, 0
        self.most = devices.operations_per_second(config) * devices_used
        self.started = self.since = time.perf_counter()
        self.counted = 0
        self.warm: tuple[int, float] | None = None  # photos and time after the first chunk

    def count(self, steps: int) -> float:
        """Count the steps of a chunk. Return photos per second since the first one, which compiles; NaN before."""
        self.photos += steps * self.config.batch
        now = time.perf_counter()
        if self.warm is None:
            self.warm = self.photos, now
            return math.nan
        photos, since = self.warm
        return (self.photos - photos) / (now - since)

    def measure(self, operations: float) -> dict[str, float]:
        """Return the speed since the last evaluation.

        Args:
            operations: The floating-point operations of a step.
        """
        now = time.perf_counter()
        rate = (self.photos - self.counted) / (now - self.since)
        self.since, self.counted = now, self.photos
        return {
            "photos_per_second": round(rate, 1),
            "utilization": round(rate * operations / self.config.batch / self.most, 4),
            "seconds": round(now - self.started, 3),
        }


class Trace:
    """A profiler trace of some steps after the first chunk, which compiles."""

    def __init__(self, folder: pathlib.Path, first: int, steps: int):
        self.folder, self.first, self.steps = folder, first, steps
        self.began: int | None = None

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Trace the chunk that begins at a step, if its trace was requested."""
        if self.steps and self.began is None and step > self.first:
            jax.profiler.start_trace(str(self.folder))
            self.began = step
        if self.began is not None and self.steps and step >= self.began + self.steps:
            self.stop()
        with jax.profiler.StepTraceAnnotation("train_chunk", step_num=step):
            yield

    def stop(self) -> None:
        """End the trace, if there is one in progress."""
        if self.began is not None and self.steps:
            jax.profiler.stop_trace()
            self.steps = 0
