"""Many photos: which file goes where, and colouring them one after the other."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import PyTree

from colorjax.baselines import LUMA
from colorjax.config import Config
from colorjax.errors import OutputError, PhotoError, UsageError
from colorjax.inference import colorize
from colorjax.photos import (
    SUFFIXES,
    Photo,
    find_photos,
    output_suffix,
    read_photo,
    write_photo,
)
from colorjax.report import make_sheet

COLOUR, COMPARE = ".colour", ".compare"  # what the names of our own files end in, before the suffix


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo to colour: where it is, where its colour goes, and what to call it in messages."""

    source: pathlib.Path
    target: pathlib.Path
    name: str

    @property
    def sheet(self) -> pathlib.Path:
        """Where its comparison sheet goes.

        Spec: CMD-009
        """
        return self.target.with_name(f"{self.target.stem.removesuffix(COLOUR)}{COMPARE}.png")


def plan(
    inputs: Sequence[str], out: str | None, *, compare: bool = False
) -> tuple[list[Job], list[str]]:
    """Decide where each photo's colour goes, before any work.

    Args:
        inputs: files, folders or `samples`.
        out: a file for one input file, else a folder that mirrors the inputs' tree; None puts `old.colour.jpg` beside
            `old.jpg`.
        compare: whether there will be comparison sheets.

    Returns:
        The jobs, and a line for each input that is missing or no photo. Our own outputs are no inputs.

    Raises:
        UsageError: two photos would go to one place.
        OutputError: a photo would be written over an input, or `out` cannot be a folder.

    Spec: CMD-002, CMD-003, CMD-004
    """
    found, failures = [], []
    for place in inputs:
        try:
            found += find_photos([place])
        except PhotoError as error:
            failures.append(str(error))
    one_file = len(inputs) == 1 and not pathlib.Path(inputs[0]).is_dir() and inputs[0] != "samples"
    to_file = out is not None and one_file and _has_photo_suffix(out) and not os.path.isdir(out)
    if out is not None and not to_file and os.path.exists(out) and not os.path.isdir(out):
        raise OutputError(f"{out}: a file; expected a folder for several photos")
    jobs = []
    for source, name in found:
        if source.stem.endswith((COLOUR, COMPARE)) and not one_file:
            continue
        try:
            suffix = output_suffix(source)
        except PhotoError as error:
            failures.append(str(error))
            continue
        if out is None:
            target = source.with_name(f"{source.stem}{COLOUR}{suffix}")
        elif to_file:
            target = pathlib.Path(out)
        else:
            target = (pathlib.Path(out) / name).with_suffix(suffix)
        jobs.append(Job(source, target, name))
    _refuse_collisions(jobs, compare)
    return jobs, failures


def _has_photo_suffix(path):
    return pathlib.Path(path).suffix.lower() in itertools.chain(*SUFFIXES.values())


def _refuse_collisions(jobs, compare):
    sources = {os.path.realpath(job.source) for job in jobs}
    taken: dict[str, Job] = {}
    for job in jobs:
        for target in (job.target, job.sheet) if compare else (job.target,):
            place = os.path.realpath(target)
            if place in sources:
                raise OutputError(f"{target}: is an input; expected another --out")
            other = taken.setdefault(place, job)
            if other is not job:
                raise UsageError(
                    f"{other.source} and {job.source} would both be written to {target}"
                )


def colorize_files(
    jobs: Sequence[Job],
    weights: tuple[PyTree, Config],
    *,
    compare: bool = False,
    overwrite: bool = False,
    quality: int = 95,
    vividness: float = 1.0,
    done: Callable[[Job, str], Any] = lambda job, what: None,
) -> None:
    """Colour photos, each written whole or not at all.

    Args:
        jobs: from `plan`.
        weights: (params, config).
        compare: also write a sheet of gray and colour side by side.
        overwrite: replace outputs that exist; they are kept otherwise.
        quality: of lossy formats.
        vividness: as for `colorize`.
        done: called after each photo, with "done", "kept", or the line that says what was wrong with it.

    Raises:
        OutputError: an output cannot be written.

    Spec: CMD-001, CMD-003, CMD-004, CMD-008, CMD-009
    """
    for job in jobs:
        if job.target.exists() and not overwrite:
            done(job, "kept")
            continue
        try:
            photo = read_photo(job.source).to_8bit()
        except PhotoError as error:
            done(job, str(error))
            continue
        rgb = colorize(photo.pixels, weights, vividness=vividness)
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{job.target.parent}: cannot make the folder ({error.strerror})"
            ) from None
        if compare and (overwrite or not job.sheet.exists()):
            write_photo(job.sheet, _side_by_side(photo, rgb), overwrite=overwrite)
        coloured = dataclasses.replace(photo, pixels=rgb)
        write_photo(job.target, coloured, quality=quality, overwrite=overwrite)
        done(job, "done")


def _side_by_side(photo: Photo, rgb):
    gray = photo.pixels
    if gray.ndim == 3:
        gray = np.rint(gray @ LUMA).astype(np.uint8)
    return make_sheet([[np.repeat(gray[..., None], 3, -1), rgb]], ["gray", "colorized"])
