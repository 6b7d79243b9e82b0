"""The photo network: a pretrained encoder, and a decoder that gives each place a distribution over chroma.

The encoder (`efficientnet`) sees the working copy's gray at strides from 2 to 32. The decoder starts from the coarsest
features and their mean over the photo, doubles the size three times, each time adding the encoder's features of that
stride, and ends with the logits of the chroma bins (`bins`) for each cell of 4 × 4 pixels.
"""

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

CELL = 4  # pixels of the working copy along a side of one predicted cell
STRIDE = 32  # what height and width of working copies are multiples of


def init_photo(key: PRNGKeyArray, config: PhotoConfig) -> PyTree:
    """Draw the parameters: a plain nested dict of float32 arrays.

    The last kernels of each residual block and of the head are zero: each block starts as the identity, the head with
    all bins alike. The encoder's kernels are random; training starts from converted ones (`scripts/convert-encoder`).

    Spec: NET-020, NET-025
    """
    encoder_key, *keys = jax.random.split(key, 64)
    keys = iter(keys)
    deepest, *skips = _used_stages(config)
    channels = [blocks[-1].outputs for blocks in stages(config.encoder, config.stages)]
    widths = _widths(config)
    params = {
        "encoder": init_efficientnet(encoder_key, config.encoder, count=config.stages),
        "bottom": {
            "conv": init_conv(next(keys), 1, 1, channels[deepest], config.bottom),
            "context": init_conv(next(keys), 1, 1, channels[deepest], config.bottom),
        },
    }
    inputs = config.bottom
    for stage, width in zip(skips, widths, strict=True):
        params[f"up_{STAGE_STRIDES[stage]}"] = {
            "norm": init_norm(inputs),
            "conv": init_conv(next(keys), 1, 1, inputs, width),
            "skip": init_conv(next(keys), 1, 1, channels[stage], width),
            "norm_0": init_norm(width),
            "conv_0": init_conv(next(keys), 3, 3, width, width),
            "norm_1": init_norm(width),
            "conv_1": init_conv(next(keys), 3, 3, width, width, gain=0.0),
        }
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
    """Run the network on working copies.

    Args:
        params: as `init_photo` gives them.
        gray: levels in [0, 255]; of any size.
        config: the architecture.

    Returns:
        For each cell of 4 × 4 pixels the logits of the bins, of which `bins.decode` makes chroma; ⌈h / 4⌉ × ⌈w / 4⌉
        cells.
    """
    return apply_photo_features(params, gray, config)[0]


def apply_photo_features(
    params: PyTree, gray: Float[Array, "*batch h w"], config: PhotoConfig
) -> tuple[
    Float[Array, "*batch rows columns bins"], Float[Array, "*batch rows columns head_width"]
]:
    """Run the network, and return beside the logits what its last layer sees.

    Cells of one thing have features of like direction: the last layer makes their colors of them.

    Args:
        params: as for `apply_photo`.
        gray: likewise.
        config: likewise.

    Returns:
        The logits, and features that are 0 or above.
    """
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
    for stage in skips:
        up, skip = params[f"up_{STAGE_STRIDES[stage]}"], features[stage]
        x = repeat(apply_conv(up["conv"], active(up["norm"], x)), skip.shape)
        x += apply_conv(up["skip"], skip)
        y = apply_conv(up["conv_0"], active(up["norm_0"], x))
        x += apply_conv(up["conv_1"], active(up["norm_1"], y))
    head = params["head"]
    x = apply_conv(head["conv_0"], active(head["norm_0"], x))
    features = active(head["norm_1"], x)
    logits = apply_conv(head["conv_1"], features)
    return tuple(
        found.astype(jnp.float32).reshape(*batch, *found.shape[1:]) for found in (logits, features)
    )


def _used_stages(config: PhotoConfig) -> list[int]:
    """Return the stages whose features the decoder uses, coarsest first: the last one of each stride from 4 on."""
    last = {stride: stage for stage, stride in enumerate(STAGE_STRIDES[: config.stages])}
    return [last[stride] for stride in sorted(last, reverse=True) if stride >= CELL]


def _widths(config: PhotoConfig) -> list[int]:
    """Return the decoder's channels at each stride below the coarsest, down to 4."""
    return [config.coarse, config.middle, config.fine][-(len(_used_stages(config)) - 1) :]
