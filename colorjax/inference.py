"""Colour at any size: a working copy through the network, its chroma lifted onto the photo's own light.

    photo → reduce_gray → resize → network → Prediction → decode, hints → lines → paint → photo

What depends on the photo's size is in `fullsize`; all else has one of a few shapes.
"""

import dataclasses
import itertools
import math
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt, UInt8

from colorjax.color import (
    ciede2000,
    compress_chroma,
    fit_gamut,
    fit_light,
    luma_chroma_to_rgb,
    rgb_to_gray,
    rgb_to_lab,
    rgb_to_luma_chroma,
)
from colorjax.config import Config, DenseConfig
from colorjax.errors import ConfigError, PhotoError
from colorjax.fullsize import TILE, Reduced, light_of, paint, reduce_gray, resize
from colorjax.hints import Hints, pad_rows, spread_hints
from colorjax.networks import forward
from colorjax.networks.unet import CELL, apply_unet, bin_centres, decode, stride
from colorjax.resample import SLOPE, edge_lines
from colorjax.weights import load_weights

ASPECTS = (1.0, 4 / 3, 3 / 2, 2.0, 2.75, 4.0, 6.0, 9.0, 13.0, 16.0)  # of the working copy
DISTINCT = 6.0  # mean CIEDE2000 between variants that is aimed at, on the working copy
TILTS = 0.25 * 2.0 ** np.arange(0, 5, 0.5)  # strengths of a variant's preference that are tried
VIVID = 1.5  # factor on the chroma of a palette's colours, which stand for a bin's whole reach
LIKE = 25.0  # levels of chroma within which two colours of a palette are alike

Weights = str | os.PathLike | tuple[PyTree, Config] | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network makes of a photo, before colours are chosen from it.

    Attributes:
        cells: (n, m, bins), logits of the photo network's chroma bins; (n, m, 2), a dense network's chroma.
        gray: (n, m), of the cells, in levels.
        hints: (n, m, 3), chroma and mask of the cells, or None.
    """

    cells: Array
    gray: Array
    hints: Array | None


def colorize(
    photo: np.ndarray,
    weights: Weights = None,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    tilt: float | np.ndarray = 0.0,
    hints: Hints | None = None,
    tile: int = TILE,
) -> UInt[np.ndarray, "h w 3"]:
    """Give a photo its colour, at its own size and on its own light.

    Args:
        photo: uint8 or uint16, gray (h, w) or RGB (h, w, 3), whose gray is taken; of any size; not written to.
        weights: the path of a weights file, (params, config), or None for the packaged weights.
        vividness: 0 is gray, 1 is natural (the config says how much that is), above 1 more vivid.
        temperature: below 1, undecided places take their likeliest colour; above 1, they turn gray; nothing to a dense
            network.
        tilt: a preference for some colours, from `distinct_tilts`.
        hints: colours that are known: kept where they are, and spread to what is of like gray around.
        tile: side in pixels of the squares in which the photo is painted; the result does not depend on it.

    Returns:
        RGB of the photo's type with |21 R + 72 G + 7 B − 100 g| ≤ 50 at every pixel of gray g, for RGB input
        21 r + 72 g + 7 b in place of 100 g.

    Raises:
        PhotoError: the array is empty, neither uint8 nor uint16, or not (h, w) or (h, w, 3).
        HintError: a hint is outside the photo.
        WeightsError: the weights cannot be read.

    Spec: INF-001, INF-002, INF-003, INF-004, INF-006, INF-007, INF-008, INF-012, INF-013, INF-020, INF-022
    """
    weights = _loaded(weights)
    seen = predict(photo, weights, hints=hints)
    lines = choose(seen, weights[1], vividness=vividness, temperature=temperature, tilt=tilt)
    return draw(photo, lines, hints=hints, tile=tile)


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
    """Give a photo several plausible colourings, unlike each other.

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
        ConfigError: a count below 1, or a dense network, which holds one colour possible at each place.

    Spec: INF-030
    """
    weights = _loaded(weights)
    seen = predict(photo, weights, hints=hints)
    settings = {"vividness": vividness, "temperature": temperature}
    return [
        draw(photo, choose(seen, weights[1], tilt=tilt, **settings), hints=hints, tile=tile)
        for tilt in distinct_tilts(seen, weights[1], count, **settings)
    ]


def palette(
    photo: np.ndarray, weights: Weights, place: tuple[int, int], count: int = 8
) -> UInt8[np.ndarray, "_ 3"]:
    """Return colours that are likely at a place, unlike each other, the likeliest first.

    Args:
        photo: as for `colorize`.
        weights: as for `colorize_variants`.
        place: row and column.
        count: of colours, at most the number of the network's bins.

    Returns:
        sRGB levels whose gray is the photo's there (half a level); fewer where its light allows fewer.

    Spec: INF-031
    """
    weights = _loaded(weights)
    seen = predict(photo, weights)
    row, column = np.array(place) * np.array(seen.gray.shape) // np.array(photo.shape[:2])
    spot = np.asarray(photo)[place[0] : place[0] + 1, place[1] : place[1] + 1]
    light = np.asarray(light_of(spot))[0, 0] * 255 // np.iinfo(spot.dtype).max
    centres = _bin_centres(weights[1])
    coloured = np.asarray(fit_light(np.full(len(centres), light, np.int32), VIVID * centres))
    left = np.asarray(jax.nn.softmax(seen.cells[row, column]))
    chosen: list[int] = []
    while len(chosen) < count and left.max() >= 0:
        best = int(np.argmax(left))
        chosen.append(best)
        left = left * (1 - np.exp(-np.sum(((centres - centres[best]) / LIKE) ** 2, -1) / 2))
        left = np.where((coloured == coloured[best]).all(-1), -1, left)
    return coloured[chosen].astype(np.uint8)


def predict(
    photo: np.ndarray,
    weights: tuple[PyTree, Config],
    *,
    hints: Hints | None = None,
) -> Prediction:
    """Let the network look at a photo: the costly part, from which `choose` takes colours as often as wanted.

    Args:
        photo: as for `colorize`.
        weights: (params, config).
        hints: as for `colorize`.

    Spec: INF-001, INF-020, INF-023
    """
    photo = _checked(photo)
    params, config = weights
    reduced = reduce_gray(photo, working_shape(photo.shape[:2], config))
    seen = _predict(params, reduced, config)
    if hints is None or not len(hints.places):
        return seen
    hints.check_inside(photo.shape)
    on_cells = hints.on_grid(photo.shape, seen.gray.shape)
    return dataclasses.replace(seen, hints=jnp.asarray(on_cells))


def choose(
    seen: Prediction,
    config: Config,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    tilt: float | np.ndarray = 0.0,
) -> Float[np.ndarray, "4 n m"]:
    """Choose colours from what the network holds possible, as lines from gray to chroma for `draw`.

    Args:
        seen: from `predict`.
        config: of the network.
        vividness: as for `colorize`.
        temperature: as for `colorize`.
        tilt: a preference for some bins, as for `unet.decode`.

    Spec: INF-012, INF-013
    """
    strengths = _strengths(config, vividness, temperature)
    bins = 1 if isinstance(config.network, DenseConfig) else seen.cells.shape[-1]
    tilt = np.broadcast_to(np.float32(tilt), bins)  # one shape: one program
    return np.asarray(_choose(seen, *strengths, tilt, config))


def distinct_tilts(
    seen: Prediction,
    config: Config,
    count: int,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
) -> Float[np.ndarray, "count bins"]:
    """Return the preferences for `choose` of several colourings unlike each other, of which the first has none.

    They are the weakest that set all colourings apart, or the strongest that are tried.

    Args:
        seen: from `predict`; of the photo network.
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
    natural = np.zeros((1, len(_bin_centres(config))), np.float32)
    if count == 1:
        return natural
    tilts, apart = _tilts(seen, *_strengths(config, vividness, temperature), config, count - 1)
    enough = np.flatnonzero(np.asarray(apart) >= DISTINCT)
    chosen = np.asarray(tilts)[enough[0] if len(enough) else -1]
    return np.concatenate([natural, chosen])


