"""Hints that follow their things through the frames of a video. Pure."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from colorjax.inference.hints import CellHints
from colorjax.inference.pipeline import Prediction
from colorjax.inference.things import squared_distances

STEP = 0.08  # short sides of the grid: how far a thing commonly moves between two frames
LOST_STEP = 0.4  # likewise, for a thing that was not seen in the previous frame
OTHER = 1.2  # distance of features from which a cell belongs to another thing
STAYS = 0.8  # a thing that is at least this much as likely to be where it was has not moved


class Followed(NamedTuple):
    """Hints, and where the things are that they color.

    Attributes:
        features: What each hint was placed on, from `things.describe`.
        places: Row and column of each, as shares of the height and the width.
        chroma: In levels.
        given: Which are hints; the others fill up.
        seen: Which things are in the latest frame.
    """

    features: Float[Array | np.ndarray, "k features"]
    places: Float[Array | np.ndarray, "k 2"]
    chroma: Float[Array | np.ndarray, "k 2"]
    given: Bool[Array | np.ndarray, " k"]
    seen: Bool[Array | np.ndarray, " k"]


@jax.jit
def start_following(prediction: Prediction, hints: CellHints) -> Followed:
    """Remember the things that hints are on.

    Args:
        prediction: Of the frame on which the hints were placed.
        hints: From `Hints.on_cells`.
    """
    grid = jnp.array([prediction.features.shape[:2]])
    features = prediction.features[tuple(jnp.asarray(hints.cells).T)]
    places = (jnp.asarray(hints.cells) + 0.5) / grid
    given = jnp.asarray(hints.given)
    return Followed(features, places, jnp.asarray(hints.chroma), given, given)


@jax.jit
def follow(followed: Followed, prediction: Prediction) -> tuple[Followed, Prediction]:
    """Find the things of the hints in the next frame.

    A thing is where the features are most like those on which its hint was placed, and near its previous place. A thing
    that is nowhere keeps its place, is looked for in a wider area in the next frame, and its hint colors nothing.

    Args:
        followed: The hints in the previous frame.
        prediction: Of the next frame.

    Returns:
        The hints in the next frame, and its prediction with them.
    """
    rows, columns, _ = prediction.features.shape
    grid = jnp.array([[rows, columns]])
    cells = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"), -1)
    cells = cells.reshape(rows * columns, 2)
    here = jnp.clip((jnp.asarray(followed.places) * grid).astype(jnp.int32), 0, grid - 1)
    features = prediction.features.reshape(rows * columns, -1)
    unlike = squared_distances(features, jnp.asarray(followed.features))
    step = min(rows, columns) * jnp.where(followed.seen, STEP, LOST_STEP)
    moved = squared_distances(cells.astype(jnp.float32), here.astype(jnp.float32)) / step[None] ** 2
    likely = jnp.where(unlike < OTHER**2, jnp.exp(-(unlike + moved) / 2), 0)
    each = jnp.arange(len(here))
    best = jnp.argmax(likely, axis=0)
    seen = followed.given & (likely[best, each] > 0)
    stays = likely[here[:, 0] * columns + here[:, 1], each] >= STAYS * likely[best, each]
    found = jnp.where((stays | ~seen)[:, None], here, cells[best])
    hints = CellHints(found, jnp.asarray(followed.chroma), seen)
    followed = followed._replace(places=(found + 0.5) / grid, seen=seen)
    return followed, dataclasses.replace(prediction, hints=hints)
