"""Metadata of photo files: resolution, EXIF and XMP."""

import contextlib
import dataclasses
import math
import re
from collections.abc import Container
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from colorjax.photos.headers import read_exif

_KEPT = {  # what describes the picture; the other entries describe its encoding
    *(
        ExifTags.Base[name]
        for name in ("DocumentName", "ImageDescription", "Make", "Model", "PageName", "DateTime")
    ),
    *(
        ExifTags.Base[name]
        for name in ("Artist", "HostComputer", "Copyright", "Rating", "RatingPercent")
    ),
    *(
        ExifTags.Base[name]
        for name in ("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject")
    ),
    ExifTags.IFD.Exif,
    ExifTags.IFD.GPSInfo,
}
# the entries of type UNDEFINED, by directory (CIPA DC-008, 4.6.5, 4.6.6 and 4.6.7)
_UNDEFINED: dict[int, set[int]] = {
    ExifTags.IFD.Exif: {
        ExifTags.Base.OECF,
        ExifTags.Base.ExifVersion,
        ExifTags.Base.ComponentsConfiguration,
        ExifTags.Base.MakerNote,
        ExifTags.Base.UserComment,
        ExifTags.Base.FlashPixVersion,
        ExifTags.Base.SpatialFrequencyResponse,
        ExifTags.Base.FileSource,
        ExifTags.Base.SceneType,
        ExifTags.Base.CFAPattern,
        ExifTags.Base.DeviceSettingDescription,
        ExifTags.Base.CompositeImageExposureTimes,
    },
    ExifTags.IFD.GPSInfo: {ExifTags.GPS.GPSProcessingMethod, ExifTags.GPS.GPSAreaInformation},
    ExifTags.IFD.Interop: {ExifTags.Interop.InteropVersion},
}
_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)[2-8]""")
_MAX_IN_JPEG = 65_000  # bytes in one segment, without its header


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What is copied from the input to the output besides pixels.

    Attributes:
        exif: An EXIF block ("Exif", two zero bytes, a TIFF) with its orientation reset, or empty.
        xmp: An XMP packet with its orientation reset, or empty.
        dpi: The resolution along x and y in dots per inch, or None.
        big: Whether a TIFF is written as BigTIFF, which may exceed 4 GB.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    big: bool = False


class _Text(str):
    """A text in EXIF. Pillow reads its bytes as Latin-1 and would write ASCII; this class keeps the bytes."""

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        """Return the original bytes for any encoding."""
        return super().encode("latin-1", "replace")


def read_metadata(image: Any, width: int, height: int, *, turned: bool) -> Metadata:
    """Return the metadata of a decoded image. Damaged parts are left out.

    Args:
        image: An image that is open in Pillow, or similar. It is loaded, so its orientation is known.
        width: The width of the upright photo in pixels.
        height: The height of the upright photo in pixels.
        turned: Whether the photo was turned by 90°.
    """
    exif, xmp, dpi = b"", b"", None
    with contextlib.suppress(Exception):
        dpi = _dpi(image)
        if dpi and turned:
            dpi = dpi[1], dpi[0]
    with contextlib.suppress(Exception):
        exif = _exif(read_exif(image), width, height, dpi)
    with contextlib.suppress(Exception):
        xmp = image.info.get("xmp", b"")
        xmp = _ORIENTATION.sub(rb"\g<1>1", xmp if isinstance(xmp, bytes) else str(xmp).encode())
    return Metadata(exif, xmp, dpi, _is_big(image))


def save_options(metadata: Metadata, kind: str) -> dict[str, Any]:
    """Return the options with which Pillow writes metadata in a format."""
    options: dict[str, Any] = {}
    exif, xmp = metadata.exif, metadata.xmp
    if kind == "JPEG":
        exif, xmp = _shorten_exif(exif), xmp if len(xmp) <= _MAX_IN_JPEG else b""
    if kind in ("JPEG", "PNG", "BMP") and metadata.dpi:
        options["dpi"] = metadata.dpi
    if kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF") and exif:
        options["exif"] = exif
    if kind in ("JPEG", "WEBP", "AVIF", "HEIF") and xmp:
        options["xmp"] = xmp
    if kind == "PNG" and xmp:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    return options


def tiff_directory(metadata: Metadata, offset: int) -> bytes:
    """Return metadata as a little-endian directory of TIFF or BigTIFF, to be placed at `offset`."""
    head = b"II+\0\x08\0\0\0" + bytes(8) if metadata.big else b"II*\0" + bytes(4)
    directory = TiffImagePlugin.ImageFileDirectory_v2(head)
    exif = Image.Exif()
    exif.load(metadata.exif)
    for tag, value in _copy_entries(exif, exif).items():
        directory[tag] = value
    if metadata.xmp:
        directory[TiffImagePlugin.XMP] = metadata.xmp
    if metadata.dpi:
        directory[TiffImagePlugin.X_RESOLUTION], directory[TiffImagePlugin.Y_RESOLUTION] = (
            metadata.dpi
        )
        directory[TiffImagePlugin.RESOLUTION_UNIT] = 2
    return directory.tobytes(offset)


def _is_big(image: Any) -> bool:
    """Return whether an image comes from a BigTIFF. The first bytes of one end in 43, not 42."""
    head = getattr(getattr(image, "tag_v2", None), "_bigtiff", None)
    return bool(getattr(image, "is_big", False) if head is None else head)


def _dpi(image: Any) -> tuple[float, float] | None:
    exif = read_exif(image)
    dpi = image.info.get("dpi")
    if dpi is None and exif.get(ExifTags.Base.ResolutionUnit, 2) in (2, 3):
        inch = 2.54 if exif.get(ExifTags.Base.ResolutionUnit) == 3 else 1
        dpi = [
            inch * float(exif[tag])
            for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution)
        ]
    if dpi is None:
        return None
    x, y = map(float, dpi)
    return (x, y) if all(math.isfinite(n) and 1 <= n <= 65535 for n in (x, y)) else None


def _exif(found: Image.Exif, width: int, height: int, dpi: tuple[float, float] | None) -> bytes:
    """Build an EXIF block from the entries of another that are kept. The other one is not changed."""
    exif = Image.Exif()
    exif.endian = found.endian
    for tag, value in _writable(_copy_entries(found, _KEPT)).items():
        exif[tag] = value
    exif[ExifTags.Base.Software] = "colorjax"
    if dpi:
        exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = dpi
        exif[ExifTags.Base.ResolutionUnit] = 2
    details = exif.get(ExifTags.IFD.Exif, {})
    now = {
        ExifTags.Base.ExifImageWidth: width,
        ExifTags.Base.ExifImageHeight: height,
        ExifTags.Base.ColorSpace: 1,
    }
    details.update({tag: value for tag, value in now.items() if tag in details})
    return exif.tobytes()


def _copy_entries(exif: Image.Exif, tags: Container[int]) -> dict[int, Any]:
    """Return some entries of a main directory, as they are to be written. Those that cannot be read are left out."""
    copied = {}
    for tag in exif:
        if tag in tags:
            with contextlib.suppress(Exception):
                copied[tag] = _value(exif, tag, exif[tag])
    return copied


def _writable(entries: dict[int, Any], *inside: int) -> dict[int, Any]:
    """Return the entries of a directory that can be written.

    Args:
        entries: The entries.
        inside: The tags of the directories around this one.
    """
    if _can_write(entries, *inside):
        return entries
    kept = {}
    for tag, value in entries.items():
        value = _writable(value, *inside, tag) if isinstance(value, dict) else value
        if _can_write({tag: value}, *inside):
            kept[tag] = value
    return kept


def _can_write(entries: dict[int, Any], *inside: int) -> bool:
    """Return whether Pillow can write some entries of a directory."""
    for tag in reversed(inside):
        entries = {tag: entries}
    exif = Image.Exif()
    try:
        for tag, value in entries.items():
            exif[tag] = value
        exif.tobytes()
    except Exception:  # whatever is raised for a value that does not fit its tag
        return False
    return True


def _value(exif: Image.Exif, tag: int, value: Any, inside: int = 0) -> Any:
    """Return the value of an entry: texts as their bytes, directories with all their entries.

    Args:
        exif: The block that the entry belongs to.
        tag: Its tag.
        value: Its value as Pillow reads it.
        inside: The tag of the directory that holds it, or 0 for the main one.
    """
    if tag in _UNDEFINED:
        return {inner: _value(exif, inner, each, tag) for inner, each in exif.get_ifd(tag).items()}
    if isinstance(value, bytes) and tag in _UNDEFINED.get(inside, ()):
        return [bytearray(value)]  # to bytes alone, Pillow gives the type BYTE
    return _Text(value) if isinstance(value, str) else value


def _shorten_exif(exif: bytes) -> bytes:
    """Shorten an EXIF block so that it fits a JPEG segment: to its main directory, or to nothing."""
    if len(exif) > _MAX_IN_JPEG:
        found, short = Image.Exif(), Image.Exif()
        found.load(exif)
        short.endian = found.endian
        for tag, value in _copy_entries(
            found, _KEPT - {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
        ).items():
            short[tag] = value
        exif = short.tobytes()
    return exif if len(exif) <= _MAX_IN_JPEG else b""
