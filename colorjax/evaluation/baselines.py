"""Baselines: colorings that need no network, fitted on training photos."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from colorjax.color.luma import LUMA_WEIGHTS

PIXELS = 2_000_000  # to fit the tints
SMALL = 64  # largest side in pixels for which the mean photo is stored


def fit_baselines(rgb: UInt8[np.ndarray, "photos h w 3"]) -> dict[str, Any]:
    """Fit the baselines on training photos of one size.

    Returns:
        A dict that JSON can hold. `tint` is the mean of RGB − gray. `level_tint` is, for each channel, the cubic in
        gray / 255 that fits best in the least-squares sense. `mean_photo` is the mean photo in whole levels, or empty
        for photos that are too large for a dense network.
    """
    chosen = rgb[:: max(1, rgb.size // (3 * PIXELS))]  # a few million pixels are enough
    levels = chosen.reshape(-1, 3).astype(np.float64)
    gray = levels @ LUMA_WEIGHTS
    cubic, *_ = np.linalg.lstsq(_powers(gray), levels, rcond=None)
    return {
        "tint": (levels - gray[:, None]).mean(0).round(3).tolist(),
        "level_tint": cubic.T.round(3).tolist(),
        "mean_photo": np.rint(rgb.mean(0)).astype(int).tolist() if rgb.shape[1] <= SMALL else [],
    }


def apply_baselines(
    baselines: dict[str, Any], gray: Float[np.ndarray, "h w"]
) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """Color a gray photo with each baseline. The mean photo applies only at its own size.

    Args:
        baselines: The result of `fit_baselines`. If it is empty, only the copied gray is returned.
        gray: Levels in [0, 255].
    """
    colored = {"gray": np.repeat(gray[..., None], 3, -1)}
    if baselines:
        colored["tint"] = gray[..., None] + np.array(baselines["tint"])
        colored["level tint"] = _powers(gray) @ np.array(baselines["level_tint"]).T
        mean = np.array(baselines["mean_photo"], np.float64)
        if mean.shape[:2] == gray.shape:
            colored["mean photo"] = mean
    return {name: np.rint(np.clip(c, 0, 255)).astype(np.uint8) for name, c in colored.items()}


def _powers(gray):
    return (gray[..., None] / 255) ** np.arange(4)
