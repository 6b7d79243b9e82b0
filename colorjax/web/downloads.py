"""Downloads, made in the background: a file in color, a comparison, a zip of all files, or a project."""

import dataclasses
import functools
import pathlib
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

from colorjax.errors import in_one_line
from colorjax.jobs.coloring import Weights
from colorjax.jobs.planning import failure
from colorjax.photos import MAX_PIXELS
from colorjax.web import takehome
from colorjax.web.looks import View
from colorjax.web.session import Work
from colorjax.web.takehome import PROJECT, Wanted

AS_IT_IS = Wanted()
JOBS = 4  # downloads that are kept


@dataclasses.dataclass
class Job:
    """A download, finished or not.

    Attributes:
        key: A secret name.
        name: The name of the file for the person.
        path: Where the file is written.
        files: The keys of the files.
        total: At least 1: the frames of a single file, or the number of files.
        done: How many of `total` are finished.
        state: "working", "done" or "failed".
        told: What failed, or an empty text.
        holds: The files that the download holds, with their settings. A comparison holds none.
        taken: Whether the browser has asked for it.
        ended: Set when the job is done or failed.
    """

    key: str
    name: str
    path: pathlib.Path
    files: frozenset[str]
    total: int
    done: int = 0
    state: Literal["working", "done", "failed"] = "working"
    told: str = ""
    holds: list[Work] = dataclasses.field(default_factory=list)
    taken: bool = False
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)


class Downloads:
    """The downloads of one studio. Any thread may use them."""

    def __init__(
        self,
        weights: Weights,
        folder: pathlib.Path,
        view: Callable[[str], View],
        lock: threading.RLock,
        changed: Callable[[], None],
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Start without downloads.

        Args:
            weights: (params, config).
            folder: The folder that downloads are written to.
            view: Returns the view of an open file, given its key.
            lock: Held while `jobs` changes.
            changed: Called after each change.
            max_pixels: The most pixels of a photo.
        """
        self.weights, self.folder, self.max_pixels = weights, folder, max_pixels
        self.jobs: dict[str, Job] = {}
        self._view, self._lock, self._changed = view, lock, changed

    def start(self, what: str, works: Sequence[Work], wanted: Wanted) -> Job:
        """Start to make a download in a thread.

        Args:
            what: "color", "compare", "zip" or "project", as for `Studio.take`.
            works: The files.
            wanted: How photos are written.

        Raises:
            KeyError: `what` is none of these.
        """
        make = {
            "color": self._make_color,
            "compare": self._make_comparison,
            "zip": self._make_zip,
            "project": self._make_project,
        }[what]
        key = secrets.token_hex(16)
        files = frozenset(work.key for work in works)
        job = Job(key, "", self.folder / key, files, max(1, len(works)))
        with self._lock:
            self.jobs[key] = job
            ended = [old for old in self.jobs.values() if old.ended.is_set()]
            for old in ended[: max(0, len(ended) - JOBS + 1)]:
                self._drop(old)
            self._changed()
        made = functools.partial(make, job, works, wanted)
        threading.Thread(target=self._run, args=(job, works, made), daemon=True).start()
        return job

    def forget(self, opened: Collection[str]) -> None:
        """Drop the finished downloads of which no file is open any more.

        Args:
            opened: The keys of the open files.
        """
        with self._lock:
            for job in list(self.jobs.values()):
                if job.ended.is_set() and job.files.isdisjoint(opened):
                    self._drop(job)

    def _drop(self, job: Job) -> None:
        self.jobs.pop(job.key)
        job.path.unlink(missing_ok=True)

    def _run(self, job: Job, works: Sequence[Work], make: Callable[[], None]) -> None:
        try:
            make()
            job.state = "done"
        except Exception as error:  # whatever a file raises, the page goes on
            name = works[0].name if len(works) == 1 else "the files"
            told = error_text(failure(job.path, error), job.path, name)
            for work in works:
                told = told.replace(str(work.path), in_one_line(work.name))
            job.state, job.told = "failed", told
        finally:
            job.done = job.total
            job.ended.set()
            self._changed()

    def _make_color(self, job: Job, works: Sequence[Work], wanted: Wanted) -> None:
        (work,) = works
        view = self._view(work.key)
        job.total = view.frames
        job.name = takehome.color_name_of(work, view, wanted)
        self._write(job, work, view, wanted, functools.partial(self._show, job))
        job.holds = [work]

    def _write(self, job: Job, work: Work, view: View, wanted: Wanted, show: takehome.Show) -> None:
        """Write a file in color to a new path of the job. The path has a suffix, because ffmpeg needs one."""
        suffix = pathlib.Path(takehome.color_name_of(work, view, wanted)).suffix
        job.path = self.folder / f"{secrets.token_hex(16)}{suffix}"
        try:
            takehome.write_color(
                work,
                view,
                self.weights,
                job.path,
                quality=wanted.quality,
                max_pixels=self.max_pixels,
                show=show,
            )
        except Exception as error:
            raise type(failure(work.path, error))(
                error_text(failure(work.path, error), work.path, work.name)
            ) from None

    def _make_zip(self, job: Job, works: Sequence[Work], wanted: Wanted) -> None:
        whole, failed = job.path.with_suffix(".zip"), []

        def colored() -> Iterator[tuple[str, pathlib.Path]]:
            for number, work in enumerate(works, 1):
                try:
                    view = self._view(work.key)
                    self._write(job, work, view, wanted, lambda done: None)
                except Exception as error:  # the others are in the zip
                    failed.append(error_text(failure(work.path, error), work.path, work.name))
                else:
                    job.holds.append(work)
                    yield takehome.color_name_of(work, view, wanted), job.path
                self._show(job, number)

        job.name = "colored.zip"
        takehome.write_zip(whole, colored())
        job.path, job.told = whole, "; ".join(failed)

    def _make_comparison(self, job: Job, works: Sequence[Work], wanted: Wanted) -> None:
        (work,) = works
        job.path = job.path.with_suffix(".jpg")
        job.name = takehome.download_name(work.name, ".compare.jpg")
        view = self._view(work.key)
        takehome.write_comparison(work, view, self.weights, job.path, max_pixels=self.max_pixels)

    def _make_project(self, job: Job, works: Sequence[Work], wanted: Wanted) -> None:
        del wanted
        job.path, job.name = job.path.with_suffix(PROJECT), f"photos{PROJECT}"
        takehome.write_project(job.path, works)
        job.holds = [*works]

    def _show(self, job: Job, done: int) -> None:
        job.done = done
        self._changed()


def error_text(error: Exception, path: pathlib.Path, name: str) -> str:
    """Return the text of an error, with the person's name for a file instead of its path."""
    return str(error).replace(str(path), in_one_line(name))
