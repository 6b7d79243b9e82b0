"""An open photo to upright arrays at its true depth; Pillow knows most, tifffile the rest of TIFF."""

import dataclasses
import importlib
import io
import re
import struct
import sys
from typing import Any, cast

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401 - plugins register themselves: here once, not later in a thread
    Image,
    ImageFile,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from colorjax.photos.profiles import image_to_srgb, levels_to_srgb

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
}
"""The formats that are read, by Pillow's names, and their suffixes, the usual one first."""

MULTI_FRAME = ("TIFF", "WEBP", "AVIF", "GIF", "PNG")
"""The formats that may hold several pages or frames."""

SIXTEEN_BIT = ("PNG", "TIFF")
"""The formats that hold 16-bit color and can be read and written with it."""

_ORIENTATION = 0x0112
_ALONE = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # bytes after 0xFF that begin no segment
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.S)
_TIFF_SAMPLES = ((np.uint8, 8), (np.uint16, 16))


class UnsupportedError(Exception):
    """A photo that is whole, but cannot be decoded or encoded faithfully."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found, self.expected = found, expected


class TruncatedDataError(UnsupportedError):
    """A photo whose end is missing."""

    def __init__(self, found: str) -> None:
        super().__init__(found, "a whole photo")


@dataclasses.dataclass(frozen=True)
class Header:
    """What is known of a photo before it is decoded.

    Attributes:
        kind: its format, a key of `SUFFIXES`.
        bits: a channel: 1, 8, or 16 for all that is deeper than 8.
        alpha: whether it has transparency.
    """

    kind: str
    bits: int
    alpha: bool


class TiffPages:
    """TIFF pages that Pillow does not know, in as much of Pillow's interface as reading needs."""

    format, mode, info, tile = "TIFF", "", {}, ()

    def __init__(self, file: Any) -> None:
        """Open the first page of a file."""
        import tifffile

        file.seek(0)
        self.file, self.tiff = file, tifffile.TiffFile(file)
        self.is_big = bool(self.tiff.is_bigtiff)
        self.seek(0)

    def seek(self, number: int) -> None:
        """Go to a page; EOFError past the last."""
        try:
            self.number, self.page = number, cast(Any, self.tiff.pages[number])
        except IndexError as error:
            raise EOFError from error
        _check_page(self.page)
        self.size = (self.page.imagewidth, self.page.imagelength)

    def tell(self) -> int:
        """Return the number of the page."""
        return self.number

    def getexif(self) -> Image.Exif:
        """Return what the page's directory carries, which Pillow can read."""
        exif = Image.Exif()
        exif.bigtiff, exif.endian = self.is_big, self.tiff.byteorder
        exif.load_from_fp(self.file, self.page.offset)
        return exif


Opened = Image.Image | TiffPages


def open_image(file: Any) -> Opened:
    """Open a photo by its content, not yet decoded.

    Raises:
        UnsupportedError: if it needs a library that is not there.
        UnidentifiedImageError: if it is no photo.
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
    """Return width and height of an open image, which a damaged header may give as anything.

    Raises:
        UnsupportedError: if they are no whole numbers above 0.
    """
    size = image.size
    if not (isinstance(size, tuple) and len(size) == 2 and all(map(_is_whole, size)) and min(size)):
        raise UnsupportedError("a header without a size", "width and height")
    return size


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _check_page(page: Any) -> None:
    """Check the types of what tifffile found in a page's header."""
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
    """Return how many scans a JPEG has, at most one more than `most`; 0 for other files (ITU-T T.81, annex B).

    Args:
        file: read from its start.
        most: where counting ends.
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


def count_pages(file: Any) -> int:
    """Return how many directories the chain of a TIFF or BigTIFF has, as far as it is whole."""
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
        while place and place not in seen:
            file.seek(place)
            (entries,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
            file.seek(entry * entries, io.SEEK_CUR)
            following = file.read(struct.calcsize(offset))
            seen.add(place)
            (place,) = struct.unpack(order + offset, following)
    except (struct.error, OSError, OverflowError, ValueError):
        pass  # where the chain ends
    return max(1, len(seen))


def _next_marker(file: Any, place: int) -> int:
    """Return the place of the next marker of a JPEG that has a length, or the file's end."""
    file.seek(place)
    while block := file.read(1 << 16):
        if found := _MARKER.search(block):
            return place + found.start()
        place += len(block) - block.endswith(b"\xff")
        file.seek(place)
        if block == b"\xff":
            break
    return place


