"""Augmentation: what each effect moves, and its identity at strength 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
def test_jpeg_blocks():
    gray = np.broadcast_to(60 + 3 * np.arange(32, dtype=np.float32), (64, 32, 32))
    steps = np.abs(np.diff(apply("jpeg", gray) - gray, axis=-1)).mean((0, 1))
    inside = np.delete(steps, [7, 15, 23])
    assert steps[[7, 15, 23]].mean() > 2 * inside.mean() + 0.1
    odd = apply("jpeg", flat(99, size=13)[:2])
    assert odd.shape == (2, 13, 13)


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
