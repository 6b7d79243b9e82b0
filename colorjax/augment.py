"""Augmentation of training photos: pure functions of a key."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def random_mirror(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, probability: float = 0.5
) -> Float[Array, "batch h w 3"]:
    """Mirror each photo left to right with the given probability.

    Spec: TRN-008
    """
    chosen = jax.random.bernoulli(key, probability, (len(rgb), 1, 1, 1))
    return jnp.where(chosen, rgb[:, :, ::-1], rgb)
