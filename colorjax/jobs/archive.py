"""Archives beyond one machine: the work of `batch`, handed to workers by Ray Data, which does again what died."""

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
from colorjax.weights import load_weights


@dataclasses.dataclass(frozen=True)
class Done:
    """What became of a photo, and by which process.

    Attributes:
        name: of the photo.
        status: "done", "skipped" (its output was there) or "failed".
        error: one line, or empty.
        process: id of the worker on its machine.
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
) -> Iterator[Done]:
    """Color photos with workers that each hold the network, on this machine or on the Ray cluster around it.

    A photo is written whole or not at all, and one that is there is kept: what a worker had finished before it died is
    found again, not done again.

    Args:
        jobs: from `planning.plan`; all machines see their paths.
        weights: a file that all machines see; None for the packaged weights.
        options: how they are to be colored.
        workers: how many; each takes one core.
        overwrite: replace outputs that exist; they are kept otherwise.
        quality: of lossy formats.

    Yields:
        What became of each photo, in any order.

    Raises:
        UsageError: Ray is not installed.
    """
    try:
        ray = importlib.import_module("ray")
        ray_data = importlib.import_module("ray.data")
    except ImportError:
        raise UsageError("archives need a package more: pip install 'colorjax[ray]'") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of every run
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="error")
    ray_data.DataContext.get_current().enable_progress_bars = False
    rows = [  # workers have another working folder
        {
            "source": os.path.abspath(j.source),
            "target": os.path.abspath(j.target),
            "name": j.name,
            "hints": os.path.abspath(j.hints) if j.hints else "",
        }
        for j in jobs
    ]
    weights = weights and os.path.abspath(weights)
    how = {"weights": weights, "options": options, "overwrite": overwrite, "quality": quality}
    colored = ray_data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_kwargs=how,
        compute=ray_data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        num_cpus=1,
    )
    for row in colored.iter_rows():
        yield Done(**row)


class _Worker:
    """A process that loads the network once and colors photo after photo."""

    def __init__(self, weights: Any, options: ColorOptions, overwrite: bool, quality: int):
        self.weights, self.options = load_weights(weights), options
        self.how = {"overwrite": overwrite, "quality": quality, "threads": 1}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        hints = pathlib.Path(row["hints"]) if row["hints"] else None
        job = Job(pathlib.Path(row["source"]), pathlib.Path(row["target"]), row["name"], hints)
        if job.is_video:
            result = colorize_video(
                job, self.weights, self.options, overwrite=self.how["overwrite"]
            )
        else:
            (result,) = colorize_files([job], self.weights, self.options, **self.how)
        error = str(result.error or "")
        done = Done(job.name, result.status, error, os.getpid())
        return dataclasses.asdict(done)
