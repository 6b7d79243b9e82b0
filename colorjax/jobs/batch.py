"""Many photos, colored on all cores in bounded memory, and videos. Each output is written completely or not at all."""

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

from colorjax.color.luma import LUMA_WEIGHTS
from colorjax.errors import BusyError, ColorjaxError, ExistsError, OutputError
from colorjax.evaluation.report import make_sheet
from colorjax.jobs import ffmpeg, video
from colorjax.jobs.coloring import (
    ColorOptions,
    Weights,
    color_file,
    counted,
    is_in_color,
    variant_options,
)
from colorjax.jobs.gallery import Pair
from colorjax.jobs.hintfiles import read_hints
from colorjax.jobs.outputs import Claims
from colorjax.jobs.planning import Job, failure, make_folder
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    check_replaceable,
    count_frames,
    count_frames_in,
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

Progress = Callable[[int, str], contextlib.AbstractContextManager[Callable[..., Any]]]


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a job.

    Attributes:
        job: The job.
        status: "done", "skipped" (the output exists), "busy" (another run is working on it) or "failed".
        error: What failed. Its text is one line.
        truncated: Whether the end of the file was missing.
        in_color: Whether the photo was already in color, and that color was discarded.
    """

    job: Job
    status: str
    error: ColorjaxError | None = None
    truncated: bool = False
    in_color: bool = False


@contextlib.contextmanager
def _no_progress(total: int, unit: str) -> Iterator[Callable[..., None]]:
    yield lambda done, note: None


def colorize_files(
    jobs: Sequence[Job],
    weights: Weights,
    options: ColorOptions,
    *,
    compare: bool = False,
    overwrite: bool = False,
    claims: Claims | None = None,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
    allow_truncated: bool = False,
    threads: int | None = None,
    memory: int | None = None,
    progress: Progress = _no_progress,
) -> Iterator[Result]:
    """Color photos, several at a time.

    Each thread takes one photo from reading to writing. While one thread decodes or encodes, another runs the network.

    Args:
        jobs: Photos, from `planning.plan`.
        weights: (params, config).
        options: How the photos are colored.
        compare: Whether to write a sheet with gray and color side by side, too.
        overwrite: Whether to replace existing outputs. Otherwise they are kept.
        claims: The files that must not be replaced. None means only the photos.
        quality: The quality of lossy formats, 1 to 100.
        max_pixels: The most pixels of one photo.
        allow_truncated: Whether to open photos whose end is missing.
        threads: How many photos are in progress at once. None means one more than there are cores.
        memory: The bytes that all photos in progress may use together. A single photo may always use more. None means
            half of the free memory.
        progress: Called before each output of several pages or frames is written, from any thread, as by
            `colorize_video`.

    Yields:
        The result of each job, in the order of the jobs.
    """
    budget = _Budget(_free_memory() // 2 if memory is None else memory)
    known = claims or Claims(job.source for job in jobs)
    for folder in {job.target.parent for job in jobs}:
        remove_temporaries(folder)

    def write(target: pathlib.Path, picture: Any) -> bool:
        """Write a file, and return whether it was written. False means that another run wrote it first."""
        if overwrite:
            known.claim(target, overwrite=True)  # again: a folder may have been replaced meanwhile
        try:
            write_photo(target, picture, quality=quality, overwrite=overwrite)
        except ExistsError:
            return False
        return True

    def work(job: Job) -> Result:
        cut: list[bool] = []

        def read() -> Iterator[Photo]:
            for photo in read_frames(
                job.source, max_pixels=max_pixels, allow_truncated=allow_truncated
            ):
                cut.append(photo.truncated)
                yield photo

        try:
            targets, missing = _targets(job, options, compare=compare, overwrite=overwrite)
            if not any(missing):
                return Result(job, "skipped")
            with budget(memory_needed(job.source)):
                first, colored = color_file(
                    read, weights, lambda photo: _hinted(options, job, photo)
                )
                make_folder(job.target.parent)
                total = count_frames(job.source)
                if compare and (overwrite or not os.path.exists(job.sheet)):
                    begun = [next(variant) for variant in colored]
                    colored = [
                        itertools.chain([each], variant)
                        for each, variant in zip(begun, colored, strict=True)
                    ]
                    write(job.sheet, side_by_side(first, begun))
                written = [
                    write(target, _shown(variant, progress, total, first, target))
                    for target, variant in itertools.compress(
                        zip(targets, colored, strict=True), missing
                    )
                ]
        except Exception as error:  # one bad photo does not stop the others
            return _failed(job, error)
        if not any(written):
            return Result(job, "skipped")
        own = not options.keep_color and is_in_color(first)
        return Result(job, "done", truncated=any(cut), in_color=own)

    # the first one alone: otherwise several threads would compile the same program
    yield from map(work, jobs[:1])
    pool = ThreadPoolExecutor(threads or (os.cpu_count() or 1) + 1)
    try:
        yield from pool.map(work, jobs[1:])
    finally:
        pool.shutdown(cancel_futures=True)


def _shown(
    photos: Iterator[Photo], progress: Progress, total: int, first: Photo, target: object
) -> Iterator[Photo]:
    """Yield the pages or frames of a file, and show how many of them are finished."""
    if total == 1:
        yield from photos
        return
    with progress(total, "pages" if first.format == "TIFF" else "frames") as show:
        yield from counted(photos, functools.partial(show, note=str(target)))


def colorize_video(
    job: Job,
    weights: Weights,
    options: ColorOptions,
    *,
    compare: bool = False,
    overwrite: bool = False,
    claims: Claims | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = _no_progress,
) -> Result:
    """Color a video, in as many variants as `options` asks for. A killed run continues where it stopped.

    Args:
        job: A video, from `planning.plan`.
        weights: (params, config).
        options: How the video is colored. Hints follow their things from frame to frame.
        compare: Whether to write a comparison sheet of a still, too.
        overwrite: Whether to replace existing outputs. Otherwise they are kept.
        claims: The files that must not be replaced. None means only the video.
        max_pixels: The most pixels of a frame.
        progress: Called before each video is written, with the number of frames and their unit. It returns a context
            manager, whose function is called with the number of finished frames and the name of the video.

    Returns:
        The result of the job.
    """
    claims = claims or Claims([job.source])
    status = "skipped"
    try:
        targets, missing = _targets(job, options, compare=compare, overwrite=overwrite)
        sheet_too = compare and (overwrite or not os.path.exists(job.sheet))
        if any(missing):
            total = ffmpeg.count_packets(job.source, max_pixels=max_pixels)
            variants = _video_options(job, weights, options, max_pixels)
            make_folder(job.target.parent)
            for target, each in itertools.compress(zip(targets, variants, strict=True), missing):
                # another run may write it first
                with contextlib.suppress(ExistsError), progress(total, "frames") as show:
                    video.colorize_video(
                        job.source,
                        target,
                        weights,
                        each,
                        overwrite=overwrite,
                        claims=claims,
                        max_pixels=max_pixels,
                        show=functools.partial(show, note=str(target)),
                    )
                    status = "done"
        if sheet_too:
            before = Photo(ffmpeg.still(job.source, max_pixels=max_pixels))
            after = [Photo(ffmpeg.still(path, max_pixels=sys.maxsize)) for path in targets]
            with contextlib.suppress(ExistsError):
                claims.claim(job.sheet, overwrite=overwrite)
                write_photo(job.sheet, side_by_side(before, after), overwrite=overwrite)
    except Exception as error:  # one bad video does not stop the others
        return _failed(job, error)
    return Result(job, status)


def finished_pairs(jobs: Sequence[Job], *, variants: int = 1) -> Iterator[Pair]:
    """Read photos, or stills of videos, and their colorings again for a gallery.

    Files that cannot be read are left out.
    """
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
    progress: Progress = _no_progress,
    target: str = "photo",
) -> bytes:
    """Color the photo in the bytes of a file.

    Args:
        data: The whole file.
        weights: (params, config).
        options: How the photo is colored. Of several variants, the first is returned.
        name: How errors refer to the photo.
        suffix: The suffix of the format to return, such as ".png". None chooses a format that suits the photo.
        hints: The path of a file of hints.
        quality: The quality of lossy formats, 1 to 100.
        max_pixels: The most pixels.
        allow_truncated: Whether to open a photo whose end is missing.
        note: Called with the first photo as it was read.
        progress: As for `colorize_files`.
        target: What progress calls the output.

    Returns:
        The bytes of a file.

    Raises:
        PhotoError: the photo cannot be read.
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
    shown = _shown(colored, progress, count_frames_in(data, name=name), first, target)
    kind = format_of(f"photo{suffix or suffix_for(first)}")
    return encode_frames(shown, kind, quality=quality)


