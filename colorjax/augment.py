"""Augmentation of training photos, and the hints of the photo network: pure functions of a key."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from colorjax.color import rgb_to_gray


def random_mirror(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, probability: float = 0.5
) -> Float[Array, "batch h w 3"]:
    """Mirror each photo left to right with the given probability.

    Spec: TRN-008
    """
    chosen = jax.random.bernoulli(key, probability, (len(rgb), 1, 1, 1))
    return jnp.where(chosen, rgb[:, :, ::-1], rgb)


def random_view(
    key: PRNGKeyArray,
    rgb: Float[Array, "batch n n 3"],
    size: int,
    *,
    zoom: float = 0.5,
    stretch: float = 0.1,
) -> Float[Array, "batch size size 3"]:
    """Cut a random window out of each photo and resize it, antialiased.

    Args:
        key: decides all.
        rgb: levels; square.
        size: of the result.
        zoom: a window's side is between 1 − zoom and 1 of the photo's; 0 takes the whole photo.
        stretch: height and width of a window differ by up to this share, if there is any zoom.

    Spec: TRN-030
    """
    b, n, _, _ = rgb.shape
    scale_key, aspect_key, place_key = jax.random.split(key, 3)
    scale = jax.random.uniform(scale_key, (b, 1), minval=1 - zoom, maxval=1.0)
    least = 1 - stretch if zoom else 1.0
    aspect = jax.random.uniform(aspect_key, (b, 2), minval=least, maxval=1.0)
    window = n * scale * aspect
    start = jax.random.uniform(place_key, (b, 2)) * (n - window)
    rows, columns = (_window_matrix(start[:, i], window[:, i], n, size) for i in (0, 1))
    return jnp.einsum("bin,bnmc,bjm->bijc", rows, rgb, columns)


def _window_matrix(start, window, before, after):
    """Return the weights (batch, after, before) of a triangle filter that resizes each window to `after` pixels."""
    step = window / after
    centres = start[:, None] + (jnp.arange(after) + 0.5)[None] * step[:, None]
    distance = jnp.abs((jnp.arange(before) + 0.5)[None, None] - centres[..., None])
    weights = jnp.maximum(1 - distance / jnp.maximum(step, 1)[:, None, None], 0)
    return weights / weights.sum(-1, keepdims=True)


def random_exposure(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, spread: float = 0.2
) -> Float[Array, "batch h w 3"]:
    """Raise each photo to a random power near 1, colour and all, as another exposure would.

    Args:
        key: decides all.
        rgb: levels in [0, 255].
        spread: standard deviation of the power's logarithm.

    Spec: TRN-031
    """
    power = jnp.exp(spread * jax.random.normal(key, (len(rgb), 1, 1, 1)))
    return 255 * jnp.clip(rgb / 255, 1e-4, 1) ** power


def random_old_gray(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, share: float = 0.2
) -> Float[Array, "batch h w"]:
    """Make the gray of each photo, some as old film, paper and scanners would: other tones, faded, blurred, grainy.

    Args:
        key: decides all.
        rgb: levels in [0, 255].
        share: probability of each of the four effects.

    Returns:
        Levels in [0, 255].

    Spec: TRN-032
    """
    b = len(rgb)
    keys = iter(jax.random.split(key, 8))

    def chosen():
        return jax.random.bernoulli(next(keys), share, (b, 1, 1))

    response = jax.random.dirichlet(next(keys), jnp.array([1.0, 3.0, 1.5]), (b,))
    film = jnp.einsum("bhwc,bc->bhw", rgb, response)
    gray = rgb_to_gray(rgb)
    gray = jnp.where(chosen(), (film + gray) / 2, gray)

    row = jnp.pad(gray, ((0, 0), (1, 1), (0, 0)), mode="edge")
    soft = (row[:, :-2] + 2 * row[:, 1:-1] + row[:, 2:]) / 4
    column = jnp.pad(soft, ((0, 0), (0, 0), (1, 1)), mode="edge")
    soft = (column[..., :-2] + 2 * column[..., 1:-1] + column[..., 2:]) / 4
    gray = jnp.where(chosen(), soft, gray)

    low, high = jax.random.uniform(next(keys), (2, b, 1, 1)) * 40
    gray = jnp.where(chosen(), low + gray * (255 - high - low) / 255, gray)

    grain_key, size_key = jax.random.split(next(keys))
    grain = jax.random.uniform(size_key, (b, 1, 1), maxval=12.0)
    noisy = gray + grain * jax.random.normal(grain_key, gray.shape)
    return jnp.clip(jnp.where(chosen(), noisy, gray), 0, 255)


def random_hints(
    key: PRNGKeyArray,
    chroma: Float[Array, "batch h w 2"],
    *,
    share: float = 0.25,
    square: int = 4,
    most: int = 20,
) -> Float[Array, "batch h w 3"]:
    """Tell the true colour of a few random squares, in a share of the photos.

    Args:
        key: decides all.
        chroma: the truth in levels; height and width are multiples of `square`.
        share: probability that a photo has hints at all.
        square: side of a hint in pixels.
        most: about as many hints has a photo at most; few are likelier than many.

    Returns:
        Chroma and mask, as `unet.apply_unet` takes them.

    Spec: TRN-033
    """
    b, h, w, _ = chroma.shape
    rows, columns = h // square, w // square
    any_key, count_key, place_key = jax.random.split(key, 3)
    hinted = jax.random.bernoulli(any_key, share, (b, 1, 1, 1))
    count = most ** jax.random.uniform(count_key, (b, 1, 1, 1))
    drawn = jax.random.uniform(place_key, (b, rows, columns, 1)) < count / (rows * columns)
    known = (drawn & hinted).astype(jnp.float32)
    mean = chroma.reshape(b, rows, square, columns, square, 2).mean((2, 4))
    cells = jnp.concatenate([mean * known, known], axis=-1)
    return jnp.repeat(jnp.repeat(cells, square, axis=1), square, axis=2)
