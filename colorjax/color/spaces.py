"""Conversions between sRGB, CIE XYZ and CIELAB."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Real

from colorjax.color.planes import check_channels, planes

# The sRGB curve of IEC 61966-2-1. The knee of the inverse is the image of this one, so the two curves match.
_KNEE, _SLOPE, _OFFSET, _GAMMA = 0.04045, 12.92, 0.055, 2.4

# The knee and the slope of CIELAB, as the exact fractions of CIE 15:2004.
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27


def _rgb_to_xyz_matrix() -> np.ndarray:
    """Solve for the matrix whose columns are sRGB's primaries and whose row sums are its white."""
    x, y = np.array([[0.64, 0.30, 0.15, 0.3127], [0.33, 0.60, 0.06, 0.3290]])
    primaries_and_white = np.stack([x, y, 1 - x - y]) / y
    primaries, white = primaries_and_white[:, :3], primaries_and_white[:, 3]
    return primaries * np.linalg.solve(primaries, white)


# Relative to white, the rows of the matrix and of its inverse sum to 1. Python floats keep float32 results float32.
_XYZ = _rgb_to_xyz_matrix()
_WHITE = _XYZ.sum(1).tolist()
_TO_RELATIVE_XYZ = (_XYZ / _XYZ.sum(1, keepdims=True)).tolist()
_TO_LINEAR_RGB = (np.linalg.inv(_XYZ) * _XYZ.sum(1)).tolist()


