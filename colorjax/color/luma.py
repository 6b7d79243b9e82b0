"""Gray, luma and chroma, the gamut and the light promise: pure and pixelwise.

Luma is the seed's gray, Y = 0.21 R + 0.72 G + 0.07 B on gamma-coded levels; chroma is
(R − Y, B − Y). Levels run from 0 to `peak`: 255, or 65535 at 16 bits. Products with 3 × 3 matrices
are written out element by element, so that no low-precision matrix unit can touch them.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int32, Integer, Real

from colorjax.color.planes import planes

# Gray weighs the channels in hundredths: integers, so that gray is exact where levels are.
_RED, _GREEN, _BLUE = 21, 72, 7


def rgb_to_gray(
    rgb: Real[Array | np.ndarray, "*pixels 3"], *, truncate: bool = False
) -> Float[Array, "*pixels"]:
    """Weigh the channels into gray: (21 R + 72 G + 7 B) / 100.

    Args:
        rgb: levels of any scale, integer or float.
        truncate: drop the fraction, as the seed did. Integer levels lose no level to float noise.

    Returns:
        Float32 on the scale of `rgb`, not rounded; equal channels come back unchanged.

    Source: seed S2, correction 7.
    """
    red, green, blue = planes(rgb)
    hundredths = _RED * red + _GREEN * green + _BLUE * blue
    return jnp.floor((hundredths + 0.5) / 100) if truncate else hundredths / 100


def rgb_to_luma_chroma(
    rgb: Real[Array | np.ndarray, "*pixels 3"],
) -> tuple[Float[Array, "*pixels"], Float[Array, "*pixels 2"]]:
    """Split levels into light and color.

    Args:
        rgb: levels of any scale.

    Returns:
        Luma Y, which is `rgb_to_gray`, and chroma (R − Y, B − Y), both on the scale of `rgb`.
    """
    luma = rgb_to_gray(rgb)
    red, _, blue = planes(rgb)
    return luma, jnp.stack([red - luma, blue - luma], axis=-1)


def luma_chroma_to_rgb(
    luma: Real[Array | np.ndarray, "*pixels"], chroma: Float[Array | np.ndarray, "*pixels 2"]
) -> Float[Array, "*pixels 3"]:
    """Join light and color; the inverse of `rgb_to_luma_chroma`.

    Args:
        luma: Y in levels of any scale.
        chroma: (R − Y, B − Y) on that scale.

    Returns:
        Levels on that scale, neither clipped nor rounded: see `fit_gamut` and `apply_chroma`.
    """
    luma = jnp.asarray(luma, jnp.float32)
    red, blue = planes(chroma)
    return jnp.stack([luma + red, luma + _green(red, blue), luma + blue], axis=-1)


def fit_gamut(
    luma: Real[Array | np.ndarray, "*pixels"],
    chroma: Float[Array | np.ndarray, "*pixels 2"],
    *,
    peak: int = 255,
) -> Float[Array, "*pixels 2"]:
    """Shrink chroma along its own line toward gray until RGB fits: luma stays, and so does hue.

    Args:
        luma: Y in levels; outside [0, peak] it leaves no room for color.
        chroma: (R − Y, B − Y) in levels; a pixel with NaN, ±inf or beyond ±1e20 has no color.
        peak: the highest level, at most 65535.

    Returns:
        Chroma times a share in [0, 1], which is 1 where the color fits already.

    Gradient: finite for every input.
    """
    luma = jnp.clip(jnp.asarray(luma, jnp.float32), 0, peak)
    red, blue = planes(chroma)
    return jnp.stack(_fit(luma, red, blue, peak), axis=-1)


def compress_chroma(
    chroma: Float[Array | np.ndarray, "*pixels 2"], knee: float
) -> Float[Array, "*pixels 2"]:
    """Hold strong chroma back along its own line, so that hue stays: length m becomes m / √(1 + (m / knee)²).

    Args:
        chroma: (R − Y, B − Y) in levels, finite.
        knee: length in levels that none exceeds, above 0; far below it chroma stays as it is.
    """
    chroma = jnp.asarray(chroma, jnp.float32)
    square = jnp.sum(chroma * chroma, -1, keepdims=True)
    return chroma / jnp.sqrt(1 + square / knee**2)


def rgb_to_luma100(rgb: Integer[Array | np.ndarray, "*pixels 3"]) -> Int32[Array, "*pixels"]:
    """Weigh integer levels into luma100, 21 R + 72 G + 7 B: a hundred times gray, exactly.

    Args:
        rgb: integer levels of 8 or 16 bits.

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
    """Color a pixel and keep its light: |21 R + 72 G + 7 B − luma100| ≤ 50, whatever the chroma.

    The gamut step first; then red and blue are rounded, and green is solved in integers, which
    leaves at most half of its weight: 36. So the rounded gray of the result is the gray put in.

    Args:
        luma100: 100 · Y, such as `100 * gray` or `rgb_to_luma100(rgb)`; clipped to [0, 100 · peak].
        chroma: (R − Y, B − Y) in levels; a pixel with NaN, ±inf or beyond ±1e20 has no color.
        peak: the highest level, at most 65535.

    Returns:
        Levels in [0, peak]; without chroma, luma100 = 100 · g gives (g, g, g).

    Gradient: none, for its output is integer; differentiate `fit_gamut`.
    """
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
    """Return red and blue of `apply_chroma` from planes of R − Y and B − Y: its first half."""
    luma = jnp.clip(luma100, 0, 100 * peak) * 0.01  # a product takes half the time of a quotient
    red, blue = _fit(luma, red, blue, peak)
    return jnp.round(luma + red).astype(jnp.int32), jnp.round(luma + blue).astype(jnp.int32)


def solve_green(
    luma100: Int32[Array, "*pixels"],
    red: Int32[Array, "*pixels"],
    blue: Int32[Array, "*pixels"],
    *,
    peak: int = 255,
) -> Int32[Array, "*pixels"]:
    """Return the green that keeps the light beside red and blue of `fit_red_blue`: its second half, all in integers.

    In a program of its own red and blue are what they are. Within one program XLA may compute them twice and round a
    tie both ways, which can cost 21 of light.
    """
    # Rounding red and blue moves green by at most 14/72, so that it too rounds into [0, peak].
    luma100 = jnp.clip(luma100, 0, 100 * peak)
    return (luma100 - _RED * red - _BLUE * blue + _GREEN // 2) // _GREEN


def _green(red: Array, blue: Array) -> Array:
    """Return G − Y, which follows from 21 (R − Y) + 72 (G − Y) + 7 (B − Y) = 0."""
    return -_RED / _GREEN * red - _BLUE / _GREEN * blue


def _fit(luma: Array, red: Array, blue: Array, peak: int) -> tuple[Array, Array]:
    """Do the gamut step on planes: XLA on a CPU is several times slower along a last axis of 3."""
    # Beyond 1e20 products of the gradient overflow; the comparison also drops NaN and ±inf.
    sane = jnp.abs(red) + jnp.abs(blue) <= 1e20
    red, blue = jnp.where(sane, red, 0), jnp.where(sane, blue, 0)
    green = _green(red, blue)
    most = jnp.maximum(jnp.maximum(red, blue), green)
    least = jnp.minimum(jnp.minimum(red, blue), green)
    # The floor of 1e-6 levels keeps the division's gradient finite; it can only shrink more.
    up, down = (peak - luma) / jnp.maximum(most, 1e-6), luma / jnp.maximum(-least, 1e-6)
    share = jnp.minimum(1, jnp.minimum(up, down))
    return share * red, share * blue
