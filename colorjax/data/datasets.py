"""Which photos teach, which validate, and in what order."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int, UInt8

from colorjax import photos
from colorjax.errors import NoPhotosError, PhotoError
from colorjax.evaluation.metrics import COLORLESS, colorfulness

MEMORY = 0.4  # share of the machine's memory that decoded photos may take
UNREADABLE = 0.05  # share of broken files that a training does not go on with
WIDEST = 3.0  # long over short side of a photo kept whole

Photos = UInt8[np.ndarray, "_ n n 3"] | Sequence[UInt8[np.ndarray, "_ _ 3"]]


class StreamedPhotos(Sequence):
    """Photos that are read from their files each time: more than memory holds."""

    def __init__(
        self,
        paths: Sequence[str | os.PathLike],
        read: Callable[[str | os.PathLike], UInt8[np.ndarray, "h w 3"]],
        marks: Sequence[bytes],
    ):
        """Keep the paths, how to read them, and for each a digest of what was read first."""
        self.paths, self.read, self.marks = paths, read, marks

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> UInt8[np.ndarray, "h w 3"]:
        return self.read(self.paths[place])


@dataclasses.dataclass(frozen=True)
class PhotoDataset:
    """Color photos, and what was left out.

    Attributes:
        rgb: levels: an array of squares, or a sequence of photos kept whole or streamed.
        names: one a photo, relative to the place it was found in.
        source: for each photo, which of the places it was found in.
        gray: names of the photos left out because they have no color.
        failures: one line for each file that could not be read.
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
) -> PhotoDataset:
    """Read the color photos of files, folders or `samples`.

    Args:
        places: files, folders (searched recursively), or `samples`.
        size: n, in pixels.
        framing: `squash` or `crop` to n × n, as in `photos.load_square`; `whole` keeps the aspect, up to 3 : 1, at a
            short side of n.
        method: `lanczos` or `bicubic`, likewise.
        memory: bytes that decoded photos may take before they are streamed; None for a share of the machine's.

    Raises:
        PhotoError: a place does not exist.
        NoPhotosError: no color photo is among them.
    """
    found = [(i, *photo) for i, place in enumerate(places) for photo in photos.find_photos([place])]
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
        return (rgb if colored else None), _mark(rgb)

    kept, pixels, marks, gray, failures = [], [], [], [], []
    # Pillow lets go of the interpreter while it works; two threads a core, as one often waits for it
    pool = ThreadPoolExecutor(2 * (os.cpu_count() or 1))
    try:
        looks = pool.map(look, [path for _, path, _ in found])
        for photo, what in zip(found, looks, strict=True):
            if isinstance(what, PhotoError):
                failures.append(str(what))
            elif what[0] is None:
                gray.append(photo[2])
            else:
                room -= what[0].nbytes
                if room >= 0:
                    pixels.append(what[0])
                else:
                    pixels.clear()
                kept.append(photo)
                marks.append(what[1])
    finally:
        pool.shutdown(cancel_futures=True)
    if not kept:
        left_out = f"{len(gray)} gray, {len(failures)} unreadable"
        first = f"; {failures[0]}" if failures else ""
        where = ", ".join(map(str, places))
        raise NoPhotosError(f"{where}: no color photo there ({left_out}){first}")
    if room < 0:
        rgb = StreamedPhotos([path for _, path, _ in kept], read, marks)
    else:
        rgb = pixels if framing == "whole" else np.stack(pixels)
    return PhotoDataset(
        rgb=rgb,
        names=tuple(name for _, _, name in kept),
        source=np.array([i for i, _, _ in kept]),
        gray=tuple(gray),
        failures=tuple(failures),
    )


def _memory() -> int:
    """Return how many bytes photos may take."""
    if not hasattr(os, "sysconf"):
        return 4 << 30
    return int(MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def check_readable(found: PhotoDataset) -> None:
    """Refuse a set of which too many files are broken.

    Raises:
        PhotoError: more than 5 % of the files could not be read.
    """
    broken, files = len(found.failures), len(found.names) + len(found.gray) + len(found.failures)
    if broken > UNREADABLE * files:
        raise PhotoError(
            f"{broken} of {files} files cannot be read, more than {100 * UNREADABLE:g} %: they are named above"
        )


def subset(rgb: Photos, places: Int[np.ndarray, " chosen"]) -> Photos:
    """Return some of the photos, in the order asked for."""
    if isinstance(rgb, np.ndarray):
        return rgb[places]
    if isinstance(rgb, StreamedPhotos):
        paths, marks = ([of[i] for i in places.tolist()] for of in (rgb.paths, rgb.marks))
        return StreamedPhotos(paths, rgb.read, marks)
    return [rgb[i] for i in places.tolist()]


def digest(rgb: Photos) -> str:
    """Return 32 hexadecimal digits that tell these photos, in this order, from others."""
    total = hashlib.blake2b(digest_size=16)
    if isinstance(rgb, StreamedPhotos):
        marks = rgb.marks
    else:
        marks = map(_mark, rgb)
    for mark in marks:
        total.update(mark)
    return total.hexdigest()


def _mark(rgb) -> bytes:
    """Return 16 bytes that tell one photo from another."""
    return hashlib.blake2b(np.ascontiguousarray(rgb).data, digest_size=16).digest()


def cut_square(
    rgb: UInt8[np.ndarray, "h w 3"], size: int, *, place: float = 0.5
) -> UInt8[np.ndarray, "size size 3"]:
    """Cut a square out of a photo.

    Args:
        rgb: a photo whose short side is at least `size`.
        size: of the square.
        place: where along each side, from 0 (left, top) to 1 (right, bottom).
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