def draw(
    photo: np.ndarray,
    lines: Float[np.ndarray, "4 n m"],
    *,
    hints: Hints | None = None,
    tile: int = TILE,
) -> UInt[np.ndarray, "h w 3"]:
    """Put chosen colours on the photo's light, at its size; a hinted pixel gets exactly its hint's chroma.

    Args:
        photo: as for `colorize`.
        lines: from `choose`.
        hints: as for `colorize`.
        tile: as for `colorize`.

    Spec: INF-001, INF-020
    """
    rgb = paint(photo, lines, tile=tile)
    if hints is not None and len(hints.places):
        places = tuple(hints.places.T)
        peak = np.iinfo(photo.dtype).max
        rgb[places] = _fitted(photo[places][:, None], hints.chroma() * (peak // 255), peak)
    return rgb


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
    multiple = stride(config.network)
    sides = [max(1, round(short * a / multiple)) * multiple for a in ASPECTS]
    low = sides[0]
    # sides are multiples of the stride, so that their aspects are not quite the nominal ones
    high = min(sides, key=lambda side: abs(math.log(side / low / aspect)))
    return (low, high) if shape[0] <= shape[1] else (high, low)


@partial(jax.jit, static_argnames="config")
def recolor(
    params: PyTree, rgb: UInt8[Array, "photos n n 3"], config: Config
) -> UInt8[Array, "photos n n 3"]:
    """Return what `forward` makes of the photos' gray, rounded to levels: a network at its own size.

    Spec: EVL-024, EVL-025
    """
    return jnp.rint(forward(params, rgb_to_gray(rgb), config)).astype(jnp.uint8)


def _bin_centres(config: Config) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma that the photo network's bins stand for, or refuse a dense network."""
    if isinstance(config.network, DenseConfig):
        raise ConfigError("variants and palettes need the weights of a photo network")
    return bin_centres(config.network)


def _fitted(spots: np.ndarray, chroma: Float[np.ndarray, "n 2"], peak: int):
    """Return RGB of n gray or RGB pixels (n, 1) with known chroma, each channel rounded alone.

    In float64, where that keeps the light too: half a level of each channel is half a level of gray.
    """
    count, spots, chroma = len(spots), pad_rows(spots), pad_rows(chroma)
    luma = np.asarray(light_of(spots))[:, 0] / 100
    offset = np.asarray(fit_gamut(luma, chroma, peak=peak), np.float64)
    red, blue = (luma + offset.T).clip(0, peak)
    green = (100 * luma - 21 * red - 7 * blue) / 72
    return np.rint(np.stack([red, green, blue], -1).clip(0, peak))[:count]


def _loaded(weights: Weights) -> tuple[PyTree, Config]:
    return weights if isinstance(weights, tuple) else load_weights(weights)


def _checked(photo) -> np.ndarray:
    photo = np.asarray(photo)
    fits = photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] == 3)
    if photo.dtype not in (np.uint8, np.uint16) or not fits or not photo.size:
        shape = " × ".join(map(str, photo.shape))
        raise PhotoError(
            f"the photo is {shape} {photo.dtype}; expected h × w or h × w × 3 uint8 or uint16"
        )
    return photo


