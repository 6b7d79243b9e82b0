"""Photo → tensor → gray, against Pillow and the oracle."""

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import colorjax
from colorjax import photos
from spec import reference

levels = hnp.arrays(np.uint8, (2, 3, 4, 3))


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.req("PRE-001", "PRE-003")
def test_square_equals_pillow(tmp_path):
    rng = np.random.default_rng(0)
    paths = [
        save(tmp_path / "a.jpg", rng.integers(0, 256, (31, 57, 3), np.uint8)),
        save(tmp_path / "b.png", rng.integers(0, 256, (64, 20, 3), np.uint8)),
        save(tmp_path / "c.jpg", rng.integers(0, 256, (40, 40), np.uint8)),
    ]
    expected = [
        np.asarray(Image.open(p).convert("RGB").resize((16, 16), Image.Resampling.LANCZOS))
        for p in paths
    ]
    stack = photos.load_squares(paths, 16)
    assert stack.dtype == np.uint8
    np.testing.assert_array_equal(stack, expected)
    np.testing.assert_array_equal(photos.load_square(paths[1], 16), expected[1])


@pytest.mark.req("PRE-002")
def test_crop_takes_the_center_square(tmp_path):
    square = np.random.default_rng(1).integers(0, 256, (30, 30, 3), np.uint8)
    bar = np.zeros((30, 9, 3), np.uint8)
    alone = save(tmp_path / "alone.png", square)
    wide = save(tmp_path / "wide.png", np.concatenate([bar, square, bar], 1))
    np.testing.assert_array_equal(
        photos.load_square(wide, 8, framing="crop"), photos.load_square(alone, 8)
    )
    assert np.any(photos.load_square(wide, 8) != photos.load_square(alone, 8))


@pytest.mark.req("PRE-004", "PRE-007")
@hypothesis.given(levels)
def test_gray_equals_oracle_alone_batched_and_jitted(rgb):
    expected = reference.gray(rgb)
    ours = np.asarray(colorjax.rgb_to_gray(rgb))
    assert ours.dtype == np.float32
    for result in (
        ours,
        jax.jit(colorjax.rgb_to_gray)(rgb),
        jax.vmap(colorjax.rgb_to_gray)(rgb),
        np.stack([colorjax.rgb_to_gray(photo) for photo in rgb]),
        np.asarray(colorjax.rgb_to_gray(rgb[::-1]))[::-1],
    ):
        np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.req("PRE-004", "PRE-005")
def test_gray_of_gray_is_itself():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, -1)
    np.testing.assert_array_equal(colorjax.rgb_to_gray(ramp)[0], np.arange(256))
    np.testing.assert_array_equal(colorjax.rgb_to_gray(ramp, truncate=True)[0], np.arange(256))


@pytest.mark.req("PRE-005")
def test_truncated_gray_is_the_exact_floor():
    rgb = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3), np.uint8)
    exact = rgb.astype(int) @ [21, 72, 7] // 100
    ours = np.asarray(colorjax.rgb_to_gray(rgb, truncate=True))
    np.testing.assert_array_equal(ours, exact)
    seed = reference.gray(rgb, truncate=True)
    assert set(np.unique(ours - seed)) <= {0, 1}


@pytest.mark.req("PRE-006")
@hypothesis.given(hnp.arrays(np.float32, (1, 2, 4, 3), elements=st.floats(0, 255, width=32)))
def test_gray_is_bounded(rgb):
    gray = np.asarray(colorjax.rgb_to_gray(rgb))
    assert np.all(np.isfinite(gray))
    assert np.all(gray >= rgb.min(-1) - 1e-4)
    assert np.all(gray <= rgb.max(-1) + 1e-4)
    assert gray.min() >= 0
    assert gray.max() <= 255


@pytest.mark.req("PRE-006")
@hypothesis.given(levels, st.integers(0, 2), st.integers(1, 255))
def test_gray_grows_with_each_channel(rgb, channel, more):
    brighter = rgb.astype(np.float32)
    brighter[..., channel] += more
    assert np.all(colorjax.rgb_to_gray(brighter) > colorjax.rgb_to_gray(rgb))
