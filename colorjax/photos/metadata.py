"""What a photo file carries beside its pixels: resolution, EXIF and XMP, read and written again."""

import contextlib
import dataclasses
import math
import re
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

_KEPT = {  # what describes the picture; all else in a main directory describes its coding
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
_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)[2-8]""")
_MOST_IN_JPEG = 65_000  # bytes in one segment, less its own names


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What goes along with the pixels from the input to the output.

    Attributes:
        exif: an EXIF block ("Exif", two zeros, a TIFF), its orientation reset; empty for none.
        xmp: an XMP packet, its orientation reset; empty for none.
        dpi: resolution along x and y in dots per inch, or None.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None


def read_metadata(image: Any, width: int, height: int) -> Metadata:
    """Return what a decoded image carries; what is damaged is left out.

    Args:
        image: open in Pillow, or like it; loaded, its orientation already known.
        width: of the upright photo in pixels.
        height: of the upright photo in pixels.

    Spec: FIL-025
    """
    exif, xmp, dpi = b"", b"", None
    with contextlib.suppress(Exception):
        dpi = _dpi(image)
    with contextlib.suppress(Exception):
        exif = _exif(image.getexif(), width, height, dpi)
    with contextlib.suppress(Exception):
        xmp = image.info.get("xmp", b"")
        xmp = _ORIENTATION.sub(rb"\g<1>1", xmp if isinstance(xmp, bytes) else str(xmp).encode())
    return Metadata(exif, xmp, dpi)


def save_options(metadata: Metadata, kind: str) -> dict[str, Any]:
    """Return the options with which Pillow writes metadata into a format.

    Spec: FIL-025
    """
    options: dict[str, Any] = {}
    exif, xmp = metadata.exif, metadata.xmp
    if kind == "JPEG":
        exif, xmp = _shortened(exif), xmp if len(xmp) <= _MOST_IN_JPEG else b""
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
    """Return metadata as a little-endian TIFF directory that will lie at an offset.

    Spec: FIL-025
    """
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    exif = Image.Exif()
    exif.load(metadata.exif)
    for tag in exif:
        directory[tag] = exif.get_ifd(tag) if tag in tuple(ExifTags.IFD) else exif[tag]
    if metadata.xmp:
        directory[TiffImagePlugin.XMP] = metadata.xmp
    if metadata.dpi:
        directory[TiffImagePlugin.X_RESOLUTION], directory[TiffImagePlugin.Y_RESOLUTION] = (
            metadata.dpi
        )
        directory[TiffImagePlugin.RESOLUTION_UNIT] = 2
    return directory.tobytes(offset)


def _dpi(image: Any) -> tuple[float, float] | None:
    exif = image.getexif()
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


def _exif(exif: Image.Exif, width: int, height: int, dpi: tuple[float, float] | None) -> bytes:
    if not len(exif):
        exif = Image.Exif()
    for tag in set(exif) - _KEPT:
        del exif[tag]
    exif[ExifTags.Base.Software] = "colorjax"
    if dpi:
        exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = dpi
        exif[ExifTags.Base.ResolutionUnit] = 2
    details = exif.get_ifd(ExifTags.IFD.Exif)
    now = {
        ExifTags.Base.ExifImageWidth: width,
        ExifTags.Base.ExifImageHeight: height,
        ExifTags.Base.ColorSpace: 1,
    }
    details.update({tag: value for tag, value in now.items() if tag in details})
    return exif.tobytes()


def _shortened(exif: bytes) -> bytes:
    """Return an EXIF block that fits a JPEG segment: whole, else its main directory only, else nothing."""
    if len(exif) > _MOST_IN_JPEG:
        whole = Image.Exif()
        whole.load(exif)
        for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if tag in whole:
                del whole[tag]
        exif = whole.tobytes()
    return exif if len(exif) <= _MOST_IN_JPEG else b""
