"""The photo formats, and the errors that formats cause."""

import importlib

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
"""The formats that can be read, by their names in Pillow, with their suffixes; the usual suffix comes first."""

MULTI_FRAME = ("TIFF", "WEBP", "AVIF", "GIF", "PNG")
"""The formats that may hold several pages or frames."""

SIXTEEN_BIT = ("PNG", "TIFF")
"""The formats in which 16-bit color is read and written."""


SPOILT_ALPHA = ("AVIF", "HEIF", "BMP")
"""The formats whose alpha is read, but altered or left out when it is written."""


class UnsupportedError(Exception):
    """The photo is intact, but cannot be decoded or encoded faithfully."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found, self.expected = found, expected


class TruncatedDataError(UnsupportedError):
    """The end of the photo is missing."""

    def __init__(self, found: str) -> None:
        super().__init__(found, "a whole photo")


def need_heif() -> None:
    """Register the HEIC format with Pillow.

    Raises:
        UnsupportedError: pillow-heif is not installed.
    """
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise UnsupportedError("HEIC", "pillow-heif to be installed") from error
