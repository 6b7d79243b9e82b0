"""The photo network: a pretrained encoder, and a decoder that predicts a distribution over chroma for each cell.

The encoder (`efficientnet`) sees the gray of the working copy at strides from 2 to 32. The decoder starts with the
coarsest features and their mean over the photo. It doubles the resolution three times, and each time adds the features
of the encoder at that stride. It ends with the logits of the chroma bins (`bins`) for each cell of 4 × 4 pixels.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.config import PhotoConfig
from colorjax.networks.efficientnet import (
    STAGE_STRIDES,
    apply_efficientnet,
    init_efficientnet,
    stages,
)
from colorjax.networks.layers import apply_conv, group_norm, init_conv, init_norm, repeat

CELL = 4  # side of a predicted cell in pixels of the working copy
STRIDE = 32  # pixels per cell of the encoder's coarsest stage


def init_photo(key: PRNGKeyArray, config: PhotoConfig) -> PyTree:
    """Initialize the parameters, a nested dict of float32 arrays.

    The last kernels of each residual block and of the head are zero: each block starts as the identity, and all bins
    start equally likely. The kernels of the encoder are random here. Training starts from pretrained ones, converted by
    `scripts/convert-encoder`.
    """
    encoder_key, *keys = jax.random.split(key, 64)
    keys = iter(keys)
    deepest, *skips = _used_stages(config)
    channels = [blocks[-1].outputs for blocks in stages(config.encoder, config.stages)]
    params = {
        "encoder": init_efficientnet(encoder_key, config.encoder, count=config.stages),
        "bottom": {
            "conv": init_conv(next(keys), 1, 1, channels[deepest], config.bottom),
            "context": init_conv(next(keys), 1, 1, channels[deepest], config.bottom),
        },
    }
    inputs = config.bottom
    for stage, (width, blocks) in zip(skips, _decoder(config), strict=True):
        up = {
            "norm": init_norm(inputs),
            "conv": init_conv(next(keys), 1, 1, inputs, width),
            "skip": init_conv(next(keys), 1, 1, channels[stage], width),
        }
        for i in range(2 * blocks):  # two layers per block; the second one starts at zero
            up[f"norm_{i}"] = init_norm(width)
            up[f"conv_{i}"] = init_conv(next(keys), 3, 3, width, width, gain=1.0 - i % 2)
        params[f"up_{STAGE_STRIDES[stage]}"] = up
        inputs = width
    params["head"] = {
        "norm_0": init_norm(inputs),
        "conv_0": init_conv(next(keys), 3, 3, inputs, config.head_width),
        "norm_1": init_norm(config.head_width),
        "conv_1": init_conv(
            next(keys), 1, 1, config.head_width, 1 + config.rings * config.hues, gain=0.0
        ),
    }
    return params


def apply_photo(
    params: PyTree, gray: Float[Array, "*batch h w"], config: PhotoConfig
) -> Float[Array, "*batch rows columns bins"]:
    """Apply the network to working copies.

    Args:
        params: The parameters, from `init_photo`.
        gray: Levels in [0, 255], of any size.
        config: The architecture.

    Returns:
        The logits of the bins for each cell of 4 × 4 pixels; there are ⌈h / 4⌉ × ⌈w / 4⌉ cells. `bins.decode` converts
        them to chroma.
    """
    return apply_photo_features(params, gray, config)[0]


def apply_photo_features(
    params: PyTree, gray: Float[Array, "*batch h w"], config: PhotoConfig
) -> tuple[
    Float[Array, "*batch rows columns bins"], Float[Array, "*batch rows columns head_width"]
]:
    """Apply the network, and return the input of its last layer, too.

    Cells of one thing have features of similar direction, from which the last layer predicts their colors.

    Args:
        params: As for `apply_photo`.
        gray: As for `apply_photo`.
        config: As for `apply_photo`.

    Returns:
        The logits, and the features, which are at least 0.

    Gradient:
        By `jax.grad` or `jax.vjp`. `jax.jvp` is not supported.
    """
    return _apply(params, gray, config)


# without a jit of the caller, one program instead of hundreds; within one, it leaves no trace
@functools.partial(jax.jit, static_argnames="config", inline=True)
def _apply(params, gray, config):
    """Apply the network, as `apply_photo_features` says."""
    *batch, height, width = gray.shape
    pictures = gray.reshape(-1, height, width, 1).astype(config.compute)
    features = apply_efficientnet(
        params["encoder"],
        pictures,
        config.encoder,
        count=config.stages,
        native=config.depthwise == "native",
    )
    deepest, *skips = _used_stages(config)

    def active(norm, x):
        return jax.nn.relu(group_norm(norm, x, group=config.group))

    x, bottom = features[deepest], params["bottom"]
    mean = x.mean((1, 2), keepdims=True)
    x = apply_conv(bottom["conv"], x) + apply_conv(bottom["context"], mean)
    for stage, (_, blocks) in zip(skips, _decoder(config), strict=True):
        up, skip = params[f"up_{STAGE_STRIDES[stage]}"], features[stage]
        x = repeat(apply_conv(up["conv"], active(up["norm"], x)), skip.shape)
        x += apply_conv(up["skip"], skip)
        for i in range(0, 2 * blocks, 2):
            y = apply_conv(up[f"conv_{i}"], active(up[f"norm_{i}"], x))
            x += apply_conv(up[f"conv_{i + 1}"], active(up[f"norm_{i + 1}"], y))
    head = params["head"]
    x = apply_conv(head["conv_0"], active(head["norm_0"], x))
    features = active(head["norm_1"], x)
    logits = apply_conv(head["conv_1"], features)
    logits, features = logits.astype(jnp.float32), features.astype(jnp.float32)
    shape = (*batch, *logits.shape[1:3], -1)
    return logits.reshape(shape), features.reshape(shape)


def _used_stages(config: PhotoConfig) -> list[int]:
    """Return the stages whose features the decoder uses, coarsest first: the last stage of each stride from 4 on."""
    last = {stride: stage for stage, stride in enumerate(STAGE_STRIDES[: config.stages])}
    return [last[stride] for stride in sorted(last, reverse=True) if stride >= CELL]


def _decoder(config: PhotoConfig) -> list[tuple[int, int]]:
    """Return the channels and the residual blocks of the decoder at each stride below the coarsest, down to 4."""
    levels = [
        (config.coarse, config.coarse_blocks),
        (config.middle, config.middle_blocks),
        (config.fine, config.fine_blocks),
    ]
    return levels[-(len(_used_stages(config)) - 1) :]
