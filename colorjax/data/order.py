"""Which photos validate, and in what order the others teach."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int


def split(
    count: int, share: float, *, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Split photos at random into training and validation, both sorted.

    Args:
        count: number of photos, at least 1.
        share: of validation, in [0, 1]; at least one photo stays for training, and a share above 0 takes at least
            one of two or more photos.
        seed: decides which.
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
    """Return the function from a step to its photos: reshuffled passes, one after the other.

    Random access by step makes resuming exact: nothing but the step has to be kept.

    Args:
        count: number of photos.
        batch: photos a step.
        seed: decides all.
        source: for each photo its place, from 0; only with `weights`.
        weights: for each place its share of the draws, in any unit; without, all photos are drawn alike.
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
    """Share draws out by weight in whole numbers: the largest remainders get what rounding left."""
    exact = count * np.asarray(weights, np.float64) / np.sum(weights)
    draws = np.floor(exact).astype(int)
    draws[np.argsort(draws - exact, kind="stable")[: count - draws.sum()]] += 1
    return draws.tolist()
