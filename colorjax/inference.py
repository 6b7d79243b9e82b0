"""Colour at any size: a working copy through the network, its chroma lifted onto the photo's own light.

All that depends on the photo's size runs in tiles of one shape, so that every size shares the same few programs and
memory is bounded. Resizing is a matrix a side (`resample`), of which each tile gets its rows or columns.
"""

import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, PyTree, UInt8

from colorjax.color import fit_light, rgb_to_gray, rgb_to_light, rgb_to_luma_chroma
from colorjax.config import Config
from colorjax.errors import PhotoError
from colorjax.networks import forward
from colorjax.resample import resize_matrix
from colorjax.weights import load_weights

TILE = 512

Weights = str | os.PathLike | tuple[PyTree, Config] | None


def colorize(
    photo: np.ndarray, weights: Weights = None, *, tile: int = TILE
) -> UInt8[np.ndarray, "h w 3"]:
    """Give a photo its colour, at its own size and on its own light.

    Args:
        photo: uint8, gray (h, w) or RGB (h, w, 3), whose gray is taken; of any size; not written to.
        weights: the path of a weights file, (params, config), or None for the packaged weights.
        tile: side in pixels of the squares in which the photo is processed; the result does not depend on it.

    Returns:
        RGB with |21 R + 72 G + 7 B − 100 g| ≤ 50 at every pixel of gray g, for RGB input 21 r + 72 g + 7 b in place
        of 100 g.

    Raises:
        PhotoError: the array is empty, not uint8, or not (h, w) or (h, w, 3).
        WeightsError: the weights cannot be read.

    Spec: INF-001, INF-002, INF-003, INF-004, INF-006, INF-007
    """
    photo = _checked(photo)
    params, config = weights if isinstance(weights, tuple) else load_weights(weights)
    small = shrink_gray(photo, config.size, tile=tile)
    return apply_chroma(photo, _predict(params, small, config), tile=tile)


def shrink_gray(photo: np.ndarray, size: int, *, tile: int = TILE) -> Float[Array, "size size"]:
    """Return the working copy: the photo's gray squashed to size × size, antialiased (Lanczos), levels in [0, 255].

    Spec: INF-003, INF-004
    """
    rows, columns = (
        _by_tile(resize_matrix(side, size, method="lanczos").T, tile) for side in photo.shape[:2]
    )
    small = jnp.zeros((size, size))
    for row, column, part in _tiles(photo, tile):
        small += _shrink(_light(part), rows[row], columns[column])
    return jnp.clip(small, 0, 255)


def apply_chroma(
    photo: np.ndarray, chroma: Float[Array, "n m 2"], *, tile: int = TILE
) -> UInt8[np.ndarray, "h w 3"]:
    """Lift chroma to a photo's size, bilinearly, and put it on the photo's light.

    Args:
        photo: as for `colorize`.
        chroma: (R − Y, B − Y) in levels, of any size.
        tile: as for `colorize`.

    Spec: INF-001, INF-003, INF-004, INF-007
    """
    rows, columns = (
        _by_tile(resize_matrix(few, side), tile)
        for few, side in zip(chroma.shape[:2], photo.shape[:2], strict=True)
    )
    rgb = np.empty((*photo.shape[:2], 3), np.uint8)
    for row, column, part in _tiles(photo, tile):
        place = rgb[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
        painted = np.asarray(_paint(_light(part), chroma, rows[row], columns[column]))
        place[:] = painted[: place.shape[0], : place.shape[1]]
    return rgb


@partial(jax.jit, static_argnames="config")
def recolor(
    params: PyTree, rgb: UInt8[Array, "photos n n 3"], config: Config
) -> UInt8[Array, "photos n n 3"]:
    """Return what `forward` makes of the photos' gray, rounded to levels: a network at its own size.

    Spec: EVL-024, EVL-025
    """
    return jnp.rint(forward(params, rgb_to_gray(rgb), config)).astype(jnp.uint8)


def _checked(photo) -> np.ndarray:
    photo = np.asarray(photo)
    fits = photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] == 3)
    if photo.dtype != np.uint8 or not fits or not photo.size:
        shape = " × ".join(map(str, photo.shape))
        raise PhotoError(f"the photo is {shape} {photo.dtype}; expected h × w or h × w × 3 uint8")
    return photo


def _tiles(photo, tile):
    """Yield (row, column, part): the photo in squares, the last ones padded with black."""
    for row in range(-(-photo.shape[0] // tile)):
        for column in range(-(-photo.shape[1] // tile)):
            part = photo[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
            missing = [(0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)]
            yield row, column, np.pad(part, missing[: part.ndim])


def _by_tile(matrix, tile):
    """Return (tiles, tile, n) blocks of a (side, n) matrix, the last one padded with zeros."""
    side, n = matrix.shape
    tiles = -(-side // tile)
    padded = np.zeros((tiles * tile, n), np.float32)
    padded[:side] = matrix
    return padded.reshape(tiles, tile, n)


@jax.jit
def _light(part) -> Int32[Array, "tile tile"]:
    """Return 100 times the gray of a gray or RGB tile: exact integers."""
    return rgb_to_light(part) if part.ndim == 3 else 100 * part.astype(jnp.int32)


@jax.jit
def _shrink(
    light: Int32[Array, "tile tile"],
    rows: Float[Array, "tile n"],
    columns: Float[Array, "tile n"],
) -> Float[Array, "n n"]:
    """Return a tile's share of the working copy, in levels."""
    dot = partial(jnp.matmul, precision="highest")
    return dot(dot(rows.T, light.astype(jnp.float32)), columns) / 100


@partial(jax.jit, static_argnames="config")
def _predict(params, gray: Float[Array, "n n"], config: Config) -> Float[Array, "n n 2"]:
    """Return the chroma of the network's prediction, in levels."""
    return rgb_to_luma_chroma(forward(params, gray, config))[1]


@jax.jit
def _paint(
    light: Int32[Array, "tile tile"],
    chroma: Float[Array, "n n 2"],
    rows: Float[Array, "tile n"],
    columns: Float[Array, "tile n"],
) -> UInt8[Array, "tile tile 3"]:
    """Lift the chroma to a tile and put it on the tile's light."""
    lifted = jnp.einsum("in,nmc,jm->ijc", rows, chroma, columns, precision="highest")
    return fit_light(light, lifted).astype(jnp.uint8)
