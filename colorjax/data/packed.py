"""Photos that need no memory: read from their files, or decoded once into a memory-mapped file."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import UInt8

from colorjax.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

DATA, INDEX = "photos.bin", "index.json"
UNFINISHED = ".unfinished-"  # begins the names of packs that are being written


class LazyPhotos(Sequence):
    """Photos that are not in memory, but read each time."""

    def __init__(
        self,
        places: Sequence[Any],
        read: Callable[[Any], UInt8[np.ndarray, "h w 3"]],
        marks: Sequence[bytes],
    ):
        """Store the place of each photo, a function that reads the photo at a place, and a digest of each photo."""
        self.places, self.read, self.marks = places, read, marks

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> UInt8[np.ndarray, "h w 3"]:
        return self.read(self.places[place])

    def subset(self, chosen: Sequence[int]) -> "LazyPhotos":
        """Return some of the photos, in the given order."""
        places, marks = ([of[i] for i in chosen] for of in (self.places, self.marks))
        return LazyPhotos(places, self.read, marks)


@dataclasses.dataclass(frozen=True)
class Note:
    """What became of the files of a pack.

    Attributes:
        kept: The number of the file of each photo.
        gray: The names of photos that were left out because they have no color.
        failed: The numbers of the files that could not be read.
    """

    kept: Sequence[int] = ()
    gray: Sequence[str] = ()
    failed: Sequence[int] = ()


class Pack:
    """A folder that holds the decoded photos of one set of files."""

    def __init__(self, folder: str | os.PathLike, files: Sequence[pathlib.Path], how: str):
        """Choose the place in a folder of packs.

        Args:
            folder: The folder of packs. It gets one folder for each set of files and way of reading them.
            files: The files of the photos. If the size or the time of a file changes, or a missing file appears, the
                set is another one.
            how: The way in which the photos are read.
        """
        digest = hashlib.blake2b(how.encode(), digest_size=16)
        for path in files:
            try:
                status = path.stat()
                state = f"{status.st_size}\0{status.st_mtime_ns}"
            except OSError:  # such as a broken link
                state = "absent"
            digest.update(f"\0{path.absolute()}\0{state}".encode(errors="surrogateescape"))
        self.folder, self.files = pathlib.Path(folder, digest.hexdigest()), len(files)

    def load(self) -> tuple[LazyPhotos, Note] | None:
        """Return the photos and the note, or None if they were not written completely or are damaged."""
        if not all(os.path.isfile(self.folder / name) for name in (DATA, INDEX)):
            return None  # reading a pipe would wait
        try:
            index = json.loads((self.folder / INDEX).read_bytes())
            data = np.memmap(self.folder / DATA, np.uint8, "r")
            note = Note(**index["note"])
            sizes, kept = _integers(index["sizes"], 2), _integers(note.kept, 1)
            failed = _integers(note.failed, 1) if note.failed != [] else []
            marks = [bytes.fromhex(mark) for mark in index["marks"]]
            ends = np.cumsum(3 * sizes.prod(1))
            sound = (
                0 < sizes.min() <= sizes.max() < 2**20  # so that no product overflows
                and ends[-1] == len(data)
                and len(marks) == len(sizes) == len(kept)
                and np.isin([*kept, *failed], np.arange(self.files)).all()
                and all(isinstance(text, str) for text in note.gray)
            )
        except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
            return None
        places = zip([0, *ends.tolist()], *sizes.T.tolist(), strict=False)
        return (LazyPhotos(list(places), partial(_cut, data), marks), note) if sound else None

    @contextlib.contextmanager
    def writer(self) -> Iterator["PackWriter"]:
        """Write the photos again. If writing fails or is killed, `load` returns None.

        What killed writers left in the folder of packs is removed, unless others are writing there.

        Raises:
            OutputError: the folder cannot be written.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with _sharing(self.folder.parent):
                place = pathlib.Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder.parent))
                try:
                    with open(place / DATA, "wb") as file:
                        writer = PackWriter(file)
                        yield writer
                    note = dataclasses.asdict(writer.note)
                    index = {"sizes": writer.sizes, "marks": writer.marks, "note": note}
                    (place / INDEX).write_text(json.dumps(index), encoding="utf-8")
                    shutil.rmtree(self.folder, ignore_errors=True)
                    place.replace(self.folder)
                finally:
                    shutil.rmtree(place, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"{self.folder.parent}: cannot write decoded photos ({error.strerror})"
            ) from None


class PackWriter:
    """Appends photos to a pack. `note` is stored with them."""

    def __init__(self, file):
        self.file, self.sizes, self.marks, self.note = file, [], [], Note()

    def add(self, rgb: UInt8[np.ndarray, "h w 3"], mark: bytes) -> None:
        """Append a photo and its digest."""
        self.file.write(np.ascontiguousarray(rgb).data)
        self.sizes.append(rgb.shape[:2])
        self.marks.append(mark.hex())


@contextlib.contextmanager
def _sharing(folder: pathlib.Path) -> Iterator[None]:
    """Remove what killed writers left in a folder of packs, unless others are writing, and write there in the block.

    All that are writing share a lock, which ends with their process. To remove something, it must be held alone.
    """
    if not fcntl:
        yield
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # others are writing, or the file system has no locks
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(f"{UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_SH)
        yield
    finally:
        os.close(opened)


def _cut(data, place):
    """Return the photo at a place: its first byte, its height and its width."""
    start, h, w = place
    return data[start : start + 3 * h * w].reshape(h, w, 3)


def _integers(values, axes):
    """Return a list of integers, or of pairs of them, as an array."""
    array = np.array(values)
    if array.ndim != axes or array.dtype != np.int64:
        raise ValueError("not integers")
    return array
