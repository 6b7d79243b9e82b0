"""Networks: pure pairs of init and apply, and the functions that choose among them by config."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.color import fit_gamut, luma_chroma_to_rgb
from colorjax.config import Config, DenseConfig
from colorjax.networks import unet
from colorjax.networks.dense import apply_dense, init_dense, output_levels
from colorjax.resample import double


def init_params(key: PRNGKeyArray, config: Config) -> PyTree:
    """Draw the parameters of the config's network: a plain tree of float32 arrays.

    Spec: NET-001, NET-002, NET-005, NET-009, NET-020
    """
    if isinstance(config.network, DenseConfig):
        return init_dense(key, config.size, config.network)
    return unet.init_unet(key, config.network)


def forward(
    params: PyTree, gray: Float[Array, "*batch h w"], config: Config
) -> Float[Array, "*batch h w 3"]:
    """Predict RGB from gray.

    Args:
        params: as `init_params` gives them.
        gray: levels in [0, 255]; a dense network takes size × size only, the photo network any size, which it sees as
            it is: `colorize` makes the working copy.
        config: of the network.

    Returns:
        Levels in [0, 255]; the photo network keeps the gray.

    Raises:
        ConfigError: the photo's size is not the dense network's.

    Spec: NET-003, NET-004, NET-008, NET-010, NET-024
    """
    if isinstance(config.network, DenseConfig):
        return output_levels(apply_dense(params, gray, config.network), config.network)
    height, width = gray.shape[-2:]
    multiple = unet.stride(config.network)
    missing = [(0, 0)] * (gray.ndim - 2) + [(0, -height % multiple), (0, -width % multiple)]
    # nothing to add, nothing to do: jax2onnx turns an empty padding into one of a pixel
    padded = jnp.pad(gray, missing, mode="edge") if any(map(any, missing)) else gray
    logits = unet.apply_unet(params, padded, None, config.network)
    chroma = unet.decode(logits, config.network)
    lifted = double(chroma)[..., :height, :width, :]
    return jnp.clip(luma_chroma_to_rgb(gray, fit_gamut(gray, lifted)), 0, 255)
