"""What is open in the page: files, their states, the pictures that show them, and work in the background.

It outlives any page, so that a reload loses nothing; all of it may be called from any thread.
"""

import contextlib
import dataclasses
import functools
import itertools
import pathlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from colorjax.errors import ColorjaxError, in_one_line
from colorjax.evaluation.baselines import LUMA_WEIGHTS
from colorjax.jobs.coloring import Weights
from colorjax.jobs.planning import failure
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    encode_photo,
    read_photo,
    sample_photos,
    shrink_photo,
)
from colorjax.web import looks, session, takehome
from colorjax.web.looks import View, first_photo, look_at, paint
from colorjax.web.session import Color, Mark, Setting, Work
from colorjax.web.takehome import PROJECT, Wanted

State = Literal["waiting", "coloring", "done", "failed"]
VIEWS = 6  # files whose views are kept
TRIED = 1024  # pixels of the longest side while a color is tried
THUMB = 256  # pixels of a thumbnail's longest side
QUALITY = 90  # of the JPEGs that are shown
AS_IT_IS = Wanted()
JOBS = 4  # files to take home that are kept
AT_ONCE = 3  # pictures that are made at once


class Sample(NamedTuple):
    """A photo to try the page with.

    Attributes:
        title: what is in it.
        alt: the same for those who do not see it.
    """

    title: str
    alt: str


SAMPLES = {  # of scikit-image; NASA's is in the public domain, the other two are CC0
    "camera": Sample("The photographer", "A man in a dark coat behind a camera on a tripod"),
    "astronaut": Sample("The astronaut", "Eileen Collins in her space suit, smiling"),
    "rocket": Sample("The launch", "A rocket on its launch pad at dusk"),
}
HERO = "camera"


@dataclasses.dataclass
class Item:
    """A file of the strip.

    Attributes:
        work: what is set for it.
        state: how far its coloring is.
        told: what it is, or what is wrong with it.
        kind: as of its `View`.
        shape: (h, w), once it was looked at.
        version: another one each time it looks otherwise.
        thumb: JPEG, in color.
        painted: another one each time the thumbnail is.
    """

    work: Work
    state: State = "waiting"
    told: str = ""
    kind: str = ""
    shape: tuple[int, int] = (0, 0)
    version: int = 0
    thumb: bytes = b""
    painted: int = 0


@dataclasses.dataclass
class Job:
    """A file to take home, in the making.

    Attributes:
        key: not to be guessed.
        name: of the file.
        path: where it is made.
        done: of `total`; frames of a single file, else files.
        total: at least 1.
        state: "working", "done" or "failed".
        told: what is wrong.
        ended: is set when it is done or failed.
    """

    key: str
    name: str
    path: pathlib.Path
    total: int
    done: int = 0
    state: Literal["working", "done", "failed"] = "working"
    told: str = ""
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)


