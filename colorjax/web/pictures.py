"""The pictures of open files, as the bytes of a JPEG."""

import dataclasses
import pathlib
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from colorjax.jobs.batch import gray_pixels
from colorjax.jobs.coloring import Weights
from colorjax.photos import MAX_PIXELS, Photo, encode_photo, shrink_photo
from colorjax.web import looks, session
from colorjax.web.looks import View, first_photo, look_at, paint
from colorjax.web.session import Color, Mark, Setting, Work

MEMORY = 512_000_000  # bytes of the views that are kept; at least one is
TRIED = 1024  # longest side in pixels while a color or a vividness is tried
THUMB = 256  # longest side of a thumbnail in pixels
QUALITY = 90  # of the JPEGs for the browser
AT_ONCE = 3  # pictures that are made at the same time


class Pictures:
    """Makes the pictures of open files. Any thread may use it.

    Its methods take the key of a file. They raise KeyError if no file has this key, and PhotoError if the file cannot
    be read.
    """

    def __init__(
        self, weights: Weights, find: Callable[[str], Work], *, max_pixels: int = MAX_PIXELS
    ) -> None:
        """Start without views.

        Args:
            weights: (params, config).
            find: Returns the file of a key.
            max_pixels: The most pixels of a photo.
        """
        self.weights, self.max_pixels = weights, max_pixels
        self._find = find
        self._views: OrderedDict[str, View] = OrderedDict()
        self._lock = threading.Lock()  # for `_views`
        self._looking = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def before(self, key: str, *, whole: bool = False) -> bytes:
        """Return the gray of a photo.

        Args:
            key: The key of the file.
            whole: Whether to return the full size, for which no view is needed.
        """
        with self._turns:
            return _jpeg(gray_pixels(self._whole(key) if whole else self.view(key).photo))

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
            view, work = self.view(key), self._find(key)
            photo = self._whole(key) if whole else None
            if mark:
                work = session.put(work, mark, instead_of)
            if vividness is not None:
                work = session.change(work, vividness=vividness)
            if mark or vividness is not None:
                photo = photo or shrink_photo(view.photo, TRIED)
            return _jpeg(paint(view, self.weights, work.setting, photo))

    def thumbnail(self, key: str) -> bytes:
        """Return a thumbnail with the settings of the file."""
        return self._small(key, self._find(key).setting)

    def look(self, key: str, name: str) -> bytes:
        """Return a thumbnail in a look, with the other settings of the file."""
        with self._turns:
            return self._small(key, dataclasses.replace(self._find(key).setting, look=name))

    def palette(self, key: str, row: int, column: int) -> list[Color]:
        """Return likely colors of a place, as `looks.palette`."""
        return looks.palette(self.view(key), self.weights, row, column)

    def view(self, key: str) -> View:
        """Return the view of a file. The file is read if no view of it is kept."""
        if view := self._kept(key):
            return view
        # one at a time, which limits the memory; another thread may have made the view meanwhile
        with self._looking:
            if view := self._kept(key):
                return view
            view = look_at(self._find(key).path, self.weights, max_pixels=self.max_pixels)
            with self._lock:
                self._views[key] = view
                while len(self._views) > 1 and self._size() > MEMORY:
                    self._views.popitem(last=False)
            return view

    def forget(self, key: str) -> None:
        """Drop the view of a file that was closed."""
        with self._lock:
            self._views.pop(key, None)

    def warm_up(self, example: pathlib.Path | None, stopped: Callable[[], bool]) -> None:
        """Compile the programs that a first photo needs, before it is opened.

        Args:
            example: A square photo, or None.
            stopped: Whether to stop early.
        """
        for h, w in ((3, 3), (3, 4), (2, 3), (4, 3), (3, 2)):
            photo = Photo(np.full((100 * h, 100 * w), 128, np.uint8))
            if h == w and example:
                photo = first_photo(example)
            view = looks.of_photo(photo, self.weights)
            mark = Mark((90, 120, 160), ((20, 20),))
            for look in looks.looks(self.weights[1]):
                paint(view, self.weights, Setting(look))
                if stopped():
                    return
            paint(view, self.weights, Setting(marks=(mark,)))
            looks.palette(view, self.weights, 0, 0)

    def _kept(self, key: str) -> View | None:
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
            return self._views.get(key)

    def _size(self) -> int:
        return sum(view.size for view in self._views.values())

    def _whole(self, key: str) -> Photo:
        return first_photo(self._find(key).path, max_pixels=self.max_pixels)

    def _small(self, key: str, setting: Setting) -> bytes:
        view = self.view(key)
        return _jpeg(paint(view, self.weights, setting, shrink_photo(view.small, THUMB)))


def _jpeg(pixels: np.ndarray) -> bytes:
    return encode_photo(Photo(pixels), "JPEG", quality=QUALITY)
