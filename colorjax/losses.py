"""The seed's loss, and the objectives that training minimises."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from colorjax.config import Config
from colorjax.networks import forward
from colorjax.networks.dense import apply_dense


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


def objective(
    params: PyTree,
    gray: Float[Array, "*batch h w"],
    rgb: Float[Array, "*batch h w 3"],
    config: Config,
) -> Float[Array, ""]:
    """Return what training minimises, by the config's name for it; arguments as for `loss`.

    Spec: LOS-005, LOS-006, LOS-007, NET-007
    """
    match config.objective:
        case "matching":
            z = apply_dense(params, gray, config.network)
            return matching_loss(z, rgb / 255, config.network.output_activation)
        case "squared-error":
            return jnp.mean((forward(params, gray, config) - rgb) ** 2) / 255**2
