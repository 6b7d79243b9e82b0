"""The optax chain, built from a config."""

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float, PyTree

from colorjax.config import Config


def schedule(config: Config) -> optax.Schedule:
    """Return the share of the learning rate at a step: warm-up, then the config's schedule.

    Source: seed S7 for 1 / pass³.
    Spec: TRN-004
    """
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
    """Return the optax chain: clip by global norm, Adam, Muon or momentum, weight decay, schedule.

    Args:
        config: its `optimizer`, `steps` and `pass_steps` decide.
        learning_rate: in place of the config's; may be traced, as in a sweep.
        weight_decay: likewise.

    Spec: TRN-001, TRN-004, TRN-005, TRN-018, TRN-037
    """
    optimizer = config.optimizer
    rate = optimizer.learning_rate if learning_rate is None else learning_rate
    decay = optimizer.weight_decay if weight_decay is None else weight_decay
    return optax.chain(
        optax.clip_by_global_norm(optimizer.clip_norm),
        _direction(config),
        optax.add_decayed_weights(decay, _is_kernel),
        optax.scale_by_schedule(schedule(config)),
        optax.scale(-rate),
    )


def _direction(config: Config) -> optax.GradientTransformation:
    """Return the part of the chain that turns gradients into a direction."""
    second_moment = config.optimizer.second_moment
    match config.optimizer.algorithm:
        case "adam":
            return optax.scale_by_adam(b2=second_moment)
        case "momentum":
            return optax.trace(decay=0.9)
        case "muon":
            return optax.contrib.muon(
                -1.0,  # a direction up, as the others give; the chain's end turns it down
                ns_steps=4,
                preconditioning="aol",
                adam_b2=second_moment,
                muon_weight_dimension_numbers=_as_matrices,
                consistent_rms=0.2,  # updates as large as Adam's: the same learning rates serve
            )


def _as_matrices(params: PyTree) -> PyTree:
    """Tell Muon how kernels are matrices, from all that an output sees to the outputs; the rest is Adam's."""

    def axes(leaf):
        last = leaf.ndim - 1
        numbers = optax.contrib.MuonDimensionNumbers(tuple(range(last)), last)
        return numbers if leaf.ndim > 1 else None

    return jax.tree.map(axes, params)


def _is_kernel(params):
    """Tell which leaves decay: kernels, not biases or scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
