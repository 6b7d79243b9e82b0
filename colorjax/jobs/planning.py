"""Which files are colored, and where each result is written."""

import dataclasses
import fnmatch
import itertools
import os
import pathlib
from collections.abc import Sequence

from colorjax.errors import (
    ColorjaxError,
    NoPhotosError,
    OutputError,
    PhotoError,
    UsageError,
    in_one_line,
)
from colorjax.jobs import ffmpeg
from colorjax.jobs.hintfiles import check_hints, find_hints
from colorjax.jobs.outputs import Claims
from colorjax.photos import (
    SUFFIXES,
    find_photos,
    format_of,
    output_suffix,
    shorten_name,
    without_outputs,
)
from colorjax.photos.search import COLOR, COMPARE


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo or video to color.

    Attributes:
        source: The file.
        target: The file for its coloring.
        name: How messages refer to it.
        hints: The file of its hints, or None.
    """

    source: pathlib.Path
    target: pathlib.Path
    name: str
    hints: pathlib.Path | None = None

    def targets(self, variants: int) -> list[pathlib.Path]:
        """Return the output, or one output for each of several variants, such as `old.color.2.jpg`."""
        if variants == 1:
            return [self.target]
        endings = [f".{number + 1}{self.target.suffix}" for number in range(variants)]
        return [self.target.with_name(shorten_name(self.target.stem, each)) for each in endings]

    @property
    def is_video(self) -> bool:
        """Whether the job is a video."""
        return ffmpeg.is_video(self.source)

    @property
    def sheet(self) -> pathlib.Path:
        """The path of the comparison sheet."""
        stem = self.target.stem.removesuffix(COLOR)
        return self.target.with_name(shorten_name(stem, f"{COMPARE}.png"))


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
    claims: Claims | None = None,
) -> tuple[list[Job], list[str]]:
    """Decide where the coloring of each photo and video is written, before any work.

    Args:
        inputs: Files, folders, or `samples`.
        out: The output file if there is one input file, else a folder that mirrors the tree of the inputs. None writes
            `old.color.jpg` next to `old.jpg`.
        variants: The number of colorings of each photo.
        compare: Whether comparison sheets are written.
        suffix: The suffix of the outputs of photos, such as ".png". None chooses one for each photo.
        include: Shell patterns. If there are any, a file in a folder must match one of them. A pattern with "/" is
            compared with the name relative to the folder, any other with the last part of the name.
        exclude: Shell patterns that a file in a folder must not match.
        hints: A file of hints, if there is one photo.
        hints_dir: A folder of hints, which are found by the names of the photos.
        outputs: Other folders that are written. When a folder around them, or around `out`, is searched, files in them
            are not inputs.
        claims: The other files that are read or written. The files of the jobs are added.

    Returns:
        The jobs, and one line for each input that does not exist or is not a photo, and for each folder that cannot be
        listed or, among several inputs, has no photos. Files that colorjax wrote earlier
        are not inputs.

    Raises:
        UsageError: two jobs have the same output.
        NoPhotosError: the only input is a folder without photos.
        HintError: `hints` or `hints_dir` does not exist.
        OutputError: an input would be overwritten, or `out` can be neither a file nor a folder.
    """
    check_hints(hints, hints_dir)
    found: list[tuple[pathlib.Path, str]] = []
    failures: list[str] = []

    def note(error: ColorjaxError) -> None:
        failures.append(str(error))

    ours = [folder for folder in (out, *outputs) if folder]
    for place in inputs:
        try:
            photos = find_photos([place], besides=ffmpeg.SUFFIXES, on_error=note)
        except NoPhotosError as error:
            if len(inputs) == 1:
                raise
            note(error)
            continue
        if os.path.isdir(place):
            photos = [
                (source, name)
                for source, name in without_outputs(photos, place, ours)
                if _chosen(name, include, exclude)
            ]
        found += photos
    one_file = len(inputs) == 1 and not os.path.isdir(inputs[0]) and inputs[0] != "samples"
    to_file = False
    if out is not None and one_file and _is_of_file(out) and not os.path.isdir(out):
        _check_holds(out, inputs[0])
        to_file = True
    if out is not None and not to_file and os.path.exists(out) and not os.path.isdir(out):
        raise OutputError(f"{out}: a file; expected a folder for several photos")
    jobs = []
    for source, name in found:
        try:
            own = _suffix(source, suffix)
        except Exception as error:  # one bad file does not stop the others
            note(failure(source, error))
            continue
        if out is None:
            target = source.with_name(shorten_name(source.stem, COLOR + own))
        elif to_file:
            target = pathlib.Path(out)
        else:
            mirrored = pathlib.Path(out) / name
            target = mirrored.with_name(shorten_name(mirrored.stem, own))
        jobs.append(Job(source, target, name, find_hints(hints_dir, name) if hints_dir else None))
    if hints is not None:
        if len(jobs) > 1:
            raise UsageError(f"--hints {hints}: for {len(jobs)} files; expected --hints-dir")
        jobs = [dataclasses.replace(job, hints=pathlib.Path(hints)) for job in jobs]
    _claim(jobs, Claims() if claims is None else claims, variants, compare)
    return jobs, failures


def _chosen(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether a name matches the patterns."""

    def matches(pattern):
        return fnmatch.fnmatch(name if "/" in pattern else name.rpartition("/")[2], pattern)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))


def _is_of_file(path: str) -> bool:
    return pathlib.Path(path).suffix.lower() in {
        *ffmpeg.SUFFIXES,
        *itertools.chain(*SUFFIXES.values()),
    }


def _check_holds(out: str, source: str) -> None:
    """Check that the suffix of an output file can hold a photo, or a video."""
    if not ffmpeg.is_video(source):
        format_of(out)
    elif pathlib.Path(out).suffix.lower() not in ffmpeg.CONTAINERS:
        expected = " ".join(ffmpeg.CONTAINERS)
        raise OutputError(f"{out}: cannot hold the video {source}; expected {expected}")


def _suffix(source: pathlib.Path, suffix: str | None) -> str:
    """Return the suffix of an output. A requested suffix applies to photos."""
    if ffmpeg.is_video(source):
        return ffmpeg.video_suffix(source)
    return output_suffix(source) if suffix is None else suffix


def _claim(jobs: Sequence[Job], claims: Claims, variants: int, compare: bool) -> None:
    """Register the outputs. Whether existing ones are kept or replaced is decided later."""
    claims.read([job.source for job in jobs])
    claims.read([job.hints for job in jobs if job.hints])
    for job in jobs:
        for target in [*job.targets(variants), *([job.sheet] if compare else [])]:
            other = claims.claim(target, overwrite=True, owner=job)
            if other is not job:
                raise UsageError(
                    f"{other.source} and {job.source} would both be written to {target}"
                )


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder and its parents, if they do not exist.

    Raises:
        OutputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder ({error.strerror})") from error


def failure(source: pathlib.Path, error: Exception) -> ColorjaxError:
    """Return the error to report for an input, whatever was raised.

    An `OutputError` counts as a failure of the input, such as frames that the format cannot hold, unless the system
    refused to write.
    """
    of_place = isinstance(error.__cause__, OSError)
    if isinstance(error, ColorjaxError) and (of_place or not isinstance(error, OutputError)):
        return error
    if isinstance(error, MemoryError):
        return PhotoError(f"{source}: too large for this computer's memory")
    if isinstance(error, OutputError):
        return PhotoError(f"{source}: {error}")
    found = in_one_line(error)[:160] or "no message"
    return PhotoError(f"{source}: cannot be colored ({type(error).__name__}: {found})")
