"""Color for photos of any kind: the pipeline with given or packaged weights."""

import math
import os
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree, UInt

from colorjax import photos
from colorjax.config import MAX_VIVIDNESS, Config
from colorjax.errors import PhotoError, check, described
from colorjax.inference.hints import Hints
from colorjax.inference.pipeline import Tilt, choose_colors, predict, render
from colorjax.inference.tiles import TILE
from colorjax.weights import load_weights

Weights = str | os.PathLike | tuple[PyTree, Config] | None


def colorize(
    photo: Any,
    weights: Weights = None,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    tilt: float | np.ndarray | Tilt = 0.0,
    hints: Hints | None = None,
    value_range: tuple[int | float, int | float] | None = None,
    tile: int = TILE,
) -> Any:
    """Color a photo, or a batch of photos of one size. Size and light stay as they are.

    Args:
        photo: One of

            - the path of a photo file;
            - a PIL image;
            - a NumPy or JAX array of uint8, uint16 or floats: gray (h, w) or (h, w, 1), RGB (h, w, 3), or a batch of
              these with one more axis in front. With three axes, a last axis of 1 or 3 holds channels.

            Of RGB, only the gray counts. The photo is not modified.
        weights: The path of a weights file, (params, config), or None for the packaged weights.
        vividness: The strength of the color, from 0 to 1000: 0 is gray, 1 is natural, above 1 is more vivid.
        temperature: Above 0. Below 1, uncertain places take their likeliest color. Above 1, they turn gray. Dense
            networks ignore it.
        tilt: A preference for some colors, from `variants.distinct_tilts`.
        hints: Known colors. They are exact at their places, and spread over the things on which they lie.
        value_range: Black and white of a float array, (0, 1) by default. Values outside raise an error.
        tile: The side in pixels of the squares in which the photo is processed. The result does not depend on it.

    Returns:
        The same kind as the photo. A path gives an upright PIL image of 8 bits. A PIL image keeps its alpha and `info`.
        An array gives RGB ``(*batch, h, w, 3)`` of its dtype and range: with integer levels
        |21 R + 72 G + 7 B − 100 g| ≤ 50 at every pixel of gray g (for RGB input, 21 r + 72 g + 7 b in place of 100 g).

    Raises:
        PhotoError: a file cannot be read, or an array or image is of a kind that is not listed above.
        ArgumentError: another argument is of the wrong kind or out of range, or the photo is a tracer (use
            `colorize_gray`).
        HintError: a hint is outside the photo.
        WeightsError: the weights cannot be read.

    Example:
        >>> import numpy as np, colorjax
        >>> colorjax.colorize(np.full((48, 64), 128, np.uint8)).shape
        (48, 64, 3)
    """
    check(
        not isinstance(photo, Tracer),
        "photo",
        photo,
        "a concrete array; inside jit, grad or vmap use colorize_gray",
    )
    check_strength(vividness, temperature)
    check(hints is None or isinstance(hints, Hints), "hints", hints, "Hints(places, rgb)")
    weights = resolve_weights(weights)

    def color(pixels):
        return colorize_array(
            pixels,
            weights,
            vividness=vividness,
            temperature=temperature,
            tilt=tilt,
            hints=hints,
            tile=tile,
        )

    if isinstance(photo, str | os.PathLike):
        photo = photos.to_pil(photos.read_photo(photo).to_8bit())
    if photos.is_pil(photo):
        pixels, alpha = photos.from_pil(photo)
        return photos.to_pil(photos.Photo(color(pixels), alpha), info=photo.info)
    levels = _levels(photo, value_range)
    colored = np.stack([color(pixels) for pixels in levels]) if _is_batch(levels) else color(levels)
    return _as_kind_of(photo, colored, value_range)


