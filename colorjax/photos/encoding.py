"""Encoding of arrays to photo files. Pillow writes most formats, tifffile TIFF, numpngw 16-bit PNG."""

import io
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image

from colorjax.photos.formats import MULTI_FRAME, SIXTEEN_BIT, UnsupportedError, need_heif
from colorjax.photos.metadata import Metadata, save_options, tiff_directory

_LONGEST = {"JPEG": 65500, "WEBP": 16383}  # sides in pixels; libjpeg would print an error
_WITH_ALPHA = (*SIXTEEN_BIT, "WEBP", "AVIF", "HEIF", "JPEG2000")


def to_8bit(levels: np.ndarray) -> np.ndarray:
    """Return 16-bit levels as v / 257, rounded to the nearest integer. 8-bit levels come back unchanged."""
    return (
        levels
        if levels.dtype == np.uint8
        else ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    )


def encode(
    pixels: np.ndarray, alpha: np.ndarray | None, kind: str, quality: int, metadata: Metadata
) -> bytes:
    """Encode gray or RGB levels, and alpha where the format supports it.

    Args:
        pixels: uint8 or uint16 levels. PNG and TIFF keep 16 bits.
        alpha: Opacity of the same dtype, or None.
        kind: A key of `SUFFIXES`, except "GIF".
        quality: 1 to 100, for JPEG, WebP, AVIF and HEIC. WebP is lossless at 100.
        metadata: Written where the format supports it.

    Returns:
        The bytes of the file.

    Raises:
        UnsupportedError: the format needs a library that is not installed, or cannot hold so long a side.
    """
    if kind == "HEIF":
        need_heif()
    levels = _levels(pixels, alpha, kind)
    if levels.dtype == np.uint16 and kind == "PNG":
        return _deep_png(levels, metadata)
    file = io.BytesIO()
    if kind == "TIFF":
        _write_tiff(file, [levels], metadata)
        return file.getvalue()
    Image.fromarray(levels).save(file, kind, **_options(kind, quality, metadata))
    return file.getvalue()


def encode_pages(
    pages: Iterable[tuple[np.ndarray, np.ndarray | None]],
    kind: str,
    file: io.BufferedIOBase,
    metadata: Metadata,
) -> None:
    """Write pages to one TIFF, each as soon as it is available.

    Args:
        pages: Pixels and alpha of each page, in order.
        kind: "TIFF".
        file: A new file, open for reading and writing.
        metadata: Metadata of the first page.
    """
    _write_tiff(file, (_levels(pixels, alpha, kind) for pixels, alpha in pages), metadata)


def encode_animation(
    frames: Iterable[tuple[np.ndarray, np.ndarray | None, float]],
    plays: int,
    kind: str,
    quality: int,
    metadata: Metadata,
) -> bytes:
    """Encode frames as one animation.

    Args:
        frames: Pixels, alpha and milliseconds of each frame. All frames have one size.
        plays: How often the animation plays; 0 means endlessly.
        kind: "PNG", "WEBP" or "AVIF".
        quality: As for `encode`.
        metadata: As for `encode`.

    Returns:
        The bytes of the file.

    Raises:
        UnsupportedError: the format does not support animations, or the frames differ in size.
    """
    if kind not in MULTI_FRAME:
        raise UnsupportedError(f"several frames as {kind}", "PNG, WEBP, AVIF or TIFF")
    images, durations = [], []
    for pixels, alpha, milliseconds in frames:
        image = Image.fromarray(to_8bit(_levels(pixels, alpha, kind)))
        images.append(image.convert("RGB") if image.mode == "L" else image)
        durations.append(round(milliseconds))
        if images[0].size != image.size:
            raise UnsupportedError(f"frames of several sizes as {kind}", "TIFF")
    if any(image.has_transparency_data for image in images):
        images = [image.convert("RGBA") for image in images]
    options = _options(kind, quality, metadata)
    if kind == "PNG":
        options |= {"disposal": 0, "blend": 0}  # each frame replaces the one before
    file = io.BytesIO()
    images[0].save(
        file,
        kind,
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=plays,
        **options,
    )
    return file.getvalue()


