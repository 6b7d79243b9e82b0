"""Reading photo files: one photo, its pages or frames, or only its header."""

import dataclasses
import io
import itertools
import math
import os
from collections.abc import Iterator

from colorjax.errors import PhotoError, TruncatedError
from colorjax.photos import decoding, formats, headers, parts
from colorjax.photos.formats import SUFFIXES
from colorjax.photos.metadata import read_metadata
from colorjax.photos.opening import (
    MAX_PIXELS,
    PathLike,
    check_frames,
    check_size,
    decoder_guard,
    open_photo,
    regular_file,
    too_large,
)
from colorjax.photos.photo import Photo

BYTES_PER_PIXEL = {
    "JPEG2000": 60,
    "AVIF": 60,
    "HEIF": 60,
}  # held from reading to writing, as measured
USUAL_BYTES = 40
BYTES_PER_FRAME = {"TIFF": 0, "AVIF": 2}  # per pixel, for what decoders and encoders keep of it
USUAL_FRAME = 1
BYTES_OF_LENGTH = 4_000_000
"""Bytes for each squared aspect ratio up to 16 : 1, for the matrices that resize a long photo."""
LONGEST_SHOWN = 65_535_000  # milliseconds: the longest duration of a frame in PNG
LARGEST_TIFF = 3_900_000_000  # bytes of pixels; larger files are written as BigTIFF


def read_photo(
    path: PathLike, *, max_pixels: int = MAX_PIXELS, allow_truncated: bool = False
) -> Photo:
    """Read a photo file of any format and mode.

    Args:
        path: The file. Its content decides its format, not its suffix. Of several pages or frames, the first is read.
        max_pixels: The most pixels that the header may announce.
        allow_truncated: Whether to open a photo whose end is missing. The missing part is blank, and `Photo.truncated`
            is set.

    Returns:
        The photo at its own depth, upright, in sRGB.

    Raises:
        PhotoError: the file is missing, damaged, too large, or not a photo.
    """
    with regular_file(path) as file:
        return _read_first(file, path, max_pixels, allow_truncated)[1]


def decode_photo(
    data: bytes,
    *,
    name: str = "photo",
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
) -> Photo:
    """Decode the bytes of a photo file, as `read_photo` does.

    Args:
        data: The whole file.
        name: How errors refer to it.
        max_pixels: As for `read_photo`.
        allow_truncated: As for `read_photo`.

    Raises:
        PhotoError: as for `read_photo`.
    """
    return _read_first(io.BytesIO(data), name, max_pixels, allow_truncated)[1]


def read_frames(
    path: PathLike, *, max_pixels: int = MAX_PIXELS, allow_truncated: bool = False
) -> Iterator[Photo]:
    """Read each page of a TIFF, each frame of an animation, or the one photo of any other file.

    Args:
        path: A file that `read_photo` can read.
        max_pixels: The most pixels of one page.
        allow_truncated: As for `read_photo`. Frames that are missing completely are left out.

    Yields:
        The pages in order. Each is decoded when it is needed.

    Raises:
        PhotoError: as for `read_photo`, when the damaged page is reached.
    """
    with regular_file(path) as file:
        yield from _read_frames(file, path, max_pixels, allow_truncated)


def decode_frames(
    data: bytes,
    *,
    name: str = "photo",
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
) -> Iterator[Photo]:
    """Decode each page or frame of the bytes of a file, as `read_frames` does.

    Args:
        data: The whole file.
        name: How errors refer to it.
        max_pixels: The most pixels of one page.
        allow_truncated: As for `read_frames`.

    Raises:
        PhotoError: as for `read_frames`.
    """
    return _read_frames(io.BytesIO(data), name, max_pixels, allow_truncated)


def read_bytes(path: PathLike, most: int = -1) -> bytes:
    """Return the bytes of a file.

    Args:
        path: The file.
        most: The number of bytes to read of a file that has more, or -1 for all.

    Raises:
        PhotoError: the file is missing, is not a regular file, or cannot be read.
    """
    with regular_file(path) as file, decoder_guard(path, None):
        return file.read(most)


