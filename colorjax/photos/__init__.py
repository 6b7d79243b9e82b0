"""Photo files: read, shrink to squares, find, write; whatever a file holds, arrays come out, or one `PhotoError`.

This is the door; behind it `opening` guards, `decoding`, `encoding`, `profiles` and `metadata` do the work. These, and
no other module, use Pillow and tifffile.
"""

import contextlib
import dataclasses
import io
import itertools
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt, UInt8
from PIL import Image, ImageDraw, ImageFont

from colorjax.errors import ConfigError, OutputError, PhotoError
from colorjax.photos import decoding, encoding
from colorjax.photos.decoding import SUFFIXES
from colorjax.photos.metadata import Metadata, read_metadata
from colorjax.photos.opening import (
    MAX_PIXELS,
    PathLike,
    check_size,
    in_one_line,
    opened,
    regular_file,
)
from colorjax.photos.search import find_photos, sample_photos

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Photo",
    "decode_frames",
    "decode_photo",
    "encode_photo",
    "find_photos",
    "load_square",
    "load_squares",
    "load_whole",
    "output_suffix",
    "read_frames",
    "read_photo",
    "sample_photos",
    "text_strip",
    "write_bytes",
    "write_photo",
]

Pixels = UInt[np.ndarray, "h w"] | UInt[np.ndarray, "h w 3"]

_KIND = {
    suffix: kind for kind, suffixes in SUFFIXES.items() if kind != "GIF" for suffix in suffixes
}


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright.

    Attributes:
        pixels: gray (h, w) or sRGB (h, w, 3), uint8 in [0, 255] or uint16 in [0, 65535].
        alpha: opacity (h, w) in the dtype of pixels, or None; pixels are not multiplied by it.
        format: Pillow's name of the format it came from, such as "JPEG"; empty for none.
        bits: a channel, in that file: 1, 8, or 16 for all that is deeper than 8.
        metadata: what goes along into the output.
    """

    pixels: Pixels
    alpha: UInt[np.ndarray, "h w"] | None = None
    format: str = ""
    bits: int = 8
    metadata: Metadata = Metadata()  # noqa: RUF009 - frozen

    def to_8bit(self) -> "Photo":
        """Return the photo with 8-bit levels: itself, or v / 257 rounded to the nearest.

        Spec: FIL-004
        """
        if self.pixels.dtype == np.uint8:
            return self
        alpha = None if self.alpha is None else encoding.to_8bit(self.alpha)
        return dataclasses.replace(self, pixels=encoding.to_8bit(self.pixels), alpha=alpha)


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


def output_suffix(path: PathLike) -> str:
    """Return the suffix, such as ".jpg", under which a colour version of a photo file is written.

    It reads the header only.

    Raises:
        PhotoError: in one line, whatever is wrong with the header.

    Spec: FIL-027
    """
    with regular_file(path) as file, opened(file, path, None) as image:
        header = decoding.read_header(image, file)
    deep = header.bits == 16 and header.kind not in ("PNG", "TIFF")
    if (
        header.kind == "GIF"
        or header.bits == 1
        or deep
        or (header.alpha and header.kind in ("AVIF", "HEIF"))
    ):
        return ".png"
    suffix = os.path.splitext(path)[1]
    return str(suffix) if suffix.lower() in SUFFIXES[header.kind] else SUFFIXES[header.kind][0]


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
    return Photo(pixels, alpha, header.kind, header.bits, read_metadata(image, w, h))


def _frames(file: io.BufferedIOBase, name: PathLike, max_pixels: int) -> Iterator[Photo]:
    for number in itertools.count():
        # opened anew for each: between them the caller runs, whom warnings and limits are to find as they were
        file.seek(0)
        with opened(file, name, max_pixels) as image:
            if number:
                if image.format not in decoding.MOVING:
                    return
                try:
                    image.seek(number)
                except EOFError:
                    return
                check_size(image, name, max_pixels)
            photo = _photo(image, file)
        yield photo


# --- writing ---------------------------------------------------------------------------------


def write_photo(
    path: PathLike, photo: Photo | Pixels, *, quality: int = 95, overwrite: bool = False
) -> None:
    """Write a photo in the format of the path's suffix, whole or not at all.

    Args:
        path: the new file; its folder exists.
        photo: a photo, or only its pixels.
        quality: of the lossy formats, 1 to 100; at 100 WebP is lossless.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: in one line, if the suffix is unknown, the file exists or cannot be written.
        ConfigError: on a quality out of range.

    Spec: FIL-014, FIL-015, FIL-016, FIL-017, FIL-025, FIL-026, FIL-028
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _KIND:
        raise OutputError(
            f"{in_one_line(path)}: cannot write {suffix or 'no suffix'}; expected {' '.join(_KIND)}"
        )
    if not overwrite:
        _check_free(path)
    try:
        data = encode_photo(photo, _KIND[suffix], quality=quality)
    except OutputError as error:
        raise OutputError(f"{in_one_line(path)}: {error}") from error
    write_bytes(path, data, overwrite=overwrite)


def encode_photo(photo: Photo | Pixels, format: str, *, quality: int = 95) -> bytes:
    """Encode a photo in memory.

    Args:
        photo: a photo, or only its pixels; 16 bits, alpha and metadata are dropped where the format has none.
        format: a key of `SUFFIXES`, except "GIF".
        quality: of the lossy formats, 1 to 100; chroma is not subsampled where the format can do without.

    Raises:
        ConfigError: on a quality out of range.
        OutputError: if the format cannot be written here or cannot hold the photo.

    Spec: FIL-016, FIL-017, FIL-025, FIL-026, FIL-028, FIL-032
    """
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality {quality}; expected 1 to 100")
    photo = photo if isinstance(photo, Photo) else Photo(photo)
    try:
        return encoding.encode(photo.pixels, photo.alpha, format, quality, photo.metadata)
    except decoding.Refused as error:
        raise OutputError(f"cannot write {error.found}; expected {error.expected}") from error
    except Exception as error:  # such as a side longer than the format allows
        raise OutputError(
            f"cannot write {format} ({in_one_line(error)[:160]}); expected another format"
        ) from error


def write_bytes(path: PathLike, data: bytes, *, overwrite: bool = False) -> None:
    """Write a file under a temporary name in its folder, flush it to disk, and rename it.

    Raises:
        OutputError: in one line, if the file exists (and not `overwrite`) or cannot be written.

    Spec: FIL-014, FIL-015
    """
    if not overwrite:
        _check_free(path)
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        found = f"cannot be written ({error.strerror or error})"
        raise OutputError(f"{in_one_line(path)}: {found}; expected a place to write to") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _check_free(path: PathLike) -> None:
    if os.path.lexists(path):
        raise OutputError(
            f"{in_one_line(path)}: exists; expected a new name, or leave to overwrite"
        )


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
