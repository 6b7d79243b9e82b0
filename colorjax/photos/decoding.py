"""Decoding of open photos: upright gray or sRGB arrays at their true depth."""

import io
import sys
from typing import Any, cast

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from colorjax.photos.formats import TruncatedDataError, UnsupportedError
from colorjax.photos.headers import (
    Header,
    Opened,
    TiffPages,
    jpeg2000_depths,
    rawmode_of,
    read_exif,
)
from colorjax.photos.profiles import image_to_srgb, levels_to_srgb

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # the orientations that are undone by turning by 90°
_SCALES = {"L;2": 85, "L;4": 17}  # by which Pillow scales samples, but not the clear level
_TIFF_SAMPLES = ((np.uint8, 8), (np.uint16, 16))


def _check_strips(image: TiffImagePlugin.TiffImageFile) -> None:
    """Check that a TIFF has as many strips or tiles as its size needs. Pillow leaves missing ones black."""
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


def decode(image: Opened, file: Any, header: Header) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Decode an open image.

    Args:
        image: An open image, from `headers.open_image`.
        file: The file that it comes from.
        header: Its header, from `headers.read_header`.

    Returns:
        Upright gray or sRGB levels, and alpha or None, all uint8 or all uint16; and whether they were turned by 90°.

    Raises:
        UnsupportedError: the image cannot be decoded at its depth.
        Exception: whatever a decoder raises on damaged data.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile) and not ImageFile.LOAD_TRUNCATED_IMAGES:
        _check_strips(image)
    undone = 1  # the orientation that Pillow undoes while it loads a TIFF
    if isinstance(image, TiffPages) or _is_planar(image, header):
        pages = image if isinstance(image, TiffPages) else TiffPages(file)
        pages.seek(image.tell())
        color, alpha, orientation = _tiff_page(pages, file)
        if color.dtype == np.uint8:
            profile = pages.info.get("icc_profile")
            color = np.asarray(image_to_srgb(Image.fromarray(color), profile))
    else:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            undone = _orientation(image)
        color, alpha = (
            _decode_16bit(image, file) if header.bits == 16 else _decode_8bit(image, file)
        )
        orientation = _orientation(image)
    if color.dtype == np.uint16:
        color = levels_to_srgb(color, image.info.get("icc_profile"))
    turned = undone in _SIDEWAYS or orientation in _SIDEWAYS
    alpha = None if alpha is None else _turn_upright(alpha, orientation)
    return _turn_upright(color, orientation), alpha, turned


