"""3 × 3 convolutions, and their gradients by minimal filtering where a CPU trains.

XLA runs direct convolutions slowly on CPUs, the kernel's gradient slowest of all. Winograd's F(2 × 2, 3 × 3) splits a
picture into tiles of 4 × 4 that overlap, moves tiles and kernel to where a convolution is a product at each of 16
points, and takes there 16 products of matrices in place of 36. Only what is differentiated goes that way: what
colors photos, and what is exported, stays one operation.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4.1.
"""

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float

CONVOLVED = "convolved"  # what `jax.checkpoint` may keep by this name

# two outputs in a row, of four inputs and a kernel of three: OUTPUTS @ ((KERNEL @ kernel) * (INPUTS @ inputs))
_INPUTS = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_OUTPUTS = ((1, 1, 1, 0), (0, 1, -1, -1))
_MIRRORED = (3, 1, 2, 0)  # the points of a mirrored kernel among those of the kernel
_WORTH = 2**18  # numbers in and out of a batch, from which on it pays

Grid = Sequence[Sequence[Array]]
Matrix = Sequence[Sequence[int | float]]


@jax.custom_vjp
def convolve(
    x: Float[Array, "b h w inputs"], kernel: Float[Array, "3 3 inputs outputs"]
) -> Float[Array, "b h w outputs"]:
    """Convolve with a stride of 1 and zero padding.

    Args:
        x: pictures.
        kernel: of the same type.

    Returns:
        Pictures of the same size.

    Gradient: by `jax.grad` or `jax.vjp`, to any order; `jax.jvp` of it is refused.

    Spec: NET-026
    """
    return _direct(x, kernel)


def _forward(x, kernel):
    if _pays(x, kernel):
        y = jax.lax.platform_dependent(x, kernel, cpu=_filtered, default=_direct)
    else:
        y = _direct(x, kernel)
    return checkpoint_name(y, CONVOLVED), (x, kernel)


def _backward(kept, gradient):
    x, kernel = kept
    if _pays(x, kernel):
        return jax.lax.platform_dependent(
            x, kernel, gradient, cpu=_filtered_gradients, default=_direct_gradients
        )
    return _direct_gradients(x, kernel, gradient)


convolve.defvjp(_forward, _backward)


def _pays(x, kernel):
    """Tell whether minimal filtering can be used, and is faster."""
    b, h, w, inputs = x.shape
    tiles = h % 2 == w % 2 == 0
    return tiles and x.dtype == jnp.float32 and b * h * w * (inputs + kernel.shape[-1]) >= _WORTH


def _direct(x, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions)


def _direct_gradients(x, kernel, gradient):
    _, pull = jax.vjp(_direct, x, kernel)
    return pull(gradient)


def _apart(function):
    """Let XLA fuse nothing of a function with what is before and after: it would compute that anew for each point."""
    jitted = jax.jit(function)

    def call(*arrays):
        with set_xla_metadata(inlineable="false"):
            return jitted(*arrays)

    return call


@_apart
def _filtered(x, kernel):
    return _filter(x, _kernel_points(kernel))


def _filtered_gradients(x, kernel, gradient):
    return _filtered_gradient(gradient, kernel), _filtered_kernel_gradient(x, gradient)


@_apart
def _filtered_gradient(gradient, kernel):
    """Return the gradient of the pictures: theirs, convolved with the mirrored kernel."""
    points = _kernel_points(kernel)
    return _filter(gradient, [[points[i][j].T for j in _MIRRORED] for i in _MIRRORED])


@_apart
def _filtered_kernel_gradient(x, gradient):
    outputs = _transposed(_OUTPUTS)
    squares = _every_second(gradient, 2)
    points = _each(lambda v, g: v.T @ g, _tile_points(x), _sandwich(outputs, squares))
    return jnp.stack([jnp.stack(row) for row in _sandwich(_transposed(_KERNEL), points)])


def _filter(x, points):
    """Convolve pictures, given the kernel's 4 × 4 points of (inputs, outputs)."""
    products = _each(operator.matmul, _tile_points(x), points)
    b, h, w, _ = x.shape
    squares = _sandwich(_OUTPUTS, products)
    rows = [jnp.stack([y.reshape(b, h // 2, w // 2, -1) for y in row], 3) for row in squares]
    return jnp.stack(rows, 2).reshape(b, h, w, -1)


def _kernel_points(kernel):
    return _sandwich(_KERNEL, [[kernel[i, j] for j in range(3)] for i in range(3)])


def _tile_points(x):
    """Return the 4 × 4 points, each (tiles, channels), of tiles at every second pixel, from one before the first."""
    edges = (
        (0, 0, 0),
        (1, 1, 0),
        (1, 1, 0),
        (0, 0, 0),
    )  # jnp.pad is a call, which would stay apart too
    return _sandwich(_INPUTS, _every_second(jax.lax.pad(x, jnp.zeros((), x.dtype), edges), 4))


def _every_second(x, size: int) -> Grid:
    """Return size × size arrays (tiles, channels): of each tile the pixel at that place."""
    _, h, w, channels = x.shape

    def place(i, j):
        return x[:, i : h - size + i + 1 : 2, j : w - size + j + 1 : 2].reshape(-1, channels)

    return [[place(i, j) for j in range(size)] for i in range(size)]


def _sandwich(matrix: Matrix, grid: Grid) -> Grid:
    """Return matrix · grid · matrixᵀ."""
    return _transposed(_mix(matrix, _transposed(_mix(matrix, grid))))


def _mix(matrix, grid):
    """Return matrix · grid, without the terms that are zero."""

    def total(row, column):
        return functools.reduce(
            operator.add, [a * x for a, x in zip(row, column, strict=True) if a]
        )

    return [[total(row, column) for column in zip(*grid, strict=True)] for row in matrix]


def _transposed(grid):
    return list(zip(*grid, strict=True))


def _each(function, *grids: Grid) -> Grid:
    """Return what a function makes of the arrays at each place of the grids."""
    return [list(map(function, *rows)) for rows in zip(*grids, strict=True)]
