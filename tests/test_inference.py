"""Color at any size: the light promise, tiles, compilations, resizing."""

import math

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense import PRESETS, small
from hypothesis import strategies as st
from light import LIGHT, light_error
from photo_network import photo_weights
from PIL import Image

import colorjax
from colorjax import color
from colorjax import config as configs
from colorjax.inference import colorizing, hints, pipeline, resampling, tiles


def wild(name, scale=1.0):
    """Return weights of a small network that predicts strong colors."""
    config = small(name, copy_gray=False, initial_scale=scale)
    return colorjax.init_params(jax.random.key(0), config), config


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
    whole = colorizing.colorize(ramp.astype(np.uint8), wild("seed-relu"), tile=256)
    tiled = colorizing.colorize(ramp.astype(np.uint8), wild("seed-relu"), tile=32)
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
    matrix = resampling.resize_matrix(before, after, method=method)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
    expected = Image.fromarray(levels).resize((after, after), filters[method])
    np.testing.assert_allclose(matrix @ levels @ matrix.T, expected, atol=1e-3)


@pytest.mark.req("INF-006")
@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((4, 4), np.complex64),
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4), bool),
        np.zeros((2, 4, 4, 4), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((1, 2, 4, 4, 3), np.uint8),
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


@pytest.mark.req("INF-001", "INF-003")
def test_photo_network_keeps_light_and_hides_seams():
    ramp = (np.add.outer(np.arange(150), np.arange(190)) * 255 // 340).astype(np.uint8)
    noisy = ramp // 2 + np.random.default_rng(4).integers(0, 99, ramp.shape).astype(np.uint8)
    for photo in (ramp, noisy):
        whole = colorizing.colorize(photo, photo_weights(), tile=256)
        tiled = colorizing.colorize(photo, photo_weights(), tile=32)
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
        n, m = pipeline.working_shape((h, w), conf)
        shapes.add((n, m))
        assert n % 16 == m % 16 == 0
        aspect = max(h, w) / min(h, w)
        if aspect <= 16:
            most = 1.2 if aspect <= 2 else 1.25
            assert 1 / most <= (h / w) / (n / m) <= most
    assert len(shapes) <= 19


@pytest.mark.slow
@pytest.mark.req("INF-004")
def test_fifty_sizes_share_a_handful_of_programs(caplog):
    weights = photo_weights(working_size=16)  # two strides: few shapes
    rng = np.random.default_rng(6)
    with jax.log_compiles():
        for _ in range(50):
            shape = rng.integers(20, 700, 2)
            colorjax.colorize(np.zeros(shape, np.uint8), weights)
    compiled = [r for r in caplog.records if r.message.startswith("Compiling jit(")]
    assert len(compiled) <= 30, sorted(r.message[:60] for r in compiled)


@pytest.mark.req("INF-011")
def test_color_stops_at_edges():
    flat = jnp.full((12, 12, 2), 20.0)
    noise = np.random.default_rng(7).integers(0, 256, (96, 96)).astype(np.uint8)
    guide = tiles.shrink_gray(noise, (12, 12))
    lines = np.asarray(resampling.guided_coefficients(flat, jnp.asarray(guide)))
    np.testing.assert_allclose(lines[:2] * 128 + lines[2:], 20, atol=0.1)

    left = np.arange(96) < 43  # not on a cell's edge
    gray = np.where(left, 80, 170)[None].repeat(96, 0).astype(np.uint8)
    truth = np.where(left[None, :, None], [25.0, -30.0], [-20.0, 35.0]).repeat(96, 0)
    shrink = resampling.resize_matrix(96, 12, method="bicubic")
    chroma = jnp.asarray(np.einsum("ni,ijc,mj->nmc", shrink, truth, shrink), jnp.float32)
    near = np.abs(np.arange(96) - 42.5) < 4

    def error(rgb):
        ours = rgb[..., [0, 2]].astype(float) - gray[..., None]
        return np.abs(ours - truth)[:, near].mean()

    def lifted(share):
        lines = resampling.guided_coefficients(
            chroma, jnp.asarray(tiles.shrink_gray(gray, (12, 12))), share=share
        )
        return tiles.paint(gray, np.asarray(lines))

    assert error(lifted(resampling.SLOPE)) <= 0.6 * error(lifted(0.0))


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


@pytest.mark.req("INF-014")
@hypothesis.given(
    red=st.floats(-255, 255, width=32),
    blue=st.floats(-255, 255, width=32),
    knee=st.sampled_from([0.0, 5.0, 60.0]),
    asked=st.sampled_from([0.0, 1.0, 2.5]),
)
def test_what_is_natural(red, blue, knee, asked):
    config = configs.replace(colorjax.preset("seed-relu"), {"vividness": 1.3, "knee": knee})
    predicted = np.broadcast_to(np.float32([red, blue]), (4, 4, 2))
    seen = pipeline.Prediction(
        jnp.asarray(predicted), jnp.full((4, 4), 128.0), jnp.zeros((4, 4, 1))
    )
    slopes, chosen = np.split(pipeline.choose_colors(seen, config, vividness=asked), 2)
    length = math.hypot(red, blue)
    factor = asked
    if asked > 1 and knee:
        factor = 1 + (asked - 1) / (1 + (length / (0.6 * knee)) ** 2)
    held = length / math.sqrt(1 + (factor * length / knee) ** 2) if knee else length
    expected = factor * 1.3 * held / (length or 1) * np.array([red, blue])
    np.testing.assert_array_equal(slopes, 0)
    np.testing.assert_allclose(chosen[:, 0, 0], expected, rtol=1e-5, atol=1e-6)
    if knee:
        assert np.hypot(*chosen[:, 0, 0]) <= 1.3 * knee


@pytest.mark.req("INF-016")
@hypothesis.given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.0, 1.0, 1.3]))
def test_colors_spread_around_their_mean(seed, spread):
    chroma = np.random.default_rng(seed).uniform(-90, 60, (4, 6, 2)).astype(np.float32)
    config = configs.replace(colorjax.preset("seed-relu"), {"vividness": 1.3, "spread": spread})
    seen = pipeline.Prediction(jnp.asarray(chroma), jnp.full((4, 6), 128.0), jnp.zeros((4, 6, 1)))
    _, chosen = np.split(pipeline.choose_colors(seen, config), 2)
    mean = chroma.astype(float).mean((0, 1))
    np.testing.assert_allclose(
        np.moveaxis(chosen, 0, -1), 1.3 * (mean + spread * (chroma - mean)), atol=2e-3
    )


