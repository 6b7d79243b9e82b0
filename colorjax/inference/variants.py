"""More than one color for a photo: variants unlike each other, and likely colors at a place."""

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

DISTINCT = 6.0  # mean CIEDE2000 between variants that is aimed at, on the working copy
TILTS = 0.25 * 2.0 ** np.arange(0, 5, 0.5)  # strengths of a variant's preference that are tried
VIVID = 1.5  # factor on the chroma of a palette's colors, which stand for a bin's whole reach
LIKE = 25.0  # levels of chroma within which two colors of a palette are alike


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
    """Give a photo several plausible colorings, unlike each other.

    The first is `colorize`'s. Each other prefers a hue among those that the network holds possible, as strongly as it
    takes for all of them to differ by a mean CIEDE2000 of about 6 on the working copy, or as strongly as is tried.

    Args:
        photo: as for `colorize`.
        weights: likewise; of the photo network.
        count: at least 1.
        vividness: as for `colorize`.
        temperature: as for `colorize`.
        hints: as for `colorize`.
        tile: as for `colorize`.

    Raises:
        ConfigError: a count below 1, or a dense network, which holds one color possible at each place.

    Spec: INF-030
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
    """Return colors that are likely at a place, unlike each other, the likeliest first.

    Args:
        photo: as for `colorize`.
        weights: as for `colorize_variants`.
        place: row and column.
        count: of colors, at most the number of the network's bins.

    Returns:
        sRGB levels whose gray is the photo's there (half a level); fewer where its light allows fewer.

    Spec: INF-031
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
    """Return the preferences for `choose_colors` of several colorings unlike each other, of which the first has none.

    They are the weakest that set all colorings apart, or the strongest that are tried.

    Args:
        prediction: from `predict`; of the photo network.
        config: of the network.
        count: at least 1.
        vividness: as for `colorize`.
        temperature: as for `colorize`.

    Raises:
        ConfigError: as for `colorize_variants`.

    Spec: INF-030, VID-006
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
