"""Converted encoders (`scripts/convert-encoder`), from which training starts the photo network."""

import os

import jax
import jax.numpy as jnp
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from colorjax.config import Config, PhotoConfig
from colorjax.errors import WeightsError
from colorjax.networks import init_params

CLASSIFIER_LAYERS = ("top", "classifier")  # in the file, but not in the photo network


def load_encoder(path: str | os.PathLike, config: Config) -> PyTree:
    """Read the parameters of an encoder.

    The stem in the file has three input channels. Gray goes into all three, so their kernels are summed.

    Args:
        path: A file that `scripts/convert-encoder` wrote.
        config: The config of a photo network.

    Returns:
        The value of `encoder` in the parameters of the photo network.

    Raises:
        WeightsError: the file is missing, damaged, or holds another encoder than that of the config.
    """
    network = config.network
    if not isinstance(network, PhotoConfig):
        raise WeightsError(f"{path}: encoders are for photo networks, such as --preset photo")
    try:
        arrays = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise WeightsError(f"{path}: not a converted encoder ({why})") from None
    wanted = jax.eval_shape(lambda: init_params(jax.random.key(0), config))["encoder"]

    def take(keys, leaf):
        name = ".".join(key.key for key in keys)
        array = arrays.get(name)
        if array is not None and name == "stem.kernel":
            array = array.sum(2, keepdims=True)
        if array is None or array.shape != leaf.shape:
            found = "missing" if array is None else " × ".join(map(str, array.shape))
            shape = " × ".join(map(str, leaf.shape))
            raise WeightsError(
                f"{path}: {name} is {found}; encoder {network.encoder} asks for {shape}"
            )
        return jnp.asarray(array, jnp.float32)

    return jax.tree_util.tree_map_with_path(take, wanted)
