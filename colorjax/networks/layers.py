"""Layers of the photo network: pure functions of parameters and pictures, channels last."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.networks.convolution import convolve

_EPSILON = 1e-5


def init_conv(key: PRNGKeyArray, *shape: int, gain: float = 1.0) -> dict[str, Array]:
    """Initialize a kernel, normal with variance gain² / fan-in, and a bias of zeros.

    Args:
        key: The random key.
        shape: The shape of the kernel, outputs last.
        gain: A factor on the kernel.
    """
    scale = gain / math.sqrt(math.prod(shape[:-1]))
    kernel = scale * jax.random.normal(key, shape, jnp.float32)
    return {"kernel": kernel, "bias": jnp.zeros(shape[-1], jnp.float32)}


def apply_conv(params: PyTree, x: Float[Array, "b h w c"]) -> Float[Array, "b h w outputs"]:
    """Apply a 3 × 3 convolution with zero padding, or a 1 × 1 convolution.

    The latter is a matrix product, whose gradient is faster.
    """
    kernel = params["kernel"].astype(x.dtype)
    if kernel.shape[0] == 1:
        y = (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], -1)
    else:
        y = convolve(x, kernel)
    return y + as_channels(params["bias"], x)


def as_channels(
    vector: Float[Array, " c"], like: Float[Array, "b h w _"]
) -> Float[Array, "1 1 1 c"]:
    """Return one number per channel, with the axes and the dtype of pictures."""
    return vector[None, None, None].astype(like.dtype)


def init_norm(channels: int) -> dict[str, Array]:
    """Initialize a normalization with scale 1 and bias 0."""
    return {"scale": jnp.ones(channels, jnp.float32), "bias": jnp.zeros(channels, jnp.float32)}


def group_norm(
    params: PyTree, x: Float[Array, "b h w c"], *, group: int
) -> Float[Array, "b h w c"]:
    """Normalize groups of channels over all pixels of each photo, then scale and shift each channel.

    The moments are computed per channel first, so that `x` is read only twice.

    Args:
        params: Scale and bias.
        x: Pictures.
        group: The number of channels in a group.

    References:
        Wu and He, Group Normalization, ECCV 2018.
    """
    b, _, _, c = x.shape
    groups = max(1, c // group)
    wide = x.astype(jnp.float32)
    moments = jnp.stack([wide.mean((1, 2)), (wide * wide).mean((1, 2))])
    moments = moments.reshape(2, b, groups, c // groups).mean(-1, keepdims=True)
    mean, square = jnp.broadcast_to(moments, (2, b, groups, c // groups)).reshape(2, b, 1, 1, c)
    variance = jnp.maximum(square - mean * mean, 0)
    scale = as_channels(params["scale"], wide) * jax.lax.rsqrt(variance + _EPSILON)
    return (wide * scale + (as_channels(params["bias"], wide) - mean * scale)).astype(x.dtype)


def repeat(x: Float[Array, "b h w c"], shape: tuple[Any, ...]) -> Float[Array, "b rows columns c"]:
    """Repeat each pixel twice along rows and columns, up to the given height and width."""
    x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return x if x.shape[1:3] == shape[1:3] else x[:, : shape[1], : shape[2]]


def double(cells: Float[Array, "*batch n m c"]) -> Float[Array, "*batch rows columns c"]:
    """Double height and width of cells bilinearly, like `resize_matrix`, with one program for all sizes.

    Each cell is repeated, and the squares are averaged with the weights 1, 2, 1 along both axes, inside the picture.

    Args:
        cells: Values on any scale.
    """
    *batch, n, m, c = cells.shape
    kernel = np.einsum("i,j,pq->ijpq", [1, 2, 1], [1, 2, 1], np.eye(c)).astype(np.float32)
    squares = jnp.repeat(jnp.repeat(cells.reshape(-1, n, m, c), 2, axis=1), 2, axis=2)
    summed, weight = (
        jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision="highest",
        )
        for x in (squares, jnp.ones_like(squares))
    )
    return (summed / weight).reshape(*batch, 2 * n, 2 * m, c)
