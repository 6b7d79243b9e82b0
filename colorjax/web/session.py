"""A person at work on a file: what is set for it, undo and redo. Plain values and pure functions; no page in it."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from colorjax.errors import PhotoError
from colorjax.inference.hints import Hints

NATURAL = "natural"
MOST_MARKS = 200  # of a photo
MOST_PLACES = 2000  # of a stroke's path
MOST_VIVID = 3.0
ACROSS = 16  # places across a brush's width that are given its color

Color = tuple[int, int, int]
Place = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Mark:
    """A color given to a place, or to all that a brush went over.

    Attributes:
        color: sRGB levels, of which the chroma counts.
        path: rows and columns in the photo; one place, or the way of a brush.
        radius: of the brush, in pixels; 0 for a place.
    """

    color: Color
    path: tuple[Place, ...]
    radius: int = 0


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is set for a file.

    Attributes:
        look: name of one of the looks of `looks`.
        vividness: as in `ColorOptions`, on top of the look's.
        marks: colors given; where two meet, their mean holds.
    """

    look: str = NATURAL
    vividness: float = 1.0
    marks: tuple[Mark, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """An open file.

    Attributes:
        key: tells it from the others; not to be guessed.
        name: of the person's file.
        path: of its bytes, in the page's own folder.
        settings: what was set, in order; never empty. Those after `at` were undone.
        at: the place of the setting that holds.
        saved: the setting that was last taken home.
    """

    key: str
    name: str
    path: pathlib.Path
    settings: tuple[Setting, ...] = (Setting(),)
    at: int = 0
    saved: Setting = Setting()

    @property
    def setting(self) -> Setting:
        """What is set now."""
        return self.settings[self.at]


def change(work: Work, **fields: Any) -> Work:
    """Set something anew, which can be undone; what was undone before is gone.

    Args:
        work: an open file.
        fields: of `Setting`.
    """
    setting = dataclasses.replace(work.setting, **fields)
    if setting == work.setting:
        return work
    settings = (*work.settings[: work.at + 1], setting)
    return dataclasses.replace(work, settings=settings, at=len(settings) - 1)


def put(work: Work, mark: Mark, instead_of: int | None = None) -> Work:
    """Give a place or an area its color.

    Args:
        work: an open file.
        mark: the color and where.
        instead_of: the number of a mark that it replaces; None adds it.
    """
    marks = list(work.setting.marks)
    if instead_of is not None and 0 <= instead_of < len(marks):
        marks[instead_of] = mark
    elif len(marks) < MOST_MARKS:
        marks.append(mark)
    return change(work, marks=tuple(marks))


def remove(work: Work, number: int) -> Work:
    """Take one of the marks away, or none if there is no such."""
    marks = work.setting.marks
    kept = tuple(mark for i, mark in enumerate(marks) if i != number)
    return change(work, marks=kept)


def undo(work: Work) -> Work:
    """Take the last change back, if there is one."""
    return dataclasses.replace(work, at=max(0, work.at - 1))


def redo(work: Work) -> Work:
    """Do again what was undone last, if anything was."""
    return dataclasses.replace(work, at=min(len(work.settings) - 1, work.at + 1))


def save(work: Work, setting: Setting) -> Work:
    """Note that a file was taken home with a setting."""
    return dataclasses.replace(work, saved=setting)


def is_unsaved(work: Work) -> bool:
    """Return whether something was set that was not taken home."""
    return work.setting != work.saved


def hints(marks: Sequence[Mark], shape: tuple[int, ...]) -> Hints | None:
    """Return what marks say of the pixels of a photo: places outside it are left out.

    Args:
        marks: in the photo's pixels.
        shape: (h, w) of the photo.
    """
    places = [_covered(mark, shape) for mark in marks]
    colors = [
        np.broadcast_to(np.array(mark.color, np.uint8), (len(where), 3))
        for mark, where in zip(marks, places, strict=True)
    ]
    if not sum(map(len, places)):
        return None
    return Hints(np.concatenate(places), np.concatenate(colors))


def _covered(mark: Mark, shape: tuple[int, ...]) -> np.ndarray:
    """Return (n, 2) places that stand for what a mark covers: those of a lattice under the brush."""
    path = np.array(mark.path)
    if mark.radius:
        step = max(1, 2 * mark.radius // ACROSS)
        low, high = path.min(0) - mark.radius, path.max(0) + mark.radius + 1
        low, high = np.maximum(low, 0), np.minimum(high, shape[:2])
        lattice = np.mgrid[low[0] : high[0] : step, low[1] : high[1] : step].reshape(2, -1).T
        near = np.zeros(len(lattice), bool)
        for place in path:
            near |= ((lattice - place) ** 2).sum(1) <= mark.radius**2
        path = np.concatenate([path, lattice[near]])
    inside = ((path >= 0) & (path < np.array(shape[:2]))).all(1)
    return np.unique(path[inside], axis=0)


def mark_from(found: Any) -> Mark:
    """Return the mark that a page or a project file tells, as `dataclasses.asdict` and JSON write it.

    Raises:
        PhotoError: it is none.
    """
    try:
        color = tuple(found["color"])
        path = tuple((row, column) for row, column in found["path"])
        radius = found.get("radius", 0)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _wrong("a mark") from None
    numbers = [*color, radius, *(each for place in path for each in place)]
    whole = all(type(each) is int and 0 <= each < 10**6 for each in numbers)
    if not whole or len(color) != 3 or max(color) > 255 or not 0 < len(path) <= MOST_PLACES:
        raise _wrong("a mark")
    return Mark(color, path, radius)


def setting_from(found: Any) -> Setting:
    """Return the setting that a project file tells.

    Raises:
        PhotoError: it is none.
    """
    try:
        look, vividness, marks = found["look"], found["vividness"], found["marks"]
    except (KeyError, TypeError):
        raise _wrong("a setting") from None
    fits = isinstance(look, str) and isinstance(marks, list) and len(marks) <= MOST_MARKS
    if not fits or type(vividness) not in (int, float) or not is_vividness(float(vividness)):
        raise _wrong("a setting")
    return Setting(look, float(vividness), tuple(map(mark_from, marks)))


def is_vividness(value: float) -> bool:
    """Return whether a number is a vividness that can be set."""
    return math.isfinite(value) and 0 <= value <= MOST_VIVID


def _wrong(what: str) -> PhotoError:
    return PhotoError(f"the project holds {what} that is none; expected one that colorjax wrote")
