"""The decoded photo."""

import dataclasses

import numpy as np
from jaxtyping import UInt

from colorjax.photos import encoding
from colorjax.photos.metadata import Metadata

Pixels = UInt[np.ndarray, "h w"] | UInt[np.ndarray, "h w 3"]


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright.

    Attributes:
        pixels: Gray (h, w) or sRGB (h, w, 3): uint8 in [0, 255] or uint16 in [0, 65535].
        alpha: Opacity (h, w) in the dtype of `pixels`, or None. Pixels are not multiplied by it.
        format: Pillow's name for the format of the file, such as "JPEG", or empty.
        bits: Bits per channel in the file: 1, 8, or 16 for everything deeper than 8.
        metadata: What is copied to the output.
        milliseconds: How long the photo shows as a frame of an animation; 0 for a still.
        plays: How often the animation plays that the photo is a frame of; 0 means endlessly.
        truncated: Whether the end of the file was missing. The missing part is blank.
    """

    pixels: Pixels
    alpha: UInt[np.ndarray, "h w"] | None = None
    format: str = ""
    bits: int = 8
    metadata: Metadata = Metadata()  # noqa: RUF009 - frozen
    milliseconds: float = 0.0
    plays: int = 0
    truncated: bool = False

    def to_8bit(self) -> "Photo":
        """Return the photo with 8-bit levels: itself, or v / 257 rounded to the nearest integer."""
        if self.pixels.dtype == np.uint8:
            return self
        alpha = None if self.alpha is None else encoding.to_8bit(self.alpha)
        return dataclasses.replace(self, pixels=encoding.to_8bit(self.pixels), alpha=alpha)
