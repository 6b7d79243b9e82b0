"""Decoded photos in one memory-mapped file. They are decoded only once, and need no memory."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from colorjax.errors import OutputError

DATA, INDEX = "photos.bin", "index.json"


class PackedPhotos(Sequence):
    """Photos in a memory-mapped file."""

    def __init__(
        self,
        data: UInt8[np.ndarray, " bytes"],
        places: Sequence[tuple[int, int, int]],
        marks: Sequence[bytes],
    ):
        """Store the bytes of all photos, the start, height and width of each, and a digest of each."""
        self.data, self.places, self.marks = data, places, marks

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> UInt8[np.ndarray, "h w 3"]:
        start, h, w = self.places[place]
        return self.data[start : start + 3 * h * w].reshape(h, w, 3)


class Pack:
    """A folder that holds the decoded photos of one set of files."""

    def __init__(self, folder: str | os.PathLike, files: Sequence[pathlib.Path], how: str):
        """Choose the place in a folder of packs.

        Args:
            folder: The folder of packs. It gets one folder for each set of files and way of reading them.
            files: The files of the photos. If the size or the time of a file changes, the set is another one.
            how: The way in which the photos are read.
        """
        digest = hashlib.blake2b(how.encode(), digest_size=16)
        for path in files:
            status = path.stat()
            digest.update(
                f"\0{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}".encode(
                    errors="surrogateescape"
                )
            )
        self.folder = pathlib.Path(folder, digest.hexdigest())

    def load(self) -> tuple[PackedPhotos, dict] | None:
        """Return the photos and their note, or None if they were not written completely."""
        try:
            index = json.loads((self.folder / INDEX).read_bytes())
            data = np.memmap(self.folder / DATA, np.uint8, "r")
            places = [(start, h, w) for start, h, w in index["places"]]
            marks = [bytes.fromhex(mark) for mark in index["marks"]]
            start, h, w = places[-1]
            whole = len(data) == start + 3 * h * w and len(marks) == len(places)
        except (OSError, ValueError, TypeError, LookupError):
            return None
        return (PackedPhotos(data, places, marks), index["note"]) if whole else None

    @contextlib.contextmanager
    def writer(self) -> Iterator["PackWriter"]:
        """Write the photos again. If writing fails or is killed, `load` returns None.

        Raises:
            OutputError: the folder cannot be written.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            place = pathlib.Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder.parent))
            try:
                with open(place / DATA, "wb") as file:
                    writer = PackWriter(file)
                    yield writer
                index = {"places": writer.places, "marks": writer.marks, "note": writer.note}
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
        self.file, self.places, self.marks, self.note = file, [], [], {}
        self.end = 0

    def add(self, rgb: UInt8[np.ndarray, "h w 3"], mark: bytes) -> None:
        """Append a photo and its digest."""
        self.file.write(np.ascontiguousarray(rgb).data)
        self.places.append((self.end, *rgb.shape[:2]))
        self.marks.append(mark.hex())
        self.end += rgb.nbytes
