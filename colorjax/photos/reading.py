"""Photo files to photos: one, its pages or frames, or what its header says."""

import dataclasses
import io
import itertools
import math
import os
from collections.abc import Iterator

from colorjax.errors import PhotoError, TruncatedError
from colorjax.photos import decoding
from colorjax.photos.decoding import SUFFIXES
from colorjax.photos.metadata import read_metadata
from colorjax.photos.opening import (
    MAX_PIXELS,
    PathLike,
    check_frames,
    check_size,
    guarded,
    opened,
    regular_file,
    too_large,
)
from colorjax.photos.photo import Photo

BYTES_PER_PIXEL = {
    "JPEG2000": 60,
    "AVIF": 60,
    "HEIF": 60,
}  # held from file to file; measured: FIL-044
USUAL_BYTES = 40
LONGEST_SHOWN = 65_535_000  # milliseconds that a frame may show: what PNG can say
LARGEST_TIFF = 3_900_000_000  # bytes of pixels; a file of more is a BigTIFF


def read_photo(
    path: PathLike, *, max_pixels: int = MAX_PIXELS, allow_truncated: bool = False
) -> Photo:
    """Decode a photo file of any format and mode, at its depth, turned upright, in sRGB.

    Args:
        path: a file; its content, not its suffix, says what it is. Of several pages or frames the first is read.
        max_pixels: most pixels that its header may announce.
        allow_truncated: whether a photo whose end is missing is opened; what is missing is blank, and it says so.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.

    Spec: FIL-001, FIL-002, FIL-003, FIL-004, FIL-005, FIL-006, FIL-007, FIL-008, FIL-019, FIL-020, FIL-021, FIL-022,
        FIL-023, FIL-025, FIL-030, FIL-031, FIL-032, FIL-041, FIL-042, FIL-043
    """
    with regular_file(path) as file:
        return _first(file, path, max_pixels, allow_truncated)[1]


def decode_photo(
    data: bytes,
    *,
    name: str = "photo",
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
) -> Photo:
    """Decode the bytes of a photo file as `read_photo` does.

    Args:
        data: all of a file.
        name: what an error calls it.
        max_pixels: as in `read_photo`.
        allow_truncated: as in `read_photo`.

    Raises:
        PhotoError: in one line, whatever is wrong with the bytes.

    Spec: FIL-031, FIL-033, FIL-043
    """
    return _first(io.BytesIO(data), name, max_pixels, allow_truncated)[1]


def read_frames(
    path: PathLike, *, max_pixels: int = MAX_PIXELS, allow_truncated: bool = False
) -> Iterator[Photo]:
    """Decode each page of a TIFF, each frame of a GIF, WebP, AVIF or PNG, or the one photo of another file.

    Args:
        path: a file that `read_photo` reads.
        max_pixels: most pixels of one page.
        allow_truncated: as in `read_photo`; frames that are missing altogether are left out.

    Yields:
        The pages in order, decoded as they are asked for.

    Raises:
        PhotoError: in one line, whatever is wrong with the file, when the damaged page is reached.

    Spec: FIL-024, FIL-042, FIL-043
    """
    with regular_file(path) as file:
        yield from _frames(file, path, max_pixels, allow_truncated)


def decode_frames(
    data: bytes,
    *,
    name: str = "photo",
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
) -> Iterator[Photo]:
    """Decode each page or frame of the bytes of a file as `read_frames` does.

    Args:
        data: all of a file.
        name: what an error calls it.
        max_pixels: most pixels of one page.
        allow_truncated: as in `read_frames`.

    Raises:
        PhotoError: in one line, whatever is wrong with the bytes.

    Spec: FIL-024, FIL-031, FIL-033, FIL-042, FIL-043
    """
    return _frames(io.BytesIO(data), name, max_pixels, allow_truncated)


def read_bytes(path: PathLike) -> bytes:
    """Return the bytes of a photo file, whatever it holds.

    Raises:
        PhotoError: in one line, if it is missing, no regular file, or cannot be read.

    Spec: FIL-007
    """
    with regular_file(path) as file:
        return file.read()


def output_suffix(path: PathLike) -> str:
    """Return the suffix, such as ".jpg", under which a color version of a photo file is written.

    It reads the header only.

    Raises:
        PhotoError: in one line, whatever is wrong with the header.

    Spec: FIL-027
    """
    with regular_file(path) as file, opened(file, path, None) as image:
        header = decoding.read_header(image, file)
    return _suffix(header.kind, header.bits, header.alpha, os.path.splitext(path)[1])


