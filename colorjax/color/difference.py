"""CIEDE2000, the perceived difference between two colors."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from colorjax.color.planes import check_channels, check_fits, planes

# Smaller squares count as zero: a chroma or a difference below 1e-6 is float32 noise.
_ZERO = 1e-12


def ciede2000(
    lab1: Float[Array | np.ndarray, "*pixels 3"], lab2: Float[Array | np.ndarray, "*pixels 3"]
) -> Float[Array, "*pixels"]:
    """Compute the color difference ΔE₀₀, with kL = kC = kH = 1.

    Args:
        lab1: CIELAB colors with |a| and |b| below 1e4.
        lab2: The colors to compare them with. The order of the two arguments does not matter.

    Returns:
        ΔE₀₀ ≥ 0 for each pixel. A difference of about 1 is just noticeable.

    Gradient:
        Finite everywhere. It is 0 between equal colors, and 0 with respect to hue on the neutral axis, where the true
        gradient does not exist. The formula itself is discontinuous where two hues lie 180° apart.

    References:
        Sharma, Wu and Dalal, Color Research and Application 30 (2005), 21-30, equations 2 to 22.

    Example:
        >>> lab1, lab2 = np.array([[50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485]], np.float32)
        >>> print(f"{colorjax.ciede2000(lab1, lab2):.2f}")
        2.04
    """
    check_channels("lab1", lab1, 3)
    check_channels("lab2", lab2, 3)
    check_fits("lab2", lab2, np.shape(lab1), "lab1")
    (l1, a1, b1), (l2, a2, b2) = planes(lab1), planes(lab2)
    stretch = 1.5 - 0.5 * _weight(_length(a1, b1) / 2 + _length(a2, b2) / 2)
    a1, a2 = stretch * a1, stretch * a2
    c1, c2, h1, h2 = _length(a1, b1), _length(a2, b2), _hue(a1, b1), _hue(a2, b2)

    # Exactly opposite hues are not wrapped. The margin of 0.0003° absorbs float32 noise.
    wraps = jnp.abs(h2 - h1) > jnp.pi + 5e-6
    turn = h2 - h1 - jnp.where(wraps, 2 * jnp.pi * jnp.sign(h2 - h1), 0)
    mean = (h1 + h2) / 2 + jnp.where(wraps, jnp.where(h1 + h2 < 2 * jnp.pi, jnp.pi, -jnp.pi), 0)
    mean = jnp.where((c1 > 0) & (c2 > 0), mean, h1 + h2)

    chroma, sharp = (c1 + c2) / 2, (l1 / 2 + l2 / 2 - 50) ** 2
    t = (
        1
        - 0.17 * jnp.cos(mean - jnp.deg2rad(30))
        + 0.24 * jnp.cos(2 * mean)
        + 0.32 * jnp.cos(3 * mean + jnp.deg2rad(6))
        - 0.20 * jnp.cos(4 * mean - jnp.deg2rad(63))
    )
    lightness = (l2 - l1) / (1 + 0.015 * sharp / jnp.sqrt(20 + sharp))
    saturation = (c2 - c1) / (1 + 0.045 * chroma)
    hue = 2 * _sqrt(c1 * c2) * jnp.sin(turn / 2) / (1 + 0.015 * chroma * t)
    bend = jnp.deg2rad(60) * jnp.exp(-(((jnp.rad2deg(mean) - 275) / 25) ** 2))
    rotation = -2 * jnp.sin(bend) * _weight(chroma)
    return _sqrt(lightness**2 + saturation**2 + hue**2 + rotation * saturation * hue)


def _sqrt(square: Array) -> Array:
    """Return the square root; below `_ZERO` both its value and its gradient are 0."""
    positive = square > _ZERO
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def _length(a: Array, b: Array) -> Array:
    """Return chroma, the distance from the neutral axis."""
    return _sqrt(a**2 + b**2)


def _hue(a: Array, b: Array) -> Array:
    """Return the hue angle in [0, 2π], 0 on the neutral axis."""
    colored = a**2 + b**2 > _ZERO
    angle = jnp.arctan2(jnp.where(colored, b, 0), jnp.where(colored, a, 1))
    return jnp.where(angle < 0, angle + 2 * jnp.pi, angle)


def _weight(chroma: Array) -> Array:
    """Return √(C⁷ / (C⁷ + 25⁷)), differentiable at 0."""
    return chroma**3 * _sqrt(chroma) / jnp.sqrt(chroma**7 + 25.0**7)
