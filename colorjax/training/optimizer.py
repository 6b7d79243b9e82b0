"""The optimizer: an optax chain, built from a config."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from colorjax.config import Config, check_config

EARLY = {
    "stem",
    "stage_0",
    "stage_1",
}  # parts of the encoder that detect edges and textures, which are alike in gray and in color


def schedule(config: Config) -> optax.Schedule:
    """Return the learning-rate schedule: from a step to a factor on the learning rate. It starts with a warm-up."""
    optimizer = config.optimizer
    warmup = round(optimizer.warmup * config.steps)
    after: optax.Schedule
    match optimizer.schedule:
        case "constant":
            after = optax.constant_schedule(1.0)
        case "cosine":
            after = optax.cosine_decay_schedule(1.0, max(1, config.steps - warmup))
        case "inverse-cube":

            def inverse_cube(count):  # counts from the end of the warm-up
                return (1.0 + jnp.floor_divide(count + warmup, config.pass_steps)) ** -3.0

            after = inverse_cube
    if warmup == 0:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, 1.0, warmup), after], [warmup])


def make_optimizer(
    config: Config,
    *,
    learning_rate: Float[Array, ""] | None = None,
    weight_decay: Float[Array, ""] | None = None,
) -> optax.GradientTransformation:
    """Build the optax chain: clipping by global norm, then Adam, Muon or momentum, weight decay, and the schedule.

    Args:
        config: The config. Its `optimizer`, `steps` and `pass_steps` count.
        learning_rate: Replaces the config's. It may be traced, as in a sweep.
        weight_decay: Replaces the config's. It may be traced, too.

    Example:
        >>> optimizer = colorjax.make_optimizer(colorjax.preset("seed-relu"))
        >>> state = optimizer.init({"kernel": np.ones((2, 2), np.float32)})
    """
    check_config(config)
    optimizer = config.optimizer
    rate = optimizer.learning_rate if learning_rate is None else learning_rate
    decay = optimizer.weight_decay if weight_decay is None else weight_decay
    return optax.chain(
        optax.clip_by_global_norm(optimizer.clip_norm),
        _direction(config),
        optax.add_decayed_weights(decay, _is_kernel),
        optax.scale_by_schedule(schedule(config)),
        optax.scale(-rate),
        optax.masked(optax.scale(optimizer.encoder_rate), _is_encoder),
        optax.masked(optax.set_to_zero(), partial(is_frozen, config=config)),
    )


def is_frozen(params: PyTree, config: Config) -> PyTree:
    """Return for each parameter whether the config keeps it fixed."""

    def frozen(path, leaf):
        names = [entry.key for entry in path]
        match config.optimizer.frozen:
            case "depthwise":
                return "encoder" in names and _is_depthwise(names)
            case "early":
                early = EARLY.intersection(names)
                return "encoder" in names and bool(early or _is_depthwise(names))
            case "encoder":
                return "encoder" in names
        return False

    return jax.tree_util.tree_map_with_path(frozen, params)


def _is_depthwise(names):
    return "depthwise" in names and names[-1] == "kernel"


def hold_frozen(params: PyTree, config: Config) -> PyTree:
    """Stop the gradients of frozen parameters, so that they are not computed."""
    return jax.tree.map(
        lambda held, leaf: jax.lax.stop_gradient(leaf) if held else leaf,
        is_frozen(params, config),
        params,
    )


def _is_encoder(params):
    """Return for each leaf whether it belongs to the encoder of the photo network."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: path[0].key == "encoder", params)


def _direction(config: Config) -> optax.GradientTransformation:
    """Return the part of the chain that converts gradients to the direction of an update."""
    second_moment = config.optimizer.second_moment
    match config.optimizer.algorithm:
        case "adam":
            return optax.scale_by_adam(b2=second_moment)
        case "momentum":
            return optax.trace(decay=0.9)
        case "muon":
            muon = optax.chain(optax.trace(0.95, nesterov=True), optax.stateless(_orthogonalized))
            adam = optax.scale_by_adam(b2=second_moment, nesterov=True)
            return optax.partition({True: muon, False: adam}, _is_muon_kernel)


def orthogonalize(
    matrix: Float[Array, "inputs outputs"], *, iterations: int = 4
) -> Float[Array, "inputs outputs"]:
    """Approximate the nearest matrix with orthonormal columns, or orthonormal rows if they are fewer.

    The Newton-Schulz iteration is a polynomial in the Gram matrix of the shorter side. All products except the first
    and the last are therefore products of that small square matrix, which costs less than half of iterating on the
    matrix.

    Args:
        matrix: Any matrix. A matrix of zeros stays zero.
        iterations: The number of quintic iterations.

    Returns:
        A matrix with the same singular vectors. Its singular values, except for tiny ones, lie between 0.7 and 1.2.

    References:
        Jordan 2024 (Muon, the quintic); Boissin et al. 2025, arXiv:2512.04632 (AOL, the initial scaling).
    """
    if matrix.shape[0] < matrix.shape[1]:
        return orthogonalize(matrix.T, iterations=iterations).T
    linear, cubic, quintic = 3.4445, -4.7750, 2.0315
    gram = matrix.T @ matrix
    scale = jax.lax.rsqrt(jnp.maximum(jnp.abs(gram).sum(0), 1e-8))
    gram *= jnp.outer(scale, scale)
    identity = jnp.eye(len(gram))
    product = jnp.diag(scale)
    for _ in range(iterations):
        factor = linear * identity + cubic * gram + quintic * gram @ gram
        product @= factor
        gram @= factor @ factor  # they commute, because they are polynomials in one matrix
    return matrix @ product


def _orthogonalized(updates: PyTree, params: PyTree) -> PyTree:
    """Orthogonalize kernels as matrices from all inputs of an output to the outputs.

    The updates have the size of Adam's, so that the same learning rates work.
    """
    del params

    def orthogonalized(kernel):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        return 0.2 * max(matrix.shape) ** 0.5 * orthogonalize(matrix).reshape(kernel.shape)

    return jax.tree.map(orthogonalized, updates)


def _is_muon_kernel(params):
    """Return which leaves Muon updates: all kernels outside the encoder.

    The encoder was pretrained with a relative of Adam.
    """
    return jax.tree.map(
        lambda kernel, encoder: kernel and not encoder, _is_kernel(params), _is_encoder(params)
    )


def _is_kernel(params):
    """Return which leaves are matrices and have weight decay: not biases, scales or depthwise kernels."""
    return jax.tree.map(lambda leaf: leaf.ndim in (2, 4), params)
