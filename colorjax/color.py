"""Gray, luma and chroma, the light promise, sRGB, CIELAB and CIEDE2000: pure and pixelwise.

Luma is the seed's gray, Y = 0.21 R + 0.72 G + 0.07 B on gamma-coded levels; chroma is
(R − Y, B − Y). Levels run from 0 to `peak`: 255, or 65535 at 16 bits. Products with 3 × 3 matrices
are written out element by element, so that no low-precision matrix unit can touch them.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int32, Integer, Real

# Gray weighs the channels in hundredths: integers, so that gray is exact where levels are.
_RED, _GREEN, _BLUE = 21, 72, 7
# The sRGB curve, IEC 61966-2-1; the knee of the inverse is its image, so that the two meet.
_KNEE, _SLOPE, _OFFSET, _GAMMA = 0.04045, 12.92, 0.055, 2.4
# CIELAB's knee and slope as the exact fractions of CIE 15:2004.
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27
# Squares below this count as zero: a chroma or difference under 1e-6 is float32's noise.
_ZERO = 1e-12


def _rgb_to_xyz_matrix() -> np.ndarray:
    """Solve for the matrix whose columns are sRGB's primaries and whose row sums are its white."""
    x, y = np.array([[0.64, 0.30, 0.15, 0.3127], [0.33, 0.60, 0.06, 0.3290]])
    primaries_and_white = np.stack([x, y, 1 - x - y]) / y
    primaries, white = primaries_and_white[:, :3], primaries_and_white[:, 3]
    return primaries * np.linalg.solve(primaries, white)


# Relative to white, the matrix and its inverse have row sums of 1; Python floats promote nothing.
_XYZ = _rgb_to_xyz_matrix()
_WHITE = _XYZ.sum(1).tolist()
_TO_RELATIVE_XYZ = (_XYZ / _XYZ.sum(1, keepdims=True)).tolist()
_TO_LINEAR_RGB = (np.linalg.inv(_XYZ) * _XYZ.sum(1)).tolist()


def rgb_to_gray(
    rgb: Real[Array | np.ndarray, "*pixels 3"], *, truncate: bool = False
) -> Float[Array, "*pixels"]:
    """Weigh the channels into gray: (21 R + 72 G + 7 B) / 100.

    Args:
        rgb: levels of any scale, integer or float.
        truncate: drop the fraction, as the seed did. Integer levels lose no level to float noise.

    Returns:
        Float32 on the scale of `rgb`, not rounded; equal channels come back unchanged.

    Source: seed S2, correction 7.
    Spec: PRE-004, PRE-005, COL-001, COL-002.
    """
    red, green, blue = _planes(rgb)
    hundredths = _RED * red + _GREEN * green + _BLUE * blue
    return jnp.floor((hundredths + 0.5) / 100) if truncate else hundredths / 100


def rgb_to_luma_chroma(
    rgb: Real[Array | np.ndarray, "*pixels 3"],
) -> tuple[Float[Array, "*pixels"], Float[Array, "*pixels 2"]]:
    """Split levels into light and colour.

    Args:
        rgb: levels of any scale.

    Returns:
        Luma Y, which is `rgb_to_gray`, and chroma (R − Y, B − Y), both on the scale of `rgb`.

    Spec: COL-003.
    """
    luma = rgb_to_gray(rgb)
    red, _, blue = _planes(rgb)
    return luma, jnp.stack([red - luma, blue - luma], axis=-1)


def luma_chroma_to_rgb(
    luma: Real[Array | np.ndarray, "*pixels"], chroma: Float[Array | np.ndarray, "*pixels 2"]
) -> Float[Array, "*pixels 3"]:
    """Join light and colour; the inverse of `rgb_to_luma_chroma`.

    Args:
        luma: Y in levels of any scale.
        chroma: (R − Y, B − Y) on that scale.

    Returns:
        Levels on that scale, neither clipped nor rounded: see `fit_gamut` and `fit_light`.

    Spec: COL-003.
    """
    luma = jnp.asarray(luma, jnp.float32)
    red, blue = _planes(chroma)
    return jnp.stack([luma + red, luma + _green(red, blue), luma + blue], axis=-1)


