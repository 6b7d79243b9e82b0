"""What a person may wish for a photo, and a photo or a film's frames coloured that way."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import PyTree

from colorjax import blending
from colorjax.config import Config
from colorjax.inference import colorize
from colorjax.photos import Photo
from colorjax.photos.tints import is_tinted, remove_tint

Weights = tuple[PyTree, Config]


@dataclasses.dataclass(frozen=True)
class Wishes:
    """How photos are to be coloured.

    Attributes:
        vividness: strength of the colour, at least 0: 0 is gray, 1 natural.
        variants: how many plausible colourings.
        keep_colour: blend with what colour there is, instead of colouring a photo's gray anew.
    """

    vividness: float = 1.0
    variants: int = 1
    keep_colour: bool = False


def colour_all(frames: Sequence[Photo], weights: Weights, wishes: Wishes) -> list[Sequence[Photo]]:
    """Colour what a file holds, in as many variants as are wished.

    Args:
        frames: its photo, pages or frames.
        weights: (params, config).
        wishes: how.

    Returns:
        The variants, each with all frames.

    Raises:
        PhotoError: variants of several frames are asked for.

    Spec: CMD-030, CMD-031
    """
    return [list(colour_frames(frames, weights, wishes))]


def colour(photo: Photo, weights: Weights, wishes: Wishes = Wishes()) -> Photo:
    """Colour a photo at its depth; alpha and what it carries stay.

    Args:
        photo: gray, tinted or in colour; without `keep_colour` its gray is what counts.
        weights: (params, config).
        wishes: how.

    Spec: CMD-028
    """
    photo = photo.to_8bit()
    gray = _gray(photo)
    rgb = colorize(gray, weights, vividness=wishes.vividness)
    if wishes.keep_colour and photo.pixels.ndim == 3:
        rgb = blending.keep_own(photo.pixels, rgb)
    return dataclasses.replace(photo, pixels=rgb)


def colour_frames(
    frames: Iterable[Photo],
    weights: Weights,
    wishes: Wishes = Wishes(),
) -> Iterator[Photo]:
    """Colour pages or frames one by one, their chroma steadied over time but for cuts.

    Args:
        frames: in order.
        weights: (params, config).
        wishes: how.

    Spec: CMD-030
    """
    memory = None
    for frame in frames:
        coloured = colour(frame, weights, wishes)
        memory, rgb = blending.steady(memory, frame.to_8bit().pixels, coloured.pixels)
        yield dataclasses.replace(coloured, pixels=rgb)


def _gray(photo: Photo) -> np.ndarray:
    """Return a photo's pixels, without the tint that it may have."""
    if photo.pixels.ndim == 3 and is_tinted(photo.pixels):
        return remove_tint(photo.pixels)
    return photo.pixels
