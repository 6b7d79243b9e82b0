"""Augmentation: what each effect moves, and its identity at strength 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import colorjax
from colorjax import augment, color

KEY = jax.random.key(0)


def photos(seed, count=16, size=16):
    return jax.random.uniform(jax.random.key(seed), (count, size, size, 3), maxval=255)


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


@pytest.mark.req("TRN-032")
def test_old_film():
    rgb = photos(2, count=64)
    gray = colorjax.rgb_to_gray(rgb)
    np.testing.assert_array_equal(augment.random_old_gray(KEY, rgb, share=0.0), gray)
    old = np.asarray(augment.random_old_gray(KEY, rgb, share=1.0))
    assert old.min() >= 0
    assert old.max() <= 255
    assert old.std() < 0.8 * np.std(gray)
    step = jnp.where(jnp.arange(16) < 8, 40.0, 200.0)
    step = jnp.broadcast_to(step[None, None, :, None], (64, 16, 16, 3))
    soft = np.asarray(augment.random_old_gray(KEY, step, share=1.0)).mean(1)
    assert np.mean(np.diff(soft, axis=1).max(1)) < 0.85 * 160
    flat = jnp.full((64, 16, 16, 3), 120.0)
    assert np.asarray(augment.random_old_gray(KEY, flat, share=1.0)).std((1, 2)).mean() > 2
    red, blue = jnp.array([200.0, 0, 0]), jnp.array([0, 0, 600.0])
    halves = jnp.stack([jnp.full((8, 8, 3), c) for c in (red, blue)])
    np.testing.assert_allclose(*colorjax.rgb_to_gray(halves)[:, 0, 0], atol=1e-3)
    both = jnp.concatenate([halves[0], halves[1]], axis=1)[None].repeat(32, 0)
    old = np.asarray(augment.random_old_gray(KEY, both, share=1.0))
    assert np.abs(old[:, :, :6].mean((1, 2)) - old[:, :, 10:].mean((1, 2))).mean() > 3


@pytest.mark.req("TRN-033")
def test_hints():
    _, chroma = color.rgb_to_luma_chroma(photos(3, count=64, size=32))
    assert np.all(np.asarray(augment.random_hints(KEY, chroma, share=0.0)) == 0)
    hints = np.asarray(augment.random_hints(KEY, chroma, share=1.0))
    mask = hints[..., 2].reshape(64, 8, 4, 8, 4)
    assert set(np.unique(mask)) == {0, 1}
    squares = mask[:, :, 0, :, 0]
    np.testing.assert_array_equal(mask, np.broadcast_to(squares[:, :, None, :, None], mask.shape))
    assert 1 <= squares.sum((1, 2)).mean() <= 60
    mean = np.asarray(chroma).reshape(64, 8, 4, 8, 4, 2).mean((2, 4))
    told = hints.reshape(64, 8, 4, 8, 4, 3)[:, :, 1, :, 2, :2]
    np.testing.assert_allclose(told, mean * squares[..., None], atol=1e-3)
