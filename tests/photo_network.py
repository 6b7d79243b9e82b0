"""Shared by the tests of the photo network: the preset made small enough to compile in a second or two."""

import jax

import colorjax
from colorjax import config

CHANGES = {
    "size": 16,
    "source_size": 0,
    "working_size": 32,
    "softness": 1.0,
    "batch": 8,
    "optimizer.warmup": 0.0,
    "network.stages": 3,
    "network.bottom": 8,
    "network.coarse": 8,
    "network.middle": 8,
    "network.fine": 8,
    "network.group": 4,
    "network.head_width": 8,
}


def small(**changes):
    """Return the small config, with more fields replaced."""
    return config.replace(colorjax.preset("photo"), CHANGES | changes)


def photo_weights(**changes):
    """Return a small photo network that predicts strong colors."""
    conf = small(**changes)
    params = colorjax.init_params(jax.random.key(0), conf)
    head = params["head"]["conv_1"]
    head["kernel"] = 3 * jax.random.normal(jax.random.key(1), head["kernel"].shape)
    return params, conf
