"""The split into training and validation photos, and the order of training photos."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int


def split(
    count: int, share: float, *, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Split photos at random into training and validation photos. Both lists of indices are sorted.

    Args:
        count: The number of photos, at least 1.
        share: The share of validation photos, in [0, 1]. At least one photo stays for training. A share above 0 takes
            at least one of two or more photos.
        seed: The seed of the split.
    """
    wanted = round(share * count)
    validation = 0 if share == 0 or count == 1 else min(max(wanted, 1), count - 1)
    shuffled = np.random.default_rng(seed).permutation(count)
    return np.sort(shuffled[validation:]), np.sort(shuffled[:validation])


def photo_order(
    count: int,
    batch: int,
    *,
    seed: int,
    source: Int[np.ndarray, " count"] | None = None,
    weights: Sequence[int | float] = (),
) -> Callable[[int], Int[np.ndarray, " batch"]]:
    """Return a function from a step to the indices of its photos: reshuffled passes, one after the other.

    A run can be resumed exactly, because the photos depend on nothing but the step.

    Args:
        count: The number of photos.
        batch: The number of photos per step.
        seed: The seed of the order.
        source: For each photo, the index of its place. Used only with `weights`.
        weights: For each place, its relative weight, finite and above 0. Each of these places has photos. Without
            weights, all photos are equally likely.
    """
    members = [np.arange(count)]
    if source is not None and len(weights):
        members = [np.flatnonzero(source == i) for i in range(len(weights))]
    drawn = _shares(count, weights) if len(members) > 1 else [count]

    @functools.lru_cache(maxsize=2 * len(members))
    def cycle(place: int, turn: int) -> Int[np.ndarray, " members"]:
        return np.random.default_rng([seed, turn, place]).permutation(members[place])

    @functools.lru_cache(maxsize=2)
    def shuffled(turn: int) -> Int[np.ndarray, " count"]:
        if len(members) == 1:
            return np.random.default_rng([seed, turn]).permutation(count)
        chosen = []
        for place, draws in enumerate(drawn):
            among = np.arange(turn * draws, (turn + 1) * draws)
            turns, within = np.divmod(among, max(1, len(members[place])))
            chosen += [cycle(place, t)[within[turns == t]] for t in np.unique(turns).tolist()]
        return np.random.default_rng([seed, turn]).permutation(np.concatenate(chosen))

    def photos_of(step: int) -> Int[np.ndarray, " batch"]:
        turns, within = np.divmod(np.arange(step * batch, (step + 1) * batch), count)
        return np.concatenate([shuffled(t)[within[turns == t]] for t in np.unique(turns).tolist()])

    return photos_of


def _shares(count, weights):
    """Distribute draws by weight in whole numbers. The largest remainders get what rounding left over."""
    shares = np.asarray(weights, np.float64) / max(weights)  # their sum is finite
    exact = count * shares / np.sum(shares)
    draws = np.floor(exact).astype(int)
    draws[np.argsort(draws - exact, kind="stable")[: count - draws.sum()]] += 1
    return draws.tolist()
