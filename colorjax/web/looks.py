"""Previews of a file: its coloring, the same in other looks, and the likely colors of a place.

The network runs once for each file. Each look, change and preview chooses colors from its prediction and renders them.
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
from colorjax.jobs.coloring import ColorOptions, Weights, finish, is_in_color
from colorjax.photos import MAX_PIXELS, Photo, count_frames, read_frames, shrink_photo, suffix_for
from colorjax.web.session import Color, Setting, hints

SHOWN = 2048  # longest side in pixels of the photo in the browser; at 100 % it loads the full size
SMALL = 512  # longest side in pixels of the photo from which thumbnails are made
EVERYDAY = (  # offered at every place: red, orange, yellow, green, teal, blue, purple and pink
    (205, 60, 50),
    (225, 130, 40),
    (225, 200, 60),
    (70, 150, 70),
    (40, 150, 150),
    (60, 110, 200),
    (150, 75, 180),
    (225, 120, 165),
)


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """What is kept in memory to show a file.

    Attributes:
        photo: The photo, the first page or frame, or a still of a video; 8-bit, at most `SHOWN` pixels long.
        small: The same, at most `SMALL` pixels long.
        shape: (h, w) of the file at full size.
        kind: "photo", "pages", "animation" or "video".
        frames: The number of pages or frames.
        suffix: The suffix of the colored file.
        in_color: Whether the file has color of its own, beyond a single tone.
        seen: The prediction of the network.
    """

    photo: Photo
    small: Photo
    shape: tuple[int, int]
    kind: str
    frames: int
    suffix: str
    in_color: bool
    seen: Prediction

    @property
    def size(self) -> int:
        """The memory of the arrays in bytes."""
        seen = self.seen
        arrays = (self.photo.pixels, self.small.pixels, seen.cells, seen.gray, seen.features)
        return sum(each.nbytes for each in arrays)

    @property
    def summary(self) -> str:
        """A description of the file, such as "Photo, 640 × 480"."""
        h, w = self.shape
        size = f"{w} × {h}"
        if self.kind == "photo":
            return f"Photo, {size}"
        if self.kind == "pages":
            return f"{self.frames} pages, {size}"
        return f"{self.kind.capitalize()} of {self.frames} frames, {size}"


def look_at(path: pathlib.Path, weights: Weights, *, max_pixels: int = MAX_PIXELS) -> View:
    """Read a file and run the network on it.

    Args:
        path: A photo, a file with pages or frames, or a video.
        weights: (params, config).
        max_pixels: The most pixels of a photo.

    Raises:
        PhotoError: the file cannot be read. The error is one line.
    """
    if ffmpeg.is_video(path):
        frames = ffmpeg.count_packets(path, max_pixels=max_pixels)
        photo, kind, suffix = (
            Photo(ffmpeg.still(path, max_pixels=max_pixels)),
            "video",
            ffmpeg.video_suffix(path),
        )
    else:
        photo = first_photo(path, max_pixels=max_pixels)
        frames, suffix = count_frames(path), suffix_for(photo, path.suffix)
        kind = "photo" if frames == 1 else "pages" if photo.format == "TIFF" else "animation"
    return of_photo(photo, weights, kind=kind, frames=frames, suffix=suffix)


def of_photo(
    photo: Photo, weights: Weights, *, kind: str = "photo", frames: int = 1, suffix: str = ".png"
) -> View:
    """Run the network on a photo.

    Args:
        photo: The photo at full size.
        weights: (params, config).
        kind: As in `View`.
        frames: As in `View`.
        suffix: As in `View`.
    """
    h, w = photo.pixels.shape[:2]
    shown = shrink_photo(photo, SHOWN)
    seen = pipeline.predict(shown.pixels, weights)
    small = shrink_photo(shown, SMALL)
    return View(shown, small, (h, w), kind, frames, suffix, is_in_color(small), seen)


def first_photo(path: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo, the first page or frame of a file, or a still of a video, at full size.

    Raises:
        PhotoError: the file cannot be read. The error is one line.
    """
    if ffmpeg.is_video(path):
        return Photo(ffmpeg.still(path, max_pixels=max_pixels))
    frames = read_frames(path, max_pixels=max_pixels)
    try:
        return next(frames)
    except StopIteration:
        raise PhotoError(f"{path}: no photo in it; expected one") from None
    finally:
        frames.close()  # pyright: ignore[reportAttributeAccessIssue]


def color_options(view: View, weights: Weights, setting: Setting) -> ColorOptions:
    """Return the options with which a view is colored."""
    look = _look(setting, weights[1])
    return ColorOptions(
        vividness=look.vivid * setting.vividness,
        hints=hints(setting.marks, view.shape, view.seen.gray.shape),
        tilt=look_tilt(view.seen, look, weights[1]),
        keep_color=setting.keep_color,
    )


def file_options(view: View, weights: Weights, setting: Setting) -> ColorOptions:
    """Return the options with which the whole file is colored as in its view."""
    options = color_options(view, weights, setting)
    if options.hints is None:
        return options
    cells = options.hints.on_cells(view.shape, view.seen.gray.shape)
    return dataclasses.replace(options, followed=start_following(view.seen, cells))


def paint(
    view: View, weights: Weights, setting: Setting, photo: Photo | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Color the photo of a view.

    Args:
        view: The view.
        weights: (params, config).
        setting: The settings.
        photo: The same photo at another size. None uses the photo of the view.
    """
    options = color_options(view, weights, setting)
    seen = view.seen
    if options.hints is not None:
        seen = dataclasses.replace(seen, hints=options.hints.on_cells(view.shape, seen.gray.shape))
    coefficients = pipeline.choose_colors(
        seen, weights[1], vividness=options.vividness, tilt=options.tilt
    )
    photo = (photo or view.photo).to_8bit()
    return finish(photo, pipeline.render(photo.pixels, coefficients), options).pixels


def palette(view: View, weights: Weights, row: int, column: int, count: int = 8) -> list[Color]:
    """Return likely colors of a place at medium lightness, the likeliest first.

    Args:
        view: The view of the file.
        weights: (params, config). A network that predicts only one color at each place has no likely colors.
        row: The row in pixels of the full size. A place outside stands for the nearest one inside.
        column: The column, likewise.
        count: The most colors.
    """
    if isinstance(weights[1].network, DenseConfig):
        return []
    place = (row / view.shape[0], column / view.shape[1])
    found, _ = likely_colors(view.seen, weights[1], place, count)
    return [(int(r), int(g), int(b)) for r, g, b in found]


def _look(setting: Setting, config: Config) -> Look:
    """Return the look of the settings, or the first look if the network does not have that one."""
    offered = looks(config)
    return offered.get(setting.look) or next(iter(offered.values()))