def side_by_side(photo: Photo, variants: Sequence[Photo]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a sheet with the gray of a photo and its colorings."""
    gray = gray_pixels(photo)
    row = [np.repeat(gray[..., None], 3, -1), *(variant.to_8bit().pixels for variant in variants)]
    labels = ["colorized"] if len(variants) == 1 else map(str, range(1, len(variants) + 1))
    return make_sheet([row], ["gray", *labels])


def gray_pixels(photo: Photo) -> UInt8[np.ndarray, "h w"]:
    """Return the gray of a photo in 8-bit levels, rounded."""
    pixels = photo.to_8bit().pixels
    return np.rint(pixels @ LUMA_WEIGHTS).astype(np.uint8) if pixels.ndim == 3 else pixels


def _targets(
    job: Job, options: ColorOptions, *, compare: bool, overwrite: bool
) -> tuple[list[pathlib.Path], list[bool]]:
    """Return the outputs of a job, and for each whether it has to be written.

    Raises:
        OutputError: the name of an output, or of the sheet, belongs to something that is no file.
    """
    targets = job.targets(options.variants)
    for path in [*targets, *([job.sheet] if compare else [])]:
        check_replaceable(path)
        if not overwrite and os.path.lexists(path) and not os.path.exists(path):
            raise OutputError(f"{path}: a link to no file; expected a file or a new name")
    return targets, [overwrite or not os.path.exists(target) for target in targets]


def _hinted(options: ColorOptions, job: Job, photo: Photo) -> ColorOptions:
    """Return the options with the job's hints."""
    if job.hints is None:
        return options
    return dataclasses.replace(options, hints=read_hints(job.hints, photo.pixels.shape))


def _video_options(
    job: Job, weights: Weights, options: ColorOptions, max_pixels: int
) -> list[ColorOptions]:
    """Return the options for each variant of a video."""
    if job.hints is None and options.is_settled:
        return [options]
    still = Photo(ffmpeg.still(job.source, max_pixels=max_pixels))
    return variant_options(still, weights, _hinted(options, job, still))


def _failed(job: Job, error: Exception) -> Result:
    """Return the result of a job that raised an error."""
    if isinstance(error, BusyError):
        return Result(job, "busy")
    return Result(job, "failed", failure(job.source, error))


def _picture(path: pathlib.Path) -> Photo:
    """Read a photo of any size, or a still of a video."""
    if ffmpeg.is_video(path):
        return Photo(ffmpeg.still(path, max_pixels=sys.maxsize))
    return read_photo(path, max_pixels=sys.maxsize, allow_truncated=True)


class _Budget:
    """Memory that threads share. Each thread waits until its part fits, but one alone may use any amount."""

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
    """Return the bytes of free memory, or 2 GB if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2_000_000_000