def output_suffix(path: PathLike) -> str:
    """Return the suffix, such as ".jpg", for a color version of a photo file. Only the header is read.

    Raises:
        PhotoError: the header is damaged, or the file is not a photo.
    """
    with regular_file(path) as file, open_photo(file, path, None) as image:
        header = headers.read_header(image, file)
    return _suffix(header.kind, header.bits, header.alpha, os.path.splitext(path)[1])


def suffix_for(photo: Photo, own: str = "") -> str:
    """Return the suffix, such as ".jpg", for a color version of a decoded photo.

    Args:
        photo: The photo as it was decoded.
        own: The suffix of its file. It is kept if it fits the content.
    """
    return _suffix(photo.format or "PNG", photo.bits, photo.alpha is not None, own)


def memory_needed(path: PathLike) -> int:
    """Estimate the bytes that a photo file needs from reading to writing it in color. Only the header is read.

    Of several pages or frames a few are held at a time. Each frame of an animation adds a byte or two per pixel,
    for what decoders and encoders keep of it. For photos longer than 4 : 1, the matrices that resize them are added.

    Raises:
        PhotoError: the header is damaged, or the file is not a photo.
    """
    with regular_file(path) as file, open_photo(file, path, None) as image:
        w, h = headers.checked_size(image)
        held = BYTES_PER_PIXEL.get(image.format or "", USUAL_BYTES)
        frames = _count_frames(image, file)
        if frames > 1:
            held *= min(frames, 3)
            held += frames * BYTES_PER_FRAME.get(image.format or "", USUAL_FRAME)
        aspect = min(16, max(w, h) / min(w, h))
        return w * h * held + round(BYTES_OF_LENGTH * aspect**2 if aspect > 4 else 0)


def count_frames(path: PathLike) -> int:
    """Return the number of pages or frames of a photo file, from its headers.

    Raises:
        PhotoError: the headers are wrong.
    """
    with regular_file(path) as file:
        return _count_frames_of(file, path)


def count_frames_in(data: bytes, *, name: str = "photo") -> int:
    """Return the number of pages or frames in the bytes of a photo file, as `count_frames` does.

    Args:
        data: The whole file.
        name: How errors refer to it.

    Raises:
        PhotoError: as for `count_frames`.
    """
    return _count_frames_of(io.BytesIO(data), name)


def _count_frames_of(file: io.BufferedIOBase, name: PathLike) -> int:
    with open_photo(file, name, None) as image:
        return _count_frames(image, file)


def _count_frames(image: headers.Opened, file: io.BufferedIOBase) -> int:
    """Return the number of pages or frames, as far as the file is intact. The image keeps its position."""
    if image.format == "TIFF":
        place = file.tell()
        count = parts.count_pages(file)
        file.seek(place)
        return count
    if image.format not in formats.MULTI_FRAME:
        return 1
    return getattr(image, "n_frames", 1) - headers.first_frame(image, file)


def _suffix(kind: str, bits: int, alpha: bool, own: str) -> str:
    deep = bits == 16 and kind not in formats.SIXTEEN_BIT
    bilevel = bits == 1 and kind != "TIFF"  # whose pages stay one file
    if kind == "GIF" or bilevel or deep or (alpha and kind in formats.SPOILT_ALPHA):
        return ".png"
    return own if own.lower() in SUFFIXES[kind] else SUFFIXES[kind][0]


def decode_frame(image: headers.Opened, file: io.BufferedIOBase) -> Photo:
    """Decode the page or frame at which an open file stands.

    Args:
        image: An open photo, from `opening.open_photo`.
        file: The file that it comes from.
    """
    header = headers.read_header(image, file)
    pixels, alpha, turned = decoding.decode(image, file, header)
    h, w = pixels.shape[:2]
    milliseconds = float(image.info.get("duration") or 0)
    if not (math.isfinite(milliseconds) and 0 <= milliseconds <= LONGEST_SHOWN):
        milliseconds = 0.0
    return Photo(
        pixels,
        alpha,
        header.kind,
        header.bits,
        read_metadata(image, w, h, turned=turned),
        milliseconds,
        _plays(image),
    )


