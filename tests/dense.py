"""Shared by the tests of the dense networks: presets, small configs, and params as the oracle has them."""

import dataclasses

import numpy as np

import colorjax
from colorjax import config as configs

PRESETS = ("seed-relu", "seed-relu2", "seed-sigmoid", "seed-sigmoid2", "seed-tanh2")
SIZE = 4


def small(name, *, size=SIZE, **network):
    """Return a preset shrunk to 4 × 4 photos (or `size`), with network fields replaced."""
    config = colorjax.preset(name)
    return dataclasses.replace(
        config, size=size, network=dataclasses.replace(config.network, **network)
    )


def plain(name="seed-relu", **optimizer):
    """Return a small preset whose rate is constant from the first step."""
    changes = {"schedule": "constant", "warmup": 0.0} | optimizer
    return configs.replace(small(name), {f"optimizer.{k}": v for k, v in changes.items()})


def to_oracle(params):
    """Return params as the oracle's list of (outputs, inputs) float64 matrices."""
    kernels = [params[f"layer_{i}"]["kernel"] for i in range(len(params))]
    return [np.asarray(kernel, np.float64).T for kernel in kernels]


def from_oracle(weights, dtype=np.float32):
    """Return the oracle's matrices as params."""
    return {f"layer_{i}": {"kernel": np.asarray(w.T, dtype)} for i, w in enumerate(weights)}


def photos(seed, count=3, size=SIZE):
    """Return random (gray, rgb): gray is exactly the mix of the integer levels."""
    rgb = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3))
    return (rgb @ np.array([21, 72, 7]) / 100).astype(np.float32), rgb.astype(np.float32)
