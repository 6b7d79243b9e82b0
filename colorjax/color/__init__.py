"""Color math on pixels: gray, chroma, the gamut, CIELAB and color differences.

Start with `luma`: gray, chroma, the gamut, and the function that keeps the light promise. `spaces` converts between
sRGB, XYZ and CIELAB, `difference` holds CIEDE2000, and `planes` splits pixels into channels. All functions are pure
and work pixel by pixel. This package imports nothing else of colorjax.
"""

from colorjax.color.difference import ciede2000
from colorjax.color.luma import (
    apply_chroma,
    compress_chroma,
    fit_gamut,
    fit_red_blue,
    luma_chroma_to_rgb,
    rgb_to_gray,
    rgb_to_luma100,
    rgb_to_luma_chroma,
    solve_green,
    strengthen_chroma,
)
from colorjax.color.spaces import (
    lab_to_rgb,
    lab_to_xyz,
    linear_rgb_to_xyz,
    linear_to_srgb,
    rgb_to_lab,
    srgb_to_linear,
    xyz_to_lab,
)

__all__ = [
    "apply_chroma",
    "ciede2000",
    "compress_chroma",
    "fit_gamut",
    "fit_red_blue",
    "lab_to_rgb",
    "lab_to_xyz",
    "linear_rgb_to_xyz",
    "linear_to_srgb",
    "luma_chroma_to_rgb",
    "rgb_to_gray",
    "rgb_to_lab",
    "rgb_to_luma100",
    "rgb_to_luma_chroma",
    "solve_green",
    "srgb_to_linear",
    "strengthen_chroma",
    "xyz_to_lab",
]
