"""Gray, luma and chroma, the gamut, and the light promise.

Luma is gray on gamma-coded levels, Y = 0.21 R + 0.72 G + 0.07 B. Chroma is the pair (R − Y, B − Y). Levels run from 0
to `peak`: 255 at 8 bits, 65535 at 16 bits. Where luma must be exact it is an integer, luma100 = 21 R + 72 G + 7 B.

Products with 3 × 3 matrices are written out element by element, so that matrix units of low precision cannot change
them.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int32, Integer, Real

from colorjax.color.planes import check_channels, check_fits, planes
from colorjax.errors import check

# The weights of gray in hundredths: integers, so that gray of integer levels is exact.
_RED, _GREEN, _BLUE = 21, 72, 7
LUMA_WEIGHTS = np.array([_RED, _GREEN, _BLUE]) / 100


def rgb_to_gray(
    rgb: Real[Array | np.ndarray, "*pixels 3"], *, truncate: bool = False
) -> Float[Array, "*pixels"]:
    """Convert RGB to gray: (21 R + 72 G + 7 B) / 100.

    Args:
        rgb: Levels on any scale, integer or float.
        truncate: Whether to drop the fraction. Floating-point noise never costs an integer input a level.

    Returns:
        Float32 gray on the scale of `rgb`. It is not rounded. Where the three channels are equal, gray equals them.

    Example:
        >>> print(colorjax.rgb_to_gray(np.array([[255, 0, 0], [90, 90, 90]])))
        [53.55 90.  ]
    """
    check_channels("rgb", rgb, 3)
    red, green, blue = planes(rgb)
    hundredths = _RED * red + _GREEN * green + _BLUE * blue
    return jnp.floor((hundredths + 0.5) / 100) if truncate else hundredths / 100


def rgb_to_luma_chroma(
    rgb: Real[Array | np.ndarray, "*pixels 3"],
) -> tuple[Float[Array, "*pixels"], Float[Array, "*pixels 2"]]:
    """Split RGB into luma and chroma.

    Args:
        rgb: Levels on any scale.

    Returns:
        Luma Y, as `rgb_to_gray` computes it, and chroma (R − Y, B − Y), both on the scale of `rgb`.

    Example:
        >>> luma, chroma = colorjax.rgb_to_luma_chroma(np.array([200, 100, 50]))
        >>> print(luma, chroma)
        117.5 [ 82.5 -67.5]
    """
    luma = rgb_to_gray(rgb)
    red, _, blue = planes(rgb)
    return luma, jnp.stack([red - luma, blue - luma], axis=-1)


def luma_chroma_to_rgb(
    luma: Real[Array | np.ndarray, "*pixels"], chroma: Float[Array | np.ndarray, "*pixels 2"]
) -> Float[Array, "*pixels 3"]:
    """Combine luma and chroma into RGB. This is the inverse of `rgb_to_luma_chroma`.

    Args:
        luma: Y, in levels on any scale.
        chroma: (R − Y, B − Y) on the same scale.

    Returns:
        Levels on that scale, neither clipped nor rounded. See `fit_gamut` for clipping and `apply_chroma` for rounding.

    Example:
        >>> rgb = colorjax.luma_chroma_to_rgb(np.array(117.5), np.array([82.5, -67.5]))
        >>> print(np.rint(rgb))
        [200. 100.  50.]
    """
    _check_pair("luma", luma, chroma)
    luma = jnp.asarray(luma, jnp.float32)
    red, blue = planes(chroma)
    return jnp.stack([luma + red, luma + _green(red, blue), luma + blue], axis=-1)


def fit_gamut(
    luma: Real[Array | np.ndarray, "*pixels"],
    chroma: Float[Array | np.ndarray, "*pixels 2"],
    *,
    peak: int = 255,
) -> Float[Array, "*pixels 2"]:
    """Scale chroma toward gray until RGB is in gamut. Luma does not change, and hue hardly does.

    Args:
        luma: Y, in levels. Outside [0, peak] there is no room for color, and the result is 0.
        chroma: (R − Y, B − Y), in levels. A pixel counts as colorless if either value is NaN, infinite, or beyond
            ±1e20.
        peak: The highest level, at most 65535.

    Returns:
        Chroma times a factor in [0, 1]. The factor is 1 where the color is already in gamut.

    Gradient:
        Finite for every input.

    Example:
        >>> print(np.round(colorjax.fit_gamut(np.array(200.0), np.array([100.0, -50.0])), 2))
        [ 55.  -27.5]
    """
    _check_pair("luma", luma, chroma)
    luma = jnp.clip(jnp.asarray(luma, jnp.float32), 0, peak)
    red, blue = planes(chroma)
    return jnp.stack(_fit(luma, red, blue, peak), axis=-1)


def compress_chroma(
    chroma: Float[Array | np.ndarray, "*pixels 2"], knee: float
) -> Float[Array, "*pixels 2"]:
    """Compress strong chroma smoothly: a length m becomes m / √(1 + (m / knee)²), and the hue stays.

    Args:
        chroma: (R − Y, B − Y), in levels, finite.
        knee: The length in levels that no result exceeds, above 0. Chroma far below the knee hardly changes.

    Returns:
        The compressed chroma, in levels.
    """
    chroma = jnp.asarray(chroma, jnp.float32)
    square = jnp.sum(chroma * chroma, -1, keepdims=True)
    return chroma / jnp.sqrt(1 + square / knee**2)


def strengthen_chroma(
    chroma: Float[Array | np.ndarray, "*pixels 2"],
    factor: float | Float[Array | np.ndarray, ""],
    muted: float,
) -> Float[Array, "*pixels 2"]:
    """Multiply chroma by a factor. A factor above 1 acts on weak chroma, and less the stronger the chroma is.

    Photographers call this vibrance: dull colors become lively, and vivid ones do not become garish.

    Args:
        chroma: (R − Y, B − Y), in levels, finite.
        factor: At least 0. Up to 1, it applies to all chroma alike.
        muted: The length in levels, above 0, at which a factor above 1 adds half of what it adds to weak chroma.

    Returns:
        Chroma of the same hue, in levels.

    Example:
        >>> chroma = np.array([[1.0, 0.0], [40.0, 0.0], [400.0, 0.0]])
        >>> print(np.round(colorjax.color.strengthen_chroma(chroma, 2.0, muted=40.0)[:, 0]))
        [  2.  60. 404.]
    """
    chroma = jnp.asarray(chroma, jnp.float32)
    square = jnp.sum(chroma * chroma, -1, keepdims=True)
    excess = jnp.maximum(factor - 1, 0) / (1 + square / muted**2)
    return (jnp.minimum(factor, 1) + excess) * chroma


def rgb_to_luma100(rgb: Integer[Array | np.ndarray, "*pixels 3"]) -> Int32[Array, "*pixels"]:
    """Compute luma in integers, 21 R + 72 G + 7 B: exactly 100 times gray.

    Args:
        rgb: Integer levels of 8 or 16 bits.

    Returns:
        luma100, in [0, 100 · peak].
    """
    rgb = jnp.asarray(rgb, jnp.int32)
    return _RED * rgb[..., 0] + _GREEN * rgb[..., 1] + _BLUE * rgb[..., 2]


def apply_chroma(
    luma100: Int32[Array | np.ndarray, "*pixels"],
    chroma: Float[Array | np.ndarray, "*pixels 2"],
    *,
    peak: int = 255,
) -> Int32[Array, "*pixels 3"]:
    """Color pixels so that their luma stays: |21 R + 72 G + 7 B − luma100| ≤ 50, whatever the chroma.

    The function first moves chroma into the gamut. Then it rounds red and blue, and solves for green in integers. What
    remains is at most half of green's weight, 36. The rounded gray of the result is therefore the gray that went in.

    Args:
        luma100: 100 · Y in integers, such as `100 * gray` or `rgb_to_luma100(rgb)`; clipped to [0, 100 · peak].
        chroma: (R − Y, B − Y), in levels. A pixel counts as colorless if either value is NaN, infinite, or beyond
            ±1e20.
        peak: The highest level, at most 65535.

    Returns:
        Integer levels in [0, peak]. Without chroma, luma100 = 100 · g gives (g, g, g).

    Gradient:
        None, because the result is an integer. Differentiate `fit_gamut` instead.

    Example:
        >>> rgb = colorjax.apply_chroma(np.array([12800], np.int32), np.array([[60.0, -40.0]]))
        >>> print(rgb, colorjax.color.rgb_to_luma100(rgb))
        [[188 114  88]] [12772]
    """
    _check_pair("luma100", luma100, chroma)
    integers = luma100.dtype.kind in "iu"
    check(integers, "luma100", luma100, "integers, such as rgb_to_luma100(rgb)")
    luma100 = jnp.asarray(luma100, jnp.int32)
    red, blue = fit_red_blue(luma100, *planes(chroma), peak=peak)
    return jnp.stack([red, solve_green(luma100, red, blue, peak=peak), blue], axis=-1)


def fit_red_blue(
    luma100: Int32[Array, "*pixels"],
    red: Float[Array, "*pixels"],
    blue: Float[Array, "*pixels"],
    *,
    peak: int = 255,
) -> tuple[Int32[Array, "*pixels"], Int32[Array, "*pixels"]]:
    """Compute red and blue of `apply_chroma` from planes of R − Y and B − Y. This is its first half."""
    luma = jnp.clip(luma100, 0, 100 * peak) * 0.01  # twice as fast as a division
    red, blue = _fit(luma, red, blue, peak)
    return jnp.round(luma + red).astype(jnp.int32), jnp.round(luma + blue).astype(jnp.int32)


def solve_green(
    luma100: Int32[Array, "*pixels"],
    red: Int32[Array, "*pixels"],
    blue: Int32[Array, "*pixels"],
    *,
    peak: int = 255,
) -> Int32[Array, "*pixels"]:
    """Compute the green that keeps luma, given red and blue. This is the second half of `apply_chroma`.

    Jit the two halves separately where exactness matters. Within one program XLA may compute red and blue twice and
    round a tie both ways, which can change luma100 by 21.
    """
    # Rounding red and blue moves green by at most 14/72, so green also rounds into [0, peak].
    luma100 = jnp.clip(luma100, 0, 100 * peak)
    return (luma100 - _RED * red - _BLUE * blue + _GREEN // 2) // _GREEN


def _check_pair(name: str, luma: Any, chroma: Any) -> None:
    """Check that luma and chroma are arrays whose shapes fit each other."""
    check_channels("chroma", chroma, 2)
    check_fits(name, luma, np.shape(chroma)[:-1], "chroma")


def _green(red: Array, blue: Array) -> Array:
    """Return G − Y, which follows from 21 (R − Y) + 72 (G − Y) + 7 (B − Y) = 0."""
    return -_RED / _GREEN * red - _BLUE / _GREEN * blue


def _fit(luma: Array, red: Array, blue: Array, peak: int) -> tuple[Array, Array]:
    """Fit planes of chroma into the gamut."""
    # Beyond 1e20, products in the gradient overflow. The comparison also drops NaN and ±inf.
    sane = jnp.abs(red) + jnp.abs(blue) <= 1e20
    red, blue = jnp.where(sane, red, 0), jnp.where(sane, blue, 0)
    green = _green(red, blue)
    most = jnp.maximum(jnp.maximum(red, blue), green)
    least = jnp.minimum(jnp.minimum(red, blue), green)
    # The floor of 1e-6 levels keeps the gradient of the division finite.
    up, down = (peak - luma) / jnp.maximum(most, 1e-6), luma / jnp.maximum(-least, 1e-6)
    share = jnp.minimum(1, jnp.minimum(up, down))
    return share * red, share * blue
