"""Photo files to photos: one, its pages or frames, or what its header says."""

import io
import itertools
import os
from collections.abc import Iterator

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
from colorjax.photos.photo import Photo


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
        return to_photo(image, file)


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
        return to_photo(image, file)


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


def to_photo(image: decoding.Opened, file: io.BufferedIOBase) -> Photo:
    """Decode the page or frame at which an opened file stands.

    Args:
        image: from `opening.opened`.
        file: its bytes.

    Spec: FIL-001, FIL-003, FIL-004, FIL-005
    """
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
        photo = to_photo(image, file)
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
            photo = to_photo(image, file)
        together += photo.pixels[..., 0].size
        if image.format != "TIFF" and together > max_pixels:
            found = f"{number + 1} frames of {together / 1e6:.6g} megapixels together"
            raise too_large(name, found, max_pixels)
        yield photo
