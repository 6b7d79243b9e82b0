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
from colorjax import config, inference, resample

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


def photo_weights(**changes):
    """Return a small photo network that predicts strong colours."""
    small_net = {
        "network.width": 8,
        "network.group": 4,
        "network.head_width": 8,
        "working_size": 32,
    }
    conf = config.replace(colorjax.preset("photo"), small_net | changes)
    params = colorjax.init_params(jax.random.key(0), conf)
    head = params["head"]["conv_1"]
    head["kernel"] = 3 * jax.random.normal(jax.random.key(1), head["kernel"].shape)
    return params, conf


@pytest.mark.req("INF-001", "INF-003")
def test_photo_network_keeps_light_and_hides_seams():
    ramp = (np.add.outer(np.arange(150), np.arange(190)) * 255 // 340).astype(np.uint8)
    noisy = ramp // 2 + np.random.default_rng(4).integers(0, 99, ramp.shape).astype(np.uint8)
    for photo in (ramp, noisy):
        whole = inference.colorize(photo, photo_weights(), tile=256)
        tiled = inference.colorize(photo, photo_weights(), tile=32)
        assert light_error(whole, photo).max() <= 50
        assert np.ptp(whole, axis=-1).max() > 20
        difference = np.abs(whole.astype(int) - tiled)
        assert difference.max() <= 1
        assert np.mean(difference > 0) <= 1e-3


@pytest.mark.req("INF-010")
def test_working_shapes():
    conf = colorjax.preset("photo")
    rng = np.random.default_rng(5)
    shapes = set()
    for _ in range(500):
        h, w = rng.integers(1, 5000, 2).tolist()
        n, m = inference.working_shape((h, w), conf)
        shapes.add((n, m))
        assert n % 16 == m % 16 == 0
        if max(h, w) <= 2 * min(h, w):
            assert 1 / 1.2 <= (h / w) / (n / m) <= 1.2
    assert len(shapes) <= 7


@pytest.mark.req("INF-004")
def test_fifty_sizes_share_a_handful_of_programs(caplog):
    weights = photo_weights()
    rng = np.random.default_rng(6)
    with jax.log_compiles():
        for _ in range(50):
            shape = rng.integers(20, 700, 2)
            colorjax.colorize(np.zeros(shape, np.uint8), weights)
    compiled = [r for r in caplog.records if r.message.startswith("Compiling jit(")]
    assert len(compiled) <= 30, sorted(r.message[:60] for r in compiled)


@pytest.mark.req("INF-011")
def test_colour_stops_at_edges():
    flat = jnp.full((12, 12, 2), 20.0)
    noise = np.random.default_rng(7).integers(0, 256, (96, 96)).astype(np.uint8)
    guide = inference.shrink_gray(noise, (12, 12))
    lines = np.asarray(resample.guided_lines(flat, guide))
    np.testing.assert_allclose(lines[..., :2] * 128 + lines[..., 2:], 20, atol=0.1)

    left = np.arange(96) < 43  # not on a cell's edge
    gray = np.where(left, 80, 170)[None].repeat(96, 0).astype(np.uint8)
    truth = np.where(left[None, :, None], [25.0, -30.0], [-20.0, 35.0]).repeat(96, 0)
    shrink = resample.resize_matrix(96, 12, method="bicubic")
    chroma = jnp.asarray(np.einsum("ni,ijc,mj->nmc", shrink, truth, shrink), jnp.float32)
    near = np.abs(np.arange(96) - 42.5) < 4

    def error(rgb):
        ours = rgb[..., [0, 2]].astype(float) - gray[..., None]
        return np.abs(ours - truth)[:, near].mean()

    guided = inference.apply_chroma(gray, chroma, inference.shrink_gray(gray, (12, 12)))
    assert error(guided) <= 0.6 * error(inference.apply_chroma(gray, chroma))


@pytest.mark.req("INF-012")
def test_vividness():
    photo = np.random.default_rng(8).integers(60, 190, (40, 50), np.uint8)
    weights = photo_weights()
    gray, dull, plain, vivid = (
        colorjax.colorize(photo, weights, vividness=v) for v in (0.0, 0.3, 1.0, 1.5)
    )
    np.testing.assert_array_equal(gray, photo[..., None].repeat(3, -1))
    spread = [np.ptp(rgb.astype(int), axis=-1).mean() for rgb in (gray, dull, plain, vivid)]
    assert spread == sorted(spread)
    assert spread[-1] > spread[1]
