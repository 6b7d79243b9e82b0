"""Color at any size: the network sees a working copy, and its chroma is upsampled and combined with the photo's luma.

    photo → reduce_gray → resize → network → Prediction → decode, hints → coefficients → paint → photo

`tiles` has everything that depends on the size of the photo. All other arrays have one of a few shapes.
"""

import dataclasses
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt, UInt8

from colorjax.color import (
    compress_chroma,
    fit_gamut,
    rgb_to_gray,
    rgb_to_luma_chroma,
    strengthen_chroma,
)
from colorjax.config import Config, DenseConfig
from colorjax.errors import PhotoError
from colorjax.inference.hints import CellHints, Hints, pad_rows, spread_hints
from colorjax.inference.resampling import SLOPE, guided_coefficients, soften_matrix
from colorjax.inference.things import describe, memberships, skies
from colorjax.inference.tiles import TILE, Reduced, paint, photo_luma100, reduce_gray, resize
from colorjax.networks import forward
from colorjax.networks.bins import bin_centers, decode, deviation
from colorjax.networks.photo import CELL, apply_photo_features

MUTED = 0.6  # of the knee: such chroma gains half as much from vividness as weak chroma
THINGS = 6  # things that are distinguished in a photo
AT_ONCE = 1 << 20  # hinted pixels, so that many need little memory
STEP = 16  # pixels; divides height and width of the working copy
ASPECTS = (1.0, 4 / 3, 3 / 2, 2.0, 2.75, 4.0, 6.0, 9.0, 13.0, 16.0)  # of working copies


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network predicts for a photo, before colors are chosen.

    Attributes:
        cells: (n, m, bins), the logits of the photo network's chroma bins, or (n, m, 2), a dense network's chroma.
        gray: (n, m), the gray of the cells in levels.
        features: (n, m, k), from `things.describe`. They are similar in cells of one thing.
        hints: Known colors of some cells, or None.
    """

    cells: Array
    gray: Array
    features: Array
    hints: CellHints | None = None


class Tilt(NamedTuple):
    """A preference for some colors, which is added to the logits of the bins.

    Attributes:
        overall: Added everywhere.
        anchors: Features that represent things, from `things.anchors`.
        each: Added to each thing, except where it is sky.
    """

    overall: Float[Array | np.ndarray, " bins"]
    anchors: Float[Array | np.ndarray, "things features"]
    each: Float[Array | np.ndarray, "things bins"]


def predict(
    photo: np.ndarray,
    weights: tuple[PyTree, Config],
    *,
    hints: Hints | None = None,
) -> Prediction:
    """Run the network on a photo. This is the expensive part; `choose_colors` can use its result many times.

    Args:
        photo: As for `colorize`.
        weights: (params, config).
        hints: As for `colorize`.
    """
    photo = _checked(photo)
    params, config = weights
    reduced = reduce_gray(photo, working_shape(photo.shape[:2], config))
    prediction = _predict(params, reduced, config)
    if hints is None or not len(hints.places):
        return prediction
    hints.check_inside(photo.shape)
    return dataclasses.replace(prediction, hints=hints.on_cells(photo.shape, prediction.gray.shape))


def choose_colors(
    prediction: Prediction,
    config: Config,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
    tilt: float | np.ndarray | Tilt = 0.0,
) -> Float[np.ndarray, "4 n m"]:
    """Choose colors from a prediction, as coefficients for `render`.

    Args:
        prediction: The result of `predict`.
        config: The config of the network.
        vividness: As for `colorize`.
        temperature: As for `colorize`.
        tilt: A preference for some bins, as for `bins.decode`.

    Returns:
        Slopes and offsets from gray to chroma, from `resampling.guided_coefficients`.
    """
    if not isinstance(tilt, Tilt):  # one type and one shape, so that one program serves all tilts
        bins = 1 if isinstance(config.network, DenseConfig) else prediction.cells.shape[-1]
        nothing = np.zeros((THINGS, prediction.features.shape[-1]), np.float32)
        each = np.zeros((THINGS, bins), np.float32)
        tilt = Tilt(np.broadcast_to(np.float32(tilt), bins), nothing, each)
    return np.asarray(
        _choose_colors(
            prediction,
            config,
            vividness=np.float32(vividness),
            temperature=np.float32(temperature),
            tilt=tilt,
        )
    )


def choose_chroma(
    prediction: Prediction,
    config: Config,
    *,
    vividness: float | Float[Array, ""] = 1.0,
    temperature: float | Float[Array, ""] = 1.0,
    tilt: float | Float[Array, " bins"] | Tilt = 0.0,
) -> Float[Array, "n m 2"]:
    """Choose the chroma of each cell, and spread the hints. This is the pure part of `choose_colors`.

    Args:
        prediction: As for `choose_colors`.
        config: The config. Its spread makes colors differ more, its knee compresses strong ones, and its vividness is a
            factor on all chroma.
        vividness: A factor on weak predicted chroma. Above 1, strong chroma gains less. It comes before the knee, so
            even vivid colors stay below the config's vividness times its knee.
        temperature: As for `bins.decode`.
        tilt: As for `bins.decode`.

    Returns:
        (R − Y, B − Y) in levels.
    """
    if isinstance(config.network, DenseConfig):
        chroma = prediction.cells
    else:
        if isinstance(tilt, Tilt):
            shares = memberships(prediction.features, jnp.asarray(tilt.anchors))
            shares *= 1 - skies(prediction.cells, bin_centers(config.network))[..., None]
            tilt = jnp.asarray(tilt.overall)[None, None] + jnp.matmul(
                shares, tilt.each, precision="highest"
            )
        chroma = decode(prediction.cells, config.network, temperature=temperature, tilt=tilt)
    if config.spread != 1:
        mean = chroma.mean((0, 1), keepdims=True)
        chroma = mean + config.spread * (chroma - mean)
    if config.knee:
        vivid = strengthen_chroma(chroma, vividness, MUTED * config.knee)
        chroma = compress_chroma(vivid, config.knee)
    else:
        chroma = vividness * chroma
    chroma = config.vividness * chroma
    if prediction.hints is None:
        return chroma
    doubt = jnp.ones(prediction.gray.shape)
    if not isinstance(config.network, DenseConfig):
        doubt = deviation(prediction.cells, config.network)
    return spread_hints(chroma, prediction.features, prediction.hints, doubt)


def render(
    photo: np.ndarray,
    coefficients: Float[np.ndarray, "4 n m"],
    *,
    hints: Hints | None = None,
    tile: int = TILE,
) -> UInt[np.ndarray, "h w 3"]:
    """Put the chosen colors on the photo's luma, at full size. A hinted pixel gets exactly the chroma of its hint.

    Args:
        photo: As for `colorize`.
        coefficients: The result of `choose_colors`.
        hints: As for `colorize`.
        tile: As for `colorize`.
    """
    rgb = paint(photo, coefficients, tile=tile)
    if hints is None:
        return rgb
    for start in range(0, len(hints.places), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        some = Hints(hints.places[part], hints.rgb[part])
        places, peak = tuple(some.places.T), np.iinfo(photo.dtype).max
        rgb[places] = _fitted(photo[places][:, None], some.chroma() * (peak // 255), peak)
    return rgb


def working_shape(shape: tuple[int, ...], config: Config) -> tuple[int, int]:
    """Return height and width of the working copy, which is one of a few shapes.

    Args:
        shape: (h, w) of the photo.
        config: The config. A dense network sees size × size. The photo network sees its working size on the short side,
            and the closest of a few aspect ratios, to which the photo is squashed.
    """
    if isinstance(config.network, DenseConfig):
        return config.size, config.size
    short = config.working_size or config.size
    aspect = max(shape) / min(shape)
    sides = [max(1, round(short * a / STEP)) * STEP for a in ASPECTS]
    low = sides[0]
    # sides are multiples of a step, so their aspects differ slightly from the nominal ones
    high = min(sides, key=lambda side: abs(math.log(side / low / aspect)))
    return (low, high) if shape[0] <= shape[1] else (high, low)


@partial(jax.jit, static_argnames="config")
def recolor(
    params: PyTree, rgb: UInt8[Array, "photos n n 3"], config: Config
) -> UInt8[Array, "photos n n 3"]:
    """Apply `forward` to the gray of photos at the network's own size, and round the result to levels."""
    return jnp.rint(forward(params, rgb_to_gray(rgb), config)).astype(jnp.uint8)


