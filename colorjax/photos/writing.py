"""Photos to files: whole or not at all, and never over each other."""

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

from colorjax.errors import ColorjaxError, ConfigError, OutputError, in_one_line
from colorjax.photos import encoding, formats
from colorjax.photos.formats import SUFFIXES
from colorjax.photos.opening import PathLike
from colorjax.photos.photo import Photo, Pixels

try:
    import fcntl
except ImportError:  # not on Windows, where nobody can remove an open file
    fcntl = None

_KIND = {
    suffix: kind for kind, suffixes in SUFFIXES.items() if kind != "GIF" for suffix in suffixes
}
LONGEST_NAME = 255  # bytes of a file's name on the usual file systems
_TEMPORARY = re.compile(r"\.colorjax-[0-9a-f]{16}\.tmp")


def format_of(path: PathLike) -> str:
    """Return the format, a key of `SUFFIXES`, in which a file of that name is written.

    Raises:
        OutputError: in one line, if the suffix is unknown.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _KIND:
        raise OutputError(
            f"{in_one_line(path)}: cannot write {suffix or 'no suffix'}; expected {' '.join(_KIND)}"
        )
    return _KIND[suffix]


def shorten_name(stem: str, ending: str) -> str:
    """Return a file's name; of a stem too long the end becomes a hash, so that long names stay apart.

    Args:
        stem: of any length.
        ending: kept whole.
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
    """Write a photo in the format of the path's suffix, whole or not at all.

    Args:
        path: the new file; its folder exists.
        photo: a photo, only its pixels, or several: the pages or frames of one file.
        quality: of the lossy formats, 1 to 100; at 100 WebP is lossless.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: in one line, if the suffix is unknown, the file exists or cannot be written.
        ConfigError: on a quality out of range.
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
        photo: a photo, or only its pixels; 16 bits, alpha and metadata are dropped where the format has none.
        format: a key of `SUFFIXES`, except "GIF".
        quality: of the lossy formats, 1 to 100; chroma is not subsampled where the format can do without.

    Raises:
        ConfigError: on a quality out of range.
        OutputError: if the format cannot be written here or cannot hold the photo.
    """
    photo = photo if isinstance(photo, Photo) else Photo(photo)
    return _encode(
        encoding.encode, photo.pixels, photo.alpha, format, _check_quality(quality), photo.metadata
    )


def encode_frames(photos: Iterable[Photo], format: str, *, quality: int = 95) -> bytes:
    """Encode photos as the pages or frames of one file; one photo alone as `encode_photo` does.

    Args:
        photos: at least one; taken one by one for TIFF, all at once for an animation. What the first carries along, and
            its number of plays, count for all.
        format: "TIFF", or "PNG", "WEBP" or "AVIF" for an animation of frames of one size.
        quality: as for `encode_photo`.

    Raises:
        ConfigError: on a quality out of range.
        OutputError: if the format holds one photo only, or cannot hold these.
        PhotoError: what an iterator of photos raises.
    """
    file = io.BytesIO()
    write_frames(file, photos, format, quality=quality)
    return file.getvalue()


def write_frames(
    file: io.BufferedIOBase, photos: Iterable[Photo], format: str, *, quality: int = 95
) -> None:
    """Write what `encode_frames` gives into an open file.

    Args:
        file: new, to be read and written.
        photos: pages of a TIFF are written as they come.
        format: as for `encode_frames`.
        quality: as for `encode_photo`.

    Raises:
        ConfigError: as `encode_frames`.
        OutputError: as `encode_frames`.
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
    file.write(_encode(encoding.encode_animation, shown, plays, format, quality, metadata))


def _drain(first: list[Photo], rest: Iterator[Photo]) -> Iterator[Photo]:
    """Yield photos, and keep none that was yielded."""
    while first:
        yield first.pop(0)
    yield from rest


def _check_quality(quality: int) -> int:
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality {quality}; expected 1 to 100")
    return quality


def _encode(encoder: Callable[..., Any], *arguments: Any) -> Any:
    """Encode, and turn whatever goes wrong into `OutputError`."""
    try:
        return encoder(*arguments)
    except ColorjaxError:  # of a photo that is decoded while others are encoded
        raise
    except formats.UnsupportedError as error:
        raise OutputError(f"cannot write {error.found}; expected {error.expected}") from error
    except MemoryError as error:
        raise OutputError("too large for the memory here; expected a smaller photo") from error
    except Exception as error:  # such as a side longer than the format allows
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        kind = next(each for each in arguments if isinstance(each, str))
        raise OutputError(
            f"cannot write {kind} ({in_one_line(error)[:160]}); expected another format"
        ) from error


def write_bytes(path: PathLike, data: bytes, *, overwrite: bool = False) -> None:
    """Write a file under a temporary name in its folder, flush it to disk, and give it its name.

    Of two writers of a new name without `overwrite` the second raises, whatever the moment.

    Raises:
        OutputError: in one line, if the file exists (and not `overwrite`) or cannot be written.
    """
    _write_file(path, lambda file: file.write(data), overwrite=overwrite)


def _write_file(
    path: PathLike, write: Callable[[io.BufferedIOBase], object], *, overwrite: bool
) -> None:
    """Do what `write_bytes` says, with a function that writes the content."""
    if not overwrite:
        _check_free(path)
    temporary = None
    try:
        temporary, opened = _open_temporary(os.path.dirname(path))
        with opened as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if fcntl:
                _rename(temporary, path, overwrite)
        if not fcntl:  # Windows names closed files only
            _rename(temporary, path, overwrite)
    except FileExistsError:
        _check_free(path)
    except OSError as error:
        found = f"cannot be written ({error.strerror or error})"
        raise OutputError(f"{in_one_line(path)}: {found}; expected a place to write to") from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def remove_temporaries(folder: PathLike) -> None:
    """Remove what killed writers left in a folder; what is being written, or cannot be removed, stays."""
    if not fcntl:
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
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
    """Open a file, also a pipe that nobody writes to, without waiting, and no link."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _open_temporary(folder: str) -> tuple[str, io.BufferedIOBase]:
    """Open a new file that is locked while it is open or its process lives; `remove_temporaries` leaves it alone."""
    while True:
        name = os.path.join(folder, f".colorjax-{secrets.token_hex(8)}.tmp")
        file = open(name, "x+b")  # the caller closes it
        if not fcntl:
            return name, file
        with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return name, file
        file.close()  # swept before it was locked


def _rename(temporary: str, path: PathLike, overwrite: bool) -> None:
    """Give a file its name; FileExistsError if that is taken and not to be overwritten."""
    if not overwrite:
        try:
            os.link(temporary, path)  # unlike renaming, it replaces nothing
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            _check_free(path)
    os.replace(temporary, path)


def _check_free(path: PathLike) -> None:
    if os.path.lexists(path):
        raise OutputError(
            f"{in_one_line(path)}: exists; expected a new name, or leave to overwrite"
        )
