"""Conversion from and to PIL images."""

import sys
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from colorjax.errors import PhotoError
from colorjax.photos.photo import Photo

PLAIN = {"1": "L", "L": "L", "LA": "LA", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA", "La": "LA"}
MANY = ("P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa")  # modes that Pillow converts to RGB


def is_pil(photo: object) -> bool:
    """Return whether a value is a PIL image."""
    return "PIL.Image" in sys.modules and isinstance(photo, Image.Image)


def from_pil(
    image: Image.Image,
) -> tuple[UInt8[np.ndarray, "h w *channels"], UInt8[np.ndarray, "h w"] | None]:
    """Return the pixels, gray or RGB, and the alpha of a PIL image of 8 bits.

    Raises:
        PhotoError: the image is empty, or its mode has more than 8 bits per channel.
    """
    mode = PLAIN.get(image.mode) or ("RGB" if image.mode in MANY else None)
    if mode is None or not min(image.size):
        raise PhotoError(
            f"the PIL image is {image.width} × {image.height} of mode {image.mode}; expected one of 8 bits a channel, "
            "or an array of uint16 for more"
        )
    if "transparency" in image.info or image.mode == "RGBa":
        mode = "RGBA"
    pixels = np.asarray(image.convert(mode))
    if mode in ("LA", "RGBA"):
        return (pixels[..., 0] if mode == "LA" else pixels[..., :3]), pixels[..., -1]
    return pixels, None


def to_pil(photo: Photo, *, info: dict[Any, Any] | None = None) -> Image.Image:
    """Return a photo of 8 bits as a PIL image of mode L, RGB, or RGBA if it has alpha.

    Args:
        photo: uint8 levels.
        info: The `info` of the image.
    """
    pixels = photo.pixels
    if photo.alpha is not None:
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, -1)
        pixels = np.dstack([rgb, photo.alpha])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.info.update({k: v for k, v in (info or {}).items() if k != "transparency"})
    return image
