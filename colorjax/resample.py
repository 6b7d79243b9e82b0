"""Resizing as a pair of small matrices, so that photos of any size run through tiles of one shape; guided lifting."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def resize_matrix(
    before: int, after: int, *, method: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
) -> Float[np.ndarray, "after before"]:
    """Return the weights that resize one axis, antialiased: `rows @ picture @ columns.T` resizes both.

    Args:
        before: pixels along the axis, at least 1.
        after: pixels wanted, at least 1.
        method: the filter.

    Returns:
        Rows that sum to 1, zero outside the filter's support, as Pillow has them.

    Source: Pillow's `Image.resize` (pixel centres at i + 1/2; the support grows with the scale when shrinking).
    Spec: INF-005
    """
    function, support = _FILTERS[method]
    scale = before / after
    stretch = max(scale, 1.0)
    centres = (np.arange(after)[:, None] + 0.5) * scale
    pixels = np.arange(before)[None] + 0.5
    # Pillow takes whole pixels: those whose index lies within the rounded support
    reach = support * stretch
    first = np.maximum(np.floor(centres - reach + 0.5), 0)
    last = np.minimum(np.floor(centres + reach + 0.5), before)
    inside = (pixels - 0.5 >= first) & (pixels - 0.5 < last)
    weights = np.where(inside, function((pixels - centres) / stretch), 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def guided_lines(
    chroma: Float[Array, "n m 2"],
    gray: Float[Array, "n m"],
    *,
    radius: int = 2,
    softness: float = 100.0,
) -> Float[Array, "n m 4"]:
    """Fit chroma as a straight line of gray around each cell, so that lifted lines follow a larger gray's edges.

    Args:
        chroma: levels.
        gray: levels.
        radius: of the windows in which lines are fitted, in cells.
        softness: squared levels; windows whose gray varies by less get nearly flat lines, so that grain of the photo
            does not turn into colour.

    Returns:
        Slopes and offsets: chroma ≈ lines[..., :2] · gray + lines[..., 2:].

    Source: He and Sun, Fast Guided Filter, arXiv:1505.00996.
    Spec: INF-011
    """
    rows, columns = (jnp.asarray(_box(side, radius)) for side in gray.shape)

    def window_mean(x):
        return jnp.einsum("in,nmc,jm->ijc", rows, x, columns, precision="highest")

    guide = gray[..., None] - 128  # near 0, where the variance loses no digits
    mean, centre = window_mean(guide), window_mean(chroma)
    variance = jnp.maximum(window_mean(guide * guide) - mean * mean, 0)
    slope = (window_mean(guide * chroma) - mean * centre) / (variance + softness)
    return window_mean(jnp.concatenate([slope, centre - slope * (mean + 128)], axis=-1))


def _box(side, radius):
    """Return the matrix that averages over a window, smaller at the ends."""
    near = np.abs(np.subtract.outer(np.arange(side), np.arange(side))) <= radius
    return (near / near.sum(1, keepdims=True)).astype(np.float32)


def _bilinear(x):
    return np.maximum(0, 1 - np.abs(x))


def _bicubic(x, a=-0.5):
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x):
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS = {"bilinear": (_bilinear, 1.0), "bicubic": (_bicubic, 2.0), "lanczos": (_lanczos, 3.0)}
