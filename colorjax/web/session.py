"""The settings of an open file, with undo and redo, as plain values and pure functions."""

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
MOST_PLACES = 2000  # of the path of a mark
MOST_VIVID = 3.0
ACROSS = 16  # hints across the width of a brush

Color = tuple[int, int, int]
Place = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Mark:
    """A color that a person set at a place, or with a brush.

    Attributes:
        color: sRGB levels, of which only the chroma counts.
        path: (row, column) in pixels of the photo: one place, or the path of a brush.
        radius: The radius of the brush in pixels, or 0 for a place.
        local: Whether only the surroundings are colored, not the whole thing.
    """

    color: Color
    path: tuple[Place, ...]
    radius: int = 0
    local: bool = False


@dataclasses.dataclass(frozen=True)
class Setting:
    """The settings of a file.

    Attributes:
        look: The name of a look, from `inference.looks.looks`.
        vividness: As in `ColorOptions`, a factor on that of the look.
        marks: The colors that were set. Where two overlap, their mean applies.
        keep_color: Whether to blend with the color that the file has, instead of replacing it.
    """

    look: str = NATURAL
    vividness: float = 1.0
    marks: tuple[Mark, ...] = ()
    keep_color: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """An open file.

    Attributes:
        key: A secret name.
        name: The name of the person's file.
        path: A copy of the file in the page's own folder.
        settings: All settings in order, at least one. Those after `at` were undone.
        at: The index of the present settings.
        saved: The settings with which the file was last downloaded.
    """

    key: str
    name: str
    path: pathlib.Path
    settings: tuple[Setting, ...] = (Setting(),)
    at: int = 0
    saved: Setting = Setting()

    @property
    def setting(self) -> Setting:
        """The present settings."""
        return self.settings[self.at]


def change(work: Work, **fields: Any) -> Work:
    """Change settings. The change can be undone, and changes that were undone before are discarded.

    Several changes of the vividness alone in a row become one: a slider moves in many small steps.

    Args:
        work: An open file.
        fields: Fields of `Setting` with their new values.
    """
    setting = dataclasses.replace(work.setting, **fields)
    if setting == work.setting:
        return work
    settings = [*work.settings[: work.at + 1], setting]
    moves = {dataclasses.replace(each, vividness=1.0) for each in settings[-3:]}
    if len(settings) > 2 and len(moves) == 1:  # the last change was of the vividness alone, too
        del settings[-2]
        if settings[-1] == settings[-2]:
            del settings[-1]
    return dataclasses.replace(work, settings=tuple(settings), at=len(settings) - 1)


def put(work: Work, mark: Mark, instead_of: int | None = None) -> Work:
    """Set the color of a place or an area.

    Args:
        work: An open file.
        mark: The color and its place.
        instead_of: The index of the mark that it replaces. None adds it.
    """
    marks = list(work.setting.marks)
    if instead_of is not None and 0 <= instead_of < len(marks):
        marks[instead_of] = mark
    elif len(marks) < MOST_MARKS:
        marks.append(mark)
    return change(work, marks=tuple(marks))


def remove(work: Work, number: int) -> Work:
    """Remove the mark with an index, if it exists."""
    marks = work.setting.marks
    kept = tuple(mark for i, mark in enumerate(marks) if i != number)
    return change(work, marks=kept)


def undo(work: Work) -> Work:
    """Undo the last change, if there is one."""
    return dataclasses.replace(work, at=max(0, work.at - 1))


def redo(work: Work) -> Work:
    """Redo the change that was undone last, if there is one."""
    return dataclasses.replace(work, at=min(len(work.settings) - 1, work.at + 1))


def save(work: Work, setting: Setting) -> Work:
    """Record the settings with which a file was downloaded."""
    return dataclasses.replace(work, saved=setting)


def is_unsaved(work: Work) -> bool:
    """Return whether a file has settings with which it was not downloaded."""
    return work.setting != work.saved


def hints(marks: Sequence[Mark], shape: tuple[int, ...]) -> Hints | None:
    """Convert marks to hints. Places outside the photo are left out.

    Args:
        marks: The marks, in pixels of the photo.
        shape: (h, w) of the photo.

    Returns:
        The hints, or None if no place is left.
    """
    places = [_covered(mark, shape) for mark in marks]
    colors = [
        np.broadcast_to(np.array(mark.color, np.uint8), (len(where), 3))
        for mark, where in zip(marks, places, strict=True)
    ]
    if not sum(map(len, places)):
        return None
    local = np.repeat([mark.local for mark in marks], list(map(len, places)))
    return Hints(np.concatenate(places), np.concatenate(colors), local)


def _covered(mark: Mark, shape: tuple[int, ...]) -> np.ndarray:
    """Return (n, 2) places inside the photo for a mark: its path, and a grid of places under the brush."""
    path = np.array(mark.path)
    if mark.radius:
        step = max(1, 2 * mark.radius // ACROSS)
        low = np.maximum(path.min(0) - mark.radius, 0)  # where the grid begins
        reach = np.arange(-(mark.radius // step) - 1, mark.radius // step + 2) * step
        around = np.stack(np.meshgrid(reach, reach, indexing="ij"), -1).reshape(-1, 1, 2)
        lattice = (
            (path - low) // step * step + low + around
        )  # around each place, not across the photo
        near = ((lattice - path) ** 2).sum(-1) <= mark.radius**2
        near &= (lattice >= low).all(-1)
        path = np.concatenate([path, lattice[near]])
    inside = ((path >= 0) & (path < np.array(shape[:2]))).all(1)
    return np.unique(path[inside], axis=0)


def mark_from(found: Any) -> Mark:
    """Check a mark from the browser or a project file, in the form of `dataclasses.asdict` in JSON.

    Raises:
        PhotoError: it is not a mark.
    """
    try:
        color = tuple(found["color"])
        path = tuple((row, column) for row, column in found["path"])
        radius = found.get("radius", 0)
        local = found.get("local", False)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _wrong("a mark") from None
    numbers = [*color, radius, *(each for place in path for each in place)]
    whole = all(type(each) is int and 0 <= each < 10**6 for each in numbers)
    whole = whole and isinstance(local, bool)
    if not whole or len(color) != 3 or max(color) > 255 or not 0 < len(path) <= MOST_PLACES:
        raise _wrong("a mark")
    return Mark(color, path, radius, local)


def setting_from(found: Any) -> Setting:
    """Check settings from a project file, in the form of `dataclasses.asdict` in JSON.

    Raises:
        PhotoError: they are not settings.
    """
    try:
        look, vividness, marks = found["look"], found["vividness"], found["marks"]
        keep_color = found.get("keep_color", False)  # older projects do not have it
    except (KeyError, TypeError, AttributeError):
        raise _wrong("a setting") from None
    fits = isinstance(look, str) and isinstance(marks, list) and len(marks) <= MOST_MARKS
    fits = fits and isinstance(keep_color, bool)
    if not fits or type(vividness) not in (int, float) or not is_vividness(float(vividness)):
        raise _wrong("a setting")
    return Setting(look, float(vividness), tuple(map(mark_from, marks)), keep_color)


def is_vividness(value: float) -> bool:
    """Return whether a number is an allowed vividness."""
    return math.isfinite(value) and 0 <= value <= MOST_VIVID


def _wrong(what: str) -> PhotoError:
    return PhotoError(f"{what} in the project is invalid; expected one that colorjax wrote")
