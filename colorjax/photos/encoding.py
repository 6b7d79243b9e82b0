"""Arrays to the bytes of a photo file: Pillow for most, tifffile for TIFF, numpngw for 16-bit PNG."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from colorjax.photos.decoding import DEEP, Refused, need_heif
from colorjax.photos.metadata import Metadata, save_options, tiff_directory

_LONGEST = {"JPEG": 65500, "WEBP": 16383}  # sides, in pixels; libjpeg prints where we raise
_WITH_ALPHA = (*DEEP, "WEBP", "AVIF", "HEIF", "JPEG2000")


def to_8bit(levels: np.ndarray) -> np.ndarray:
    """Return v / 257, rounded to the nearest, of 16-bit levels; 8-bit levels as they are.

    Spec: FIL-004
    """
    return (
        levels
        if levels.dtype == np.uint8
        else ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    )


def encode(
    pixels: np.ndarray, alpha: np.ndarray | None, kind: str, quality: int, metadata: Metadata
) -> bytes:
    """Encode gray or RGB levels, and alpha where the format has it, to the bytes of a file.

    Args:
        pixels: uint8 or uint16; 16 bits stay so in PNG and TIFF.
        alpha: of the same dtype, or None.
        kind: a key of `SUFFIXES` but "GIF".
        quality: 1 to 100, of JPEG, WebP (100: lossless), AVIF and HEIC.
        metadata: carried along where the format can.

    Raises:
        Refused: if a format needs a library that is not there, or cannot hold so long a side.

    Spec: FIL-016, FIL-017, FIL-025, FIL-026, FIL-028
    """
    if kind == "HEIF":
        need_heif()
    if max(pixels.shape[:2]) > (longest := _LONGEST.get(kind, max(pixels.shape))):
        raise Refused(f"a side of {max(pixels.shape)} pixels as {kind}", f"at most {longest}")
    levels = pixels if alpha is None or kind not in _WITH_ALPHA else np.dstack([pixels, alpha])
    if kind not in DEEP:
        levels = to_8bit(levels)
    if kind == "TIFF":
        return _tiff(levels, metadata)
    if levels.dtype == np.uint16:
        return _deep_png(levels, metadata)
    options = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "PNG": {"compress_level": 4},  # 2 % larger than 6, twice as fast
        "WEBP": {"quality": quality, "exact": True, "lossless": quality == 100},
        "AVIF": {"quality": quality, "subsampling": "4:4:4", "alpha_quality": 100},
        "HEIF": {"quality": quality, "chroma": 444},
    }
    file = io.BytesIO()
    Image.fromarray(levels).save(
        file, kind, **options.get(kind, {}), **save_options(metadata, kind)
    )
    return file.getvalue()


def _deep_png(levels: np.ndarray, metadata: Metadata) -> bytes:
    """Encode with numpngw, and take the chunks for the metadata from a small PNG by Pillow."""
    import numpngw

    file, small = io.BytesIO(), io.BytesIO()
    numpngw.write_png(file, levels, filter_type=1)
    Image.new("L", (1, 1)).save(small, "PNG", **save_options(metadata, "PNG"))
    signature, header, *pixels = _png_chunks(file.getvalue())
    kept = [
        chunk
        for chunk in _png_chunks(small.getvalue())[1:]
        if chunk[4:8] not in (b"IHDR", b"IDAT", b"IEND")
    ]
    return b"".join([signature, header, *kept, *pixels])


def _png_chunks(png: bytes) -> list[bytes]:
    """Return the signature and the chunks of a PNG."""

    def chunks() -> Iterator[bytes]:
        yield png[:8]
        place = 8
        while place < len(png):
            size = 12 + int.from_bytes(png[place : place + 4], "big")
            yield png[place : place + size]
            place += size

    return list(chunks())


def _tiff(levels: np.ndarray, metadata: Metadata) -> bytes:
    """Encode with tifffile (deflate, horizontal differences), then merge the metadata into its directory."""
    import tifffile

    channels = levels.shape[2] if levels.ndim == 3 else 1
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        levels,
        byteorder="<",
        bigtiff=False,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        compressionargs={"level": 3},
        predictor=True,
        metadata=None,
        software="colorjax",
    )
    file.write(bytes(file.seek(0, io.SEEK_END) % 2))
    extra = tiff_directory(metadata, len(file.getvalue()))
    file.write(extra)
    data = bytearray(file.getvalue())
    entries = _tiff_entries(data, struct.unpack_from("<I", data, 4)[0])
    entries |= _tiff_entries(data, len(data) - len(extra))
    struct.pack_into("<I", data, 4, len(data))
    data += (
        struct.pack("<H", len(entries))
        + b"".join(entries[tag] for tag in sorted(entries))
        + bytes(4)
    )
    return bytes(data)


def _tiff_entries(data: bytearray, place: int) -> dict[int, bytes]:
    """Return the entries of a little-endian TIFF directory by tag."""
    (count,) = struct.unpack_from("<H", data, place)
    entries = (bytes(data[place + 2 + 12 * i : place + 14 + 12 * i]) for i in range(count))
    return {struct.unpack("<H", entry[:2])[0]: entry for entry in entries}
