"""Reading the header of a photo file, before any pixel is decoded."""

import dataclasses
import io
import re
import struct
from typing import Any, cast

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401 - registers itself here, and not later in a thread
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from colorjax.photos.formats import SIXTEEN_BIT, SUFFIXES, UnsupportedError, need_heif

MOST_PAGES = 200_000
"""Pages are counted up to this number."""

EXIF_PARTS = 200
"""The parts as which a segment of EXIF counts."""

_SUBSAMPLING = 530  # YCbCrSubSampling, which Pillow ignores in pixels without compression
_ALONE = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # bytes after 0xFF that do not begin a segment
_PIXELS = (
    b"IDAT",
    b"fcTL",
    b"fdAT",
)  # the chunks of a PNG of which large photos and animations have many
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.S)


@dataclasses.dataclass(frozen=True)
class Header:
    """What is known about a photo before it is decoded.

    Attributes:
        kind: Its format, a key of `SUFFIXES`.
        bits: Bits per channel: 1, 8, or 16 for everything deeper than 8.
        alpha: Whether the photo has transparency.
    """

    kind: str
    bits: int
    alpha: bool


class TiffPages:
    """The pages of a TIFF that Pillow cannot read, with the part of Pillow's interface that reading needs."""

    format, mode, info, tile = "TIFF", "", {}, ()

    def __init__(self, file: Any) -> None:
        """Open a file at its first page."""
        import tifffile

        file.seek(0)
        self.file, self.tiff = file, tifffile.TiffFile(file)
        self.is_big = bool(self.tiff.is_bigtiff)
        self.seek(0)

    def seek(self, number: int) -> None:
        """Go to a page.

        Raises:
            EOFError: there is no such page.
        """
        try:
            self.number, self.page = number, cast(Any, self.tiff.pages[number])
        except IndexError as error:
            raise EOFError from error
        _check_page(self.page)
        self.size = (self.page.imagewidth, self.page.imagelength)

    def tell(self) -> int:
        """Return the number of the current page."""
        return self.number

    def getexif(self) -> Image.Exif:
        """Return the EXIF entries of the current page."""
        exif = Image.Exif()
        exif.bigtiff, exif.endian = self.is_big, self.tiff.byteorder
        exif.load_from_fp(self.file, self.page.offset)
        return exif


Opened = Image.Image | TiffPages


def open_image(file: Any) -> Opened:
    """Open a photo by its content, without decoding it.

    Raises:
        UnsupportedError: the format needs a library that is not installed.
        UnidentifiedImageError: the file is not a photo.
    """
    start = file.read(64)
    heif = start[4:8] == b"ftyp" and re.search(b"hei[cxms]|hev[cxms]", start) is not None
    if heif:
        need_heif()
    file.seek(0)
    try:
        return Image.open(file, formats=[kind for kind in SUFFIXES if heif or kind != "HEIF"])
    except UnidentifiedImageError:
        if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise
        return TiffPages(file)


def checked_size(image: Opened) -> tuple[int, int]:
    """Return width and height of an open image. A damaged header may hold anything.

    Raises:
        UnsupportedError: they are not positive integers.
    """
    size = image.size
    if not (isinstance(size, tuple) and len(size) == 2 and all(map(_is_whole, size)) and min(size)):
        raise UnsupportedError("a header without a size", "width and height")
    return size


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _check_page(page: Any) -> None:
    """Check the types of the header fields that tifffile found."""
    single = ("imagewidth", "imagelength", "imagedepth", "samplesperpixel", "bitspersample")
    single += ("planarconfig", "photometric", "compression")
    several = ("extrasamples", "dataoffsets", "databytecounts")
    for name in single:
        if not _is_whole(getattr(page, name)):
            raise UnsupportedError(f"a damaged header ({name})", "a whole number")
    for name in several:
        if not all(map(_is_whole, getattr(page, name))):
            raise UnsupportedError(f"a damaged header ({name})", "whole numbers")


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


