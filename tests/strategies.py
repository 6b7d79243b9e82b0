"""Hypothesis strategies that test modules share; shapes are fixed, so that jit compiles once."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

PIXELS = 8

# What may break a float: nothing, denormal, half levels, border, huge, infinite, not a number.
EDGES = [0, 1e-45, 1e-38, 1e-6, 0.49999, 0.5, 0.50001, 1, 127.5, 254.6, 255, 1e4, 1e9, 1e20, 3.4e38]
EDGES = np.float32([*EDGES, *(-edge for edge in EDGES), np.inf, -np.inf, np.nan])


def level_pixels(peak=255):
    """Return float32 (PIXELS, 3) levels in [0, peak]."""
    return hnp.arrays(np.float32, (PIXELS, 3), elements=st.floats(0, peak, width=32))


def integer_pixels(peak=255):
    """Return uint8 or uint16 (PIXELS, 3) levels."""
    return hnp.arrays(np.uint8 if peak == 255 else np.uint16, (PIXELS, 3))


def lights(peak=255):
    """Return int32 (PIXELS,) light, 100 times gray."""
    return hnp.arrays(np.int32, (PIXELS,), elements=st.integers(0, 100 * peak))


def any_chroma(peak=255):
    """Return float32 (PIXELS, 2) chroma: plausible, out of gamut, and any float at all."""
    plausible = st.floats(-2 * peak, 2 * peak, width=32)
    anything = st.floats(width=32) | st.sampled_from(list(map(float, EDGES)))
    return hnp.arrays(np.float32, (PIXELS, 2), elements=plausible | anything)


def photo_pairs():
    """Return two uint8 photos of one shape out of four shapes."""
    shapes = st.sampled_from([(1, 1, 3), (7, 7, 3), (5, 16, 3), (9, 8, 3)])
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape)] * 2))
