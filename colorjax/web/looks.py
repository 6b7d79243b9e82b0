"""Colorings side by side: what a file looks like, the looks that it can be given, likely colors of a place.

The network looks once at a file; each look, each change and each preview is then chosen and drawn anew.
"""

import dataclasses
import functools
import math
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from colorjax.config import Config, DenseConfig
from colorjax.errors import PhotoError
from colorjax.evaluation.baselines import LUMA
from colorjax.inference import pipeline, variants
from colorjax.inference.pipeline import Prediction
from colorjax.jobs import video
from colorjax.jobs.coloring import Weights, Wishes, likely_colors
from colorjax.networks.bins import bin_centers
from colorjax.photos import MAX_PIXELS, Photo, count_frames, read_frames, shrink_photo, suffix_for
from colorjax.web.session import Color, Setting, hints

SHOWN = 2048  # pixels of the longest side of what the page shows; at 100 % it asks for the whole
SMALL = 512  # likewise, of what thumbnails and likely colors are made from
LEAN = 0.7  # strength of the warm and the cool look
WARM = math.atan2(-0.8, 1.0)  # hue of the warm look in (R − Y, B − Y); the cool one's is opposite
MIDDLE = 140  # level of gray at which likely colors are shown
EVERYDAY = (  # where the network holds one color possible at each place
    (196, 150, 124),
    (120, 160, 205),
    (110, 140, 80),
    (150, 110, 75),
    (190, 70, 60),
    (60, 85, 150),
    (215, 180, 90),
    (140, 140, 140),
)


class Look(NamedTuple):
    """A coloring that a person can choose.

    Attributes:
        label: what it is called.
        vivid: factor on the vividness.
        hue: that it leans to, in (R − Y, B − Y); None for none.
        other: which of the other plausible colorings it is, from 1; 0 for the likeliest.
    """

    label: str
    vivid: float = 1.0
    hue: float | None = None
    other: int = 0


LOOKS = {
    "natural": Look("Natural"),
    "vivid": Look("Vivid", vivid=1.6),
    "warm": Look("Warm", hue=WARM),
    "cool": Look("Cool", hue=WARM + math.pi),
    "other-1": Look("Another idea", other=1),
    "other-2": Look("A third idea", other=2),
}
PLAIN_LOOKS = {  # of a network that knows one coloring only
    "natural": Look("Natural"),
    "soft": Look("Soft", vivid=0.6),
    "vivid": Look("Vivid", vivid=1.6),
    "bold": Look("Bold", vivid=2.4),
}


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """What is held of a file to show it.

    Attributes:
        photo: its first photo or its still, 8-bit, at most `SHOWN` pixels long.
        small: the same, at most `SMALL` pixels long.
        shape: (h, w) of the file's own.
        kind: "photo", "pages", "animation" or "film".
        frames: how many it has.
        suffix: of its color version.
        seen: what the network makes of it.
    """

    photo: Photo
    small: Photo
    shape: tuple[int, int]
    kind: str
    frames: int
    suffix: str
    seen: Prediction

    @property
    def summary(self) -> str:
        """What the file is, in words.

        Spec: APP-021
        """
        h, w = self.shape
        size = f"{w} × {h}"
        if self.kind == "photo":
            return f"Photo, {size}"
        if self.kind == "pages":
            return f"{self.frames} pages, {size}"
        return f"{self.kind.capitalize()} of {self.frames} frames, {size}"


def look_at(path: pathlib.Path, weights: Weights, *, max_pixels: int = MAX_PIXELS) -> View:
    """Open a file for showing.

    Args:
        path: of a photo, of one with pages or frames, or of a film.
        weights: (params, config).
        max_pixels: most pixels of a photo.

    Raises:
        PhotoError: in one line, whatever is wrong with it.

    Spec: APP-003, APP-016, APP-021
    """
    if video.is_film(path):
        frames = len(video.frame_times(path))
        photo, kind, suffix = Photo(video.still(path)), "film", video.film_suffix(path)
    else:
        photo = first_photo(path, max_pixels=max_pixels)
        frames, suffix = count_frames(path), suffix_for(photo, path.suffix)
        kind = "photo" if frames == 1 else "pages" if photo.format == "TIFF" else "animation"
    return of_photo(photo, weights, kind=kind, frames=frames, suffix=suffix)


def of_photo(
    photo: Photo, weights: Weights, *, kind: str = "photo", frames: int = 1, suffix: str = ".png"
) -> View:
    """Let the network look at a photo that is read.

    Args:
        photo: at its size.
        weights: (params, config).
        kind: as in `View`.
        frames: likewise.
        suffix: likewise.

    Spec: APP-016
    """
    h, w = photo.pixels.shape[:2]
    shown = shrink_photo(photo, SHOWN)
    seen = pipeline.predict(shown.pixels, weights)
    return View(shown, shrink_photo(shown, SMALL), (h, w), kind, frames, suffix, seen)


