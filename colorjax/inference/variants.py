"""Several plausible colorings of a photo, which differ thing by thing, and likely colors of the thing at a place."""

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

DISTINCT = 6.0  # desired mean CIEDE2000 between variants, where they may differ
# least likelihoods of an alternative, relative to the likeliest color, which are tried in turn
PLAUSIBLE = (0.5, 0.35, 0.25, 0.18, 0.12)
UNLIKELY = (0.06, 0.03, 0.01)  # tried next, if variants are still too similar
SAME = 4.5  # mean CIEDE2000 below which variants are nearly equal
CERTAIN = 0.9  # probability that a variant gives to the new color of a thing
REACH = 25.0  # levels of chroma within which colors are similar
COLORED = 14.0  # least length in levels of the chroma of an alternative
MIDDLE = 140  # gray of the colors of a palette
APART = 8.0  # least CIEDE2000 between two colors of a palette
VIVID = 1.5  # factor on the chroma of the colors of a palette


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

    The first variant is the result of `colorize`. In the others, some things have other colors that the network finds
    likely for them. A dress may change. A sky or a face, of which the network is certain, does not.

    Args:
        photo: As for `colorize`, an array of integer levels.
        weights: As for `colorize`, of a photo network.
        count: The number of variants, at least 1.
        vividness: As for `colorize`.
        temperature: As for `colorize`.
        hints: As for `colorize`.
        tile: As for `colorize`.

    Raises:
        ConfigError: the count is below 1, or the network is a dense one, which predicts one color for each place.

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
        sRGB levels, all of gray 140, at which colors are easy to distinguish. Any two differ by a CIEDE2000 of at least
        8, so there may be fewer than `count`.

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
        config: The config of the photo network.
        place: Row and column, as shares of height and width in [0, 1).
        count: The most colors.

    Returns:
        The colors as `palette` returns them, and for each the probability of all bins that are nearest to it.
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
    # similar bins count together, otherwise the small bins would seem less likely than the large ones
    likely = _with_similar(share, centers)
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
    """Return the preferences with which `choose_colors` makes several plausible colorings. The first one is neutral.

    In each other coloring, some things take another of their likely colors. Less likely colors are used only if the
    colorings would otherwise be too similar: where they may differ, they differ by a mean CIEDE2000 of about 6.

    Args:
        prediction: From `predict`, of a photo network.
        config: The config of the network.
        count: The number of colorings, at least 1.
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
    """Return for each variant the number of the alternative that each thing takes; 0 is its natural color."""
    choices = np.zeros((count, len(plausible)), int)
    changing = 0
    for thing, fits in enumerate(plausible):
        if fits.any():
            # things start with different colors, so that no variant is natural everywhere
            colors = np.concatenate([1 + np.flatnonzero(fits), [0]])
            for variant in range(1, count):
                choices[variant, thing] = colors[(variant - 1 + changing) % len(colors)]
            changing += 1
    return choices


def _alternatives(share, centers, count):
    """Return other colors of a thing as chroma, and their likelihoods relative to the likeliest color."""
    likely = _with_similar(share, centers)
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


def _with_similar(share, centers):
    """Return for each bin the probability of the bin and of similar bins, weighted by their similarity."""
    return share @ np.exp(
        -((centers[:, None] - centers[None]) ** 2).sum(-1) / (2 * (REACH / 2) ** 2)
    )


def _toward(color, share, centers):
    """Return what to add to the logits of a thing so that it most likely takes a color."""
    like = np.exp(-((centers - color) ** 2).sum(-1) / (2 * REACH**2))
    mass = np.clip(share @ like, 1e-6, CERTAIN)
    return (np.log(CERTAIN / (1 - CERTAIN)) - np.log(mass / (1 - mass))) * like


def _bin_centers(config: Config) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma of the bins, or raise an error for a dense network."""
    if isinstance(config.network, DenseConfig):
        raise ConfigError("variants and palettes need the weights of a photo network")
    return bin_centers(config.network)


@jax.jit
def _things(prediction: Prediction):
    """Return the anchors of the photo's things, the cells' memberships, and the things' distributions over the bins."""
    found = anchors(prediction.features, THINGS)
    shares = memberships(prediction.features, found)
    cells = jax.nn.softmax(prediction.cells, axis=-1)
    total = jnp.einsum("nmt,nmb->tb", shares, cells, precision="highest")
    return found, shares, total / jnp.maximum(total.sum(-1, keepdims=True), 1e-6)


@jax.jit
def _thing_distribution(
    prediction: Prediction, cell: Int[Array | np.ndarray, "2"]
) -> Float[Array, " bins"]:
    """Return the distribution over the bins for the thing to which a cell belongs."""
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
    """Return the colors of the cells in CIELAB."""
    chroma = choose_chroma(
        prediction, config, vividness=vividness, temperature=temperature, tilt=tilt
    )
    fitted = fit_gamut(prediction.gray, chroma)
    return rgb_to_lab(luma_chroma_to_rgb(prediction.gray, fitted))


def _distance(one, other, weights) -> float:
    """Return the mean CIEDE2000 between two colorings, with a weight for each cell."""
    total = weights.sum()
    return float((np.asarray(_ciede2000(one, other)) * weights).sum() / total) if total else 0.0


_ciede2000 = jax.jit(ciede2000)
