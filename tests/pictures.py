"""Small test pictures and files, made from nothing."""

import io
import zlib

import numpy as np
from PIL import Image


def noise(*shape, seed=0, dtype=np.uint8):
    """Return random levels over the whole range of an unsigned dtype."""
    levels = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, levels, shape, dtype)


def scene(h=48, w=64, seed=0):
    """Return a smooth colourful uint8 picture with a few hard edges, (h, w, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w] / max(h, w)
    waves = [
        np.sin(2 * np.pi * (rng.uniform(-2, 2) * x + rng.uniform(-2, 2) * y)) for _ in range(3)
    ]
    picture = 127 + 100 * np.stack(waves, -1)
    picture[h // 3 : h // 2, w // 4 : w // 2] = rng.integers(0, 256, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def encoded(pixels, kind, mode=None, **options):
    """Return the bytes of a picture file; `mode` converts first."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, kind, **options)
    return file.getvalue()


def png_header(w, h):
    """Return a PNG that announces w × h pixels and holds none."""
    small = bytearray(encoded(np.zeros((1, 1), np.uint8), "PNG"))
    small[16:24] = w.to_bytes(4, "big") + h.to_bytes(4, "big")
    small[29:33] = zlib.crc32(small[12:29]).to_bytes(4, "big")
    return bytes(small)


def oriented(upright, orientation):
    """Return the pixels as a camera stores them under an EXIF orientation (1 to 8)."""
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(stored[orientation](upright))
