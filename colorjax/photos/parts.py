"""The number of parts of a photo file: what a decoder reads one by one, counted without decoding."""

import io
import re
import struct
from collections.abc import Iterator
from typing import Any

from colorjax.photos.ancillary import chunks

MOST_PAGES = 200_000
"""Pages are counted up to this number. Frames beyond it count as parts."""

SMALL_PIECE = 100
"""Pieces of pixels of fewer bytes count as parts, except one for each frame."""

EXIF_PARTS = 200
"""The parts as which a segment of EXIF counts."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}  # bytes of the types of TIFF and BigTIFF
_ALONE = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # bytes after 0xFF that do not begin a segment
_PIXELS = (b"IDAT", b"fdAT")  # the chunks of a PNG of which large photos and animations have many
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.S)


def count_scans(file: Any, most: int) -> int:
    """Count the scans of a JPEG (ITU-T T.81, annex B).

    Args:
        file: The file, which is read from its start.
        most: Counting stops above this number.

    Returns:
        The number of scans, at most `most` + 1. It is 0 for files that are not JPEGs.
    """
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return 0
    scans, place = 0, 2
    while scans <= most:
        file.seek(place)
        mark = file.read(4)
        if len(mark) < 4 or mark[:2] == b"\xff\xd9":
            break
        if mark[0] != 0xFF or mark[1] in _ALONE:
            place = _next_marker(file, place + 1)
            continue
        scans += mark[1] == 0xDA
        place += 2 + int.from_bytes(mark[2:], "big")
    return scans


def count_parts(file: Any, most: int, *, whole: bool, scans: int = 100) -> int:
    """Count the parts of a file that are read one by one, whatever their size.

    They are chunks of a PNG or WebP, blocks of a GIF, segments of a JPEG, boxes of a JPEG 2000 file before its
    codestream, and entries in the directory of a TIFF that has the most. Pixels and frames do not count, but small
    pieces of pixels do. Large parts, which decoders hold in memory, count more than once. A segment of EXIF counts as
    `EXIF_PARTS`, because Pillow copies all earlier ones.

    Args:
        file: The file, which is read from its start.
        most: Counting stops above this number.
        whole: Whether to count what is behind the first pixels of a PNG or JPEG, too.
        scans: Counting stops behind this many scans of a JPEG. `count_scans` tells whether there are more.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        parts = _chunks(file, end, whole)
    elif start.startswith((b"GIF87a", b"GIF89a")):
        parts = _blocks(file)
    elif start.startswith(b"\xff\xd8"):
        parts = _segments(file, end, scans if whole else 0)
    elif start == b"\0\0\0\x0cjP  \r\n\x87\n":
        parts = _boxes(file, end)
    elif start.startswith((b"II", b"MM")):
        parts = _entries(file, end)
    elif start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        parts = _riff(file, end)
    else:
        return 0
    count = 0
    for each in parts:
        count += each
        if count > most:
            break
    return count


def _chunks(file: Any, end: int, whole: bool) -> Iterator[int]:
    """Yield the parts as which the chunks of a PNG count."""
    frames, earlier = 0, b""
    for kind, place, size in chunks(file):
        if kind == b"IDAT" and not whole:
            return
        if kind in _PIXELS:
            yield size < SMALL_PIECE and earlier in _PIXELS
        elif kind == b"fcTL":
            frames += 1
            yield frames > MOST_PAGES
        else:
            yield _parts_of(size, place, end)
        earlier = kind


def _blocks(file: Any) -> Iterator[int]:
    """Yield the parts as which the blocks of a GIF, and the bytes between them, count."""
    file.seek(10)
    _skip_palette(file)
    file.seek(2, io.SEEK_CUR)
    frames, controlled = 0, False
    while (kind := file.read(1)) not in (b"", b";"):
        if kind == b",":
            file.seek(8, io.SEEK_CUR)
            _skip_palette(file)
            file.seek(1, io.SEEK_CUR)
            frames += 1
            yield frames > MOST_PAGES
            small = 0
            for size in _pieces(file):
                small += size < SMALL_PIECE
                yield size < SMALL_PIECE and small > 1
            controlled = False
        elif kind == b"!":
            label = file.read(1)
            yield controlled or label != b"\xf9"  # a frame may have one control block
            pieces = 0
            for pieces, _ in enumerate(_pieces(file), 1):
                yield pieces > 1
            if not pieces and label != b"\xfe":  # there Pillow reads on
                yield from (1 for _ in _pieces(file))
            controlled = label == b"\xf9"
        else:
            yield 1


