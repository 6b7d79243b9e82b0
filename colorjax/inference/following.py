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

STEP = 0.08  # how far a thing usually moves between two frames, in short sides of the grid
LOST_STEP = 0.4  # the same for a thing that was not found in the previous frame
OTHER = 1.2  # distance of features at which a cell belongs to another thing
STAYS = 0.8  # a thing has not moved if its previous place has at least this share of the best likelihood


class Followed(NamedTuple):
    """Hints, and the places of the things that they color.

    Attributes:
        features: The features of the cell on which each hint was placed, from `things.describe`.
        places: The row and column of each thing, as shares of the height and the width.
        chroma: (R − Y, B − Y) in levels.
        given: True for hints, False for padding.
        seen: Which things are in the latest frame.
        local: As in `Hints`.
    """

    features: Float[Array | np.ndarray, "k features"]
    places: Float[Array | np.ndarray, "k 2"]
    chroma: Float[Array | np.ndarray, "k 2"]
    given: Bool[Array | np.ndarray, " k"]
    seen: Bool[Array | np.ndarray, " k"]
    local: Bool[Array | np.ndarray, " k"] | None = None


@jax.jit
def start_following(prediction: Prediction, hints: CellHints) -> Followed:
    """Store the things on which hints lie.

    Args:
        prediction: The prediction for the frame on which the hints were placed.
        hints: From `Hints.on_cells`.
    """
    grid = jnp.array([prediction.features.shape[:2]])
    features = prediction.features[tuple(jnp.asarray(hints.cells).T)]
    places = (jnp.asarray(hints.cells) + 0.5) / grid
    given = jnp.asarray(hints.given)
    return Followed(features, places, jnp.asarray(hints.chroma), given, given, hints.local)


@jax.jit
def follow(followed: Followed, prediction: Prediction) -> tuple[Followed, Prediction]:
    """Find the things of the hints in the next frame.

    A thing is where the features are most similar to those on which its hint was placed, near its previous place. If a
    thing is not found, it keeps its place, the next search covers a wider area, and its hint colors nothing.

    Args:
        followed: The hints in the previous frame.
        prediction: The prediction for the next frame.

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
    hints = CellHints(found, jnp.asarray(followed.chroma), seen, followed.local)
    followed = followed._replace(places=(found + 0.5) / grid, seen=seen)
    return followed, dataclasses.replace(prediction, hints=hints)
