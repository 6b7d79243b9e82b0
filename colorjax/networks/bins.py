"""Chroma bins, over which the photo network predicts a distribution."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from colorjax.config import PhotoConfig


def bin_centers(config: PhotoConfig) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma (R − Y, B − Y) of each bin, in levels. The neutral bin is the first."""
    radii = config.ring_scale * np.expm1(config.ring_growth * np.arange(1, config.rings + 1))
    angles = 2 * np.pi / config.hues * np.arange(config.hues)
    points = radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([np.zeros((1, 2)), points.reshape(-1, 2)]).astype(np.float32)


def encode_chroma(
    chroma: Float[Array, "*cells 2"], config: PhotoConfig
) -> Float[Array, "*cells bins"]:
    """Distribute each chroma over the at most four bins around it, bilinearly in log-radius and hue.

    Args:
        chroma: Levels. Chroma beyond the last ring counts as on that ring.
        config: The config of the bins.

    Returns:
        Shares ≥ 0 that sum to 1.

    References:
        Zhang, Isola and Efros, Colorful Image Colorization, ECCV 2016 (soft encoding).
    """
    grid = np.mgrid[1 : config.rings + 1, : config.hues].astype(np.float32)
    ahead = (1,) * (chroma.ndim - 1)
    ring, hue = (np.append(np.float32(0), each).reshape(*ahead, -1) for each in grid)
    red, blue = chroma[..., :1], chroma[..., 1:]
    radius = jnp.log1p(jnp.hypot(red, blue) / config.ring_scale) / config.ring_growth
    by_ring = jnp.maximum(1 - jnp.abs(jnp.minimum(radius, config.rings) - ring), 0)
    turn = jnp.abs(jnp.arctan2(blue, red) * (config.hues / (2 * jnp.pi)) - hue)
    turn = jnp.abs(jnp.minimum(turn, config.hues - turn))  # hue is in ±hues / 2: both ways around
    return by_ring * jnp.where(ring == 0, 1, jnp.maximum(1 - turn, 0))


def decode(
    logits: Float[Array, "*cells bins"],
    config: PhotoConfig,
    *,
    temperature: float | Float[Array, ""] = 1.0,
    tilt: float | Float[Array, "*#cells bins"] = 0.0,
) -> Float[Array, "*cells 2"]:
    """Convert logits to one chroma per cell: the mean of the distribution, sharpened or tilted.

    Args:
        logits: The result of `apply_photo`.
        config: The config of the network.
        temperature: Below 1, the mean moves toward the likeliest color; above 1, toward gray.
        tilt: Added to the logits: a preference for some colors, as for a variant.

    Returns:
        (R − Y, B − Y) in levels.
    """
    share = jax.nn.softmax((logits + jnp.broadcast_to(tilt, logits.shape)) / temperature, axis=-1)
    return jnp.matmul(share, bin_centers(config), precision="highest")


def deviation(
    logits: Float[Array | np.ndarray, "*cells bins"], config: PhotoConfig
) -> Float[Array, "*cells"]:
    """Return how uncertain the network is of each cell: the standard deviation of the distribution.

    Args:
        logits: The result of `apply_photo`.
        config: The config of the network.

    Returns:
        Levels: the root of the mean squared distance of chroma from its mean.
    """
    share = jax.nn.softmax(jnp.asarray(logits), axis=-1)
    mean = decode(jnp.asarray(logits), config)[..., None, :]
    centers = jnp.broadcast_to(bin_centers(config), (*share.shape, 2))
    away = jnp.square(centers - mean).sum(-1)
    return jnp.sqrt((share * away).sum(-1))
