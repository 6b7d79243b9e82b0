"""The settings of an open file, with undo and redo, as plain values and pure functions."""

import dataclasses
import itertools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from colorjax.errors import PhotoError
from colorjax.inference.hints import Hints

NATURAL = "natural"
MOST_MARKS = 200  # of a photo
MOST_PLACES = 2000  # of the path of a mark
MOST_TOGETHER = 50_000  # places of all marks of a photo
MOST_SETTINGS = 1000  # of a photo; of more, the oldest cannot be restored
MOST_VIVID = 3.0

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
    kept = tuple(settings[-MOST_SETTINGS:])
    return dataclasses.replace(work, settings=kept, at=len(kept) - 1)


def put(work: Work, mark: Mark, instead_of: int | None = None) -> Work:
    """Set the color of a place or an area, unless it is set already or the file has too many.

    Args:
        work: An open file.
        mark: The color and its place.
        instead_of: The index of the mark that it replaces. None adds it.
    """
    marks = list(work.setting.marks)
    if instead_of is not None and 0 <= instead_of < len(marks):
        marks[instead_of] = mark
    else:
        marks.append(mark)
    new = tuple(dict.fromkeys(marks))
    return change(work, marks=new) if _fit(marks) and new != work.setting.marks else work


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


def hints(marks: Sequence[Mark], shape: tuple[int, ...], grid: tuple[int, ...]) -> Hints | None:
    """Convert marks to hints: one for each cell that a mark touches, with the mean color of these marks.

    A hint is local if all of these marks are.

    Time and memory depend on the paths and on the cells, not on the sizes of the photo and the brushes.

    Args:
        marks: The marks, in pixels of the photo. Places outside of it are left out.
        shape: (h, w) of the photo.
        grid: Rows and columns of the network's cells.

    Returns:
        The hints, or None if no mark touches the photo.
    """
    total, count, local = np.zeros((*grid, 3)), np.zeros(grid, int), np.zeros(grid, int)
    for mark in marks:
        touched = _touched(mark, shape, grid)
        total[touched] += mark.color
        count += touched
        local += touched & mark.local
    cells = np.argwhere(count)
    if not len(cells):
        return None
    mean = total[count > 0] / count[count > 0, None]
    # a photo with fewer pixels than cells has cells that begin beyond it
    places = np.minimum(_first_pixels(cells, shape, grid), np.array(shape) - 1)
    return Hints(places, np.rint(mean).astype(np.uint8), (local == count)[count > 0])


def _touched(mark: Mark, shape: tuple[int, ...], grid: tuple[int, ...]) -> np.ndarray:
    """Return which cells a mark touches: under its brush, each row of cells has an interval at each place."""
    (height, width), (rows, columns) = shape[:2], grid
    row, column = np.unique(np.array(mark.path), axis=0).T[..., None]
    edges = _first_pixels(np.arange(rows + 1), height, rows)
    away = np.maximum(0, np.maximum(edges[:-1] - row, row - edges[1:] + 1))  # (places, rows)
    reach = np.sqrt(np.maximum(0, mark.radius**2 - away**2)).astype(int)
    left, right = np.maximum(column - reach, 0), np.minimum(column + reach, width - 1)
    place, near = np.nonzero((away <= mark.radius) & (left <= right))
    changes = np.zeros((rows, columns + 1), int)
    np.add.at(changes, (near, left[place, near] * columns // width), 1)
    np.add.at(changes, (near, right[place, near] * columns // width + 1), -1)
    return changes.cumsum(1)[:, :-1] > 0


def _first_pixels(cells: np.ndarray, shape: Any, grid: Any) -> np.ndarray:
    """Return the first row or column of pixels, or both, of each cell."""
    return -(-cells * np.array(shape) // np.array(grid))


def _fit(marks: Sequence[Mark]) -> bool:
    """Return whether a photo can have so many marks and places."""
    return len(marks) <= MOST_MARKS and sum(len(mark.path) for mark in marks) <= MOST_TOGETHER


def mark_from(found: Any) -> Mark:
    """Check a mark from the browser or a project file, in the form of `Mark` in JSON. The path may be a flat list.

    Raises:
        PhotoError: it is not a mark.
    """
    try:
        color, path, radius = tuple(found["color"]), found["path"], found.get("radius", 0)
        local = found.get("local", False)  # older projects do not have it
        if type(path[0]) is int:
            path = zip(path[::2], path[1::2], strict=True)
        path = tuple(map(tuple, path))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise _wrong("a mark") from None
    numbers = [*color, radius, *itertools.chain.from_iterable(path)]
    whole = set(map(type, numbers)) == {int} and 0 <= min(numbers) and max(numbers) < 10**6
    fits = len(color) == 3 and set(map(len, path)) == {2} and len(path) <= MOST_PLACES
    if not whole or not fits or max(color) > 255 or type(local) is not bool:
        raise _wrong("a mark")
    return Mark(color, path, radius, local)


def plain_settings(settings: Sequence[Setting]) -> dict[str, list]:
    """Return settings for a project file: each mark once, as a flat list of places, and settings with its number."""
    marks = {id(mark): mark for setting in settings for mark in setting.marks}
    numbers = {key: number for number, key in enumerate(marks)}
    return {
        "marks": [vars(mark) | {"path": [*itertools.chain(*mark.path)]} for mark in marks.values()],
        "settings": [
            vars(setting) | {"marks": [numbers[id(mark)] for mark in setting.marks]}
            for setting in settings
        ],
    }


def settings_from(found: Any, marks: Any) -> tuple[Setting, ...]:
    """Check settings from a project file, in the form of `plain_settings`.

    Raises:
        PhotoError: they are not settings.
    """
    if not isinstance(found, list) or not isinstance(marks, list) or len(found) > MOST_SETTINGS:
        raise _wrong("a setting")
    known = dict(enumerate(map(mark_from, marks)))
    return tuple(_setting_from(each, known) for each in found)


def _setting_from(found: Any, known: Mapping[int, Mark]) -> Setting:
    try:
        look, vividness = found["look"], found["vividness"]
        keep_color = found.get("keep_color", False)  # older projects do not have it
        # older projects have the marks here
        marks = [known[each] if type(each) is int else mark_from(each) for each in found["marks"]]
    except (KeyError, TypeError, AttributeError):
        raise _wrong("a setting") from None
    fits = isinstance(look, str) and isinstance(keep_color, bool) and _fit(marks)
    if not fits or type(vividness) not in (int, float) or not is_vividness(float(vividness)):
        raise _wrong("a setting")
    return Setting(look, float(vividness), tuple(marks), keep_color)


def is_vividness(value: float) -> bool:
    """Return whether a number is an allowed vividness."""
    return math.isfinite(value) and 0 <= value <= MOST_VIVID


def _wrong(what: str) -> PhotoError:
    return PhotoError(f"{what} in the project is invalid; expected one that colorjax wrote")
