"""Everything that depends on the size of a photo: shrinking it for the network, and painting it in tiles of one shape.

All sizes share a few compiled programs. Memory beyond the photo and its coloring is that of a few tiles.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt, UInt32

from colorjax.color import fit_red_blue, rgb_to_luma100, solve_green
from colorjax.color.luma import LUMA_WEIGHTS
from colorjax.inference.resampling import block_side, lift_positions, resize_matrix

TILE = 256


class Reduced(NamedTuple):
    """The gray of a photo, summed over blocks, and matrices that resize it. Zeros pad it to one of a few shapes.

    Attributes:
        rows: (n, before). Only the part inside the photo counts.
        gray: (before, beside) sums of blocks, in 8-bit levels. The matrices divide them by the size of a block.
        columns: (m, beside).
    """

    rows: Float[Array | np.ndarray, "n before"]
    gray: Float[Array | np.ndarray, "before beside"]
    columns: Float[Array | np.ndarray, "m beside"]


def shrink_gray(
    photo: UInt[np.ndarray, "h w *channels"], shape: tuple[int, int]
) -> Float[np.ndarray, "n m"]:
    """Resize the gray of a photo to a shape: averages over blocks first, then Lanczos.

    Args:
        photo: uint8 or uint16, gray or RGB.
        shape: (n, m).

    Returns:
        8-bit levels, which may overshoot [0, 255] slightly at edges.

    References:
        Pillow's `Image.resize` with `reducing_gap`.
    """
    return np.asarray(_resize(reduce_gray(photo, shape)))


def reduce_gray(photo: UInt[np.ndarray, "h w *channels"], shape: tuple[int, int]) -> Reduced:
    """Do the part of `shrink_gray` that depends on the size of the photo. `resize` does the rest."""
    sums, matrices = photo, []
    for axis, few in enumerate(shape):
        side = photo.shape[axis]
        block = block_side(side, few)
        sums = _block_sums(sums, block, axis)
        counts = np.minimum(block, side - block * np.arange(sums.shape[axis]))
        matrix = resize_matrix(len(counts), few, method="lanczos", extent=side / block)
        # at most four pixels per cell, unless blocks of 256 do not reduce a side that far
        padded = np.zeros((few, len(counts) + -len(counts) % (4 * few)), np.float32)
        np.divide(matrix, counts.astype(np.float32), out=padded[:, : len(counts)])
        matrices.append(padded)
    rows, columns = matrices
    gray = np.zeros((rows.shape[1], columns.shape[1]), np.float32)
    weights = LUMA_WEIGHTS.tolist() if photo.ndim == 3 else (1.0,)
    for channel, weight in zip(np.atleast_3d(sums).transpose(2, 0, 1), weights, strict=True):
        gray[: len(sums), : sums.shape[1]] += np.float32(weight / _scale(photo)) * channel
    return Reduced(rows, gray, columns)


def resize(reduced: Reduced) -> Float[Array, "n m"]:
    """Resize with the matrices. NumPy is not used, because its BLAS keeps cores busy after each product."""
    across = jnp.matmul(reduced.rows, reduced.gray, precision="highest")
    return jnp.matmul(across, reduced.columns.T, precision="highest")


_resize = jax.jit(resize)


def _block_sums(
    pixels: UInt[np.ndarray, "h w *channels"], block: int, axis: int
) -> UInt[np.ndarray, "rows columns *channels"]:
    """Sum blocks of pixels along an axis, with whole strided slices at a time. The last block may be smaller."""
    pixels = np.moveaxis(pixels, axis, 0)
    # 256 × 256 levels of 16 bits fit in 32 bits
    wide = np.uint64 if block > 256 else np.promote_types(pixels.dtype, np.uint32)
    total = pixels[::block].astype(wide)
    for offset in range(1, block):
        part = pixels[offset::block]
        total[: len(part)] += part
    return np.moveaxis(total, 0, axis)


def paint(
    photo: UInt[np.ndarray, "h w *channels"],
    coefficients: Float[np.ndarray, "4 n m"],
    *,
    tile: int = TILE,
) -> UInt[np.ndarray, "h w 3"]:
    """Upsample coefficients to the size of a photo, evaluate them at its gray, and put the chroma on its luma.

    Args:
        photo: uint8 or uint16, gray or RGB.
        coefficients: The result of `resampling.guided_coefficients`, of any size.
        tile: The side of the tiles, a power of two. The result does not depend on it.

    Returns:
        RGB of the photo's dtype. Its luma is the photo's, whatever the coefficients.
    """
    positions = [
        lift_positions(few, side)
        for side, few in zip(photo.shape[:2], coefficients.shape[1:], strict=True)
    ]
    window = _window(positions, tile)
    coefficients = np.pad(coefficients, [(0, 0), (0, window), (0, window)], mode="edge")
    starts, nearby = zip(*(_by_tile(p, tile) for p in positions), strict=True)
    rgb = np.empty((*photo.shape[:2], 3), photo.dtype)
    for place in _tiles(photo, tile):
        row, column = (s.start // tile for s in place)
        first, left = starts[0][row], starts[1][column]
        near = coefficients[:, first : first + window, left : left + window]
        part = _padded(photo[place], tile)
        ends = _paint(part, near, nearby[0][row], nearby[1][column])
        spot = rgb[place]
        for channel, plane in enumerate(_channels(part, ends)):
            spot[..., channel] = plane[: spot.shape[0], : spot.shape[1]]
    return rgb


def photo_luma100(photo: UInt[Array | np.ndarray, "h w *channels"]) -> Int32[Array, "h w"]:
    """Return 100 times the gray of a gray or RGB photo, in exact integers."""
    return rgb_to_luma100(photo) if photo.ndim == 3 else 100 * jnp.asarray(photo, jnp.int32)


def _tiles(photo: np.ndarray, tile: int) -> Iterator[tuple[slice, slice]]:
    """Yield the slices of the tiles. The last ones may be smaller."""
    height, width = photo.shape[:2]
    for row in range(0, height, tile):
        for column in range(0, width, tile):
            yield (
                slice(row, min(row + tile, height)),
                slice(column, min(column + tile, width)),
            )


def _padded(part: np.ndarray, tile: int) -> np.ndarray:
    """Pad a tile to full size. What lies beyond the photo is cut off later."""
    if part.shape[:2] == (tile, tile):
        return part
    full = np.zeros((tile, tile, *part.shape[2:]), part.dtype)
    full[: part.shape[0], : part.shape[1]] = part
    return full


def _by_tile(positions: np.ndarray, tile: int) -> tuple[list[int], np.ndarray]:
    """Return the first cell of each tile along a side, and the positions relative to it."""
    padded = np.pad(positions, (0, -len(positions) % tile), mode="edge").reshape(-1, tile)
    starts = padded[:, :1].astype(int)
    return starts.ravel().tolist(), (padded - starts).astype(np.float32)


def _window(positions: list[np.ndarray], tile: int) -> int:
    """Return how many cells along a side a tile may need, rounded up to a power of two so that sizes share programs."""
    needed = max(
        int(p[min(start + tile, len(p)) - 1]) - int(p[start]) + 2
        for p in positions
        for start in range(0, len(p), tile)
    )
    return max(16, 1 << (needed - 1).bit_length())


def _channels(part: np.ndarray, ends: UInt32[Array, "tile tile"]) -> Iterator[np.ndarray]:
    """Yield red, green and blue of a tile as planes. NumPy interleaves them faster than XLA on a CPU."""
    green, packed = np.asarray(_green(part, ends)), np.asarray(ends)
    red_blue = packed.view(part.dtype).reshape(*packed.shape, -1)  # the lower bits come first
    yield from (red_blue[..., 0], green, red_blue[..., red_blue.shape[-1] // 2])


def _scale(photo: Array | np.ndarray) -> int:
    """Return how many of the photo's levels make an 8-bit level: 1 or 257."""
    return int(jnp.iinfo(photo.dtype).max) // 255