def fit_gamut(
    luma: Real[Array | np.ndarray, "*pixels"],
    chroma: Float[Array | np.ndarray, "*pixels 2"],
    *,
    peak: int = 255,
) -> Float[Array, "*pixels 2"]:
    """Shrink chroma along its own line toward gray until RGB fits: luma stays, and so does hue.

    Args:
        luma: Y in levels; outside [0, peak] it leaves no room for colour.
        chroma: (R − Y, B − Y) in levels; a pixel with NaN, ±inf or beyond ±1e20 has no colour.
        peak: the highest level, at most 65535.

    Returns:
        Chroma times a share in [0, 1], which is 1 where the colour fits already.

    Gradient: finite for every input.
    Spec: COL-004, COL-005, COL-006.
    """
    luma = jnp.clip(jnp.asarray(luma, jnp.float32), 0, peak)
    red, blue = _planes(chroma)
    return jnp.stack(_fit(luma, red, blue, peak), axis=-1)


def compress_chroma(
    chroma: Float[Array | np.ndarray, "*pixels 2"], knee: float
) -> Float[Array, "*pixels 2"]:
    """Hold strong chroma back along its own line, so that hue stays: length m becomes m / √(1 + (m / knee)²).

    Args:
        chroma: (R − Y, B − Y) in levels, finite.
        knee: length in levels that none exceeds, above 0; far below it chroma stays as it is.

    Spec: INF-014
    """
    chroma = jnp.asarray(chroma, jnp.float32)
    square = jnp.sum(chroma * chroma, -1, keepdims=True)
    return chroma / jnp.sqrt(1 + square / knee**2)


def rgb_to_light(rgb: Integer[Array | np.ndarray, "*pixels 3"]) -> Int32[Array, "*pixels"]:
    """Weigh integer levels into light, 21 R + 72 G + 7 B: a hundred times gray, exactly.

    Args:
        rgb: integer levels of 8 or 16 bits.

    Returns:
        Light in [0, 100 · peak].

    Spec: COL-007, COL-008.
    """
    rgb = jnp.asarray(rgb, jnp.int32)
    return _RED * rgb[..., 0] + _GREEN * rgb[..., 1] + _BLUE * rgb[..., 2]


def fit_light(
    light: Int32[Array | np.ndarray, "*pixels"],
    chroma: Float[Array | np.ndarray, "*pixels 2"],
    *,
    peak: int = 255,
) -> Int32[Array, "*pixels 3"]:
    """Colour a pixel and keep its light: |21 R + 72 G + 7 B − light| ≤ 50, whatever the chroma.

    The gamut step first; then red and blue are rounded, and green is solved in integers, which
    leaves at most half of its weight: 36. So the rounded gray of the result is the gray put in.

    Args:
        light: 100 · Y, such as `100 * gray` or `rgb_to_light(rgb)`; clipped to [0, 100 · peak].
        chroma: (R − Y, B − Y) in levels; a pixel with NaN, ±inf or beyond ±1e20 has no colour.
        peak: the highest level, at most 65535.

    Returns:
        Levels in [0, peak]; without chroma, light 100 · g gives (g, g, g).

    Gradient: none, for its output is integer; differentiate `fit_gamut`.
    Spec: COL-007, COL-008, COL-009, COL-010, COL-011.
    """
    light = jnp.asarray(light, jnp.int32)
    red, blue = fit_ends(light, *_planes(chroma), peak=peak)
    return jnp.stack([red, solve_green(light, red, blue, peak=peak), blue], axis=-1)


def fit_ends(
    light: Int32[Array, "*pixels"],
    red: Float[Array, "*pixels"],
    blue: Float[Array, "*pixels"],
    *,
    peak: int = 255,
) -> tuple[Int32[Array, "*pixels"], Int32[Array, "*pixels"]]:
    """Return red and blue of `fit_light` from planes of R − Y and B − Y: its first half.

    Spec: COL-007, COL-008, COL-009.
    """
    luma = jnp.clip(light, 0, 100 * peak) * 0.01  # a product takes half the time of a quotient
    red, blue = _fit(luma, red, blue, peak)
    return jnp.round(luma + red).astype(jnp.int32), jnp.round(luma + blue).astype(jnp.int32)


