"""Metrics, against scikit-image and float64 NumPy."""

import json
import math

import hypothesis
import jaxtyping
import numpy as np
import pytest
import scipy.stats
import skimage.color
import skimage.data
import skimage.metrics
import strategies

from colorjax import errors
from colorjax.evaluation import metrics


def photos(h=60, w=91):
    """Return a photo and a version of it with noise and a tint."""
    truth = skimage.data.astronaut()[:h, :w]
    noise = np.random.default_rng(0).normal([8, 0, -8], 12, truth.shape)
    return np.clip(truth + noise, 0, 255).astype(np.uint8), truth


def gray_photo(level, h=8, w=8):
    return np.full((h, w, 3), level, np.uint8)


def labs(*pictures):
    return [skimage.color.rgb2lab(picture) for picture in pictures]


@pytest.mark.req("EVL-001")
@hypothesis.given(strategies.photo_pairs())
def test_psnr_equals_scikit_image(pair):
    rgb, truth = pair
    error = metrics.mean_squared_error(rgb, truth)
    assert math.isclose(error, np.mean((rgb.astype(float) - truth) ** 2), rel_tol=1e-12)
    if error:
        expected = skimage.metrics.peak_signal_noise_ratio(truth, rgb)
        assert abs(metrics.psnr(error) - expected) <= 1e-6


@pytest.mark.req("EVL-012")
@hypothesis.given(strategies.photo_pairs())
def test_loss_is_the_seeds(pair):
    exact = int(((pair[0].astype(int) - pair[1]) ** 2).sum())
    assert math.isclose(metrics.measure(*pair)["loss"], exact, rel_tol=1e-12)


@pytest.mark.req("EVL-002", "EVL-004", "EVL-006", "EVL-008")
def test_equal_pictures_are_best():
    _, truth = photos()
    scores = metrics.measure(truth, truth.copy())
    assert scores["psnr"] == metrics.psnr(0.0) == metrics.psnr(1e-12) == 100
    assert abs(scores["ssim"] - 1) <= 1e-6
    assert scores["ciede2000"] == 0
    assert scores["auc"] == 1


@pytest.mark.req("EVL-004")
def test_ssim_equals_scikit_image():
    rgb, truth = photos()
    expected = skimage.metrics.structural_similarity(truth, rgb, channel_axis=-1)
    assert abs(metrics.ssim(rgb, truth) - expected) <= 1e-5


@pytest.mark.req("EVL-005")
def test_small_photos_have_no_ssim():
    for h, w in ((6, 40), (40, 6), (1, 1)):
        assert metrics.ssim(gray_photo(3, h, w), gray_photo(4, h, w)) is None
    assert metrics.ssim(gray_photo(3, 7, 7), gray_photo(4, 7, 7)) is not None
    small, large = metrics.measure(*photos(6, 40)), metrics.measure(*photos(40, 40))
    assert metrics.summarize([small, large])["ssim"] == large["ssim"]
    assert metrics.summarize([small])["ssim"] is None


@pytest.mark.req("EVL-006")
@pytest.mark.parametrize(("h", "w"), [(1, 1), (60, 91), (256, 256), (199, 203)])
def test_mean_ciede2000_equals_scikit_image(h, w):
    rgb, truth = photos(h, w)
    expected = skimage.color.deltaE_ciede2000(*labs(truth, rgb)).mean()
    assert abs(metrics.mean_ciede2000(rgb, truth) - expected) <= 1e-3


@pytest.mark.req("EVL-007")
@hypothesis.given(strategies.photo_pairs())
def test_colorfulness_equals_numpy(pair):
    red, green, blue = np.moveaxis(pair[0].astype(np.float64), -1, 0)
    rg, yb = red - green, 0.5 * (red + green) - blue
    for absolute, (p, q) in ((False, (rg, yb)), (True, (abs(rg), abs(yb)))):
        expected = np.sqrt(p.var() + q.var()) + 0.3 * np.sqrt(p.mean() ** 2 + q.mean() ** 2)
        assert abs(metrics.colorfulness(pair[0], absolute=absolute) - expected) <= 1e-4


@pytest.mark.req("EVL-007")
def test_gray_photos_have_no_colorfulness():
    ramp = np.repeat(np.arange(64, dtype=np.uint8).reshape(8, 8, 1), 3, -1)
    assert metrics.colorfulness(ramp) == metrics.colorfulness(ramp, absolute=True) == 0


