"""How hints spread over the cells: against a Gaussian process computed cell by cell in float64 NumPy."""

import jax
import numpy as np
import pytest

from colorjax.inference import hints, things

spread = jax.jit(lambda *arrays: hints.spread_hints(*arrays))

ALIKE, SPREAD, SHADES, NEAR, LOCAL, NEXT, DOUBT = 0.5, 0.28, 1.7, 0.9, 0.05, 0.7, 0.005
HERE = 0.04
SHAPE = (6, 7)


def described(features, gray):
    """Return what tells things apart, in float64."""
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    spread = ((unit - unit.mean((0, 1))) ** 2).sum(-1).mean()
    scale = ALIKE * (spread / SPREAD) ** 0.3
    return np.concatenate([unit / scale, gray[..., None] / (SHADES * gray.std())], -1)


def covariance(features, deviation, one, other, near):
    """Return the covariance of the errors of two cells."""
    steps = np.sum(np.square(np.subtract(one, other)))
    apart = np.sum(np.square(features[one] - features[other]))
    far = steps / (near * min(SHAPE)) ** 2
    like = (1 - LOCAL) * np.exp(-(apart + far) / 2) + LOCAL * np.exp(-steps / (2 * NEXT**2))
    return like * np.sqrt(deviation[one] * deviation[other] / np.square(deviation).mean())


def expected_chroma(chroma, features, deviation, wanted, near=NEAR):
    """Return the conditional mean of the Gaussian process, cell by cell in float64."""
    told = list(wanted)
    among = np.array([[covariance(features, deviation, a, b, near) for b in told] for a in told])
    missing = np.array([np.subtract(wanted[cell], chroma[cell]) for cell in told])
    pull = np.linalg.inv(among + DOUBT * np.eye(len(told))) @ missing
    result = chroma.astype(float)
    for cell in np.ndindex(SHAPE):
        result[cell] += sum(
            covariance(features, deviation, cell, a, near) * p
            for a, p in zip(told, pull, strict=True)
        )
    return result


def told_at(wanted):
    """Return hints at cells of a photo whose pixels are the cells, some filling up."""
    cells = hints.pad_rows(np.array(list(wanted), np.int32).reshape(-1, 2))
    chroma = hints.pad_rows(np.array(list(wanted.values()), np.float32).reshape(-1, 2))
    return hints.CellHints(cells, chroma, np.arange(len(cells)) < len(wanted))


@pytest.mark.req("INF-021")
def test_spreading_is_the_conditional_mean():
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 1, (*SHAPE, 5))
    gray = rng.uniform(0, 255, SHAPE)
    chroma = rng.normal(0, 20, (*SHAPE, 2)).astype(np.float32)
    deviation = rng.uniform(10, 40, SHAPE).astype(np.float32)
    wanted = {(0, 0): (60, -30), (3, 2): (-50, 40), (4, 1): (10, 70)}
    given = np.asarray(things.describe(features.astype(np.float32), gray.astype(np.float32)))
    np.testing.assert_allclose(given, described(features, gray), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        spread(chroma, given, told_at(wanted), deviation),
        expected_chroma(chroma, described(features, gray), deviation, wanted),
        atol=0.1,
    )


@pytest.mark.req("INF-024")
def test_local_hints_correct_what_the_others_left():
    rng = np.random.default_rng(1)
    features = rng.uniform(0, 1, (*SHAPE, 5)).astype(np.float32)
    gray = np.zeros(SHAPE, np.float32)
    chroma = rng.normal(0, 20, (*SHAPE, 2)).astype(np.float32)
    deviation = rng.uniform(10, 40, SHAPE).astype(np.float32)
    wide, local = {(0, 0): (60, -30), (3, 2): (-50, 40)}, {(3, 3): (10, 70), (5, 6): (0, 0)}
    told = told_at(wide | local)
    given = np.asarray(things.describe(features, gray))
    found = spread(chroma, given, told._replace(local=np.arange(4) >= 2), deviation)
    first = expected_chroma(chroma, given, deviation, wide)
    expected = expected_chroma(first, given, deviation, local, HERE)
    np.testing.assert_allclose(found, expected, atol=0.1)
    without = spread(chroma, given, told, deviation)
    none = spread(chroma, given, told._replace(local=np.zeros(4, bool)), deviation)
    np.testing.assert_allclose(none, without, atol=1e-4)


@pytest.mark.req("INF-024")
def test_a_local_hint_colors_its_surroundings():
    shape = 40, 50
    flat, chroma = np.zeros((*shape, 3), np.float32), np.zeros((*shape, 2), np.float32)
    place, rgb = np.array([[20, 25]]), np.array([[200, 60, 60]], np.uint8)
    told = hints.Hints(place, rgb, np.array([True])).on_cells(shape, shape)
    found = np.abs(np.asarray(spread(chroma, flat, told, np.ones(shape, np.float32)))).max(-1)
    assert found[20, 25] > 0.9 * np.abs(told.chroma).max()
    apart = np.hypot(*(np.indices(shape) - place.reshape(2, 1, 1)))
    assert found[apart > 40 / 5].max() < 0.1


@pytest.mark.req("INF-024")
def test_hints_of_one_cell_are_local_if_all_are():
    places, rgb = np.array([[0, 0], [0, 1], [2, 2], [2, 3]]), np.zeros((4, 3), np.uint8)
    found = hints.Hints(places, rgb, np.array([True, True, True, False])).on_cells((4, 4), (2, 2))
    assert found.given.tolist() == [True, True, False, False]
    assert found.local.tolist() == [True, False, False, False]
    for wrong in (np.ones(4), np.ones(3, bool)):
        with pytest.raises(hints.HintError, match=r"the hints' local is .*; expected 4 bool"):
            hints.Hints(places, rgb, wrong)


