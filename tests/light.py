"""Shared by the tests of the light promise, in integers."""

import numpy as np

LIGHT = np.array([21, 72, 7])  # hundredths of gray


def light_error(rgb, photo):
    """Return by how many hundredths of a level each pixel's light is off; `photo` is gray or RGB."""
    light = 100 * photo.astype(int) if photo.ndim == 2 else photo.astype(int) @ LIGHT
    return np.abs(rgb.astype(int) @ LIGHT - light)