@pytest.mark.req("EVL-008")
@pytest.mark.parametrize(("h", "w"), [(1, 1), (60, 91), (199, 203)])
def test_auc_equals_numpy(h, w):
    rgb, truth = photos(h, w)
    one, other = labs(rgb, truth)
    error = np.linalg.norm((one - other)[..., 1:], axis=-1)
    expected = np.mean([(error <= t).mean() for t in range(151)])
    assert abs(metrics.auc(rgb, truth) - expected) <= 1e-4


@pytest.mark.req("EVL-008")
@hypothesis.given(strategies.photo_pairs())
def test_auc_is_a_share(pair):
    assert 0 <= metrics.auc(*pair) <= 1


@pytest.mark.req("EVL-003", "EVL-009")
def test_summary_is_of_colorful_truths():
    rgb, truth = photos()
    gray = gray_photo(90, *truth.shape[:2])
    tinted = gray + np.uint8([2, 0, 0])
    assert 0 < metrics.colorfulness(tinted) < 1.2
    good, bad = metrics.measure(rgb, truth), metrics.measure(gray, truth)
    summary = metrics.summarize(
        [good, metrics.measure(rgb, tinted), bad, metrics.measure(rgb, gray)]
    )
    assert summary["photos"] == summary["left_out"] == 2
    for name in good:
        assert math.isclose(summary[name], (good[name] + bad[name]) / 2, rel_tol=1e-12)
    pooled = 10 * math.log10(255**2 / np.mean([good["mse"], bad["mse"]]))
    assert math.isclose(summary["psnr_pooled"], pooled, rel_tol=1e-12)
    assert summary["psnr_pooled"] <= summary["psnr"]


@pytest.mark.req("EVL-015")
def test_gains_have_an_interval():
    rng = np.random.default_rng(3)
    psnr, gray = rng.normal(25, 4, 30), rng.normal(22, 4, 30)
    color = rng.choice([0.5, 30.0], 30)

    def scores(values):
        return [
            {"psnr": p, "mse": 255**2 / 10 ** (p / 10), "truth_colorfulness": c}
            for p, c in zip(values, color, strict=False)
        ]

    found = metrics.compare(scores(psnr), scores(gray))
    gains = (psnr - gray)[color > 1]
    interval = scipy.stats.norm.ppf(0.975) * scipy.stats.sem(gains)
    assert found["gain"] == pytest.approx(gains.mean())
    assert found["gain_interval"] == pytest.approx(interval, rel=1e-4)
    mse = [np.mean(255**2 / 10 ** (each[color > 1] / 10)) for each in (psnr, gray)]
    assert found["gain_pooled"] == pytest.approx(10 * np.log10(mse[1] / mse[0]))
    alone = metrics.compare(scores(psnr[:1]), scores(gray[:1]))
    assert alone["gain_interval"] is None
    assert set(metrics.compare([], []).values()) == {None}


@pytest.mark.req("EVL-009")
def test_colorless_is_below_the_border():
    scores = [{"truth_colorfulness": value, "mse": 4.0} for value in (1.19, 1.2, 1.21)]
    summary = metrics.summarize(scores)
    assert (summary["photos"], summary["left_out"]) == (2, 1)


@pytest.mark.req("EVL-009")
def test_summary_of_no_color_is_empty():
    nothing = metrics.summarize([metrics.measure(gray_photo(5), gray_photo(6))])
    assert (nothing.pop("photos"), nothing.pop("left_out")) == (0, 1)
    assert set(nothing.values()) == {None}
    assert metrics.summarize([])["photos"] == 0


@pytest.mark.req("EVL-010")
@hypothesis.settings(max_examples=10)
@hypothesis.given(strategies.photo_pairs())
def test_measures_are_plain_and_those_of_the_functions(pair):
    scores = metrics.measure(*pair)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert all(type(value) in (float, type(None)) for value in scores.values())
    assert scores == {
        "loss": scores["mse"] * pair[0].size,
        "mse": metrics.mean_squared_error(*pair),
        "psnr": metrics.psnr(scores["mse"]),
        "ssim": metrics.ssim(*pair),
        "ciede2000": metrics.mean_ciede2000(*pair),
        "auc": metrics.auc(*pair),
        "colorfulness": metrics.colorfulness(pair[0]),
        "colorfulness_absolute": metrics.colorfulness(pair[0], absolute=True),
        "truth_colorfulness": metrics.colorfulness(pair[1]),
        "truth_colorfulness_absolute": metrics.colorfulness(pair[1], absolute=True),
        "warm": float(metrics.is_warm(pair[0])),
        "truth_warm": float(metrics.is_warm(pair[1])),
    }
    assert metrics.summarize([scores]).keys() >= scores.keys()


