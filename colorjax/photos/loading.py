"""Loading photo files for training: small 8-bit RGB arrays, squares or whole photos."""

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
    """Read a photo file and resize it to a square, with antialiasing.

    Args:
        path: A file that `read_photo` can read.
        size: The side of the square in pixels, at least 1.
        framing: "squash" changes the aspect ratio; "crop" first cuts out the centered square.
        method: The filter, "lanczos" or "bicubic".
        max_pixels: As for `read_photo`.

    Returns:
        8-bit RGB levels. A gray photo gives three equal channels. Alpha is dropped.

    Raises:
        PhotoError: as for `read_photo`.
        ConfigError: the size is below 1, or the framing or the method is unknown.
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
        paths: The m files.
        size: The side of the squares in pixels.
        framing: As for `load_square`.
        method: As for `load_square`.
        max_pixels: As for `read_photo`.
        on_error: Called with the index and the error of each file that cannot be read, in order. The square of such a
            file stays black. None raises the first error.

    Returns:
        The squares in the order of the paths.

    Raises:
        PhotoError: a file cannot be read and there is no `on_error`.
        ConfigError: as for `load_square`.
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

    # Pillow releases the interpreter lock while it works; of two threads per core, one often waits for it
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
    """Read a photo file and resize it to a given short side, with antialiasing. The aspect ratio stays.

    Args:
        path: A file that `read_photo` can read.
        side: The short side in pixels, at least 1.
        widest: The largest ratio of long to short side, at least 1. Longer photos are cropped at both ends.
        method: The filter, "lanczos" or "bicubic".
        max_pixels: As for `read_photo`.

    Returns:
        8-bit RGB levels. A gray photo gives three equal channels. Alpha is dropped.

    Raises:
        PhotoError: as for `read_photo`.
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
    """Return an open photo as an upright 8-bit Pillow image."""
    bare = not image.info.keys() & {"exif", "xmp", "icc_profile"}
    if (
        isinstance(image, Image.Image)
        and image.format in ("JPEG", "WEBP")
        and image.mode in ("L", "RGB")
        and bare
    ):
        return image  # most photos: saves an array between decoding and resizing
    return Image.fromarray(decode_frame(image, file).to_8bit().pixels)


def _center(plain: Image.Image, width: int, height: int) -> Image.Image:
    """Cut the center out of a photo."""
    left, top = (plain.width - width) // 2, (plain.height - height) // 2
    return plain.crop((left, top, left + width, top + height))
