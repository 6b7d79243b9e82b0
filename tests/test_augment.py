"""Augmentation: what each effect moves, and its identity at strength 0."""

import functools
import io
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import scipy.special
from PIL import Image

import colorjax
from colorjax.data import augment

KEY = jax.random.key(0)


def photos(seed, count=16, size=16):
    return jax.random.uniform(jax.random.key(seed), (count, size, size, 3), maxval=255)


@jax.jit
def mirrored_quarters(keys, rgb):
    return jax.vmap(lambda key: augment.random_mirror(key, rgb, probability=0.25))(keys)


@pytest.mark.req("TRN-008")
def test_each_photo_of_a_batch_is_mirrored_by_its_own_draw():
    rgb = np.asarray(photos(3, count=4, size=5))
    batches = np.asarray(mirrored_quarters(jax.random.split(KEY, 200), rgb))
    turned = (batches == rgb[:, :, ::-1]).all((2, 3, 4))
    same = (batches == rgb).all((2, 3, 4))
    assert np.all(turned ^ same)
    assert 0.15 < turned.mean() < 0.35
    assert np.all((turned.mean(0) > 0.1) & (turned.mean(0) < 0.4))  # in every place
    together = np.corrcoef(turned.T)[~np.eye(4, dtype=bool)]
    assert np.abs(together).max() < 0.3  # and apart from the others


@pytest.mark.req("TRN-030")
def test_views():
    rgb = photos(0)
    same = augment.random_view(KEY, rgb, 16, zoom=0.0)
    np.testing.assert_allclose(same, rgb, atol=1e-3)
    views = augment.random_view(KEY, rgb, 8, zoom=0.5)
    assert views.shape == (16, 8, 8, 3)
    assert views.min() >= rgb.min() - 1e-3
    assert views.max() <= rgb.max() + 1e-3
    flat = jnp.full((4, 16, 16, 3), 77.0)
    np.testing.assert_allclose(augment.random_view(KEY, flat, 8, zoom=0.5), 77, atol=1e-3)
    ramp = jnp.broadcast_to(jnp.arange(16.0)[None, None, :, None], (64, 16, 16, 3))
    shown = np.ptp(augment.random_view(KEY, ramp, 16, zoom=0.5), axis=(1, 2, 3))
    assert shown.max() <= 15
    assert shown.min() < 9


@pytest.mark.req("TRN-031")
def test_exposure():
    rgb = photos(1)
    np.testing.assert_allclose(augment.random_exposure(KEY, rgb, spread=0.0), rgb, atol=0.03)
    flat = jnp.full((64, 2, 2, 3), 120.0)
    exposed = np.asarray(augment.random_exposure(KEY, flat, spread=0.3))
    assert exposed.mean((1, 2, 3)).std() > 10
    assert exposed.min() >= 0
    assert exposed.max() <= 255


EFFECTS = {
    "tone_curve": (augment.random_tone_curve, "strength"),
    "fading": (augment.random_fading, "strength"),
    "low_contrast": (augment.random_low_contrast, "strength"),
    "grain": (augment.random_grain, "strength"),
    "blur": (augment.random_blur, "share"),
    "scratches": (augment.random_scratches, "share"),
    "stains": (augment.random_stains, "share"),
    "jpeg": (augment.random_jpeg_blocks, "share"),
    "halftone": (augment.random_halftone, "share"),
}
FULL = {"strength": 1.0, "share": 1.0}


def apply(name, gray, strength=None):
    effect, option = EFFECTS[name]
    gray = jnp.asarray(gray, jnp.float32)
    return np.asarray(effect(KEY, gray, **{option: FULL[option] if strength is None else strength}))


def flat(level, count=64, size=32):
    return np.full((count, size, size), level, np.float32)


def ramp(count=64):
    return np.broadcast_to(np.linspace(0, 255, 32, dtype=np.float32), (count, 8, 32))