def _plays(image: headers.Opened) -> int:
    """Return how often an animation plays; 0 means endlessly.

    A GIF that says n plays n + 1 times. A GIF that says nothing plays once.
    """
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop and loop + 1
    return loop if isinstance(loop, int) else 0


def _decode_one(
    file: io.BufferedIOBase,
    name: PathLike,
    max_pixels: int,
    *,
    number: int = 0,
    truncated: bool = False,
    check_all: bool = False,
) -> tuple[headers.Opened, Photo]:
    """Open a file and decode one of its frames, if asked only after a check of their number."""
    with open_photo(file, name, max_pixels, truncated=truncated) as image:
        if check_all:
            _check_all_frames(image, file, name, max_pixels)
        if place := number + headers.first_frame(image, file):
            image.seek(place)
        photo = decode_frame(image, file)
        if image.format == "TIFF" and not number:
            bytes_a_page = 3 * photo.pixels[..., 0].size * photo.pixels.itemsize
            if bytes_a_page * _count_frames(image, file) > LARGEST_TIFF:
                photo = dataclasses.replace(
                    photo, metadata=dataclasses.replace(photo.metadata, big=True)
                )
    return image, dataclasses.replace(photo, truncated=truncated)


def _check_all_frames(
    image: headers.Opened, file: io.BufferedIOBase, name: PathLike, max_pixels: int
) -> None:
    """Reject a file of too many frames. Damage between them is reported when it is reached."""
    try:
        count = _count_frames(image, file)
    except Exception:  # decoders raise anything on damaged data
        image.seek(0)
        return
    check_frames(count, name, max_pixels)


def _read_first(
    file: io.BufferedIOBase,
    name: PathLike,
    max_pixels: int,
    allow_truncated: bool,
    *,
    check_all: bool = False,
) -> tuple[headers.Opened, Photo]:
    """Open a file and decode its first frame, or what there is of it if that is allowed."""
    try:
        return _decode_one(file, name, max_pixels, check_all=check_all)
    except TruncatedError:
        if not allow_truncated:
            raise
    return _decode_one(file, name, max_pixels, truncated=True, check_all=check_all)


def _read_frames(
    file: io.BufferedIOBase, name: PathLike, max_pixels: int, allow_truncated: bool
) -> Iterator[Photo]:
    # the guard covers single frames: between them the caller runs, with its own warnings and limits
    image, photo = _read_first(file, name, max_pixels, allow_truncated, check_all=True)
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)  # where the decoder continues
    together = photo.pixels[..., 0].size
    beginning = image.tell()
    for number in itertools.count(1):
        more, fault = False, None
        if not photo.truncated:
            try:
                more = _seek(image, beginning + number, name, max_pixels)
            except PhotoError as error:
                fault = error
        if fault and allow_truncated:
            photo, fault = dataclasses.replace(photo, truncated=True), None
        yield photo
        del photo  # free it before the next one is decoded
        if fault:
            raise fault
        if not more:
            return
        try:
            with decoder_guard(name, max_pixels):
                check_frames(number + 1, name, max_pixels)
                check_size(image, name, max_pixels, size)
                photo = decode_frame(image, file)
        except TruncatedError:
            if not allow_truncated:
                raise
            photo = _decode_one(file, name, max_pixels, number=number, truncated=True)[1]
        together += photo.pixels[..., 0].size
        if image.format != "TIFF" and together > max_pixels:
            found = f"{number + 1} frames of {together / 1e6:.6g} megapixels in total"
            raise too_large(name, found, max_pixels)


def _seek(image: headers.Opened, number: int, name: PathLike, max_pixels: int) -> bool:
    """Go to a page or frame, and return whether it exists."""
    with decoder_guard(name, max_pixels):
        if image.format not in formats.MULTI_FRAME:
            return False
        try:
            image.seek(number)
        except EOFError:
            return False
        return True
