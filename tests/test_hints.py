"""How hints spread over the cells: against the least squares solved densely in float64 NumPy."""

import jax
import numpy as np
import pytest

from colorjax.inference import hints

spread = jax.jit(lambda *arrays: hints.spread_hints(*arrays))
LEAK, HOLD, EDGE = 3e-4, 30, 20
SHAPE = (6, 7)


def passage(gray, cell, step):
    """Return how easily color passes from a cell to the next: the gray of the two and of one beyond each counts."""
    ends = [np.clip(np.add(cell, np.multiply(step, i)), 0, np.subtract(SHAPE, 1)) for i in (-1, 2)]
    before, after = (float(gray[tuple(end)]) for end in ends)
    return np.exp(-(((after - before) / EDGE) ** 2))


def least_squares(chroma, gray, told):
    """Write one row for each squared term, and solve them all."""
    cells = list(np.ndindex(SHAPE))
    number = {cell: i for i, cell in enumerate(cells)}
    rows, wanted = [], []

    def add(weight, columns, value):
        row = np.zeros(len(cells))
        for column, factor in columns.items():
            row[column] = factor * np.sqrt(weight)
        rows.append(row)
        wanted.append(np.sqrt(weight) * np.asarray(value, float))

    for cell in cells:
        add(LEAK, {number[cell]: 1}, [0, 0])
        if told[cell][2]:
            add(HOLD, {number[cell]: 1}, told[cell][:2] - chroma[cell])
        for step in ((0, 1), (1, 0)):
            neighbor = tuple(np.add(cell, step))
            if neighbor in number:
                pair = {number[cell]: -1, number[neighbor]: 1}
                add(passage(gray, cell, step), pair, [0, 0])
    d = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    return chroma + d.reshape(*SHAPE, 2)


def told_at(places):
    """Return chroma and mask of a grid with these hints."""
    told = np.zeros((*SHAPE, 3), np.float32)
    for place, chroma in places.items():
        told[place] = [*chroma, 1]
    return told


@pytest.mark.req("INF-021")
@pytest.mark.parametrize("step", [0, 20, 100])
def test_spreading_is_the_least_squares(step):
    rng = np.random.default_rng(0)
    gray = (rng.uniform(90, 100, SHAPE) + step * (np.arange(SHAPE[1]) > 3)).astype(np.float32)
    chroma = rng.normal(0, 20, (*SHAPE, 2)).astype(np.float32)
    told = told_at({(0, 0): (60, -30), (3, 2): (-50, 40), (4, 1): (10, 70)})
    expected = least_squares(chroma.astype(float), gray, told)
    np.testing.assert_allclose(spread(chroma, gray, told), expected, atol=1)


@pytest.mark.req("INF-021")
def test_unlike_neighbors_are_held():
    gray, chroma = np.full(SHAPE, 90, np.float32), np.zeros((*SHAPE, 2), np.float32)
    wanted = {(2, 3): (50, -50), (2, 4): (-50, 50)}
    result = np.asarray(spread(chroma, gray, told_at(wanted)))
    distance = np.hypot(100, 100)
    for place, told in wanted.items():
        assert np.linalg.norm(result[place] - told) <= 0.1 * distance


@pytest.mark.req("INF-022")
def test_no_hint_leaves_the_chroma():
    rng = np.random.default_rng(0)
    gray, chroma = rng.uniform(0, 255, SHAPE), rng.normal(0, 20, (*SHAPE, 2))
    gray, chroma = gray.astype(np.float32), chroma.astype(np.float32)
    np.testing.assert_array_equal(spread(chroma, gray, told_at({})), chroma)


@pytest.mark.req("INF-020")
def test_hints_of_one_cell_count_by_their_mean():
    places = np.array([[0, 0], [1, 2], [9, 14], [4, 14]])
    rgb = np.array([[200, 40, 10], [20, 60, 240], [90, 90, 90], [0, 255, 0]], np.uint8)
    luma = rgb @ np.array([0.21, 0.72, 0.07])
    chroma = rgb[:, [0, 2]] - luma[:, None]
    given = hints.Hints(places, rgb)
    np.testing.assert_allclose(given.chroma(), chroma, atol=1e-3)
    grid = np.zeros((5, 5, 3))
    grid[0, 0] = [*chroma[:2].mean(0), 1]
    grid[4, 4], grid[2, 4] = [*chroma[2], 1], [*chroma[3], 1]
    np.testing.assert_allclose(given.on_grid((10, 15), (5, 5)), grid, atol=1e-3)


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
