"""More than one color for a photo: variants that differ thing by thing, and likely colors of the thing at a place."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt, UInt8

from colorjax.color import apply_chroma, ciede2000, fit_gamut, luma_chroma_to_rgb, rgb_to_lab
from colorjax.config import Config, DenseConfig
from colorjax.errors import ConfigError
from colorjax.inference.colorizing import Weights, resolve_weights
from colorjax.inference.hints import Hints
from colorjax.inference.pipeline import (
    THINGS,
    Prediction,
    Tilt,
    choose_chroma,
    choose_colors,
    predict,
    render,
)
from colorjax.inference.things import affinity, anchors, memberships
from colorjax.inference.tiles import TILE
from colorjax.networks.bins import bin_centers

DISTINCT = 6.0  # mean CIEDE2000 between variants, where they may differ, that is aimed at
PLAUSIBLE = (0.5, 0.35, 0.25, 0.18, 0.12)  # an alternative's likelihood over the likeliest's
UNLIKELY = (0.06, 0.03, 0.01)  # likewise, where variants would else be nearly the same
SAME = 4.5  # mean CIEDE2000 of those
CERTAIN = 0.9  # share of its thing that the color of a variant gets
REACH = 25.0  # levels of chroma within which colors count as one
COLORED = 14.0  # levels of chroma from which a color is an alternative
MIDDLE = 140  # gray that a palette's colors are shown at
APART = 8.0  # CIEDE2000 between any two colors of a palette
VIVID = 1.5  # factor on the chroma of a palette's colors, which stand for a bin's whole reach


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
    """Color a photo in several plausible ways.

    The first is `colorize`'s. The others give things other colors that the network finds likely for them: a dress may
    change, a sky or a face, of which the network is certain, stays.

    Args:
        photo: As for `colorize`, an array of integer levels.
        weights: Likewise, of a photo network.
        count: The number of variants, at least 1.
        vividness: As for `colorize`.
        temperature: As for `colorize`.
        hints: As for `colorize`.
        tile: As for `colorize`.

    Raises:
        ConfigError: the count is below 1, or the network is a dense one, which knows one color for each place.

    Example:
        >>> photo = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        >>> [picture.shape for picture in colorjax.colorize_variants(photo, "photo-small", 2)]
        [(48, 64, 3), (48, 64, 3)]
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
    """Return likely colors of the thing at a place, the likeliest first.

    Args:
        photo: As for `colorize`, an array of integer levels.
        weights: As for `colorize_variants`.
        place: Row and column.
        count: The most colors.

    Returns:
        sRGB levels, all of the gray 140, where colors are told apart well. Any two differ by a CIEDE2000 of 8. There
        are fewer than `count` if no more differ so much.

    Example:
        >>> photo = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        >>> colorjax.palette(photo, "photo-small", (24, 32), 6).shape
        (6, 3)
    """
    weights = resolve_weights(weights)
    place = tuple(np.array(place) / np.array(np.shape(photo)[:2]))
    return likely_colors(predict(photo, weights), weights[1], place, count)[0]


def likely_colors(
    prediction: Prediction, config: Config, place: tuple[float, float], count: int = 8
) -> tuple[UInt8[np.ndarray, "_ 3"], Float[np.ndarray, " _"]]:
    """Return likely colors of the thing at a place, and their probabilities.

    Args:
        prediction: From `predict`.
        config: Of the photo network.
        place: Row and column, as shares of height and width in [0, 1).
        count: The most colors.

    Returns:
        The colors as `palette` gives them, and for each the share of the thing's color that is nearest to it.
    """
    centers = _bin_centers(config)
    shape = np.array(prediction.gray.shape)
    row, column = np.clip((np.array(place) * shape).astype(int), 0, shape - 1)
    share = np.asarray(_thing_distribution(prediction, np.array([row, column], np.int32)))
    colored = np.asarray(
        apply_chroma(np.full(len(centers), 100 * MIDDLE, np.int32), VIVID * centers)
    )
    lab = rgb_to_lab(colored.astype(np.float32))
    pairs = np.broadcast_arrays(np.asarray(lab)[:, None], np.asarray(lab)[None])
    distances = np.asarray(_ciede2000(*pairs))
    chosen: list[int] = []
    # a color counts with those around it, or the finest bins would hide behind coarse ones
    likely = _smeared(share, centers)
    for best in np.argsort(-likely, kind="stable"):
        if all(distances[best, other] >= APART for other in chosen):
            chosen.append(int(best))
        if len(chosen) == count:
            break
    nearest = np.argmin(distances[:, chosen], axis=1)
    probability = np.bincount(nearest, share, len(chosen))
    order = np.argsort(-probability, kind="stable")
    return colored[chosen][order].astype(np.uint8), probability[order].astype(np.float32)


