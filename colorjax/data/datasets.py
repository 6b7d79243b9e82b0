"""Sets of photos for training and evaluation."""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int, UInt8

from colorjax import photos
from colorjax.data.packed import LazyPhotos, Note, Pack
from colorjax.errors import NoPhotosError, OutputError, PhotoError
from colorjax.evaluation.metrics import COLORLESS, colorfulness

MEMORY = 0.4  # share of the machine's memory for decoded photos
UNREADABLE = 0.05  # largest share of broken files with which training continues
WIDEST = 3.0  # largest ratio of long to short side of a whole photo

Photos = UInt8[np.ndarray, "_ n n 3"] | Sequence[UInt8[np.ndarray, "_ _ 3"]]


@dataclasses.dataclass(frozen=True)
class PhotoDataset:
    """Color photos, and what was left out.

    Attributes:
        rgb: Levels: an array of squares, or a sequence of whole, packed or streamed photos.
        names: The name of each photo, relative to the place where it was found.
        source: For each photo, the index of the place where it was found.
        gray: The names of photos that were left out because they have no color.
        failures: One line for each file that could not be read, and for each place without photos.
    """

    rgb: Photos
    names: tuple[str, ...]
    source: Int[np.ndarray, " photos"]
    gray: tuple[str, ...]
    failures: tuple[str, ...]


def load_photos(
    places: list[str],
    size: int,
    *,
    framing: str = "squash",
    method: str = "lanczos",
    memory: int | None = None,
    pack: str | os.PathLike | None = None,
    outputs: Sequence[str | os.PathLike] = (),
    progress: Callable[[int, int], None] = lambda read, all: None,
) -> PhotoDataset:
    """Read the color photos of files, folders or `samples`.

    Args:
        places: Files, folders (searched recursively), or `samples`.
        size: n, in pixels.
        framing: "squash" or "crop" to n × n, as for `photos.load_square`. "whole" keeps the aspect ratio, up to 3 : 1,
            with a short side of n.
        method: The filter, "lanczos" or "bicubic".
        memory: The bytes that decoded photos may use before they are streamed. None means a share of the machine's
            memory.
        pack: A folder for the decoded photos. They are memory-mapped and need no memory, and the next call with the
            same files does not decode them again, except for those that could not be read.
        outputs: Folders that are written. When a folder around them is searched, files in them are left out. So are, in
            any folder that is searched, files that colorjax wrote.
        progress: Called after each file with the number of files that were read and that of all files.

    Raises:
        PhotoError: the only place does not exist.
        NoPhotosError: there is no color photo. If several files or places could not be read, each has a line among the
            notes of the error.
        OutputError: the folder of `pack` cannot be written.
    """
    found, failures = _find(places, outputs)
    room = _memory() if memory is None else memory
    if framing == "whole":
        read = functools.partial(photos.load_resized, side=size, widest=WIDEST, method=method)
    else:
        read = functools.partial(photos.load_square, size=size, framing=framing, method=method)

    def look(path) -> tuple[np.ndarray | None, bytes] | PhotoError:
        """Read a photo: its pixels, or None if it has no color, and their digest."""
        try:
            rgb = read(path)
        except PhotoError as error:
            return error
        colored = colorfulness(rgb) >= COLORLESS
        return (rgb if colored else None), _photo_digest(rgb)

    packed = None
    if pack is not None:
        packed = Pack(pack, [path for _, path, _ in found], f"{framing} {size} {method}")
        if known := packed.load():
            rgb, note = known
            again = [look(found[i][1]) for i in note.failed]
            if all(isinstance(what, PhotoError) for what in again):
                progress(len(found), len(found))
                failures += map(str, again)
                return _dataset(rgb, [found[i] for i in note.kept], note.gray, failures)

    kept, pixels, marks, gray, failed = [], [], [], [], []
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(packed.writer()) if packed else None
        # Pillow releases the interpreter lock while it works; of two threads per core, one often waits for it
        pool = ThreadPoolExecutor(2 * (os.cpu_count() or 1))
        stack.callback(pool.shutdown, cancel_futures=True)
        looks = pool.map(look, [path for _, path, _ in found])
        for i, (photo, what) in enumerate(zip(found, looks, strict=True)):
            progress(i + 1, len(found))
            if isinstance(what, PhotoError):
                failed.append(i)
                failures.append(str(what))
            elif what[0] is None:
                gray.append(photo[2])
            else:
                kept.append(i)
                marks.append(what[1])
                room -= what[0].nbytes
                if writer:
                    writer.add(what[0], what[1])
                elif room >= 0:
                    pixels.append(what[0])
                else:
                    pixels.clear()
        if writer:
            writer.note = Note(kept, gray, failed)
    if not kept:
        where = ", ".join(map(str, places))
        text = f"{where}: no color photos ({len(gray)} gray, {len(failures)} unreadable)"
        if len(failures) == 1:
            raise NoPhotosError(f"{text}; {failures[0]}")
        error = NoPhotosError(text)
        for failure in failures:
            error.add_note(failure)
        raise error
    chosen = [found[i] for i in kept]
    if packed:
        rgb, _ = packed.load() or _raise_missing(packed)
    elif room < 0:
        rgb = LazyPhotos([path for _, path, _ in chosen], read, marks)
    else:
        rgb = pixels if framing == "whole" else np.stack(pixels)
    return _dataset(rgb, chosen, gray, failures)


