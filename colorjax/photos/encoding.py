"""Encoding of arrays to photo files. Pillow writes most formats, tifffile TIFF, numpngw 16-bit PNG."""

import io
import itertools
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image, ImageChops, ImageSequence, PngImagePlugin

from colorjax.photos.formats import MULTI_FRAME, SIXTEEN_BIT, UnsupportedError, need_heif
from colorjax.photos.metadata import Metadata, save_options, tiff_directory

_LONGEST = {"JPEG": 65500, "WEBP": 16383}  # sides in pixels; libjpeg would print an error
_MOST_PLAYS = {"WEBP": 65_535}
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
    _image(levels).save(file, kind, **_options(kind, quality, metadata))
    return file.getvalue()


def _image(levels: np.ndarray) -> Image.Image:
    """Return the image of gray, RGB or RGBA levels. `Image.fromarray` would fill RGB with black before it copies."""
    if levels.shape[2:] != (3,) or levels.dtype != np.uint8:
        return Image.fromarray(levels)
    image = Image.new("RGB", levels.shape[1::-1], None)
    image.frombytes(np.ascontiguousarray(levels).data)
    return image


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
    file: io.BufferedIOBase,
) -> None:
    """Encode frames as one animation, each as soon as it is available.

    Args:
        frames: Pixels, alpha and milliseconds of each frame. All frames have one size.
        plays: How often the animation plays; 0 means endlessly.
        kind: "PNG", "WEBP" or "AVIF".
        quality: As for `encode`.
        metadata: As for `encode`.
        file: A new file, open for reading and writing.

    Raises:
        UnsupportedError: the format does not support animations, or the frames differ in size.
    """
    if kind not in MULTI_FRAME:
        raise UnsupportedError(f"several frames as {kind}", "PNG, WEBP, AVIF or TIFF")
    images, options = _images(frames, kind), _options(kind, quality, metadata)
    if kind == "PNG":
        _write_moving_png(file, images, plays, options)
        return
    plays = min(plays, _MOST_PLAYS.get(kind, plays))
    # Pillow wants all frames at once, or a file from which it takes them one by one
    with tempfile.TemporaryFile() as kept:
        durations = _write_moving_png(kept, images, plays, {"compress_level": 1})
        kept.seek(0)
        with PngImagePlugin.PngImageFile(kept) as image:
            image.save(
                cast(Any, file), kind, save_all=True, duration=durations, loop=plays, **options
            )
    if kind == "AVIF":
        _clear_times(file, 0, file.seek(0, io.SEEK_END))


def _clear_times(file: io.BufferedIOBase, place: int, end: int) -> None:
    """Set the times in boxes of an animated AVIF, where libavif writes the present one, to zero.

    They are in the headers of the movie, its tracks and their media (ISO 14496-12, 8.2.2, 8.3.2 and 8.4.2).
    """
    while place + 12 <= end:
        size, kind, version = _read(file, place, ">I4sB")
        if size < 8:  # the rest of the file: pixels
            break
        if kind in (b"moov", b"trak", b"mdia"):
            _clear_times(file, place + 8, place + size)
        elif kind in (b"mvhd", b"tkhd", b"mdhd"):
            file.seek(place + 12)
            file.write(bytes(16 if version else 8))
        place += size
    file.seek(end)


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
    signature, header, *others = _png_chunks(file.getvalue())
    # besides pixels, numpngw writes the present time and its own name
    pixels = [chunk for chunk in others if chunk[4:8] in (b"IDAT", b"IEND")]
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


def _images(
    frames: Iterable[tuple[np.ndarray, np.ndarray | None, float]], kind: str
) -> Iterator[tuple[Image.Image, int]]:
    """Yield frames of one size as RGB or RGBA, with their milliseconds."""
    size = None
    for pixels, alpha, milliseconds in frames:
        image = Image.fromarray(to_8bit(_levels(pixels, alpha, kind)))
        size = size or image.size
        if image.size != size:
            raise UnsupportedError(f"frames of several sizes as {kind}", "TIFF")
        yield image.convert("RGBA" if image.has_transparency_data else "RGB"), round(milliseconds)


