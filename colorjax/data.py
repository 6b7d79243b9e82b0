"""Which photos teach, which validate, and in what order."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Int, UInt8

from colorjax import photos
from colorjax.errors import NoPhotosError


@dataclasses.dataclass(frozen=True)
class PhotoSet:
    """Colour photos framed to one size, and what was left out.

    Attributes:
        rgb: levels.
        names: one a photo, relative to the place it was found in.
        gray: names of the photos left out because they have no colour.
        failures: one line for each file that could not be read.
    """

    rgb: UInt8[np.ndarray, "photos n n 3"]
    names: tuple[str, ...]
    gray: tuple[str, ...]
    failures: tuple[str, ...]


def load_photos(
    places: list[str], size: int, *, framing: str = "squash", method: str = "lanczos"
) -> PhotoSet:
    """Read the colour photos of files, folders or `samples`, framed to size × size.

    Args:
        places: files, folders (searched recursively), or `samples`.
        size: n, in pixels.
        framing: `squash` or `crop`, as in `photos.load_square`.
        method: `lanczos` or `bicubic`, likewise.

    Raises:
        PhotoError: a place does not exist.
        NoPhotosError: no colour photo is among them.

    Spec: TRN-017
    """
    found = photos.find_photos(places)
    failed: dict[int, str] = {}
    rgb = photos.load_squares(
        [path for path, _ in found],
        size,
        framing=framing,
        method=method,
        on_error=lambda place, error: failed.update({place: str(error)}),
    )
    has_colour = np.ptp(rgb, axis=-1).any(axis=(1, 2))
    names = [name for _, name in found]
    gray = [name for i, name in enumerate(names) if i not in failed and not has_colour[i]]
    if not has_colour.any():
        left_out = f"{len(gray)} gray, {len(failed)} unreadable"
        first = f"; {next(iter(failed.values()))}" if failed else ""
        where = ", ".join(map(str, places))
        raise NoPhotosError(f"{where}: no colour photo there ({left_out}){first}")
    return PhotoSet(
        rgb=rgb[has_colour],
        names=tuple(name for i, name in enumerate(names) if has_colour[i]),
        gray=tuple(gray),
        failures=tuple(failed.values()),
    )


def split(
    count: int, share: float, *, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Split photos at random into training and validation, both sorted.

    Args:
        count: number of photos, at least 1.
        share: of validation, in [0, 1]; at least one photo stays for training, and a share above 0 takes at least
            one of two or more photos.
        seed: decides which.

    Spec: TRN-016
    """
    wanted = round(share * count)
    validation = 0 if share == 0 or count == 1 else min(max(wanted, 1), count - 1)
    shuffled = np.random.default_rng(seed).permutation(count)
    return np.sort(shuffled[validation:]), np.sort(shuffled[:validation])


def photo_order(count: int, batch: int, *, seed: int) -> Callable[[int], Int[np.ndarray, " batch"]]:
    """Return the function from a step to its photos: reshuffled passes, one after the other.

    Random access by step makes resuming exact: nothing but the step has to be kept.

    Spec: TRN-007
    """

    @functools.lru_cache(maxsize=2)
    def shuffled(turn: int) -> Int[np.ndarray, " count"]:
        return np.random.default_rng([seed, turn]).permutation(count)

    def photos_of(step: int) -> Int[np.ndarray, " batch"]:
        draws = range(step * batch, (step + 1) * batch)
        return np.array([shuffled(draw // count)[draw % count] for draw in draws])

    return photos_of
