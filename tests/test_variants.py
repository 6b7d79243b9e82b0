"""Variants and palettes: colors unlike each other, each on the photo's own light."""

import numpy as np
import pytest
from light import LIGHT, light_error
from photo_network import photo_weights

import colorjax
from colorjax.data import datasets
from colorjax.evaluation import metrics
from colorjax.inference import variants


@pytest.mark.req("INF-030")
def test_variants_differ():
    weights = colorjax.load_weights()
    found = datasets.load_photos(["samples"], 256, framing="crop", method="bicubic")
    for truth in found.rgb:
        gray = np.rint(truth @ (LIGHT / 100)).astype(np.uint8)
        pictures = variants.colorize_variants(gray, weights, 3)
        np.testing.assert_array_equal(pictures[0], colorjax.colorize(gray, weights))
        for picture in pictures:
            assert light_error(picture, gray).max() <= 50
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert metrics.mean_ciede2000(pictures[i], pictures[j]) >= 5


@pytest.mark.req("INF-031")
@pytest.mark.parametrize("count", [1, 8])
def test_palette(count):
    photo = np.full((40, 50), 140, np.uint8)
    colors = variants.palette(photo, photo_weights(), (20, 30), count)
    assert colors.shape == (count, 3)
    assert len(np.unique(colors, axis=0)) == count
    np.testing.assert_allclose(colors @ LIGHT / 100, 140, atol=0.5)
