"""Arrays to the bytes of a photo file: Pillow for most, tifffile for TIFF, numpngw for 16-bit PNG."""

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos.decoding import DEEP, MOVING, Refused, need_heif
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
    levels = _levels(pixels, alpha, kind)
    if kind == "TIFF":
        return _tiff([levels], metadata)
    if levels.dtype == np.uint16:
        return _deep_png(levels, metadata)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, kind, **_options(kind, quality, metadata))
    return file.getvalue()


def encode_pages(
    pages: Iterable[tuple[np.ndarray, np.ndarray | None]],
    kind: str,
    quality: int,
    metadata: Metadata,
) -> bytes:
    """Encode pixels and alpha of pages as one TIFF; arguments else as for `encode`.

    Spec: FIL-034
    """
    return _tiff((_levels(pixels, alpha, kind) for pixels, alpha in pages), metadata)


def encode_animation(
    frames: Sequence[tuple[np.ndarray, np.ndarray | None, float]],
    plays: int,
    kind: str,
    quality: int,
    metadata: Metadata,
) -> bytes:
    """Encode pixels, alpha and milliseconds of frames as one animation; arguments else as for `encode`.

    Args:
        frames: of one size.
        plays: how often it plays; 0 is without end.
        kind: "PNG", "WEBP" or "AVIF".
        quality: as for `encode`.
        metadata: as for `encode`.

    Raises:
        Refused: if the format holds no animation, or the frames are of several sizes.

    Spec: FIL-034
    """
    if kind not in MOVING:
        raise Refused(f"several frames as {kind}", "PNG, WEBP, AVIF or TIFF")
    if len({pixels.shape[:2] for pixels, _, _ in frames}) > 1:
        raise Refused(f"frames of several sizes as {kind}", "TIFF")
    translucent = any(alpha is not None for _, alpha, _ in frames)
    images = [
        Image.fromarray(to_8bit(_levels(pixels, alpha, kind))).convert(
            "RGBA" if translucent else "RGB"
        )
        for pixels, alpha, _ in frames
    ]
    options = _options(kind, quality, metadata)
    if kind == "PNG":
        options |= {"disposal": 0, "blend": 0}  # each frame as it is, on nothing
    file = io.BytesIO()
    images[0].save(
        file,
        kind,
        save_all=True,
        append_images=images[1:],
        duration=[round(milliseconds) for _, _, milliseconds in frames],
        loop=plays,
        **options,
    )
    return file.getvalue()


def _levels(pixels: np.ndarray, alpha: np.ndarray | None, kind: str) -> np.ndarray:
    """Return pixels with alpha and at the depth that a format holds."""
    if max(pixels.shape[:2]) > (longest := _LONGEST.get(kind, max(pixels.shape))):
        raise Refused(f"a side of {max(pixels.shape)} pixels as {kind}", f"at most {longest}")
    levels = pixels if alpha is None or kind not in _WITH_ALPHA else np.dstack([pixels, alpha])
    return levels if kind in DEEP else to_8bit(levels)


def _options(kind: str, quality: int, metadata: Metadata) -> dict[str, Any]:
    """Return the options with which Pillow writes a format."""
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "PNG": {"compress_level": 4},  # 2 % larger than 6, twice as fast
        "WEBP": {"quality": quality, "exact": True, "lossless": quality == 100},
        "AVIF": {"quality": quality, "subsampling": "4:4:4", "alpha_quality": 100},
        "HEIF": {"quality": quality, "chroma": 444},
    }
    return options.get(kind, {}) | save_options(metadata, kind)


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


def _tiff(pages: Iterable[np.ndarray], metadata: Metadata) -> bytes:
    """Encode with tifffile (deflate, horizontal differences), then merge the metadata into the first directory."""
    import tifffile

    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<", bigtiff=False) as writer:
        for levels in pages:
            channels = levels.shape[2] if levels.ndim == 3 else 1
            writer.write(
                levels,
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
    entries, following = _tiff_entries(data, struct.unpack_from("<I", data, 4)[0])
    entries |= _tiff_entries(data, len(data) - len(extra))[0]
    struct.pack_into("<I", data, 4, len(data))
    data += struct.pack("<H", len(entries))
    data += b"".join(entries[tag] for tag in sorted(entries)) + following
    return bytes(data)


def _tiff_entries(data: bytearray, place: int) -> tuple[dict[int, bytes], bytes]:
    """Return the entries of a little-endian TIFF directory by tag, and the place of the following one."""
    (count,) = struct.unpack_from("<H", data, place)
    entries = (bytes(data[place + 2 + 12 * i : place + 14 + 12 * i]) for i in range(count))
    following = bytes(data[place + 2 + 12 * count : place + 6 + 12 * count])
    return {struct.unpack("<H", entry[:2])[0]: entry for entry in entries}, following