def _find(
    places: Sequence[str], outputs: Sequence[str | os.PathLike]
) -> tuple[list[tuple[int, pathlib.Path, str]], list[str]]:
    """Return each photo with the index of its place, and one line for each place or folder that cannot be searched."""
    found, failures = [], []
    for i, place in enumerate(places):
        try:
            there = photos.find_photos([place], on_error=lambda error: failures.append(str(error)))
        except NoPhotosError as error:
            if len(places) == 1:
                raise
            failures.append(str(error))
        else:
            found += [(i, *photo) for photo in photos.without_outputs(there, place, outputs)]
    if not found and len(failures) == 1:
        raise PhotoError(failures[0])
    return found, failures


def _dataset(rgb, kept, gray, failures) -> PhotoDataset:
    return PhotoDataset(
        rgb=rgb,
        names=tuple(name for _, _, name in kept),
        source=np.array([i for i, _, _ in kept]),
        gray=tuple(gray),
        failures=tuple(failures),
    )


def _raise_missing(pack: Pack):
    raise OutputError(f"{pack.folder}: the decoded photos that were written here are missing")


def _memory() -> int:
    """Return how many bytes photos may use."""
    if not hasattr(os, "sysconf"):
        return 4 << 30
    return int(MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def check_readable(found: PhotoDataset) -> None:
    """Check that most files of a set could be read.

    Raises:
        PhotoError: more than 5 % of the files could not be read.
    """
    broken, files = len(found.failures), len(found.names) + len(found.gray) + len(found.failures)
    if broken > UNREADABLE * files:
        raise PhotoError(
            f"{broken} of {files} files cannot be read, more than {100 * UNREADABLE:g} %; they are listed above"
        )


def subset(rgb: Photos, places: Int[np.ndarray, " chosen"]) -> Photos:
    """Return some of the photos, in the given order."""
    if isinstance(rgb, np.ndarray):
        return rgb[places]
    chosen = places.tolist()
    return rgb.subset(chosen) if isinstance(rgb, LazyPhotos) else [rgb[i] for i in chosen]


def digest(rgb: Photos) -> str:
    """Return 32 hexadecimal digits that identify these photos in this order."""
    total = hashlib.blake2b(digest_size=16)
    for mark in rgb.marks if isinstance(rgb, LazyPhotos) else map(_photo_digest, rgb):
        total.update(mark)
    return total.hexdigest()


def _photo_digest(rgb) -> bytes:
    """Return 16 bytes that identify a photo."""
    return hashlib.blake2b(np.ascontiguousarray(rgb).data, digest_size=16).digest()


def cut_square(
    rgb: UInt8[np.ndarray, "h w 3"], size: int, *, place: float = 0.5
) -> UInt8[np.ndarray, "size size 3"]:
    """Cut a square out of a photo.

    Args:
        rgb: A photo whose short side is at least `size`.
        size: The side of the square.
        place: The position along each side, from 0 (left, top) to 1 (right, bottom).
    """
    h, w, _ = rgb.shape
    top, left = (min(int(place * (side - size + 1)), side - size) for side in (h, w))
    return rgb[top : top + size, left : left + size]


def center_squares(rgb: Photos, size: int) -> UInt8[np.ndarray, "photos size size 3"]:
    """Return the center square of each photo."""
    if isinstance(rgb, np.ndarray):
        return rgb
    squares = np.zeros((len(rgb), size, size, 3), np.uint8)
    for i, photo in enumerate(rgb):
        squares[i] = cut_square(photo, size)
    return squares