@pytest.mark.req("TRN-032")
@pytest.mark.parametrize("name", EFFECTS)
def test_effect_is_nothing_at_0_and_stays_in_range(name):
    gray = np.asarray(colorjax.rgb_to_gray(photos(2, count=32)))
    np.testing.assert_array_equal(apply(name, gray, 0.0), gray)
    changed = apply(name, gray)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert np.any(changed != gray)
    np.testing.assert_array_equal(apply(name, gray), changed)


@pytest.mark.req("TRN-032")
def test_orthochromatic_film_sees_blue_and_not_red():
    colors = jnp.array([[200.0, 0, 0], [0, 58.3333, 0], [0, 0, 255.0]])
    rgb = jnp.broadcast_to(colors[:, None, None, None], (3, 32, 4, 4, 3)).reshape(96, 4, 4, 3)
    gray = colorjax.rgb_to_gray(rgb)
    same = augment.random_orthochromatic_gray(KEY, rgb, share=0.0)
    np.testing.assert_array_equal(same, gray)
    ortho = np.asarray(augment.random_orthochromatic_gray(KEY, rgb, share=1.0))
    change = (ortho - np.asarray(gray)).reshape(3, -1).mean(1)
    assert change[0] < -10
    assert change[2] > 10
    neutral = jnp.full((8, 4, 4, 3), 90.0)
    kept = augment.random_orthochromatic_gray(KEY, neutral, share=1.0)
    np.testing.assert_allclose(kept, 90, atol=1e-3)


@pytest.mark.req("TRN-032")
def test_tones():
    bent = apply("tone_curve", ramp())
    np.testing.assert_allclose(bent[..., [0, -1]], ramp()[..., [0, -1]], atol=1e-3)
    assert np.all(np.diff(bent, axis=-1) >= 0)
    assert bent[:, 0, 16].std() > 8
    faded = apply("fading", ramp())
    assert faded[..., 0].mean() > 8
    assert faded[..., -1].mean() < 247
    narrow = apply("low_contrast", ramp())
    assert narrow.std((1, 2)).mean() < 0.9 * ramp().std((1, 2)).mean()
    np.testing.assert_allclose(narrow.mean((1, 2)), ramp().mean((1, 2)), atol=0.5)


@pytest.mark.req("TRN-032")
def test_blur_and_grain():
    step = np.where(np.arange(32) < 16, 40.0, 200.0) * np.ones((64, 8, 1))
    soft = apply("blur", step)
    assert np.diff(soft, axis=-1).max((1, 2)).mean() < 0.85 * 160
    np.testing.assert_allclose(apply("blur", flat(77)), 77, atol=1e-3)
    noise = {level: apply("grain", flat(level)) - level for level in (8, 128)}
    assert noise[128].std((1, 2)).mean() > 2
    assert noise[128].std() > 1.5 * noise[8].std()
    assert abs(noise[128].mean()) < 1
    neighbors = np.mean(noise[128][..., 1:] * noise[128][..., :-1]) / noise[128].var()
    assert neighbors > 0.1  # grains are larger than a pixel


@pytest.mark.slow
@pytest.mark.req("TRN-032")
def test_damage():
    changed = np.abs(apply("scratches", flat(120)) - 120) > 1
    assert 0 < changed.mean() < 0.15
    columns, rows = changed.mean(1), changed.mean(2)
    assert columns.max(1).mean() > 0.3  # long in the one direction
    assert rows.max(1).mean() < 0.3
    changed = np.abs(apply("stains", flat(120)) - 120) > 1
    assert 0.01 < changed.mean() < 0.5
    smooth = np.abs(np.diff(apply("stains", flat(120)), axis=-1)).max()
    assert smooth < 40