def _levels(pixels: np.ndarray, alpha: np.ndarray | None, kind: str) -> np.ndarray:
    """Return pixels with alpha, at the depth that a format supports."""
    if max(pixels.shape[:2]) > (longest := _LONGEST.get(kind, max(pixels.shape))):
        raise UnsupportedError(
            f"a side of {max(pixels.shape)} pixels as {kind}", f"at most {longest}"
        )
    levels = pixels if alpha is None or kind not in _WITH_ALPHA else np.dstack([pixels, alpha])
    return levels if kind in SIXTEEN_BIT else to_8bit(levels)


def _options(kind: str, quality: int, metadata: Metadata) -> dict[str, Any]:
    """Return the options with which Pillow writes a format."""
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "PNG": {"compress_level": 4},  # twice as fast as 6, and 2 % larger
        "WEBP": {"quality": quality, "exact": True, "lossless": quality == 100},
        "AVIF": {"quality": quality, "subsampling": "4:4:4", "alpha_quality": 100},
        "HEIF": {"quality": quality, "chroma": 444},
    }
    return options.get(kind, {}) | save_options(metadata, kind)


def _deep_png(levels: np.ndarray, metadata: Metadata) -> bytes:
    """Encode with numpngw. The metadata chunks come from a small PNG that Pillow writes."""
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
    """Split a PNG into its signature and its chunks."""

    def chunks() -> Iterator[bytes]:
        yield png[:8]
        place = 8
        while place < len(png):
            size = 12 + int.from_bytes(png[place : place + 4], "big")
            yield png[place : place + size]
            place += size

    return list(chunks())


def _write_tiff(file: io.BufferedIOBase, pages: Iterable[np.ndarray], metadata: Metadata) -> None:
    """Write a TIFF with tifffile (deflate, horizontal differencing) and merge the metadata into its first directory."""
    import tifffile

    with tifffile.TiffWriter(cast(Any, file), byteorder="<", bigtiff=metadata.big) as writer:
        extra = file.seek(0, io.SEEK_END)
        file.write(tiff_directory(metadata, extra))
        file.write(bytes(file.tell() % 2))
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
        file.flush()
        form = _Form("<Q", "<Q", 20, 8) if metadata.big else _Form("<H", "<L", 12, 4)
        (first,) = _read(file, form.head, form.offset)
        entries, following = _tiff_entries(file, first, form)
        entries |= _tiff_entries(file, extra, form)[0]
        end = file.seek(0, io.SEEK_END)
        file.write(bytes(end % 2) + struct.pack(form.count, len(entries)))
        file.write(b"".join(entries[tag] for tag in sorted(entries)) + following)
        file.seek(form.head)
        file.write(struct.pack(form.offset, end + end % 2))
        file.seek(0, io.SEEK_END)


class _Form(NamedTuple):
    """The layout of a directory in TIFF or BigTIFF.

    Attributes:
        count: Format of the number of entries, for `struct`.
        offset: Format of the offset of the next directory.
        entry: Bytes per entry.
        head: Position in the file of the offset of the first directory.
    """

    count: str
    offset: str
    entry: int
    head: int


def _read(file: io.BufferedIOBase, place: int, form: str) -> tuple[int, ...]:
    file.seek(place)
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _tiff_entries(
    file: io.BufferedIOBase, place: int, form: _Form
) -> tuple[dict[int, bytes], bytes]:
    """Return the entries of a little-endian directory by tag, and the offset of the next directory."""
    (count,) = _read(file, place, form.count)
    entries = (file.read(form.entry) for _ in range(count))
    by_tag = {struct.unpack("<H", entry[:2])[0]: entry for entry in entries}
    return by_tag, file.read(struct.calcsize(form.offset))
