"""Augmentation of training photos: pure functions of a random key."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from colorjax.color import rgb_to_gray


def random_mirror(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, probability: float = 0.5
) -> Float[Array, "batch h w 3"]:
    """Mirror each photo left to right with the given probability."""
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
    """Cut a random window out of each photo, and resize it with antialiasing.

    Args:
        key: The random key.
        rgb: Levels of square photos.
        size: The side of the result.
        zoom: The side of a window is between 1 − zoom and 1 of the photo's. 0 takes the whole photo.
        stretch: Height and width of a window differ by up to this share, unless `zoom` is 0.
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
    centers = start[:, None] + (jnp.arange(after) + 0.5)[None] * step[:, None]
    distance = jnp.abs((jnp.arange(before) + 0.5)[None, None] - centers[..., None])
    weights = jnp.maximum(1 - distance / jnp.maximum(step, 1)[:, None, None], 0)
    return weights / weights.sum(-1, keepdims=True)


def random_exposure(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, spread: float = 0.2
) -> Float[Array, "batch h w 3"]:
    """Raise each photo to a random power close to 1, as another exposure would.

    Args:
        key: The random key.
        rgb: Levels in [0, 255].
        spread: The standard deviation of the logarithm of the power.
    """
    power = jnp.exp(spread * jax.random.normal(key, (len(rgb), 1, 1, 1)))
    return 255 * jnp.clip(rgb / 255, 1e-4, 1) ** power


def random_orthochromatic_gray(
    key: PRNGKeyArray, rgb: Float[Array, "batch h w 3"], *, share: float = 0.2
) -> Float[Array, "batch h w"]:
    """Convert photos to gray, some of them as film that is insensitive to red and most sensitive to blue.

    For such a photo, the weights of red, green and blue lie at random between the usual ones and those of
    orthochromatic film. They sum to 1, so neutral colors stay as bright as they are.

    Args:
        key: The random key.
        rgb: Levels in [0, 255].
        share: The probability of such film.

    Returns:
        Levels in [0, 255].

    Note:
        Film before about 1920, and all glass plates, were sensitive to blue, or to blue and green.
    """
    b = len(rgb)
    chosen_key, mix_key = jax.random.split(key)
    mix = jax.random.uniform(mix_key, (b, 1), minval=0.3, maxval=1.0)
    weights = (1 - mix) * rgb_to_gray(jnp.eye(3))[None] + mix * jnp.array([[0.02, 0.4, 0.58]])
    film = jnp.einsum("bhwc,bc->bhw", rgb, weights, precision="highest")
    return _where_chosen(chosen_key, share, film, rgb_to_gray(rgb))


def random_tone_curve(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, strength: float = 0.3
) -> Float[Array, "batch h w"]:
    """Raise each gray to a random power. Paper and developer change the middle tones, but not black and white.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        strength: The standard deviation of the logarithm of the power. 0 changes nothing.
    """
    if not strength:
        return gray
    power = jnp.exp(strength * jax.random.normal(key, (len(gray), 1, 1)))
    return 255 * jnp.clip(gray / 255, 0, 1) ** power


def random_fading(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, strength: float = 0.2
) -> Float[Array, "batch h w"]:
    """Raise the black and lower the white of each photo, as light and age do.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        strength: In [0, 1]. Black rises by up to 100 · strength levels, and white falls by up to 60 · strength.
    """
    low, high = strength * jax.random.uniform(key, (2, len(gray), 1, 1))
    return gray + 100 * low * (1 - gray / 255) - 60 * high * (gray / 255)


def random_low_contrast(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, strength: float = 0.2
) -> Float[Array, "batch h w"]:
    """Move the levels of each photo toward their mean.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        strength: In [0, 1]. Up to 0.8 · strength of the distance to the mean is lost.
    """
    lost = 0.8 * strength * jax.random.uniform(key, (len(gray), 1, 1))
    return gray + lost * (gray.mean((1, 2), keepdims=True) - gray)