def first_photo(path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read the photo of a file, or its first page or frame, or a film's still, at its size.

    Raises:
        PhotoError: in one line, whatever is wrong with it.

    Spec: APP-016
    """
    if video.is_film(path):
        return Photo(video.still(path))
    frames = read_frames(path, max_pixels=max_pixels)
    try:
        return next(frames)
    except StopIteration:
        raise PhotoError(f"{path}: no photo in it; expected one") from None
    finally:
        frames.close()  # pyright: ignore[reportAttributeAccessIssue]


def looks(config: Config) -> dict[str, Look]:
    """Return the looks that a network can give, by name, the usual one first.

    Spec: APP-018
    """
    return PLAIN_LOOKS if isinstance(config.network, DenseConfig) else LOOKS


def wishes(view: View, weights: Weights, setting: Setting) -> Wishes:
    """Return how a whole file is colored so that it looks as its view does.

    Spec: APP-002, APP-018
    """
    look = _look(setting, weights[1])
    return Wishes(
        vividness=look.vivid * setting.vividness,
        hints=hints(setting.marks, view.shape),
        tilt=_tilt(view.seen, look, weights[1]),
    )


def paint(
    view: View, weights: Weights, setting: Setting, photo: Photo | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Color what is shown of a file.

    Args:
        view: of the file.
        weights: (params, config).
        setting: how.
        photo: the same picture at the size that is wanted; None for the view's.

    Spec: APP-016, APP-018, APP-019
    """
    wished = wishes(view, weights, setting)
    seen = view.seen
    if wished.hints is not None:
        rows, columns = seen.gray.shape
        on_cells = wished.hints.on_grid(view.shape, (rows, columns))
        seen = dataclasses.replace(seen, hints=jnp.asarray(on_cells))
    lines = pipeline.choose(seen, weights[1], vividness=wished.vividness, tilt=wished.tilt)
    return pipeline.draw((photo or view.photo).to_8bit().pixels, lines)


def palette(view: View, weights: Weights, row: int, column: int, count: int = 8) -> list[Color]:
    """Return likely colors of a place at middling light, the likeliest first.

    Args:
        view: of the file.
        weights: (params, config).
        row: in the file's own pixels; outside, the nearest counts.
        column: likewise.
        count: at most so many.

    Spec: APP-019
    """
    if isinstance(weights[1].network, DenseConfig):
        return list(EVERYDAY[:count])
    pixels = view.small.pixels
    gray = np.rint(pixels @ LUMA if pixels.ndim == 3 else pixels).astype(np.uint8)
    (h, w), (high, wide) = gray.shape, view.shape
    place = int(np.clip(row * h // high, 0, h - 1)), int(np.clip(column * w // wide, 0, w - 1))
    gray[place] = MIDDLE  # one pixel: the network sees as good as the same
    found = likely_colors(Photo(gray), weights, place, count)
    return [(int(r), int(g), int(b)) for r, g, b in found]


def color_name(color: Color) -> str:
    """Return what a color is called, for those who do not see it.

    Spec: APP-006, APP-008
    """
    red, green, blue = (each / 255 for each in color)
    high, low = max(red, green, blue), min(red, green, blue)
    light, strength = (high + low) / 2, high - low
    if strength < 0.06:
        tone = "black" if light < 0.12 else "white" if light > 0.92 else "gray"
        return tone if tone != "gray" else f"{_shade(light)}gray"
    hue = 60 * (
        (green - blue) / strength % 6
        if high == red
        else (blue - red) / strength + 2
        if high == green
        else (red - green) / strength + 4
    )
    name = next(name for least, name in reversed(_HUES) if hue >= least)
    if name in ("orange", "yellow") and (light < 0.45 or strength < 0.45):
        name = "brown" if light < 0.5 else "beige"
    pale = "grayish " if strength < 0.18 and name not in ("brown", "beige") else ""
    return f"{_shade(light)}{pale}{name}"


_HUES = (
    (0, "red"),
    (15, "orange"),
    (45, "yellow"),
    (70, "green"),
    (165, "teal"),
    (195, "blue"),
    (255, "violet"),
    (290, "purple"),
    (320, "pink"),
    (345, "red"),
)


def _shade(light: float) -> str:
    return "dark " if light < 0.3 else "light " if light > 0.7 else ""


def _look(setting: Setting, config: Config) -> Look:
    """Return the look of a setting, or the usual one where a network has no such."""
    offered = looks(config)
    return offered.get(setting.look) or next(iter(offered.values()))


def _tilt(seen: Prediction, look: Look, config: Config) -> float | np.ndarray:
    """Return the preference for some of the network's colors that makes a look."""
    if look.other:
        return variants.distinct_tilts(seen, config, 3)[look.other]
    return 0.0 if look.hue is None else _leaning(config, look.hue)


@functools.cache
def _leaning(config: Config, hue: float) -> np.ndarray:
    assert not isinstance(config.network, DenseConfig)
    red, blue = bin_centers(config.network).T
    return np.float32(LEAN) * np.where(
        np.hypot(red, blue) > 0, np.cos(np.arctan2(blue, red) - hue), 0
    ).astype(np.float32)
