"""The loss that results are compared by, and the objectives that training minimizes."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from colorjax.color import rgb_to_luma_chroma
from colorjax.config import Config, DenseConfig, ObjectiveConfig, PhotoConfig
from colorjax.errors import ConfigError, check, is_numeric
from colorjax.networks import forward
from colorjax.networks.bins import decode, encode_chroma
from colorjax.networks.dense import apply_dense
from colorjax.networks.photo import CELL, apply_photo


def squared_distance(
    rgb: Float[Array, "*batch h w 3"], truth: Float[Array, "*batch h w 3"]
) -> Float[Array, "*batch"]:
    """Sum the squared RGB distance over the pixels of each photo, in squared levels."""
    return jnp.sum((rgb - truth) ** 2, axis=(-3, -2, -1))


def loss(
    params: PyTree,
    gray: Float[Array, "*batch h w"],
    rgb: Float[Array, "*batch h w 3"],
    config: Config,
) -> Float[Array, ""]:
    """Compute the loss of `forward`: the squared RGB distance summed over a photo's pixels, averaged over photos.

    This is the loss of the 2019 report, by which its networks are compared.

    Args:
        params: The parameters of the network.
        gray: Levels in [0, 255].
        rgb: The true levels in [0, 255].
        config: The config of the network.

    Returns:
        Squared levels, at least 0.

    Gradient:
        Finite. It is 0 through outputs that are clipped at 0 or 255.

    Example:
        >>> config = colorjax.preset("seed-relu")
        >>> params = colorjax.init_params(jax.random.key(0), config)
        >>> rgb = jax.numpy.full((2, 16, 16, 3), 128.0)
        >>> bool(colorjax.loss(params, colorjax.rgb_to_gray(rgb), rgb, config) > 0)
        True
    """
    fits = is_numeric(rgb, 3, 3) and jnp.shape(rgb)[:-1] == jnp.shape(gray)
    check(fits, "rgb", rgb, f"the truth of gray, {(*jnp.shape(gray), 3)}")
    return jnp.mean(squared_distance(forward(params, gray, config), rgb))


def matching_loss(
    z: Float[Array, "*batch h w 3"],
    unit_rgb: Float[Array, "*batch h w 3"],
    activation: Literal["clip", "sigmoid", "tanh"],
) -> Float[Array, ""]:
    """Compute the loss that matches an output activation φ: the mean of ∫ (φ(u) − y) du up to z.

    Args:
        z: Pre-activations.
        unit_rgb: The truth y in [0, 1].
        activation: φ.

    Gradient:
        (φ(z) − y) / size. It vanishes only where the output is correct, so no output is ever dead.

    References:
        Auer, Herbster and Warmuth, Exponentially many local minima for single neurons, 1996.
    """
    y = unit_rgb
    match activation:
        case "clip":  # half the squared error inside [0, 1], continued by its tangents outside
            inside = jnp.clip(z, 0, 1)
            value = (inside - y) ** 2 / 2 + (inside - y) * (z - inside)
        case "sigmoid":
            value = jax.nn.softplus(z) - y * z
        case "tanh":  # (tanh z + 1) / 2 = σ(2z)
            value = jax.nn.softplus(2 * z) / 2 - y * z
    return jnp.mean(value)


def likelihood_loss(
    logits: Float[Array, "batch h w bins"],
    chroma: Float[Array, "batch h w 2"],
    config: PhotoConfig,
    *,
    rebalance: float = 0.0,
) -> Float[Array, ""]:
    """Compute the mean cross-entropy of chroma distributions against the soft-encoded truth.

    Args:
        logits: The logits of the bins.
        chroma: The true (R − Y, B − Y), in levels.
        config: The config of the bins.
        rebalance: An exponent. Cells are weighted by the frequency of their bins in the batch, mixed equally with a
            uniform one, to the power of minus `rebalance`. The mean weight is 1. At 0, all cells count alike.

    References:
        Zhang, Isola and Efros, Colorful Image Colorization, ECCV 2016, equations 2 and 4.
    """
    target = encode_chroma(chroma, config)
    entropy = jax.nn.logsumexp(logits, axis=-1) - jnp.sum(target * logits, axis=-1)
    frequency = target.mean((0, 1, 2))
    weights = (0.5 * frequency + 0.5 / len(frequency)) ** -rebalance
    return jnp.mean(entropy * (target @ (weights / jnp.sum(weights * frequency))))


def robust_loss(
    chroma: Float[Array, "batch h w 2"], truth: Float[Array, "batch h w 2"], *, knee: float = 16.0
) -> Float[Array, ""]:
    """Compute the mean of √(1 + ‖difference / knee‖²) − 1, which is quadratic below the knee and linear above."""
    square = jnp.sum(((chroma - truth) / knee) ** 2, axis=-1)
    return jnp.mean(jnp.sqrt(1 + square) - 1)


def photo_error_loss(
    chroma: Float[Array, "batch h w 2"], truth: Float[Array, "batch h w 2"], *, floor: float = 20.0
) -> Float[Array, ""]:
    """Compute the mean logarithm of 1 + (a photo's mean squared chroma error / floor), which is what its PSNR rewards.

    Nearly gray photos weigh most: knowing when not to color is half of the task.

    Args:
        chroma: Levels.
        truth: Levels.
        floor: In squared levels. Smaller errors hardly count.
    """
    error = jnp.mean(jnp.sum((chroma - truth) ** 2, -1), (-2, -1))
    return jnp.mean(jnp.log1p(error / floor))


def chroma_objective(
    params: PyTree,
    gray: Float[Array, "batch h w"],
    rgb: Float[Array, "batch h w 3"],
    network: PhotoConfig,
    terms: ObjectiveConfig,
) -> Float[Array, ""]:
    """Compute the objective of the photo network: the weighted sum of likelihood, robust distance and photo error.

    Args:
        params: The parameters of the photo network.
        gray: Levels in [0, 255] whose height and width are multiples of 4. It may differ from the gray of `rgb`, as
            that of an old photo does.
        rgb: The true levels in [0, 255].
        network: The architecture.
        terms: The weights of the terms.
    """
    _, chroma = rgb_to_luma_chroma(rgb)
    b, h, w, _ = chroma.shape
    truth = chroma.reshape(b, h // CELL, CELL, w // CELL, CELL, 2).mean((2, 4))
    logits = apply_photo(params, gray, network)
    decoded = decode(logits, network)
    likelihood = partial(likelihood_loss, config=network, rebalance=terms.rebalance)
    weighted = (
        (terms.likelihood, lambda: likelihood(logits, truth)),
        (terms.robust, lambda: robust_loss(decoded, truth)),
        (terms.photo_error, lambda: photo_error_loss(decoded, truth)),
    )
    return sum((weight * term() for weight, term in weighted if weight), jnp.zeros(()))


def objective(
    params: PyTree,
    gray: Float[Array, "*batch h w"],
    rgb: Float[Array, "*batch h w 3"],
    config: Config,
) -> Float[Array, ""]:
    """Compute the objective that training minimizes, which the config names.

    Args:
        params: The parameters of the network.
        gray: Levels in [0, 255].
        rgb: The true levels in [0, 255].
        config: The config. Its `objective` counts.

    Raises:
        ConfigError: the network does not support the objective.
    """
    match config.objective.name, config.network:
        case "squared-error", _:
            return jnp.mean((forward(params, gray, config) - rgb) ** 2) / 255**2
        case "matching", DenseConfig() as network:
            z = apply_dense(params, gray, network)
            return matching_loss(z, rgb / 255, network.output_activation)
        case "chroma", PhotoConfig() as network:
            return chroma_objective(params, gray, rgb, network, config.objective)
    raise ConfigError(
        f"objective.name is {config.objective.name!r}; expected squared-error, matching for a dense network or "
        "chroma for the photo network"
    )
