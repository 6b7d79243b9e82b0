"""The photo network: a U-Net that looks at the working copy and returns a distribution over chroma.

Everything is a dense 3 × 3 or 1 × 1 convolution in NHWC, which runs fast on all devices. The stem folds 4 × 4 pixels
into channels; the head unfolds its channels into 2 × 2 cells, so that chroma comes at half the working size.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.config import UNetConfig
from colorjax.networks.convolution import convolve

STEM = 4  # pixels folded into channels along each side
CELL = 2  # pixels of the working copy along a side of one predicted cell
_EPSILON = 1e-5
_GRAY_SCALE, _HINT_SCALE = 64.0, 64.0  # levels that count as 1 inside the network


def stride(config: UNetConfig) -> int:
    """Return what height and width of the working copy must be multiples of.

    Spec: NET-020
    """
    return STEM * 2 ** (config.levels - 1)


def bin_centres(config: UNetConfig) -> Float[np.ndarray, "bins 2"]:
    """Return the chroma (R − Y, B − Y) in levels that each bin stands for; the neutral one is first.

    Spec: NET-021
    """
    radii = config.ring_scale * np.expm1(config.ring_growth * np.arange(1, config.rings + 1))
    angles = 2 * np.pi / config.hues * np.arange(config.hues)
    points = radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([np.zeros((1, 2)), points.reshape(-1, 2)]).astype(np.float32)


def encode_chroma(
    chroma: Float[Array, "*cells 2"], config: UNetConfig
) -> Float[Array, "*cells bins"]:
    """Share each chroma among the up to four bins around it, bilinearly in log-radius and hue.

    Args:
        chroma: levels; beyond the last ring it counts as on it.
        config: of the bins.

    Returns:
        Shares ≥ 0 that sum to 1.

    Source: Zhang, Isola and Efros, Colorful Image Colorization, ECCV 2016 (soft encoding).
    Spec: NET-021
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