def solve_green(
    light: Int32[Array, "*pixels"],
    red: Int32[Array, "*pixels"],
    blue: Int32[Array, "*pixels"],
    *,
    peak: int = 255,
) -> Int32[Array, "*pixels"]:
    """Return the green that keeps the light beside red and blue of `fit_ends`: its second half, all in integers.

    In a program of its own red and blue are what they are. Within one program XLA may compute them twice and round a
    tie both ways, which can cost 21 of light.

    Spec: COL-007, COL-008, COL-011.
    """
    # Rounding red and blue moves green by at most 14/72, so that it too rounds into [0, peak].
    light = jnp.clip(light, 0, 100 * peak)
    return (light - _RED * red - _BLUE * blue + _GREEN // 2) // _GREEN


def srgb_to_linear(unit_rgb: Float[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Undo the sRGB curve.

    Args:
        unit_rgb: gamma-coded, 1 is white; above 1 the curve goes on, below 0 it is odd.

    Returns:
        Linear light, 1 is white.

    Gradient: finite everywhere; 1/12.92 at 0.
    Source: IEC 61966-2-1.
    Spec: COL-012, COL-013.
    """
    unit_rgb = jnp.asarray(unit_rgb, jnp.float32)
    size = jnp.abs(unit_rgb)
    curved = ((jnp.maximum(size, _KNEE) + _OFFSET) / (1 + _OFFSET)) ** _GAMMA
    return jnp.where(size > _KNEE, jnp.sign(unit_rgb) * curved, unit_rgb / _SLOPE)


def linear_to_srgb(linear_rgb: Float[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Apply the sRGB curve; the inverse of `srgb_to_linear`.

    Args:
        linear_rgb: linear light, 1 is white; outside [0, 1] as in `srgb_to_linear`.

    Returns:
        Gamma-coded values, 1 is white.

    Gradient: finite everywhere; 12.92 at 0.
    Source: IEC 61966-2-1.
    Spec: COL-012, COL-013.
    """
    linear_rgb = jnp.asarray(linear_rgb, jnp.float32)
    size, knee = jnp.abs(linear_rgb), _KNEE / _SLOPE
    curved = (1 + _OFFSET) * jnp.maximum(size, knee) ** (1 / _GAMMA) - _OFFSET
    return jnp.where(size > knee, jnp.sign(linear_rgb) * curved, linear_rgb * _SLOPE)


def linear_rgb_to_xyz(
    linear_rgb: Float[Array | np.ndarray, "*pixels 3"],
) -> Float[Array, "*pixels 3"]:
    """Convert linear sRGB to CIE XYZ, with the matrix solved from sRGB's primaries and white.

    Args:
        linear_rgb: linear light, 1 is white; any value, the map is linear.

    Returns:
        XYZ relative to Y = 1 at D65 white (0.3127, 0.3290).

    Source: IEC 61966-2-1; SMPTE RP 177 for the solution.
    Spec: COL-014.
    """
    return _scale(_mix(_TO_RELATIVE_XYZ, linear_rgb), _WHITE)


def xyz_to_lab(xyz: Float[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert CIE XYZ to CIELAB under the white of `linear_rgb_to_xyz`.

    Args:
        xyz: relative to Y = 1 at white; negatives follow the straight part of the curve.

    Returns:
        L in [0, 100] for Y in [0, 1], and a, b.

    Gradient: finite everywhere.
    Source: CIE 15:2004, 8.2.1, knee 216/24389 and slope 24389/27.
    Spec: COL-014, COL-016, COL-017.
    """
    return _relative_xyz_to_lab(_scale(xyz, [1 / white for white in _WHITE]))


def lab_to_xyz(lab: Float[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert CIELAB to CIE XYZ; the inverse of `xyz_to_lab`.

    Args:
        lab: L, a, b; any finite value.

    Returns:
        XYZ relative to Y = 1 at white.

    Gradient: finite everywhere.
    Spec: COL-016, COL-017.
    """
    return _scale(_lab_to_relative_xyz(lab), _WHITE)


def rgb_to_lab(rgb: Real[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert levels to CIELAB; equal channels give a = b = 0 exactly.

    Args:
        rgb: gamma-coded levels, 255 is white; outside [0, 255] as in `srgb_to_linear`.

    Returns:
        L in [0, 100] for levels in [0, 255], and a, b.

    Gradient: finite everywhere.
    Spec: COL-014, COL-015, COL-016, COL-017.
    """
    linear_rgb = srgb_to_linear(jnp.asarray(rgb, jnp.float32) / 255)
    return _relative_xyz_to_lab(_mix(_TO_RELATIVE_XYZ, linear_rgb))


def lab_to_rgb(lab: Float[Array | np.ndarray, "*pixels 3"]) -> Float[Array, "*pixels 3"]:
    """Convert CIELAB to levels; the inverse of `rgb_to_lab`.

    Args:
        lab: L, a, b; any finite value.

    Returns:
        Gamma-coded levels, 255 is white, neither clipped nor rounded.

    Gradient: finite everywhere.
    Spec: COL-016, COL-017.
    """
    return 255 * linear_to_srgb(_mix(_TO_LINEAR_RGB, _lab_to_relative_xyz(lab)))


def ciede2000(
    lab1: Float[Array | np.ndarray, "*pixels 3"], lab2: Float[Array | np.ndarray, "*pixels 3"]
) -> Float[Array, "*pixels"]:
    """Measure the colour difference ΔE₀₀ with kL = kC = kH = 1.

    Args:
        lab1: CIELAB, |a| and |b| below 1e4.
        lab2: CIELAB likewise; the order of the two does not matter.

    Returns:
        ΔE₀₀ ≥ 0; about 1 is just noticeable.

    Gradient: finite everywhere; zero for equal colours and for hue on the neutral axis, where the
    true one does not exist. The formula itself jumps where hues lie 180° apart.
    Source: Sharma, Wu and Dalal, Color Research and Application 30 (2005), 21–30, eqs. 2–22.
    Spec: COL-018, COL-019, COL-020.
    """
    (l1, a1, b1), (l2, a2, b2) = _planes(lab1), _planes(lab2)
    stretch = 1.5 - 0.5 * _weight(_length(a1, b1) / 2 + _length(a2, b2) / 2)
    a1, a2 = stretch * a1, stretch * a2
    c1, c2, h1, h2 = _length(a1, b1), _length(a2, b2), _hue(a1, b1), _hue(a2, b2)

    # Hues exactly opposite are not wrapped; the margin, 0.0003°, is for float32's noise.
    wraps = jnp.abs(h2 - h1) > jnp.pi + 5e-6
    turn = h2 - h1 - jnp.where(wraps, 2 * jnp.pi * jnp.sign(h2 - h1), 0)
    mean = (h1 + h2) / 2 + jnp.where(wraps, jnp.where(h1 + h2 < 2 * jnp.pi, jnp.pi, -jnp.pi), 0)
    mean = jnp.where((c1 > 0) & (c2 > 0), mean, h1 + h2)

    chroma, sharp = (c1 + c2) / 2, (l1 / 2 + l2 / 2 - 50) ** 2
    t = (
        1
        - 0.17 * jnp.cos(mean - jnp.deg2rad(30))
        + 0.24 * jnp.cos(2 * mean)
        + 0.32 * jnp.cos(3 * mean + jnp.deg2rad(6))
        - 0.20 * jnp.cos(4 * mean - jnp.deg2rad(63))
    )
    lightness = (l2 - l1) / (1 + 0.015 * sharp / jnp.sqrt(20 + sharp))
    saturation = (c2 - c1) / (1 + 0.045 * chroma)
    hue = 2 * _sqrt(c1 * c2) * jnp.sin(turn / 2) / (1 + 0.015 * chroma * t)
    bend = jnp.deg2rad(60) * jnp.exp(-(((jnp.rad2deg(mean) - 275) / 25) ** 2))
    rotation = -2 * jnp.sin(bend) * _weight(chroma)
    return _sqrt(lightness**2 + saturation**2 + hue**2 + rotation * saturation * hue)


def _planes(pixels: Array | np.ndarray) -> tuple[Array, ...]:
    """Split the last axis, as float32."""
    return tuple(jnp.unstack(jnp.asarray(pixels, jnp.float32), axis=-1))


def _green(red: Array, blue: Array) -> Array:
    """Return G − Y, which follows from 21 (R − Y) + 72 (G − Y) + 7 (B − Y) = 0."""
    return -_RED / _GREEN * red - _BLUE / _GREEN * blue


def _fit(luma: Array, red: Array, blue: Array, peak: int) -> tuple[Array, Array]:
    """Do the gamut step on planes: XLA on a CPU is several times slower along a last axis of 3."""
    # Beyond 1e20 products of the gradient overflow; the comparison also drops NaN and ±inf.
    sane = jnp.abs(red) + jnp.abs(blue) <= 1e20
    red, blue = jnp.where(sane, red, 0), jnp.where(sane, blue, 0)
    green = _green(red, blue)
    most = jnp.maximum(jnp.maximum(red, blue), green)
    least = jnp.minimum(jnp.minimum(red, blue), green)
    # The floor of 1e-6 levels keeps the division's gradient finite; it can only shrink more.
    up, down = (peak - luma) / jnp.maximum(most, 1e-6), luma / jnp.maximum(-least, 1e-6)
    share = jnp.minimum(1, jnp.minimum(up, down))
    return share * red, share * blue


def _scale(pixels: Array | np.ndarray, factors: list[float]) -> Array:
    """Multiply each channel by its factor."""
    scaled = [plane * factor for plane, factor in zip(_planes(pixels), factors, strict=True)]
    return jnp.stack(scaled, axis=-1)


def _mix(rows: list[list[float]], pixels: Array | np.ndarray) -> Array:
    """Multiply by a matrix of row sums 1, such that equal channels pass unchanged to the bit."""
    first, middle, last = _planes(pixels)
    mixed = [middle + (first - middle) * a + (last - middle) * c for a, _, c in rows]
    return jnp.stack(mixed, axis=-1)


def _relative_xyz_to_lab(relative: Array) -> Array:
    """Apply CIELAB to XYZ divided by white."""
    curved, straight = jnp.cbrt(jnp.maximum(relative, _EPSILON)), _KAPPA * relative
    x, y, z = _planes(jnp.where(relative > _EPSILON, curved, (straight + 16) / 116))
    # Not 116 y − 16 throughout: black would miss 0 by a rounding.
    lightness = jnp.where(relative[..., 1] > _EPSILON, 116 * y - 16, straight[..., 1])
    return jnp.stack([lightness, 500 * (x - y), 200 * (y - z)], axis=-1)


def _lab_to_relative_xyz(lab: Array | np.ndarray) -> Array:
    """Invert `_relative_xyz_to_lab`."""
    lightness, a, b = _planes(lab)
    y = (lightness + 16) / 116
    f = jnp.stack([y + a / 500, y, y - b / 200], axis=-1)
    return jnp.where(f > _EPSILON ** (1 / 3), f**3, (116 * f - 16) / _KAPPA)


def _sqrt(square: Array) -> Array:
    """Take the root, with value and gradient 0 below `_ZERO`."""
    positive = square > _ZERO
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def _length(a: Array, b: Array) -> Array:
    """Return chroma, the distance from the neutral axis."""
    return _sqrt(a**2 + b**2)


def _hue(a: Array, b: Array) -> Array:
    """Return the hue angle in [0, 2π], 0 on the neutral axis."""
    colored = a**2 + b**2 > _ZERO
    angle = jnp.arctan2(jnp.where(colored, b, 0), jnp.where(colored, a, 1))
    return jnp.where(angle < 0, angle + 2 * jnp.pi, angle)


def _weight(chroma: Array) -> Array:
    """Return √(C⁷ / (C⁷ + 25⁷)), differentiable at 0."""
    return chroma**3 * _sqrt(chroma) / jnp.sqrt(chroma**7 + 25.0**7)
