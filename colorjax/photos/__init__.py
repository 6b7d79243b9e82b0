"""Photo files: read, shrink to squares, find, write; whatever a file holds, arrays come out, or one `PhotoError`.

This is the door, and reads; behind it `opening` guards, and `decoding`, `encoding`, `writing` and others
do the work. These, and no other module, use Pillow and tifffile.
"""

import dataclasses
import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from colorjax.errors import ConfigError, PhotoError
from colorjax.photos import decoding
from colorjax.photos.decoding import SUFFIXES
from colorjax.photos.metadata import read_metadata
from colorjax.photos.opening import (
    MAX_PIXELS,
    PathLike,
    check_size,
    guarded,
    opened,
    regular_file,
    too_large,
)
from colorjax.photos.photo import Photo, Pixels
from colorjax.photos.search import find_photos, sample_photos
from colorjax.photos.writing import (
    encode_frames,
    encode_photo,
    fitting_name,
    format_of,
    sweep,
    write_bytes,
    write_photo,
)

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "Pixels",
    "decode_frames",
    "decode_photo",
    "encode_frames",
    "encode_photo",
    "find_photos",
    "fitting_name",
    "format_of",
    "load_square",
    "load_squares",
    "load_whole",
    "output_suffix",
    "photo_size",
    "read_bytes",
    "read_frames",
    "read_photo",
    "sample_photos",
    "shrink_photo",
    "suffix_for",
    "sweep",
    "text_strip",
    "write_bytes",
    "write_photo",
]

# --- reading ---------------------------------------------------------------------------------


