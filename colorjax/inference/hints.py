"""Hints: known colors at places of a photo, and how far they spread."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float, Shaped

from colorjax.color import rgb_to_luma_chroma
from colorjax.errors import HintError

EDGE = 20.0  # a step of this many levels of gray over three cells is an edge, which color hardly passes
LEAK = 3e-4  # weight of the network's prediction, relative to 1 for each neighbor of the same gray
HOLD = 30.0  # weight of a hint


@dataclasses.dataclass(frozen=True)
class Hints:
    """Places of a photo whose color is known. Of each color only the chroma counts; the luma is the photo's.

    Attributes:
        places: (n, 2) integers, the row and the column of each place.
        rgb: (n, 3) uint8 sRGB levels.

    Raises:
        HintError: an array has the wrong shape or dtype, or the two have different lengths.

    Example:
        >>> hints = colorjax.Hints(places=np.array([[80, 120]]), rgb=np.array([[124, 58, 45]], np.uint8))
        >>> np.rint(hints.chroma())
        array([[ 53., -26.]], dtype=float32)
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
        """Check that all places lie inside a photo of (h, w).

        Raises:
            HintError: a place lies outside. The message names the first one.
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

    def on_grid(
        self, shape: tuple[int, ...], grid: tuple[int, int]
    ) -> Float[np.ndarray, "rows columns 3"]:
        """Return the mean chroma and a mask for each cell of a grid over a photo of (h, w)."""
        cells = self.places * np.array(grid) // np.array(shape[:2])
        total = np.zeros((*grid, 3), np.float32)
        np.add.at(
            total, tuple(cells.T), np.concatenate([self.chroma(), np.ones((len(cells), 1))], 1)
        )
        count = total[..., 2:]
        return np.concatenate([total[..., :2] / np.maximum(count, 1), np.minimum(count, 1)], -1)


def pad_rows(array: Shaped[np.ndarray, "n ..."]) -> Shaped[np.ndarray, "m ..."]:
    """Append rows of zeros up to a power of two, so that different numbers of hints share a few compiled programs."""
    missing = (1 << max(0, len(array) - 1).bit_length()) - len(array)
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)])


def spread_hints(
    chroma: Float[Array, "n m 2"], gray: Float[Array, "n m"], hints: Float[Array, "n m 3"]
) -> Float[Array, "n m 2"]:
    """Pull the predicted chroma toward the hints, and spread the correction between neighbors of similar gray.

    The correction d minimizes Σ_hinted HOLD (d − missing)² + Σ_neighbors a (dᵢ − dⱼ)² + Σ LEAK d², where a falls with
    the difference in gray between neighbors. This linear system is solved by conjugate gradients.

    Args:
        chroma: The predicted chroma, in levels.
        gray: Levels.
        hints: Chroma and mask, from `Hints.on_grid`.

    References:
        Levin, Lischinski and Weiss, Colorization using Optimization, SIGGRAPH 2004; here with a screening term.
    """
    hold = HOLD * hints[..., 2:]
    along, down = _passage(gray), _passage(gray.T).swapaxes(0, 1)

    def system(d):
        flow_down, flow_along = down * jnp.diff(d, axis=0), along * jnp.diff(d, axis=1)
        arriving = jnp.diff(jnp.pad(flow_down, ((1, 1), (0, 0), (0, 0))), axis=0)
        arriving += jnp.diff(jnp.pad(flow_along, ((0, 0), (1, 1), (0, 0))), axis=1)
        return (hold + LEAK) * d - arriving

    correction, _ = cg(system, hold * (hints[..., :2] - chroma), tol=1e-3, maxiter=300)
    return chroma + correction


def _passage(gray):
    """Return how easily color passes from each cell to the next one in its row. An edge may also lie inside a cell."""
    wide = jnp.pad(gray, ((0, 0), (1, 1)), mode="edge")
    return jnp.exp(-(((wide[:, 3:] - wide[:, :-3]) / EDGE) ** 2))[..., None]
