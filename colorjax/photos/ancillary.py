"""The chunks of a PNG that a photo needs. Others are hidden from Pillow, which refuses whole files because of them."""

import bisect
import io
import itertools
import zlib
from collections.abc import Iterator
from typing import Any

LONGEST = 1 << 24
"""The most bytes of metadata in one chunk, also after decompression."""

_PIXELS = (b"tRNS", b"fcTL", b"fdAT")  # ancillary by their names, but not metadata
_EXIF = b"Raw profile type exif"
_TEXTS = {b"tEXt": _EXIF, b"zTXt": _EXIF, b"iTXt": b"XML:com.adobe.xmp"}  # keywords that are kept
_SIZES = {b"pHYs": 9, b"acTL": 8, b"iCCP": 0, b"eXIf": 0}  # the least bytes of what is kept besides


def chunks(file: Any) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks of a PNG up to its end: name, place and size of the content. They are not read."""
    place = 8
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        size = int.from_bytes(head[:4], "big")
        yield head[4:], place + 8, size
        place += 12 + size


def without_useless_chunks(file: Any, *, whole: bool) -> Any:
    """Return a PNG without the ancillary chunks that are damaged, too long, repeated, or not looked at.

    Args:
        file: A file, which is read from its start.
        whole: Whether chunks behind the first pixels are looked at, too.

    Returns:
        The same file if it is no PNG or has no such chunks.
    """
    file.seek(0)
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return file
    end = file.seek(0, io.SEEK_END)
    gaps, seen = [], set()
    for name, place, size in chunks(file):
        if place + size + 4 > end or (name == b"IDAT" and not whole):
            break  # a missing end is reported by the decoder
        if name[:1].islower() and name not in _PIXELS:
            kind = _kind(file, name, place, size)
            if kind is None or kind in seen or not _is_intact(file, name, place, size):
                gaps.append((place - 8, place + size + 4))
            seen.add(kind)
    return io.BufferedReader(_Without(file, gaps, end)) if gaps else file


def _kind(file: Any, name: bytes, place: int, size: int) -> bytes | None:
    """Return what an ancillary chunk says, or None if it is not looked at."""
    if name in _TEXTS:
        file.seek(place)
        keyword = file.read(min(size, 80)).partition(b"\0")[0]
        return keyword if keyword == _TEXTS[name] else None
    return name if name in _SIZES else None


def _is_intact(file: Any, name: bytes, place: int, size: int) -> bool:
    """Return whether an ancillary chunk is intact, and not too long."""
    if not _SIZES.get(name, 0) <= size <= LONGEST:
        return False
    file.seek(place)
    content, check = file.read(size), file.read(4)
    if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(check, "big"):
        return False
    rest = content.partition(b"\0")[2]
    if name == b"iTXt":  # a flag and a method, then two more texts
        packed = rest[1:2] + rest[2:].split(b"\0", 2)[-1]
        return rest[:1] == b"\0" or _fits(packed)
    return name not in (b"iCCP", b"zTXt") or _fits(rest)


def _fits(packed: bytes) -> bool:
    """Return whether a method and what it compressed are intact, and not too long."""
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(packed[1:], LONGEST)
    except zlib.error:
        return False
    return packed[:1] == b"\0" and not inflater.unconsumed_tail


class _Without(io.RawIOBase):
    """A file without some of its bytes, for reading."""

    def __init__(self, file: Any, gaps: list[tuple[int, int]], end: int) -> None:
        self.file, self.place = file, 0
        self.starts = [0, *(stop for _, stop in gaps)]
        stops = [*(start for start, _ in gaps), end]
        sizes = (stop - start for start, stop in zip(self.starts, stops, strict=True))
        self.firsts = list(itertools.accumulate(sizes, initial=0))  # where each part begins here

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.firsts[-1]}[whence]
        self.place = max(0, start + offset)
        return self.place

    def readinto(self, buffer: Any) -> int:
        part = bisect.bisect_right(self.firsts, self.place) - 1
        if part == len(self.starts):
            return 0
        self.file.seek(self.starts[part] + self.place - self.firsts[part])
        found = self.file.read(min(len(buffer), self.firsts[part + 1] - self.place))
        buffer[: len(found)] = found
        self.place += len(found)
        return len(found)
