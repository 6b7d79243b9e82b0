"""Networks: pure pairs of init and apply, and the functions that choose among them by config."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.color import fit_gamut, luma_chroma_to_rgb
from colorjax.config import Config, DenseConfig
from colorjax.networks.bins import decode
from colorjax.networks.dense import apply_dense, init_dense, output_levels
from colorjax.networks.layers import double
from colorjax.networks.photo import apply_photo, init_photo


def init_params(key: PRNGKeyArray, config: Config) -> PyTree:
    """Draw the parameters of the config's network: a plain tree of float32 arrays.

    Spec: NET-001, NET-002, NET-005, NET-009, NET-020
    """
    if isinstance(config.network, DenseConfig):
        return init_dense(key, config.size, config.network)
    return init_photo(key, config.network)


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
    chroma = decode(apply_photo(params, gray, config.network), config.network)
    lifted = double(double(chroma))[..., :height, :width, :]
    return jnp.clip(luma_chroma_to_rgb(gray, fit_gamut(gray, lifted)), 0, 255)
