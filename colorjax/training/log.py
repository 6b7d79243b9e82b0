"""The log of a run: metrics, TensorBoard events, the plot of the losses, and a sheet of photos."""

import contextlib
import importlib
import math
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8

from colorjax.color.luma import LUMA_WEIGHTS
from colorjax.config import Config
from colorjax.errors import missing_extra
from colorjax.evaluation.report import read_metrics, write_curves, write_samples
from colorjax.inference.pipeline import recolor
from colorjax.training import runs

SELDOM = 100  # pictures are drawn again after this many times the time that drawing takes
FIRST = 15.0  # seconds until the losses are first drawn between evaluations


class RunLogger:
    """Writes to the folder of a run, from its first process. It is a context manager.

    Attributes:
        run: The run folder.
        shown: The photos of the sheet, always the same.
        config: The config of the run.
    """

    def __init__(
        self,
        run: pathlib.Path,
        shown: UInt8[np.ndarray, "photos n n 3"],
        config: Config,
        *,
        step: int,
        tensorboard: bool = False,
    ):
        """Open the log at a step. Everything after that step is removed.

        Raises:
            UsageError: TensorBoard is requested, but not installed.
            OutputError: the folder cannot be written.
        """
        self.run, self.shown, self.config = run, shown, config
        self._recolor = jax.jit(recolor, static_argnames="config")
        self._next_pictures = -float("inf")
        self._next_curves = time.perf_counter() + FIRST
        for name in runs.COLUMNS:
            runs.cut_lines(run / name, step)
        self._events = contextlib.ExitStack()
        self._writer = None
        if tensorboard:
            writer = tensorboard_writer().SummaryWriter(
                str(run / "tensorboard"), purge_step=step + 1
            )
            self._writer = self._events.enter_context(contextlib.closing(writer))

    def __enter__(self) -> "RunLogger":
        return self

    def __exit__(self, *_) -> None:
        self._events.close()

    def write(self, line: dict[str, Any]) -> None:
        """Write a line of metrics.

        Raises:
            OSError: the line cannot be written.
        """
        runs.append_line(self.run / runs.METRICS, line)
        if self._writer:
            for name, value in line.items():
                if name not in ("step", "pass") and value is not None:
                    self._writer.add_scalar(name, value, line["step"])
            self._writer.flush()

    def write_chunk(self, step: int, loss: float, best_step: int) -> None:
        """Write the mean loss of a chunk, and draw the losses from time to time.

        Raises:
            OSError: the line cannot be written.
        """
        shown = loss if math.isfinite(loss) else None
        runs.append_line(self.run / runs.CHUNKS, {"step": step, "loss": shown})
        if time.perf_counter() >= self._next_curves:
            self._draw_curves(best_step)

    def is_time_for_pictures(self) -> bool:
        """Return whether pictures may be drawn again without spending much of the time on them."""
        return time.perf_counter() >= self._next_pictures

    def draw(self, params: PyTree, best_step: int) -> None:
        """Write the plot of the losses, and the sheet of photos as the parameters color them.

        Args:
            params: The parameters, on the host.
            best_step: The step that is marked in the plot.
        """
        started = time.perf_counter()
        self._draw_curves(best_step)
        gray = np.rint(self.shown @ LUMA_WEIGHTS).astype(np.uint8)
        colored = self._recolor(params, jnp.asarray(self.shown), config=self.config)
        write_samples(self.run / "samples.png", self.shown, gray, np.asarray(colored))
        ended = time.perf_counter()
        self._next_pictures = ended + SELDOM * (ended - started)

    def _draw_curves(self, best_step: int) -> None:
        """Write the plot of the losses."""
        started = time.perf_counter()
        lines, chunks = (read_metrics(self.run / name) for name in (runs.METRICS, runs.CHUNKS))
        same_unit = self.config.objective.name != "chroma"
        write_curves(self.run / "loss.png", lines, chunks, best_step, same_unit=same_unit)
        ended = time.perf_counter()
        self._next_curves = ended + SELDOM * (ended - started)


def tensorboard_writer() -> Any:
    """Return the library that writes TensorBoard events."""
    try:
        return importlib.import_module("tensorboardX")
    except ImportError:
        raise missing_extra("--tensorboard", "tensorboard") from None
