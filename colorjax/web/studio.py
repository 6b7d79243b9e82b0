"""The open files, with the pictures that show them, and the threads that color them.

A studio outlives any page in the browser, so a reload loses nothing. Any thread may use it.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from colorjax.errors import ColorjaxError, in_one_line
from colorjax.jobs.batch import gray_pixels
from colorjax.jobs.coloring import Weights
from colorjax.jobs.planning import failure
from colorjax.photos import MAX_PIXELS, Photo, encode_photo, shrink_photo
from colorjax.web import looks, session, takehome
from colorjax.web.downloads import AS_IT_IS, Downloads, Job, error_text
from colorjax.web.looks import View, first_photo, look_at, paint
from colorjax.web.samples import HERO, write_samples
from colorjax.web.session import Color, Mark, Setting, Work
from colorjax.web.takehome import Wanted

State = Literal["waiting", "coloring", "done", "failed"]
VIEWS = 6  # views that are kept
TRIED = 1024  # longest side in pixels while a color or a vividness is tried
THUMB = 256  # longest side of a thumbnail in pixels
QUALITY = 90  # of the JPEGs for the browser
AT_ONCE = 3  # pictures that are made at the same time


@dataclasses.dataclass
class Item:
    """A file in the strip.

    Attributes:
        work: The file and its settings.
        state: "waiting", "coloring", "done" or "failed".
        told: A summary of the file, or what failed.
        kind: As in `View`.
        shape: (h, w). It is (0, 0) until the file has been read.
        version: A number that changes with the settings.
        thumb: A thumbnail in color, as JPEG.
        painted: How often the thumbnail was made.
    """

    work: Work
    state: State = "waiting"
    told: str = ""
    kind: str = ""
    shape: tuple[int, int] = (0, 0)
    version: int = 0
    thumb: bytes = b""
    painted: int = 0


class Studio:
    """All open files."""

    def __init__(
        self, weights: Weights, folder: pathlib.Path, *, max_pixels: int = MAX_PIXELS
    ) -> None:
        """Start without files.

        Args:
            weights: (params, config).
            folder: A folder for all files, which belongs to the page.
            max_pixels: The most pixels of a photo.
        """
        self.weights, self.folder, self.max_pixels = weights, folder, max_pixels
        self.items: dict[str, Item] = {}
        self.samples: dict[str, Work] = {}
        self.current: str | None = None
        self.revision = 0
        self._views: OrderedDict[str, View] = OrderedDict()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._looking = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._ended = False
        self.downloads = Downloads(
            weights, folder, self.view, self._lock, self._touch, max_pixels=max_pixels
        )

    # the strip

    def open(self, work: Work) -> None:
        """Add a file to the strip, where it waits to be colored. It is shown if no other file is."""
        with self._lock:
            self.items[work.key] = Item(work)
            self.current = self.current or work.key
            self._touch()

    def open_project(self, path: pathlib.Path, name: str) -> int:
        """Add the files of a project with their settings, and return how many there are.

        Args:
            path: The project file. It is removed.
            name: How errors refer to it.

        Raises:
            PhotoError: it is not a project.
        """
        try:
            works = takehome.read_project(path, self.folder)
        except ColorjaxError as error:
            raise type(error)(error_text(error, path, name)) from None
        finally:
            path.unlink(missing_ok=True)
        for work in works:
            self.open(work)
        return len(works)

    def open_sample(self, name: str) -> None:
        """Add a sample to the strip and show it."""
        sample = self.samples[name]
        work = takehome.new_work(sample.name, self.folder)
        work.path.write_bytes(sample.path.read_bytes())
        with self._lock:
            self.open(work)
            self.select(work.key)

    def select(self, key: str) -> None:
        """Show a file, and color it next."""
        with self._lock:
            if key in self.items:
                self.current = key
                self._touch()

    def close(self, key: str) -> None:
        """Remove a file from the strip. If it was shown, show its neighbor."""
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
        """Remove all files from the strip."""
        with self._lock:
            for key in list(self.items):
                self.close(key)

    def update(self, key: str | None, function: Callable[[Work], Work]) -> None:
        """Change the settings of a file.

        Args:
            key: The key of the file. If it is not open, nothing changes.
            function: Returns the file with new settings.
        """
        with self._lock:
            item = self.items.get(key or "")
            if not item:
                return
            work = function(item.work)
            if work.setting != item.work.setting:
                item.version += 1
                if item.state == "done":
                    item.state = "waiting"  # for a new thumbnail
            item.work = work
            self._touch()

    def shown(self) -> Item | None:
        """Return the file that is shown, or None."""
        with self._lock:
            return self.items.get(self.current or "")

    def unsaved(self) -> bool:
        """Return whether any file has settings that were not downloaded."""
        with self._lock:
            return any(session.is_unsaved(item.work) for item in self.items.values())

    # pictures, as the bytes of a JPEG

    def before(self, key: str, *, whole: bool = False) -> bytes:
        """Return the gray of a photo.

        Args:
            key: The key of the file.
            whole: Whether to return the full size.
        """
        with self._turns:
            as_it_is = whole or key in self.samples  # samples are small
            photo = self._whole(key) if as_it_is else self.view(key).photo
            return _jpeg(gray_pixels(photo))

    def after(
        self,
        key: str,
        *,
        whole: bool = False,
        mark: Mark | None = None,
        instead_of: int | None = None,
        vividness: float | None = None,
    ) -> bytes:
        """Return a photo in color, with its settings, with one more mark, or with another vividness.

        Args:
            key: The key of the file.
            whole: Whether to return the full size.
            mark: A mark to try.
            instead_of: The number of the mark that it replaces. None adds it.
            vividness: A vividness to try. None keeps that of the settings.
        """
        with self._turns:
            view, work = self.view(key), self._work(key)
            photo = self._whole(key) if whole else None
            if mark:
                work = session.put(work, mark, instead_of)
            if vividness is not None:
                work = session.change(work, vividness=vividness)
            if mark or vividness is not None:
                photo = photo or shrink_photo(view.photo, TRIED)
            return _jpeg(paint(view, self.weights, work.setting, photo))

    def thumb(self, key: str) -> bytes:
        """Return a thumbnail. It is made if the file has not been colored yet."""
        item = self.items.get(key)
        return item.thumb if item and item.thumb else self._small(key, self._work(key).setting)

    def look(self, key: str, name: str) -> bytes:
        """Return a thumbnail in a look, with the other settings of the file."""
        with self._turns:
            setting = dataclasses.replace(self._work(key).setting, look=name)
            return self._small(key, setting)

    def palette(self, key: str, row: int, column: int) -> list[Color]:
        """Return likely colors of a place, as `looks.palette`."""
        return looks.palette(self.view(key), self.weights, row, column)

    def view(self, key: str) -> View:
        """Return the view of a file. The file is read if no view of it is kept.

        Raises:
            PhotoError: the file cannot be read.
            KeyError: no file has this key.
        """
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
        # one at a time, which limits the memory; another thread may have made the view meanwhile
        with self._looking:
            if key not in self._views:
                view = look_at(self._work(key).path, self.weights, max_pixels=self.max_pixels)
                with self._lock:
                    self._views[key] = view
                    while len(self._views) > VIEWS:
                        self._views.popitem(last=False)
            return self._views[key]

    # downloads

    @property
    def jobs(self) -> dict[str, Job]:
        """The latest downloads by key."""
        return self.downloads.jobs

    def take(self, what: str, keys: list[str], wanted: Wanted = AS_IT_IS) -> Job:
        """Start to make a download.

        Args:
            what: "color" for one file in color, "compare" for gray and color side by side, "zip" for all files in
                color, or "project".
            keys: The keys of the files.
            wanted: How photos are written.

        Raises:
            KeyError: no file has this key, or `what` is none of these.
        """
        works = [self.items[key].work for key in keys]
        return self.downloads.start(what, works, wanted, self._mark_saved)

    def _mark_saved(self, works: Sequence[Work]) -> None:
        with self._lock:
            for work in works:
                if item := self.items.get(work.key):
                    item.work = session.save(item.work, work.setting)

    # in the background

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Color the open files in the background while the block runs."""
        self.samples = write_samples(self.folder)
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

    def _warm_up(self) -> None:
        """Compile the programs that a first photo needs, before it is opened."""
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
        """Color one file after another until the page ends."""
        while True:
            with self._changed:
                while not self._ended and not self.next_waiting():
                    self._changed.wait()
                item = self.next_waiting()
                if self._ended or not item:
                    return
            self.color_item(item)

    def next_waiting(self) -> Item | None:
        """Return the next file to color, or None: first the one shown, then those after it, then those before it."""
        with self._lock:
            keys = list(self.items)
            place = keys.index(self.current) if self.current in keys else 0
            turns = (self.items[key] for key in itertools.chain(keys[place:], keys[:place]))
            return next((item for item in turns if item.state == "waiting"), None)

    def color_item(self, item: Item) -> None:
        """Make the thumbnail of a file, and set its summary or its error."""
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
        except Exception as error:  # one bad file does not stop the others
            item.told = error_text(failure(work.path, error), work.path, work.name)
            state = "failed"
        with self._lock:
            item.state = state if item.version == version else "waiting"
            self._touch()

    # internal

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
        """Return everything that the page shows, as plain values."""
        with self._lock:
            works = [
                {
                    "key": key,
                    "name": in_one_line(item.work.name),
                    "state": item.state,
                    "told": item.told,
                    "kind": item.kind,
                    "painted": item.painted,
                    "unsaved": session.is_unsaved(item.work),
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


def _jpeg(pixels: np.ndarray) -> bytes:
    return encode_photo(Photo(pixels), "JPEG", quality=QUALITY)