def _fitted(spots: np.ndarray, chroma: Float[np.ndarray, "n 2"], peak: int):
    """Return RGB of n gray or RGB pixels (n, 1) with known chroma, with each channel rounded separately.

    This keeps the light promise, because errors of half a level in all channels change gray by at most half a level.
    """
    count, spots, chroma = len(spots), pad_rows(spots), pad_rows(chroma)
    luma = np.asarray(photo_luma100(spots))[:, 0] / 100
    offset = np.asarray(fit_gamut(luma, chroma, peak=peak), np.float64)
    red, blue = (luma + offset.T).clip(0, peak)
    green = (100 * luma - 21 * red - 7 * blue) / 72
    return np.rint(np.stack([red, green, blue], -1).clip(0, peak))[:count]


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
    return predict_working_copy(params, resize(reduced), config)


def predict_working_copy(params: PyTree, gray: Float[Array, "n m"], config: Config) -> Prediction:
    """Run the network on a working copy: the pure part of `predict`.

    Args:
        params: The parameters of the network.
        gray: Levels, of the shape that `working_shape` returns. They are clipped to [0, 255].
        config: The config of the network.
    """
    network, gray = config.network, jnp.clip(gray, 0, 255)
    if isinstance(network, DenseConfig):
        chroma = rgb_to_luma_chroma(forward(params, gray, config))[1]
        return Prediction(chroma, gray, describe(jnp.zeros((*gray.shape, 0)), gray))
    logits, features = apply_photo_features(params, _soften(gray, config.softness), network)
    rows, columns = logits.shape[:2]
    means = gray.reshape(rows, CELL, columns, CELL).mean((1, 3))
    return Prediction(logits, means, describe(features, means))


def _soften(gray: Float[Array, "n m"], softness: float) -> Float[Array, "n m"]:
    """Soften a working copy. Sharp copies lower the accuracy, because the network learned from small, soft photos."""
    if softness == 1:
        return gray
    rows, columns = (jnp.asarray(soften_matrix(side, softness)) for side in gray.shape)
    softened = jnp.matmul(
        jnp.matmul(rows, gray, precision="highest"), columns.T, precision="highest"
    )
    return jnp.clip(softened, 0, 255)


def choose_coefficients(
    prediction: Prediction,
    config: Config,
    *,
    vividness: float | Float[Array, ""] = 1.0,
    temperature: float | Float[Array, ""] = 1.0,
    tilt: float | Float[Array, " bins"] | Tilt = 0.0,
) -> Float[Array, "4 n m"]:
    """Choose colors as coefficients from gray to chroma: the pure part of `choose_colors`.

    Arguments as for `choose_chroma`.
    """
    # a dense network's cells are too coarse for slopes
    share = 0.0 if isinstance(config.network, DenseConfig) else SLOPE
    chroma = choose_chroma(
        prediction, config, vividness=vividness, temperature=temperature, tilt=tilt
    )
    return guided_coefficients(chroma, prediction.gray, share=share)


_choose_colors = jax.jit(choose_coefficients, static_argnames="config")
