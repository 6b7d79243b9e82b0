"""PyTorch networks that `scripts/bench` compares with: the photo network again, and one of ECCV16's published size."""

import torch
from torch import nn
from torch.nn import functional

STEM, CELL = 4, 2


def norm(channels, group):
    """Return the normalisation of groups of channels."""
    return nn.GroupNorm(max(1, channels // group), channels)


def gelu(x):
    """Return the GELU as JAX has it by default."""
    return functional.gelu(x, approximate="tanh")


class Block(nn.Module):
    """A residual block, with the mean over the photo where it has a context."""

    def __init__(self, channels, group, *, context=False):
        super().__init__()
        self.norm_0, self.norm_1 = norm(channels, group), norm(channels, group)
        self.conv_0, self.conv_1 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.context = nn.Conv2d(channels, channels, 1) if context else None

    def forward(self, x):
        """Add to x what the block makes of it."""
        y = gelu(self.norm_0(x))
        z = self.conv_0(y)
        if self.context is not None:
            z = z + self.context(y.mean((2, 3), keepdim=True))
        return x + self.conv_1(gelu(self.norm_1(z)))


class UNet(nn.Module):
    """`colorjax.networks.unet` of a `UNetConfig`, channels first."""

    def __init__(self, config):
        super().__init__()
        widths = [config.width * 2**level for level in range(config.levels)]
        self.stem = nn.Conv2d(STEM * STEM + 3, widths[0], 3, padding=1)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for wide in widths[:-1]:

            def blocks(wide=wide):
                return nn.Sequential(*(Block(wide, config.group) for _ in range(config.blocks)))

            self.downs.append(
                nn.ModuleList(
                    [blocks(), norm(wide, config.group), nn.Conv2d(4 * wide, 2 * wide, 1)]
                )
            )
            self.ups.append(
                nn.ModuleList(
                    [norm(2 * wide, config.group), nn.Conv2d(2 * wide, wide, 1), blocks()]
                )
            )
        self.bottom = nn.Sequential(
            *(Block(widths[-1], config.group, context=True) for _ in range(config.bottom_blocks))
        )
        bins = 1 + config.rings * config.hues
        self.head_norm_0 = norm(2 * widths[0], config.group)
        self.head_conv_0 = nn.Conv2d(2 * widths[0], config.head_width, 3, padding=1)
        self.head_norm_1 = norm(config.head_width, config.group)
        self.head_conv_1 = nn.Conv2d(config.head_width, bins * (STEM // CELL) ** 2, 1)

    def forward(self, gray, hints):
        """Return the logits of (batch, 1, h, w) gray and (batch, 3, h/4, w/4) hints."""
        x = functional.pixel_unshuffle((gray - 128) / 64, STEM)
        stem = x = self.stem(torch.cat([x, hints], 1))
        skips = []
        for blocks, normed, conv in self.downs:
            x = blocks(x)
            skips.append(x)
            x = conv(functional.pixel_unshuffle(gelu(normed(x)), 2))
        x = self.bottom(x)
        for (normed, conv, blocks), skip in zip(reversed(self.ups), reversed(skips), strict=True):
            x = conv(gelu(normed(x)))
            x = blocks(skip + functional.interpolate(x, scale_factor=2))
        x = gelu(self.head_norm_0(torch.cat([x, stem], 1)))
        x = gelu(self.head_norm_1(self.head_conv_0(x)))
        return functional.pixel_shuffle(self.head_conv_1(x), STEM // CELL)


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
    """Return functions that take one AdamW step on soft labels each: eager, channels last, compiled."""
    gray = torch.rand(batch, 1, size, size) * 255
    hints = torch.zeros(batch, 3, size // STEM, size // STEM)
    bins = 1 + config.rings * config.hues
    labels = torch.rand(batch, bins, size // CELL, size // CELL).softmax(1)

    def make(*, last=False, compiled=False):
        network, inputs = UNet(config), gray
        if last:
            network = network.to(memory_format=torch.channels_last)
            inputs = gray.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        forward = torch.compile(network) if compiled else network

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(forward(inputs, hints), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            return loss.item()

        return step

    return {
        "eager": make(),
        "channels_last": make(last=True),
        "compiled": make(last=True, compiled=True),
    }
