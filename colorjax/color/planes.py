"""Pixels as separate channels, and checks of them. XLA on CPUs is several times slower along a last axis of 3."""

from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jax import Array

from colorjax.errors import check, is_numeric


def planes(pixels: Array | np.ndarray) -> tuple[Array, ...]:
    """Split the last axis into float32 arrays."""
    return tuple(jnp.unstack(jnp.asarray(pixels, jnp.float32), axis=-1))


def check_channels(name: str, pixels: object, channels: int) -> None:
    """Check that a value is an array of pixels.

    Raises:
        ArgumentError: it is not.
    """
    fits = is_numeric(pixels, 1, channels, empty=True)
    check(fits, name, pixels, f"an array of real numbers whose last axis is {channels} channels")


def check_fits(name: str, value: object, shape: tuple[Any, ...], other: str) -> None:
    """Check that a value is an array whose shape broadcasts with that of another one.

    Raises:
        ArgumentError: it is not.
    """
    fits = is_numeric(value, 0, empty=True) and _broadcast(np.shape(cast(Any, value)), shape)
    check(fits, name, value, f"an array whose shape fits the pixels of {other}, {shape}")


def _broadcast(*shapes: tuple[Any, ...]) -> bool:
    try:
        jnp.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True