def read_photo(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a photo file of any format and mode, at its depth, turned upright, in sRGB.

    Args:
        path: a file; its content, not its suffix, says what it is. Of several pages or frames the first is read.
        max_pixels: most pixels that its header may announce.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.

    Spec: FIL-001, FIL-002, FIL-003, FIL-004, FIL-005, FIL-006, FIL-007, FIL-008, FIL-019, FIL-020, FIL-021, FIL-022,
        FIL-023, FIL-025, FIL-030, FIL-031, FIL-032
    """
    with regular_file(path) as file, opened(file, path, max_pixels) as image:
        return _photo(image, file)


def decode_photo(data: bytes, *, name: str = "photo", max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode the bytes of a photo file as `read_photo` does.

    Args:
        data: all of a file.
        name: what an error calls it.
        max_pixels: as in `read_photo`.

    Raises:
        PhotoError: in one line, whatever is wrong with the bytes.

    Spec: FIL-031, FIL-033
    """
    file = io.BytesIO(data)
    with opened(file, name, max_pixels) as image:
        return _photo(image, file)


def read_frames(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> Iterator[Photo]:
    """Decode each page of a TIFF, each frame of a GIF, WebP, AVIF or PNG, or the one photo of another file.

    Args:
        path: a file that `read_photo` reads.
        max_pixels: most pixels of one page.

    Yields:
        The pages in order, decoded as they are asked for.

    Raises:
        PhotoError: in one line, whatever is wrong with the file, when the damaged page is reached.

    Spec: FIL-024
    """
    with regular_file(path) as file:
        yield from _frames(file, path, max_pixels)


def decode_frames(
    data: bytes, *, name: str = "photo", max_pixels: int = MAX_PIXELS
) -> Iterator[Photo]:
    """Decode each page or frame of the bytes of a file as `read_frames` does.

    Args:
        data: all of a file.
        name: what an error calls it.
        max_pixels: most pixels of one page.

    Raises:
        PhotoError: in one line, whatever is wrong with the bytes.

    Spec: FIL-024, FIL-031, FIL-033
    """
    return _frames(io.BytesIO(data), name, max_pixels)


def read_bytes(path: PathLike) -> bytes:
    """Return the bytes of a photo file, whatever it holds.

    Raises:
        PhotoError: in one line, if it is missing, no regular file, or cannot be read.

    Spec: FIL-007
    """
    with regular_file(path) as file:
        return file.read()


def output_suffix(path: PathLike) -> str:
    """Return the suffix, such as ".jpg", under which a colour version of a photo file is written.

    It reads the header only.

    Raises:
        PhotoError: in one line, whatever is wrong with the header.

    Spec: FIL-027
    """
    with regular_file(path) as file, opened(file, path, None) as image:
        header = decoding.read_header(image, file)
    return _suffix(header.kind, header.bits, header.alpha, os.path.splitext(path)[1])


def suffix_for(photo: Photo, own: str = "") -> str:
    """Return the suffix, such as ".jpg", under which a colour version of a decoded photo is written.

    Args:
        photo: as it was decoded.
        own: the suffix of its file, kept where it fits the content.

    Spec: FIL-027, FIL-033
    """
    return _suffix(photo.format or "PNG", photo.bits, photo.alpha is not None, own)


def photo_size(path: PathLike) -> tuple[int, int]:
    """Return height and width of a photo file as stored, from its header; a photo on its side has them exchanged.

    Raises:
        PhotoError: in one line, whatever is wrong with the header.

    Spec: FIL-007
    """
    with regular_file(path) as file, opened(file, path, None) as image:
        w, h = image.size
        return h, w


def _suffix(kind: str, bits: int, alpha: bool, own: str) -> str:
    deep = bits == 16 and kind not in decoding.DEEP
    if kind == "GIF" or bits == 1 or deep or (alpha and kind in ("AVIF", "HEIF")):
        return ".png"
    return own if own.lower() in SUFFIXES[kind] else SUFFIXES[kind][0]


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
        framing: "squash" ignores the aspect ratio, as the seed did; "crop" first cuts the centred square of the
            short side.
        method: "lanczos", as the seed, or "bicubic".
        max_pixels: as in `read_photo`.

    Returns:
        8-bit RGB levels; a gray photo has three equal channels, alpha is dropped.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.
        ConfigError: on a size below 1, an unknown framing or method.

    Source: seed S1.
    Spec: FIL-009
    """
    if size < 1:
        raise ConfigError(f"size {size}; expected at least 1 pixel")
    if method not in ("lanczos", "bicubic"):
        raise ConfigError(f"method {method!r}; expected 'lanczos' or 'bicubic'")
    if framing not in ("squash", "crop"):
        raise ConfigError(f"framing {framing!r}; expected 'squash' or 'crop'")
    with regular_file(path) as file, opened(file, path, max_pixels) as image:
        plain = _plain(image, file)
        if framing == "crop":
            short = min(plain.size)
            plain = _centre(plain, short, short)
        small = plain.resize((size, size), Image.Resampling[method.upper()])
        return np.asarray(small.convert("RGB"))


def load_whole(
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

    Spec: TRN-052
    """
    with regular_file(path) as file, opened(file, path, max_pixels) as image:
        plain = _plain(image, file)
        most = max(1, int(widest * min(plain.size)))
        plain = _centre(plain, min(plain.width, most), min(plain.height, most))
        scale = side / min(plain.size)
        size = (max(side, round(scale * plain.width)), max(side, round(scale * plain.height)))
        if size != plain.size:
            plain = plain.resize(size, Image.Resampling[method.upper()])
        return np.asarray(plain.convert("RGB"))


def _plain(image: decoding.Opened, file: io.BufferedIOBase) -> Image.Image:
    """Return an open photo as Pillow's own, upright and of 8 bits."""
    bare = not image.info.keys() & {"exif", "xmp", "icc_profile"}
    if (
        isinstance(image, Image.Image)
        and image.format in ("JPEG", "WEBP")
        and image.mode in ("L", "RGB")
        and bare
    ):
        return image  # most photos: no array between decoding and resizing
    return Image.fromarray(_photo(image, file).to_8bit().pixels)


def _centre(plain: Image.Image, width: int, height: int) -> Image.Image:
    """Cut the middle out of a photo."""
    left, top = (plain.width - width) // 2, (plain.height - height) // 2
    return plain.crop((left, top, left + width, top + height))


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

    Spec: FIL-010
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


def _photo(image: decoding.Opened, file: io.BufferedIOBase) -> Photo:
    header = decoding.read_header(image, file)
    pixels, alpha = decoding.decode(image, file, header)
    h, w = pixels.shape[:2]
    milliseconds = max(0.0, float(image.info.get("duration") or 0))
    return Photo(
        pixels,
        alpha,
        header.kind,
        header.bits,
        read_metadata(image, w, h),
        milliseconds,
        _plays(image),
    )


def _plays(image: decoding.Opened) -> int:
    """Return how often an animation plays, 0 for without end; a GIF that says n plays once more, one silent once."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop and loop + 1
    return loop if isinstance(loop, int) else 0


def _frames(file: io.BufferedIOBase, name: PathLike, max_pixels: int) -> Iterator[Photo]:
    # guarded frame by frame: between them the caller runs, whom warnings and limits are to find as they were
    with opened(file, name, max_pixels) as image:
        photo = _photo(image, file)
    together = photo.pixels[..., 0].size
    yield photo
    for number in itertools.count(1):
        with guarded(name, max_pixels):
            if image.format not in decoding.MOVING:
                return
            try:
                image.seek(number)
            except EOFError:
                return
            check_size(image, name, max_pixels)
            photo = _photo(image, file)
        together += photo.pixels[..., 0].size
        if image.format != "TIFF" and together > max_pixels:
            found = f"{number + 1} frames of {together / 1e6:.6g} megapixels together"
            raise too_large(name, found, max_pixels)
        yield photo


def shrink_photo(photo: Photo, longest: int) -> Photo:
    """Return a photo with 8-bit levels, shrunk (Lanczos) so that no side is longer than told; alpha is dropped.

    Args:
        photo: of any size.
        longest: side in pixels, at least 1.

    Spec: CMD-034
    """
    image = Image.fromarray(photo.to_8bit().pixels)
    share = min(1, longest / max(image.size))
    w, h = (max(1, round(share * side)) for side in image.size)
    small = np.asarray(image.resize((w, h), Image.Resampling.LANCZOS))
    return dataclasses.replace(photo, pixels=small, alpha=None, bits=8)


def text_strip(
    labels: Sequence[str], widths: Sequence[int], height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one row of labels, light on dark, to stand above the columns of a picture sheet.

    Args:
        labels: one a column; too long a one is set smaller, then cut.
        widths: of the columns in pixels.
        height: of the row in pixels.

    Spec: FIL-018
    """
    cells = []
    for label, width in zip(labels, widths, strict=True):
        cell = Image.new("L", (width, height), 24)
        for size in range(max(8, height * 3 // 5), 7, -1):
            font = ImageFont.load_default(size)
            if font.getlength(label) <= width - 4:
                break
        ImageDraw.Draw(cell).text((width / 2, height / 2), label, 230, font, anchor="mm")
        cells.append(np.asarray(cell))
    return np.repeat(np.concatenate(cells, 1)[..., None], 3, -1)
