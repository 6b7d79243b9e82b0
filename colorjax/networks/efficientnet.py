"""The encoder: EfficientNet-Lite, whose batch norms are folded into kernels and biases.

A network of inverted bottlenecks: a 1 × 1 convolution widens, a depthwise one looks around, a 1 × 1 one narrows.
Without batch statistics it is a pure function of its parameters, and any size goes.

Source: Tan and Le, EfficientNet, ICML 2019; Liu, EfficientNet-Lite, 2020 (tensorflow/tpu, Apache-2.0): without squeeze
and excitation, with ReLU6, and with stem and head of fixed width.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.networks.depthwise import depthwise, native_depthwise
from colorjax.networks.layers import apply_conv, as_channels, init_conv

STEM_WIDTH = 32
SIZES = {"lite0": (1.0, 1.0), "lite2": (1.1, 1.2)}  # factors on width and depth


class Block(NamedTuple):
    """An inverted bottleneck.

    Attributes:
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        expand: factor from inputs to the width between; 1 leaves the first convolution out.
        inputs: channels.
        outputs: channels.
    """

    kernel: int
    stride: int
    expand: int
    inputs: int
    outputs: int


# kernel, stride, expand, outputs and repeats of each stage, before scaling
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STAGE_STRIDES = (2, 4, 8, 16, 16, 32, 32)  # of each stage's result


def stages(size: str, count: int = len(_STAGES)) -> list[list[Block]]:
    """Return the blocks of the first `count` stages of a size.

    Args:
        size: a name in `SIZES`.
        count: from 1 to 7.

    Spec: NET-030
    """
    width, depth = SIZES[size]
    inputs, found = STEM_WIDTH, []
    for i, (kernel, stride, expand, outputs, repeats) in enumerate(_STAGES[:count]):
        outputs = _rounded(outputs * width)
        if 0 < i < len(_STAGES) - 1:  # first and last keep their depth
            repeats = math.ceil(repeats * depth)
        blocks = [Block(kernel, stride, expand, inputs, outputs)]
        blocks += [Block(kernel, 1, expand, outputs, outputs)] * (repeats - 1)
        found.append(blocks)
        inputs = outputs
    return found


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8, at least 90 % of the number."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def init_efficientnet(
    key: PRNGKeyArray, size: str, *, count: int = len(_STAGES), channels: int = 1
) -> PyTree:
    """Draw the parameters: normal kernels of variance 2 / fan-in, zero biases.

    Args:
        key: decides all.
        size: a name in `SIZES`.
        count: of stages.
        channels: of the pictures: 1 for gray.

    Spec: NET-030
    """
    keys = iter(jax.random.split(key, 256))

    def conv(*shape):
        return init_conv(next(keys), *shape, gain=math.sqrt(2))

    params: PyTree = {"stem": conv(3, 3, channels, STEM_WIDTH)}
    for i, blocks in enumerate(stages(size, count)):
        params[f"stage_{i}"] = {}
        for j, block in enumerate(blocks):
            between = block.inputs * block.expand
            layers = {
                "depthwise": conv(block.kernel, block.kernel, between),
                "project": conv(1, 1, between, block.outputs),
            }
            if block.expand > 1:
                layers["expand"] = conv(1, 1, block.inputs, between)
            params[f"stage_{i}"][f"block_{j}"] = layers
    return params


def apply_efficientnet(
    params: PyTree,
    pictures: Float[Array, "b h w channels"],
    size: str,
    *,
    count: int = len(_STAGES),
    native: bool = False,
) -> list[Float[Array, "b _ _ _"]]:
    """Return the features that each stage ends with.

    Args:
        params: as `init_efficientnet` gives them.
        pictures: levels in [0, 255].
        size: a name in `SIZES`.
        count: of stages.
        native: take the device's own depthwise convolution, also where it is slow: for other programs.

    Returns:
        One array a stage, of ⌈h / s⌉ × ⌈w / s⌉ cells with s from `STAGE_STRIDES`.

    Spec: NET-030
    """
    x = (pictures - 127) / 128
    stem = params["stem"]
    dimensions = ("NHWC", "HWIO", "NHWC")
    kernel = stem["kernel"].astype(x.dtype)
    x = jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=dimensions)
    x = _relu6(x + as_channels(stem["bias"], x))
    features = []
    for i, blocks in enumerate(stages(size, count)):
        for j, block in enumerate(blocks):
            x = _bottleneck(params[f"stage_{i}"][f"block_{j}"], x, block, native)
        features.append(x)
    return features


def _bottleneck(params, x, block, native):
    y = _relu6(apply_conv(params["expand"], x)) if "expand" in params else x
    kernel = params["depthwise"]["kernel"].astype(y.dtype)
    convolved = native_depthwise if native else depthwise
    y = _relu6(
        jnp.asarray(convolved(y, kernel, block.stride))
        + as_channels(params["depthwise"]["bias"], y)
    )
    y = apply_conv(params["project"], y)
    return x + y if block.stride == 1 and block.inputs == block.outputs else y


def _relu6(x):
    return jnp.clip(x, 0, 6)
