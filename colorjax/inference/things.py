"""Which places of a photo belong to one thing, from the network's own features: pure."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

SPREAD = 0.28  # mean squared distance of features from their mean, as photos commonly have it
ALIKE = 0.6  # distance of features, in such a photo, at which another thing begins
SHADES = 1.7  # standard deviations of a photo's gray over which one thing is shaded
NEAR = 0.8  # short sides of the photo over which likeness counts
LOCAL = 0.1  # share of the affinity that depends on nearness alone
NEXT = 0.7  # cells: reach of that share
LOOKED_AT = 1024  # cells that anchors are chosen from; of more, every so-manieth
SHARP = 3.0  # how clearly a cell belongs to its nearest anchor
FAINT = 1e-4  # of that, below which a cell belongs to none


def describe(
    features: Float[Array | np.ndarray, "n m features"], gray: Float[Array | np.ndarray, "n m"]
) -> Float[Array, "n m _"]:
    """Describe each cell so that a distance of 1 begins another thing.

    Where the features of a photo vary little, as in a drawing, their differences count for more: the network is then
    unsure of all, but not of what differs.

    Args:
        features: of the network, 0 or above; with none, gray alone tells things apart.
        gray: levels.
    """
    features = features / jnp.maximum(jnp.linalg.norm(features, axis=-1, keepdims=True), 1e-6)
    spread = jnp.maximum(1 - (features.mean((0, 1)) ** 2).sum(), 1e-3)
    scale = ALIKE * (spread / SPREAD) ** 0.75
    shade = gray / jnp.maximum(SHADES * gray.std(), 1.0)
    return jnp.concatenate([features / scale, shade[..., None]], -1)


def affinity(
    features: Float[Array, "p features"],
    cells: Int[Array | np.ndarray, "p 2"],
    other_features: Float[Array, "q features"],
    other_cells: Int[Array | np.ndarray, "q 2"],
    grid: tuple[int, ...],
) -> Float[Array, "p q"]:
    """Tell how much two places belong to one thing: 1 for the same place, near 0 for other things.

    It is a positive semidefinite kernel: a Gaussian in features and place, and a narrow one in place alone.

    Args:
        features: of the places, from `describe`.
        cells: row and column of the places.
        other_features: of the other places.
        other_cells: likewise.
        grid: rows and columns of all cells.
    """
    apart = squared_distances(features, other_features)
    steps = squared_distances(cells.astype(jnp.float32), other_cells.astype(jnp.float32))
    far = steps / (NEAR * min(grid)) ** 2
    local = jnp.exp(-steps / (2 * NEXT**2))
    return (1 - LOCAL) * jnp.exp(-(apart + far) / 2) + LOCAL * local


def anchors(features: Float[Array, "n m features"], count: int) -> Float[Array, "count features"]:
    """Choose cells that stand for the things of a photo, the largest thing first.

    Each one adds most to how well all cells are covered by the likest of those chosen (greedy facility location).

    Args:
        features: from `describe`.
        count: of anchors, at least 1.
    """
    cells = features.reshape(-1, features.shape[-1])
    cells = cells[:: -(-len(cells) // LOOKED_AT)]
    likeness = jnp.exp(-squared_distances(cells, cells) / 2)
    covered, chosen = jnp.zeros(len(cells)), []
    for _ in range(count):
        best = jnp.argmax(jnp.maximum(likeness - covered[None], 0).sum(1))
        covered = jnp.maximum(covered, likeness[best])
        chosen.append(cells[best])
    return jnp.stack(chosen)


def memberships(
    features: Float[Array, "n m features"], anchors: Float[Array, "things features"]
) -> Float[Array, "n m things"]:
    """Tell how much each cell belongs to the thing of each anchor: shares that sum to 1 at most.

    Args:
        features: from `describe`; of the photo of the anchors, or of another one with the same things.
        anchors: from `anchors`.
    """
    cells = features.reshape(-1, features.shape[-1])
    near = jnp.exp(-SHARP * squared_distances(cells, anchors))
    shares = near / (near.sum(-1, keepdims=True) + FAINT)
    return shares.reshape(*features.shape[:2], -1)


def squared_distances(
    a: Float[Array, "p k"], b: Float[Array | np.ndarray, "q k"]
) -> Float[Array, "p q"]:
    """Return the squared distance of each row of one array from each row of another."""
    products = jnp.matmul(a, b.T, precision="highest")
    return jnp.maximum((a**2).sum(-1)[:, None] + (b**2).sum(-1)[None] - 2 * products, 0)