def _check_strips(image: TiffImagePlugin.TiffImageFile) -> None:
    """Check that a TIFF has as many strips or tiles as its size asks for: Pillow leaves black what is not there."""
    tags = image.tag_v2
    w, h = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
    if TiffImagePlugin.TILEOFFSETS in tags:
        offsets = tags[TiffImagePlugin.TILEOFFSETS]
        across, down = tags[TiffImagePlugin.TILEWIDTH], tags[TiffImagePlugin.TILELENGTH]
    elif TiffImagePlugin.STRIPOFFSETS in tags:
        offsets = tags[TiffImagePlugin.STRIPOFFSETS]
        across, down = w, min(h, tags.get(TiffImagePlugin.ROWSPERSTRIP, h))
    else:
        return
    planar = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2
    planes = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) if planar else 1
    needed = -(-w // across) * -(-h // down) * planes
    if len(offsets) < needed:
        raise TruncatedDataError(f"truncated: {len(offsets)} of {needed} strips or tiles")


def read_header(image: Opened, file: Any) -> Header:
    """Tell format, depth and alpha of an open image.

    Raises:
        UnsupportedError: if it cannot be decoded at its depth.
    """
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    if isinstance(image, TiffPages):
        page = image.page
        return Header(kind, 16 if page.dtype == np.uint16 else 8, page.samplesperpixel in (2, 4))
    bits = 1 if image.mode == "1" else 8
    if image.mode[0] in "IF" or (kind in SIXTEEN_BIT and ";16" in _rawmode(image)):
        bits = 16
    elif bits == 8 and isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = 16 if max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8 else 8
    if bits == 16 and image.mode == "CMYK":
        raise UnsupportedError("CMYK of 16 bits a channel", "8 bits")
    if kind == "JPEG2000" and image.mode in ("LA", "RGB", "RGBA") and _jpeg2000_bits(file) > 8:
        raise UnsupportedError(
            "JPEG 2000 color of more than 8 bits a channel", "8 bits, or PNG or TIFF"
        )
    return Header(kind, bits, image.has_transparency_data)


def decode(image: Opened, file: Any, header: Header) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode an open image to upright gray or sRGB levels and alpha, uint8 or uint16.

    Raises:
        UnsupportedError: if it cannot be decoded at its depth.
        Exception: whatever a decoder raises on damaged data.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile) and not ImageFile.LOAD_TRUNCATED_IMAGES:
        _check_strips(image)
    if isinstance(image, TiffPages) or _is_planar(image, header):
        pages = image if isinstance(image, TiffPages) else TiffPages(file)
        pages.seek(image.tell())
        color, alpha, orientation = _tiff_page(pages, file)
    else:
        color, alpha = _deep(image, file) if header.bits == 16 else _shallow(image)
        orientation = _orientation(image)
    if color.dtype == np.uint16:
        color = levels_to_srgb(color, image.info.get("icc_profile"))
    return _upright(color, orientation), None if alpha is None else _upright(alpha, orientation)


