"""Hints that follow their things through frames."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from light import LIGHT

import colorjax
from colorjax import photos
from colorjax.inference.following import follow, start_following
from colorjax.inference.hints import Hints
from colorjax.inference.pipeline import Prediction
from colorjax.jobs.coloring import ColorOptions, color_frames, variant_options

ROWS, COLUMNS = 20, 30
BACKGROUND, BALL = np.array([[0.0, 0, 3], [4, 0, 0]], np.float32)


def drawn(row, column, others=(), seed=0):
    """Return a prediction of one thing of 3 × 3 cells, centered at a place, over a background and other things."""
    features = np.tile(BACKGROUND, (ROWS, COLUMNS, 1))
    for r, c in others:
        features[r - 1 : r + 2, c - 1 : c + 2] = [0, 4, 0]
    if row is not None:
        features[row - 1 : row + 2, column - 1 : column + 2] = BALL
    features += np.random.default_rng(seed).normal(0, 0.1, features.shape)
    gray = np.full((ROWS, COLUMNS), 128, np.float32)
    arrays = np.zeros((ROWS, COLUMNS, 2), np.float32), gray, features.astype(np.float32)
    return Prediction(*map(jnp.asarray, arrays))


def hints_at(*cells):
    """Return hints on cells of the drawn grid."""
    colors = np.tile(np.array([[220, 60, 60]], np.uint8), (len(cells), 1))
    return Hints(np.array(cells), colors).on_cells((ROWS, COLUMNS), (ROWS, COLUMNS))


@pytest.mark.req("INF-040")
def test_hints_stay_on_what_moves():
    way = [(4, 4), (5, 6), (6, 9), (8, 11), (8, 14), (7, 17), (9, 20), (12, 22), (15, 24), (15, 26)]
    others = [(15, 5), (12, 16)]
    followed = start_following(drawn(*way[0], others), hints_at(way[0], (15, 5)))
    hidden = {4, 5}  # frames without the ball
    for number, (row, column) in enumerate(way):
        place = (None, None) if number in hidden else (row, column)
        followed, prediction = follow(followed, drawn(*place, others, seed=number))
        ball, other = np.asarray(prediction.hints.cells)
        assert np.asarray(prediction.hints.given).tolist() == [number not in hidden, True]
        assert np.abs(other - (15, 5)).max() <= 1
        if number not in hidden:
            assert np.abs(ball - (row, column)).max() <= 1


@pytest.mark.req("INF-024")
def test_local_hints_stay_local():
    hints = hints_at((4, 4), (15, 5))._replace(local=np.array([True, False]))
    followed = start_following(drawn(4, 4), hints)
    for _ in range(2):
        followed, prediction = follow(followed, drawn(4, 5))
        assert np.asarray(prediction.hints.local).tolist() == [True, False]


@pytest.mark.req("INF-040")
def test_hints_stay_where_nothing_moves():
    followed = start_following(drawn(9, 9), hints_at((9, 9), (8, 10), (2, 25)))
    first = np.asarray(followed.places)
    for seed in range(8):
        followed, prediction = follow(followed, drawn(9, 9, seed=seed))
        assert np.asarray(prediction.hints.given)[:3].all()
    np.testing.assert_array_equal(followed.places, first)


def crossing(count=12, h=120, w=160):
    """Return frames of a dark ball that crosses a light background with some shading, and its centers."""
    y, x = np.mgrid[:h, :w]
    background = 170 + 25 * np.sin(x / 25) * np.cos(y / 30)
    frames, centers = [], []
    for column in np.linspace(30, 130, count):
        ball = (y - 60) ** 2 + (x - column) ** 2 < 18**2
        shaded = 70 + 30 * np.cos((x - column) / 14) * np.cos((y - 60) / 14)
        frames.append(photos.Photo(np.where(ball, shaded, background).round().astype(np.uint8)))
        centers.append(round(float(column)))
    return frames, centers


@pytest.mark.req("INF-040", "VID-006")
def test_a_ball_keeps_its_color():
    frames, centers = crossing()
    weights = colorjax.load_weights("photo-small")
    still = len(frames) // 2
    hints = Hints(np.array([[60, centers[still]]]), np.array([[200, 40, 40]], np.uint8))
    (options,) = variant_options(frames[still], weights, ColorOptions(hints=hints))
    colored = color_frames(frames, weights, options)
    plain = color_frames(frames, weights, dataclasses.replace(options, hints=None, followed=None))

    def redness(photo, rows, columns):
        part = photo.pixels[rows, columns].reshape(-1, 3).mean(0)
        return part[0] - part @ LIGHT / 100

    for center, photo, without in zip(centers, colored, plain, strict=True):
        ball = np.s_[52:68], np.s_[center - 8 : center + 8]
        away = np.s_[10:110], (np.arange(center + 80, center + 110) % 160)
        assert redness(photo, *ball) - redness(without, *ball) > 20
        assert abs(redness(photo, *away) - redness(without, *away)) < 10
