"""Many photos colored with all cores, in bounded memory, and videos; each written whole or not at all."""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import UInt8

from colorjax.errors import BusyError, ColorjaxError, OutputError
from colorjax.evaluation.baselines import LUMA_WEIGHTS
from colorjax.evaluation.report import make_sheet
from colorjax.jobs import ffmpeg, video
from colorjax.jobs.coloring import ColorOptions, Weights, color_file, variant_options
from colorjax.jobs.gallery import Pair
from colorjax.jobs.hintfiles import read_hints
from colorjax.jobs.planning import Job, failure, make_folder
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    decode_frames,
    encode_frames,
    format_of,
    memory_needed,
    read_frames,
    read_photo,
    remove_temporaries,
    suffix_for,
    write_photo,
)
from colorjax.photos.tints import is_tinted

Progress = Callable[[int, str], contextlib.AbstractContextManager[Callable[..., Any]]]


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        job: the job.
        status: "done", "skipped" (its output was there already), "busy" (another run is at work on it) or "failed".
        error: what failed; its text is one line.
        truncated: whether the end of its file was missing.
        in_color: whether a photo was in color before, and that color was not kept.
    """

    job: Job
    status: str
    error: ColorjaxError | None = None
    truncated: bool = False
    in_color: bool = False


def colorize_files(
    jobs: Sequence[Job],
    weights: Weights,
    options: ColorOptions,
    *,
    compare: bool = False,
    overwrite: bool = False,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
    threads: int | None = None,
    memory: int | None = None,
) -> Iterator[Result]:
    """Color photos, each written whole or not at all, several at a time.

    Each thread takes a photo from its file to its file, so that while one is decoded or encoded another is in the
    network.

    Args:
        jobs: photos, from `plan`.
        weights: (params, config).
        options: how they are to be colored.
        compare: also write a sheet of gray and color side by side.
        overwrite: replace outputs that exist; they are kept otherwise.
        quality: of lossy formats.
        max_pixels: most pixels of one photo.
        allow_truncated: open photos whose end is missing, too.
        threads: photos in work at once; None for one a core and one more, as one waits for the disk.
        memory: bytes that all photos in work may take together, but one always may; None for half of what is free.

    Yields:
        What became of each job, in their order.
    """
    budget = _Budget(_free_memory() // 2 if memory is None else memory)
    for folder in {job.target.parent for job in jobs}:
        remove_temporaries(folder)

    def work(job: Job) -> Result:
        targets, missing = _targets(job, options, overwrite=overwrite)
        if not any(missing):
            return Result(job, "skipped")
        cut: list[bool] = []

        def read() -> Iterator[Photo]:
            for photo in read_frames(
                job.source, max_pixels=max_pixels, allow_truncated=allow_truncated
            ):
                cut.append(photo.truncated)
                yield photo

        try:
            with budget(memory_needed(job.source)):
                first, colored = color_file(
                    read, weights, lambda photo: _hinted(options, job, photo)
                )
                make_folder(job.target.parent)
                if compare and (overwrite or not job.sheet.exists()):
                    shown = [next(variant) for variant in colored]
                    colored = [
                        itertools.chain([each], variant)
                        for each, variant in zip(shown, colored, strict=True)
                    ]
                    sheet = side_by_side(first, shown)
                    write_photo(job.sheet, sheet, overwrite=overwrite)
                for target, variant in itertools.compress(
                    zip(targets, colored, strict=True), missing
                ):
                    write_photo(target, variant, quality=quality, overwrite=overwrite)
        except Exception as error:  # whatever one photo raises, the others are done
            return _failed(job, error, targets[-1], overwrite=overwrite)
        own = not options.keep_color and _in_color(first)
        return Result(job, "done", truncated=any(cut), in_color=own)

    # the first alone: threads that need the same program at once each make it
    yield from map(work, jobs[:1])
    pool = ThreadPoolExecutor(threads or (os.cpu_count() or 1) + 1)
    try:
        yield from pool.map(work, jobs[1:])
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _unseen(total: int, unit: str) -> Iterator[Callable[..., None]]:
    yield lambda done, note: None


def colorize_video(
    job: Job,
    weights: Weights,
    options: ColorOptions,
    *,
    compare: bool = False,
    overwrite: bool = False,
    progress: Progress = _unseen,
) -> Result:
    """Color a video, in as many variants as are wished, and go on where a killed run stopped.

    Args:
        job: a video, from `plan`.
        weights: (params, config).
        options: how it is to be colored, at fixed points of the picture.
        compare: also write a sheet of a still.
        overwrite: replace outputs that exist; they are kept otherwise.
        progress: called with the number of frames and their unit before each video that is written; what it yields is
            called with how many are done, and with the video's name.

    Returns:
        What became of it.
    """
    targets, missing = _targets(job, options, overwrite=overwrite)
    sheet_too = compare and (overwrite or not job.sheet.exists())
    try:
        if any(missing):
            total = len(ffmpeg.frame_times(job.source))
            variants = _video_options(job, weights, options)
            make_folder(job.target.parent)
            for target, each in itertools.compress(zip(targets, variants, strict=True), missing):
                with progress(total, "frames") as show:
                    video.colorize_video(
                        job.source,
                        target,
                        weights,
                        each,
                        overwrite=overwrite,
                        show=functools.partial(show, note=str(target)),
                    )
        if sheet_too:
            before, *after = (Photo(ffmpeg.still(path)) for path in (job.source, *targets))
            write_photo(job.sheet, side_by_side(before, after), overwrite=overwrite)
    except Exception as error:  # whatever one video raises, the others are done
        return _failed(job, error, targets[-1], overwrite=overwrite)
    return Result(job, "done" if any(missing) else "skipped")


def finished_pairs(jobs: Sequence[Job], *, variants: int = 1) -> Iterator[Pair]:
    """Read the photos, and stills of the videos, and their color again, for a gallery, where both can be read."""
    for job in jobs:
        for number, target in enumerate(job.targets(variants), 1):
            name = job.name if variants == 1 else f"{job.name}, {number}"
            with contextlib.suppress(Exception):
                yield Pair(name, _picture(job.source), _picture(target))


def colorize_bytes(
    data: bytes,
    weights: Weights,
    options: ColorOptions,
    *,
    name: str = "photo",
    suffix: str | None = None,
    hints: str | None = None,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
    note: Callable[[Photo], object] = lambda photo: None,
) -> bytes:
    """Color the photo that the bytes of a file hold.

    Args:
        data: all of a file.
        weights: (params, config).
        options: how it is to be colored; of several variants the first is taken.
        name: what an error calls it.
        suffix: of the format to return, such as ".png"; None for the one that the photo asks for.
        hints: a file of hints.
        quality: of lossy formats.
        max_pixels: most pixels.
        allow_truncated: open a photo whose end is missing, too.
        note: called with the first photo as it was read.

    Returns:
        The bytes of a file.

    Raises:
        PhotoError: it cannot be read.
        OutputError: the format cannot hold it.
    """

    def options_for(photo: Photo) -> ColorOptions:
        if hints is None:
            return options
        return dataclasses.replace(options, hints=read_hints(hints, photo.pixels.shape))

    read = functools.partial(
        decode_frames, data, name=name, max_pixels=max_pixels, allow_truncated=allow_truncated
    )
    first, (colored, *_) = color_file(read, weights, options_for)
    note(first)
    kind = format_of(f"photo{suffix or suffix_for(first)}")
    return encode_frames(colored, kind, quality=quality)


def side_by_side(photo: Photo, variants: Sequence[Photo]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a sheet of a photo's gray and of its colorings."""
    gray = photo.to_8bit().pixels
    if gray.ndim == 3:
        gray = np.rint(gray @ LUMA_WEIGHTS).astype(np.uint8)
    row = [np.repeat(gray[..., None], 3, -1), *(variant.to_8bit().pixels for variant in variants)]
    labels = ["colorized"] if len(variants) == 1 else map(str, range(1, len(variants) + 1))
    return make_sheet([row], ["gray", *labels])


