"""What a person may wish for a photo, and a photo or a video's frames colored that way."""

import dataclasses
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import PyTree, UInt8

from colorjax.config import Config
from colorjax.inference import blending, colorizing, pipeline, variants
from colorjax.inference.hints import Hints
from colorjax.photos import Photo
from colorjax.photos.tints import is_tinted, tint_of

Weights = tuple[PyTree, Config]
AHEAD = 64_000_000  # pixels of frames in work at once, but for two, which always may be


@dataclasses.dataclass(frozen=True)
class ColorOptions:
    """How photos are to be colored.

    Attributes:
        vividness: strength of the color, at least 0: 0 is gray, 1 natural.
        variants: how many plausible colorings.
        keep_color: blend with what color there is, instead of coloring a photo's gray anew.
        hints: colors that are known at places of the photo.
        tilt: a preference for some of the network's colors, as `variant_options` finds it.
    """

    vividness: float = 1.0
    variants: int = 1
    keep_color: bool = False
    hints: Hints | None = None
    tilt: float | np.ndarray = 0.0


def color_file(
    read: Callable[[], Iterator[Photo]],
    weights: Weights,
    options_for: Callable[[Photo], ColorOptions],
) -> tuple[Photo, list[Iterator[Photo]]]:
    """Color what a file holds, in as many variants as are wished: pages and frames a few at a time.

    Args:
        read: begins to read the file's photo, or its pages or frames; called again for each variant of several frames.
        weights: (params, config).
        options_for: called with the first photo: how. A variant leans to one hue in all frames.

    Returns:
        The first photo as it was read, and the variants, each with all frames as they are asked for.

    Raises:
        ConfigError: variants of a network that knows one coloring only.
    """
    frames = read()
    first, second = next(frames), next(frames, None)
    options = options_for(first)
    if second is not None:
        del frames, second
        apart = (
            [options] if options.variants == 1 else variant_options(_middle(read), weights, options)
        )
        return first, [color_frames(read(), weights, each) for each in apart]
    if options.variants == 1:
        return first, [iter([color_photo(first, weights, options)])]
    pictures = variants.colorize_variants(
        first.pixels, weights, options.variants, vividness=options.vividness, hints=options.hints
    )
    return first, [iter([_finish(first, rgb, options)]) for rgb in pictures]


def _middle(read: Callable[[], Iterator[Photo]]) -> Photo:
    """Return the middle one of several frames."""
    count = sum(1 for _ in read())
    return next(itertools.islice(read(), count // 2, None))


def variant_options(photo: Photo, weights: Weights, options: ColorOptions) -> list[ColorOptions]:
    """Return what is wished of each variant alone, so that all frames of one lean to the same hue.

    Args:
        photo: on which the variants are told apart: the still of a video.
        weights: (params, config).
        options: of several variants.

    Raises:
        ConfigError: as for `color_file`.
    """
    if options.variants == 1:
        return [options]
    prediction = pipeline.predict(photo.pixels, weights, hints=options.hints)
    tilts = variants.distinct_tilts(
        prediction, weights[1], options.variants, vividness=options.vividness
    )
    return [dataclasses.replace(options, variants=1, tilt=tilt) for tilt in tilts]


def color_photo(photo: Photo, weights: Weights, options: ColorOptions = ColorOptions()) -> Photo:
    """Color a photo at its depth; alpha and what it carries stay.

    Args:
        photo: gray, tinted or in color; without `keep_color` its gray is what counts.
        weights: (params, config).
        options: how.
    """
    rgb = colorizing.colorize_array(
        photo.pixels, weights, vividness=options.vividness, tilt=options.tilt, hints=options.hints
    )
    return _finish(photo, rgb, options)


def color_frames(
    frames: Iterable[Photo],
    weights: Weights,
    options: ColorOptions = ColorOptions(),
    *,
    memory: blending.BlendState | None = None,
    remember: Callable[[blending.BlendState], object] = lambda memory: None,
) -> Iterator[Photo]:
    """Color pages or frames one by one, their chroma steadied over time but for cuts.

    Args:
        frames: in order; as many as there are cores are taken ahead and colored at once, fewer of large ones.
        weights: (params, config).
        options: how.
        memory: what is remembered of frames before the first.
        remember: called after each frame with what is to be remembered.
    """
    for frame, colored in _ahead(
        lambda frame: (frame, color_photo(frame, weights, options)), frames
    ):
        memory, rgb = blending.blend_over_time(memory, frame.pixels, colored.pixels)
        remember(memory)
        yield dataclasses.replace(colored, pixels=rgb)


def likely_colors(
    photo: Photo, weights: Weights, place: tuple[int, int], count: int
) -> UInt8[np.ndarray, "count 3"]:
    """Return the colors that a place of a photo is likely to have, the likeliest first.

    Args:
        photo: as for `color_photo`.
        weights: (params, config).
        place: row and column in the photo.
        count: how many.
    """
    return variants.palette(photo.pixels, weights, place, count)


def _ahead(function: Callable[[Photo], Any], frames: Iterable[Photo]) -> Iterator[Any]:
    """Yield what a function makes of each frame, in order, in threads that are a few frames ahead."""
    frames, cores = iter(frames), os.cpu_count() or 1
    # the first alone: threads that need the same program at once each make it
    yield from map(function, itertools.islice(frames, 1))
    waiting: deque[tuple[int, Future]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for frame in frames:
            waiting.append((frame.pixels[..., 0].size, pool.submit(function, frame)))
            del frame
            while len(waiting) > cores or (
                len(waiting) > 1 and sum(size for size, _ in waiting) > AHEAD
            ):
                yield waiting.popleft()[1].result()
        while waiting:
            yield waiting.popleft()[1].result()


def _finish(photo: Photo, rgb: np.ndarray, options: ColorOptions) -> Photo:
    if options.keep_color and photo.pixels.ndim == 3:
        tint = tint_of(photo.pixels) if is_tinted(photo.pixels) else blending.NO_TINT
        rgb = blending.blend_own_color(photo.pixels, rgb, tint)
    return dataclasses.replace(photo, pixels=rgb)
