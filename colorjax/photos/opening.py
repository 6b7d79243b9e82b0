"""Opening photo files. All faults become a `PhotoError`."""

import contextlib
import ctypes
import functools
import io
import logging
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator

from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from colorjax.errors import ColorjaxError, PhotoError, TooLargeError, TruncatedError, in_one_line
from colorjax.photos import ancillary, formats, headers, parts

MAX_PIXELS = 400_000_000
"""The default limit on the pixels of a photo, checked from its header. The other limits are derived from it."""

PIXELS_PER_BYTE = 2_000
"""Pixels that a file may hold per byte, beyond 1/20 of the limit. Deflate compresses 1,032 bytes to one."""

MOST_PARTS = 40_000
"""The most chunks, blocks, segments or boxes of a file (`parts.count_parts`)."""

LARGEST_WHOLE = 1 << 30
"""The most bytes of a WebP, AVIF or HEIC, which decoders read as a whole."""

PathLike = str | os.PathLike[str]


def photo_error(place: object, found: str, expected: str) -> PhotoError:
    """Return an error that describes in one line what is wrong with a photo."""
    return PhotoError(f"{in_one_line(place)}: {in_one_line(found)[:160]}; expected {expected}")


@contextlib.contextmanager
def regular_file(path: PathLike) -> Iterator[io.BufferedIOBase]:
    """Open a file for reading, unless it is a folder, a pipe or a device.

    Raises:
        PhotoError: the file cannot be opened, or reading it fails.
    """
    with _photo_errors(path):
        _check_regular(os.stat(path))  # before opening, which has effects on some devices
        file = open(path, "rb", opener=_open_without_waiting)
    with file:
        with _photo_errors(path):
            _check_regular(os.fstat(file.fileno()))  # it may have been replaced meanwhile
        yield file


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a special file"
        raise formats.UnsupportedError(kind, "a photo file")


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file. If it is a pipe, do not wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def open_photo(
    file: io.BufferedIOBase, name: PathLike, max_pixels: int | None, *, truncated: bool = False
) -> Iterator[headers.Opened]:
    """Open a photo without decoding it. Decoders print nothing while it is open.

    Args:
        file: The file of the photo.
        name: How errors refer to it.
        max_pixels: The most pixels that its header may announce. None allows any number, for reading the header only.
        truncated: Whether the end of the file may be missing.

    Raises:
        PhotoError: anything went wrong before the block ended.
    """
    with decoder_guard(name, max_pixels, truncated=truncated):
        size = file.seek(0, io.SEEK_END)
        if size > LARGEST_WHOLE and headers.is_held_whole(file):
            raise formats.UnsupportedError(
                f"{size} bytes", f"at most {LARGEST_WHOLE} in this format"
            )
        whole = max_pixels is not None
        scans = max(100, (max_pixels or 0) // 1_000_000)
        if parts.count_parts(file, MOST_PARTS, whole=whole, scans=scans) > MOST_PARTS:
            found = f"more than {MOST_PARTS} parts besides pixels"
            raise formats.UnsupportedError(found, f"at most {MOST_PARTS}")
        if whole and parts.count_scans(file, scans) > scans:
            raise _limit_error(name, f"more than {scans} scans", f"at most {scans}")
        image = headers.open_image(ancillary.without_useless_chunks(file, whole=whole))
        check_size(image, name, max_pixels, size)
        yield image


@contextlib.contextmanager
def decoder_guard(
    name: PathLike, max_pixels: int | None, *, truncated: bool = False
) -> Iterator[None]:
    """Silence the decoders, and turn every error in the block into a `PhotoError`.

    Args:
        name: How errors refer to the photo.
        max_pixels: The most pixels that the photo may have. None allows any number.
        truncated: Whether the end of the photo may be missing.

    Raises:
        PhotoError: anything was raised in the block.
    """
    with _photo_errors(name, max_pixels), _quiet(max_pixels, truncated):
        yield


def check_size(
    image: headers.Opened, name: PathLike, max_pixels: int | None, file_size: int
) -> None:
    """Reject an image of more than `max_pixels` pixels, or of far more pixels than so few bytes can hold."""
    w, h = headers.checked_size(image)
    if max_pixels is None:
        return
    if w * h > max_pixels:
        raise too_large(name, f"{w} × {h} = {w * h / 1e6:.6g} megapixels", max_pixels)
    most = most_pixels(max_pixels, file_size)
    if w * h > most:
        found = f"{w} × {h} = {w * h / 1e6:.6g} megapixels in {file_size} bytes"
        raise _limit_error(name, found, f"at most {most / 1e6:.6g} megapixels in so few bytes")


def most_pixels(max_pixels: int, file_size: int) -> int:
    """Return the most pixels of a picture in a file.

    Args:
        max_pixels: The limit for files of any size.
        file_size: The size of the file in bytes.
    """
    return min(max_pixels, max_pixels // 20 + PIXELS_PER_BYTE * file_size)


def check_frames(number: int, name: PathLike, max_pixels: int) -> None:
    """Reject too many frames: more than one for each 10,000 pixels of the limit, and more than 1,000.

    Args:
        number: The number of frames so far.
        name: How errors refer to the photo.
        max_pixels: The limit on pixels.
    """
    most = max(1_000, max_pixels // 10_000)
    if number > most:
        raise _limit_error(name, f"more than {most} frames", f"at most {most}")


def too_large(name: PathLike, found: str, max_pixels: int | None) -> TooLargeError:
    """Return an error that says by how much a photo exceeds the limit on pixels."""
    return _limit_error(name, found, f"at most {(max_pixels or MAX_PIXELS) / 1e6:.6g} megapixels")


def _limit_error(name: PathLike, found: str, expected: str) -> TooLargeError:
    return TooLargeError(str(photo_error(name, found, expected)))


@contextlib.contextmanager
def _photo_errors(name: PathLike, max_pixels: int | None = None) -> Iterator[None]:
    """Turn whatever is raised in the block into a `PhotoError`."""
    try:
        yield
    except ColorjaxError:
        raise
    except formats.TruncatedDataError as error:
        raise _truncated(name, error.found) from error
    except formats.UnsupportedError as error:
        raise photo_error(name, error.found, error.expected) from error
    except FileNotFoundError as error:
        raise photo_error(name, "no such file", "a photo") from error
    except UnidentifiedImageError as error:
        raise photo_error(name, "not a photo", "one of " + ", ".join(formats.SUFFIXES)) from error
    except Image.DecompressionBombError as error:  # Pillow raises it at twice our limit
        raise too_large(name, "far more megapixels", max_pixels) from error
    except MemoryError as error:
        raise photo_error(name, "does not fit in memory", "a smaller photo") from error
    except Exception as error:  # decoders raise anything on damaged data
        if "truncated" in _message(error).lower():
            raise _truncated(name, f"damaged ({error})") from error
        found = getattr(error, "strerror", None) or f"damaged ({_message(error)})"
        raise photo_error(name, found, "a whole photo") from error


def _message(error: Exception) -> str:
    """Return the text of an exception, or else its name."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # even str() of a decoder's exception may fail
        return type(error).__name__


def _truncated(name: PathLike, found: str) -> TruncatedError:
    return TruncatedError(str(photo_error(name, found, "a whole photo")))


@functools.cache
def _set_libtiff_printer() -> Callable[[int | None], int | None]:
    """Return a function that sets libtiff's error handler (None for none) and returns the previous one.

    By default libtiff prints its errors to stderr, which Python cannot intercept.
    """
    try:
        function = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):  # Pillow was built without libtiff, or links it dynamically
        return lambda printer: None
    function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
    return function


class _Quiet:
    """Silences the decoders and lifts Pillow's own limit on pixels while any thread reads a photo.

    These settings hold for the whole process. A counter restores them when the last reader leaves. The setting for
    truncated files also holds for the whole process, so a reader that needs another value waits for the current ones.
    """

    def __init__(self) -> None:
        self.changed, self.readers, self.truncated = threading.Condition(), 0, False
        for library in ("PIL", "tifffile"):
            logging.getLogger(library).addHandler(
                logging.NullHandler()
            )  # else they write to stderr

    @contextlib.contextmanager
    def __call__(self, max_pixels: int | None, truncated: bool) -> Iterator[None]:
        most = max_pixels or MAX_PIXELS
        with self.changed:
            self.changed.wait_for(lambda: not self.readers or self.truncated == truncated)
            if not self.readers:
                self.truncated, self.were = truncated, ImageFile.LOAD_TRUNCATED_IMAGES
                ImageFile.LOAD_TRUNCATED_IMAGES = truncated
                self.limit = Image.MAX_IMAGE_PIXELS
                # a color profile of an ordinary scanner has more than a megabyte
                self.longest = PngImagePlugin.MAX_TEXT_CHUNK
                PngImagePlugin.MAX_TEXT_CHUNK = max(self.longest, ancillary.LONGEST)
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.filterwarnings("ignore", module="PIL|tifffile|pillow_heif")
                self.printer = _set_libtiff_printer()(None)
            self.readers += 1
            # not None, because decoders also check the size of tiles and embedded frames
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or most, most)
        try:
            yield
        finally:
            with self.changed:
                self.readers -= 1
                if not self.readers:
                    self.changed.notify_all()
                    ImageFile.LOAD_TRUNCATED_IMAGES = self.were
                    _set_libtiff_printer()(self.printer)
                    self.filters.__exit__(None, None, None)
                    Image.MAX_IMAGE_PIXELS = self.limit
                    PngImagePlugin.MAX_TEXT_CHUNK = self.longest


_quiet = _Quiet()
