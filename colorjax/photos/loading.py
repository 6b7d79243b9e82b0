"""Photo files to small 8-bit RGB arrays, for networks to learn from: squares, or whole photos of a short side."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from colorjax.errors import ConfigError, PhotoError
from colorjax.photos import headers
from colorjax.photos.opening import MAX_PIXELS, PathLike, open_photo, regular_file
from colorjax.photos.reading import decode_frame


def load_square(
    path: PathLike,
    size: int,
    *,
    framing: str = "squash",
    method: str = "lanczos",
    max_pixels: int = MAX_PIXELS,
) -> UInt8[np.ndarray, "size size 3"]:
    """Decode a photo file and shrink or enlarge it to a small square, antialiased.

    Args:
        path: a file that `read_photo` reads.
        size: side of the square in pixels, at least 1.
        framing: "squash" ignores the aspect ratio, as the seed did; "crop" first cuts the centered square of the
            short side.
        method: "lanczos", as the seed, or "bicubic".
        max_pixels: as in `read_photo`.

    Returns:
        8-bit RGB levels; a gray photo has three equal channels, alpha is dropped.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.
        ConfigError: on a size below 1, an unknown framing or method.

    Source: seed S1.
    """
    if size < 1:
        raise ConfigError(f"size {size}; expected at least 1 pixel")
    if method not in ("lanczos", "bicubic"):
        raise ConfigError(f"method {method!r}; expected 'lanczos' or 'bicubic'")
    if framing not in ("squash", "crop"):
        raise ConfigError(f"framing {framing!r}; expected 'squash' or 'crop'")
    with regular_file(path) as file, open_photo(file, path, max_pixels) as image:
        plain = _to_pillow(image, file)
        if framing == "crop":
            short = min(plain.size)
            plain = _center(plain, short, short)
        small = plain.resize((size, size), Image.Resampling[method.upper()])
        return np.asarray(small.convert("RGB"))


def load_squares(
    paths: Sequence[PathLike],
    size: int,
    *,
    framing: str = "squash",
    method: str = "lanczos",
    max_pixels: int = MAX_PIXELS,
    on_error: Callable[[int, PhotoError], object] | None = None,
) -> UInt8[np.ndarray, "m size size 3"]:
    """Apply `load_square` to many files, on all cores.

    Args:
        paths: m files.
        size: side of the squares in pixels.
        framing: as in `load_square`.
        method: as in `load_square`.
        max_pixels: as in `read_photo`.
        on_error: called with the place and the error of each file that cannot be read, in order; its row stays
            black. None raises the first such error.

    Returns:
        The squares in the order of the paths.

    Raises:
        PhotoError: the first one, if there is no `on_error`.
        ConfigError: on a size below 1 or an unknown framing.
    """
    squares = np.zeros((len(paths), max(size, 0), max(size, 0), 3), np.uint8)

    def fill(place: int) -> PhotoError | None:
        try:
            squares[place] = load_square(
                paths[place], size, framing=framing, method=method, max_pixels=max_pixels
            )
        except PhotoError as error:
            return error
        return None

    # Pillow lets go of the interpreter while it works; two threads a core, as one often waits for it
    pool = ThreadPoolExecutor(2 * (os.cpu_count() or 1))
    try:
        for place, error in enumerate(pool.map(fill, range(len(paths)))):
            if error and on_error is None:
                raise error
            if error and on_error:
                on_error(place, error)
    finally:
        pool.shutdown(cancel_futures=True)
    return squares


def load_resized(
    path: PathLike,
    side: int,
    *,
    widest: float = 3.0,
    method: str = "lanczos",
    max_pixels: int = MAX_PIXELS,
) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a photo file and shrink or enlarge it to a short side, antialiased, its aspect kept.

    Args:
        path: a file that `read_photo` reads.
        side: the short side in pixels, at least 1.
        widest: long over short side, at least 1; what is longer is cut at both ends.
        method: "lanczos" or "bicubic".
        max_pixels: as in `read_photo`.

    Returns:
        8-bit RGB levels; a gray photo has three equal channels, alpha is dropped.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.
    """
    with regular_file(path) as file, open_photo(file, path, max_pixels) as image:
        plain = _to_pillow(image, file)
        most = max(1, int(widest * min(plain.size)))
        plain = _center(plain, min(plain.width, most), min(plain.height, most))
        scale = side / min(plain.size)
        size = (max(side, round(scale * plain.width)), max(side, round(scale * plain.height)))
        if size != plain.size:
            plain = plain.resize(size, Image.Resampling[method.upper()])
        return np.asarray(plain.convert("RGB"))


def _to_pillow(image: headers.Opened, file: io.BufferedIOBase) -> Image.Image:
    """Return an open photo as Pillow's own, upright and of 8 bits."""
    bare = not image.info.keys() & {"exif", "xmp", "icc_profile"}
    if (
        isinstance(image, Image.Image)
        and image.format in ("JPEG", "WEBP")
        and image.mode in ("L", "RGB")
        and bare
    ):
        return image  # most photos: no array between decoding and resizing
    return Image.fromarray(decode_frame(image, file).to_8bit().pixels)


def _center(plain: Image.Image, width: int, height: int) -> Image.Image:
    """Cut the middle out of a photo."""
    left, top = (plain.width - width) // 2, (plain.height - height) // 2
    return plain.crop((left, top, left + width, top + height))