@jax.jit
def _paint(
    part: UInt[Array, "tile tile *channels"],
    coefficients: Float[Array, "4 window window"],
    rows: Float[Array, " tile"],
    columns: Float[Array, " tile"],
) -> UInt32[Array, "tile tile"]:
    """Compute red of a tile, with blue in the upper 16 bits. XLA on a CPU would compute two results from scratch."""
    # bilinear: a matrix product along rows, then two rows of it along columns, which XLA fuses with the rest
    cells = jnp.arange(coefficients.shape[2])[:, None]
    hat = jnp.maximum(1 - jnp.abs(columns[None] - cells), 0)
    across = jnp.matmul(coefficients, hat, precision="highest")
    first = rows.astype(jnp.int32)
    ahead = (rows - first)[:, None]
    slope_red, slope_blue, red, blue = (
        (1 - ahead) * plane.at[first].get(mode="promise_in_bounds")
        + ahead * plane.at[first + 1].get(mode="promise_in_bounds")
        for plane in across
    )
    scale = _scale(part)
    luma100 = photo_luma100(part)
    gray = luma100 * (0.01 / scale)
    red, blue = scale * (slope_red * gray + red), scale * (slope_blue * gray + blue)
    red, blue = fit_red_blue(luma100, red, blue, peak=255 * scale)
    return (red | blue << 16).astype(jnp.uint32)


@jax.jit
def _green(
    part: UInt[Array, "tile tile *channels"], ends: UInt32[Array, "tile tile"]
) -> UInt[Array, "tile tile"]:
    """Solve for the green of a tile, in a program of its own. `color.solve_green` explains why."""
    red, blue = (ends & 0xFFFF).astype(jnp.int32), (ends >> 16).astype(jnp.int32)
    return solve_green(photo_luma100(part), red, blue, peak=255 * _scale(part)).astype(part.dtype)