@pytest.mark.req("TRN-032")
def test_halftone():
    side = 96
    dots = apply("halftone", flat(128, size=side))
    np.testing.assert_allclose(dots.mean((1, 2)), 128, atol=1)
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = np.abs(np.fft.fft2((dots - 128) * window)) ** 2
    frequency = np.stack(np.meshgrid(*[np.fft.fftfreq(side)] * 2, indexing="ij"))
    found = []
    for each in power:
        first = frequency[:, *np.unravel_index(each.argmax(), each.shape)]
        along = np.abs(np.tensordot(first / np.hypot(*first), frequency, 1))
        across = np.where(along < 0.03, each, 0)
        second = frequency[:, *np.unravel_index(across.argmax(), each.shape)]
        assert across.max() > 0.2 * each.max()
        assert np.hypot(*first) == pytest.approx(np.hypot(*second), abs=0.02)
        found.append(1 / np.hypot(*first))
    assert 2.3 < min(found) < 3
    assert 4.3 < max(found) < 5.5
    assert dots.std((1, 2)).min() > 5
    for level in (0, 255):
        np.testing.assert_allclose(apply("halftone", flat(level)), level, atol=1e-3)


@pytest.mark.req("TRN-032")
def test_jpeg_blocks():
    gray = np.broadcast_to(60 + 3 * np.arange(32, dtype=np.float32), (64, 32, 32))
    steps = np.abs(np.diff(apply("jpeg", gray) - gray, axis=-1)).mean((0, 1))
    inside = np.delete(steps, [7, 15, 23])
    assert steps[[7, 15, 23]].mean() > 2 * inside.mean() + 0.1
    odd = apply("jpeg", flat(99, size=13)[:2])
    assert odd.shape == (2, 13, 13)


@pytest.mark.slow
@pytest.mark.req("TRN-032")
def test_augment_batch_without_effects_is_the_gray():
    from colorjax import config
    from colorjax.training import step as training_step

    rgb = photos(4)
    none = config.replace(colorjax.preset("seed-relu"), {"augment.mirror": 0.0})
    gray, truth = training_step.augment_batch(KEY, rgb, none)
    np.testing.assert_array_equal(gray, colorjax.rgb_to_gray(rgb))
    np.testing.assert_array_equal(truth, rgb)
    fields = {f"augment.{name}": 1.0 for name in (*EFFECTS, "orthochromatic")}
    old, truth = training_step.augment_batch(KEY, rgb, config.replace(none, fields))
    np.testing.assert_array_equal(truth, rgb)
    assert np.any(np.abs(old - gray) > 10)


@pytest.mark.req("FIL-052")
def test_weights_of_older_configs_are_read():
    from colorjax import config

    old = config.to_json(colorjax.preset("photo")).replace('"mirror"', '"old": 0.15, "mirror"')
    assert config.from_json(old) == colorjax.preset("photo")


MANY = 4000
strengths = pytest.mark.parametrize("options", [{}, {"strength": 1.0}])


def many(photo):
    """Return many equal photos."""
    return jnp.broadcast_to(jnp.asarray(photo, jnp.float32), (MANY, *np.shape(photo)))


def drawn(effect, photos, **options):
    """Return what an effect makes of photos, as one program."""
    return np.asarray(jax.jit(functools.partial(effect, **options))(KEY, photos), float)


def assert_uniform(drawn, low, high):
    """Check that many draws fill a range evenly, up to its ends."""
    unit = (drawn - low) / (high - low)
    near = 20 / len(drawn)
    assert -1e-3 <= unit.min() <= near
    assert 1 - near <= unit.max() <= 1 + 1e-3
    assert abs(unit.mean() - 0.5) < 1.5 / len(drawn) ** 0.5


def assert_normal(drawn, spread):
    """Check that the mean of many draws is 0, and their standard deviation `spread`."""
    assert abs(drawn.mean() / spread) < 4 / len(drawn) ** 0.5
    assert abs(drawn.std() / spread - 1) < 4 / len(drawn) ** 0.5