class Studio:
    """The files that a person has open."""

    def __init__(
        self, weights: Weights, folder: pathlib.Path, *, max_pixels: int = MAX_PIXELS
    ) -> None:
        """Begin with no file.

        Args:
            weights: (params, config).
            folder: the page's own, for all files.
            max_pixels: most pixels of a photo.
        """
        self.weights, self.folder, self.max_pixels = weights, folder, max_pixels
        self.items: dict[str, Item] = {}
        self.jobs: dict[str, Job] = {}
        self.samples: dict[str, Work] = {}
        self.current: str | None = None
        self.revision = 0
        self._views: OrderedDict[str, View] = OrderedDict()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._looking = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._ended = False

    # the strip

    def open(self, work: Work) -> None:
        """Add a file to the strip, to be colored in its turn; the first one is shown."""
        with self._lock:
            self.items[work.key] = Item(work)
            self.current = self.current or work.key
            self._touch()

    def open_project(self, path: pathlib.Path, name: str) -> int:
        """Add the files of a project, each with its settings; return how many there are.

        Raises:
            PhotoError: it is no project.
        """
        try:
            works = takehome.read_project(path, self.folder)
        except ColorjaxError as error:
            raise type(error)(_told(error, path, name)) from None
        finally:
            path.unlink(missing_ok=True)
        for work in works:
            self.open(work)
        return len(works)

    def open_sample(self, name: str) -> None:
        """Add one of the samples, and show it."""
        sample = self.samples[name]
        work = takehome.new_work(sample.name, self.folder)
        work.path.write_bytes(sample.path.read_bytes())
        with self._lock:
            self.open(work)
            self.select(work.key)

    def select(self, key: str) -> None:
        """Show a file; it is colored next."""
        with self._lock:
            if key in self.items:
                self.current = key
                self._touch()

    def close(self, key: str) -> None:
        """Take a file out of the strip; its neighbor is shown."""
        with self._lock:
            if key not in self.items:
                return
            keys = list(self.items)
            place = keys.index(key)
            item = self.items.pop(key)
            self._views.pop(key, None)
            item.work.path.unlink(missing_ok=True)
            if self.current == key:
                keys.remove(key)
                self.current = keys[min(place, len(keys) - 1)] if keys else None
            self._touch()

    def clear(self) -> None:
        """Take all files out of the strip."""
        with self._lock:
            for key in list(self.items):
                self.close(key)

    def update(self, key: str | None, function: Callable[[Work], Work]) -> None:
        """Change what is set for a file."""
        with self._lock:
            item = self.items.get(key or "")
            if not item:
                return
            work = function(item.work)
            if work.setting != item.work.setting:
                item.version += 1
                if item.state == "done":
                    item.state = "waiting"  # its thumbnail is made anew
            item.work = work
            self._touch()

    def shown(self) -> Item | None:
        """Return the file that is shown."""
        with self._lock:
            return self.items.get(self.current or "")

    def unsaved(self) -> bool:
        """Return whether anything was set that was not taken home."""
        with self._lock:
            return any(session.is_unsaved(item.work) for item in self.items.values())

    # what a file looks like; bytes are those of a JPEG

    def before(self, key: str, *, whole: bool = False) -> bytes:
        """Return a file's photo as it was, in gray, for showing or at its full size."""
        with self._turns:
            as_it_is = whole or key in self.samples  # which are small
            photo = self._whole(key) if as_it_is else self.view(key).photo
            return _jpeg(_gray(photo.to_8bit().pixels))

    def after(
        self,
        key: str,
        *,
        whole: bool = False,
        mark: Mark | None = None,
        instead_of: int | None = None,
    ) -> bytes:
        """Return a file's photo in color, as it is set, or as it would be with one more mark.

        Args:
            key: of the file.
            whole: at its full size.
            mark: to try.
            instead_of: the number of the mark that it replaces.
        """
        with self._turns:
            view, work = self.view(key), self._work(key)
            photo = self._whole(key) if whole else None
            if mark:
                work = session.put(work, mark, instead_of)
                photo = photo or shrink_photo(view.photo, TRIED)
            return _jpeg(paint(view, self.weights, work.setting, photo))

    def thumb(self, key: str) -> bytes:
        """Return a thumbnail, in color if it is colored already."""
        item = self.items.get(key)
        return item.thumb if item and item.thumb else self._small(key, self._work(key).setting)

    def look(self, key: str, name: str) -> bytes:
        """Return a thumbnail in one of the looks, all else as it is set."""
        with self._turns:
            setting = dataclasses.replace(self._work(key).setting, look=name)
            return self._small(key, setting)

    def palette(self, key: str, row: int, column: int) -> list[Color]:
        """Return likely colors of a place."""
        return looks.palette(self.view(key), self.weights, row, column)

    def view(self, key: str) -> View:
        """Return what is held of a file to show it, looking at it if need be.

        Raises:
            PhotoError: in one line, whatever is wrong with it.
            KeyError: there is no such file.
        """
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
        with (
            self._looking
        ):  # one at a time, for the memory's sake; meanwhile it may have been looked at
            if key not in self._views:
                view = look_at(self._work(key).path, self.weights, max_pixels=self.max_pixels)
                with self._lock:
                    self._views[key] = view
                    while len(self._views) > VIEWS:
                        self._views.popitem(last=False)
            return self._views[key]

    # files to take home

    def take(self, what: str, keys: list[str], wanted: Wanted = AS_IT_IS) -> Job:
        """Begin to make a file to take home.

        Args:
            what: "color" for one file in color, "compare" for gray and color side by side, "zip" for all in color,
                "project".
            keys: of the files.
            wanted: how they are written.

        Raises:
            KeyError: there is no such file, or nothing of that kind.
        """
        make = {
            "color": self._take_color,
            "compare": self._take_comparison,
            "zip": self._take_zip,
            "project": self._take_project,
        }[what]
        works = [self.items[key].work for key in keys]
        key = secrets.token_hex(16)
        job = Job(key, "", self.folder / key, max(1, len(works)))
        with self._lock:
            self.jobs[key] = job
            ended = [old for old in self.jobs.values() if old.ended.is_set()]
            for old in ended[: max(0, len(ended) - JOBS + 1)]:
                self.jobs.pop(old.key)
                old.path.unlink(missing_ok=True)
            self._touch()
        run = functools.partial(self._run, job, works, functools.partial(make, job, works, wanted))
        threading.Thread(target=run, daemon=True).start()
        return job

    def _run(self, job: Job, works: list[Work], make: Callable[[], None]) -> None:
        try:
            make()
            job.state = "done"
            with self._lock:
                for work in works:
                    if item := self.items.get(work.key):
                        item.work = session.save(item.work, work.setting)
        except Exception as error:  # whatever a file raises, the page goes on
            name = works[0].name if len(works) == 1 else "the files"
            job.state, job.told = "failed", _told(failure(job.path, error), job.path, name)
        finally:
            job.done = job.total
            job.ended.set()
            self._touch()

    def _take_color(self, job: Job, works: list[Work], wanted: Wanted) -> None:
        (work,) = works
        view = self.view(work.key)
        job.total = view.frames
        job.name = takehome.color_name_of(work, view, wanted)
        self._write(job, work, view, wanted, functools.partial(self._show, job))

    def _write(self, job: Job, work: Work, view: View, wanted: Wanted, show: takehome.Show) -> None:
        """Write a work in color to where its job's file is; videos know formats by suffixes only."""
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
                _told(failure(work.path, error), work.path, work.name)
            ) from None

    def _take_zip(self, job: Job, works: list[Work], wanted: Wanted) -> None:
        whole, failed = job.path.with_suffix(".zip"), []

        def colored() -> Iterator[tuple[str, pathlib.Path]]:
            for number, work in enumerate(works, 1):
                try:
                    view = self.view(work.key)
                    self._write(job, work, view, wanted, lambda done: None)
                except Exception as error:  # the others are in the zip
                    failed.append(_told(failure(work.path, error), work.path, work.name))
                else:
                    yield takehome.color_name_of(work, view, wanted), job.path
                self._show(job, number)

        job.name = "colored.zip"
        takehome.write_zip(whole, colored())
        job.path, job.told = whole, "; ".join(failed)

    def _take_comparison(self, job: Job, works: list[Work], wanted: Wanted) -> None:
        (work,) = works
        job.path = job.path.with_suffix(".jpg")
        job.name = f"{takehome.plain_stem(work.name)}.compare.jpg"
        view = self.view(work.key)
        takehome.write_comparison(work, view, self.weights, job.path, max_pixels=self.max_pixels)

    def _take_project(self, job: Job, works: list[Work], wanted: Wanted) -> None:
        del wanted
        job.path, job.name = job.path.with_suffix(PROJECT), f"photos{PROJECT}"
        takehome.write_project(job.path, works)

    def _show(self, job: Job, done: int) -> None:
        job.done = done
        self._touch()

    # in the background

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Color what is open, in the background, while the block runs."""
        self._make_samples()
        threads = [
            threading.Thread(target=each, daemon=True) for each in (self._warm_up, self._color_all)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            for thread in threads:  # a process that ends while a thread is in XLA is aborted
                thread.join(timeout=20)

    def _make_samples(self) -> None:
        """Put the samples, in gray, into the page's folder."""
        with contextlib.suppress(ColorjaxError):  # without scikit-image there are none
            for path in sample_photos():
                if path.stem in SAMPLES:
                    gray = _gray(read_photo(path).to_8bit().pixels)
                    own = self.folder / f"{path.stem}.png"
                    own.write_bytes(encode_photo(Photo(gray), "PNG"))
                    self.samples[path.stem] = Work(path.stem, own.name, own)

    def _warm_up(self) -> None:
        """Have all programs made that a first photo takes, while a person looks at the page."""
        with contextlib.suppress(Exception):
            for h, w in ((3, 3), (3, 4), (2, 3), (4, 3), (3, 2)):
                gray = Photo(np.full((100 * h, 100 * w), 128, np.uint8))
                if (h, w) == (3, 3) and HERO in self.samples:
                    gray = first_photo(self.samples[HERO].path)
                view = looks.of_photo(gray, self.weights)
                mark = Mark((90, 120, 160), ((20, 20),))
                for look in looks.looks(self.weights[1]):
                    paint(view, self.weights, Setting(look))
                    if self._ended:
                        return
                paint(view, self.weights, Setting(marks=(mark,)))
                looks.palette(view, self.weights, 0, 0)

    def _color_all(self) -> None:
        """Color one file after the other, as long as the page lives."""
        while True:
            with self._changed:
                while not self._ended and not self.next_waiting():
                    self._changed.wait()
                item = self.next_waiting()
                if self._ended or not item:
                    return
            self.color_item(item)

    def next_waiting(self) -> Item | None:
        """Return the file whose turn it is: the one shown, those after it, those before."""
        with self._lock:
            keys = list(self.items)
            place = keys.index(self.current) if self.current in keys else 0
            turns = (self.items[key] for key in itertools.chain(keys[place:], keys[:place]))
            return next((item for item in turns if item.state == "waiting"), None)

    def color_item(self, item: Item) -> None:
        """Color a file's thumbnail, and note what it is, or what is wrong with it."""
        with self._lock:
            item.state = "coloring"
            version, work = item.version, item.work
            self._touch()
        try:
            view = self.view(work.key)
            item.told, item.kind, item.shape = view.summary, view.kind, view.shape
            item.thumb = self._small(work.key, work.setting)
            item.painted += 1
            state: State = "done"
        except Exception as error:  # whatever a file raises, the others are colored
            item.told = _told(failure(work.path, error), work.path, work.name)
            state = "failed"
        with self._lock:
            item.state = state if item.version == version else "waiting"
            self._touch()

    # within

    def _touch(self) -> None:
        with self._changed:
            self.revision += 1
            self._changed.notify_all()

    def _work(self, key: str) -> Work:
        return self.items[key].work if key in self.items else self.samples[key]

    def _whole(self, key: str) -> Photo:
        return first_photo(self._work(key).path, max_pixels=self.max_pixels)

    def _small(self, key: str, setting: Setting) -> bytes:
        view = self.view(key)
        return _jpeg(paint(view, self.weights, setting, shrink_photo(view.small, THUMB)))

    def snapshot(self) -> dict[str, Any]:
        """Return all that the page shows, as plain values."""
        with self._lock:
            works = [
                {
                    "key": key,
                    "name": in_one_line(item.work.name),
                    "state": item.state,
                    "told": item.told,
                    "kind": item.kind,
                    "painted": item.painted,
                }
                for key, item in self.items.items()
            ]
            jobs = [
                {
                    "key": job.key,
                    "name": job.name,
                    "state": job.state,
                    "told": job.told,
                    "done": job.done,
                    "total": job.total,
                }
                for job in self.jobs.values()
            ]
            return {"works": works, "jobs": jobs, "current": self.current}


def _told(error: Exception, path: pathlib.Path, name: str) -> str:
    """Return an error's line with the person's name of a file in place of where it lies."""
    return str(error).replace(str(path), in_one_line(name))


def _gray(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels @ LUMA_WEIGHTS).astype(np.uint8) if pixels.ndim == 3 else pixels


def _jpeg(pixels: np.ndarray) -> bytes:
    return encode_photo(Photo(pixels), "JPEG", quality=QUALITY)