@partial(jax.jit, static_argnames="config")
def _predict(params: PyTree, reduced: Reduced, config: Config) -> Prediction:
    """Make the working copy and run the network on it."""
    network, gray = config.network, jnp.clip(resize(reduced), 0, 255)
    if isinstance(network, DenseConfig):
        return Prediction(rgb_to_luma_chroma(forward(params, gray, config))[1], gray, None)
    logits = apply_unet(params, gray, None, network)
    rows, columns = logits.shape[:2]
    return Prediction(logits, gray.reshape(rows, CELL, columns, CELL).mean((1, 3)), None)


def _strengths(config: Config, vividness: float, temperature: float):
    """Return the factor on the chroma, and the temperature: arrays, so that all values share programs."""
    return jnp.float32(config.vividness * vividness), jnp.float32(temperature)


def _chroma(seen: Prediction, vividness, temperature, tilt, config: Config):
    """Return the chosen chroma of the cells, drawn to the hints."""
    if isinstance(config.network, DenseConfig):
        chroma = seen.cells
    else:
        chroma = decode(seen.cells, config.network, temperature=temperature, tilt=tilt)
    if config.knee:
        chroma = compress_chroma(chroma, config.knee)
    chroma = vividness * chroma
    return chroma if seen.hints is None else spread_hints(chroma, seen.gray, seen.hints)


@partial(jax.jit, static_argnames="config")
def _choose(
    seen: Prediction,
    vividness: Float[Array, ""],
    temperature: Float[Array, ""],
    tilt: Float[Array, " bins"],
    config: Config,
) -> Float[Array, "4 n m"]:
    """Return the chosen chroma as lines from gray; a dense network's cells are too coarse for slopes."""
    share = 0.0 if isinstance(config.network, DenseConfig) else SLOPE
    chroma = _chroma(seen, vividness, temperature, tilt, config)
    return edge_lines(chroma, seen.gray, share=share)


@partial(jax.jit, static_argnames=("config", "count"))
def _tilts(
    seen: Prediction,
    vividness: Float[Array, ""],
    temperature: Float[Array, ""],
    config: Config,
    count: int,
) -> tuple[Float[Array, "strengths count bins"], Float[Array, " strengths"]]:
    """Return for each strength the preferences for `count` hues, and the least distance between two colourings.

    The hues lie evenly around the circle, away from the mean colour of the natural setting.
    """
    natural = _chroma(seen, vividness, temperature, 0.0, config)
    mean = natural.mean((0, 1))
    hues = jnp.arctan2(mean[1], mean[0]) + 2 * jnp.pi * (jnp.arange(count) + 1) / (count + 1)
    centres = _bin_centres(config)
    bins = np.arctan2(centres[:, 1], centres[:, 0])
    coloured = np.hypot(centres[:, 0], centres[:, 1]) > 0
    preference = jnp.where(coloured[None], jnp.cos(bins[None] - hues[:, None]), 0)

    def lab(chroma):
        rgb = luma_chroma_to_rgb(seen.gray, fit_gamut(seen.gray, chroma))
        return rgb_to_lab(rgb)

    def least_distance(tilts):
        labs = [lab(natural)]
        labs += [lab(_chroma(seen, vividness, temperature, tilt, config)) for tilt in tilts]
        pairs = itertools.combinations(labs, 2)
        return jnp.stack([ciede2000(a, b).mean() for a, b in pairs]).min()

    tilts = jnp.asarray(TILTS, jnp.float32)[:, None, None] * preference[None]
    return tilts, jax.lax.map(least_distance, tilts)