def _write_moving_png(
    file: io.BufferedIOBase,
    frames: Iterable[tuple[Image.Image, int]],
    plays: int,
    options: dict[str, Any],
) -> list[int]:
    """Write an animated PNG (third edition, 4.9) frame by frame, and return the milliseconds of each frame.

    The first frame decides whether the file has alpha. If a later one needs it, the file is written again.
    """
    frames, durations, numbers = iter(frames), [], itertools.count()
    before: Image.Image | None = None
    announced = file.tell()

    def finish() -> None:
        file.write(_png_chunk(b"IEND"))
        file.seek(announced)
        file.write(_png_chunk(b"acTL", struct.pack(">II", len(durations), plays)))
        file.seek(0, io.SEEK_END)

    for image, milliseconds in frames:
        if before and image.mode != before.mode:
            if before.mode == "RGBA" or image.getchannel("A").getextrema() == (255, 255):
                image = image.convert(before.mode)
            else:
                finish()
                again = itertools.chain([(image, milliseconds)], frames)
                return _write_again_with_alpha(file, durations, again, plays, options)
        size, place = image.size, (0, 0)
        encoded = io.BytesIO()
        if before:  # only the part that changes
            box = ImageChops.difference(image, before).getbbox(alpha_only=False) or (0, 0, 1, 1)
            size, place = (box[2] - box[0], box[3] - box[1]), box[:2]
            image.crop(box).save(encoded, "PNG", compress_level=options["compress_level"])
        else:
            image.save(encoded, "PNG", **options)
        signature, header, *chunks = _png_chunks(encoded.getvalue())
        data = [chunk[8:-4] for chunk in chunks if chunk[4:8] == b"IDAT"]
        if before is None:
            file.write(signature + header)
            announced = file.tell()
            file.write(_png_chunk(b"acTL", bytes(8)))
            file.writelines(each for each in chunks if each[4:8] not in (b"IDAT", b"IEND"))
        control = struct.pack(">IIIII", next(numbers), *size, *place)
        control += struct.pack(">HHBB", *_delay(milliseconds), 0, 0)  # stays, and replaces
        file.write(_png_chunk(b"fcTL", control))
        for part in data:
            if before is None:
                file.write(_png_chunk(b"IDAT", part))
            else:
                file.write(_png_chunk(b"fdAT", struct.pack(">I", next(numbers)) + part))
        before = image
        durations.append(milliseconds)
    finish()
    return durations


def _write_again_with_alpha(
    file: io.BufferedIOBase,
    durations: list[int],
    more: Iterable[tuple[Image.Image, int]],
    plays: int,
    options: dict[str, Any],
) -> list[int]:
    """Replace an animated PNG without alpha by one with alpha and more frames."""
    with tempfile.TemporaryFile() as kept:
        file.seek(0)
        shutil.copyfileobj(file, kept)
        file.seek(0)
        file.truncate()
        kept.seek(0)
        with PngImagePlugin.PngImageFile(kept) as image:
            earlier = (each.convert("RGBA") for each in ImageSequence.Iterator(image))
            frames = itertools.chain(zip(earlier, durations, strict=True), more)
            return _write_moving_png(file, frames, plays, options)


def _delay(milliseconds: int) -> tuple[int, int]:
    """Return a duration as a fraction of a second whose parts have 16 bits, as close as possible."""
    largest = max(1, min(1000, 65_535_000 // max(milliseconds, 1) - 1))
    return Fraction(milliseconds, 1000).limit_denominator(largest).as_integer_ratio()


def _png_chunk(name: bytes, data: bytes = b"") -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)


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


def _read(file: io.BufferedIOBase, place: int, form: str) -> tuple[Any, ...]:
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
