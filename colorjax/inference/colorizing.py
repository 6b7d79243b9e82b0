"""Coloring of one photo with given or packaged weights."""

import os

import numpy as np
from jaxtyping import PyTree, UInt

from colorjax.config import Config
from colorjax.inference.hints import Hints
from colorjax.inference.pipeline import choose_colors, predict, render
from colorjax.inference.tiles import TILE
from colorjax.weights import load_weights

Weights = str | os.PathLike | tuple[PyTree, Config] | None


def colorize(
    photo: np.ndarray,
    weights: Weights = None,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    tilt: float | np.ndarray = 0.0,
    hints: Hints | None = None,
    tile: int = TILE,
) -> UInt[np.ndarray, "h w 3"]:
    """Color a photo at its own size. The luma of every pixel stays.

    Args:
        photo: Gray (h, w) or RGB (h, w, 3) of any size, uint8 or uint16. Of RGB, the gray counts. It is not modified.
        weights: The path of a weights file, (params, config), or None for the packaged weights.
        vividness: The strength of the color: 0 is gray, 1 is natural, above 1 is more vivid.
        temperature: Below 1, uncertain places take their likeliest color. Above 1, they turn gray. Dense networks
            ignore it.
        tilt: A preference for some colors, from `variants.distinct_tilts`.
        hints: Known colors. They are exact at their places, and spread to surroundings of similar gray.
        tile: The side in pixels of the squares in which the photo is processed. The result does not depend on it.

    Returns:
        RGB of the photo's dtype with |21 R + 72 G + 7 B − 100 g| ≤ 50 at every pixel of gray g. For RGB input, 100 g is
        21 r + 72 g + 7 b of the input.

    Raises:
        PhotoError: the array is empty, is neither uint8 nor uint16, or is neither (h, w) nor (h, w, 3).
        HintError: a hint lies outside the photo.
        WeightsError: the weights cannot be read.

    Example:
        >>> gray = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        >>> rgb = colorjax.colorize(gray, "photo-small")
        >>> rgb.shape, rgb.dtype
        ((48, 64, 3), dtype('uint8'))
        >>> int(np.abs(rgb @ np.array([21, 72, 7]) - 100 * gray.astype(int)).max()) <= 50
        True
    """
    weights = resolve_weights(weights)
    prediction = predict(photo, weights, hints=hints)
    coefficients = choose_colors(
        prediction, weights[1], vividness=vividness, temperature=temperature, tilt=tilt
    )
    return render(photo, coefficients, hints=hints, tile=tile)


def resolve_weights(weights: Weights) -> tuple[PyTree, Config]:
    """Return (params, config), given either these, the path of a weights file, or None for the packaged weights."""
    return weights if isinstance(weights, tuple) else load_weights(weights)
