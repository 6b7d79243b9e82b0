"""Color, against integers, float64 NumPy, scikit-image and published tables."""

import itertools
import json
import pathlib

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.color
import strategies
from hypothesis import strategies as st

from colorjax import color

VECTORS = pathlib.Path(__file__).parent.parent / "spec" / "vectors"
PEAKS = pytest.mark.parametrize("peak", [255, 65535])
WEIGHTS = np.array([21, 72, 7])
EDGE_CHROMA = np.stack(np.meshgrid(strategies.EDGES, strategies.EDGES), -1).reshape(-1, 2)
# Levels at the ends, at the knees of sRGB (10.3) and of CIELAB, and between; all triples of them.
CUBE = np.float32(
    [*itertools.product([0, 1e-30, 1e-3, 1, 10.314, 10.32, 24.3, 128, 254.99, 255], repeat=3)]
)

gray = jax.jit(lambda rgb: color.rgb_to_gray(rgb))
split = jax.jit(lambda rgb: color.rgb_to_luma_chroma(rgb))
join = jax.jit(lambda luma, chroma: color.luma_chroma_to_rgb(luma, chroma))
fit_gamut = jax.jit(lambda *a, peak: color.fit_gamut(*a, peak=peak), static_argnames="peak")
apply_chroma = jax.jit(lambda *a, peak: color.apply_chroma(*a, peak=peak), static_argnames="peak")
rgb_to_lab = jax.jit(lambda rgb: color.rgb_to_lab(rgb))
ciede2000 = jax.jit(lambda lab1, lab2: color.ciede2000(lab1, lab2))


def jacobian(function, *pixels):
    """Return the derivatives of a pixelwise function at each pixel, by every argument."""
    every = tuple(range(len(pixels)))
    return jax.jit(jax.vmap(jax.jacrev(lambda *a: function(*a), argnums=every)))(*pixels)


def is_finite(tree):
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


def check_light(light, chroma, peak):
    """Color the light and check the promise in 64-bit integers."""
    rgb = apply_chroma(light, chroma, peak=peak)
    assert rgb.dtype == jnp.int32
    rgb = np.asarray(rgb, np.int64)
    assert rgb.min() >= 0
    assert rgb.max() <= peak
    assert np.abs(rgb @ WEIGHTS - light).max() <= 36
    return rgb


@pytest.mark.req("COL-001")
@PEAKS
def test_gray_is_bounded_without_tolerance(peak):
    rgb = np.random.default_rng(0).integers(0, peak + 1, (1 << 16, 3))
    rgb[: 1 << 15, 1:] = rgb[: 1 << 15, :1] + np.random.default_rng(1).integers(-1, 2, (1 << 15, 2))
    rgb = np.clip(rgb, 0, peak).astype(np.uint8 if peak == 255 else np.uint16)
    ramp = np.arange(peak + 1, dtype=rgb.dtype)
    for function in (gray, lambda a: color.rgb_to_gray(a)):
        luma = np.asarray(function(rgb))
        assert (luma >= rgb.min(-1)).all()
        assert (luma <= rgb.max(-1)).all()
        np.testing.assert_array_equal(function(np.stack([ramp] * 3, -1)), ramp)


@pytest.mark.req("COL-002")
@PEAKS
def test_gray_rises_with_each_channel(peak):
    rgb = np.random.default_rng(0).integers(0, peak, (1 << 16, 3)).astype(np.int32)
    for step in np.eye(3, dtype=np.int32):
        assert (gray(rgb + step) > gray(rgb)).all()


@pytest.mark.req("COL-003")
@PEAKS
@hypothesis.given(st.data())
def test_luma_and_chroma_give_the_levels_back(peak, data):
    rgb = data.draw(strategies.level_pixels(peak))
    luma, chroma = split(rgb)
    exact = rgb.astype(np.float64) @ WEIGHTS / 100
    near = {"rtol": 0, "atol": 1e-6 * peak}
    np.testing.assert_allclose(luma, exact, **near)
    np.testing.assert_allclose(chroma, rgb[:, [0, 2]] - exact[:, None], **near)
    np.testing.assert_allclose(join(luma, chroma), rgb, **near)
    plain = join(luma, jnp.zeros_like(chroma))
    np.testing.assert_array_equal(plain, np.stack([luma] * 3, -1))


