"""The encoder: EfficientNet-Lite, with batch normalization folded into kernels and biases.

It consists of inverted bottlenecks: a 1 × 1 convolution widens, a depthwise convolution looks at neighbors, and another
1 × 1 convolution narrows. Without batch statistics it is a pure function of its parameters, for pictures of any size.

References:
    Tan and Le, EfficientNet, ICML 2019; Liu, EfficientNet-Lite, 2020 (tensorflow/tpu, Apache-2.0): without squeeze and
    excitation, with ReLU6, and with stem and head of fixed width.
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
        kernel: The side of the depthwise kernel.
        stride: The stride of the depthwise convolution.
        expand: The factor from input channels to the width between. At 1, the first convolution is left out.
        inputs: Input channels.
        outputs: Output channels.
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
STAGE_STRIDES = (2, 4, 8, 16, 16, 32, 32)  # of the result of each stage


def stages(size: str, count: int = len(_STAGES)) -> list[list[Block]]:
    """Return the blocks of the first `count` stages.

    Args:
        size: A name in `SIZES`.
        count: The number of stages, from 1 to 7.
    """
    width, depth = SIZES[size]
    inputs, found = STEM_WIDTH, []
    for i, (kernel, stride, expand, outputs, repeats) in enumerate(_STAGES[:count]):
        outputs = _rounded(outputs * width)
        if 0 < i < len(_STAGES) - 1:  # the first and the last stage keep their depth
            repeats = math.ceil(repeats * depth)
        blocks = [Block(kernel, stride, expand, inputs, outputs)]
        blocks += [Block(kernel, 1, expand, outputs, outputs)] * (repeats - 1)
        found.append(blocks)
        inputs = outputs
    return found


def _rounded(channels: float) -> int:
    """Round to the nearest multiple of 8 that is at least 90 % of the number."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def init_efficientnet(
    key: PRNGKeyArray, size: str, *, count: int = len(_STAGES), channels: int = 1
) -> PyTree:
    """Initialize the parameters: normal kernels of variance 2 / fan-in, and zero biases.

    Args:
        key: The random key.
        size: A name in `SIZES`.
        count: The number of stages.
        channels: Channels of the pictures, 1 for gray.
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
    """Return the features at the end of each stage.

    Args:
        params: The parameters, from `init_efficientnet`.
        pictures: Levels in [0, 255].
        size: A name in `SIZES`.
        count: The number of stages.
        native: Whether to use the native depthwise convolution even where it is slow, for export to other programs.

    Returns:
        One array per stage, of ⌈h / s⌉ × ⌈w / s⌉ cells with s from `STAGE_STRIDES`.
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


@jax.custom_jvp
def _relu6(x):
    return jnp.clip(x, 0, 6)


@_relu6.defjvp
def _relu6_jvp(primals, tangents):
    # one select; the gradient of jnp.clip also divides, for ties
    (x,), (dx,) = primals, tangents
    return _relu6(x), jnp.where((x > 0) & (x < 6), dx, jnp.zeros_like(dx))
