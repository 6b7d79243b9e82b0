"""Fully connected networks, the presets `seed-…`: gray n × n in, RGB n × n out, without biases.

They are the networks of a 2019 student report, with its mistakes corrected (spec/networks.md).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.config import DenseConfig
from colorjax.errors import ConfigError

HIDDEN = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}

# A pair of hidden units with weights ±s carries v as h₊ − h₋ ≈ gain · v: exactly for ReLU, else to first order.
CARRIER = {"relu": (1.0, 1.0), "sigmoid": (0.5, 0.25), "tanh": (0.5, 1.0)}

# The slope that brings the output closest to gray: 1 for clip, 3 for σ on [-1, 1]; tanh z = 2 σ(2z) - 1.
COPY_SLOPE = {"clip": 1.0, "sigmoid": 3.0, "tanh": 1.5}


def init_dense(key: PRNGKeyArray, size: int, config: DenseConfig) -> PyTree:
    """Initialize a dense network for photos of size × size.

    Every weight is uniform in [-k, k]. With `copy_gray`, pairs of hidden units also carry each pixel through the layers
    to its three outputs, so that training starts close to the copied gray.

    Returns:
        `{"layer_0": {"kernel": (inputs, outputs)}, …}` in float32.
    """
    pixels = size * size
    widths = [pixels, *[3 * pixels * config.hidden_multiple] * config.depth, 3 * pixels]
    k = config.initial_scale
    kernels = [
        jax.random.uniform(key, shape, jnp.float32, -k, k)
        for key, *shape in zip(
            jax.random.split(key, config.depth + 1), widths, widths[1:], strict=False
        )
    ]
    if config.copy_gray:
        kernels = [
            kernel.at[rows, columns].add(values)
            for kernel, (rows, columns, values) in zip(
                kernels, _gray_path(pixels, config), strict=True
            )
        ]
    return {f"layer_{i}": {"kernel": kernel} for i, kernel in enumerate(kernels)}


def _gray_path(pixels, config):
    """Yield for each layer the (rows, columns, values) of the weights that copy gray."""
    weight, gain = CARRIER[config.hidden_activation]
    slope = COPY_SLOPE[config.output_activation]
    sign = np.array([1.0, -1.0], np.float32)
    pixel = np.arange(pixels)
    units = pixel + pixels * np.arange(2)[:, None]  # the pair that carries each pixel
    yield pixel, units, weight * sign[:, None]
    for _ in range(config.depth - 1):
        yield units[:, None], units[None], weight / gain * np.outer(sign, sign)[..., None]
    rgb = 3 * pixel[:, None] + np.arange(3)
    yield units[..., None], rgb, slope / gain * sign[:, None, None]


def apply_dense(
    params: PyTree, gray: Float[Array, "*batch h w"], config: DenseConfig
) -> Float[Array, "*batch h w 3"]:
    """Apply a dense network up to the last pre-activation.

    Args:
        params: The parameters, from `init_dense`.
        gray: Levels in [0, 255], of the size of the network. They are scaled to [0, 1] or [-1, 1].
        config: The architecture.

    Returns:
        Pre-activations, of any finite value. `output_levels` converts them to RGB.

    Raises:
        ConfigError: the size of the photo is not that of the network.
    """
    *batch, height, width = gray.shape
    side = round(params["layer_0"]["kernel"].shape[0] ** 0.5)
    if (height, width) != (side, side):
        raise ConfigError(f"gray is {height} × {width}; this network takes {side} × {side}")
    x = gray.reshape(*batch, height * width) / 255
    if config.output_activation != "clip":
        x = 2 * x - 1
    for i in range(config.depth):
        x = HIDDEN[config.hidden_activation](x @ params[f"layer_{i}"]["kernel"])
    z = x @ params[f"layer_{config.depth}"]["kernel"]
    return z.reshape(*batch, height, width, 3)


def output_levels(
    z: Float[Array, "*batch h w 3"], config: DenseConfig
) -> Float[Array, "*batch h w 3"]:
    """Map pre-activations to levels in [0, 255].

    Gradient:
        For "clip", 0 outside (0, 1).
    """
    match config.output_activation:
        case "clip":
            return 255 * jnp.clip(z, 0, 1)
        case "sigmoid":
            return 255 * jax.nn.sigmoid(z)
        case "tanh":
            return 127.5 * (jnp.tanh(z) + 1)