@pytest.mark.req("COL-004", "COL-005")
@PEAKS
@hypothesis.given(st.data())
def test_gamut_step_fits_and_keeps_luma_and_hue(peak, data):
    luma = data.draw(strategies.level_pixels(peak))[:, 0]
    chroma = data.draw(strategies.any_chroma(peak))
    tolerance = 1e-6 * peak
    fitted = np.asarray(fit_gamut(luma, chroma, peak=peak))
    rgb = np.asarray(join(luma, fitted), np.float64)
    assert rgb.min() >= -tolerance
    assert rgb.max() <= peak + tolerance
    assert np.abs(rgb @ WEIGHTS / 100 - luma).max() <= tolerance
    assert np.abs(fit_gamut(luma, fitted, peak=peak) - fitted).max() <= tolerance

    sane = (np.abs(chroma) <= 1e20).all(-1)
    assert (fitted[~sane] == 0).all()
    wanted, got = chroma[sane].astype(np.float64), fitted[sane].astype(np.float64)
    share = np.abs(got).max(-1) / np.maximum(np.abs(wanted).max(-1), 1e-300)
    assert share.max(initial=0) <= 1
    assert np.abs(got - share[:, None] * wanted).max(initial=0) <= tolerance

    red, blue = wanted.T
    offsets = np.stack([red, -(21 * red + 7 * blue) / 72, blue], -1) + luma[sane][:, None]
    inside = ((offsets >= 0) & (offsets <= peak)).all(-1)
    assert np.abs((got - wanted)[inside]).max(initial=0) <= tolerance
    outside = ((offsets < -tolerance) | (offsets > peak + tolerance)).any(-1)
    near = np.minimum(np.abs(rgb[sane]), np.abs(rgb[sane] - peak)).min(-1)
    touching = outside & (np.abs(wanted).max(-1) <= 1e6)
    assert near[touching].max(initial=0) <= tolerance


@pytest.mark.req("COL-004", "COL-006")
@PEAKS
def test_gamut_step_is_finite_with_its_gradient(peak):
    lumas = np.float32([-5, 0, 1e-30, 1e-7, 1, peak / 2, peak - 1e-4, peak, peak + 45])
    luma = np.repeat(lumas, len(EDGE_CHROMA))
    chroma = np.tile(EDGE_CHROMA, (len(lumas), 1))
    fitted = np.asarray(fit_gamut(luma, chroma, peak=peak))
    assert is_finite(fitted)
    assert (fitted[(luma <= 0) | (luma >= peak)] == 0).all()
    assert is_finite(jacobian(lambda *a: color.fit_gamut(*a, peak=peak), luma, chroma))


@pytest.mark.req("INF-014")
@pytest.mark.parametrize("knee", [1.0, 40.0, 300.0])
def test_strong_chroma_is_held_back_along_its_line(knee):
    chroma = np.random.default_rng(0).normal(0, 60, (64, 2)).astype(np.float32)
    chroma[0] = 0
    length = np.hypot(*chroma.astype(float).T)
    expected = chroma / np.sqrt(1 + (length / knee) ** 2)[:, None]
    held = np.asarray(color.compress_chroma(chroma, knee))
    np.testing.assert_allclose(held, expected, rtol=1e-5)
    assert np.hypot(*held.T).max() <= knee


@pytest.mark.req("INF-014")
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.5, 4.0])
def test_strong_chroma_is_strengthened_less(factor):
    chroma = np.random.default_rng(0).normal(0, 60, (64, 2)).astype(np.float32)
    chroma[0] = 0
    length = np.hypot(*chroma.astype(float).T)
    share = 1 / (1 + (length / 48) ** 2) if factor > 1 else np.ones(64)
    expected = chroma * (1 + (factor - 1) * share)[:, None]
    strengthened = np.asarray(color.strengthen_chroma(chroma, factor, 48.0))
    np.testing.assert_allclose(strengthened, expected, rtol=1e-5, atol=1e-6)
    by_length = np.hypot(*strengthened.T)[length.argsort()]
    assert (np.diff(by_length) >= 0).all()


