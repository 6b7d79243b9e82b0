"""Resizing with a pair of small matrices, and coefficients with which upsampled chroma follows edges. Pure."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, ParamSpec

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SLOPE = 0.55  # share of the local slope of chroma over gray; see spec/inference.md
MOST_KEPT = 64_000_000  # bytes of the matrices of one kind that are kept
MOST_BLOCKS = 1 << 13  # along a side, or four per cell if that is more
_AT_ONCE = 1 << 18  # elements of a matrix that are computed at a time, in float64

Arguments = ParamSpec("Arguments")


def _kept(function: Callable[Arguments, np.ndarray]) -> Callable[Arguments, np.ndarray]:
    """Keep the latest results: photos in a folder often have the same size."""
    results: OrderedDict[object, np.ndarray] = OrderedDict()
    lock = threading.Lock()

    @functools.wraps(function)
    def keeping(*arguments: Arguments.args, **options: Arguments.kwargs) -> np.ndarray:
        call = arguments, tuple(options.items())
        with lock:
            if call in results:
                results.move_to_end(call)
                return results[call]
        matrix = function(*arguments, **options)
        matrix.flags.writeable = False  # it is shared
        with lock:
            results[call] = matrix
            while sum(each.nbytes for each in results.values()) > MOST_KEPT:
                results.popitem(last=False)
        return matrix

    return keeping


@_kept
def resize_matrix(
    before: int,
    after: int,
    *,
    method: Literal["bilinear", "bicubic", "lanczos"] = "bilinear",
    extent: float | None = None,
) -> Float[np.ndarray, "after before"]:
    """Return the matrix that resizes one axis, with antialiasing. `rows @ picture @ columns.T` resizes both axes.

    Args:
        before: The number of pixels along the axis, at least 1.
        after: The number of pixels wanted, at least 1.
        method: The filter.
        extent: The length of the axis in pixels, if only a part of the last pixel lies on it.

    Returns:
        Rows that sum to 1 and are zero outside the support of the filter, as in Pillow.

    References:
        Pillow's `Image.resize`: pixel centers at i + 1/2, and a support that grows with the scale when shrinking.
    """
    function = _FILTERS[method]
    scale = (extent or before) / after
    stretch = max(scale, 1.0)
    pixels = np.arange(before)[None] + 0.5
    matrix = np.empty((after, before), np.float32)
    rows = max(1, _AT_ONCE // before)
    for start in range(0, after, rows):
        centers = (np.arange(start, min(start + rows, after))[:, None] + 0.5) * scale
        weights = function((pixels - centers) / stretch)
        matrix[start : start + rows] = weights / weights.sum(1, keepdims=True)
    return matrix


@_kept
def shrink_matrix(before: int, after: int) -> Float[np.ndarray, "after before"]:
    """Return the matrix that shrinks one axis as `tiles.shrink_gray` does: means of blocks of pixels, then Lanczos.

    Args:
        before: The number of pixels along the axis, at least 1.
        after: The number of pixels wanted, at least 1.

    Returns:
        Rows that sum to 1.
    """
    block = block_side(before, after)
    counts = np.minimum(block, before - block * np.arange(-(-before // block)))
    matrix = resize_matrix(len(counts), after, method="lanczos", extent=before / block)
    return np.repeat(matrix / counts.astype(np.float32), block, axis=1)[:, :before]


@_kept
def soften_matrix(side: int, softness: float) -> Float[np.ndarray, "side side"]:
    """Return the matrix that softens one axis: it shrinks the axis by a factor, then enlarges it again.

    Args:
        side: The number of pixels along the axis, at least 1.
        softness: The factor, at least 1.

    Returns:
        Rows that sum to 1.
    """
    few = max(1, round(side / softness))
    enlarge = resize_matrix(few, side, method="bicubic")
    return enlarge @ resize_matrix(side, few, method="lanczos")


def block_side(before: int, after: int) -> int:
    """Return the side of the blocks that are averaged first. Lanczos keeps two pixels per cell.

    Blocks of up to 256, whose sums fit in 32 bits, suffice except for sides of millions of pixels.
    """
    return max(1, min(256, before // (2 * after)), -(-before // max(MOST_BLOCKS, 4 * after)))


@_kept
def lift_matrix(cells: int, pixels: int) -> Float[np.ndarray, "pixels cells"]:
    """Return the matrix that upsamples cells to pixels: bilinear between centers, constant beyond the last.

    Args:
        cells: The number of cells along the axis, at least 1.
        pixels: The number of pixels, at least 1. If there are fewer than cells, they are sampled without antialiasing.

    Returns:
        Rows that sum to 1.
    """
    positions = lift_positions(cells, pixels)
    return _bilinear(positions[:, None] - np.arange(cells)).astype(np.float32)


def lift_positions(cells: int, pixels: int) -> Float[np.ndarray, " pixels"]:
    """Return the position of the center of each pixel among the cells, where 0 is the center of the first cell."""
    return np.clip((np.arange(pixels) + 0.5) * (cells / pixels) - 0.5, 0, cells - 1)


def guided_coefficients(
    chroma: Float[Array, "n m 2"],
    gray: Float[Array, "n m"],
    *,
    share: float = SLOPE,
    softness: float = 400.0,
) -> Float[Array, "4 n m"]:
    """Fit a line from gray to chroma in each cell, so that upsampled chroma follows the edges of a larger gray.

    This is a guided filter (He, Sun and Tang, ECCV 2010) whose lines pass through the center of each cell.

    Args:
        chroma: Levels.
        gray: Levels.
        share: The share of the local slope (least squares over 3 × 3 cells) to use. 0 gives bilinear upsampling.
        softness: In squared levels. Where gray varies less than that, the slope is small, so that grain does not turn
            into color.

    Returns:
        Planes of slopes and offsets for R − Y and B − Y: chroma ≈ coefficients[:2] · gray + coefficients[2:]. At the
        cell's own gray this is exact.
    """
    rows, columns = (jnp.asarray(_box(side)) for side in gray.shape)

    def window_mean(planes):
        return jnp.matmul(
            jnp.matmul(rows, planes, precision="highest"), columns.T, precision="highest"
        )

    planes = jnp.moveaxis(chroma, -1, 0)
    guide = gray[None] - 128  # close to 0, so that the variance loses no digits
    mean = window_mean(guide)
    variance = jnp.maximum(window_mean(guide * guide) - mean * mean, 0)
    covariance = window_mean(guide * planes) - mean * window_mean(planes)
    slope = share * covariance / (variance + softness)
    return jnp.concatenate([slope, planes - slope * gray[None]])


def _box(side):
    """Return the matrix that averages over a pixel and its neighbors. Pixels at the ends have one neighbor."""
    near = np.abs(np.subtract.outer(np.arange(side), np.arange(side))) <= 1
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


_FILTERS = {"bilinear": _bilinear, "bicubic": _bicubic, "lanczos": _lanczos}
