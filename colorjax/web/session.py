"""A person at work on photos: what is open, what was set for each, undo, and the files to take home. No page in it."""

import collections
import dataclasses
import io
import math
import os
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from colorjax.inference.hints import Hints
from colorjax.jobs.coloring import (
    ColorOptions,
    Weights,
    color_frames,
    color_photo,
    likely_colors,
    variant_options,
)
from colorjax.jobs.planning import COLOR
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    decode_frames,
    encode_frames,
    format_of,
    suffix_for,
)

VARIANTS = 4  # colorings to pick from
RING = (2, 3, 4, 6, 7, 8)  # radii between which a mark is black, white, of its color, white, black
UNITS = (
    400  # of these units are in a photo's longest side, so that marks are seen in a large one, too
)

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is set for a photo.

    Attributes:
        vividness: as in `ColorOptions`.
        variant: the coloring chosen, from 0, the usual one.
        hints: (row, column, color) of the places that were given a color; of two at one place the later holds.
    """

    vividness: float = 1.0
    variant: int = 0
    hints: tuple[tuple[int, int, Color], ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """An open photo.

    Attributes:
        name: of its file.
        frames: its photo, or its pages or frames.
        settings: what was set, the latest last; never empty.
    """

    name: str
    frames: Sequence[Photo]
    settings: tuple[Setting, ...] = (Setting(),)

    @property
    def setting(self) -> Setting:
        """What is set now.

        Spec: APP-001
        """
        return self.settings[-1]


def open_photo(name: str, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Work:
    """Open the bytes of a photo file.

    Raises:
        PhotoError: in one line, whatever is wrong with them.

    Spec: APP-003
    """
    return Work(name, list(decode_frames(data, name=name, max_pixels=max_pixels)))


def change(work: Work, setting: Setting) -> Work:
    """Set something anew; nothing happens if it is as it was.

    Spec: APP-001
    """
    if setting == work.setting:
        return work
    return dataclasses.replace(work, settings=(*work.settings, setting))


def hint(work: Work, row: int, column: int, color: Color) -> Work:
    """Give a place its color; a place outside is moved to the edge.

    Spec: APP-001
    """
    h, w = work.frames[0].pixels.shape[:2]
    place = (int(np.clip(row, 0, h - 1)), int(np.clip(column, 0, w - 1)))
    others = tuple(each for each in work.setting.hints if each[:2] != place)
    return change(work, dataclasses.replace(work.setting, hints=(*others, (*place, color))))


def undo(work: Work) -> Work:
    """Take the last change back, if there is one.

    Spec: APP-001
    """
    return dataclasses.replace(work, settings=work.settings[:-1] or work.settings)


def colorings(work: Work, weights: Weights) -> list[Photo]:
    """Color a photo, or the first frame, as it is set, in all variants from the usual one on.

    Spec: APP-001
    """
    return [
        color_photo(work.frames[0], weights, each) for each in _options(work, weights, VARIANTS)
    ]


def colored(work: Work, weights: Weights) -> Sequence[Photo]:
    """Color a photo as it is set, in the variant chosen.

    Spec: APP-001, APP-002
    """
    variant = work.setting.variant
    options = _options(work, weights, VARIANTS if variant else 1)[variant]
    return list(color_frames(work.frames, weights, options))


def marked(work: Work, photo: Photo) -> Photo:
    """Draw a ring around each place that was given a color, for display only.

    Args:
        work: what was set.
        photo: the same picture, in color; it stays as it is.

    Returns:
        8-bit RGB.

    Spec: APP-008
    """
    rgb = photo.to_8bit().pixels.copy()
    unit = max(1.0, max(rgb.shape) / UNITS)
    reach = math.ceil(RING[-1] * unit)
    for row, column, given in work.setting.hints:
        top, left = max(0, row - reach), max(0, column - reach)
        spot = rgb[top : row + reach + 1, left : column + reach + 1]
        y, x = np.ogrid[: spot.shape[0], : spot.shape[1]]
        band = np.digitize(np.hypot(y + top - row, x + left - column) / unit, RING)
        black, white = (0, 0, 0), (255, 255, 255)
        colors = np.array([black, white, given, white, black], np.uint8)
        ring = (band > 0) & (band < len(RING))
        spot[ring] = colors[band[ring] - 1]
    return Photo(rgb)


def palette(
    work: Work, weights: Weights, row: int, column: int, count: int = 8
) -> UInt8[np.ndarray, "count 3"]:
    """Return likely colors of a place, the likeliest first.

    Spec: APP-001
    """
    return likely_colors(work.frames[0], weights, (row, column), count)


def encoded(work: Work, weights: Weights, *, suffix: str | None = None) -> tuple[str, bytes]:
    """Return name and bytes of the file to take home.

    Args:
        work: an open photo.
        weights: (params, config).
        suffix: of its format, such as ".png"; None for the photo's own.

    Raises:
        OutputError: the format cannot hold it.

    Spec: APP-002
    """
    stem, own = os.path.splitext(os.path.basename(work.name))
    suffix = suffix or suffix_for(work.frames[0], own)
    data = encode_frames(colored(work, weights), format_of(f"photo{suffix}"))
    return f"{stem}{COLOR}{suffix}", data


def zipped(
    works: Sequence[Work],
    weights: Weights,
    *,
    suffix: str | None = None,
    done: Callable[[int], object] = lambda number: None,
) -> bytes:
    """Return a zip of all photos in color; those of one name are told apart by a number.

    Args:
        works: open photos, each colored as it is set.
        weights: (params, config).
        suffix: as for `encoded`.
        done: called with the number of photos that are in it, after each.

    Raises:
        OutputError: the format cannot hold a photo.

    Spec: APP-002
    """
    file = io.BytesIO()
    names: collections.Counter[str] = collections.Counter()
    with zipfile.ZipFile(file, "w") as archive:  # stored: photos are compressed already
        for number, work in enumerate(works, 1):
            name, data = encoded(work, weights, suffix=suffix)
            names[name] += 1
            if names[name] > 1:
                stem, ending = os.path.splitext(name)
                name = f"{stem} ({names[name]}){ending}"
            archive.writestr(name, data)
            done(number)
    return file.getvalue()


def _options(work: Work, weights: Weights, variants: int) -> list[ColorOptions]:
    """Return what is wished of each variant."""
    setting, hints = work.setting, None
    if setting.hints:
        places = np.array([each[:2] for each in setting.hints])
        hints = Hints(places, np.array([each[2] for each in setting.hints], np.uint8))
    options = ColorOptions(vividness=setting.vividness, variants=variants, hints=hints)
    return variant_options(work.frames[len(work.frames) // 2], weights, options)
