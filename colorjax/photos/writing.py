"""Writing photo files. A file is written completely or not at all, and existing files are safe."""

import contextlib
import hashlib
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from colorjax.errors import ColorjaxError, ConfigError, ExistsError, OutputError, in_one_line
from colorjax.photos import encoding, formats
from colorjax.photos.formats import SUFFIXES
from colorjax.photos.opening import PathLike
from colorjax.photos.photo import Photo, Pixels

try:
    import fcntl
except ImportError:  # not on Windows, where an open file cannot be removed
    fcntl = None

_KIND = {
    suffix: kind for kind, suffixes in SUFFIXES.items() if kind != "GIF" for suffix in suffixes
}
LONGEST_NAME = 255  # bytes, on the usual file systems
_TEMPORARY = re.compile(r"\.colorjax-[0-9a-f]{16}\.tmp")


def format_of(path: PathLike) -> str:
    """Return the format, a key of `SUFFIXES`, in which a file of that name is written.

    Raises:
        OutputError: the suffix is unknown.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _KIND:
        raise OutputError(
            f"{in_one_line(path)}: cannot write {suffix or 'no suffix'}; expected {' '.join(_KIND)}"
        )
    return _KIND[suffix]


def shorten_name(stem: str, ending: str) -> str:
    """Return a file name of at most 255 bytes. The end of a stem that is too long is replaced by a hash.

    Args:
        stem: A stem of any length.
        ending: The ending, which is always kept.
    """
    room = LONGEST_NAME - len(os.fsencode(ending))
    if len(os.fsencode(stem)) <= room:
        return stem + ending
    mark = "~" + hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]
    short = stem
    while len(os.fsencode(short)) > room - len(mark):
        short = short[:-1]
    return short + mark + ending


def write_photo(
    path: PathLike,
    photo: Photo | Pixels | Iterable[Photo],
    *,
    quality: int = 95,
    overwrite: bool = False,
) -> None:
    """Write a photo in the format of the path's suffix, completely or not at all.

    Args:
        path: The new file. Its folder exists.
        photo: A photo, only its pixels, or several photos: the pages or frames of one file.
        quality: The quality of lossy formats, 1 to 100. WebP is lossless at 100.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: the suffix is unknown, or the file exists or cannot be written.
        ConfigError: the quality is out of range.
    """
    kind = format_of(path)
    _check_quality(quality)

    def write(file: io.BufferedIOBase) -> None:
        try:
            if isinstance(photo, Photo | np.ndarray):
                file.write(encode_photo(photo, kind, quality=quality))
            else:
                write_frames(file, photo, kind, quality=quality)
        except OutputError as error:
            raise OutputError(f"{in_one_line(path)}: {error}") from error

    _write_file(path, write, overwrite=overwrite)


def encode_photo(photo: Photo | Pixels, format: str, *, quality: int = 95) -> bytes:
    """Encode a photo in memory.

    Args:
        photo: A photo, or only its pixels. 16 bits, alpha and metadata are dropped where the format does not support
            them.
        format: A key of `SUFFIXES`, except "GIF".
        quality: The quality of lossy formats, 1 to 100. Chroma is not subsampled if the format allows that.

    Raises:
        ConfigError: the quality is out of range.
        OutputError: the format is not available here, or cannot hold the photo.
    """
    photo = photo if isinstance(photo, Photo) else Photo(photo)
    return _encode(
        encoding.encode, photo.pixels, photo.alpha, format, _check_quality(quality), photo.metadata
    )


def encode_frames(photos: Iterable[Photo], format: str, *, quality: int = 95) -> bytes:
    """Encode photos as the pages or frames of one file. A single photo is encoded as by `encode_photo`.

    Args:
        photos: At least one photo. They are taken one by one. The metadata and the number of plays of the first one
            count for all.
        format: "TIFF", or "PNG", "WEBP" or "AVIF" for an animation of frames of one size.
        quality: As for `encode_photo`.

    Raises:
        ConfigError: the quality is out of range.
        OutputError: the format holds one photo only, or cannot hold these.
        PhotoError: the iterator of photos raised it.
    """
    file = io.BytesIO()
    write_frames(file, photos, format, quality=quality)
    return file.getvalue()


def write_frames(
    file: io.BufferedIOBase, photos: Iterable[Photo], format: str, *, quality: int = 95
) -> None:
    """Write the result of `encode_frames` to an open file.

    Args:
        file: A new file, open for reading and writing.
        photos: The photos. Pages and frames are written as they come.
        format: As for `encode_frames`.
        quality: As for `encode_photo`.

    Raises:
        ConfigError: as for `encode_frames`.
        OutputError: as for `encode_frames`.
        OSError: the file cannot be written.
    """
    _check_quality(quality)
    photos = iter(photos)
    first = next(photos)
    second = next(photos, None)
    if second is None:
        file.write(encode_photo(first, format, quality=quality))
        return
    metadata, plays = first.metadata, first.plays
    both = [first, second]
    del first, second
    frames = _drain(both, photos)
    if format == "TIFF":
        pages = ((page.pixels, page.alpha) for page in frames)
        _encode(encoding.encode_pages, pages, format, file, metadata)
        return
    shown = ((frame.pixels, frame.alpha, frame.milliseconds) for frame in frames)
    _encode(encoding.encode_animation, shown, plays, format, quality, metadata, file)


def _drain(first: list[Photo], rest: Iterator[Photo]) -> Iterator[Photo]:
    """Yield photos without keeping a reference to them."""
    while first:
        yield first.pop(0)
    yield from rest


def _check_quality(quality: int) -> int:
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality {quality}; expected 1 to 100")
    return quality


def _encode(encoder: Callable[..., Any], *arguments: Any) -> Any:
    """Call an encoder, and turn whatever goes wrong into an `OutputError`."""
    try:
        return encoder(*arguments)
    except ColorjaxError:  # raised by a photo that is decoded while others are encoded
        raise
    except formats.UnsupportedError as error:
        raise OutputError(f"cannot write {error.found}; expected {error.expected}") from error
    except MemoryError as error:
        raise OutputError("does not fit in memory; expected a smaller photo") from error
    except Exception as error:  # such as a side longer than the format allows
        if isinstance(error, OSError) and error.errno:
            raise  # an error of the disk
        kind = next(each for each in arguments if isinstance(each, str))
        raise OutputError(
            f"cannot write {kind} ({in_one_line(error)[:160]}); expected another format"
        ) from error


def write_bytes(path: PathLike, data: bytes, *, overwrite: bool = False) -> None:
    """Write a file under a temporary name in the same folder, flush it to disk, and rename it.

    If two writers create the same new file without `overwrite`, the second one raises, whatever the timing.

    Raises:
        OutputError: the file exists and `overwrite` is false, or it cannot be written, or the path names a folder, a
            pipe or a device.
    """
    _write_file(path, lambda file: file.write(data), overwrite=overwrite)


def _write_file(
    path: PathLike, write: Callable[[io.BufferedIOBase], object], *, overwrite: bool
) -> None:
    """Do what `write_bytes` does, with a function that writes the content."""
    _check_target(path, overwrite)
    # named before it exists, so that whatever interrupts the writing, it is removed
    temporary = os.path.join(os.path.dirname(path), f".colorjax-{secrets.token_hex(8)}.tmp")
    try:
        with _open_locked(temporary) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if fcntl:
                _rename(temporary, path, overwrite)
        if not fcntl:  # Windows renames closed files only
            _rename(temporary, path, overwrite)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def remove_temporaries(folder: PathLike) -> None:
    """Remove the temporary files that killed writers left in a folder, "" for the current one.

    Files that are being written stay.
    """
    if not fcntl:
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(folder or "."):
            path = os.path.join(folder, name)
            if _TEMPORARY.fullmatch(name):
                with (
                    contextlib.suppress(OSError),
                    open(path, "rb", opener=_open_without_waiting) as file,
                ):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        os.unlink(path)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file without following links, and without waiting if it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


@contextlib.contextmanager
def _open_locked(name: str) -> Iterator[io.BufferedIOBase]:
    """Create a file and lock it. `remove_temporaries` leaves it alone while it is open or its process lives."""
    while True:
        with open(name, "x+b") as file:
            if fcntl:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)
                if not os.fstat(file.fileno()).st_nlink:
                    continue  # it was removed before it was locked
            yield file
            return


def place_file(temporary: PathLike, path: PathLike, *, overwrite: bool = False) -> None:
    """Give a finished file its final name, if that is free or may be overwritten.

    Args:
        temporary: The finished file, on the same file system. It may keep this name, too.
        path: The final name.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: as for `write_bytes`.
    """
    _check_target(path, overwrite)
    try:
        _rename(temporary, path, overwrite)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: PathLike, error: OSError) -> OutputError:
    found = f"cannot be written ({error.strerror or error})"
    return OutputError(f"{in_one_line(path)}: {found}; expected a writable place")


def _check_target(path: PathLike, overwrite: bool) -> None:
    if overwrite:
        check_replaceable(path)
    else:
        _check_free(path)


def _rename(temporary: PathLike, path: PathLike, overwrite: bool) -> None:
    """Give a file its name. Raise FileExistsError if the name is taken and must not be overwritten."""
    if not overwrite:
        try:
            os.link(temporary, path)  # unlike renaming, this never replaces a file
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            _check_free(path)
    os.replace(temporary, path)


def check_replaceable(path: PathLike) -> None:
    """Check that a path does not name a folder, a pipe or a device, which a file must not replace.

    Raises:
        OutputError: it names one of these.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "a special file"
        raise OutputError(f"{in_one_line(path)}: {found}; expected a file or a new name")


def _check_free(path: PathLike) -> None:
    if os.path.lexists(path):
        raise _exists(path)


def _exists(path: PathLike) -> ExistsError:
    expected = "a new name or permission to overwrite"
    return ExistsError(f"{in_one_line(path)}: already exists; expected {expected}")