@pytest.mark.req("INF-021")
def test_unlike_neighbors_are_held():
    flat = np.zeros((*SHAPE, 3), np.float32)
    chroma = np.zeros((*SHAPE, 2), np.float32)
    wanted = {(2, 3): (50, -50), (2, 4): (-50, 50)}
    result = np.asarray(spread(chroma, flat, told_at(wanted), np.ones(SHAPE, np.float32)))
    distance = np.hypot(100, 100)
    for place, told in wanted.items():
        assert np.linalg.norm(result[place] - told) <= 0.1 * distance


@pytest.mark.req("INF-021")
def test_hints_spread_where_the_network_is_certain_of_everything():
    flat, chroma = np.zeros((*SHAPE, 3), np.float32), np.zeros((*SHAPE, 2), np.float32)
    told = told_at({(2, 3): (50, -50)})
    certain, even = (
        spread(chroma, flat, told, np.full(SHAPE, level, np.float32)) for level in (0.0, 30.0)
    )
    np.testing.assert_allclose(certain, even, atol=1e-3)


@pytest.mark.req("INF-021")
def test_many_hints_are_thinned():
    places = np.stack(np.divmod(np.arange(3000), 60), -1)
    rgb = np.random.default_rng(0).integers(0, 256, (3000, 3), np.uint8)
    found = hints.Hints(places, rgb).on_cells((50, 60), (50, 60))
    assert len(found.cells) == 1024
    assert found.given.sum() == 1000


@pytest.mark.req("INF-020")
def test_hints_of_one_cell_count_by_their_mean():
    places = np.array([[0, 0], [1, 2], [9, 14], [4, 14]])
    rgb = np.array([[200, 40, 10], [20, 60, 240], [90, 90, 90], [0, 255, 0]], np.uint8)
    luma = rgb @ np.array([0.21, 0.72, 0.07])
    chroma = rgb[:, [0, 2]] - luma[:, None]
    given = hints.Hints(places, rgb)
    np.testing.assert_allclose(given.chroma(), chroma, atol=1e-3)
    found = given.on_cells((10, 15), (5, 5))
    assert found.cells[:3].tolist() == [[0, 0], [2, 4], [4, 4]]
    assert found.given.tolist() == [True, True, True, False]
    expected = [chroma[:2].mean(0), chroma[3], chroma[2]]
    np.testing.assert_allclose(found.chroma[:3], expected, atol=1e-3)


@pytest.mark.req("INF-023")
def test_places_end_with_the_photo():
    def at(row, column):
        return hints.Hints(np.array([[row, column]]), np.zeros((1, 3), np.uint8))

    for row, column in ((0, 0), (9, 14)):
        at(row, column).check_inside((10, 15))
    for row, column in ((-1, 0), (0, -1), (10, 0), (0, 15)):
        with pytest.raises(hints.HintError, match=f"row {row}, column {column} is outside"):
            at(row, column).check_inside((10, 15))


@pytest.mark.req("INF-004")
def test_rows_are_padded_to_powers_of_two():
    padded = [len(hints.pad_rows(np.ones((n, 3)))) for n in range(10)]
    assert padded == [1, 1, 2, 4, 4, 8, 8, 8, 8, 16]
    np.testing.assert_array_equal(hints.pad_rows(np.ones((3, 2)))[:, 0], [1, 1, 1, 0])


@pytest.mark.req("INF-023")
@pytest.mark.parametrize(
    ("places", "rgb", "found"),
    [
        (np.zeros((2, 3), int), np.zeros((2, 3), np.uint8), "places are 2 × 3 int64; .* n × 2 int"),
        (np.zeros(2, int), np.zeros((1, 3), np.uint8), "places are 2 int64; .* n × 2 integers"),
        (np.zeros((1, 2)), np.zeros((1, 3), np.uint8), "places are 1 × 2 float64; .* n × 2 int"),
        (np.zeros((1, 2), int), np.zeros((1, 2), np.uint8), "rgb are 1 × 2 uint8; .* n × 3 uint8"),
        (np.zeros((1, 2), int), np.zeros((1, 3)), "rgb are 1 × 3 float64; expected n × 3 uint8"),
        (np.zeros((1, 2), int), np.zeros((2, 3), np.uint8), "have 1 places and 2 colors"),
    ],
)
def test_other_arrays_are_refused(places, rgb, found):
    with pytest.raises(hints.HintError, match=found):
        hints.Hints(places, rgb)


@pytest.mark.req("INF-023")
def test_no_hints_are_hints():
    none = hints.Hints(np.zeros((0, 2)), np.zeros((0, 3)))
    none.check_inside((3, 4))
    found = none.on_cells((3, 4), (3, 4))
    assert found.cells.shape == (1, 2)
    assert not found.given.any()


@pytest.mark.req("INF-021")
@pytest.mark.parametrize(("count", "kept"), [(1024, 1024), (1025, 513), (2049, 683)])
def test_as_few_hints_are_left_out_as_needed(count, kept):
    places = np.stack(np.divmod(np.arange(count), 60), -1)
    rgb = np.random.default_rng(0).integers(0, 256, (count, 3), np.uint8)
    found = hints.Hints(places, rgb).on_cells((50, 60), (50, 60))
    assert found.given.sum() == kept
    step = -(-count // 1024)
    np.testing.assert_array_equal(found.cells[:kept], places[::step])
    assert len(found.cells) == 1024
