"""3 × 3 convolutions, whose gradients use minimal filtering on CPUs.

XLA runs direct convolutions slowly on CPUs, and the gradient of the kernel slowest of all. Winograd's F(2 × 2, 3 × 3)
splits a picture into overlapping tiles of 4 × 4, and transforms tiles and kernel so that a convolution is a product at
each of 16 points: 16 matrix products instead of 36. Only differentiated convolutions use it. Coloring and export use
the single native operation.

References:
    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4.1.
"""

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float

CONVOLVED = "convolved"  # the name by which `jax.checkpoint` may keep results

# two outputs from four inputs and a kernel of three: OUTPUTS @ ((KERNEL @ kernel) * (INPUTS @ inputs))
_INPUTS = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_OUTPUTS = ((1, 1, 1, 0), (0, 1, -1, -1))
_MIRRORED = (3, 1, 2, 0)  # the points of a mirrored kernel among those of the kernel
_LEAST_VALUES = 2**18  # of input and output of a batch, from which minimal filtering is faster

Grid = Sequence[Sequence[Array]]
Matrix = Sequence[Sequence[int | float]]


@jax.custom_vjp
def convolve(
    x: Float[Array, "b h w inputs"], kernel: Float[Array, "3 3 inputs outputs"]
) -> Float[Array, "b h w outputs"]:
    """Convolve with stride 1 and zero padding.

    Args:
        x: Pictures.
        kernel: The kernel, of the same dtype.

    Returns:
        Pictures of the same size.

    Gradient:
        By `jax.grad` or `jax.vjp`, to any order. `jax.jvp` is not supported.
    """
    return _direct(x, kernel)


def _forward(x, kernel):
    if _is_filtering_faster(x, kernel):
        y = jax.lax.platform_dependent(x, kernel, cpu=_filtered, default=_direct)
    else:
        y = _direct(x, kernel)
    return checkpoint_name(y, CONVOLVED), (x, kernel)


def _backward(kept, gradient):
    x, kernel = kept
    if _is_filtering_faster(x, kernel):
        return jax.lax.platform_dependent(
            x, kernel, gradient, cpu=_filtered_gradients, default=_direct_gradients
        )
    return _direct_gradients(x, kernel, gradient)


convolve.defvjp(_forward, _backward)


def _is_filtering_faster(x, kernel):
    """Return whether minimal filtering is possible and faster."""
    b, h, w, inputs = x.shape
    even = h % 2 == w % 2 == 0
    values = b * h * w * (inputs + kernel.shape[-1])
    return even and x.dtype == jnp.float32 and values >= _LEAST_VALUES


def _direct(x, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions)


def _direct_gradients(x, kernel, gradient):
    _, pull = jax.vjp(_direct, x, kernel)
    return pull(gradient)


def _not_inlined(function):
    """Keep XLA from fusing a function with its surroundings, which would compute those again for each point."""
    jitted = jax.jit(function)

    def call(*arrays):
        with set_xla_metadata(inlineable="false"):
            return jitted(*arrays)

    return call


@_not_inlined
def _filtered(x, kernel):
    return _filter(x, _kernel_points(kernel))


def _filtered_gradients(x, kernel, gradient):
    return _filtered_gradient(gradient, kernel), _filtered_kernel_gradient(x, gradient)


@_not_inlined
def _filtered_gradient(gradient, kernel):
    """Return the gradient with respect to the pictures: that of the result, convolved with the mirrored kernel."""
    points = _kernel_points(kernel)
    return _filter(gradient, [[points[i][j].T for j in _MIRRORED] for i in _MIRRORED])


@_not_inlined
def _filtered_kernel_gradient(x, gradient):
    outputs = _transposed(_OUTPUTS)
    squares = _every_second(gradient, 2)
    points = _each(lambda v, g: v.T @ g, _tile_points(x), _transform(outputs, squares))
    return jnp.stack([jnp.stack(row) for row in _transform(_transposed(_KERNEL), points)])


def _filter(x, points):
    """Convolve pictures, given the 4 × 4 points of the kernel, each (inputs, outputs)."""
    products = _each(operator.matmul, _tile_points(x), points)
    b, h, w, _ = x.shape
    squares = _transform(_OUTPUTS, products)
    rows = [jnp.stack([y.reshape(b, h // 2, w // 2, -1) for y in row], 3) for row in squares]
    return jnp.stack(rows, 2).reshape(b, h, w, -1)


def _kernel_points(kernel):
    return _transform(_KERNEL, [[kernel[i, j] for j in range(3)] for i in range(3)])


def _tile_points(x):
    """Return the 4 × 4 points, each (tiles, channels), of tiles at every second pixel, from one before the first."""
    edges = (
        (0, 0, 0),
        (1, 1, 0),
        (1, 1, 0),
        (0, 0, 0),
    )  # jnp.pad would be a separate call
    return _transform(_INPUTS, _every_second(jax.lax.pad(x, jnp.zeros((), x.dtype), edges), 4))


def _every_second(x, size: int) -> Grid:
    """Return size × size arrays (tiles, channels): the pixel at each position of every tile."""
    _, h, w, channels = x.shape

    def place(i, j):
        return x[:, i : h - size + i + 1 : 2, j : w - size + j + 1 : 2].reshape(-1, channels)

    return [[place(i, j) for j in range(size)] for i in range(size)]


def _transform(matrix: Matrix, grid: Grid) -> Grid:
    """Return matrix · grid · matrixᵀ."""
    return _transposed(_mix(matrix, _transposed(_mix(matrix, grid))))


def _mix(matrix, grid):
    """Return matrix · grid, without terms that are zero."""

    def total(row, column):
        return functools.reduce(
            operator.add, [a * x for a, x in zip(row, column, strict=True) if a]
        )

    return [[total(row, column) for column in zip(*grid, strict=True)] for row in matrix]


def _transposed(grid):
    return list(zip(*grid, strict=True))


def _each(function, *grids: Grid) -> Grid:
    """Apply a function to the arrays at each position of the grids."""
    return [list(map(function, *rows)) for rows in zip(*grids, strict=True)]