def _decode_8bit(image: Image.Image, file: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode an image with 1 or 8 bits per channel."""
    moving = isinstance(image, PngImagePlugin.PngImageFile) and image.is_animated
    shown = _moving_frame(image) if moving else _loaded(image)
    if image.format == "JPEG2000":
        shown = _fill_scale(shown, file)
    profile = image.info.get("icc_profile")
    gray = image.mode in ("1", "L", "LA", "La")
    indexed = image.mode in ("P", "PA")
    image, alpha = shown, None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if gray else "RGB")
    color = np.asarray(image_to_srgb(image, profile))
    if indexed and (color == color[..., :1]).all():
        color = color[..., 0]
    return color, alpha


def _fill_scale(image: Image.Image, file: Any) -> Image.Image:
    """Scale samples of fewer than 8 bits in JPEG 2000, which Pillow only shifts, so that white is white."""
    depths, bands = jpeg2000_depths(file), len(image.getbands())
    if min(depths) >= 8 or len(depths) < bands or image.mode not in ("L", "LA", "RGB", "RGBA"):
        return image
    tables = [_full_levels(8, depth) for depth in depths[:bands]]
    return image.point(np.concatenate(tables).tolist())


def _full_levels(bits: int, depth: int) -> np.ndarray:
    """Return the level in `bits` bits of each sample whose upper bits have a smaller depth."""
    depth = min(depth, bits)
    upper = np.arange(2**bits) >> (bits - depth)
    return np.rint(upper * ((2**bits - 1) / (2**depth - 1))).astype(np.uint16)


def _loaded(image: Image.Image) -> Image.Image:
    """Load an image, and scale the clear level of a gray PNG as Pillow scales its samples."""
    scale = _SCALES.get(rawmode_of(image), 1) if image.format == "PNG" else 1
    image.load()
    if scale > 1 and isinstance(clear := image.info.get("transparency"), int):
        image = image.copy()
        image.info["transparency"] = scale * clear
    return image


def _moving_frame(image: Any) -> Image.Image:
    """Decode a frame of an animated PNG as viewers show it (PNG, third edition, 11.3.6.2): to RGBA, L or RGB.

    Pillow composes frames in the mode of the file: palettes, gray and RGB have no transparent background there, and
    half-transparent frames are mixed wrongly. Here it only decodes each part. What is below the next frame is kept with
    the image. Frames that were passed over are decoded first.
    """
    number = image.tell()
    done, below = getattr(image, "kept_below", (number, None))
    if done >= number:  # begin with the first frame, not with a picture outside the animation
        done, below = (0 if image.default_image and number else -1), None
    shown = Image.new("RGBA", image.size)
    for each in range(done + 1, number + 1):
        image.seek(each)
        lie_over = below and image.blend_op == PngImagePlugin.Blend.OP_OVER
        image.blend_op = PngImagePlugin.Blend.OP_SOURCE
        box = image.info.get("bbox", (0, 0, *image.size))
        part = _loaded(image).crop(box).convert("RGBA")
        below = below or Image.new("RGBA", image.size)
        shown = below.copy()
        if lie_over:
            shown.alpha_composite(part, box[:2])
        else:
            shown.paste(part, box[:2])
        if image.dispose_op == PngImagePlugin.Disposal.OP_NONE:
            below = shown
        elif image.dispose_op == PngImagePlugin.Disposal.OP_BACKGROUND:
            below = shown.copy()
            below.paste((0, 0, 0, 0), box)
    image.kept_below = number, below
    if image.has_transparency_data or shown.getchannel("A").getextrema() != (255, 255):
        return shown
    return shown.convert("L" if image.mode in ("1", "L") else "RGB")


def _decode_16bit(image: Image.Image, file: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode an image with more than 8 bits per channel to uint16.

    Pillow has no mode for 16-bit color: it unpacks the upper byte of each sample. The file is therefore decoded twice.
    The second pass uses the unpacker of the other byte order, which takes the lower byte.
    """
    rawmode, clear = rawmode_of(image), image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        levels = _gray_levels(np.asarray(image), rawmode)
        if image.format == "JPEG2000":
            levels = _full_levels(16, jpeg2000_depths(file)[0])[levels]
        if getattr(image, "tag_v2", {}).get(262) == 0:  # a TIFF where white is zero
            levels = 65535 - levels
        return levels, None if clear is None else _opacity(levels == clear)

    if image.format == "PNG" and image.tell():
        raise UnsupportedError("an animation of 16 bits per channel", "8 bits")
    file = getattr(image, "fp", None) or file  # of a PNG, without useless chunks
    place = file.tell()
    file.seek(0)
    copy = Image.open(file, formats=[image.format or ""])
    copy.seek(image.tell())
    file.seek(place)
    if rawmode == "LA;16B":  # four bytes per pixel, as in RGBA
        pairs = np.asarray(_unpacked_as(copy, "RGBA")).astype(np.uint16)
        image.load()  # reads the metadata behind the pixels
        return pairs[..., 0] << 8 | pairs[..., 1], pairs[..., 2] << 8 | pairs[..., 3]
    straight = rawmode.replace("RGBa", "RGBA")
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[rawmode[-1]]
    upper, lower = _unpacked_as(image, straight), _unpacked_as(copy, straight[:-1] + other)
    levels = np.asarray(upper).astype(np.uint16) << 8
    levels |= np.asarray(lower)
    if levels.shape[-1] == 4:
        color, alpha = np.ascontiguousarray(levels[..., :3]), np.ascontiguousarray(levels[..., 3])
        return _unassociate_alpha(color, alpha) if "RGBa" in rawmode else color, alpha
    if clear is None:
        return levels, None
    return levels, _opacity((levels == np.array(clear)).all(-1))


def _opacity(clear: np.ndarray) -> np.ndarray:
    """Return alpha that is 0 where `clear` is true, and opaque elsewhere."""
    return np.where(clear, 0, 65535).astype(np.uint16)


def _gray_levels(stored: np.ndarray, rawmode: str) -> np.ndarray:
    """Scale gray samples of 12, 16 and 32 bits, and float samples, to 16 bits."""
    if stored.dtype.kind == "f":
        finite = stored[np.isfinite(stored)]
        largest = float(finite.max(initial=0))
        white = next((white for white in (1, 255, 65535) if largest <= white), largest)
        with np.errstate(invalid="ignore"):  # signaling NaNs warn when they are widened
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


def _unassociate_alpha(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divide color by its associated alpha."""
    top = np.uint64(np.iinfo(alpha.dtype).max)
    opacity = np.maximum(alpha, 1).astype(np.uint64)
    if color.ndim == 3:
        opacity = opacity[..., None]
    return np.minimum((color * top + opacity // 2) // opacity, top).astype(alpha.dtype)


def _tiff_page(pages: TiffPages, file: Any) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Decode a page with tifffile: gray or RGB of 8 or 16 bits, with at most one extra channel."""
    page = pages.page
    extra: tuple[int, ...] = tuple(page.extrasamples)
    gray = page.photometric in (0, 1)
    known = page.photometric in (0, 1, 2) and (page.dtype, page.bitspersample) in _TIFF_SAMPLES
    channels = (1 if gray else 3) + len(extra)
    if not known or len(extra) > 1 or page.samplesperpixel != channels or page.imagedepth != 1:
        raise UnsupportedError("a TIFF of unusual samples", "gray or RGB of 8 or 16 bits")
    if page.compression not in (1, 8, 32946):  # none, deflate, deflate
        name = getattr(page.compression, "name", page.compression)  # an unknown one is a number
        found = f"a TIFF of unusual samples with {name} compression"
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
        color = _unassociate_alpha(color, alpha)
    tag = page.tags.get(_ORIENTATION)
    return np.array(color), alpha, tag.value if tag else 1


def _is_planar(image: Image.Image, header: Header) -> bool:
    """Return whether a TIFF has one plane per channel that Pillow cannot unpack: 16-bit color, gray with alpha."""
    configuration = getattr(image, "tag_v2", {}).get(TiffImagePlugin.PLANAR_CONFIGURATION)
    if configuration != 2 or len(image.getbands()) == 1:
        return False
    return header.bits == 16 or (
        image.mode == "LA" and cast(Any, image).tile[0].codec_name == "raw"
    )


def _unpacked_as(image: Any, rawmode: str) -> Image.Image:
    """Make an image unpack its samples in another way."""
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    return image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image. That of a TIFF is gone once Pillow has loaded it."""
    try:
        return read_exif(image).get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not damage the photo
        return 1


def _turn_upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation."""
    if orientation in _SIDEWAYS:
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)
