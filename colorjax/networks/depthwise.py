"""Depthwise convolutions. XLA runs them slowly on CPUs, so there they are sums of shifted products.

XLA's depthwise convolution reaches about 1 GFLOP/s on a CPU core. A sum over the taps of the kernel, where each term is
the shifted picture times one number per channel, is elementwise. XLA fuses it, and it runs at the speed of memory.
Accelerators use the native convolution.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c"], stride: int = 1
) -> Float[Array, "b rows columns c"]:
    """Convolve each channel with its own kernel, with zero padding.

    Args:
        x: Pictures.
        kernel: One k × k kernel per channel, of the dtype of `x`.
        stride: 1 or 2.

    Returns:
        Pictures of ⌈h / stride⌉ × ⌈w / stride⌉ pixels. The padding is TensorFlow's `SAME`: with stride 2, an even side
        gets one more zero after it than before it.

    Gradient:
        By `jax.grad` or `jax.vjp`, once. `jax.jvp` is not supported.
    """
    return jax.lax.platform_dependent(
        x, kernel, cpu=_each(_shifted, stride), default=_each(native_depthwise, stride)
    )


def _forward(x, kernel, stride):
    return depthwise(x, kernel, stride), (x, kernel)


def _backward(stride, kept, gradient):
    x, kernel = kept
    return (
        jax.lax.platform_dependent(
            x,
            kernel,
            gradient,
            cpu=_each(_shifted_gradient, stride),
            default=lambda x, kernel, g: jax.vjp(lambda x: native_depthwise(x, kernel, stride), x)[
                1
            ](g)[0],
        ),
        jax.lax.platform_dependent(
            x,
            kernel,
            gradient,
            cpu=_each(_shifted_kernel_gradient, stride),
            default=lambda x, kernel, g: jax.vjp(lambda k: native_depthwise(x, k, stride), kernel)[
                1
            ](g)[0],
        ),
    )


depthwise.defvjp(_forward, _backward)


def _each(function, stride):
    return functools.partial(function, stride=stride)


def native_depthwise(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c"], stride: int = 1
) -> Float[Array, "b rows columns c"]:
    """Convolve as `depthwise` does, with the single operation that devices and other programs provide."""
    return jax.lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def _padding(side: int, size: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after a side, as in `SAME`."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


def _pad(x, size, stride):
    """Pad rows and columns with zeros, as in `SAME`."""
    edges = [(*_padding(side, size, stride), 0) for side in x.shape[1:3]]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *edges, (0, 0, 0)))


def _tap(padded, i, j, rows, columns, stride):
    """Return the pixel that the tap (i, j) reads for each pixel of the result."""
    return jax.lax.slice(
        padded,
        (0, i, j, 0),
        (
            len(padded),
            i + (rows - 1) * stride + 1,
            j + (columns - 1) * stride + 1,
            padded.shape[-1],
        ),
        (1, stride, stride, 1),
    )


def _shifted(x, kernel, stride):
    size = len(kernel)
    rows, columns = (-(-side // stride) for side in x.shape[1:3])
    padded = _pad(x, size, stride)
    products = (
        _tap(padded, i, j, rows, columns, stride) * kernel[i, j][None, None, None]
        for i in range(size)
        for j in range(size)
    )
    return functools.reduce(jnp.add, products)


def _shifted_gradient(x, kernel, gradient, stride):
    """Return the gradient with respect to the pictures, gathered from the taps of each pixel.

    With stride 2, pixels in even and odd rows and columns have different taps. They are computed separately and
    interleaved.
    """
    size = len(kernel)
    b, h, w, c = x.shape
    rows, columns = (-(-side // stride) for side in (h, w))
    before = [_padding(side, size, stride)[0] for side in (h, w)]
    margin = size  # padding for every tap
    wide = jax.lax.pad(
        gradient,
        jnp.zeros((), gradient.dtype),
        ((0, 0, 0), (margin, margin, 0), (margin, margin, 0), (0, 0, 0)),
    )

    def taps(phase, axis):  # pixel stride · n + phase is tap i of the result's pixel n + shift
        pairs = ((i, phase + before[axis] - i) for i in range(size))
        return [(i, offset // stride) for i, offset in pairs if offset % stride == 0]

    def pixels(p, q):
        total = jnp.zeros((b, rows, columns, c), gradient.dtype)
        for i, down in taps(p, 0):
            for j, right in taps(q, 1):
                near = jax.lax.dynamic_slice(
                    wide, (0, margin + down, margin + right, 0), (b, rows, columns, c)
                )
                total += near * kernel[i, j][None, None, None]
        return total

    if stride == 1:
        return pixels(0, 0)
    phases = [jnp.stack([pixels(p, q) for q in range(stride)], 3) for p in range(stride)]
    full = jnp.stack(phases, 2).reshape(b, rows * stride, columns * stride, c)
    return full[:, :h, :w]


def _shifted_kernel_gradient(x, kernel, gradient, stride):
    """Return the gradient with respect to the kernel, photo by photo, so that each stays in the cache for all taps."""
    size = len(kernel)
    rows, columns = gradient.shape[1:3]
    padded = _pad(x, size, stride)

    def add(total, photo):
        pixels, error = photo
        taps = [
            (_tap(pixels[None], i, j, rows, columns, stride)[0] * error).sum((0, 1))
            for i in range(size)
            for j in range(size)
        ]
        return total + jnp.stack(taps), None

    start = jnp.zeros((size * size, x.shape[-1]), gradient.dtype)
    total, _ = jax.lax.scan(add, start, (padded, gradient))
    return total.reshape(kernel.shape)
