"""The seed's loss, and the objectives that training minimizes."""

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
    """Sum the squared RGB distance over each photo's pixels, in squared levels.

    Source: seed S5.
    Spec: LOS-001, LOS-002
    """
    return jnp.sum((rgb - truth) ** 2, axis=(-3, -2, -1))


def loss(
    params: PyTree,
    gray: Float[Array, "*batch h w"],
    rgb: Float[Array, "*batch h w 3"],
    config: Config,
) -> Float[Array, ""]:
    """Return the seed's loss of `forward`: squared RGB distance a photo, mean over photos.

    Args:
        params: of the network.
        gray: levels in [0, 255].
        rgb: the truth, levels in [0, 255].
        config: of the network.

    Returns:
        Squared levels, ≥ 0.

    Gradient: finite; 0 through outputs that the clip holds at 0 or 255.

    Source: seed S5.
    Spec: LOS-001, LOS-002, LOS-003, LOS-004
    """
    fits = is_numeric(rgb, 3, 3) and jnp.shape(rgb)[:-1] == jnp.shape(gray)
    check(fits, "rgb", rgb, f"the truth of gray, {(*jnp.shape(gray), 3)}")
    return jnp.mean(squared_distance(forward(params, gray, config), rgb))


def matching_loss(
    z: Float[Array, "*batch h w 3"],
    unit_rgb: Float[Array, "*batch h w 3"],
    activation: Literal["clip", "sigmoid", "tanh"],
) -> Float[Array, ""]:
    """Return the loss that matches an output activation φ: the mean of ∫ (φ(u) − y) du up to z.

    Args:
        z: pre-activations.
        unit_rgb: the truth y in [0, 1].
        activation: φ.

    Gradient: (φ(z) − y) / size: it vanishes only where the output is right, so that no output is ever dead.

    Source: Auer, Herbster and Warmuth 1996, "Exponentially many local minima for single neurons".
    Spec: LOS-005, LOS-006
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
    """Return the mean cross-entropy of chroma distributions against the soft-encoded truth.

    Args:
        logits: of the bins.
        chroma: the truth, (R − Y, B − Y) in levels.
        config: of the bins.
        rebalance: cells count by their bins' frequency in the batch, half mixed with uniform, to the power of minus
            this; 1 on average. 0 counts all cells alike.

    Source: Zhang, Isola and Efros, Colorful Image Colorization, ECCV 2016, eqs. 2 and 4.
    Spec: LOS-020
    """
    target = encode_chroma(chroma, config)
    entropy = jax.nn.logsumexp(logits, axis=-1) - jnp.sum(target * logits, axis=-1)
    frequency = target.mean((0, 1, 2))
    weights = (0.5 * frequency + 0.5 / len(frequency)) ** -rebalance
    return jnp.mean(entropy * (target @ (weights / jnp.sum(weights * frequency))))


def robust_loss(
    chroma: Float[Array, "batch h w 2"], truth: Float[Array, "batch h w 2"], *, knee: float = 16.0
) -> Float[Array, ""]:
    """Return the mean of √(1 + ‖difference / knee‖²) − 1: squared below the knee (levels), straight above it.

    Spec: LOS-021
    """
    square = jnp.sum(((chroma - truth) / knee) ** 2, axis=-1)
    return jnp.mean(jnp.sqrt(1 + square) - 1)


def photo_error_loss(
    chroma: Float[Array, "batch h w 2"], truth: Float[Array, "batch h w 2"], *, floor: float = 20.0
) -> Float[Array, ""]:
    """Return the mean logarithm of 1 + each photo's mean squared error over a floor: what its PSNR rewards.

    Photos that are nearly gray in truth weigh most: knowing when not to color is half of it.

    Args:
        chroma: levels.
        truth: levels.
        floor: squared levels below which an error is not worth repairing.

    Spec: LOS-022
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
    """Return the photo network's objective: the weighted sum of likelihood, robust distance and photo error.

    Args:
        params: of the photo network.
        gray: levels in [0, 255], height and width multiples of 4; may differ from the gray of `rgb`, as an old
            photo's does.
        rgb: the truth, levels in [0, 255].
        network: the architecture.
        terms: their weights.

    Spec: LOS-020, LOS-021, LOS-022
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
    """Return what training minimizes, by the config's name for it; arguments as for `loss`.

    Args:
        params: of the network.
        gray: levels in [0, 255].
        rgb: the truth, levels in [0, 255].
        config: its `objective` names it.

    Raises:
        ConfigError: the objective is not one of this network's.

    Spec: LOS-005, LOS-006, LOS-007, LOS-020, NET-007
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
