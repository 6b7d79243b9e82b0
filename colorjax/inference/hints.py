"""Colors that a person knows, at places of a photo, and how far they spread."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from colorjax.color import rgb_to_luma_chroma
from colorjax.errors import HintError
from colorjax.inference.things import affinity

DOUBT = 0.005  # variance of a hint, against 1 of what the network misses
MOST = 1024  # hinted cells that are spread; of more, every so-manieth


@dataclasses.dataclass(frozen=True)
class Hints:
    """Places of a photo whose color is known; of the colors only the chroma counts, the light is the photo's.

    Attributes:
        places: (n, 2) integers, row and column of each.
        rgb: (n, 3) uint8, sRGB levels.
    """

    places: np.ndarray
    rgb: np.ndarray

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

    def check_inside(self, shape: tuple[int, ...]) -> None:
        """Refuse places outside a photo of (h, w).

        Raises:
            HintError: the first such place.
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
        chroma = rgb_to_luma_chroma(pad_rows(self.rgb.astype(np.float32)))[1]
        return np.asarray(chroma)[: len(self.rgb)]

    def on_cells(self, shape: tuple[int, ...], grid: tuple[int, ...]) -> "CellHints":
        """Return the hints as cells of a grid laid over a photo of (h, w).

        Hints in one cell count by their mean. Beyond 1024 cells only an even choice of them is spread.

        Args:
            shape: (h, w) of the photo.
            grid: rows and columns of cells.
        """
        cells = self.places * np.array(grid) // np.array(shape[:2])
        cells, which, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        total = np.zeros((len(cells), 2), np.float32)
        np.add.at(total, which.ravel(), self.chroma())
        chosen = slice(None, None, max(1, -(-len(cells) // MOST)))
        chroma = (total / count[:, None].astype(np.float32))[chosen]
        given = np.ones(len(chroma), bool)
        most = min(
            MOST, len(self.places)
        )  # not of the cells: as many hints share a program wherever they are
        filled = (pad_rows(a, most) for a in (cells[chosen].astype(np.int32), chroma, given))
        return CellHints(*filled)


class CellHints(NamedTuple):
    """Known chroma of cells; filled up to a power of two.

    Attributes:
        cells: row and column of each.
        chroma: in levels.
        given: which are hints; the others fill up.
    """

    cells: Int[Array | np.ndarray, "k 2"]
    chroma: Float[Array | np.ndarray, "k 2"]
    given: Bool[Array | np.ndarray, " k"]


def pad_rows(
    array: Shaped[np.ndarray, "n ..."], count: int | None = None
) -> Shaped[np.ndarray, "m ..."]:
    """Add rows of zeros, so that any number of hints shares few programs.

    Args:
        array: of n rows.
        count: the number of rows becomes the next power of two from this; n unless told.
    """
    count = len(array) if count is None else count
    missing = (1 << max(0, count - 1).bit_length()) - len(array)
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)])


def spread_hints(
    chroma: Float[Array, "n m 2"], features: Float[Array, "n m features"], hints: CellHints
) -> Float[Array, "n m 2"]:
    """Correct predicted chroma by the hints, and what belongs to the same thing with it.

    What the network misses at a place is taken for a Gaussian process over the cells, with `things.affinity` as its
    covariance: cells of one thing are wrong alike. The hints tell its value at some cells, and the mean of the others
    given these is the correction.

    Args:
        chroma: predicted, in levels.
        features: of the cells, as in `Prediction`.
        hints: from `Hints.on_cells`.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equation 2.23.
    """
    rows, columns = hints.cells.T
    told = features[rows, columns]
    among = affinity(told, hints.cells, told, hints.cells, chroma.shape[:2])
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
    )
    return chroma + jnp.matmul(toward, pull, precision="highest").reshape(chroma.shape)
