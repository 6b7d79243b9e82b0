"""A decoded photo."""

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
        pixels: gray (h, w) or sRGB (h, w, 3), uint8 in [0, 255] or uint16 in [0, 65535].
        alpha: opacity (h, w) in the dtype of pixels, or None; pixels are not multiplied by it.
        format: Pillow's name of the format it came from, such as "JPEG"; empty for none.
        bits: a channel, in that file: 1, 8, or 16 for all that is deeper than 8.
        metadata: what goes along into the output.
        milliseconds: how long it shows as a frame of an animation; 0 for a still.
        plays: of the animation that it is a frame of; 0 is without end.
        truncated: whether the end of its file was missing, and is blank here.
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
        """Return the photo with 8-bit levels: itself, or v / 257 rounded to the nearest."""
        if self.pixels.dtype == np.uint8:
            return self
        alpha = None if self.alpha is None else encoding.to_8bit(self.alpha)
        return dataclasses.replace(self, pixels=encoding.to_8bit(self.pixels), alpha=alpha)
