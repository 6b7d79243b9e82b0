"""Networks: pairs of pure functions `init_*` and `apply_*`, and two functions that choose among them by the config.

Start with the two functions here. `dense` has the fully connected networks, `photo` the photo network with its `bins`,
`efficientnet` encoder and `layers`. `convolution` and `depthwise` are fast convolutions. This package imports `color`
and `config`.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.color import fit_gamut, luma_chroma_to_rgb
from colorjax.config import Config, DenseConfig, PhotoConfig, check_config
from colorjax.errors import check, is_numeric
from colorjax.networks.bins import decode
from colorjax.networks.dense import apply_dense, init_dense, output_levels
from colorjax.networks.layers import double
from colorjax.networks.photo import apply_photo, init_photo


def init_params(key: PRNGKeyArray, config: Config) -> PyTree:
    """Initialize the parameters of the config's network.

    Args:
        key: The random key.
        config: The config of the network.

    Returns:
        A nested dict of float32 arrays.

    Raises:
        ArgumentError: the key is not a JAX random key, or the config is not a `Config`.

    Example:
        >>> params = colorjax.init_params(jax.random.key(0), colorjax.preset("seed-relu"))
        >>> {name: layer["kernel"].shape for name, layer in params.items()}
        {'layer_0': (256, 3840), 'layer_1': (3840, 768)}
    """
    check_key(key)
    check_config(config)
    return _init_params(key, config.network, config.size)


@functools.partial(jax.jit, static_argnames=("network", "size"))
def _init_params(key, network, size):
    """Initialize in one program. Op by op, the photo network would compile a hundred programs."""
    if isinstance(network, DenseConfig):
        return init_dense(key, size, network)
    return init_photo(key, network)


def forward(
    params: PyTree, gray: Float[Array, "*batch h w"], config: Config
) -> Float[Array, "*batch h w 3"]:
    """Predict RGB from gray.

    Args:
        params: The parameters, from `init_params`.
        gray: Levels in [0, 255]. A dense network accepts size × size only. The photo network accepts any size, and
            sees the gray at that size. `colorize` makes a working copy.
        config: The config of the network. It is static under `jax.jit`.

    Returns:
        Levels in [0, 255]. The photo network preserves the gray.

    Raises:
        ConfigError: the size of the photo is not that of the dense network.
        ArgumentError: an argument is of the wrong kind, or the parameters are of another network.

    Example:
        >>> config = colorjax.preset("seed-relu")
        >>> params = colorjax.init_params(jax.random.key(0), config)
        >>> colorjax.forward(params, jax.numpy.zeros((8, 16, 16)), config).shape
        (8, 16, 16, 3)
    """
    check_config(config)
    check_params(params, config)
    check_gray(gray)
    if isinstance(config.network, DenseConfig):
        return output_levels(apply_dense(params, gray, config.network), config.network)
    height, width = gray.shape[-2:]
    chroma = decode(apply_photo(params, gray, config.network), config.network)
    lifted = double(double(chroma))[..., :height, :width, :]
    return jnp.clip(luma_chroma_to_rgb(gray, fit_gamut(gray, lifted)), 0, 255)


def check_key(key: object) -> None:
    """Check that a value is a JAX random key.

    Raises:
        ArgumentError: it is not.
    """
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key)
    raw = str(dtype) == "uint32" and getattr(key, "ndim", 0) == 1
    check(typed or raw, "key", key, "a JAX random key, such as jax.random.key(0)")


def check_gray(gray: object) -> None:
    """Check that a value holds gray photos.

    Raises:
        ArgumentError: it does not.
    """
    check(is_numeric(gray, 2), "gray", gray, "an array of levels, (*batch, h, w)")


def check_params(params: PyTree, config: Config) -> None:
    """Check that parameters belong to the network of the config.

    Raises:
        ArgumentError: they do not.
    """
    check(
        isinstance(params, dict), "params", params, "a dict of parameters, as init_params gives it"
    )
    if not fits(params, config):
        check(False, "params", params, "the parameters of the config's network")


def fits(params: PyTree, config: Config) -> bool:
    """Return whether parameters have the names and shapes of a config's network."""
    found = jax.tree.map(np.shape, params)  # jax2onnx replaces jnp.shape while it traces
    return found == parameter_shapes(config.network, config.size)


@functools.lru_cache(maxsize=32)
def parameter_shapes(network: DenseConfig | PhotoConfig, size: int) -> PyTree:
    """Return the shapes of a network's parameters, in a nested dict, without taking memory for values.

    Args:
        network: The architecture.
        size: As in `Config`.
    """
    if isinstance(network, DenseConfig):
        # the indices of copied gray take memory even while tracing
        network = dataclasses.replace(network, copy_gray=False)
    config = Config(network=network, size=size)
    params = jax.eval_shape(lambda key: init_params(key, config), jax.random.key(0))
    return jax.tree.map(lambda leaf: leaf.shape, params)
