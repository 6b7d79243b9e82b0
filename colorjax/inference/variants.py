"""More than one color for a photo: variants that differ, and the likely colors at a place."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt, UInt8

from colorjax.color import apply_chroma, ciede2000, fit_gamut, luma_chroma_to_rgb, rgb_to_lab
from colorjax.config import Config, DenseConfig
from colorjax.errors import ConfigError
from colorjax.inference.colorizing import Weights, resolve_weights
from colorjax.inference.hints import Hints
from colorjax.inference.pipeline import Prediction, choose_chroma, choose_colors, predict, render
from colorjax.inference.tiles import TILE, photo_luma100
from colorjax.networks.bins import bin_centers

DISTINCT = 6.0  # target for the mean CIEDE2000 between variants, on the working copy
TILTS = 0.25 * 2.0 ** np.arange(0, 5, 0.5)  # strengths of a preference to try
VIVID = 1.5  # factor on the chroma of palette colors, each of which represents a whole bin
LIKE = 25.0  # levels of chroma; closer colors of a palette count as alike


def colorize_variants(
    photo: np.ndarray,
    weights: Weights = None,
    count: int = 3,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    hints: Hints | None = None,
    tile: int = TILE,
) -> list[UInt[np.ndarray, "h w 3"]]:
    """Color a photo in several plausible ways that differ from each other.

    The first variant is the result of `colorize`. Each other variant prefers one hue among those that the network
    considers possible. The preference is as weak as possible for a mean CIEDE2000 of about 6 between all variants on
    the working copy.

    Args:
        photo: As for `colorize`.
        weights: As for `colorize`, of the photo network.
        count: The number of variants, at least 1.
        vividness: As for `colorize`.
        temperature: As for `colorize`.
        hints: As for `colorize`.
        tile: As for `colorize`.

    Returns:
        One coloring per variant, as from `colorize`.

    Raises:
        ConfigError: `count` is below 1, or the network is dense, which knows only one color at each place.

    Example:
        >>> gray = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        >>> variants = colorjax.colorize_variants(gray, "photo-small", count=2)
        >>> len(variants)
        2
    """
    weights = resolve_weights(weights)
    prediction = predict(photo, weights, hints=hints)
    settings = {"vividness": vividness, "temperature": temperature}
    return [
        render(
            photo,
            choose_colors(prediction, weights[1], tilt=tilt, **settings),
            hints=hints,
            tile=tile,
        )
        for tilt in distinct_tilts(prediction, weights[1], count, **settings)
    ]


def palette(
    photo: np.ndarray, weights: Weights, place: tuple[int, int], count: int = 8
) -> UInt8[np.ndarray, "_ 3"]:
    """Return the likely colors at a place. They differ from each other, and the likeliest comes first.

    Args:
        photo: As for `colorize`.
        weights: As for `colorize_variants`.
        place: Row and column.
        count: The number of colors, at most the number of the network's bins.

    Returns:
        sRGB levels whose gray is that of the photo at the place, to half a level. There may be fewer colors where the
        photo is very dark or very bright.

    Example:
        >>> gray = np.full((48, 64), 128, np.uint8)
        >>> colorjax.palette(gray, "photo-small", (24, 32), count=4).shape
        (4, 3)
    """
    weights = resolve_weights(weights)
    prediction = predict(photo, weights)
    row, column = np.array(place) * np.array(prediction.gray.shape) // np.array(photo.shape[:2])
    spot = np.asarray(photo)[place[0] : place[0] + 1, place[1] : place[1] + 1]
    luma100 = np.asarray(photo_luma100(spot))[0, 0] * 255 // np.iinfo(spot.dtype).max
    centers = _bin_centers(weights[1])
    colored = np.asarray(apply_chroma(np.full(len(centers), luma100, np.int32), VIVID * centers))
    left = np.asarray(jax.nn.softmax(prediction.cells[row, column]))
    chosen: list[int] = []
    while len(chosen) < count and left.max() >= 0:
        best = int(np.argmax(left))
        chosen.append(best)
        left = left * (1 - np.exp(-np.sum(((centers - centers[best]) / LIKE) ** 2, -1) / 2))
        left = np.where((colored == colored[best]).all(-1), -1, left)
    return colored[chosen].astype(np.uint8)


def distinct_tilts(
    prediction: Prediction,
    config: Config,
    count: int,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
) -> Float[np.ndarray, "count bins"]:
    """Return tilts for `choose_colors`, whose colorings differ from each other. The first tilt is zero.

    They are the weakest tilts that make all colorings distinct, or the strongest that are tried.

    Args:
        prediction: The result of `predict`, of the photo network.
        config: The config of the network.
        count: The number of tilts, at least 1.
        vividness: As for `colorize`.
        temperature: As for `colorize`.

    Raises:
        ConfigError: as for `colorize_variants`.
    """
    if count < 1:
        raise ConfigError(f"variants is {count}; expected an integer of at least 1")
    natural = np.zeros((1, len(_bin_centers(config))), np.float32)
    if count == 1:
        return natural
    tilts, apart = _tilts(
        prediction, np.float32(vividness), np.float32(temperature), config, count - 1
    )
    enough = np.flatnonzero(np.asarray(apart) >= DISTINCT)
    chosen = np.asarray(tilts)[enough[0] if len(enough) else -1]
    return np.concatenate([natural, chosen])


def _bin_centers(config: Config) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma that the photo network's bins stand for, or refuse a dense network."""
    if isinstance(config.network, DenseConfig):
        raise ConfigError("variants and palettes need the weights of a photo network")
    return bin_centers(config.network)


@partial(jax.jit, static_argnames=("config", "count"))
def _tilts(
    prediction: Prediction,
    vividness: Float[Array, ""],
    temperature: Float[Array, ""],
    config: Config,
    count: int,
) -> tuple[Float[Array, "strengths count bins"], Float[Array, " strengths"]]:
    """Return for each strength the preferences for `count` hues, and the least distance between two colorings.

    The hues lie evenly around the circle, away from the mean color of the natural setting.
    """

    def chroma(tilt):
        return choose_chroma(
            prediction, config, vividness=vividness, temperature=temperature, tilt=tilt
        )

    natural = chroma(0.0)
    mean = natural.mean((0, 1))
    hues = jnp.arctan2(mean[1], mean[0]) + 2 * jnp.pi * (jnp.arange(count) + 1) / (count + 1)
    centers = _bin_centers(config)
    bins = np.arctan2(centers[:, 1], centers[:, 0])
    colored = np.hypot(centers[:, 0], centers[:, 1]) > 0
    preference = jnp.where(colored[None], jnp.cos(bins[None] - hues[:, None]), 0)

    def lab(chosen):
        return rgb_to_lab(luma_chroma_to_rgb(prediction.gray, fit_gamut(prediction.gray, chosen)))

    def least_distance(tilts):
        labs = [lab(natural)]
        labs += [lab(chroma(tilt)) for tilt in tilts]
        pairs = itertools.combinations(labs, 2)
        return jnp.stack([ciede2000(a, b).mean() for a, b in pairs]).min()

    tilts = jnp.asarray(TILTS, jnp.float32)[:, None, None] * preference[None]
    return tilts, jax.lax.map(least_distance, tilts)
