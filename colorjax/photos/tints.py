"""Tinted photos: gray photos in one tone, such as sepia, as opposed to photos with color."""

import numpy as np
from jaxtyping import Float, UInt

_KNOTS = 64
_BANDS = 16  # of gray, each with enough blocks for a median
_MOST_BLOCKS = 1 << 18  # photos of up to 16 : 1 have fewer


def is_tinted(rgb: UInt[np.ndarray, "h w 3"]) -> bool:
    """Return whether an RGB photo is a gray photo in one tone, such as sepia, yellowed paper or cyanotype.

    In such a photo the chroma, averaged over blocks, stays close to one curve over luma. A neutral gray photo counts
    too.

    Args:
        rgb: uint8 or uint16 levels.
    """
    luma, chroma = _luma_chroma(rgb)
    place = luma * ((_KNOTS - 1) / 255)
    below = np.minimum(place.astype(int), _KNOTS - 2)
    above_share = place - below
    knots, weights = np.zeros((_KNOTS, 2)), np.full(_KNOTS, 1e-9)
    for knot, share in ((below, 1 - above_share), (below + 1, above_share)):
        np.add.at(knots, knot, share[:, None] * chroma)
        np.add.at(weights, knot, share)
    knots /= weights[:, None]
    curve = knots[below] * (1 - above_share[:, None]) + knots[below + 1] * above_share[:, None]

    off_curve, off_gray = (
        np.sqrt((distance**2).sum(1).mean()) for distance in (chroma - curve, chroma)
    )
    return bool(off_curve <= max(2, 0.09 * off_gray, min(5, 0.2 * off_gray)))


def tint_of(rgb: UInt[np.ndarray, "h w 3"]) -> Float[np.ndarray, "256 2"]:
    """Return the tint of a tinted photo at each gray level.

    Args:
        rgb: uint8 or uint16 levels.

    Returns:
        (R − Y, B − Y) on the 8-bit scale at each of 256 gray levels. These are medians, so small areas of another color
        do not change them.
    """
    luma, chroma = _luma_chroma(rgb)
    bands = (luma * (_BANDS / 256)).astype(int)
    inside = [bands == band for band in np.unique(bands)]
    grays = [np.median(luma[band]) for band in inside]
    tints = np.array([np.median(chroma[band], 0) for band in inside])
    curves = [np.interp(np.arange(256), grays, tint) for tint in tints.T]
    return np.stack(curves, -1).astype(np.float32)


def _luma_chroma(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return luma and (R − Y, B − Y) of blocks, on the 8-bit scale."""
    small = _blocks(rgb) / (np.iinfo(rgb.dtype).max / 255)
    luma = small @ np.array([0.21, 0.72, 0.07])
    return luma, small[:, [0, 2]] - luma[:, None]


def _blocks(rgb: np.ndarray) -> np.ndarray:
    """Return the means of square blocks, as float64 (n, 3): 64 to 127 blocks along the short side, if it allows.

    Of very long photos the blocks are as long as `_MOST_BLOCKS` requires.
    """
    short, long = sorted(rgb.shape[:2])
    side = max(1, short // 64)
    length = max(side, -(-long // (_MOST_BLOCKS // (short // side))))
    rows, columns = (
        # 8 to 15 samples per side of a block are enough
        np.arange(n - n % each).reshape(-1, each)[:, :: max(1, each // 8)]
        for n in rgb.shape[:2]
        for each in [side if n == short else length]
    )
    samples = rgb[rows.ravel()][:, columns.ravel()].astype(np.float32)
    return (
        samples.reshape(*rows.shape, *columns.shape, 3)
        .mean((1, 3))
        .reshape(-1, 3)
        .astype(np.float64)
    )
