"""The photo network in NumPy, in float64: an oracle that shares no code with `colorjax.networks`."""

import jax
import numpy as np

# of the published encoder (`efficientnet_lite_builder.py`): repeats, kernel, strides, expansion, inputs, outputs
PUBLISHED = (
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
)
# outputs and repeats of the stages of Lite2, from the shapes in the published file
LITE2 = ((16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1))
BY_STRIDE = {4: 1, 8: 2, 16: 4, 32: 6}  # the stage whose features the decoder takes


def published(size):
    """Return the blocks of each stage as tuples of kernel, stride, expansion, inputs and outputs."""
    found, inputs = [], 32
    for stage, text in enumerate(PUBLISHED):
        repeats, kernel, stride, expand, _, outputs = (
            int(part[1:]) if part[0] != "s" else int(part[1]) for part in text.split("_")
        )
        if size == "lite2":
            outputs, repeats = LITE2[stage]
        blocks = [(kernel, stride, expand, inputs, outputs)]
        blocks += [(kernel, 1, expand, outputs, outputs)] * (repeats - 1)
        found.append(blocks)
        inputs = outputs
    return found


def drawn(init):
    """Return parameters of the shapes that a function returns, with nothing at zero or one."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = 1.5 / np.sqrt(np.prod(leaf.shape[:-1])) if len(leaf.shape) > 1 else 0.5
        return (scale * rng.normal(size=leaf.shape)).astype(np.float32)

    return jax.tree.map(draw, jax.eval_shape(init))


def windows(x, kernel, stride):
    """Return for each tap of a kernel what it meets under TensorFlow's `SAME` padding: taps, taps, rows, columns, c."""
    h, w, _ = x.shape
    rows, columns = -(-h // stride), -(-w // stride)
    missing = [max((n - 1) * stride + kernel - side, 0) for n, side in ((rows, h), (columns, w))]
    padded = np.pad(x, [*((m // 2, m - m // 2) for m in missing), (0, 0)])
    return np.stack(
        [
            [
                padded[i : i + stride * rows : stride, j : j + stride * columns : stride][
                    :rows, :columns
                ]
                for j in range(kernel)
            ]
            for i in range(kernel)
        ]
    )


def convolved(layer, x, stride=1):
    kernel = layer["kernel"].astype(float)
    return np.einsum("ijhwc,ijco->hwo", windows(x, len(kernel), stride), kernel) + layer["bias"]


def depthwise(layer, x, stride):
    kernel = layer["kernel"].astype(float)
    return np.einsum("ijhwc,ijc->hwc", windows(x, len(kernel), stride), kernel) + layer["bias"]


def relu6(x):
    return np.minimum(np.maximum(x, 0), 6)


def encoded(params, gray, size, count):
    """Return the features of one photo at the end of each stage."""
    x = relu6(convolved(params["stem"], (gray[..., None].astype(float) - 127) / 128, 2))
    features = []
    for i, blocks in enumerate(published(size)[:count]):
        for j, (_, stride, expand, inputs, outputs) in enumerate(blocks):
            block, before = params[f"stage_{i}"][f"block_{j}"], x
            if expand != 1:
                x = relu6(convolved(block["expand"], x))
            x = convolved(block["project"], relu6(depthwise(block["depthwise"], x, stride)))
            if stride == 1 and inputs == outputs:
                x = x + before
        features.append(x)
    return features


def activated(norm, x, group):
    """Return a group norm and its activation."""
    h, w, c = x.shape
    parts = x.reshape(h * w, max(1, c // group), -1)
    parts = parts - parts.mean((0, 2), keepdims=True)
    parts = parts / np.sqrt((parts**2).mean((0, 2), keepdims=True) + 1e-5)
    return np.maximum(parts.reshape(x.shape) * norm["scale"] + norm["bias"], 0)


def colored(params, gray, network):
    """Return the logits of the bins and the features before the last layer, for one photo."""
    features = encoded(params["encoder"], gray, network.encoder, network.stages)
    strides = [stride for stride, stage in BY_STRIDE.items() if stage < network.stages]
    *finer, coarsest = strides
    x = features[BY_STRIDE[coarsest]]
    context = x.mean((0, 1), keepdims=True)
    bottom = params["bottom"]
    x = convolved(bottom["conv"], x) + convolved(bottom["context"], context)
    for stride in reversed(finer):
        up, skip = params[f"up_{stride}"], features[BY_STRIDE[stride]]
        x = convolved(up["conv"], activated(up["norm"], x, network.group))
        x = x.repeat(2, 0).repeat(2, 1)[: skip.shape[0], : skip.shape[1]]
        x = x + convolved(up["skip"], skip)
        for i in range(0, sum(name.startswith("norm_") for name in up), 2):
            y = convolved(up[f"conv_{i}"], activated(up[f"norm_{i}"], x, network.group))
            y = activated(up[f"norm_{i + 1}"], y, network.group)
            x = x + convolved(up[f"conv_{i + 1}"], y)
    head = params["head"]
    x = convolved(head["conv_0"], activated(head["norm_0"], x, network.group))
    x = activated(head["norm_1"], x, network.group)
    return convolved(head["conv_1"], x), x
