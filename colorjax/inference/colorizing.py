"""Color for one photo: the pipeline with the weights that it is told, or the packaged ones."""

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
    """Give a photo its color, at its own size and on its own light.

    Args:
        photo: uint8 or uint16, gray (h, w) or RGB (h, w, 3), whose gray is taken; of any size; not written to.
        weights: the path of a weights file, (params, config), or None for the packaged weights.
        vividness: 0 is gray, 1 is natural (the config says how much that is), above 1 more vivid.
        temperature: below 1, undecided places take their likeliest color; above 1, they turn gray; nothing to a dense
            network.
        tilt: a preference for some colors, from `variants.distinct_tilts`.
        hints: colors that are known: kept where they are, and spread to what is of like gray around.
        tile: side in pixels of the squares in which the photo is painted; the result does not depend on it.

    Returns:
        RGB of the photo's type with |21 R + 72 G + 7 B − 100 g| ≤ 50 at every pixel of gray g, for RGB input
        21 r + 72 g + 7 b in place of 100 g.

    Raises:
        PhotoError: the array is empty, neither uint8 nor uint16, or not (h, w) or (h, w, 3).
        HintError: a hint is outside the photo.
        WeightsError: the weights cannot be read.
    """
    weights = resolve_weights(weights)
    prediction = predict(photo, weights, hints=hints)
    coefficients = choose_colors(
        prediction, weights[1], vividness=vividness, temperature=temperature, tilt=tilt
    )
    return render(photo, coefficients, hints=hints, tile=tile)


def resolve_weights(weights: Weights) -> tuple[PyTree, Config]:
    """Return (params, config) of weights that may be those, the path of a file, or None for the packaged ones."""
    return weights if isinstance(weights, tuple) else load_weights(weights)
