"""Many photos: which file goes where, and colouring them with all cores, in bounded memory."""

import contextlib
import dataclasses
import fnmatch
import hashlib
import itertools
import os
import pathlib
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8

from colorjax.baselines import LUMA
from colorjax.colouring import Weights, Wishes, colour_all
from colorjax.errors import ColorjaxError, OutputError, PhotoError, UsageError
from colorjax.gallery import Pair
from colorjax.hintfiles import find_hints, read_hints
from colorjax.photos import (
    MAX_PIXELS,
    SUFFIXES,
    Photo,
    decode_frames,
    encode_frames,
    find_photos,
    format_of,
    output_suffix,
    photo_size,
    read_frames,
    read_photo,
    suffix_for,
    sweep,
    write_photo,
)
from colorjax.report import make_sheet
from colorjax.video import film_suffix, is_film

COLOUR, COMPARE = ".colour", ".compare"  # what the names of our own files end in, before the suffix
OURS = re.compile(rf"({re.escape(COLOUR)}(\.\d+)?|{re.escape(COMPARE)})$")
LONGEST_NAME = 255  # bytes of a file's name on the usual file systems
BYTES_PER_PIXEL = 40  # held while a photo is coloured; 17 (gray JPEG) to 31 (16-bit TIFF) were measured


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo to colour: where it is, where its colour goes, what to call it in messages, and where its hints are."""

    source: pathlib.Path
    target: pathlib.Path
    name: str
    hints: pathlib.Path | None = None

    def targets(self, variants: int) -> list[pathlib.Path]:
        """Return where its colour goes, or where each of several colourings goes: `old.colour.2.jpg`.

        Spec: CMD-031
        """
        if variants == 1:
            return [self.target]
        endings = [f".{number + 1}{self.target.suffix}" for number in range(variants)]
        return [self.target.with_name(fitting_name(self.target.stem, each)) for each in endings]

    @property
    def sheet(self) -> pathlib.Path:
        """Where its comparison sheet goes.

        Spec: CMD-009
        """
        stem = self.target.stem.removesuffix(COLOUR)
        return self.target.with_name(fitting_name(stem, f"{COMPARE}.png"))


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


# --- planning --------------------------------------------------------------------------------


def plan(
    inputs: Sequence[str],
    out: str | None,
    *,
    variants: int = 1,
    compare: bool = False,
    suffix: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hints: str | None = None,
    hints_dir: str | None = None,
    outputs: Sequence[str] = (),
) -> tuple[list[Job], list[str]]:
    """Decide where each photo's colour goes, before any work.

    Args:
        inputs: files, folders or `samples`.
        out: a file for one input file, else a folder that mirrors the inputs' tree; None puts `old.colour.jpg` beside
            `old.jpg`.
        variants: colourings of each photo.
        compare: whether there will be comparison sheets.
        suffix: of all outputs, such as ".png"; None for the one that each input asks for.
        include: shell patterns, of which a photo in a folder must match one, if there are any: its name in the folder
            where the pattern holds "/", else the last part of it.
        exclude: patterns of which it must match none.
        hints: the file of hints, if there is one photo.
        hints_dir: a folder of hints, by the photos' names.
        outputs: other folders of ours; what lies in them, or in `out`, is no input when a folder around is searched.

    Returns:
        The jobs, and a line for each input that is missing or no photo. Our own outputs are no inputs.

    Raises:
        UsageError: two photos would go to one place.
        OutputError: a photo would be written over an input, or `out` cannot be a folder.

    Spec: CMD-002, CMD-003, CMD-004, CMD-020, CMD-024, CMD-025, CMD-033
    """
    found, failures = [], []
    ours = [os.path.realpath(folder) for folder in (out, *outputs) if folder]
    for place in inputs:
        try:
            photos = find_photos([place])
        except PhotoError as error:
            failures.append(str(error))
            continue
        if os.path.isdir(place):
            root = os.path.realpath(place)
            inner = [folder for folder in ours if _is_inside(folder, root)]
            photos = [
                (source, name)
                for source, name in photos
                if _chosen(name, include, exclude)
                and not OURS.search(source.stem)
                and not any(_is_inside(os.path.realpath(source), folder) for folder in inner)
            ]
        found += photos
    one_file = len(inputs) == 1 and not os.path.isdir(inputs[0]) and inputs[0] != "samples"
    to_file = out is not None and one_file and _has_photo_suffix(out) and not os.path.isdir(out)
    if out is not None and not to_file and os.path.exists(out) and not os.path.isdir(out):
        raise OutputError(f"{out}: a file; expected a folder for several photos")
    jobs = []
    for source, name in found:
        try:
            own = output_suffix(source) if suffix is None else suffix
        except PhotoError as error:
            failures.append(str(error))
            continue
        if out is None:
            target = source.with_name(fitting_name(source.stem, COLOUR + own))
        elif to_file:
            target = pathlib.Path(out)
        else:
            mirrored = pathlib.Path(out) / name
            target = mirrored.with_name(fitting_name(mirrored.stem, own))
        jobs.append(Job(source, target, name, find_hints(hints_dir, name) if hints_dir else None))
    if hints is not None:
        if len(jobs) > 1:
            raise UsageError(f"--hints {hints}: for {len(jobs)} photos; expected --hints-dir")
        jobs = [dataclasses.replace(job, hints=pathlib.Path(hints)) for job in jobs]
    _refuse_collisions(jobs, variants, compare)
    return jobs, failures


def plan_films(films: Sequence[str], out: str | None, *, alone: bool) -> list[Job]:
    """Decide where each film's colour goes.

    Args:
        films: their files.
        out: as for `plan`.
        alone: whether it is the only input, so that `out` may be a file.

    Raises:
        UsageError: two films would go to one place.
        OutputError: a film would be written over.

    Spec: VID-001, VID-004, CMD-002, CMD-003
    """
    jobs = []
    for film in films:
        source = pathlib.Path(film)
        own = film_suffix(source)
        if out is None:
            target = source.with_name(fitting_name(source.stem, COLOUR + own))
        elif alone and is_film(out) and not os.path.isdir(out):
            target = pathlib.Path(out)
        else:
            target = pathlib.Path(out, fitting_name(source.stem, own))
        jobs.append(Job(source, target, source.name))
    _refuse_collisions(jobs, 1, False)
    return jobs


def fitting_name(stem: str, ending: str) -> str:
    """Return a file's name; of a stem too long the end becomes a hash, so that long names stay apart.

    Args:
        stem: of any length.
        ending: kept whole.

    Spec: CMD-025
    """
    room = LONGEST_NAME - len(os.fsencode(ending))
    if len(os.fsencode(stem)) <= room:
        return stem + ending
    mark = "~" + hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]
    short = stem
    while len(os.fsencode(short)) > room - len(mark):
        short = short[:-1]
    return short + mark + ending


def _chosen(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    def matches(pattern):
        return fnmatch.fnmatch(name if "/" in pattern else name.rpartition("/")[2], pattern)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))


def _has_photo_suffix(path):
    return pathlib.Path(path).suffix.lower() in itertools.chain(*SUFFIXES.values())


def _refuse_collisions(jobs, variants, compare):
    sources = {os.path.realpath(job.source) for job in jobs}
    taken: dict[str, Job] = {}
    for job in jobs:
        for target in [*job.targets(variants), *([job.sheet] if compare else [])]:
            place = os.path.realpath(target)
            if place in sources:
                raise OutputError(f"{target}: is an input; expected another --out")
            other = taken.setdefault(place, job)
            if other is not job:
                raise UsageError(
                    f"{other.source} and {job.source} would both be written to {target}"
                )


# --- colouring -------------------------------------------------------------------------------


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


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder and those around it, if they are not there.

    Raises:
        OutputError: it cannot be made.

    Spec: CMD-002, CMD-025
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder ({error.strerror})") from None
