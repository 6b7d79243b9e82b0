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
from colorjax.inference.colorizing import Weights, check_strength, resolve_weights
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
from colorjax.inference.things import COLORED, affinity, anchors, memberships
from colorjax.inference.tiles import TILE
from colorjax.networks.bins import bin_centers

DISTINCT = 5.7  # target for the mean CIEDE2000 between variants, over the tenth of the cells that differ most
# least doubt of the hue of a thing that changes, and the probability of its new color; tried in turn until variants are
# distinct: first the things of most doubtful hue change, then these change more, and only then others
ATTEMPTS = (
    *((doubt, 0.9) for doubt in (2.0, 1.4, 1.0, 0.7, 0.5)),
    *((0.5, 0.95), (0.5, 0.98), (0.35, 0.95), (0.35, 0.98)),
    *((doubt, 0.95) for doubt in (0.25, 0.18, 0.12, 0.06)),
    (0.06, 0.98),
    (0.02, 0.98),
    (0.0, 0.99),
)
PLAUSIBLE = 0.02  # least likelihood of an alternative, relative to the likeliest color
REACH = 18.0  # levels of chroma within which a new color draws similar ones along
SIMILAR = 12.5  # levels of chroma within which bins count as one color
OTHER = 37.5  # levels of chroma beyond which a color is another one
ALIKE = 40.0  # degrees within which hues are similar
MIDDLE = 140  # gray of the colors of a palette
APART = 10.0  # least CIEDE2000 between two colors of a palette
VIVID = 2.2  # factor on the chroma of the colors of a palette


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
    likely for them. A dress, which may be red or blue, changes. A face or a lawn, of whose hue the network is certain,
    and the sky do not.

    Args:
        photo: As for `colorize`, an array of integer levels.
        weights: As for `colorize`, of a photo network.
        count: The number of variants, at least 1.
        vividness: As for `colorize`.
        temperature: As for `colorize`.
        hints: As for `colorize`.
        tile: As for `colorize`.

    Raises:
        ArgumentError: the vividness or the temperature is not a number in its range.
        ConfigError: the count is below 1, or the network is a dense one, which predicts one color for each place.

    Example:
        >>> photo = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        >>> [picture.shape for picture in colorjax.colorize_variants(photo, "photo-small", 2)]
        [(48, 64, 3), (48, 64, 3)]
    """
    check_strength(vividness, temperature)
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

    In each other coloring, some things take another of their likely colors, those of most doubtful hue first. More
    things change only until any two colorings differ by a mean CIEDE2000 of about 6, over the tenth of the cells that
    differ most.

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
    things, distributions = map(np.asarray, _things(prediction))
    options = [_alternatives(share, centers, count - 1) for share in distributions]
    doubts = [_doubt(share, centers) for share in distributions]
    overall = np.zeros(len(centers), np.float32)

    def tilts(least, probability):
        plausible = [
            (likelihoods >= PLAUSIBLE) & (doubt >= least)
            for (_, likelihoods), doubt in zip(options, doubts, strict=True)
        ]
        choices = _choices(plausible, count)
        each = np.zeros((count, THINGS, len(centers)), np.float32)
        for variant, thing in zip(*np.nonzero(choices), strict=True):
            color = options[thing][0][choices[variant, thing] - 1]
            each[variant, thing] = _toward(color, probability, distributions[thing], centers)
        return [Tilt(overall, things, own) for own in each]

    def colored(tilt):
        return _lab(prediction, np.float32(vividness), np.float32(temperature), tilt, config)

    # the first coloring is neutral in every attempt
    natural = colored(Tilt(overall, things, np.zeros((THINGS, len(centers)), np.float32)))
    for least, probability in ATTEMPTS:
        found = tilts(least, probability)
        pairs = itertools.combinations([natural, *map(colored, found[1:])], 2)
        if min(itertools.starmap(_apart, pairs), default=DISTINCT) >= DISTINCT:
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
        left = left * (1 - np.exp(-((centers - taken) ** 2).sum(-1) / (2 * OTHER**2)))
        best = int(np.argmax(left))
        taken = centers[best]
        colors.append(taken)
        likelihoods.append(left[best] / max(likely.max(), 1e-9))
    return np.array(colors).reshape(-1, 2), np.array(likelihoods)


def _doubt(share: Float[np.ndarray, " bins"], centers: Float[np.ndarray, "bins 2"]) -> float:
    """Return how likely other hues than the natural one are for a thing, relative to that.

    Gray counts for neither. So there is little doubt of a sky that is blue or gray, and much of a dress that is red or
    blue, although its likeliest color may be gray.
    """
    hue = np.arctan2(*(share @ centers)[::-1])
    turn = np.angle(np.exp(1j * (np.arctan2(centers[:, 1], centers[:, 0]) - hue)))
    alike = np.exp(-(np.degrees(turn) ** 2) / (2 * ALIKE**2))
    colored = share * (np.hypot(*centers.T) >= COLORED)
    return float(colored @ (1 - alike) / max(colored @ alike, 1e-9))


def _with_similar(share, centers):
    """Return for each bin the probability of the bin and of similar bins, weighted by their similarity."""
    return share @ np.exp(-((centers[:, None] - centers[None]) ** 2).sum(-1) / (2 * SIMILAR**2))


def _toward(color, probability, share, centers):
    """Return what to add to the logits of a thing so that it takes a color with a probability."""
    like = np.exp(-((centers - color) ** 2).sum(-1) / (2 * REACH**2))
    mass = np.clip(share @ like, 1e-6, probability)
    return (np.log(probability / (1 - probability)) - np.log(mass / (1 - mass))) * like


def _bin_centers(config: Config) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma of the bins, or raise an error for a dense network."""
    if isinstance(config.network, DenseConfig):
        raise ConfigError("variants and palettes need the weights of a photo network")
    return bin_centers(config.network)


@jax.jit
def _things(prediction: Prediction):
    """Return the anchors of the photo's things, and their distributions over the bins."""
    found = anchors(prediction.features, THINGS)
    shares = memberships(prediction.features, found)
    cells = jax.nn.softmax(prediction.cells, axis=-1)
    total = jnp.einsum("nmt,nmb->tb", shares, cells, precision="highest")
    return found, total / jnp.maximum(total.sum(-1, keepdims=True), 1e-6)


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


def _apart(one: Float[Array, "n m 3"], other: Float[Array, "n m 3"]) -> float:
    """Return the mean CIEDE2000 between two colorings over the tenth of the cells that differ most."""
    differences = np.sort(np.asarray(_ciede2000(one, other)), axis=None)
    return float(differences[-max(1, len(differences) // 10) :].mean())


_ciede2000 = jax.jit(ciede2000)