def suffix_for(photo: Photo, own: str = "") -> str:
    """Return the suffix, such as ".jpg", under which a color version of a decoded photo is written.

    Args:
        photo: as it was decoded.
        own: the suffix of its file, kept where it fits the content.

    Spec: FIL-027, FIL-033
    """
    return _suffix(photo.format or "PNG", photo.bits, photo.alpha is not None, own)


def memory_needed(path: PathLike) -> int:
    """Return about how many bytes a photo file takes from reading it to writing it in color, from its header.

    Of several pages or frames a few are held at a time; an animation is held once more as it is written.

    Raises:
        PhotoError: in one line, whatever is wrong with the header.

    Spec: FIL-044
    """
    with regular_file(path) as file, opened(file, path, None) as image:
        w, h = decoding.checked_size(image)
        held = BYTES_PER_PIXEL.get(image.format or "", USUAL_BYTES)
        frames = _count_frames(image, file)
        if frames > 1:
            held *= min(frames, 3)
            held += 0 if image.format == "TIFF" else 8 * frames
        return w * h * held


def count_frames(path: PathLike) -> int:
    """Return how many pages or frames a photo file has, from its headers.

    Raises:
        PhotoError: in one line, whatever is wrong with them.

    Spec: FIL-044, APP-021
    """
    with regular_file(path) as file, opened(file, path, None) as image:
        return _count_frames(image, file)


def _count_frames(image: decoding.Opened, file: io.BufferedIOBase) -> int:
    """Return how many pages or frames there are, as far as the file is whole; the image stays where it is."""
    if image.format == "TIFF":
        place = file.tell()
        count = decoding.count_pages(file)
        file.seek(place)
        return count
    return getattr(image, "n_frames", 1) if image.format in decoding.MOVING else 1


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
    milliseconds = float(image.info.get("duration") or 0)
    if not (math.isfinite(milliseconds) and 0 <= milliseconds <= LONGEST_SHOWN):
        milliseconds = 0.0
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


def _decoded(
    file: io.BufferedIOBase,
    name: PathLike,
    max_pixels: int,
    *,
    number: int = 0,
    truncated: bool = False,
) -> tuple[decoding.Opened, Photo]:
    """Open a file and decode one of its frames."""
    with opened(file, name, max_pixels, truncated=truncated) as image:
        if number:
            image.seek(number)
        photo = to_photo(image, file)
        if image.format == "TIFF" and not number:
            bytes_a_page = 3 * photo.pixels[..., 0].size * photo.pixels.itemsize
            if bytes_a_page * _count_frames(image, file) > LARGEST_TIFF:
                photo = dataclasses.replace(
                    photo, metadata=dataclasses.replace(photo.metadata, big=True)
                )
    return image, dataclasses.replace(photo, truncated=truncated)


def _first(
    file: io.BufferedIOBase, name: PathLike, max_pixels: int, allow_truncated: bool
) -> tuple[decoding.Opened, Photo]:
    """Open a file and decode its first frame, or what there is of it if that is allowed."""
    try:
        return _decoded(file, name, max_pixels)
    except TruncatedError:
        if not allow_truncated:
            raise
    return _decoded(file, name, max_pixels, truncated=True)


def _frames(
    file: io.BufferedIOBase, name: PathLike, max_pixels: int, allow_truncated: bool
) -> Iterator[Photo]:
    # guarded frame by frame: between them the caller runs, whom warnings and limits are to find as they were
    image, photo = _first(file, name, max_pixels, allow_truncated)
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)  # where the decoder goes on
    together = photo.pixels[..., 0].size
    for number in itertools.count(1):
        more, fault = False, None
        if not photo.truncated:
            try:
                more = _goes_on(image, number, name, max_pixels)
            except PhotoError as error:
                fault = error
        if fault and allow_truncated:
            photo, fault = dataclasses.replace(photo, truncated=True), None
        yield photo
        del photo  # else it is held while the next one is decoded
        if fault:
            raise fault
        if not more:
            return
        try:
            with guarded(name, max_pixels):
                check_frames(number + 1, name, max_pixels)
                check_size(image, name, max_pixels, size)
                photo = to_photo(image, file)
        except TruncatedError:
            if not allow_truncated:
                raise
            photo = _decoded(file, name, max_pixels, number=number, truncated=True)[1]
        together += photo.pixels[..., 0].size
        if image.format != "TIFF" and together > max_pixels:
            found = f"{number + 1} frames of {together / 1e6:.6g} megapixels together"
            raise too_large(name, found, max_pixels)


def _goes_on(image: decoding.Opened, number: int, name: PathLike, max_pixels: int) -> bool:
    """Go to a page or frame, and tell whether there is one."""
    with guarded(name, max_pixels):
        if image.format not in decoding.MOVING:
            return False
        try:
            image.seek(number)
        except EOFError:
            return False
        return True
