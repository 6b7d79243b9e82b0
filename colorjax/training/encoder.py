"""The file of a converted encoder (`scripts/convert-encoder`), from which training starts the photo network."""

import os

import jax
import jax.numpy as jnp
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from colorjax.config import Config, PhotoConfig
from colorjax.errors import WeightsError
from colorjax.networks import init_params

KEPT_OUT = ("top", "classifier")  # layers of the file that serve its test only


def load_encoder(path: str | os.PathLike, config: Config) -> PyTree:
    """Read the encoder's parameters.

    The file's stem sees three channels; gray goes into all of them, so that their kernels are added up.

    Args:
        path: of the file that `scripts/convert-encoder` wrote.
        config: of a photo network.

    Returns:
        What stands as `encoder` in the photo network's parameters.

    Raises:
        WeightsError: the file is absent, damaged, or holds another encoder than the config's.
    """
    network = config.network
    if not isinstance(network, PhotoConfig):
        raise WeightsError(f"{path}: an encoder needs a photo network, such as --preset photo")
    try:
        arrays = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise WeightsError(f"{path}: no converted encoder ({why})") from None
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