@pytest.mark.req("INF-014")
def test_a_knee_holds_back_the_photo_network():
    photo = np.random.default_rng(8).integers(60, 190, (40, 50), np.uint8)
    free, held = (
        colorjax.colorize(photo, photo_weights(knee=knee)).astype(int) for knee in (0.0, 10.0)
    )
    assert np.ptp(held, axis=-1).max() < np.ptp(free, axis=-1).max()


@pytest.mark.req("INF-008")
@pytest.mark.parametrize("channels", [(), (3,)])
def test_sixteen_bits(channels):
    photo = np.random.default_rng(9).integers(0, 256, (40, 300, *channels), np.uint8)
    small_levels = colorjax.colorize(photo, photo_weights())
    fine = colorjax.colorize(photo.astype(np.uint16) * 257, photo_weights())
    assert fine.dtype == np.uint16
    np.testing.assert_allclose(fine / 257, small_levels, atol=1.0)
    odd = np.random.default_rng(10).integers(0, 65536, (40, 50, *channels), np.uint16)
    assert light_error(colorjax.colorize(odd, photo_weights()), odd).max() <= 50


@pytest.mark.req("INF-001", "INF-008")
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_light_is_kept_at_each_of_a_million_pixels(depth):
    """Ties of red or blue, rounded both ways in one program, cost 57 of light at 900 of four million pixels."""
    rng = np.random.default_rng(14)
    photo = rng.integers(0, np.iinfo(depth).max + 1, (1024, 1024), depth)
    lines = (
        rng.normal(0, 30, (4, 40, 40)).astype(np.float32)
        * np.float32([0.01, 0.01, 1, 1])[:, None, None]
    )
    assert light_error(tiles.paint(photo, lines), photo).max() <= 36