def random_grain(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, strength: float = 0.2
) -> Float[Array, "batch h w"]:
    """Add film grain: noise slightly larger than a pixel, strongest in the middle tones.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        strength: In [0, 1]. The standard deviation is at most 30 · strength levels.
    """
    amount_key, noise_key = jax.random.split(key)
    amount = 30 * strength * jax.random.uniform(amount_key, (len(gray), 1, 1))
    grains = 1.4 * _smooth(jax.random.normal(noise_key, gray.shape), 0.25)
    middle = 0.2 + 3.2 * (gray / 255) * (1 - gray / 255)
    return jnp.clip(gray + amount * middle * grains, 0, 255)


def random_blur(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, share: float = 0.2
) -> Float[Array, "batch h w"]:
    """Blur some photos, as a simple lens or a moving hand does.

    Args:
        key: The random key.
        gray: Levels.
        share: The probability that a photo is blurred.
    """
    chosen_key, width_key = jax.random.split(key)
    width = jax.random.uniform(width_key, (len(gray), 1, 1), minval=0.5, maxval=1.0)
    soft = gray + width * (_smooth(_smooth(gray, 0.5), 0.5) - gray)
    return _where_chosen(chosen_key, share, soft, gray)


def random_scratches(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, share: float = 0.1, most: int = 3
) -> Float[Array, "batch h w"]:
    """Draw thin, bright or dark, nearly vertical lines on some photos.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        share: The probability that a photo is scratched.
        most: The number of scratches per photo.
    """
    b, h, w = gray.shape
    chosen_key, place_key, lean_key, ends_key, level_key = jax.random.split(key, 5)
    rows, columns = _grid(h, w)
    each = (most, b, 1, 1)
    place = w * jax.random.uniform(place_key, each)
    lean = 0.1 * jax.random.normal(lean_key, each)
    ends = h * jax.random.uniform(ends_key, (2, *each))
    level = jax.random.uniform(level_key, each, minval=-80.0, maxval=120.0)
    near = jnp.maximum(1 - jnp.abs(columns - place - lean * (rows - h / 2)), 0)
    inside = (rows > ends[0] - 0.4 * h) & (rows < ends[1] + 0.4 * h)
    scratched = jnp.clip(gray + jnp.sum(level * near * inside, axis=0), 0, 255)
    return _where_chosen(chosen_key, share, scratched, gray)


def random_stains(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, share: float = 0.1, most: int = 2
) -> Float[Array, "batch h w"]:
    """Draw soft, round, brighter or darker spots on some photos.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        share: The probability that a photo is stained.
        most: The number of stains per photo.
    """
    b, h, w = gray.shape
    chosen_key, place_key, size_key, level_key = jax.random.split(key, 4)
    each = (most, b, 1, 1)
    y, x = jax.random.uniform(place_key, (2, *each)) * jnp.array([h, w]).reshape(2, 1, 1, 1, 1)
    radius = min(h, w) * jax.random.uniform(size_key, each, minval=0.1, maxval=0.3)
    level = jax.random.uniform(level_key, each, minval=-50.0, maxval=50.0)
    rows, columns = _grid(h, w)
    inside = jax.nn.sigmoid(4 * (radius**2 - (rows - y) ** 2 - (columns - x) ** 2) / radius**2)
    stained = jnp.clip(gray + jnp.sum(level * inside, axis=0), 0, 255)
    return _where_chosen(chosen_key, share, stained, gray)


