"""Blending of chroma: with the color that a photo already has, and over the frames of a video. Pure, pixel by pixel."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt

from colorjax.color import apply_chroma, rgb_to_luma100

FULL = 40.0  # levels of chroma from which a pixel keeps all of its own color
CELL = 8  # side in pixels of the blocks in which motion is detected; grain averages out in them
STILL = 6.0  # levels; a block whose mean changes by much less does not move
CUT = 25.0  # levels; a larger mean change of the blocks is a cut
MEMORY = 0.9  # share of the previous chroma in a block that does not move

NO_TINT = np.zeros((256, 2), np.float32)

Pixels = UInt[np.ndarray, "h w"] | UInt[np.ndarray, "h w 3"]


class BlendState(NamedTuple):
    """What is remembered of the previous frames.

    Attributes:
        blocks: The mean gray of blocks, on the 8-bit scale.
        chroma: (R − Y, B − Y) of each pixel, on the 8-bit scale.
    """

    blocks: Float[np.ndarray, "rows columns"]
    chroma: Float[np.ndarray, "h w 2"]


def blend_own_color(
    photo: UInt[np.ndarray, "h w 3"],
    colored: UInt[np.ndarray, "h w 3"],
    tint: Float[np.ndarray, "256 2"] = NO_TINT,
) -> UInt[np.ndarray, "h w 3"]:
    """Blend the color that a photo already has with a coloring. The luma is that of the photo.

    Each pixel keeps its own chroma, and adds a share of the difference to the coloring: max(0, 1 − m / 40), where m is
    the length in levels of its own chroma beyond the tint. A gray or tinted pixel takes the coloring. A pixel of strong
    color stays as it is.

    Args:
        photo: uint8 or uint16 levels.
        colored: A coloring of the photo, of the same dtype.
        tint: The chroma at each gray level that does not count as color, on the 8-bit scale, from `tints.tint_of`.
    """
    peak = int(np.iinfo(photo.dtype).max)
    own, given = photo.reshape(-1, 3), colored.reshape(-1, 3)
    out = np.empty_like(own)
    step = 1 << 18  # pixels; one compiled program for all sizes
    for start in range(0, len(own), step):
        parts = [levels[start : start + step] for levels in (own, given)]
        missing = step - len(parts[0])
        padded = [np.pad(part, [(0, missing), (0, 0)]) for part in parts]
        out[start : start + step] = np.asarray(_keep_own(*padded, tint, peak=peak))[: len(parts[0])]
    return out.reshape(photo.shape)


def blend_over_time(
    memory: BlendState | None, photo: Pixels, colored: UInt[np.ndarray, "h w 3"]
) -> tuple[BlendState, UInt[np.ndarray, "h w 3"]]:
    """Blend the chroma of a frame with that of the previous frames, where nothing moves. The luma is that of the frame.

    Args:
        memory: The state after the previous frames. None at the start. A cut, or another size, starts anew.
        photo: The frame, uint8 or uint16.
        colored: The colored frame, of the same dtype.

    Returns:
        The new state, and the frame with stable chroma.
    """
    peak = int(np.iinfo(photo.dtype).max)
    h, w = photo.shape[:2]
    short = [(0, -h % CELL), (0, -w % CELL), (0, 0)]
    blocks = np.asarray(_blocks(np.pad(photo, short[: photo.ndim], mode="edge"), peak=peak))
    if memory is None or memory.chroma.shape[:2] != (h, w) or is_cut(memory.blocks, blocks):
        chroma = np.asarray(_chroma(colored, peak=peak))
        return BlendState(blocks, chroma), colored
    blocks, chroma, rgb = _stabilized(memory, blocks, photo, colored, peak=peak)
    return BlendState(np.asarray(blocks), np.asarray(chroma)), np.asarray(rgb)


def is_cut(
    before: Float[np.ndarray, "rows columns"], after: Float[np.ndarray, "rows columns"]
) -> bool:
    """Return whether two frames belong to different scenes: their blocks differ by more than 25 levels on average."""
    return bool(np.abs(before - after).mean() > CUT)


def _luma100(photo: Array) -> Array:
    return rgb_to_luma100(photo) if photo.ndim == 3 else 100 * photo.astype(jnp.int32)


@partial(jax.jit, static_argnames="peak")
def _chroma(rgb, peak):
    """Return chroma on the 8-bit scale."""
    luma = rgb_to_luma100(rgb) / 100
    return (rgb[..., ::2].astype(jnp.float32) - luma[..., None]) * (255 / peak)


@partial(jax.jit, static_argnames="peak")
def _keep_own(own, given, tint, peak):
    mine, theirs = _chroma(own, peak), _chroma(given, peak)
    level = jnp.rint(rgb_to_luma100(own) * (2.55 / peak)).astype(jnp.int32)
    beyond = mine - jnp.asarray(tint)[level]
    share = jnp.maximum(0, 1 - jnp.linalg.norm(beyond, axis=-1, keepdims=True) / FULL)
    mixed = (mine + share * (theirs - mine)) * (peak / 255)
    return apply_chroma(rgb_to_luma100(own), mixed, peak=peak).astype(own.dtype)


@partial(jax.jit, static_argnames="peak")
def _blocks(photo, peak):
    """Return the mean gray of blocks."""
    gray = _luma100(photo).astype(jnp.float32) * (2.55 / peak)
    h, w = gray.shape
    return gray.reshape(h // CELL, CELL, w // CELL, CELL).mean((1, 3))


@partial(jax.jit, static_argnames="peak")
def _stabilized(memory, blocks, photo, colored, peak):
    h, w = photo.shape[:2]
    still = MEMORY * jnp.exp(-(((blocks - memory.blocks) / STILL) ** 2))
    remembered = still * memory.blocks + (1 - still) * blocks
    share = jnp.repeat(jnp.repeat(still, CELL, 0), CELL, 1)[:h, :w, None]
    now = _chroma(colored, peak)
    chroma = now + share * (memory.chroma - now)
    rgb = apply_chroma(_luma100(photo), chroma * (peak / 255), peak=peak)
    return remembered, chroma, rgb.astype(colored.dtype)
