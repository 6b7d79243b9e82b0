"""Which places of a photo belong to one thing, judged by the network's features, and which are sky. Pure."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

SPREAD = 0.28  # mean squared distance of features from their mean in a typical photo
ALIKE = 0.5  # distance of features between different things in such a photo
SHADES = 1.7  # scale of gray within a thing, in standard deviations of the photo's gray
NEAR = 0.9  # scale of distance for similar features, in short sides of the photo
LOCAL = 0.05  # share of the affinity that depends on distance alone
NEXT = 0.7  # scale of distance for that share, in cells
CANDIDATES = 1024  # most candidates for anchors; of more cells, every n-th is used
SHARP = 3.5  # how much more a cell belongs to its nearest anchor than to others
FAINT = 1e-4  # cells with less affinity belong to no thing
COLORED = 14.0  # least length in levels of a chroma with a clear hue
SKY_HUE = 125.0  # degrees of (R − Y, B − Y)
BLUES = 40.0  # degrees: the standard deviation of the hues of skies
SKY = (0.5, 0.6)  # of the colors that are likely for a cell: the least and the sure share of blue


def describe(
    features: Float[Array | np.ndarray, "n m features"], gray: Float[Array | np.ndarray, "n m"]
) -> Float[Array, "n m _"]:
    """Scale the features of each cell so that different things lie at a distance of about 1 or more.

    Where the features of a photo vary little, as in a drawing, their differences count more. The network is then
    uncertain everywhere, but the differences are still meaningful.

    Args:
        features: Features of the network, at least 0. Without any, only gray separates things.
        gray: Levels.
    """
    features = features / jnp.maximum(jnp.linalg.norm(features, axis=-1, keepdims=True), 1e-6)
    spread = jnp.maximum(1 - (features.mean((0, 1)) ** 2).sum(), 1e-3)
    scale = ALIKE * (spread / SPREAD) ** 0.3
    shade = gray / jnp.maximum(SHADES * gray.std(), 1.0)
    return jnp.concatenate([features / scale, shade[..., None]], -1)


def affinity(
    features: Float[Array, "p features"],
    cells: Int[Array | np.ndarray, "p 2"],
    other_features: Float[Array, "q features"],
    other_cells: Int[Array | np.ndarray, "q 2"],
    grid: tuple[int, ...],
    *,
    near: float = NEAR,
) -> Float[Array, "p q"]:
    """Return how much two places belong to one thing: 1 for the same place, near 0 for different things.

    This is a positive semidefinite kernel: a Gaussian in features and place, plus a narrow one in place alone.

    Args:
        features: The features of some places, from `describe`.
        cells: Their rows and columns.
        other_features: The features of the other places.
        other_cells: Their rows and columns.
        grid: Rows and columns of all cells.
        near: The scale of distance for similar features, in short sides of the photo.
    """
    apart = squared_distances(features, other_features)
    steps = squared_distances(cells.astype(jnp.float32), other_cells.astype(jnp.float32))
    far = steps / (near * min(grid)) ** 2
    local = jnp.exp(-steps / (2 * NEXT**2))
    return (1 - LOCAL) * jnp.exp(-(apart + far) / 2) + LOCAL * local


def anchors(features: Float[Array, "n m features"], count: int) -> Float[Array, "count features"]:
    """Choose cells that represent the things of a photo, the largest thing first.

    Each cell is the one that most increases the similarity of all cells to their nearest anchor (greedy facility
    location).

    Args:
        features: From `describe`.
        count: The number of anchors, at least 1.
    """
    cells = features.reshape(-1, features.shape[-1])
    cells = cells[:: -(-len(cells) // CANDIDATES)]
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
    """Return how much each cell belongs to the thing of each anchor, as shares whose sum is at most 1.

    Args:
        features: From `describe`, of the photo of the anchors or of another photo with the same things.
        anchors: From `anchors`.
    """
    cells = features.reshape(-1, features.shape[-1])
    near = jnp.exp(-SHARP * squared_distances(cells, anchors))
    shares = near / (near.sum(-1, keepdims=True) + FAINT)
    return shares.reshape(*features.shape[:2], -1)


def skies(
    logits: Float[Array, "n m bins"], centers: Float[np.ndarray, "bins 2"]
) -> Float[Array, "n m"]:
    """Return how surely each cell is sky, in [0, 1]: likely blue, as are all cells above it.

    Args:
        logits: Of the chroma bins, from the photo network.
        centers: The chroma of the bins, from `bin_centers`.
    """
    red, blue = centers.T
    turn = np.angle(np.exp(1j * (np.arctan2(blue, red) - np.radians(SKY_HUE))))
    colored = (np.hypot(red, blue) >= COLORED).astype(np.float32)
    blues = colored * np.exp(-(np.degrees(turn) ** 2) / (2 * BLUES**2))
    both = jnp.stack([blues, colored], -1, dtype=np.float32)
    sums = jnp.matmul(jax.nn.softmax(logits, axis=-1), both, precision="highest")
    share = jax.lax.cummin(sums[..., 0] / jnp.maximum(sums[..., 1], 1e-6), axis=0)
    low, high = SKY
    return jnp.clip((share - low) / (high - low), 0, 1)


def squared_distances(
    a: Float[Array | np.ndarray, "p k"], b: Float[Array | np.ndarray, "q k"]
) -> Float[Array, "p q"]:
    """Return the squared distance of each row of one array from each row of another."""
    products = jnp.matmul(a, b.T, precision="highest")
    return jnp.maximum((a**2).sum(-1)[:, None] + (b**2).sum(-1)[None] - 2 * products, 0)
