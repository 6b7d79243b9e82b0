"""The photo formats: their names and suffixes, and what goes wrong with them."""

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
"""The formats that are read, by Pillow's names, and their suffixes, the usual one first."""

MULTI_FRAME = ("TIFF", "WEBP", "AVIF", "GIF", "PNG")
"""The formats that may hold several pages or frames."""

SIXTEEN_BIT = ("PNG", "TIFF")
"""The formats that hold 16-bit color and can be read and written with it."""


class UnsupportedError(Exception):
    """A photo that is whole, but cannot be decoded or encoded faithfully."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found, self.expected = found, expected


class TruncatedDataError(UnsupportedError):
    """A photo whose end is missing."""

    def __init__(self, found: str) -> None:
        super().__init__(found, "a whole photo")


def need_heif() -> None:
    """Make Pillow know HEIC.

    Raises:
        UnsupportedError: if pillow-heif is not installed.
    """
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise UnsupportedError("HEIC", "the package pillow-heif to be installed") from error