@pytest.mark.req("EVL-010")
@pytest.mark.parametrize("name", ["mean_squared_error", "ssim", "mean_ciede2000", "auc", "measure"])
def test_pictures_of_two_shapes_are_refused(name, monkeypatch):
    # As outside the tests, where no annotation is checked.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(errors.UsageError, match=r"\(8, 8, 3\) and \(1, 8, 3\)"):
        getattr(metrics, name)(gray_photo(1, 8, 8), gray_photo(1, 1, 8))


@pytest.mark.req("EVL-011")
def test_two_programs_for_all_sizes():
    for h, w in ((1, 1), (7, 9), (200, 300), (16, 16), (182, 181)):
        metrics.measure(gray_photo(1, h, w), gray_photo(2, h, w))
    assert metrics._block_sums._cache_size() == 2


@pytest.mark.req("EVL-013")
@pytest.mark.parametrize(
    ("lab", "warm"),
    [
        ((50, 20, 30), True),
        ((50, 0, 30), True),
        ((50, -20, 30), False),  # green
        ((50, 20, -10), False),  # purple
        ((50, 3, 5), False),  # nearly gray
    ],
)
def test_one_warm_tone(lab, warm):
    flat = from_lab(np.full((8, 8, 3), lab, float))
    assert metrics.is_warm(flat) == warm
    mixed = flat.copy()
    mixed[:2] = from_lab(np.full((2, 8, 3), (50, -10, -30), float))
    (seen,) = labs(mixed)
    hue, chroma = (
        np.degrees(np.arctan2(seen[..., 2], seen[..., 1])),
        np.hypot(seen[..., 1], seen[..., 2]),
    )
    assert chroma[(hue >= 20) & (hue <= 115)].sum() < 0.9 * chroma.sum()
    assert not metrics.is_warm(mixed)  # a quarter of the picture is blue
    scores = metrics.measure(flat, mixed)
    assert (scores["warm"], scores["truth_warm"]) == (int(warm), 0)
    assert metrics.summarize([scores, scores])["warm"] == int(warm)


def colors_near(low_hue, high_hue, low_chroma, high_chroma):
    """Return a few colors whose hue and chroma, as scikit-image says, lie in these ranges."""
    rgb = np.stack(np.meshgrid(*[np.arange(0, 256, 5, dtype=np.uint8)] * 3), -1).reshape(-1, 1, 3)
    (lab,) = labs(rgb)
    hue = np.degrees(np.arctan2(lab[:, 0, 2], lab[:, 0, 1]))
    chroma = np.hypot(lab[:, 0, 1], lab[:, 0, 2])
    kept = (hue > low_hue) & (hue < high_hue) & (chroma > low_chroma) & (chroma < high_chroma)
    return rgb[kept][:4]


@pytest.mark.req("EVL-013")
@pytest.mark.parametrize(
    ("hues", "chromas", "warm"),
    [
        ((19.3, 19.9), (30, 90), False),
        ((20.1, 20.7), (30, 90), True),
        ((114.3, 114.9), (30, 90), True),
        ((115.1, 115.7), (30, 90), False),
        ((50, 100), (7.3, 7.9), False),
        ((50, 100), (8.1, 8.7), True),
    ],
)
def test_borders_of_the_warm_tone(hues, chromas, warm):
    colors = colors_near(*hues, *chromas)
    assert len(colors) == 4
    for color in colors:
        assert metrics.is_warm(np.broadcast_to(color, (6, 6, 3)).copy()) == warm


@pytest.mark.req("EVL-013")
@pytest.mark.parametrize(("colored", "warm"), [(9, False), (10, True), (11, True)])
def test_a_tenth_of_the_pixels_makes_a_tone(colored, warm):
    photo = gray_photo(120, 10, 10)
    photo.reshape(-1, 3)[:colored] = [200, 130, 60]
    assert metrics.is_warm(photo) == warm


@pytest.mark.req("EVL-013")
@pytest.mark.parametrize(("share", "warm"), [(0.88, False), (0.92, True)])
def test_nine_tenths_of_the_chroma_make_a_tone(share, warm):
    two = np.array([[[200, 130, 60], [40, 90, 200]]], np.uint8)
    chroma = np.hypot(*np.moveaxis(labs(two)[0][0, :, 1:], -1, 0))
    count = round(1600 * share * chroma[1] / (share * chroma[1] + (1 - share) * chroma[0]))
    photo = np.repeat(two[0], [count, 1600 - count], 0).reshape(40, 40, 3)
    assert metrics.is_warm(photo) == warm


def from_lab(lab):
    return np.rint(skimage.color.lab2rgb(lab) * 255).astype(np.uint8)
