"""Pictures for people to look at: small copies of photos, and labels for sheets."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from colorjax.photos.photo import Photo


def shrink_photo(photo: Photo, longest: int) -> Photo:
    """Shrink a photo so that no side is longer than `longest`.

    Args:
        photo: A photo of any size.
        longest: The longest side in pixels, at least 1.

    Returns:
        The photo with 8-bit levels and without alpha, resized with Lanczos if it was larger.
    """
    image = Image.fromarray(photo.to_8bit().pixels)
    share = min(1, longest / max(image.size))
    w, h = (max(1, round(share * side)) for side in image.size)
    small = np.asarray(image.resize((w, h), Image.Resampling.LANCZOS))
    return dataclasses.replace(photo, pixels=small, alpha=None, bits=8)


def text_strip(
    labels: Sequence[str], widths: Sequence[int], height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a row of labels, light on dark, for the columns of a sheet of pictures.

    Args:
        labels: One for each column. A label that is too long is set smaller, then cut.
        widths: The widths of the columns in pixels.
        height: The height of the row in pixels.
    """
    cells = []
    for label, width in zip(labels, widths, strict=True):
        cell = Image.new("L", (width, height), 24)
        for size in range(max(8, height * 3 // 5), 7, -1):
            font = ImageFont.load_default(size)
            if font.getlength(label) <= width - 4:
                break
        ImageDraw.Draw(cell).text((width / 2, height / 2), label, 230, font, anchor="mm")
        cells.append(np.asarray(cell))
    return np.repeat(np.concatenate(cells, 1)[..., None], 3, -1)
