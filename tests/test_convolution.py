"""Convolutions of the photo network, beside NumPy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from colorjax.networks.convolution import convolve

SHAPES = {  # batch, height, width, inputs, outputs
    "odd": (3, 5, 7, 4, 6),
    "one pixel": (1, 1, 1, 2, 3),
    "small and even": (2, 4, 6, 3, 5),
    "large": (2, 32, 32, 64, 64),
    "large and uneven": (4, 16, 24, 80, 96),
    "large and odd": (1, 33, 31, 128, 130),
}
LARGE = SHAPES["large"]


def drawn(shape):
    """Return pictures, a kernel, and a gradient of what they are convolved to."""
    b, h, w, inputs, outputs = shape
    rng = np.random.default_rng(0)
    shapes = (b, h, w, inputs), (3, 3, inputs, outputs), (b, h, w, outputs)
    return [rng.normal(size=each).astype(np.float32) for each in shapes]


def shifted(x):
    """Return for each pixel of the kernel what it meets: 3 × 3 × the shape of x."""
    _, h, w, _ = x.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.stack(
        [np.stack([padded[:, i : i + h, j : j + w] for j in range(3)]) for i in range(3)]
    )


def expected(x, kernel, gradient):
    """Return value and both gradients in float64."""
    y = np.einsum("ijbhwc,ijco->bhwo", shifted(x), kernel, optimize=True)
    mirrored = kernel[::-1, ::-1]
    by_x = np.einsum("ijbhwo,ijco->bhwc", shifted(gradient), mirrored, optimize=True)
    by_kernel = np.einsum("ijbhwc,bhwo->ijco", shifted(x), gradient, optimize=True)
    return y, by_x, by_kernel


@jax.jit
def found(x, kernel, gradient):
    y, pull = jax.vjp(convolve, x, kernel)
    return y, *pull(gradient)


def step_text(shape, dtype=jnp.float32, platform="cpu"):
    """Return the program of value and gradients as it is given to a platform's compiler."""
    arrays = [jnp.asarray(each, dtype) for each in drawn(shape)]
    return found.trace(*arrays).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.req("NET-026")
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_value_and_gradients(shape):
    arrays = drawn(shape)
    for ours, truth in zip(found(*arrays), expected(*arrays), strict=True):
        np.testing.assert_allclose(ours, truth, rtol=0, atol=1e-5 * np.abs(truth).max())


@pytest.mark.req("NET-026")
@pytest.mark.parametrize("shape", [SHAPES["odd"], LARGE], ids=["small", "large"])
def test_undifferentiated_is_one_convolution(shape):
    x, kernel, _ = drawn(shape)
    text = jax.jit(convolve).lower(x, kernel).as_text()
    assert text.count("stablehlo.convolution") == 1
    assert "stablehlo.dot_general" not in text
    truth = expected(*drawn(shape))[0]
    np.testing.assert_allclose(
        jax.jit(convolve)(x, kernel), truth, rtol=0, atol=1e-5 * np.abs(truth).max()
    )


@pytest.mark.req("NET-026")
def test_where_minimal_filtering_takes_their_place():
    assert "stablehlo.convolution" not in step_text(LARGE)
    assert "stablehlo.dot_general" in step_text(LARGE)
    for others in (
        step_text(LARGE, jnp.bfloat16),
        step_text(LARGE, platform="cuda"),
        step_text(SHAPES["odd"]),
        step_text(SHAPES["small and even"]),
        step_text(SHAPES["large and odd"]),
    ):
        assert others.count("stablehlo.convolution") == 3
        assert "stablehlo.dot_general" not in others


@pytest.mark.slow
@pytest.mark.req("NET-026")
def test_gradient_of_the_gradient():
    x, kernel, gradient = drawn(LARGE)

    def length(
        kernel,
    ):  # half its square is the kernel's own gradient: bilinear in the pictures, constant in itself
        return jnp.sum(convolve(x, kernel) ** 2) / 2

    _, product = jax.jvp(jax.grad(length), (kernel,), (kernel,))
    y, _, _ = expected(x, kernel, gradient)
    truth = expected(x, kernel, y)[2]
    np.testing.assert_allclose(product, truth, rtol=0, atol=1e-4 * np.abs(truth).max())
