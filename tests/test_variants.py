"""Variants and palettes: colors unlike each other, thing by thing, each on the photo's own luma."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from light import LIGHT, light_error
from photo_network import photo_weights
from pictures import most_apart

import colorjax
from colorjax import color
from colorjax.data import datasets
from colorjax.inference import pipeline, things, variants
from colorjax.networks.bins import bin_centers

SIDE = 12  # cells of a drawn prediction


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
        for one, other in itertools.combinations(pictures, 2):
            assert most_apart(one, other) >= 5


def drawn(left, right):
    """Return a prediction of two things, the left and the right half, with these likely colors (bin to logit)."""
    weights = photo_weights()
    config = dataclasses.replace(weights[1], knee=0.0, vividness=1.0)
    logits = np.zeros((SIDE, SIDE, len(bin_centers(config.network))), np.float32)
    for half, likely in ((np.s_[:, : SIDE // 2], left), (np.s_[:, SIDE // 2 :], right)):
        for place, logit in likely.items():
            logits[(*half, place)] = logit
    features = np.zeros((SIDE, SIDE, 2), np.float32)
    features[:, SIDE // 2 :] = 3.0
    gray = np.full((SIDE, SIDE), 128, np.float32)
    return pipeline.Prediction(*map(jnp.asarray, (logits, gray, features))), config


def bin_of(config, hue, length=50.0):
    """Return the bin nearest to a chroma."""
    wanted = length * np.array([np.cos(hue), np.sin(hue)])
    return int(np.argmin(((bin_centers(config.network) - wanted) ** 2).sum(-1)))


@pytest.mark.slow
@pytest.mark.req("INF-030")
def test_only_what_may_change_changes():
    config = photo_weights()[1]
    one, two = bin_of(config, 0.5), bin_of(config, 3.0)
    prediction, config = drawn({one: 12.0}, {one: 12.0, two: 11.8})
    tilts = variants.distinct_tilts(prediction, config, 2)
    natural, other = (pipeline.choose_chroma(prediction, config, tilt=tilt) for tilt in tilts)
    moved = np.linalg.norm(np.asarray(other - natural), axis=-1)
    assert moved[:, : SIDE // 2].max() < 2
    assert moved[:, SIDE // 2 :].min() > 20


@pytest.mark.req("INF-030")
def test_a_thing_of_certain_hue_keeps_its_color():
    config = photo_weights()[1]
    blue, tan, red = bin_of(config, 2.0), bin_of(config, -1.0), bin_of(config, 0.0)
    gray_or_blue = {0: np.log(0.5), blue: np.log(0.4)}
    sky = gray_or_blue | {tan: np.log(0.1)}
    dress = gray_or_blue | {red: np.log(0.4)}
    prediction, config = drawn(*({b: 15 + p for b, p in each.items()} for each in (sky, dress)))
    natural, *others = (
        pipeline.choose_chroma(prediction, config, tilt=tilt)
        for tilt in variants.distinct_tilts(prediction, config, 3)
    )
    moved = [np.linalg.norm(np.asarray(other - natural), axis=-1) for other in others]
    assert max(each[:, : SIDE // 2].max() for each in moved) < 2
    assert min(each[:, SIDE // 2 :].min() for each in moved) > 20


@pytest.mark.req("INF-030")
def test_the_sky_keeps_its_color():
    config = photo_weights()[1]
    blue, red, green = (bin_of(config, hue) for hue in (2.2, 0.0, -2.4))
    likely = {blue: np.log(0.65), red: np.log(0.35)}
    prediction, config = drawn(*[{b: 15 + p for b, p in likely.items()}] * 2)
    lawn = np.s_[SIDE // 3 : SIDE // 2]
    cells = prediction.cells.at[lawn].set(0.0).at[lawn, :, green].set(15.0)
    features = prediction.features.at[:].set(0.0).at[lawn].set(3.0)
    prediction = dataclasses.replace(prediction, cells=cells, features=features)
    natural, other = (
        pipeline.choose_chroma(prediction, config, tilt=tilt)
        for tilt in variants.distinct_tilts(prediction, config, 2)
    )
    moved = np.linalg.norm(np.asarray(other - natural), axis=-1)
    assert moved[: SIDE // 2].max() < 2
    assert moved[SIDE // 2 :].min() > 20


@pytest.mark.slow
@pytest.mark.req("INF-031")
def test_palette_is_of_the_thing():
    config = photo_weights()[1]
    hues = (0.5, 3.0, 4.5)
    bins = [bin_of(config, hue) for hue in hues]
    prediction, config = drawn({bins[0]: 12.0, bins[1]: 11.0}, {bins[2]: 12.0})
    colors, probability = variants.likely_colors(prediction, config, (0.5, 0.1), 6)
    assert probability[:2] == pytest.approx([0.731, 0.269], abs=0.02)
    chroma = np.asarray(color.rgb_to_luma_chroma(colors.astype(np.float32))[1])
    found = np.arctan2(chroma[:2, 1], chroma[:2, 0]) % (2 * np.pi)
    assert found == pytest.approx(hues[:2], abs=0.3)
    other, _ = variants.likely_colors(prediction, config, (0.5, 0.9), 6)
    chroma = np.asarray(color.rgb_to_luma_chroma(other.astype(np.float32))[1])
    assert np.arctan2(*chroma[0, ::-1]) % (2 * np.pi) == pytest.approx(hues[2], abs=0.3)


@pytest.mark.req("INF-031")
@pytest.mark.parametrize("count", [1, 8])
def test_palette(count):
    photo = np.full((40, 50), 200, np.uint8)
    weights = photo_weights()
    colors = variants.palette(photo, weights, (20, 30), count)
    assert colors.shape[1:] == (3,)
    assert 1 <= len(colors) <= count
    np.testing.assert_allclose(colors @ LIGHT / 100, 140, atol=0.5)
    labs = np.asarray(color.rgb_to_lab(colors.astype(np.float32)))
    for one, other in itertools.combinations(labs, 2):
        assert float(color.ciede2000(one, other)) >= 7.99
    seen = pipeline.predict(photo, weights)
    _, probability = variants.likely_colors(seen, weights[1], (0.5, 0.6), count)
    assert (np.diff(probability) <= 0).all()
    assert probability.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.req("INF-032")
def test_anchors_are_one_of_each_thing():
    rng = np.random.default_rng(0)
    centers = np.array([[0, 0], [3, 0], [0, 3]], float)
    which = np.repeat([0, 1, 2], [60, 90, 50])
    features = (centers[which] + rng.normal(0, 0.05, (200, 2))).astype(np.float32)
    features = jnp.asarray(features.reshape(10, 20, 2))
    found = np.asarray(things.anchors(features, 3))
    nearest = np.argmin(np.linalg.norm(found[:, None] - centers[None], axis=-1), axis=1)
    assert nearest.tolist() == [1, 0, 2]
    shares = np.asarray(things.memberships(features, jnp.asarray(found))).reshape(200, 3)
    assert shares.sum(-1).max() <= 1 + 1e-6
    assert shares[np.arange(200), np.argsort(nearest)[which]].min() >= 0.9
