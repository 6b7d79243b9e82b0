"""PyTorch networks for `scripts/bench`: the photo network, and one of ECCV16's published size."""

import torch
from torch import nn
from torch.nn import functional

from colorjax.networks import efficientnet

CELL = 4


class Bottleneck(nn.Module):
    """An inverted bottleneck of EfficientNet-Lite, its norms folded."""

    def __init__(self, block):
        super().__init__()
        between = block.inputs * block.expand
        self.expand = nn.Conv2d(block.inputs, between, 1) if block.expand > 1 else None
        self.pad = block.stride == 2
        self.depthwise = nn.Conv2d(
            between,
            between,
            block.kernel,
            stride=block.stride,
            padding=0 if self.pad else block.kernel // 2,
            groups=between,
        )
        self.before, self.after = (block.kernel - 2) // 2, (block.kernel - 1) // 2
        self.project = nn.Conv2d(between, block.outputs, 1)
        self.residual = block.stride == 1 and block.inputs == block.outputs

    def forward(self, x):
        """Widen, look around, narrow."""
        y = x if self.expand is None else functional.relu6(self.expand(x))
        if self.pad:  # TensorFlow's padding for an even side
            y = functional.pad(y, (self.before, self.after, self.before, self.after))
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Up(nn.Module):
    """A step of the decoder: twice the size, the encoder's features, residual blocks."""

    def __init__(self, inputs, skip, width, blocks, group):
        super().__init__()
        self.norm, self.conv = norm(inputs, group), nn.Conv2d(inputs, width, 1)
        self.skip = nn.Conv2d(skip, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                norm(width, group),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                norm(width, group),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )

    def forward(self, x, feature):
        """Return the features of the next finer stride."""
        x = functional.interpolate(self.conv(functional.relu(self.norm(x))), scale_factor=2)
        x = x + self.skip(feature)
        for block in self.blocks:
            x = x + block(x)
        return x


class PhotoNetwork(nn.Module):
    """`colorjax.networks.photo` of a `PhotoConfig`, channels first, for sides that are multiples of 32."""

    def __init__(self, config):
        super().__init__()
        stages = efficientnet.stages(config.encoder, config.stages)
        strides = efficientnet.STAGE_STRIDES[: config.stages]
        self.stem = nn.Conv2d(1, efficientnet.STEM_WIDTH, 3, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Bottleneck(block) for block in blocks)) for blocks in stages
        )
        last = {stride: stage for stage, stride in enumerate(strides)}
        self.used = [last[stride] for stride in sorted(last, reverse=True) if stride >= CELL]
        channels = [stages[stage][-1].outputs for stage in self.used]
        self.bottom = nn.Conv2d(channels[0], config.bottom, 1)
        self.context = nn.Conv2d(channels[0], config.bottom, 1)
        used = slice(-(len(self.used) - 1), None)
        widths = [config.coarse, config.middle, config.fine][used]
        blocks = [config.coarse_blocks, config.middle_blocks, config.fine_blocks][used]
        self.ups = nn.ModuleList(
            Up(inputs, skip, width, count, config.group)
            for inputs, skip, width, count in zip(
                [config.bottom, *widths], channels[1:], widths, blocks, strict=False
            )
        )
        self.head_norm_0 = norm(widths[-1], config.group)
        self.head_conv_0 = nn.Conv2d(widths[-1], config.head_width, 3, padding=1)
        self.head_norm_1 = norm(config.head_width, config.group)
        self.head_conv_1 = nn.Conv2d(config.head_width, 1 + config.rings * config.hues, 1)

    def forward(self, gray):
        """Return the logits of (batch, 1, h, w) gray."""
        x = functional.pad((gray - 127) / 128, (0, 1, 0, 1))
        x = functional.relu6(self.stem(x))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        deepest, *skips = self.used
        x = features[deepest]
        x = self.bottom(x) + self.context(x.mean((2, 3), keepdim=True))
        for up, stage in zip(self.ups, skips, strict=True):
            x = up(x, features[stage])
        x = self.head_conv_0(functional.relu(self.head_norm_0(x)))
        return self.head_conv_1(functional.relu(self.head_norm_1(x)))


def norm(channels, group):
    """Return the normalization of groups of channels."""
    return nn.GroupNorm(max(1, channels // group), channels)


def eccv16():
    """Return a network of the size of Zhang, Isola and Efros 2016: 32 million parameters."""

    def group(inputs, outputs, count, *, stride=1, dilation=1):
        layers = []
        for i in range(count):
            step = stride if i == count - 1 else 1
            layers += [
                nn.Conv2d(
                    inputs if i == 0 else outputs,
                    outputs,
                    3,
                    stride=step,
                    padding=dilation,
                    dilation=dilation,
                ),
                nn.ReLU(),
            ]
        return [*layers, nn.BatchNorm2d(outputs)]

    return nn.Sequential(
        *group(1, 64, 2, stride=2),
        *group(64, 128, 2, stride=2),
        *group(128, 256, 3, stride=2),
        *group(256, 512, 3),
        *group(512, 512, 3, dilation=2),
        *group(512, 512, 3, dilation=2),
        *group(512, 512, 3),
        nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1),
        nn.ReLU(),
        *group(256, 256, 2),
        nn.Conv2d(256, 313, 1),
    )


def train_step(config, batch, size):
    """Return functions that take one AdamW step on soft labels each: eager, channels last, compiled, bfloat16."""
    gray = torch.rand(batch, 1, size, size) * 255
    bins = 1 + config.rings * config.hues
    labels = torch.rand(batch, bins, size // CELL, size // CELL).softmax(1)

    def make(*, last=False, compiled=False, half=False):
        network, inputs = PhotoNetwork(config), gray
        if last:
            network = network.to(memory_format=torch.channels_last)
            inputs = gray.to(memory_format=torch.channels_last)
        for name, parameter in network.named_parameters():  # as the preset freezes them
            early = name.startswith(("stem.", "stages.0.", "stages.1."))
            parameter.requires_grad = not (early or name.endswith("depthwise.weight"))
        learned = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learned, 1e-3)
        forward = torch.compile(network) if compiled else network

        def step():
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = forward(inputs)
            loss = functional.cross_entropy(logits.float(), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            return loss.item()

        return step

    return {
        "eager": make(),
        "channels_last": make(last=True),
        "compiled": make(last=True, compiled=True),
        "bfloat16": make(last=True, half=True),
    }
