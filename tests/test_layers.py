"""The layers of the photo network, against NumPy and Pillow."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from colorjax.networks import layers

normalize = jax.jit(layers.group_norm, static_argnames="group")


@pytest.mark.req("NET-020")
@pytest.mark.parametrize(("channels", "group"), [(8, 4), (6, 2), (4, 16)])
def test_group_norm_equals_numpy(channels, group):
    rng = np.random.default_rng(channels)
    spread, middle = rng.uniform(0.5, 3, (3, 1, 1, channels)), rng.normal(0, 5, channels)
    x = rng.normal(middle, spread, (3, 5, 7, channels))
    x[0] *= 1e-3  # about the constant under the root
    params = {name: rng.normal(size=channels).astype(np.float32) for name in ("scale", "bias")}
    groups = max(1, channels // group)
    wide = x.astype(np.float32).astype(float).reshape(3, 35, groups, channels // groups)
    wide = wide - wide.mean((1, 3), keepdims=True)
    wide /= np.sqrt((wide**2).mean((1, 3), keepdims=True) + 1e-5)
    expected = wide.reshape(x.shape) * params["scale"] + params["bias"]
    result = normalize(params, x.astype(np.float32), group=group)
    np.testing.assert_allclose(result, expected, atol=1e-3)


@pytest.mark.req("INF-005")
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 4)])
def test_doubling_equals_pillow(shape):
    planes = np.random.default_rng(2).uniform(-255, 255, (3, *shape, 2)).astype(np.float32)
    doubled = np.asarray(layers.double(jnp.asarray(planes)))
    size = (2 * shape[1], 2 * shape[0])
    for each, channel in itertools.product(range(3), range(2)):
        expected = Image.fromarray(planes[each, :, :, channel]).resize(size, Image.BILINEAR)
        np.testing.assert_allclose(doubled[each, :, :, channel], expected, atol=1e-3)


@pytest.mark.req("NET-020")
@pytest.mark.parametrize(("shape", "cut"), [((2, 3, 4, 2), (6, 8)), ((1, 2, 3, 1), (3, 5))])
def test_repeating_equals_numpy(shape, cut):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = x.repeat(2, 1).repeat(2, 2)[:, : cut[0], : cut[1]]
    result = layers.repeat(jnp.asarray(x), (shape[0], *cut, 9))
    np.testing.assert_array_equal(result, expected)


@pytest.mark.req("NET-020")
@pytest.mark.parametrize("side", [1, 3])
def test_convolutions_have_a_bias(side):
    rng = np.random.default_rng(side)
    x, kernel, bias = (
        rng.normal(size=s).astype(np.float32) for s in ((2, 5, 6, 3), (side, side, 3, 4), 4)
    )
    padded = np.pad(x, [(0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)]).astype(float)
    expected = sum(
        padded[:, i : i + 5, j : j + 6] @ kernel[i, j].astype(float)
        for i, j in np.ndindex(side, side)
    )
    result = layers.apply_conv(
        {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}, jnp.asarray(x)
    )
    np.testing.assert_allclose(result, expected + bias, atol=1e-4)


@pytest.mark.req("NET-025")
@pytest.mark.parametrize(("shape", "gain"), [((3, 3, 20, 50), 1.0), ((1, 1, 90, 70), 2.0)])
def test_kernels_are_drawn_by_their_fan_in(shape, gain):
    options = {} if gain == 1 else {"gain": gain}
    params = layers.init_conv(jax.random.key(0), *shape, **options)
    kernel = np.asarray(params["kernel"])
    assert kernel.shape == shape
    assert params["bias"].shape == shape[-1:]
    assert not params["bias"].any()
    spread = gain / np.sqrt(np.prod(shape[:-1]))
    assert abs(kernel.std() / spread - 1) < 0.03
    assert abs(kernel.mean() / spread) < 0.03
    norm = layers.init_norm(5)
    np.testing.assert_array_equal(norm["scale"], np.ones(5))
    np.testing.assert_array_equal(norm["bias"], np.zeros(5))