def init_unet(key: PRNGKeyArray, config: UNetConfig) -> PyTree:
    """Draw the parameters: a plain nested dict of float32 arrays.

    Kernels are normal with variance 1 / fan-in; the last of each residual block, and of the head, start at zero, so
    that every block starts as the identity and the head at its prior.

    Spec: NET-020, NET-025
    """
    keys = iter(jax.random.split(key, 256))
    widths = [config.width * 2**level for level in range(config.levels)]

    def conv(inputs, outputs, size=3, gain=1.0):
        shape = (size, size, inputs, outputs)
        kernel = jax.random.normal(next(keys), shape) * gain / math.sqrt(inputs * size * size)
        return {"kernel": kernel, "bias": jnp.zeros(outputs)}

    def norm(channels):
        return {"scale": jnp.ones(channels), "bias": jnp.zeros(channels)}

    def block(channels):
        return {
            "norm_0": norm(channels),
            "conv_0": conv(channels, channels),
            "norm_1": norm(channels),
            "conv_1": conv(channels, channels, gain=0.0),
        }

    def blocks(channels, count):
        return {f"block_{i}": block(channels) for i in range(count)}

    outputs = 1 + config.rings * config.hues
    params = {
        "stem": conv(STEM * STEM + 3, widths[0]),
        "head": {
            "norm_0": norm(2 * widths[0]),
            "conv_0": conv(2 * widths[0], config.head_width),
            "norm_1": norm(config.head_width),
            "conv_1": conv(config.head_width, outputs * (STEM // CELL) ** 2, size=1, gain=0.0),
        },
    }
    for level, channels in enumerate(widths[:-1]):
        params[f"down_{level}"] = {
            **blocks(channels, config.blocks),
            "norm": norm(channels),
            "conv": conv(4 * channels, 2 * channels, size=1),
        }
        params[f"up_{level}"] = {
            "norm": norm(2 * channels),
            "conv": conv(2 * channels, channels, size=1),
            **blocks(channels, config.blocks),
        }
    bottom = widths[-1]
    params["bottom"] = blocks(bottom, config.bottom_blocks)
    for block_params in params["bottom"].values():
        block_params["context"] = conv(bottom, bottom, size=1, gain=0.0)
    return params


def apply_unet(
    params: PyTree,
    gray: Float[Array, "*batch h w"],
    hints: Float[Array, "*batch h w 3"] | None,
    config: UNetConfig,
) -> Float[Array, "*batch cells_h cells_w bins"]:
    """Run the network on working copies.

    Args:
        params: as `init_unet` gives them.
        gray: levels in [0, 255]; height and width are multiples of `stride(config)`.
        hints: known chroma (R − Y, B − Y) in levels, and a mask in [0, 1] that is 0 where none is known; None is
            no hint at all.
        config: the architecture.

    Returns:
        For each cell of 2 × 2 pixels the logits of the bins, which `decode` makes chroma of.

    Spec: NET-020, NET-023
    """
    *batch, height, width = gray.shape
    gray = gray.reshape(-1, height, width)
    hints = None if hints is None else hints.reshape(-1, height, width, 3)
    logits = depth_to_space(folded_logits(params, gray, hints, config), STEM // CELL)
    return logits.reshape(*batch, *logits.shape[1:])


def folded_logits(
    params: PyTree,
    gray: Float[Array, "b h w"],
    hints: Float[Array, "b h w 3"] | None,
    config: UNetConfig,
) -> Float[Array, "b rows columns folded"]:
    """Run the network, the cells of each square of the stem folded into channels: `space_to_depth` of `apply_unet`'s.

    A loss that minds no order of the cells spares unfolding them.

    Spec: NET-020, NET-023
    """
    x = space_to_depth((gray[..., None] - 128) / _GRAY_SCALE, STEM)
    known = jnp.zeros((*x.shape[:-1], 3), x.dtype) if hints is None else _hint_cells(hints)
    x = jnp.concatenate([x, known], axis=-1).astype(config.compute)

    x = _conv(params["stem"], x)
    stem, skips = x, []
    for level in range(config.levels - 1):
        stage = params[f"down_{level}"]
        x = _blocks(stage, x, config)
        skips.append(x)
        x = jax.nn.gelu(_norm(stage["norm"], x, config))
        x = _conv(stage["conv"], space_to_depth(x, 2))
    for name in sorted(params["bottom"]):
        x = _block(params["bottom"][name], x, config)
    for level in reversed(range(config.levels - 1)):
        stage = params[f"up_{level}"]
        x = _conv(stage["conv"], jax.nn.gelu(_norm(stage["norm"], x, config)))
        x = skips[level] + jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        x = _blocks(stage, x, config)

    head = params["head"]
    x = jax.nn.gelu(_norm(head["norm_0"], jnp.concatenate([x, stem], axis=-1), config))
    x = jax.nn.gelu(_norm(head["norm_1"], _conv(head["conv_0"], x), config))
    return _conv(head["conv_1"], x).astype(jnp.float32)


def decode(
    logits: Float[Array, "*cells bins"],
    config: UNetConfig,
    *,
    temperature: float | Float[Array, ""] = 1.0,
    tilt: float | Float[Array, " bins"] = 0.0,
) -> Float[Array, "*cells 2"]:
    """Turn the logits into one chroma a cell: the mean of the distribution, sharpened or tilted.

    Args:
        logits: as `apply_unet` gives them.
        config: of the network.
        temperature: below 1, the mean moves toward the likeliest colour; above 1, toward gray.
        tilt: added to the logits: a preference for some colours, such as a variant has.

    Returns:
        (R − Y, B − Y) in levels.

    Spec: NET-022
    """
    share = jax.nn.softmax((logits + jnp.broadcast_to(tilt, logits.shape)) / temperature, axis=-1)
    return jnp.matmul(share, bin_centres(config), precision="highest")


def space_to_depth(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b rows columns folded"]:
    """Fold squares of size × size into channels.

    Spec: NET-020
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h // size, size, w // size, size * c).swapaxes(2, 3)
    return x.reshape(b, h // size, w // size, size * size * c)


def depth_to_space(x: Float[Array, "b h w folded"], size: int) -> Float[Array, "b rows columns c"]:
    """Unfold channels into squares of size × size; the inverse of `space_to_depth`.

    Spec: NET-020
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, size, c // size).swapaxes(2, 3)
    return x.reshape(b, h * size, w * size, c // size**2)


def _hint_cells(hints):
    """Average the known chroma of each square of the stem; the mask says whether there is any."""
    b, h, w, _ = hints.shape
    mask = hints[..., 2:]
    squares = jnp.concatenate([hints[..., :2] * mask, mask], axis=-1)
    squares = squares.reshape(b, h // STEM, STEM, w // STEM, STEM, 3).sum((2, 4))
    total = squares[..., 2:]
    chroma = squares[..., :2] / jnp.maximum(total, 1e-3) / _HINT_SCALE
    return jnp.concatenate([chroma, jnp.minimum(total, 1)], axis=-1)


def _conv(params, x):
    """Convolve with zero padding; 1 × 1 kernels as a matrix product, flat, as the kernel's gradient is faster so."""
    kernel = params["kernel"].astype(x.dtype)
    if kernel.shape[0] == 1:
        y = (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], -1)
    else:
        y = convolve(x, kernel)
    return y + _as_channels(params["bias"]).astype(x.dtype)


def _norm(params, x, config):
    """Normalise groups of channels over all pixels: moments a channel first, so that x is read twice only."""
    b, _, _, c = x.shape
    groups = max(1, c // config.group)
    wide = x.astype(jnp.float32)
    moments = jnp.stack([wide.mean((1, 2)), (wide * wide).mean((1, 2))])
    moments = moments.reshape(2, b, groups, c // groups).mean(-1, keepdims=True)
    mean, square = jnp.broadcast_to(moments, (2, b, groups, c // groups)).reshape(2, b, 1, 1, c)
    variance = jnp.maximum(square - mean * mean, 0)
    scale = _as_channels(params["scale"]) * jax.lax.rsqrt(variance + _EPSILON)
    return (wide * scale + (_as_channels(params["bias"]) - mean * scale)).astype(x.dtype)


def _as_channels(vector):
    """Return a vector of channels with the axes of a batch of pictures."""
    return vector[None, None, None]


def _block(params, x, config):
    """Add to x what two normalised convolutions, and the mean over the photo if it has a context, make of it."""
    y = jax.nn.gelu(_norm(params["norm_0"], x, config))
    z = _conv(params["conv_0"], y)
    if "context" in params:
        z += _conv(params["context"], y.mean((1, 2), keepdims=True))
    z = jax.nn.gelu(_norm(params["norm_1"], z, config))
    return x + _conv(params["conv_1"], z)


def _blocks(stage, x, config):
    """Run the stage's residual blocks in order."""
    for name in sorted(name for name in stage if name.startswith("block_")):
        x = _block(stage[name], x, config)
    return x
