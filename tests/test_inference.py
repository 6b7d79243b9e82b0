"""Colour at any size: the light promise, tiles, compilations, resizing."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense import PRESETS, small
from hypothesis import strategies as st
from PIL import Image

import colorjax
from colorjax import inference, resample

LIGHT = np.array([21, 72, 7])


def wild(name, scale=1.0):
    """Return weights of a small network that predicts strong colours."""
    config = small(name, copy_gray=False, initial_scale=scale)
    return colorjax.init_params(jax.random.key(0), config), config


def light_error(rgb, photo):
    light = 100 * photo.astype(int) if photo.ndim == 2 else photo.astype(int) @ LIGHT
    return np.abs(rgb.astype(int) @ LIGHT - light)


@pytest.mark.req("INF-001")
@pytest.mark.parametrize("name", PRESETS)
@hypothesis.given(seed=st.integers(0, 2**32 - 1), channels=st.sampled_from([(), (3,)]))
def test_light_is_kept(name, seed, channels):
    photo = np.random.default_rng(seed).integers(0, 256, (37, 53, *channels), np.uint8)
    before = photo.copy()
    rgb = colorjax.colorize(photo, wild(name))
    assert rgb.dtype == np.uint8
    assert rgb.shape == (37, 53, 3)
    assert light_error(rgb, photo).max() <= 50
    assert np.ptp(rgb, axis=-1).max() > 20
    np.testing.assert_array_equal(photo, before)


@pytest.mark.req("INF-002")
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 5000), (5000, 1), (7, 7), (511, 513), (512, 512), (513, 1)]
)
def test_any_size(shape):
    photo = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    rgb = colorjax.colorize(photo, wild("seed-relu"))
    assert rgb.shape == (*shape, 3)
    assert light_error(rgb, photo).max() <= 50


@pytest.mark.req("INF-003")
def test_seams_are_invisible():
    ramp = np.add.outer(np.arange(150), np.arange(190)) * 255 // 340
    whole = inference.colorize(ramp.astype(np.uint8), wild("seed-relu"), tile=256)
    tiled = inference.colorize(ramp.astype(np.uint8), wild("seed-relu"), tile=32)
    difference = np.abs(whole.astype(int) - tiled)
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= 1e-3


@pytest.mark.req("INF-004")
def test_sizes_share_their_programs(caplog):
    weights = wild("seed-tanh2")
    colorjax.colorize(np.zeros((20, 30), np.uint8), weights)
    with jax.log_compiles():
        for side in range(40, 50):
            colorjax.colorize(np.full((side * 9, 2 * side), side, np.uint8), weights)
    assert not [record for record in caplog.records if "Compiling" in record.message]


@pytest.mark.req("INF-005")
@pytest.mark.parametrize(
    ("before", "after"), [(50, 16), (16, 50), (7, 7), (1, 9), (9, 1), (300, 128)]
)
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
def test_resize_equals_pillow(before, after, method):
    levels = np.random.default_rng(2).uniform(0, 255, (before, before)).astype(np.float32)
    matrix = resample.resize_matrix(before, after, method=method)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
    expected = Image.fromarray(levels).resize((after, after), filters[method])
    np.testing.assert_allclose(matrix @ levels @ matrix.T, expected, atol=1e-3)


@pytest.mark.req("INF-006")
@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
)
def test_bad_arrays_are_one_line(photo):
    with pytest.raises(colorjax.ColorjaxError) as caught:
        colorjax.colorize(photo, wild("seed-relu"))
    assert str(photo.dtype) in str(caught.value)
    assert " × ".join(map(str, photo.shape)) in str(caught.value)


@pytest.mark.req("INF-007")
def test_gray_stays_gray():
    config = small("seed-relu", initial_scale=0.0)
    params = colorjax.init_params(jax.random.key(0), config)
    photo = np.random.default_rng(3).integers(0, 256, (40, 50), np.uint8)
    np.testing.assert_array_equal(
        colorjax.colorize(photo, (params, config)), photo[..., None].repeat(3, -1)
    )
    assert jnp.all(params["layer_0"]["kernel"] >= -1)