def random_halftone(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, share: float = 0.1
) -> Float[Array, "batch h w"]:
    """Lay the screen of dots with which newspapers print photos over some photos, as a scan shows it.

    Args:
        key: The random key.
        gray: Levels in [0, 255].
        share: The probability that a photo is printed.

    Note:
        Screens have 2.5 to 5 pixels per dot, and any direction. They are strongest in the middle tones.
    """
    b, h, w = gray.shape
    chosen_key, period_key, turn_key, amount_key = jax.random.split(key, 4)
    frequency = 2 * jnp.pi / jax.random.uniform(period_key, (b, 1, 1), minval=2.5, maxval=5.0)
    turn = jax.random.uniform(turn_key, (b, 1, 1), maxval=jnp.pi / 2)
    amount = jax.random.uniform(amount_key, (b, 1, 1), minval=0.2, maxval=1.0)
    rows, columns = (axis[0] for axis in _grid(h, w))
    along = columns * jnp.cos(turn) + rows * jnp.sin(turn)
    across = rows * jnp.cos(turn) - columns * jnp.sin(turn)
    screen = (jnp.cos(frequency * along) + jnp.cos(frequency * across)) / 2
    # with an amount of at most 1, black and white stay, and no level leaves the range
    printed = gray + amount * gray * (1 - gray / 255) * screen
    return _where_chosen(chosen_key, share, printed, gray)


def random_jpeg_blocks(
    key: PRNGKeyArray, gray: Float[Array, "batch h w"], *, share: float = 0.1
) -> Float[Array, "batch h w"]:
    """Quantize the coefficients of blocks of 8 × 8 in some photos, as a low-quality JPEG does.

    Args:
        key: The random key.
        gray: Levels in [0, 255]. Sides that are not multiples of 8 are padded by their edge.
        share: The probability that a photo is quantized.

    References:
        ITU-T T.81, table K.1 (luminance), scaled as libjpeg does for qualities from 10 to 50.
    """
    b, h, w = gray.shape
    chosen_key, quality_key = jax.random.split(key)
    scale = jax.random.uniform(quality_key, (b, 1, 1, 1, 1), minval=1.0, maxval=5.0)
    table = scale * jnp.asarray(_JPEG_TABLE)[None, None, :, None]
    padded = jnp.pad(gray - 128, ((0, 0), (0, -h % 8), (0, -w % 8)), mode="edge")
    blocks = padded.reshape(b, padded.shape[1] // 8, 8, padded.shape[2] // 8, 8)
    cosines = jnp.asarray(_COSINES)
    turn = partial(jnp.einsum, precision="highest")
    rounded = table * jnp.round(turn("ui,brick,vk->brucv", cosines, blocks, cosines) / table)
    decoded = turn("ui,brucv,vk->brick", cosines, rounded, cosines)
    decoded = jnp.clip(decoded.reshape(padded.shape)[:, :h, :w] + 128, 0, 255)
    return _where_chosen(chosen_key, share, decoded, gray)


_JPEG_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)


def _cosine_matrix() -> Float[np.ndarray, "8 8"]:
    """Return the orthonormal DCT-II of 8 samples, with one row per frequency."""
    frequency, sample = np.mgrid[0:8, 0:8]
    matrix = np.cos(np.pi * frequency * (2 * sample + 1) / 16) / 2
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


_COSINES = _cosine_matrix()


def _grid(h, w):
    """Return the centers of rows and columns, to broadcast against (most, batch, h, w)."""
    rows, columns = jnp.arange(h) + 0.5, jnp.arange(w) + 0.5
    return rows[None, None, :, None], columns[None, None, None]


def _where_chosen(key, share, changed, gray):
    """Return the changed gray for a random share of the photos."""
    chosen = jax.random.bernoulli(key, share, (len(gray), 1, 1))
    return jnp.where(chosen, changed, gray)


def _smooth(gray, share):
    """Mix each pixel with its four neighbors, along rows, then columns: `share` of it comes from them."""
    for axis in (1, 2):
        pads = [(0, 0), (0, 0), (0, 0)]
        pads[axis] = (1, 1)
        padded = jnp.pad(gray, pads, mode="edge")
        n = gray.shape[axis]
        before = jax.lax.slice_in_dim(padded, 0, n, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)
        gray = (1 - share) * gray + share / 2 * (before + after)
    return gray
