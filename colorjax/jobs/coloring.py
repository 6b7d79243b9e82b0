"""Options for coloring, and coloring of one photo or of the frames of a video."""

import dataclasses
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import PyTree

from colorjax.config import Config
from colorjax.inference import blending, colorizing, pipeline, variants
from colorjax.inference.following import Followed, follow, start_following
from colorjax.inference.hints import Hints
from colorjax.inference.looks import NATURAL, find_look, look_tilt
from colorjax.inference.pipeline import Prediction, Tilt
from colorjax.photos import Photo
from colorjax.photos.tints import is_tinted, tint_of

Weights = tuple[PyTree, Config]
Result = TypeVar("Result")
AHEAD = 64_000_000  # pixels of frames in progress at once; two frames are always allowed


@dataclasses.dataclass(frozen=True)
class ColorOptions:
    """How photos are colored.

    Attributes:
        vividness: The strength of the color, at least 0: 0 is gray, 1 is natural.
        variants: The number of plausible colorings.
        look: The name of one of the network's looks, with one variant.
        keep_color: Whether to blend with the color that a photo has, instead of replacing it.
        hints: Known colors at places of the photo.
        tilt: A preference for some of the network's colors, from `variant_options`.
        followed: The hints and the things on which they lie, from `variant_options`. None means that the hints were
            placed on the first frame.
    """

    vividness: float = 1.0
    variants: int = 1
    look: str = NATURAL
    keep_color: bool = False
    hints: Hints | None = None
    tilt: float | np.ndarray | Tilt = 0.0
    followed: Followed | None = None

    @property
    def is_settled(self) -> bool:
        """Whether no variants or look have to be chosen on a photo first."""
        return self.variants == 1 and self.look == NATURAL


class FrameMemory(NamedTuple):
    """The state after a frame of a video.

    Attributes:
        blended: The state for stable chroma.
        followed: The places of the hints, or None without hints.
    """

    blended: blending.BlendState
    followed: Followed | None = None


def color_file(
    read: Callable[[], Iterator[Photo]],
    weights: Weights,
    options_for: Callable[[Photo], ColorOptions],
) -> tuple[Photo, list[Iterator[Photo]]]:
    """Color everything that a file holds. Pages and frames are in memory a few at a time.

    Args:
        read: Starts reading the photo, pages or frames of the file. It is called again for each variant of several
            frames.
        weights: (params, config).
        options_for: Called with the first photo; returns the options. A variant prefers the same hue in all frames.

    Returns:
        The first photo as it was read, and for each variant an iterator over its colored frames.

    Raises:
        ConfigError: several variants are requested from a network that predicts only one coloring.
    """
    frames = read()
    first, second = next(frames), next(frames, None)
    options = options_for(first)
    if second is not None:
        del frames, second
        if options.is_settled:
            return first, [color_frames(read(), weights, options)]
        # hints are placed on the first frame; the middle one may be smaller
        apart = variant_options(_middle(read), weights, dataclasses.replace(options, hints=None))
        apart = [dataclasses.replace(each, hints=options.hints) for each in apart]
        return first, [color_frames(read(), weights, each) for each in apart]
    if options.variants == 1:
        (settled,) = variant_options(first, weights, options)
        return first, [iter([color_photo(first, weights, settled)])]
    pictures = variants.colorize_variants(
        first.pixels, weights, options.variants, vividness=options.vividness, hints=options.hints
    )
    return first, [iter([finish(first, rgb, options)]) for rgb in pictures]


