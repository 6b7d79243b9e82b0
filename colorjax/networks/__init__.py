"""Networks: pure pairs of init and apply, and the two functions that choose among them by config."""

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from colorjax.config import Config
from colorjax.networks.dense import apply_dense, init_dense, output_levels


def init_params(key: PRNGKeyArray, config: Config) -> PyTree:
    """Draw the parameters of the config's network: a plain tree of float32 arrays.

    Spec: NET-001, NET-002, NET-005, NET-009
    """
    return init_dense(key, config.size, config.network)


def forward(
    params: PyTree, gray: Float[Array, "*batch h w"], config: Config
) -> Float[Array, "*batch h w 3"]:
    """Predict RGB from gray.

    Args:
        params: as `init_params` gives them.
        gray: levels in [0, 255]; a dense network takes size × size only.
        config: of the network.

    Returns:
        Levels in [0, 255].

    Raises:
        ConfigError: the photo's size is not the network's.

    Spec: NET-003, NET-004, NET-008, NET-010
    """
    return output_levels(apply_dense(params, gray, config.network), config.network)
