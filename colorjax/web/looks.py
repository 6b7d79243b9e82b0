"""Colorings side by side: what a file looks like, the looks that it can be given, likely colors of a place.

The network looks once at a file; each look, each change and each preview is then chosen and drawn anew.
"""

import dataclasses
import pathlib

import numpy as np
from jaxtyping import UInt8

from colorjax.config import Config, DenseConfig
from colorjax.errors import PhotoError
from colorjax.inference import pipeline
from colorjax.inference.following import start_following
from colorjax.inference.looks import Look, look_tilt, looks
from colorjax.inference.pipeline import Prediction
from colorjax.inference.variants import likely_colors
from colorjax.jobs import ffmpeg
from colorjax.jobs.coloring import ColorOptions, Weights
from colorjax.photos import MAX_PIXELS, Photo, count_frames, read_frames, shrink_photo, suffix_for
from colorjax.web.session import Color, Setting, hints

SHOWN = 2048  # pixels of the longest side of what the page shows; at 100 % it asks for the whole
SMALL = 512  # likewise, of what thumbnails and likely colors are made from
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


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """What is held of a file to show it.

    Attributes:
        photo: its first photo or its still, 8-bit, at most `SHOWN` pixels long.
        small: the same, at most `SMALL` pixels long.
        shape: (h, w) of the file's own.
        kind: "photo", "pages", "animation" or "video".
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
        """What the file is, in words."""
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
        path: of a photo, of one with pages or frames, or of a video.
        weights: (params, config).
        max_pixels: most pixels of a photo.

    Raises:
        PhotoError: in one line, whatever is wrong with it.
    """
    if ffmpeg.is_video(path):
        frames = len(ffmpeg.frame_times(path))
        photo, kind, suffix = Photo(ffmpeg.still(path)), "video", ffmpeg.video_suffix(path)
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
    """
    h, w = photo.pixels.shape[:2]
    shown = shrink_photo(photo, SHOWN)
    seen = pipeline.predict(shown.pixels, weights)
    return View(shown, shrink_photo(shown, SMALL), (h, w), kind, frames, suffix, seen)


def first_photo(path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read the photo of a file, or its first page or frame, or a video's still, at its size.

    Raises:
        PhotoError: in one line, whatever is wrong with it.
    """
    if ffmpeg.is_video(path):
        return Photo(ffmpeg.still(path))
    frames = read_frames(path, max_pixels=max_pixels)
    try:
        return next(frames)
    except StopIteration:
        raise PhotoError(f"{path}: no photo in it; expected one") from None
    finally:
        frames.close()  # pyright: ignore[reportAttributeAccessIssue]


def color_options(view: View, weights: Weights, setting: Setting) -> ColorOptions:
    """Return how a whole file is colored so that it looks as its view does."""
    look, given = _look(setting, weights[1]), hints(setting.marks, view.shape)
    followed = None
    if given is not None and view.frames > 1:
        cells = given.on_cells(view.shape, view.seen.gray.shape)
        followed = start_following(view.seen, cells)
    return ColorOptions(
        vividness=look.vivid * setting.vividness,
        hints=given,
        tilt=look_tilt(view.seen, look, weights[1]),
        followed=followed,
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
    """
    options = color_options(view, weights, setting)
    seen = view.seen
    if options.hints is not None:
        seen = dataclasses.replace(seen, hints=options.hints.on_cells(view.shape, seen.gray.shape))
    coefficients = pipeline.choose_colors(
        seen, weights[1], vividness=options.vividness, tilt=options.tilt
    )
    return pipeline.render((photo or view.photo).to_8bit().pixels, coefficients)


def palette(view: View, weights: Weights, row: int, column: int, count: int = 8) -> list[Color]:
    """Return likely colors of a place at middling light, the likeliest first.

    Args:
        view: of the file.
        weights: (params, config).
        row: in the file's own pixels; outside, the nearest counts.
        column: likewise.
        count: at most so many.
    """
    if isinstance(weights[1].network, DenseConfig):
        return list(EVERYDAY[:count])
    place = (row / view.shape[0], column / view.shape[1])
    found, _ = likely_colors(view.seen, weights[1], place, count)
    return [(int(r), int(g), int(b)) for r, g, b in found]


def color_name(color: Color) -> str:
    """Return what a color is called, for those who do not see it."""
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