def _levels(photo, value_range):
    """Return an array's photos as integer levels, without an axis of one channel."""
    array = np.asarray(photo) if hasattr(photo, "shape") else photo
    kind = getattr(getattr(array, "dtype", None), "kind", None)
    known = kind in ("u", "f", "V") and (kind != "u" or array.dtype.itemsize <= 2)
    axes = getattr(array, "ndim", 0)
    shaped = axes in (2, 3) or (axes == 4 and array.shape[3] in (1, 3))
    if not (known and shaped and array.size):
        raise PhotoError(
            f"the photo is {described(photo)}; expected a path, a PIL image, or an array of uint8, uint16 or floats: "
            "(h, w), (h, w, 1), (h, w, 3) or a batch of them"
        )
    if axes > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if kind == "u":
        check(value_range is None, "value_range", value_range, f"None for levels of {array.dtype}")
        return array
    low, high = _range(value_range)
    unit = (array.astype(np.float64) - low) / (high - low)
    if not (np.isfinite(unit).all() and unit.min() >= -1e-6 and unit.max() <= 1 + 1e-6):
        raise PhotoError(
            f"the photo's values lie in [{array.min():.6g}, {array.max():.6g}]; expected [{low:g}, {high:g}], "
            "or a value_range that holds them"
        )
    return np.rint(unit.clip(0, 1) * 65535).astype(np.uint16)


def _range(value_range):
    """Return black and white of a float array."""
    try:
        low, high = (0.0, 1.0) if value_range is None else map(float, value_range)
        fits = low < high and np.isfinite([low, high]).all()
    except (TypeError, ValueError):
        fits = False
    check(fits, "value_range", value_range, "(black, white) with black < white")
    return low, high


def _is_batch(levels):
    return levels.ndim == 4 or (levels.ndim == 3 and levels.shape[2] != 3)


def _as_kind_of(photo, colored, value_range):
    """Return colored levels as an array of the photo's kind and range."""
    dtype = photo.dtype
    if dtype.kind != "u":
        low, high = _range(value_range)
        colored = (low + colored * ((high - low) / 65535)).astype(dtype)
    return jax.numpy.asarray(colored) if isinstance(photo, jax.Array) else colored


def colorize_array(
    photo: np.ndarray,
    weights: Weights = None,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    tilt: float | np.ndarray | Tilt = 0.0,
    hints: Hints | None = None,
    tile: int = TILE,
) -> UInt[np.ndarray, "h w 3"]:
    """Color one photo of integer levels: the part of `colorize` that all kinds share.

    Args:
        photo: Gray (h, w) or RGB (h, w, 3) of any size, uint8 or uint16. Of RGB, the gray counts. It is not modified.
        weights: As for `colorize`.
        vividness: As for `colorize`.
        temperature: As for `colorize`.
        tilt: As for `colorize`.
        hints: As for `colorize`.
        tile: As for `colorize`.

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


def check_strength(vividness: Any, temperature: Any) -> None:
    """Check how vivid a coloring shall be.

    Raises:
        ArgumentError: the vividness is not in [0, 1000], or the temperature is not finite and above 0.
    """
    real = int | float | np.number
    check(
        isinstance(vividness, real) and 0 <= vividness <= MAX_VIVIDNESS,
        "vividness",
        vividness,
        f"a number from 0 to {MAX_VIVIDNESS}",
    )
    check(
        isinstance(temperature, real) and 0 < temperature < math.inf,
        "temperature",
        temperature,
        "a finite number above 0",
    )


def resolve_weights(weights: Weights) -> tuple[PyTree, Config]:
    """Return (params, config), given these, the path of a weights file, or None for the packaged weights.

    Raises:
        ArgumentError: `weights` is none of these.
    """
    if isinstance(weights, tuple):
        fits = len(weights) == 2 and isinstance(weights[0], dict) and isinstance(weights[1], Config)
    else:
        fits = weights is None or isinstance(weights, str | os.PathLike)
    check(fits, "weights", weights, "the path of a weights file, (params, config) or None")
    return weights if isinstance(weights, tuple) else load_weights(weights)
