"""Many photos coloured with all cores, in bounded memory, each written whole or not at all."""

import contextlib
import dataclasses
import itertools
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8

from colorjax.baselines import LUMA
from colorjax.colouring import Weights, Wishes, colour_all
from colorjax.errors import ColorjaxError, OutputError, PhotoError
from colorjax.gallery import Pair
from colorjax.hintfiles import read_hints
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    decode_frames,
    encode_frames,
    format_of,
    photo_size,
    read_frames,
    read_photo,
    suffix_for,
    sweep,
    write_photo,
)
from colorjax.planning import Job, make_folder
from colorjax.report import make_sheet

BYTES_PER_PIXEL = 40  # held while in work; measured: 17 (gray JPEG) to 31 (16-bit TIFF)


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        job: the job.
        status: "done", "skipped" (its output was there already) or "failed".
        error: what failed; its text is one line.
    """

    job: Job
    status: str
    error: ColorjaxError | None = None


def colorize_files(
    jobs: Sequence[Job],
    weights: Weights,
    wishes: Wishes,
    *,
    compare: bool = False,
    overwrite: bool = False,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    memory: int | None = None,
) -> Iterator[Result]:
    """Colour photos, each written whole or not at all, several at a time.

    Each thread takes a photo from its file to its file, so that while one is decoded or encoded another is in the
    network.

    Args:
        jobs: from `plan`.
        weights: (params, config).
        wishes: how they are to be coloured.
        compare: also write a sheet of gray and colour side by side.
        overwrite: replace outputs that exist; they are kept otherwise.
        quality: of lossy formats.
        max_pixels: most pixels of one photo.
        threads: photos in work at once; None for one a core.
        memory: bytes that all photos in work may take together, but one always may; None for half of what is free.

    Yields:
        What became of each job, in their order.

    Spec: CMD-001, CMD-003, CMD-004, CMD-008, CMD-009, CMD-021, CMD-022, CMD-023
    """
    budget = _Budget(_free_memory() // 2 if memory is None else memory)
    for folder in {job.target.parent for job in jobs}:
        sweep(folder)

    def hinted(job: Job, photo: Photo) -> Wishes:
        if job.hints is None:
            return wishes
        return dataclasses.replace(wishes, hints=read_hints(job.hints, photo.pixels.shape))

    def work(job: Job) -> Result:
        targets = job.targets(wishes.variants)
        missing = [overwrite or not os.path.lexists(target) for target in targets]
        if not any(missing):
            return Result(job, "skipped")
        try:
            h, w = photo_size(job.source)
            with budget(h * w * BYTES_PER_PIXEL):
                frames = list(read_frames(job.source, max_pixels=max_pixels))
                if len(frames) > 1 and wishes.variants > 1:
                    found = f"{job.source}: {len(frames)} pages or frames"
                    raise PhotoError(f"{found}; expected a still photo for variants")
                coloured = colour_all(frames, weights, hinted(job, frames[0]))
                make_folder(job.target.parent)
                if compare and (overwrite or not job.sheet.exists()):
                    sheet = side_by_side(frames[0], [variant[0] for variant in coloured])
                    write_photo(job.sheet, sheet, overwrite=overwrite)
                for target, variant in itertools.compress(
                    zip(targets, coloured, strict=True), missing
                ):
                    write_photo(target, variant, quality=quality, overwrite=overwrite)
        except ColorjaxError as error:
            if isinstance(error, OutputError) and not overwrite and targets[-1].exists():
                return Result(job, "skipped")  # another run was first
            return Result(job, "failed", error)
        return Result(job, "done")

    pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
    try:
        yield from pool.map(work, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def finished_pairs(jobs: Sequence[Job], *, variants: int = 1) -> Iterator[Pair]:
    """Read the photos and their colour again, for a gallery, where both can be read.

    Spec: CMD-034
    """
    for job in jobs:
        for number, target in enumerate(job.targets(variants), 1):
            name = job.name if variants == 1 else f"{job.name}, {number}"
            with contextlib.suppress(PhotoError):
                limit = {"max_pixels": sys.maxsize}  # they were read before
                yield Pair(name, read_photo(job.source, **limit), read_photo(target, **limit))


def colorize_bytes(
    data: bytes,
    weights: Weights,
    wishes: Wishes,
    *,
    name: str = "photo",
    suffix: str | None = None,
    hints: str | None = None,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """Colour the photo that the bytes of a file hold.

    Args:
        data: all of a file.
        weights: (params, config).
        wishes: how it is to be coloured; of several variants the first is taken.
        name: what an error calls it.
        suffix: of the format to return, such as ".png"; None for the one that the photo asks for.
        hints: a file of hints.
        quality: of lossy formats.
        max_pixels: most pixels.

    Returns:
        The bytes of a file.

    Raises:
        PhotoError: it cannot be read.
        OutputError: the format cannot hold it.

    Spec: CMD-027, CMD-032
    """
    frames = list(decode_frames(data, name=name, max_pixels=max_pixels))
    if hints is not None:
        wishes = dataclasses.replace(wishes, hints=read_hints(hints, frames[0].pixels.shape))
    coloured, *_ = colour_all(frames, weights, wishes)
    kind = format_of(f"photo{suffix or suffix_for(frames[0])}")
    return encode_frames(coloured, kind, quality=quality)


def side_by_side(photo: Photo, variants: Sequence[Photo]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a sheet of a photo's gray and of its colourings.

    Spec: CMD-009
    """
    gray = photo.to_8bit().pixels
    if gray.ndim == 3:
        gray = np.rint(gray @ LUMA).astype(np.uint8)
    row = [np.repeat(gray[..., None], 3, -1), *(variant.to_8bit().pixels for variant in variants)]
    labels = ["colorized"] if len(variants) == 1 else map(str, range(1, len(variants) + 1))
    return make_sheet([row], ["gray", *labels])


class _Budget:
    """Memory that threads share: each waits until its part fits, but one alone may have any."""

    def __init__(self, total: int) -> None:
        self.total, self.used, self.changed = total, 0, threading.Condition()

    @contextlib.contextmanager
    def __call__(self, size: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: not self.used or self.used + size <= self.total)
            self.used += size
        try:
            yield
        finally:
            with self.changed:
                self.used -= size
                self.changed.notify_all()


def _free_memory() -> int:
    """Return the bytes that no process uses, as far as the system tells: 2 GB where it does not."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2_000_000_000