def _middle(read: Callable[[], Iterator[Photo]]) -> Photo:
    """Return the middle one of several frames."""
    count = sum(1 for _ in read())
    return next(itertools.islice(read(), count // 2, None))


def variant_options(photo: Photo, weights: Weights, options: ColorOptions) -> list[ColorOptions]:
    """Return the options for each variant alone, so that all frames of a variant or a look prefer the same colors.

    Args:
        photo: The photo on which the variants must differ and the hints are placed, such as the still of a video.
        weights: (params, config).
        options: Options that ask for several variants or for a look.

    Raises:
        ConfigError: as for `color_file`.
    """
    if options.is_settled and options.hints is None:
        return [options]
    prediction = pipeline.predict(photo.pixels, weights, hints=options.hints)
    if prediction.hints is not None:
        followed = start_following(prediction, prediction.hints)
        options = dataclasses.replace(options, followed=followed)
    if options.is_settled:
        return [options]
    if options.look != NATURAL:
        look = find_look(options.look, weights[1])
        vividness, tilt = options.vividness * look.vivid, look_tilt(prediction, look, weights[1])
        return [dataclasses.replace(options, look=NATURAL, vividness=vividness, tilt=tilt)]
    tilts = variants.distinct_tilts(
        prediction, weights[1], options.variants, vividness=options.vividness
    )
    return [dataclasses.replace(options, variants=1, tilt=tilt) for tilt in tilts]


def color_photo(photo: Photo, weights: Weights, options: ColorOptions = ColorOptions()) -> Photo:
    """Color a photo at its own depth. Alpha and metadata stay.

    Args:
        photo: A gray, tinted or color photo. Without `keep_color`, only its gray counts.
        weights: (params, config).
        options: How the photo is colored.
    """
    rgb = colorizing.colorize_array(
        photo.pixels, weights, vividness=options.vividness, tilt=options.tilt, hints=options.hints
    )
    return finish(photo, rgb, options)


def color_frames(
    frames: Iterable[Photo],
    weights: Weights,
    options: ColorOptions = ColorOptions(),
    *,
    memory: FrameMemory | None = None,
    remember: Callable[[FrameMemory], object] = lambda memory: None,
) -> Iterator[Photo]:
    """Color pages or frames one by one, with chroma that is stable over time except at cuts.

    Args:
        frames: The frames in order. As many as there are cores are read ahead and colored in parallel, or fewer if they
            are large.
        weights: (params, config).
        options: How the frames are colored.
        memory: The state after the frames before these. None starts anew.
        remember: Called after each frame with the new state.
    """
    blended, followed = memory or (None, options.followed)
    hints = options.hints

    def hinted(frame: Photo, prediction: Prediction) -> Photo:
        """Color a frame with the hints where their things are."""
        nonlocal followed
        if followed is None and hints is not None:
            hints.check_inside(frame.pixels.shape)
            cells = hints.on_cells(frame.pixels.shape, prediction.gray.shape)
            followed = start_following(prediction, cells)
        followed, prediction = follow(followed, prediction)
        coefficients = pipeline.choose_colors(
            prediction, weights[1], vividness=options.vividness, tilt=options.tilt
        )
        return finish(frame, pipeline.render(frame.pixels, coefficients), options)

    if hints is None:
        colored = _map_ahead(lambda frame: color_photo(frame, weights, options), frames)
    else:
        predicted = _map_ahead(lambda frame: pipeline.predict(frame.pixels, weights), frames)
        colored = ((frame, hinted(frame, prediction)) for frame, prediction in predicted)
    for frame, photo in colored:
        blended, rgb = blending.blend_over_time(blended, frame.pixels, photo.pixels)
        remember(FrameMemory(blended, followed))
        yield dataclasses.replace(photo, pixels=rgb)


def counted(photos: Iterable[Photo], show: Callable[[int], object]) -> Iterator[Photo]:
    """Yield photos, and after each call `show` with how many are finished."""
    for number, photo in enumerate(photos, 1):
        yield photo
        del photo
        show(number)


def _map_ahead(
    function: Callable[[Photo], Result], frames: Iterable[Photo]
) -> Iterator[tuple[Photo, Result]]:
    """Apply a function to frames in threads that work a few frames ahead, and yield frames and results in order."""

    def both(frame: Photo) -> tuple[Photo, Result]:
        return frame, function(frame)

    frames, cores = iter(frames), os.cpu_count() or 1
    # the first one alone: otherwise several threads would compile the same program
    yield from map(both, itertools.islice(frames, 1))
    waiting: deque[tuple[int, Future[tuple[Photo, Result]]]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for frame in frames:
            waiting.append((frame.pixels[..., 0].size, pool.submit(both, frame)))
            del frame
            while len(waiting) > cores or (
                len(waiting) > 1 and sum(size for size, _ in waiting) > AHEAD
            ):
                yield waiting.popleft()[1].result()
        while waiting:
            yield waiting.popleft()[1].result()


def is_in_color(photo: Photo) -> bool:
    """Return whether a photo has color of its own, beyond a single tone."""
    return photo.pixels.ndim == 3 and not is_tinted(photo.pixels)


def finish(photo: Photo, rgb: np.ndarray, options: ColorOptions) -> Photo:
    """Return a photo with new pixels, blended with its own color if the options ask for that.

    Args:
        photo: The photo.
        rgb: The same photo in color.
        options: How it was colored.
    """
    if options.keep_color and photo.pixels.ndim == 3:
        tint = tint_of(photo.pixels) if is_tinted(photo.pixels) else blending.NO_TINT
        rgb = blending.blend_own_color(photo.pixels, rgb, tint)
    return dataclasses.replace(photo, pixels=rgb)
