"""The data loader: the photos of each step, read ahead from memory or from files."""

import os
from collections.abc import Callable, Iterator

import grain
import numpy as np
from jaxtyping import Int, UInt8

from colorjax.data.datasets import Photos, cut_square

PREFETCH = 4  # chunks to read ahead


class Loader:
    """Batches by step.

    The order of the photos is a function of the step (`order.photo_order`), and so is the window of each view. The
    loader therefore has no state: a resumed run asks for the remaining steps. grain reads ahead in threads and returns
    results in order. Its elements are chunks of steps, because its cost is per element and small photos are cheap.
    """

    def __init__(
        self,
        photos: Photos,
        order: Callable[[int], Int[np.ndarray, " batch"]],
        *,
        size: int,
        seed: int,
        slots: range | None = None,
    ):
        """Store everything that determines the batches.

        Args:
            photos: Squares of `size`, or photos whose short side is at least `size`.
            order: A function from a step to the indices of its photos.
            size: The side of the views.
            seed: The seed of the windows of the views.
            slots: The positions in a batch that this process fills. None means all of them.
        """
        self.photos, self.order, self.size, self.seed, self.slots = (
            photos,
            order,
            size,
            seed,
            slots,
        )

    def batch(self, step: int) -> UInt8[np.ndarray, "batch n n 3"]:
        """Return the views of a step. The slots of other processes stay black."""
        chosen = self.order(step)
        if isinstance(self.photos, np.ndarray) and self.slots is None:
            return self.photos[chosen]
        places = np.random.default_rng([self.seed, step, 1]).random(len(chosen))
        views = np.zeros((len(chosen), self.size, self.size, 3), np.uint8)
        for slot in range(len(chosen)) if self.slots is None else self.slots:
            photo = self.photos[int(chosen[slot])]
            views[slot] = cut_square(photo, self.size, place=places[slot])
        return views

    def chunks(
        self, first: int, last: int, steps: int
    ) -> Iterator[UInt8[np.ndarray, "steps batch n n 3"]]:
        """Yield the batches of the steps from `first` to `last`, in chunks of `steps`."""

        def chunk(start):
            end = min(int(start) + steps, last)
            return np.stack([self.batch(step) for step in range(int(start), end)])

        threads = 2 * (os.cpu_count() or 1)
        options = grain.ReadOptions(
            num_threads=threads, prefetch_buffer_size=max(PREFETCH, threads)
        )
        yield from grain.MapDataset.range(first, last, steps).map(chunk).to_iter_dataset(options)
