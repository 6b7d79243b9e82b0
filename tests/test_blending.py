"""Blending of chroma, against the formulas of the spec in NumPy, and the matrices that shrink long sides."""

import numpy as np
import pytest
from light import LIGHT
from PIL import Image

from colorjax.inference import blending, resampling


def chroma(rgb):
    """Return R − Y and B − Y on the 8-bit scale."""
    levels = rgb.astype(float) * (255 / np.iinfo(rgb.dtype).max)
    return (levels - (levels @ LIGHT / 100)[..., None])[..., [0, 2]]


@pytest.mark.req("CMD-028")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_own_color_is_blended_as_specified(dtype):
    rng = np.random.default_rng(3)
    peak = np.iinfo(dtype).max
    gray = rng.uniform(0.35, 0.65, (30, 40, 1))
    own, given = (
        np.rint(peak * (gray + rng.uniform(-0.1, 0.1, (30, 40, 3)))).astype(dtype) for _ in "ab"
    )
    tint = np.linspace([-9, 8], [7, -12], 256).astype(np.float32)
    mixed = blending.blend_own_color(own, given, tint)
    level = np.rint(own.astype(float) @ LIGHT * (2.55 / peak)).astype(int)
    beyond = np.linalg.norm(chroma(own) - tint[level], axis=-1, keepdims=True)
    expected = chroma(own) + np.maximum(0, 1 - beyond / 40) * (chroma(given) - chroma(own))
    assert np.ptp(beyond) > 15
    np.testing.assert_allclose(chroma(mixed), expected, atol=1.01 if dtype == np.uint8 else 0.01)


@pytest.mark.req("CMD-030")
@pytest.mark.parametrize("shape", [(16, 24), (19, 37)])
def test_frames_are_blended_as_specified(shape):
    rng = np.random.default_rng(4)
    first = rng.integers(90, 160, shape).astype(np.uint8)
    second = first.astype(int)
    second[:, shape[1] // 2 :] += 5
    second = second.astype(np.uint8)
    colored = [
        np.clip(each[..., None] + rng.integers(-30, 30, (*shape, 3)), 0, 255).astype(np.uint8)
        for each in (first, second)
    ]
    memory, shown = blending.blend_over_time(None, first, colored[0])
    np.testing.assert_array_equal(shown, colored[0])
    memory, shown = blending.blend_over_time(memory, second, colored[1])

    def blocks(gray):
        padded = np.pad(gray.astype(float), [(0, -side % 8) for side in shape], mode="edge")
        rows, columns = padded.shape
        return padded.reshape(rows // 8, 8, columns // 8, 8).mean((1, 3))

    still = 0.9 * np.exp(-(((blocks(second) - blocks(first)) / 6) ** 2))
    remembered = still * blocks(first) + (1 - still) * blocks(second)
    share = np.kron(still, np.ones((8, 8)))[: shape[0], : shape[1], None]
    before, now = (chroma(each) for each in colored)
    expected = now + share * (before - now)
    np.testing.assert_allclose(memory.blocks, remembered, atol=1e-3)
    np.testing.assert_allclose(memory.chroma, expected, atol=1e-3)
    np.testing.assert_allclose(chroma(shown), expected, atol=1.01)


@pytest.mark.req("INF-005")
@pytest.mark.parametrize(("before", "after"), [(40, 40), (1001, 100), (517, 16), (1024, 32)])
def test_long_sides_are_averaged_and_resized(before, after):
    line = np.random.default_rng(5).uniform(0, 255, before)
    matrix = resampling.shrink_matrix(before, after)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    side = max(1, min(256, before // (2 * after)))
    means = np.array([line[start : start + side].mean() for start in range(0, before, side)])
    expected = Image.fromarray(means[None].astype(np.float32)).resize(
        (after, 1), Image.LANCZOS, box=(0, 0, before / side, 1)
    )
    np.testing.assert_allclose(matrix @ line, np.asarray(expected)[0], atol=1e-2)