@pytest.mark.req("COL-007", "COL-008", "COL-011")
@PEAKS
@hypothesis.given(st.data())
def test_light_promise_of_any_chroma(peak, data):
    light, chroma = data.draw(strategies.lights(peak)), data.draw(strategies.any_chroma(peak))
    rgb = check_light(light, chroma, peak)
    np.testing.assert_array_equal(color.rgb_to_luma100(rgb.astype(np.int32)), rgb @ WEIGHTS)
    again = check_light(light // 100 * 100, chroma, peak) @ WEIGHTS
    np.testing.assert_array_equal((again + 50) // 100, light // 100)


@pytest.mark.req("COL-007", "COL-008", "COL-011")
@PEAKS
@pytest.mark.parametrize("step", [1, 100])
def test_light_promise_at_every_light_and_gray(peak, step):
    rng = np.random.default_rng(step)
    light = np.arange(0, 100 * peak + 1, step, dtype=np.int32)
    if len(light) > 1 << 17:  # both ends, and a draw of the rest
        light = np.concatenate([light[:10_000], rng.choice(light, 50_000), light[-10_000:]])
    plausible = rng.normal(0, peak / 4, (len(light), 4, 2)).astype(np.float32)
    edges = EDGE_CHROMA[rng.integers(0, len(EDGE_CHROMA), (len(light), 12))]
    light = np.broadcast_to(light[:, None], (len(light), 16))
    check_light(light, np.concatenate([plausible, edges], 1), peak)


@pytest.mark.req("COL-007", "COL-008", "COL-009")
@PEAKS
def test_light_promise_of_adversarial_chroma_at_low_precision(peak):
    gray_light = np.arange(0, 100 * peak + 1, 100 * peak // 255, dtype=np.int32)
    light = np.repeat(gray_light[:, None], len(EDGE_CHROMA), 1)
    chroma = np.repeat(EDGE_CHROMA[None], len(light), 0)
    usual = check_light(light, chroma, peak), rgb_to_lab(CUBE)
    with jax.default_matmul_precision("bfloat16"):
        np.testing.assert_array_equal(check_light(light, chroma, peak), usual[0])
        np.testing.assert_array_equal(rgb_to_lab(CUBE), usual[1])


@pytest.mark.req("COL-007", "COL-008")
@PEAKS
def test_light_outside_is_clipped(peak):
    light = np.int32([-(2**31), -1, 100 * peak + 1, 2**31 - 1])
    chroma = np.float32([[10, -20]] * 4)
    np.testing.assert_array_equal(
        apply_chroma(light, chroma, peak=peak), np.repeat([[0], [0], [peak], [peak]], 3, 1)
    )


@pytest.mark.req("COL-010")
@PEAKS
@pytest.mark.parametrize("nothing", [0, -0.0, np.nan, np.inf, -np.inf])
def test_no_color_is_gray(peak, nothing):
    levels = np.arange(peak + 1, dtype=np.int32)
    chroma = np.full((peak + 1, 2), 30, np.float32)
    chroma[:, 1] = nothing
    chroma[:, 0] = 0 if nothing == 0 else 30
    rgb = apply_chroma(100 * levels, chroma, peak=peak)
    np.testing.assert_array_equal(rgb, np.stack([levels] * 3, -1))


def srgb_formula(unit):
    """Undo the curve of IEC 61966-2-1 in float64."""
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)


@pytest.mark.req("COL-012")
def test_srgb_curve_and_its_inverse():
    unit = np.linspace(0, 1, 4001)
    to_linear, to_srgb = jax.jit(color.srgb_to_linear), jax.jit(color.linear_to_srgb)
    linear = to_linear(unit.astype(np.float32))
    np.testing.assert_allclose(linear, srgb_formula(unit), rtol=0, atol=1e-6)
    np.testing.assert_allclose(to_srgb(linear), unit, rtol=0, atol=1e-6)
    straight = srgb_formula(unit).astype(np.float32)
    np.testing.assert_allclose(to_srgb(straight), unit, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(to_linear(-unit.astype(np.float32)), -linear)
    np.testing.assert_array_equal(to_srgb(-straight), -to_srgb(straight))


@pytest.mark.req("COL-013")
def test_srgb_gradients_are_finite():
    knees = [0, -0.0, 0.04045, 0.04045 / 12.92, 0.0031308, 1e-45, 1, 2]
    points = np.float32([*knees, *np.nextafter(np.float32(knees), 1), *np.linspace(-1, 2, 100)])
    for function, slope in ((color.srgb_to_linear, 1 / 12.92), (color.linear_to_srgb, 12.92)):
        (gradient,) = jacobian(function, points)
        assert is_finite(gradient)
        np.testing.assert_allclose(gradient[:2], slope, rtol=1e-6)


@pytest.mark.req("COL-014")
def test_neutral_axis():
    ramp = np.stack([np.arange(256, dtype=np.uint8)] * 3, -1)
    for function in (rgb_to_lab, color.rgb_to_lab):
        lab = np.asarray(function(ramp))
        assert (lab[:, 1:] == 0).all()
        assert (np.diff(lab[:, 0]) > 0).all()
        assert lab[0, 0] == 0
        assert abs(lab[-1, 0] - 100) <= 1e-5
    grays = np.repeat(np.linspace(0, 1, 101, dtype=np.float32)[:, None], 3, 1)
    lab = np.asarray(jax.jit(lambda a: color.xyz_to_lab(color.linear_rgb_to_xyz(a)))(grays))
    assert np.abs(lab[:, 1:]).max() <= 1e-4


def lab_formula(rgb):
    """Convert levels to CIELAB in float64, from the primaries and D65's x and y on."""
    columns = np.array(
        [[x / y, 1, (1 - x - y) / y] for x, y in [(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)]]
    ).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    matrix = columns @ np.diag(np.linalg.solve(columns, white))
    t = srgb_formula(rgb / 255) @ matrix.T / white
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


@pytest.mark.req("COL-015")
def test_lab_equals_others():
    rgb = np.float64([*itertools.product([*range(0, 256, 15), 1, 2, 254], repeat=3)])
    lab = rgb_to_lab(rgb.astype(np.float32))
    np.testing.assert_allclose(lab, lab_formula(rgb), rtol=0, atol=1e-3)
    np.testing.assert_allclose(lab, skimage.color.rgb2lab(rgb / 255), rtol=0, atol=0.02)


@pytest.mark.req("COL-016")
@hypothesis.given(strategies.level_pixels())
def test_lab_round_trips(rgb):
    np.testing.assert_allclose(back_to_rgb(rgb), rgb, rtol=0, atol=0.01)
    xyz, back = through_lab(rgb / 255)
    np.testing.assert_allclose(back, xyz, rtol=0, atol=1e-5)


@jax.jit
def back_to_rgb(rgb):
    return color.lab_to_rgb(color.rgb_to_lab(rgb))


@jax.jit
def through_lab(linear_rgb):
    xyz = color.linear_rgb_to_xyz(linear_rgb)
    return xyz, color.lab_to_xyz(color.xyz_to_lab(xyz))


@pytest.mark.req("COL-016", "COL-017")
def test_lab_is_finite_with_its_gradient():
    lab, xyz = np.asarray(rgb_to_lab(CUBE)), np.asarray(color.linear_rgb_to_xyz(CUBE / 255))
    np.testing.assert_allclose(back_to_rgb(CUBE), CUBE, rtol=0, atol=0.01)
    assert is_finite(jacobian(color.rgb_to_lab, CUBE))
    assert is_finite(jacobian(color.lab_to_rgb, lab))
    assert is_finite(jacobian(color.xyz_to_lab, xyz))
    assert is_finite(jacobian(color.lab_to_xyz, lab))


@pytest.mark.req("COL-018")
def test_ciede2000_equals_the_published_pairs():
    table = json.loads((VECTORS / "ciede2000.json").read_text())
    one, other = np.float32(table["input"]).swapaxes(0, 1)
    assert len(one) == 34
    near = {"rtol": table["rtol"], "atol": table["atol"]}
    np.testing.assert_allclose(ciede2000(one, other), table["expected"], **near)
    np.testing.assert_allclose(ciede2000(other, one), table["expected"], **near)


@pytest.mark.req("COL-019")
@hypothesis.given(strategies.integer_pixels(), strategies.integer_pixels())
def test_ciede2000_is_a_difference(rgb, other):
    lab1, lab2 = rgb_to_lab(rgb), rgb_to_lab(other)
    difference = np.asarray(ciede2000(lab1, lab2))
    np.testing.assert_array_equal(difference, ciede2000(lab2, lab1))
    np.testing.assert_array_equal(ciede2000(lab1, lab1), 0)
    assert (difference[(rgb != other).any(-1)] > 0).all()


@pytest.mark.req("COL-019")
@pytest.mark.parametrize("spread", [1, 10, 255])
def test_ciede2000_equals_scikit_image(spread):
    rng = np.random.default_rng(spread)
    rgb = rng.integers(0, 256, (4096, 3))
    other = np.clip(rgb + rng.integers(-spread, spread + 1, rgb.shape), 0, 255)
    pair = [np.asarray(rgb_to_lab(a.astype(np.uint8))) for a in (rgb, other)]
    expected = skimage.color.deltaE_ciede2000(*[lab.astype(np.float64) for lab in pair])
    np.testing.assert_allclose(ciede2000(*pair), expected, rtol=0, atol=1e-3)


@pytest.mark.req("COL-020")
def test_ciede2000_gradient_is_finite():
    rng = np.random.default_rng(0)
    lab = np.asarray(rgb_to_lab(CUBE))
    near_zero = np.float32([-128, -1e-3, -1e-7, 0, 1e-30, 1e-6, 127])
    corners = np.float32([*itertools.product([0, 8, 50, 100], near_zero, near_zero)])
    one, other = (
        pair.reshape(-1, 3) for pair in np.broadcast_arrays(corners[:, None], corners[None])
    )
    pairs = [(lab, lab), (lab, rng.permutation(lab)), (lab, lab + np.float32(1e-5)), (one, other)]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    gradients = jacobian(color.ciede2000, one, other)
    assert is_finite(gradients)
    assert is_finite(ciede2000(one, other))
    assert all((gradient[: len(lab)] == 0).all() for gradient in gradients)


FUNCTIONS = {
    "rgb_to_gray": ("rgb",),
    "rgb_to_luma_chroma": ("rgb",),
    "luma_chroma_to_rgb": ("luma", "chroma"),
    "fit_gamut": ("luma", "chroma"),
    "rgb_to_luma100": ("levels",),
    "apply_chroma": ("light", "chroma"),
    "srgb_to_linear": ("unit",),
    "linear_to_srgb": ("unit",),
    "linear_rgb_to_xyz": ("unit",),
    "xyz_to_lab": ("unit",),
    "lab_to_xyz": ("lab",),
    "rgb_to_lab": ("rgb",),
    "lab_to_rgb": ("lab",),
    "ciede2000": ("lab", "lab2"),
}


@pytest.mark.req("COL-021")
def test_no_pixels():
    for rgb in (np.zeros((0, 3), np.uint8), np.zeros((2, 0, 5, 3), np.float32)):
        assert color.rgb_to_gray(rgb).shape == rgb.shape[:-1]
        luma, chroma = color.rgb_to_luma_chroma(rgb)
        assert color.luma_chroma_to_rgb(luma, color.fit_gamut(luma, chroma)).size == 0
        assert color.apply_chroma(luma.astype(int), chroma).shape == rgb.shape
        lab = color.rgb_to_lab(rgb)
        assert color.ciede2000(lab, lab).shape == rgb.shape[:-1]
        assert color.lab_to_rgb(lab).shape == rgb.shape


@pytest.mark.req("COL-021")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_pixelwise_and_pure(name):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (6, 3)).astype(np.int32)
    rgb = levels.astype(np.float32)
    chroma = rng.normal(0, 90, (6, 2)).astype(np.float32)
    lab, lab2 = lab_formula(rgb).astype(np.float32), lab_formula(255 - rgb).astype(np.float32)
    light = levels @ WEIGHTS.astype(np.int32)
    known = {"levels": levels, "rgb": rgb, "unit": rgb / 255, "luma": rgb[:, 1], "chroma": chroma}
    known |= {"light": light, "lab": lab, "lab2": lab2}
    arguments = [known[argument] for argument in FUNCTIONS[name]]
    function = getattr(color, name)

    expected = jax.tree.leaves(function(*arguments))
    mapped = jax.tree.leaves(jax.jit(jax.vmap(function))(*arguments))
    order = rng.permutation(6)
    photo = jax.jit(function)(*[a[order].reshape(2, 1, 3, *a.shape[1:]) for a in arguments])
    photo = [a.reshape(6, *a.shape[3:])[np.argsort(order)] for a in jax.tree.leaves(photo)]
    for result in (mapped, photo):
        for got, wanted in zip(result, expected, strict=True):
            assert (
                got.dtype
                == wanted.dtype
                == (jnp.int32 if name in ("rgb_to_luma100", "apply_chroma") else jnp.float32)
            )
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
