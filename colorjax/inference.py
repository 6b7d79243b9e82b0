"""Colour at any size: a working copy through the network, its chroma lifted onto the photo's own light.

All that depends on the photo's size runs in tiles of one shape, so that every size shares the same few programs and
memory is bounded. Resizing is a matrix a side (`resample`), of which each tile gets its rows or columns.
"""

import math
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, PyTree, UInt8

from colorjax.color import fit_light, rgb_to_gray, rgb_to_light, rgb_to_luma_chroma
from colorjax.config import Config, DenseConfig
from colorjax.errors import PhotoError
from colorjax.networks import forward
from colorjax.networks.unet import CELL, apply_unet, decode, stride
from colorjax.resample import guided_lines, resize_matrix
from colorjax.weights import load_weights

TILE = 512
ASPECTS = (1.0, 4 / 3, 3 / 2, 2.0)  # of the working copy

Weights = str | os.PathLike | tuple[PyTree, Config] | None


def colorize(
    photo: np.ndarray, weights: Weights = None, *, vividness: float = 1.0, tile: int = TILE
) -> UInt8[np.ndarray, "h w 3"]:
    """Give a photo its colour, at its own size and on its own light.

    Args:
        photo: uint8, gray (h, w) or RGB (h, w, 3), whose gray is taken; of any size; not written to.
        weights: the path of a weights file, (params, config), or None for the packaged weights.
        vividness: 0 is gray, 1 is natural (the config says how much that is), above 1 more vivid.
        tile: side in pixels of the squares in which the photo is processed; the result does not depend on it.

    Returns:
        RGB with |21 R + 72 G + 7 B − 100 g| ≤ 50 at every pixel of gray g, for RGB input 21 r + 72 g + 7 b in place
        of 100 g.

    Raises:
        PhotoError: the array is empty, not uint8, or not (h, w) or (h, w, 3).
        WeightsError: the weights cannot be read.

    Spec: INF-001, INF-002, INF-003, INF-004, INF-006, INF-007, INF-012
    """
    photo = _checked(photo)
    params, config = weights if isinstance(weights, tuple) else load_weights(weights)
    small = shrink_gray(photo, working_shape(photo.shape[:2], config), tile=tile)
    return _draw(
        photo, _predict(params, small, jnp.float32(config.vividness * vividness), config), tile
    )


def working_shape(shape: tuple[int, ...], config: Config) -> tuple[int, int]:
    """Return height and width of the copy of a photo that the network looks at: one of a few.

    Args:
        shape: (h, w) of the photo.
        config: a dense network sees size × size; the photo network its working size on the short side, and of the
            few aspects the one closest to the photo's, to which it is squashed.

    Spec: INF-004, INF-010
    """
    if isinstance(config.network, DenseConfig):
        return config.size, config.size
    short = config.working_size or config.size
    aspect = max(shape) / min(shape)
    closest = min(ASPECTS, key=lambda a: abs(math.log(a / aspect)))
    multiple = stride(config.network)
    sides = [max(1, round(short * a / multiple)) * multiple for a in (1.0, closest)]
    return (sides[0], sides[1]) if shape[0] <= shape[1] else (sides[1], sides[0])


def shrink_gray(
    photo: np.ndarray, shape: tuple[int, int], *, tile: int = TILE
) -> Float[Array, "n m"]:
    """Return the working copy: the photo's gray squashed to a shape, antialiased (Lanczos).

    Levels, which may overshoot [0, 255] a little at edges.

    Spec: INF-003, INF-004
    """
    rows, columns = (
        _by_tile(resize_matrix(many, few, method="lanczos").T, tile)
        for many, few in zip(photo.shape[:2], shape, strict=True)
    )
    small = jnp.zeros(shape)
    for row, column, part in _tiles(photo, tile):
        small = _shrink(small, part, rows[row], columns[column])
    return small


def apply_chroma(
    photo: np.ndarray,
    chroma: Float[Array, "n m 2"],
    guide: Float[Array, "n m"] | None = None,
    *,
    tile: int = TILE,
) -> UInt8[np.ndarray, "h w 3"]:
    """Lift chroma to a photo's size and put it on the photo's light.

    Args:
        photo: as for `colorize`.
        chroma: (R − Y, B − Y) in levels, of any size.
        guide: the photo's gray at the chroma's size: chroma then follows the photo's edges (a guided filter); without
            it, it is lifted bilinearly.
        tile: as for `colorize`.

    Spec: INF-001, INF-003, INF-004, INF-007, INF-011
    """
    return _draw(photo, _lines(chroma, guide), tile)


def _draw(photo, lines, tile):
    """Draw lines from gray to chroma at a photo's size, tile by tile."""
    rows, columns = (
        _by_tile(resize_matrix(few, side), tile)
        for few, side in zip(lines.shape[:2], photo.shape[:2], strict=True)
    )
    rgb = np.empty((*photo.shape[:2], 3), np.uint8)
    for row, column, part in _tiles(photo, tile):
        place = rgb[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
        painted = np.asarray(_paint(part, lines, rows[row], columns[column]))
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


def _light(part) -> Int32[Array, "tile tile"]:
    """Return 100 times the gray of a gray or RGB tile: exact integers."""
    return rgb_to_light(part) if part.ndim == 3 else 100 * part.astype(jnp.int32)


@jax.jit
def _shrink(
    small: Float[Array, "n m"],
    part: UInt8[Array, "tile tile *channels"],
    rows: Float[Array, "tile n"],
    columns: Float[Array, "tile m"],
) -> Float[Array, "n m"]:
    """Add a tile's share to the working copy, in levels."""
    dot = partial(jnp.matmul, precision="highest")
    return small + dot(dot(rows.T, _light(part).astype(jnp.float32)), columns) / 100


@partial(jax.jit, static_argnames="config")
def _predict(
    params: PyTree, gray: Float[Array, "h w"], vividness: Float[Array, ""], config: Config
) -> Float[Array, "n m 4"]:
    """Return what the network predicts for a working copy, as lines from gray to chroma."""
    network, gray = config.network, jnp.clip(gray, 0, 255)
    if isinstance(network, DenseConfig):
        return _lines(vividness * rgb_to_luma_chroma(forward(params, gray, config))[1], None)
    chroma = vividness * decode(apply_unet(params, gray, None, network), network)
    rows, columns = chroma.shape[:2]
    return _lines(chroma, gray.reshape(rows, CELL, columns, CELL).mean((1, 3)))


@jax.jit
def _lines(
    chroma: Float[Array, "n m 2"], guide: Float[Array, "n m"] | None
) -> Float[Array, "n m 4"]:
    """Return chroma as lines from gray to chroma, flat without a guide."""
    if guide is None:
        return jnp.concatenate([jnp.zeros_like(chroma), chroma], axis=-1)
    return guided_lines(chroma, jnp.clip(guide, 0, 255))


@jax.jit
def _paint(
    part: UInt8[Array, "tile tile *channels"],
    lines: Float[Array, "n m 4"],
    rows: Float[Array, "tile n"],
    columns: Float[Array, "tile m"],
) -> UInt8[Array, "tile tile 3"]:
    """Lift lines from gray to chroma to a tile, draw them at its gray, and put the chroma on its light."""
    light = _light(part)
    lifted = jnp.einsum("in,nmc,jm->ijc", rows, lines, columns, precision="highest")
    gray = light[..., None].astype(jnp.float32) / 100
    return fit_light(light, lifted[..., :2] * gray + lifted[..., 2:]).astype(jnp.uint8)
