"""The photos of each step, made ready while the device works: from memory, or streamed from files."""

import os
from collections.abc import Callable, Iterator

import grain
import numpy as np
from jaxtyping import Int, UInt8

from colorjax.data.datasets import Photos, cut_square

AHEAD = 4  # chunks that wait, ready


class Loader:
    """Batches by step.

    The order of photos is a function of the step (`order.photo_order`), and so is where a view's window lies: it has
    no state, and a run that goes on asks for the steps that are missing. grain reads chunks ahead in threads and hands
    them out in order; its elements are chunks, as its price is one an element and small photos are cheaper than that.
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
        """Keep what decides the batches.

        Args:
            photos: squares of `size`, or photos of at least that short side.
            order: from a step to the places of its photos.
            size: of the views.
            seed: decides where a view's window lies.
            slots: the places of a batch that are filled; the others are another process's. None for all.
        """
        self.photos, self.order, self.size, self.seed, self.slots = (
            photos,
            order,
            size,
            seed,
            slots,
        )

    def batch(self, step: int) -> UInt8[np.ndarray, "batch n n 3"]:
        """Return the views of a step; the slots of other processes stay black."""
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
        """Yield the batches from a step to another, so many steps at a time."""

        def chunk(start):
            end = min(int(start) + steps, last)
            return np.stack([self.batch(step) for step in range(int(start), end)])

        threads = 2 * (os.cpu_count() or 1)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(AHEAD, threads))
        yield from grain.MapDataset.range(first, last, steps).map(chunk).to_iter_dataset(options)