def srgb_to_linear(unit_rgb: Float[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Decode the sRGB curve.

    Args:
        unit_rgb: Gamma-coded values, where 1 is white. The curve continues above 1, and is odd below 0.

    Returns:
        Linear light, where 1 is white.

    Gradient:
        Finite everywhere; 1/12.92 at 0.

    References:
        IEC 61966-2-1.
    """
    unit_rgb = jnp.asarray(unit_rgb, jnp.float32)
    size = jnp.abs(unit_rgb)
    curved = ((jnp.maximum(size, _KNEE) + _OFFSET) / (1 + _OFFSET)) ** _GAMMA
    return jnp.where(size > _KNEE, jnp.sign(unit_rgb) * curved, unit_rgb / _SLOPE)


def linear_to_srgb(linear_rgb: Float[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Encode linear light with the sRGB curve. This is the inverse of `srgb_to_linear`.

    Args:
        linear_rgb: Linear light, where 1 is white. Values outside [0, 1] are treated as in `srgb_to_linear`.

    Returns:
        Gamma-coded values, where 1 is white.

    Gradient:
        Finite everywhere; 12.92 at 0.

    References:
        IEC 61966-2-1.
    """
    linear_rgb = jnp.asarray(linear_rgb, jnp.float32)
    size, knee = jnp.abs(linear_rgb), _KNEE / _SLOPE
    curved = (1 + _OFFSET) * jnp.maximum(size, knee) ** (1 / _GAMMA) - _OFFSET
    return jnp.where(size > knee, jnp.sign(linear_rgb) * curved, linear_rgb * _SLOPE)


def linear_rgb_to_xyz(
    linear_rgb: Float[Array | np.ndarray, "*pixels 3"],
) -> Float[Array, "*pixels 3"]:
    """Convert linear sRGB to CIE XYZ. The matrix is solved from sRGB's primaries and white.

    Args:
        linear_rgb: Linear light, where 1 is white. The map is linear, so any value is valid.

    Returns:
        XYZ, scaled so that D65 white (0.3127, 0.3290) has Y = 1.

    References:
        IEC 61966-2-1; SMPTE RP 177 for the solution.
    """
    return _scale(_mix(_TO_RELATIVE_XYZ, linear_rgb), _WHITE)


def xyz_to_lab(xyz: Float[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert CIE XYZ to CIELAB, relative to the white of `linear_rgb_to_xyz`.

    Args:
        xyz: XYZ, scaled so that white has Y = 1. Negative values follow the linear part of the curve.

    Returns:
        L in [0, 100] for Y in [0, 1], and a and b.

    Gradient:
        Finite everywhere.

    References:
        CIE 15:2004, section 8.2.1, with the knee 216/24389 and the slope 24389/27.
    """
    return _relative_xyz_to_lab(_scale(xyz, [1 / white for white in _WHITE]))


def lab_to_xyz(lab: Float[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert CIELAB to CIE XYZ. This is the inverse of `xyz_to_lab`.

    Args:
        lab: L, a and b; any finite value.

    Returns:
        XYZ, scaled so that white has Y = 1.

    Gradient:
        Finite everywhere.
    """
    return _scale(_lab_to_relative_xyz(lab), _WHITE)


def rgb_to_lab(rgb: Real[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert sRGB levels to CIELAB.

    Args:
        rgb: Gamma-coded levels, where 255 is white. Levels outside [0, 255] are treated as in `srgb_to_linear`.

    Returns:
        L in [0, 100] for levels in [0, 255], and a and b. Equal channels give a = b = 0 exactly.

    Gradient:
        Finite everywhere.

    Example:
        >>> lab = colorjax.rgb_to_lab(np.array([255, 0, 0]))
        >>> print(np.rint(lab))
        [53. 80. 67.]
    """
    check_channels("rgb", rgb, 3)
    linear_rgb = srgb_to_linear(jnp.asarray(rgb, jnp.float32) / 255)
    return _relative_xyz_to_lab(_mix(_TO_RELATIVE_XYZ, linear_rgb))


def lab_to_rgb(lab: Float[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert CIELAB to sRGB levels. This is the inverse of `rgb_to_lab`.

    Args:
        lab: L, a and b; any finite value.

    Returns:
        Gamma-coded levels, where 255 is white, neither clipped nor rounded.

    Gradient:
        Finite everywhere.

    Example:
        >>> rgb = colorjax.lab_to_rgb(np.array([75.0, 20.0, 50.0]))
        >>> print(np.rint(rgb))
        [244. 169.  92.]
    """
    check_channels("lab", lab, 3)
    return 255 * linear_to_srgb(_mix(_TO_LINEAR_RGB, _lab_to_relative_xyz(lab)))


def _scale(pixels: Array | np.ndarray, factors: list[float]) -> Array:
    """Multiply each channel by its factor."""
    scaled = [plane * factor for plane, factor in zip(planes(pixels), factors, strict=True)]
    return jnp.stack(scaled, axis=-1)


def _mix(rows: list[list[float]], pixels: Array | np.ndarray) -> Array:
    """Multiply by a matrix whose rows sum to 1, in such a way that equal channels come back unchanged."""
    first, middle, last = planes(pixels)
    mixed = [middle + (first - middle) * a + (last - middle) * c for a, _, c in rows]
    return jnp.stack(mixed, axis=-1)


def _relative_xyz_to_lab(relative: Array) -> Array:
    """Apply CIELAB to XYZ divided by white."""
    curved, straight = jnp.cbrt(jnp.maximum(relative, _EPSILON)), _KAPPA * relative
    x, y, z = planes(jnp.where(relative > _EPSILON, curved, (straight + 16) / 116))
    # 116 y − 16 would miss 0 for black by a rounding error.
    lightness = jnp.where(relative[..., 1] > _EPSILON, 116 * y - 16, straight[..., 1])
    return jnp.stack([lightness, 500 * (x - y), 200 * (y - z)], axis=-1)


def _lab_to_relative_xyz(lab: Array | np.ndarray) -> Array:
    """Invert `_relative_xyz_to_lab`."""
    lightness, a, b = planes(lab)
    y = (lightness + 16) / 116
    f = jnp.stack([y + a / 500, y, y - b / 200], axis=-1)
    return jnp.where(f > _EPSILON ** (1 / 3), f**3, (116 * f - 16) / _KAPPA)
