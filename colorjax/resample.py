"""Resizing as a pair of small matrices, so that photos of any size run through tiles of one shape."""

from typing import Literal

import numpy as np
from jaxtyping import Float


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
