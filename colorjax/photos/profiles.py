"""ICC profiles: conversion of stored levels to sRGB.

LittleCMS, as Pillow uses it, converts 8-bit color only. Gray profiles and matrix profiles, which scanners and cameras
write, are therefore also evaluated here, following ICC.1:2010.
"""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, ImageCms

# the D50-adapted primaries of sRGB, as the ICC profile of IEC 61966-2-1 holds them
_SRGB_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_LONGEST_TAG = 1 << 18  # bytes; the longest curve that is evaluated has 131,084
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def image_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an 8-bit image to sRGB.

    Args:
        image: An image of mode L, RGB, CMYK or LAB.
        profile: An ICC profile. A profile that cannot be used is ignored.

    Returns:
        An image of mode L for L, else of mode RGB.
    """
    if image.mode == "LAB":
        return (
            ImageCms.applyTransform(image, _transform(ImageCms.createProfile("LAB"), "LAB"))
            or image
        )
    if profile and image.mode == "L":
        levels = np.arange(256, dtype=np.uint16) * np.uint16(257)
        table = (levels_to_srgb(levels[None], profile)[0].astype(np.uint32) + 128) // 257
        return image.point(table.tolist()) if np.abs(table - np.arange(256.0)).max() > 1 else image
    if profile and _space(profile) == _SPACES.get(image.mode):
        try:
            transform = _transform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), image.mode)
        except (ImageCms.PyCMSError, OSError):
            transform = None
        if transform and _changes_levels(transform, image.mode):
            return ImageCms.applyTransform(image, transform) or image
    return image.convert("RGB") if image.mode == "CMYK" else image


def levels_to_srgb(levels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Convert 16-bit levels to sRGB.

    Args:
        levels: uint16, gray (h, w) or RGB (h, w, 3).
        profile: An ICC profile. A profile that cannot be used is ignored.

    Returns:
        uint16 levels of the same shape.
    """
    gray = levels.ndim == 2
    if not profile or _space(profile) != ("GRAY" if gray else "RGB"):
        return levels
    try:
        tags = _tags(profile)
        if gray and tags.keys() & {b"A2B0", b"A2B1"}:  # tables go before curves
            return _by_gray_table(levels, profile)
        curves = [
            _curve(tags[name]) for name in ((b"kTRC",) if gray else (b"rTRC", b"gTRC", b"bTRC"))
        ]
        if gray and profile[20:24] == b"Lab ":
            curves = [_luminance(curves[0])]
        matrix = np.eye(1)
        if not gray:
            primaries = [
                struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")
            ]
            matrix = np.linalg.inv(_SRGB_XYZ) @ np.transpose(primaries) / 65536
    except (KeyError, IndexError, ValueError, ZeroDivisionError, struct.error):
        return levels if gray else _by_table(levels, profile)

    def convert(rows: np.ndarray) -> np.ndarray:
        linear = np.stack([curve[rows[..., i]] for i, curve in enumerate(curves)], -1)
        return _srgb_levels(linear @ matrix.T.astype(np.float32))

    stored = levels[..., None] if gray else levels
    steps = np.linspace(0, 65535, 256 if gray else 9).round().astype(np.uint16)
    probe = np.stack(np.meshgrid(*[steps] * stored.shape[-1]), -1)
    if np.abs(convert(probe).astype(int) - probe).max() <= 257:
        return levels
    converted = np.empty_like(stored)
    for start in range(0, len(stored), 64):  # bounds the memory for floats
        converted[start : start + 64] = convert(stored[start : start + 64])
    return converted.reshape(levels.shape)


def _by_gray_table(levels: np.ndarray, profile: bytes) -> np.ndarray:
    """Convert 256 grays with LittleCMS, and interpolate between them."""
    steps = np.arange(256, dtype=np.uint8)
    try:
        transform = _transform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), "L")
        moved = ImageCms.applyTransform(Image.fromarray(steps[None]), transform)
    except (ImageCms.PyCMSError, OSError):
        return levels
    green = np.asarray(moved)[0, :, 1].astype(float)
    if np.abs(green - steps).max() <= 1:
        return levels
    table = np.interp(np.arange(65536), 257.0 * steps, 257 * green)
    return (table + 0.5).astype(np.uint16)[levels]


def _by_table(levels: np.ndarray, profile: bytes) -> np.ndarray:
    """Convert the upper 8 bits with LittleCMS, and keep what is below them."""
    coarse = ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    fine = levels.astype(np.int32) - np.int32(257) * coarse
    moved = np.asarray(image_to_srgb(Image.fromarray(coarse), profile))
    return np.clip(np.int32(257) * moved + fine, 0, 65535).astype(np.uint16)


def _transform(profile: Any, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes_levels(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a transform moves any of 9 × 9 × 9 colors by more than one level."""
    if mode != "RGB":
        return True
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    probe = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
    moved = ImageCms.applyTransform(Image.fromarray(probe), transform)
    return moved is not None and bool(np.abs(np.asarray(moved).astype(int) - probe).max() > 1)


def _space(profile: bytes) -> str:
    return profile[16:20].decode("latin-1").strip()


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, 100))]
    return {name: profile[start : start + min(size, _LONGEST_TAG)] for name, start, size in entries}


def _curve(tag: bytes) -> np.ndarray:
    """Return the linear value in [0, 1] for each of the 65,536 levels, as float32 (ICC.1:2010, 10.5 and 10.15)."""
    v = np.linspace(0, 1, 65536)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        points = np.array(struct.unpack_from(f">{min(count, 65536)}H", tag, 12))
        if count == 0:
            out = v
        elif count == 1:
            out = v ** (points[0] / 256)
        else:
            out = np.interp(v, np.linspace(0, 1, len(points)), points / 65535)
    elif tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        size = (1, 3, 4, 5, 7)[kind]
        g, a, b, c, d, e, f = (
            *(n / 65536 for n in struct.unpack_from(f">{size}i", tag, 12)),
            *[0.0] * (7 - size),
        )
        with np.errstate(all="ignore"):
            if kind == 0:
                out = v**g
            elif kind in (1, 2):  # here c is the offset of both pieces
                out = np.where(v >= -b / a, (a * v + b) ** g, 0) + c
            else:
                out = np.where(v >= d, (a * v + b) ** g + e, c * v + f)
    else:
        raise ValueError(f"unknown curve {tag[:4]!r}")
    return np.clip(np.nan_to_num(out), 0, 1).astype(np.float32)


def _luminance(lightness: np.ndarray) -> np.ndarray:
    """Return the luminance of CIE lightness, both in [0, 1]: a gray curve may lead to either (ICC.1:2010, F.2)."""
    return np.where(lightness > 0.08, ((lightness + 0.16) / 1.16) ** 3, lightness * (27 / 243.89))


def _srgb_levels(linear: np.ndarray) -> np.ndarray:
    """Return the 16-bit sRGB levels of linear light, clipped to [0, 1] (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    coded = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** np.float32(1 / 2.4) - 0.055
    )
    return (65535 * coded + 0.5).astype(np.uint16)