def _shallow(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode 1 or 8 bits a channel."""
    image.load()
    profile = image.info.get("icc_profile")
    gray = image.mode in ("1", "L", "LA", "La")
    indexed = image.mode in ("P", "PA")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if gray else "RGB")
    color = np.asarray(image_to_srgb(image, profile))
    if indexed and (color == color[..., :1]).all():
        color = color[..., 0]
    return color, alpha


def _deep(image: Image.Image, file: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode more than 8 bits a channel to uint16.

    Pillow has no mode for 16-bit color: it unpacks the upper byte of each sample. So the file is decoded twice, the
    second time with the unpacker of the other byte order, which takes the lower byte.
    """
    rawmode, clear = _rawmode(image), image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        levels = _gray_levels(np.asarray(image), rawmode)
        if getattr(image, "tag_v2", {}).get(262) == 0:  # a TIFF where white is zero
            levels = 65535 - levels
        return levels, None if clear is None else _opaque_but(levels == clear)

    if image.format == "PNG" and image.tell():
        raise UnsupportedError("an animation of 16 bits a channel", "8 bits")
    place = file.tell()
    file.seek(0)
    copy = Image.open(file, formats=[image.format or ""])
    copy.seek(image.tell())
    file.seek(place)
    if rawmode == "LA;16B":  # four bytes a pixel, as in RGBA
        pairs = np.asarray(_unpacked_as(copy, "RGBA")).astype(np.uint16)
        image.load()  # for the metadata behind the pixels
        return pairs[..., 0] << 8 | pairs[..., 1], pairs[..., 2] << 8 | pairs[..., 3]
    straight = rawmode.replace("RGBa", "RGBA")
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[rawmode[-1]]
    upper, lower = _unpacked_as(image, straight), _unpacked_as(copy, straight[:-1] + other)
    levels = np.asarray(upper).astype(np.uint16) << 8
    levels |= np.asarray(lower)
    if levels.shape[-1] == 4:
        color, alpha = np.ascontiguousarray(levels[..., :3]), np.ascontiguousarray(levels[..., 3])
        return _straight(color, alpha) if "RGBa" in rawmode else color, alpha
    if clear is None:
        return levels, None
    return levels, _opaque_but((levels == np.array(clear)).all(-1))


def _opaque_but(clear: np.ndarray) -> np.ndarray:
    return np.where(clear, 0, 65535).astype(np.uint16)


def _gray_levels(stored: np.ndarray, rawmode: str) -> np.ndarray:
    """Scale gray samples of 12, 16 and 32 bits and of float to 16 bits."""
    if stored.dtype.kind == "f":
        finite = stored[np.isfinite(stored)]
        largest = float(finite.max(initial=0))
        white = next((white for white in (1, 255, 65535) if largest <= white), largest)
        with np.errstate(invalid="ignore"):  # signalling NaNs complain when they are widened
            scaled = np.clip(np.nan_to_num(stored.astype(np.float64) / white, posinf=1), 0, 1)
        return np.floor(65535 * scaled + 0.5).astype(np.uint16)
    if stored.dtype.itemsize == 4:
        signed = rawmode.endswith("S")
        levels = np.maximum(stored, 0).astype(np.uint32) if signed else stored.view(np.uint32)
        if levels.max(initial=0) > 65535:
            levels = (levels.astype(np.uint64) + 32768) // 65537
        return levels.astype(np.uint16)
    levels = stored.astype(np.uint16)
    return levels << 4 | levels >> 8 if rawmode == "I;12" else levels


def _straight(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divide associated alpha out of color."""
    top = np.uint64(np.iinfo(alpha.dtype).max)
    opacity = np.maximum(alpha, 1).astype(np.uint64)
    if color.ndim == 3:
        opacity = opacity[..., None]
    return np.minimum((color * top + opacity // 2) // opacity, top).astype(alpha.dtype)


def _tiff_page(pages: TiffPages, file: Any) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Decode a page with tifffile: gray or RGB of 8 or 16 bits, with one extra channel at most."""
    page = pages.page
    extra: tuple[int, ...] = tuple(page.extrasamples)
    gray = page.photometric in (0, 1)
    known = page.photometric in (0, 1, 2) and (page.dtype, page.bitspersample) in _TIFF_SAMPLES
    channels = (1 if gray else 3) + len(extra)
    if not known or len(extra) > 1 or page.samplesperpixel != channels or page.imagedepth != 1:
        raise UnsupportedError("a TIFF of unusual samples", "gray or RGB of 8 or 16 bits")
    if page.compression not in (1, 8, 32946):  # none, deflate, deflate
        found = f"a TIFF of unusual samples with {page.compression.name} compression"
        raise UnsupportedError(found, "deflate, or 8 bits")
    ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
    if max(ends) > file.seek(0, io.SEEK_END):
        raise TruncatedDataError("truncated: pixels are missing")
    levels = page.asarray(maxworkers=1)
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        levels = np.moveaxis(levels, 0, -1)
    levels = levels.reshape(page.imagelength, page.imagewidth, -1)
    alpha = levels[..., -1] if extra in ((1,), (2,)) else None
    color = levels[..., 0] if gray else levels[..., :3]
    if page.photometric == 0:
        color = np.iinfo(levels.dtype).max - color
    if alpha is not None and extra == (1,):
        color = _straight(color, alpha)
    tag = page.tags.get(_ORIENTATION)
    return np.array(color), alpha, tag.value if tag else 1


def _is_planar(image: Image.Image, header: Header) -> bool:
    """Tell whether 16-bit color lies in one plane a channel, which Pillow unpacks as 8 bits."""
    configuration = getattr(image, "tag_v2", {}).get(TiffImagePlugin.PLANAR_CONFIGURATION)
    return configuration == 2 and header.bits == 16 and len(image.getbands()) > 1


def _rawmode(image: Image.Image) -> str:
    """Return the name of the unpacker that Pillow would use."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _unpacked_as(image: Any, rawmode: str) -> Image.Image:
    """Make an image unpack its samples in another way."""
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    return image


def _jpeg2000_bits(file: Any) -> int:
    """Return the largest bit depth that the SIZ marker of a codestream names (ISO 15444-1, A.5.1)."""
    place = file.tell()
    file.seek(0)
    start = file.read(1 << 16)
    file.seek(place)
    siz = start.find(b"\xff\x4f\xff\x51") + 2
    (channels,) = struct.unpack_from(">H", start, siz + 38)
    return max((start[siz + 40 + 3 * i] & 0x7F) + 1 for i in range(min(channels, 4)))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded image: after loading, as Pillow turns TIFF by itself."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not make a damaged photo
        return 1


def _upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Return the upright picture of what a camera stored under an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


def need_heif() -> None:
    """Make Pillow know HEIC.

    Raises:
        UnsupportedError: if pillow-heif is not installed.
    """
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise UnsupportedError("HEIC", "the package pillow-heif to be installed") from error