@pytest.mark.req("TRN-031", "TRN-032")
@pytest.mark.parametrize("options", [{}, {"strength": 0.5}])
def test_exposure_and_tone_curve_are_powers(options):
    exposure = {"spread": options["strength"]} if options else {}
    exposed = drawn(augment.random_exposure, many([[[0, 51, 204]]]), **exposure)
    power = np.log(exposed / 255) / np.log([1e-4, 0.2, 0.8])
    np.testing.assert_allclose(power, np.broadcast_to(power[..., 1:2], power.shape), rtol=1e-3)
    assert_normal(np.log(power[..., 1]), exposure.get("spread", 0.2))
    bent = drawn(augment.random_tone_curve, many([[51, 204]]), **options)
    power = np.log(bent / 255) / np.log([0.2, 0.8])
    np.testing.assert_allclose(power[..., 0], power[..., 1], rtol=1e-3)
    assert_normal(np.log(power[..., 0]), options.get("strength", 0.3))


@pytest.mark.req("TRN-032")
@strengths
def test_fading_and_low_contrast_are_linear(options):
    strength = options.get("strength", 0.2)
    faded = drawn(augment.random_fading, many([[0, 51, 255]]), **options)
    black, middle, white = faded[:, 0].T
    np.testing.assert_allclose(middle, 0.8 * black + 0.2 * white, atol=1e-3)
    assert_uniform(black, 0, 100 * strength)
    assert_uniform(255 - white, 0, 60 * strength)
    assert abs(np.corrcoef(black, white)[0, 1]) < 0.06
    narrow = drawn(augment.random_low_contrast, many([[0, 15, 255]]), **options)
    lost = (narrow[:, 0] - [0, 15, 255]) / (90 - np.array([0, 15, 255]))
    np.testing.assert_allclose(lost[:, 1:], np.repeat(lost[:, :1], 2, 1), atol=1e-5)
    assert_uniform(lost[:, 0], 0, 0.8 * strength)


@pytest.mark.req("TRN-032")
def test_weights_of_orthochromatic_film():
    usual, film = np.array([[0.21, 0.72, 0.07], [0.02, 0.4, 0.58]])

    def mixed(**options):
        gray = drawn(augment.random_orthochromatic_gray, many([255 * np.eye(3)]), **options)
        shares = (gray[:, 0] / 255 - usual) / (film - usual)
        np.testing.assert_allclose(shares[:, 1:], np.repeat(shares[:, :1], 2, 1), atol=1e-4)
        return shares[:, 0]

    assert_uniform(mixed(share=1.0), 0.3, 1.0)
    assert abs((mixed() > 0.2).mean() - 0.2) < 0.03


@pytest.mark.req("TRN-032")
@pytest.mark.parametrize("options", [{}, {"strength": 0.1}])
def test_grain_is_smooth_noise(options):
    grains = {
        level: drawn(augment.random_grain, many(np.full((12, 12), level)), **options) - level
        for level in (127.5, 51, 204)
    }
    middle = grains[127.5]
    if options:  # nothing is clipped
        np.testing.assert_allclose(grains[51], 0.712 * middle, atol=1e-3)
        np.testing.assert_allclose(grains[204], 0.712 * middle, atol=1e-3)
    # noise that is smoothed by (1, 6, 1) / 8 along rows and columns, of an even amount up to 30
    inner, square = middle[:, 1:-1, 1:-1], 19 / 32
    amount = 30 * options.get("strength", 0.2)
    expected = 1.4 * square * amount / np.sqrt(3)
    assert abs(inner.std() / expected - 1) < 0.025
    for one, other in ((inner[:, 1:], inner[:, :-1]), (inner[..., 1:], inner[..., :-1])):
        assert abs((one * other).mean() / (one * one).mean() - 6 / 19) < 0.01
    loud = (inner**2).mean((1, 2))
    assert loud.min() < 0.01 * loud.mean()  # each photo has its own amount


@pytest.mark.req("TRN-032")
def test_blur_equals_scipy():
    photo = np.random.default_rng(0).uniform(0, 255, (5, 7))
    soft = photo
    for axis in (0, 0, 1, 1):
        soft = scipy.ndimage.correlate1d(soft, [0.25, 0.5, 0.25], axis, mode="nearest")

    def widths(**options):
        blurred = drawn(augment.random_blur, many(photo), **options)
        moved = (blurred - photo)[:, np.abs(soft - photo) > 10]
        shares = moved / (soft - photo)[np.abs(soft - photo) > 10]
        np.testing.assert_allclose(shares, np.repeat(shares[:, :1], shares.shape[1], 1), atol=1e-4)
        return shares[:, 0]

    assert_uniform(widths(share=1.0), 0.5, 1.0)
    assert abs((widths() > 0.4).mean() - 0.2) < 0.03


