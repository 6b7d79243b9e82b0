"""The open files, and the threads that color them.

A studio outlives any page in the browser, so a reload loses nothing. Any thread may use it.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

from colorjax.errors import ColorjaxError, in_one_line
from colorjax.jobs.coloring import Weights
from colorjax.jobs.planning import failure
from colorjax.photos import MAX_PIXELS
from colorjax.web import session, takehome
from colorjax.web.downloads import AS_IT_IS, Downloads, Job, error_text
from colorjax.web.pictures import Pictures
from colorjax.web.samples import HERO, write_samples
from colorjax.web.session import Work
from colorjax.web.takehome import Wanted

MOST_FILES = 10_000  # open at once

State = Literal["waiting", "coloring", "done", "failed"]


@dataclasses.dataclass
class Item:
    """A file in the strip.

    Attributes:
        work: The file and its settings.
        state: "waiting", "coloring", "done" or "failed".
        told: A summary of the file, or what failed.
        kind: As in `View`.
        suffix: The suffix of the colored file, or an empty text until the file has been read.
        in_color: Whether the file has color of its own.
        shape: (h, w). It is (0, 0) until the file has been read.
        version: A number that changes with the settings.
        thumb: A thumbnail in color, as JPEG.
        painted: How often the thumbnail was made.
    """

    work: Work
    state: State = "waiting"
    told: str = ""
    kind: str = ""
    suffix: str = ""
    in_color: bool = False
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
        self._chosen: str | None = None
        self.revision = 0
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._ended = False
        self.pictures = Pictures(weights, self._work, max_pixels=max_pixels)
        self.downloads = Downloads(
            weights, folder, self.pictures.view, self._lock, self._touch, max_pixels=max_pixels
        )

    # the strip

    def open(self, work: Work) -> None:
        """Add a file to the strip, where it waits to be colored. It is shown if no other good file is."""
        with self._lock:
            self.items[work.key] = Item(work)
            self._show_another()
            self._touch()

    @property
    def room(self) -> int:
        """How many more files can be opened."""
        return max(0, MOST_FILES - len(self.items))

    def open_project(self, path: pathlib.Path, name: str) -> int:
        """Add the files of a project with their settings, and return how many there are.

        Args:
            path: The project file. It is removed.
            name: How errors refer to it.

        Raises:
            PhotoError: it is not a project, or has more files than can be opened.
        """
        try:
            works = takehome.read_project(path, self.folder, most=self.room)
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
        """Show a file that the person chose, and color it next."""
        with self._lock:
            if key in self.items:
                self.current = self._chosen = key
                self._touch()

    def close(self, key: str) -> None:
        """Remove a file from the strip. If it was shown, show its neighbor."""
        with self._lock:
            if key not in self.items:
                return
            keys = list(self.items)
            place = keys.index(key)
            item = self.items.pop(key)
            self.pictures.forget(key)
            item.work.path.unlink(missing_ok=True)
            self.downloads.forget(self.items.keys())
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
                if item.state in ("done", "failed"):
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

    def thumb(self, key: str) -> bytes:
        """Return a thumbnail. It is made if the file has not been colored yet."""
        item = self.items.get(key)
        return item.thumb if item and item.thumb else self.pictures.thumbnail(key)

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
        return self.downloads.start(what, works, wanted)

    def note_taken(self, job: Job) -> None:
        """Record that the browser takes a download. The settings of the files that it holds are saved by that."""
        with self._lock:
            job.taken = True
            for work in job.holds:
                if item := self.items.get(work.key):
                    item.work = session.save(item.work, work.setting)
            self._touch()

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
        hero = self.samples.get(HERO)
        with contextlib.suppress(Exception):
            self.pictures.warm_up(hero and hero.path, lambda: self._ended)

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
            view = self.pictures.view(work.key)
            item.told, item.kind, item.shape = view.summary, view.kind, view.shape
            item.suffix, item.in_color = view.suffix, view.in_color
            item.thumb = self.pictures.thumbnail(work.key)
            item.painted += 1
            state: State = "done"
        except Exception as error:  # one bad file does not stop the others
            if item.painted:  # the file is good, but there was too little memory, for example
                state = "done"
            else:
                item.told = error_text(failure(work.path, error), work.path, work.name)
                state = "failed"
        with self._lock:
            item.state = state if item.version == version else "waiting"
            self._show_another()
            self._touch()

    def _show_another(self) -> None:
        """If no file is shown, or one that failed and that the person did not choose, show the first good one."""
        shown = self.shown()
        if shown and (shown.state != "failed" or self.current == self._chosen):
            return
        good = (key for key, item in self.items.items() if item.state != "failed")
        self.current = next(good, self.current or next(iter(self.items), None))

    def _touch(self) -> None:
        with self._changed:
            self.revision += 1
            self._changed.notify_all()

    def _work(self, key: str) -> Work:
        return self.items[key].work if key in self.items else self.samples[key]

    def strip(self) -> list[dict[str, Any]]:
        """Return what the strip shows of each file, as plain values."""
        with self._lock:
            return [
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