def _targets(
    job: Job, options: ColorOptions, *, overwrite: bool
) -> tuple[list[pathlib.Path], list[bool]]:
    """Return where a job's color goes, and of which of them it is still to be made."""
    targets = job.targets(options.variants)
    return targets, [overwrite or not os.path.lexists(target) for target in targets]


def _hinted(options: ColorOptions, job: Job, photo: Photo) -> ColorOptions:
    if job.hints is None:
        return options
    return dataclasses.replace(options, hints=read_hints(job.hints, photo.pixels.shape))


def _video_options(job: Job, weights: Weights, options: ColorOptions) -> list[ColorOptions]:
    """Return what is wished of each variant of a video."""
    if job.hints is None and options.variants == 1:
        return [options]
    still = Photo(ffmpeg.still(job.source))
    return variant_options(still, weights, _hinted(options, job, still))


def _failed(job: Job, error: Exception, target: pathlib.Path, *, overwrite: bool) -> Result:
    """Return what became of a job that raised something."""
    if isinstance(error, BusyError):
        return Result(job, "busy")
    if isinstance(error, OutputError) and not overwrite and target.exists():
        return Result(job, "skipped")  # another run was first
    return Result(job, "failed", failure(job.source, error))


def _in_color(photo: Photo) -> bool:
    """Tell whether a photo has color of its own, which is more than one tone."""
    return photo.pixels.ndim == 3 and not is_tinted(photo.pixels)


def _picture(path: pathlib.Path) -> Photo:
    """Read a photo of any size, as it was read before, or a video's still."""
    if ffmpeg.is_video(path):
        return Photo(ffmpeg.still(path))
    return read_photo(path, max_pixels=sys.maxsize, allow_truncated=True)


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
