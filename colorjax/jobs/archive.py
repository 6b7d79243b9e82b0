"""Archives that are too large for one machine: the work of `batch`, distributed to workers by Ray Data."""

import dataclasses
import importlib
import logging
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from colorjax.errors import UsageError
from colorjax.jobs.batch import Job, colorize_files, colorize_video
from colorjax.jobs.coloring import ColorOptions
from colorjax.jobs.outputs import Claims
from colorjax.weights import load_weights


@dataclasses.dataclass(frozen=True)
class ArchiveResult:
    """The result for one photo.

    Attributes:
        name: The name of the photo.
        status: "done", "skipped" (the output exists), "busy" (another run works on it) or "failed".
        error: One line, or empty.
        process: The process id of the worker on its machine.
    """

    name: str
    status: str
    error: str
    process: int


def colorize_archive(
    jobs: Sequence[Job],
    weights: str | os.PathLike | None,
    options: ColorOptions,
    *,
    workers: int,
    overwrite: bool = False,
    quality: int = 95,
) -> Iterator[ArchiveResult]:
    """Color photos with several workers, on this machine or on the Ray cluster around it.

    Each worker loads the network once. A photo is written completely or not at all, and existing outputs are kept. So
    the work that a worker finished before it died is not repeated.

    Args:
        jobs: The jobs, from `planning.plan`. All machines can see their paths.
        weights: A file that all machines can see, or None for the packaged weights.
        options: How the photos are colored.
        workers: The number of workers. Each uses one core.
        overwrite: Whether to replace existing outputs. Otherwise they are kept.
        quality: The quality of lossy formats, 1 to 100.

    Yields:
        The result for each photo, in any order.

    Raises:
        UsageError: Ray is not installed.
    """
    if not jobs:
        return
    try:
        ray = importlib.import_module("ray")
        ray_data = importlib.import_module("ray.data")
    except ImportError:
        raise UsageError(
            "archives need Ray; install it with: pip install 'colorjax[ray]'"
        ) from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # Ray logs every run
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="error")
    ray_data.DataContext.get_current().enable_progress_bars = False
    rows = [  # absolute paths, because workers run in another folder
        {
            "source": os.path.abspath(j.source),
            "target": os.path.abspath(j.target),
            "name": j.name,
            "hints": os.path.abspath(j.hints) if j.hints else "",
        }
        for j in jobs
    ]
    weights = weights and os.path.abspath(weights)
    inputs = [path for row in rows for path in (row["source"], row["hints"]) if path]
    how = {"weights": weights, "options": options, "overwrite": overwrite, "quality": quality}
    how["inputs"] = [*inputs, weights] if weights else inputs
    colored = ray_data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_kwargs=how,
        compute=ray_data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        num_cpus=1,
    )
    for row in colored.iter_rows():
        yield ArchiveResult(**row)


class _Worker:
    """A process that loads the network once and then colors one photo after another."""

    def __init__(
        self,
        weights: Any,
        options: ColorOptions,
        overwrite: bool,
        quality: int,
        inputs: Sequence[str],
    ):
        self.weights, self.options = load_weights(weights), options
        self.quality = quality
        self.files = {"overwrite": overwrite, "claims": Claims(inputs)}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        hints = pathlib.Path(row["hints"]) if row["hints"] else None
        job = Job(pathlib.Path(row["source"]), pathlib.Path(row["target"]), row["name"], hints)
        if job.is_video:
            result = colorize_video(job, self.weights, self.options, **self.files)
        else:
            (result,) = colorize_files(
                [job], self.weights, self.options, quality=self.quality, threads=1, **self.files
            )
        error = str(result.error or "")
        done = ArchiveResult(job.name, result.status, error, os.getpid())
        return dataclasses.asdict(done)
