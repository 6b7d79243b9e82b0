"""Hints: known colors at places of a photo, and how they spread."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from colorjax.color import rgb_to_luma_chroma
from colorjax.errors import HintError
from colorjax.inference.things import NEAR, affinity

DOUBT = 0.005  # variance of a hint, relative to that of the network's error
HERE = 0.04  # scale of distance for hints that color only their surroundings, in short sides of the photo
MOST = 1024  # most cells with hints; of more, every n-th is used


@dataclasses.dataclass(frozen=True)
class Hints:
    """Places of a photo with known colors. Only the chroma of the colors counts, because the photo keeps its luma.

    Attributes:
        places: (n, 2) integers, the row and column of each place.
        rgb: (n, 3) uint8, sRGB levels.
        local: (n,) bool, True for hints that color only their surroundings, not the whole thing. None means that none
            does.
    """

    places: np.ndarray
    rgb: np.ndarray
    local: np.ndarray | None = None

    def __post_init__(self):
        for name, wide, kind in (("places", 2, np.integer), ("rgb", 3, np.uint8)):
            array = getattr(self, name)
            fits = isinstance(array, np.ndarray) and array.ndim == 2 and array.shape[1] == wide
            if not fits or (len(array) and not np.issubdtype(array.dtype, kind)):
                found = " × ".join(map(str, np.shape(array)))
                raise HintError(
                    f"the hints' {name} are {found} {getattr(array, 'dtype', type(array).__name__)}; "
                    f"expected n × {wide} {'integers' if wide == 2 else 'uint8'}"
                )
        if len(self.places) != len(self.rgb):
            raise HintError(f"the hints have {len(self.places)} places and {len(self.rgb)} colors")
        if self.local is not None:
            kind = getattr(self.local, "dtype", type(self.local).__name__)
            shape = np.shape(self.local)
            if kind != np.bool_ or shape != (len(self.rgb),):
                found = f"{' × '.join(map(str, shape))} {kind}"
                raise HintError(f"the hints' local is {found}; expected {len(self.rgb)} bool")

    def check_inside(self, shape: tuple[int, ...]) -> None:
        """Check that all places lie inside a photo of (h, w).

        Raises:
            HintError: a place lies outside. The error names the first one.
        """
        outside = (self.places < 0) | (self.places >= np.array(shape[:2]))
        if outside.any():
            row, column = self.places[np.argmax(outside.any(1))]
            height, width = shape[:2]
            raise HintError(
                f"a hint at row {row}, column {column} is outside the photo of {height} × {width}"
            )

    def chroma(self) -> Float[np.ndarray, "n 2"]:
        """Return R − Y and B − Y in levels."""
        return _chroma_of(self.rgb)

    def on_cells(self, shape: tuple[int, ...], grid: tuple[int, ...]) -> "CellHints":
        """Map the hints to the cells of a grid over the photo.

        Several hints in one cell are averaged, and are local if all of them are. Of more than 1024 cells with hints,
        every n-th is used.

        Args:
            shape: (h, w) of the photo.
            grid: Rows and columns of cells.
        """
        cells = self.places.astype(int) * np.array(grid) // np.array(shape[:2])
        which, size = cells @ np.array([grid[1], 1]), grid[0] * grid[1]
        count = np.bincount(which, minlength=size)
        total = np.stack([np.bincount(which, levels, size) for levels in self.rgb.T], -1)
        hinted = np.flatnonzero(count)
        chosen = hinted[:: max(1, -(-len(hinted) // MOST))]
        chroma = _chroma_of(total[chosen] / count[chosen, None])
        found = np.stack(np.divmod(chosen, grid[1]), -1).astype(np.int32)
        # the number of hints, not of their cells, so that programs do not depend on the places
        most = min(MOST, len(self.places))
        arrays = [found, chroma, np.ones(len(chosen), bool)]
        if self.local is not None:
            arrays.append(np.bincount(which, ~self.local, size)[chosen] == 0)
        return CellHints(*(pad_rows(array, most) for array in arrays))


class CellHints(NamedTuple):
    """Known chroma of cells, padded to a power of two.

    Attributes:
        cells: The row and column of each cell.
        chroma: (R − Y, B − Y) in levels.
        given: True for hints, False for padding.
        local: As in `Hints`.
    """

    cells: Int[Array | np.ndarray, "k 2"]
    chroma: Float[Array | np.ndarray, "k 2"]
    given: Bool[Array | np.ndarray, " k"]
    local: Bool[Array | np.ndarray, " k"] | None = None


def _chroma_of(rgb: np.ndarray) -> Float[np.ndarray, "n 2"]:
    return np.asarray(rgb_to_luma_chroma(pad_rows(rgb.astype(np.float32)))[1])[: len(rgb)]


def pad_rows(
    array: Shaped[np.ndarray, "n ..."], count: int | None = None
) -> Shaped[np.ndarray, "m ..."]:
    """Add rows of zeros up to a power of two, so that different numbers of hints share few compiled programs.

    Args:
        array: An array of n rows.
        count: The result has the smallest power of two of at least `count` rows. None means n.
    """
    count = len(array) if count is None else count
    missing = (1 << max(0, count - 1).bit_length()) - len(array)
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)])


def spread_hints(
    chroma: Float[Array, "n m 2"],
    features: Float[Array, "n m features"],
    hints: CellHints,
    deviation: Float[Array | np.ndarray, "n m"],
) -> Float[Array, "n m 2"]:
    """Correct predicted chroma at the hints, and in cells that belong to the same things.

    The error of the prediction is modeled as a Gaussian process over the cells. Its covariance is `things.affinity`,
    because errors within one thing are similar, times the roots of the deviations, because errors are larger where the
    network is uncertain. The hints give the error at some cells. The correction is the mean of the process given these.
    Local hints correct the result of the others, with an affinity that ends near them.

    Args:
        chroma: The prediction, in levels.
        features: The features of the cells, as in `Prediction`.
        hints: From `Hints.on_cells`.
        deviation: How uncertain each cell is, in levels, as from `bins.deviation`. Only ratios count, and
            less than a level counts as one.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equation 2.23.
    """
    given, local = jnp.asarray(hints.given), hints.local
    if local is None:
        return _corrected(chroma, features, hints, deviation, NEAR)
    local = jnp.asarray(local)
    chroma = _corrected(chroma, features, hints._replace(given=given & ~local), deviation, NEAR)
    return _corrected(chroma, features, hints._replace(given=given & local), deviation, HERE)


def _corrected(chroma, features, hints, deviation, near):
    """Correct chroma at and near hints, as described in `spread_hints`."""
    rows, columns = hints.cells.T
    told = features[rows, columns]
    deviation = jnp.maximum(deviation, 1.0)  # a network that is certain of everything spreads, too
    scale = jnp.sqrt(deviation / jnp.sqrt(jnp.square(deviation).mean()))
    there = scale[rows, columns]
    among = affinity(told, hints.cells, told, hints.cells, chroma.shape[:2], near=near)
    among = there[:, None] * there[None] * among
    among = jnp.where(hints.given[:, None] & hints.given[None], among, 0)
    missing = jnp.where(hints.given[:, None], hints.chroma - chroma[rows, columns], 0)
    noise = jnp.where(hints.given, DOUBT, 1.0)
    pull = jnp.linalg.solve(among + jnp.diag(noise), missing)
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, chroma.shape[:2]), indexing="ij"), -1)
    toward = affinity(
        features.reshape(-1, features.shape[-1]),
        grid.reshape(-1, 2),
        told,
        hints.cells,
        chroma.shape[:2],
        near=near,
    )
    toward = scale.reshape(-1, 1) * there[None] * toward
    return chroma + jnp.matmul(toward, pull, precision="highest").reshape(chroma.shape)