def count_parts(file: Any, most: int, *, whole: bool) -> int:
    """Count the parts that Pillow reads one by one: chunks of a PNG without its pixels, or segments of a JPEG.

    Segments are counted up to the first scan. Each byte between two of them counts, too. A segment of EXIF counts as
    `EXIF_PARTS`, because Pillow copies all earlier ones.

    Args:
        file: The file, which is read from its start.
        most: Counting stops above this number.
        whole: Whether to count the chunks behind the first pixels, too.
    """
    file.seek(0)
    start = file.read(8)
    if start == b"\x89PNG\r\n\x1a\n":
        return _count_chunks(file, most, whole)
    return _count_segments(file, most) if start[:2] == b"\xff\xd8" else 0


def _count_chunks(file: Any, most: int, whole: bool) -> int:
    parts, place = 0, 8
    while parts <= most:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND" or (head[4:] == b"IDAT" and not whole):
            break
        parts += head[4:] not in _PIXELS
        place += 12 + int.from_bytes(head[:4], "big")
    return parts


def _count_segments(file: Any, most: int) -> int:
    parts, place = 0, 2
    while parts <= most:
        file.seek(place)
        head = file.read(10)
        if len(head) < 4 or head[:2] in (b"\xff\xd9", b"\xff\xda"):
            break
        if head[0] != 0xFF or head[1] in _ALONE:
            following = _next_marker(file, place + 1)
            parts += following - place
            place = following
            continue
        parts += EXIF_PARTS if (head[1], head[4:]) == (0xE1, b"Exif\0\0") else 1
        place += 2 + int.from_bytes(head[2:4], "big")
    return parts


def count_pages(file: Any) -> int:
    """Count the directories of a TIFF or BigTIFF, as far as the chain is intact, up to `MOST_PAGES`."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return 1
    big = 43 in head[2:4]
    count, offset, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + offset, head, 8 if big else 4)
        while place and place not in seen and len(seen) < MOST_PAGES:
            file.seek(place)
            (entries,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
            file.seek(entry * entries, io.SEEK_CUR)
            following = file.read(struct.calcsize(offset))
            seen.add(place)
            (place,) = struct.unpack(order + offset, following)
    except (struct.error, OSError, OverflowError, ValueError):
        pass  # the chain ends here
    return max(1, len(seen))


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


def read_header(image: Opened, file: Any) -> Header:
    """Return format, depth and transparency of an open image.

    Raises:
        UnsupportedError: the image cannot be decoded at its depth.
    """
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    if isinstance(image, TiffPages):
        page = image.page
        return Header(kind, 16 if page.dtype == np.uint16 else 8, page.samplesperpixel in (2, 4))
    bits = 1 if image.mode == "1" else 8
    if image.mode[0] in "IF" or (kind in SIXTEEN_BIT and ";16" in rawmode_of(image)):
        bits = 16
    elif bits == 8 and isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = 16 if max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8 else 8
        raw = image.mode == "YCbCr" and all(tile.codec_name == "raw" for tile in image.tile)
        if raw and image.tag_v2.get(_SUBSAMPLING, (1, 1)) != (1, 1):
            raise UnsupportedError("a TIFF of subsampled YCbCr", "RGB, or JPEG in the TIFF")
    if bits == 16 and image.mode == "CMYK":
        raise UnsupportedError("CMYK of 16 bits per channel", "8 bits")
    if kind == "JPEG2000" and image.mode in ("LA", "RGB", "RGBA") and _jpeg2000_bits(file) > 8:
        raise UnsupportedError(
            "JPEG 2000 color of more than 8 bits per channel", "8 bits, or PNG or TIFF"
        )
    return Header(kind, bits, image.has_transparency_data)


def rawmode_of(image: Image.Image) -> str:
    """Return the name of the unpacker that Pillow would use."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _jpeg2000_bits(file: Any) -> int:
    """Return the largest bit depth in the SIZ marker of a codestream (ISO 15444-1, A.5.1).

    Raises:
        UnsupportedError: the file has no codestream.
    """
    place, start = file.tell(), b""
    file.seek(0)
    while (siz := start.find(b"\xff\x4f\xff\x51")) < 0:
        block = file.read(1 << 16)
        if not block:
            raise UnsupportedError("JPEG 2000 without a codestream", "a whole photo")
        start = start[-3:] + block
    start = start[siz + 2 :] + file.read(64)
    file.seek(place)
    (channels,) = struct.unpack_from(">H", start, 38)
    return max((start[40 + 3 * i] & 0x7F) + 1 for i in range(min(channels, 4)))