@pytest.mark.req("TRN-032")
def test_one_scratch_is_a_leaning_line():
    h, w = 24, 40
    flat = many(np.full((h, w), 100.0))
    lines = drawn(augment.random_scratches, flat, share=1.0, most=1) - 100
    level, place = lines.sum(2), np.arange(w) + 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (lines @ place) / level
    # lines that stay within the photo: both columns beside one share its level
    kept = (np.abs(lines[..., 0]).max(1) == 0) & (np.abs(lines[..., -1]).max(1) == 0)
    kept &= np.all(np.abs(level[:, h // 2 - 1 : h // 2 + 1]) > 1, axis=1)
    level, middle = level[kept], middle[kept]
    seen = np.abs(level) > 0.5 * np.abs(level).max(1, keepdims=True)
    expected = np.where(seen, level[:, h // 2, None], 0)
    np.testing.assert_allclose(level, expected, atol=2e-2)
    drawn_level = jax.random.uniform(jax.random.split(KEY, 5)[4], (MANY,))
    expected = -80 + 200 * np.asarray(drawn_level, float)[kept]
    np.testing.assert_allclose(level[:, h // 2], expected, atol=2e-2)
    lean = np.diff(middle[:, h // 2 - 1 : h // 2 + 1])
    assert_normal(lean, 0.1)
    rows = np.arange(h) - (h - 1) / 2
    straight = middle[:, h // 2, None] + lean * (rows - 0.5)
    sharp = seen & (np.abs(level) > 20)
    np.testing.assert_allclose(middle[sharp], straight[sharp], atol=2e-2)
    centered = middle[:, h // 2 - 1 : h // 2 + 1].mean(1)
    assert centered.min() < 3
    assert centered.max() > w - 3
    assert abs(centered.mean() - w / 2) < 1
    for row in (0, -1):  # ends are even over the height, and 0.4 of it further out
        inside = np.abs(level[:, row]) > 1
        assert abs(inside.mean() - (0.4 + 0.5 / h)) < 0.05


@pytest.mark.slow
@pytest.mark.req("TRN-032")
def test_number_of_damages():
    gray = many(np.full((6, 6), 100.0))
    for effect, usual in ((augment.random_scratches, 3), (augment.random_stains, 2)):
        changed = np.any(drawn(effect, gray) != 100, axis=(1, 2)).mean()
        assert abs(changed - 0.1) < 0.025
        alike = [drawn(effect, gray, share=1.0, **o) for o in ({}, {"most": usual})]
        np.testing.assert_array_equal(*alike)


@pytest.mark.req("TRN-032")
def test_stains_equal_numpy():
    n, h, w = 200, 10, 16
    _, place_key, size_key, level_key = jax.random.split(KEY, 4)
    each = (2, n, 1, 1)
    y, x = np.asarray(jax.random.uniform(place_key, (2, *each)), float)
    radius = h * (0.1 + 0.2 * np.asarray(jax.random.uniform(size_key, each), float))
    level = -50 + 100 * np.asarray(jax.random.uniform(level_key, each), float)
    rows, columns = np.mgrid[:h, :w] + 0.5
    far = ((rows - h * y) ** 2 + (columns - w * x) ** 2) / radius**2
    spots = (level * scipy.special.expit(4 * (1 - far))).sum(0)
    for base in (20.0, 127.0, 240.0):
        stained = drawn(augment.random_stains, jnp.full((n, h, w), base), share=1.0)
        np.testing.assert_allclose(stained, np.clip(base + spots, 0, 255), atol=1e-2)


@pytest.mark.req("TRN-032")
def test_jpeg_blocks_equal_scipy():
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=50)  # libjpeg's table K.1, unscaled
    with Image.open(file) as image:
        table = np.array(image.quantization[0], float).reshape(8, 8)
    n, h, w = 60, 8, 16
    gray = np.random.default_rng(0).uniform(0, 255, (n, h, w)).astype(np.float32)
    scale = 1 + 4 * np.asarray(jax.random.uniform(jax.random.split(KEY)[1], (n,)), float)
    expected = np.empty_like(gray)
    for photo, (row, column) in itertools.product(range(n), [(0, 0), (0, 8)]):
        block = np.s_[photo, row : row + 8, column : column + 8]
        turned = scipy.fft.dctn(gray[block].astype(float) - 128, norm="ortho")
        steps = scale[photo] * table
        turned = steps * np.round(turned / steps)
        expected[block] = np.clip(scipy.fft.idctn(turned, norm="ortho") + 128, 0, 255)
    ours = drawn(augment.random_jpeg_blocks, gray, share=1.0)
    different = np.abs(ours - expected).max((1, 2)) > 1e-2
    assert different.mean() < 0.1  # one coefficient of a photo may be halfway between two steps
    padded = np.pad(gray, [(0, 0), (0, 0), (0, 3)], mode="edge")
    wide = drawn(augment.random_jpeg_blocks, padded, share=1.0)
    np.testing.assert_allclose(wide[..., :w], ours, atol=1e-2)
    assert wide.shape == padded.shape
    changed = np.any(drawn(augment.random_jpeg_blocks, many(np.full((8, 8), 3))) != 3, axis=(1, 2))
    assert abs(changed.mean() - 0.1) < 0.025


@pytest.mark.req("TRN-030")
@pytest.mark.parametrize(("options", "zoom"), [({}, 0.5), ({"zoom": 0.2, "stretch": 0.0}, 0.2)])
def test_views_are_windows_as_pillow_resizes_them(options, zoom):
    n, fine = 16, 20
    stretch = options.get("stretch", 0.1)
    ramp = np.broadcast_to(np.arange(n)[:, None] + 0.5, (n, n))
    noise = np.random.default_rng(0).uniform(0, 255, (n, n)).astype(np.float32)
    photos = many(np.stack([ramp, ramp.T, noise], -1))
    seen = drawn(augment.random_view, photos, size=fine, **options)
    # a ramp that is enlarged stays one in the middle, so it tells the window
    first, last = [], []
    for channel, axis in ((0, 1), (1, 2)):
        middle = np.take(seen[..., channel], fine // 2, axis=3 - axis)
        step = (middle[:, fine // 2 + 1] - middle[:, fine // 2 - 1]) / 2
        first.append(middle[:, fine // 2] - (fine // 2 + 0.5) * step)
        last.append(first[-1] + fine * step)
    first, last = np.array(first), np.array(last)
    sides = (last - first) / n
    if stretch:
        assert (1 - zoom) * (1 - stretch) - 1e-3 <= sides.min() <= (1 - zoom) * (1 - stretch / 2)
        assert 0.98 <= sides.max() <= 1 + 1e-3
        ratio = sides[0] / sides[1]
        assert 1 - stretch - 1e-3 <= ratio.min() <= 1 - 0.9 * stretch
        assert 1 + 0.9 * stretch <= ratio.max() <= 1 / (1 - stretch) + 1e-3
    else:
        assert_uniform(sides[0], 1 - zoom, 1)
        np.testing.assert_allclose(*sides, atol=1e-4)
    free = n - (last - first)
    assert_uniform((first / free)[free > 1], 0, 1)
    for size in (8, fine):
        seen = drawn(augment.random_view, photos, size=size, **options)
        for photo in range(20):
            box = np.clip([*first[::-1, photo], *last[::-1, photo]], 0, n)
            expected = Image.fromarray(noise).resize((size, size), Image.BILINEAR, box=tuple(box))
            np.testing.assert_allclose(seen[photo, ..., 2], expected, atol=0.1)