@pytest.mark.req("INF-009")
@pytest.mark.parametrize("shape", [(300, 500), (1155, 866), (97, 2000), (40, 50)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_working_copy_is_the_photo(shape, depth, channels):
    rng = np.random.default_rng(11)
    coarse = rng.uniform(0, 255, (9, 11, *channels))
    rows, columns = (
        resampling.resize_matrix(n, side) for n, side in zip((9, 11), shape, strict=True)
    )
    smooth = np.einsum("in,nm...,jm->ij...", rows, coarse, columns)
    levels = np.clip(smooth + rng.normal(0, 10, smooth.shape), 0, 255)
    photo = np.rint(levels * (np.iinfo(depth).max / 255)).astype(depth)
    small_gray = tiles.shrink_gray(photo, (48, 64))
    gray = levels if photo.ndim == 2 else levels @ LIGHT / 100
    expected = Image.fromarray(gray.astype(np.float32)).resize((64, 48), Image.LANCZOS)
    np.testing.assert_allclose(small_gray, expected, atol=2)
    constant = np.full_like(photo, 77 * (np.iinfo(depth).max // 255))
    np.testing.assert_allclose(tiles.shrink_gray(constant, (48, 64)), 77, atol=1e-3)


@pytest.mark.slow
@pytest.mark.req("INF-002")
@pytest.mark.parametrize("shape", [(1, 400_000), (12_000, 9_000)])
def test_huge_sizes(shape):
    photo = np.broadcast_to((np.arange(shape[1]) % 251).astype(np.uint8), shape)
    rgb = colorjax.colorize(photo, photo_weights())
    assert rgb.shape == (*shape, 3)
    assert light_error(rgb[:: max(1, shape[0] // 7)], photo[:: max(1, shape[0] // 7)]).max() <= 50


@pytest.mark.req("INF-013")
def test_temperature():
    photo = np.random.default_rng(12).integers(60, 190, (40, 50), np.uint8)
    params, conf = photo_weights()
    spread = [
        np.ptp(colorjax.colorize(photo, (params, conf), temperature=t).astype(int), axis=-1).mean()
        for t in (0.25, 1.0, 4.0)
    ]
    assert spread[0] > spread[1] > spread[2]
    np.testing.assert_array_equal(
        colorjax.colorize(photo, (params, conf), temperature=1.0),
        colorjax.colorize(photo, (params, conf)),
    )


def hints_of(places, rgb):
    return hints.Hints(np.array(places, np.int64), np.array(rgb, np.uint8))


@pytest.mark.slow
@pytest.mark.req("INF-020")
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([1, 40]),
    depth=st.sampled_from([np.uint8, np.uint16]),
)
def test_hinted_pixels_are_kept(seed, count, depth):
    rng = np.random.default_rng(seed)
    peak = np.iinfo(depth).max
    photo = rng.integers(0, peak + 1, (45, 60), depth)
    places = rng.choice(45 * 60, count, replace=False)
    places = np.stack(np.divmod(places, 60), -1)
    told = rng.integers(0, 256, (count, 3), np.uint8)
    rgb = colorjax.colorize(photo, photo_weights(), hints=hints_of(places, told))
    assert light_error(rgb, photo).max() <= 50
    luma = photo[tuple(places.T)].astype(float)
    chroma = (told - (told @ LIGHT / 100)[:, None])[:, [0, 2]] * (peak / 255)
    fitted = color.fit_gamut(luma, chroma.astype(np.float32), peak=peak)
    expected = color.luma_chroma_to_rgb(luma, fitted)
    np.testing.assert_allclose(rgb[tuple(places.T)], expected, atol=0.5 + 1e-2 * peak / 255)


@pytest.mark.req("INF-021")
@pytest.mark.parametrize("scale", [1, 5])
def test_hints_spread_and_stop_at_edges(scale):
    y, x = np.mgrid[0 : 120 * scale, 0 : 160 * scale] / scale
    disc = np.hypot(y - 60, x - 60) < 35
    box = (np.abs(y - 60) < 30) & (x > 110) & (x < 150)
    photo = np.where(disc, 165, np.where(box, 45, 105)).astype(np.uint8)
    told = np.array([200, 120, 90], np.uint8)
    wanted = (told - told @ LIGHT / 100)[[0, 2]]
    weights = colorjax.load_weights()

    def chroma(rgb):
        return rgb[..., [0, 2]] - photo[..., None].astype(float)

    before = chroma(colorjax.colorize(photo, weights))
    after = chroma(
        colorjax.colorize(photo, weights, hints=hints_of([[60 * scale, 50 * scale]], [told]))
    )
    near = np.hypot(y - 60, x - 60)
    inside, outside = near < 30, (near > 40) & ~box
    gap = np.linalg.norm(wanted - before[inside].mean(0))
    assert np.linalg.norm(wanted - after[inside].mean(0)) <= 0.5 * gap
    moved = np.linalg.norm(after[inside].mean(0) - before[inside].mean(0))
    for beyond in (outside, box):
        assert np.linalg.norm(after[beyond].mean(0) - before[beyond].mean(0)) <= 0.1 * moved


@pytest.mark.req("INF-022")
def test_no_hint_changes_nothing():
    photo = np.random.default_rng(13).integers(0, 256, (40, 50), np.uint8)
    none = hints_of(np.zeros((0, 2)), np.zeros((0, 3)))
    np.testing.assert_array_equal(
        colorjax.colorize(photo, photo_weights(), hints=none),
        colorjax.colorize(photo, photo_weights()),
    )


@pytest.mark.req("INF-004")
def test_hints_share_programs(caplog):
    photo, told = np.full((40, 50), 90, np.uint8), np.random.default_rng(3)

    def color(count):
        places = np.stack([told.integers(0, 40, count), told.integers(0, 50, count)], -1)
        given = hints_of(places, told.integers(0, 256, (count, 3)))
        colorjax.colorize(photo, photo_weights(), hints=given)

    color(9)
    with jax.log_compiles():
        for count in (10, 13, 16):
            color(count)
    assert not [r.message for r in caplog.records if "Compiling" in r.message]


@pytest.mark.req("INF-023")
@pytest.mark.parametrize(
    ("places", "rgb", "named"),
    [
        (np.array([[40, 0]]), np.zeros((1, 3), np.uint8), "row 40, column 0"),
        (np.array([[0, -1]]), np.zeros((1, 3), np.uint8), "row 0, column -1"),
        (np.array([[0, 0]]), np.zeros((2, 3), np.uint8), "1 places and 2 colors"),
        (np.array([[0, 0]]), np.zeros((1, 4), np.uint8), "1 × 4"),
        (np.array([[0.5, 0]]), np.zeros((1, 3), np.uint8), "float64"),
        (np.array([[0, 0]]), np.zeros((1, 3), np.float32), "float32"),
    ],
)
def test_bad_hints_are_one_line(places, rgb, named):
    photo = np.zeros((40, 50), np.uint8)
    with pytest.raises(colorjax.ColorjaxError, match=named):
        colorjax.colorize(photo, photo_weights(), hints=hints.Hints(places, rgb))


@pytest.mark.req("INF-015")
@pytest.mark.parametrize("shape", [pytest.param((32, 32), marks=pytest.mark.slow), (64, 96)])
def test_softness_is_pillows(shape):
    params, config = photo_weights()
    gray = np.random.default_rng(0).uniform(40, 215, shape).astype(np.float32)
    few = [round(side / 1.6) for side in shape]
    small = Image.fromarray(gray).resize(few[::-1], Image.Resampling.LANCZOS)
    soft = np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC))
    predict = jax.jit(pipeline.predict_working_copy, static_argnames="config")
    sharp = predict(params, jnp.asarray(gray), config=config)
    seen = predict(params, jnp.asarray(soft), config=config)
    found = predict(params, jnp.asarray(gray), config=configs.replace(config, {"softness": 1.6}))
    np.testing.assert_allclose(found.cells, seen.cells, atol=1e-3)
    assert np.abs(np.asarray(found.cells - sharp.cells)).max() > 0.02
    np.testing.assert_array_equal(found.gray, sharp.gray)
