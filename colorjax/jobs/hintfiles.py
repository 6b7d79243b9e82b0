"""Hint files: pictures with colored dots on a transparent background, or points in JSON."""

import os
import pathlib
import re
from typing import Any

import numpy as np

from colorjax.errors import HintError, TooLargeError, in_one_line
from colorjax.inference.hints import Hints
from colorjax.jsontext import parse_json
from colorjax.photos import read_bytes, read_photo

OPAQUE = 128  # pixels with at least this alpha are hints
MOST_DOTS = 20_000_000  # hints in a picture
LONGEST = 16 << 20  # bytes of a list of points


def read_hints(path: str | os.PathLike, shape: tuple[int, ...]) -> Hints:
    """Read the hints for a photo.

    Args:
        path: A ".json" file of points, or else a picture with dots.
        shape: (h, w) of the photo.

    Raises:
        PhotoError: the file cannot be read.
        HintError: the file holds no valid hints for such a photo.
    """
    found = _points(path) if pathlib.Path(path).suffix.lower() == ".json" else _dots(path, shape)
    try:
        found.check_inside(shape)
    except HintError as error:
        raise HintError(f"{path}: {error}") from None
    return found


def check_hints(file: str | None, folder: str | None) -> None:
    """Check that hints exist, before any work.

    Raises:
        HintError: the file or the folder does not exist.
    """
    if file is not None and not os.path.exists(file):
        raise HintError(f"--hints {in_one_line(file)}: no such file; expected hints")
    if folder is not None and not os.path.isdir(folder):
        raise HintError(f"--hints-dir {in_one_line(folder)}: no such folder; expected hints in it")


def find_hints(folder: str | os.PathLike, name: str) -> pathlib.Path | None:
    """Return the file in a folder that holds the hints for a photo, or None.

    Args:
        folder: The folder of hints.
        name: The name of the photo relative to its own folder, such as "inner/old.jpg".
    """
    photo = pathlib.Path(folder, name)
    tried = (
        photo.with_name(f"{stem}{suffix}")
        for stem in (photo.stem, photo.name)
        for suffix in (".png", ".json")
    )
    return next((path for path in tried if os.path.isfile(path)), None)


def _dots(path: str | os.PathLike, shape: tuple[int, ...]) -> Hints:
    expected = f"the photo's {' × '.join(map(str, shape[:2]))}"
    try:
        # at this limit, a blank picture of the photo's size may have any number of bytes
        dots = read_photo(path, max_pixels=20 * shape[0] * shape[1]).to_8bit()
    except TooLargeError:
        raise HintError(f"{path}: too many pixels; expected {expected}") from None
    if dots.alpha is None:
        raise HintError(
            f"{path}: nothing is transparent; expected colored dots on a transparent background"
        )
    if dots.alpha.shape != tuple(shape[:2]):
        found = " × ".join(map(str, dots.alpha.shape))
        raise HintError(f"{path}: {found} pixels; expected {expected}")
    rgb = dots.pixels if dots.pixels.ndim == 3 else np.repeat(dots.pixels[..., None], 3, -1)
    opaque = dots.alpha >= OPAQUE
    if (count := np.count_nonzero(opaque)) > MOST_DOTS:
        raise HintError(
            f"{path}: {count:,} pixels are opaque; expected at most {MOST_DOTS:,} on a transparent background"
        )
    return Hints(np.argwhere(opaque), rgb[opaque])


def _points(path: str | os.PathLike) -> Hints:
    data = read_bytes(path, LONGEST + 1)
    if len(data) > LONGEST:
        raise HintError(f"{path}: longer than {LONGEST >> 20} MiB; expected fewer points")
    try:
        points = parse_json(data)
        places = [[_whole(point["y"]), _whole(point["x"])] for point in points]
        colors = [_color(point["rgb"]) for point in points]
    except (ValueError, TypeError, KeyError) as error:
        expected = 'a list of {"x": 1, "y": 2, "rgb": "#rrggbb"}'
        found = " ".join(f"{type(error).__name__}: {error}".split())[:80]
        raise HintError(f"{path}: no hints ({found}); expected {expected}") from None
    return Hints(np.array(places, int).reshape(-1, 2), np.array(colors, np.uint8).reshape(-1, 3))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1 << 31:
        raise ValueError(f"{value!r} is not a place")
    return value


def _color(value: Any) -> list[int]:
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        return list(bytes.fromhex(value[1:]))
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(type(v) is int and 0 <= v <= 255 for v in value)
    ):
        return value
    raise ValueError(f"{value!r} is not a color")