def _skip_palette(file: Any) -> None:
    """Read the flags of a GIF or of its image, and skip the palette that they announce."""
    flags = (file.read(1) or b"\0")[0]
    if flags & 0x80:
        file.seek(3 * (2 << (flags & 7)), io.SEEK_CUR)


def _pieces(file: Any) -> Iterator[int]:
    """Yield the sizes of the pieces of data in a block of a GIF."""
    while size := (file.read(1) or b"\0")[0]:
        file.seek(size, io.SEEK_CUR)
        yield size


def _segments(file: Any, end: int, most_scans: int) -> Iterator[int]:
    """Yield the parts as which the segments of a JPEG, and the bytes before its first scan, count."""
    place, scans = 2, 0
    while True:
        file.seek(place)
        head = file.read(10)
        scans += head[:2] == b"\xff\xda"
        if len(head) < 4 or head[:2] == b"\xff\xd9" or scans > most_scans:
            return
        size = int.from_bytes(head[2:4], "big")
        if head[0] != 0xFF or head[1] in _ALONE:
            following = _next_marker(file, place + 1)
            yield 0 if scans else following - place
            place = following
            continue
        if (head[1], head[4:]) == (0xE1, b"Exif\0\0") and not scans:
            yield EXIF_PARTS
        elif head[1] != 0xDA:  # scans have a limit of their own
            yield _parts_of(size, place, end)
        place += 2 + size


def _riff(file: Any, end: int) -> Iterator[int]:
    """Yield the parts as which the chunks of a WebP count. Those inside a frame belong to it."""
    file.seek(4)
    end = min(end, 8 + int.from_bytes(file.read(4), "little"))
    place, frames = 12, 0
    while place + 8 <= end:
        file.seek(place)
        head = file.read(8)
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        frames += kind == b"ANMF"
        if kind == b"ANMF":
            yield frames > MOST_PAGES
        else:
            yield 1 if kind in (b"VP8 ", b"VP8L", b"ALPH") else _parts_of(size, place, end)
        place += 8 + size + size % 2


def _boxes(file: Any, end: int) -> Iterator[int]:
    """Yield the parts as which the boxes of a JPEG 2000 file before its codestream, and those in its header, count."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        own = 16 if size == 1 else 8
        size = int.from_bytes(head[8:], "big") if size == 1 else size
        if len(head) < own or kind == b"jp2c" or size < own:
            return
        inner = kind == b"jp2h"
        yield 1 if inner else _parts_of(size, place, end)
        place += own if inner else size


def _entries(file: Any, end: int) -> Iterator[int]:
    """Yield parts that add up to those of the entries in the directory of a TIFF that has the most."""
    largest = 0
    for place, number, order, big in _directories(file):
        form = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
        file.seek(place)
        found = file.read(form.size * min(number, 1 << 16))
        parts = number
        for _, kind, count in form.iter_unpack(found[: len(found) // form.size * form.size]):
            size = _SIZES.get(kind, 0)
            if size * count <= end:  # Pillow skips the others
                parts += count >> (16 if size == 1 else 6)
        yield max(0, parts - largest)
        largest = max(parts, largest)


def _parts_of(size: int, place: int, end: int) -> int:
    """Return the parts as which a chunk, segment or box counts. A damaged size may exceed the file."""
    return 1 + (min(size, end - place) >> 13)


def count_pages(file: Any) -> int:
    """Count the directories of a TIFF or BigTIFF, as far as the chain is intact, up to `MOST_PAGES`."""
    return max(1, sum(1 for _ in _directories(file)))


def _directories(file: Any) -> Iterator[tuple[int, int, str, bool]]:
    """Yield the directories of a TIFF or BigTIFF, as far as the chain is intact, up to `MOST_PAGES`.

    Each is given as the place of its entries, their number, the order of bytes, and whether it is one of BigTIFF.
    """
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return
    big = 43 in head[2:4]
    count, offset, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + offset, head, 8 if big else 4)
        while place and place not in seen and len(seen) < MOST_PAGES:
            file.seek(place)
            (entries,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
            begin = file.tell()
            file.seek(entry * entries, io.SEEK_CUR)
            following = file.read(struct.calcsize(offset))
            seen.add(place)
            yield begin, entries, order, big
            (place,) = struct.unpack(order + offset, following)
    except (struct.error, OSError, OverflowError, ValueError):
        pass  # the chain ends here


def _next_marker(file: Any, place: int) -> int:
    """Return the position of the next JPEG marker that has a length, or the end of the file."""
    file.seek(place)
    while block := file.read(1 << 16):
        if found := _MARKER.search(block):
            return place + found.start()
        place += len(block) - block.endswith(b"\xff")
        file.seek(place)
        if block == b"\xff":
            break
    return place