def distinct_tilts(
    prediction: Prediction,
    config: Config,
    count: int,
    *,
    vividness: float = 1.0,
    temperature: float = 1.0,
) -> list[Tilt]:
    """Return the preferences for `choose_colors` of several plausible colorings, of which the first has none.

    Each other one gives some things another of their likely colors. The less likely colors are taken only if it needs
    them for all colorings to differ where they may, by a mean CIEDE2000 of about 6.

    Args:
        prediction: From `predict`, of a photo network.
        config: Of the network.
        count: At least 1.
        vividness: As for `colorize`.
        temperature: As for `colorize`.

    Raises:
        ConfigError: as for `colorize_variants`.
    """
    if count < 1:
        raise ConfigError(f"variants is {count}; expected an integer of at least 1")
    centers = _bin_centers(config)
    things, shares, distributions = map(np.asarray, _things(prediction))
    options = [_alternatives(share, centers, count - 1) for share in distributions]

    def tilts(least):
        choices = _choices([likelihoods >= least for _, likelihoods in options], count)
        each = np.zeros((count, THINGS, len(centers)), np.float32)
        for variant, thing in zip(*np.nonzero(choices), strict=True):
            color = options[thing][0][choices[variant, thing] - 1]
            each[variant, thing] = _toward(color, distributions[thing], centers)
        overall = np.zeros(len(centers), np.float32)
        return choices, [Tilt(overall, things, own) for own in each]

    for least in PLAUSIBLE + UNLIKELY:
        choices, found = tilts(least)
        labs = [
            _lab(prediction, np.float32(vividness), np.float32(temperature), tilt, config)
            for tilt in found
        ]
        pairs = itertools.combinations(range(count), 2)
        apart = [_distance(labs[a], labs[b], shares @ (choices[a] != choices[b])) for a, b in pairs]
        if min(apart, default=DISTINCT) >= (DISTINCT if least > PLAUSIBLE[-1] else SAME):
            break
    return found


def _choices(plausible: list[np.ndarray], count: int) -> Int[np.ndarray, "count things"]:
    """Return for each variant which of its plausible alternatives each thing takes; 0 is its natural color."""
    choices = np.zeros((count, len(plausible)), int)
    changing = 0
    for thing, fits in enumerate(plausible):
        if fits.any():
            # neighbors in the list begin with different ones, so that no variant is all natural
            colors = np.concatenate([1 + np.flatnonzero(fits), [0]])
            for variant in range(1, count):
                choices[variant, thing] = colors[(variant - 1 + changing) % len(colors)]
            changing += 1
    return choices


def _alternatives(share, centers, count):
    """Return other colors of a thing, as chroma, and how likely each is over the likeliest."""
    likely = _smeared(share, centers)
    natural = share @ centers
    left = likely * (np.hypot(*centers.T) >= COLORED)
    colors, likelihoods = [], []
    taken = natural
    for _ in range(count):
        left = left * (1 - np.exp(-((centers - taken) ** 2).sum(-1) / (2 * (1.5 * REACH) ** 2)))
        best = int(np.argmax(left))
        taken = centers[best]
        colors.append(taken)
        likelihoods.append(left[best] / max(likely.max(), 1e-9))
    return np.array(colors).reshape(-1, 2), np.array(likelihoods)


def _smeared(share, centers):
    """Return the probability of each bin together with its like."""
    return share @ np.exp(
        -((centers[:, None] - centers[None]) ** 2).sum(-1) / (2 * (REACH / 2) ** 2)
    )


def _toward(color, share, centers):
    """Return what to add to the logits of a thing so that a color gets most of it."""
    like = np.exp(-((centers - color) ** 2).sum(-1) / (2 * REACH**2))
    mass = np.clip(share @ like, 1e-6, CERTAIN)
    return (np.log(CERTAIN / (1 - CERTAIN)) - np.log(mass / (1 - mass))) * like


def _bin_centers(config: Config) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma that the photo network's bins stand for, or refuse a dense network."""
    if isinstance(config.network, DenseConfig):
        raise ConfigError("variants and palettes need the weights of a photo network")
    return bin_centers(config.network)


@jax.jit
def _things(prediction: Prediction):
    """Return anchors of the photo's things, the shares of the cells in them, and their distributions over the bins."""
    found = anchors(prediction.features, THINGS)
    shares = memberships(prediction.features, found)
    cells = jax.nn.softmax(prediction.cells, axis=-1)
    total = jnp.einsum("nmt,nmb->tb", shares, cells, precision="highest")
    return found, shares, total / jnp.maximum(total.sum(-1, keepdims=True), 1e-6)


@jax.jit
def _thing_distribution(
    prediction: Prediction, cell: Int[Array | np.ndarray, "2"]
) -> Float[Array, " bins"]:
    """Return the distribution over the bins of the thing that a cell belongs to."""
    rows, columns, _ = prediction.features.shape
    grid = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"), -1)
    features = prediction.features.reshape(rows * columns, -1)
    like = affinity(
        features,
        grid.reshape(-1, 2),
        prediction.features[cell[0], cell[1]][None],
        cell[None],
        (rows, columns),
    )[:, 0]
    cells = jax.nn.softmax(prediction.cells, axis=-1).reshape(rows * columns, -1)
    return jnp.matmul(like**2, cells, precision="highest") / (like**2).sum()


@partial(jax.jit, static_argnames="config")
def _lab(prediction, vividness, temperature, tilt, config):
    """Return the cells' colors in CIELAB."""
    chroma = choose_chroma(
        prediction, config, vividness=vividness, temperature=temperature, tilt=tilt
    )
    fitted = fit_gamut(prediction.gray, chroma)
    return rgb_to_lab(luma_chroma_to_rgb(prediction.gray, fitted))


def _distance(one, other, weights) -> float:
    """Return the mean CIEDE2000 between two colorings, over cells by their weights."""
    total = weights.sum()
    return float((np.asarray(_ciede2000(one, other)) * weights).sum() / total) if total else 0.0


_ciede2000 = jax.jit(ciede2000)
