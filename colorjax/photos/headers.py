"""Reading the header of a photo file, before any pixel is decoded."""

import contextlib
import dataclasses
import re
import struct
from typing import Any, cast

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401 - registers itself here, and not later in a thread
    ExifTags,
    Image,
    Jpeg2KImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from colorjax.photos.ancillary import LONGEST, chunks
from colorjax.photos.formats import SIXTEEN_BIT, SUFFIXES, UnsupportedError, need_heif

LONGEST_EXIF = LONGEST
"""The most bytes of EXIF that are looked at, besides those in a TIFF. The decoded form may need 30 times as many."""

_INFO = {"icc_profile": 34675, "xmp": 700}  # the tags of what Pillow, too, keeps of a TIFF
_SUBSAMPLING = 530  # YCbCrSubSampling, which Pillow ignores in pixels without compression
_HELD_WHOLE = re.compile(rb"RIFF.{4}WEBP|.{4}ftyp(avi[fs]|mif1|msf1|hei[cxms]|hev[cxms])", re.S)


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

    format, mode, tile = "TIFF", "", ()

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
        tags = {name: self.page.tags.get(tag) for name, tag in _INFO.items()}
        found = {name: tag.value for name, tag in tags.items() if tag}
        self.info: dict[Any, Any] = {k: v for k, v in found.items() if isinstance(v, bytes)}

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
    file.seek(0)
    start = file.read(64)
    heif = start[4:8] == b"ftyp" and re.search(b"hei[cxms]|hev[cxms]", start) is not None
    if heif:
        need_heif()
    file.seek(0)
    try:
        image = Image.open(file, formats=[kind for kind in SUFFIXES if heif or kind != "HEIF"])
        if image.format == "JPEG2000" and (profile := _jpeg2000_profile(file)):
            image.info["icc_profile"] = profile
        return image
    except UnidentifiedImageError:
        if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise
        return TiffPages(file)


def first_frame(image: Opened, file: Any) -> int:
    """Return the number of the first frame. In a PNG, a picture that is not part of the animation may be before it."""
    if not getattr(image, "default_image", False):
        return 0
    place = file.tell()
    moving = any(name == b"fdAT" for name, _, _ in chunks(file))
    file.seek(place)
    return int(moving)


def is_held_whole(file: Any) -> bool:
    """Return whether a file is a WebP, AVIF or HEIC, by its first bytes. Decoders read such a file as a whole."""
    file.seek(0)
    return _HELD_WHOLE.match(file.read(12)) is not None


def read_exif(image: Opened) -> Image.Exif:
    """Return the EXIF entries of an image, or none if they are too long."""
    too_long = len(image.info.get("exif") or b"") > LONGEST_EXIF
    return Image.Exif() if too_long else image.getexif()


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


def read_header(image: Opened, file: Any) -> Header:
    """Return format, depth and transparency of an open image.

    Raises:
        UnsupportedError: the image cannot be decoded at its depth.
    """
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    if kind == "TIFF" and not image.tell() and _is_preview(image):
        raise UnsupportedError("a raw photo with a preview", "a developed photo, such as a JPEG")
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
    if (
        kind == "JPEG2000"
        and image.mode in ("LA", "RGB", "RGBA")
        and max(jpeg2000_depths(file)) > 8
    ):
        raise UnsupportedError(
            "JPEG 2000 color of more than 8 bits per channel", "8 bits, or PNG or TIFF"
        )
    return Header(kind, bits, image.has_transparency_data)


def _is_preview(image: Opened) -> bool:
    """Return whether the first page of a TIFF is a reduced version of a picture inside it, as in DNG and NEF."""
    try:
        exif = read_exif(image)
    except Exception:  # damage is found when it is decoded
        return False
    kind = exif.get(ExifTags.Base.NewSubfileType)
    return isinstance(kind, int) and kind % 2 == 1 and ExifTags.Base.SubIFDs in exif


def rawmode_of(image: Image.Image) -> str:
    """Return the name of the unpacker that Pillow would use."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _jpeg2000_profile(file: Any) -> bytes:
    """Return the color profile of a JPEG 2000 file (ISO 15444-1, I.5.3.3), which Pillow ignores, or nothing."""
    place, profile = file.tell(), b""
    with contextlib.suppress(Exception):  # raised for damage, and for a codestream alone
        file.seek(0)
        boxes = Jpeg2KImagePlugin.BoxReader(file)
        while boxes.next_box_type() != b"jp2h":
            pass
        header = boxes.read_boxes()
        while header.next_box_type() != b"colr":
            pass
        if header.read_fields(">B2x")[0] in (2, 3):
            (profile,) = header.read_fields(f"{header.remaining_in_box}s")
    file.seek(place)
    return cast(bytes, profile)


def jpeg2000_depths(file: Any) -> list[int]:
    """Return the bits per channel in the SIZ marker of a codestream (ISO 15444-1, A.5.1), of at most four channels.

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
    return [(start[40 + 3 * i] & 0x7F) + 1 for i in range(min(channels, 4))]
