"""Coloring of videos in parts, so that a killed run does not repeat finished parts."""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import pathlib
import re
from collections import deque
from collections.abc import Callable

import jax
import numpy as np

from colorjax.errors import BusyError, ExistsError, OutputError, PhotoError, in_one_line
from colorjax.inference.blending import BlendState
from colorjax.inference.following import Followed
from colorjax.jobs import ffmpeg
from colorjax.jobs.coloring import ColorOptions, FrameMemory, Weights, color_frames
from colorjax.jobs.matroska import matroska_frame
from colorjax.jobs.outputs import Claims
from colorjax.locks import locked
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    check_replaceable,
    place_file,
    shorten_name,
    write_bytes,
)

# the files in a folder of parts
OURS = re.compile(r"run|\d{6}\.(ts|npz)|unfinished\.ts|whole\.\w+|\.colorjax-\w+\.tmp")
PART = 200  # frames per part; a killed run repeats at most one part


def colorize_video(
    source: pathlib.Path,
    target: pathlib.Path,
    weights: Weights,
    options: ColorOptions,
    *,
    overwrite: bool = False,
    claims: Claims | None = None,
    max_pixels: int = MAX_PIXELS,
    show: Callable[[int], object] = lambda done: None,
) -> None:
    """Color a video. A killed run continues where it stopped.

    Args:
        source: The video.
        target: The output. Its suffix names the container.
        weights: (params, config).
        options: As for photos, for one variant. Hints follow their things from frame to frame.
        overwrite: Whether to replace an existing target.
        claims: The files that must not be replaced. None means only the video.
        max_pixels: The most pixels of a frame.
        show: Called now and then with the number of finished frames.

    Raises:
        PhotoError: ffmpeg is not installed, or cannot read the video.
        OutputError: the target exists, is an input, cannot be written or cannot hold the sound, or the folder of parts
            is another one.
        BusyError: another run is working on it.
    """
    claims = claims or Claims([source])
    claims.claim(target, overwrite=overwrite)
    check_replaceable(target)
    times = ffmpeg.frame_times(source, max_pixels=max_pixels)
    shown = ffmpeg.display(source, max_pixels=max_pixels)
    parts = target.with_name(shorten_name(f".{target.name}", ".parts"))
    try:
        parts.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{parts}: cannot make the folder ({error.strerror})") from None
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(parts))
        except BlockingIOError:
            raise BusyError(f"{target}: another run is coloring it; wait until it ends") from None
        except OSError as error:  # a link to another folder
            raise OutputError(f"{parts}: {error.strerror}; expected a folder of parts") from None
        _check_parts(parts)
        _forget_other_runs(parts, _identity(source, weights, options))
        whole = parts / f"whole{target.suffix}"
        try:
            sound = ffmpeg.sound_options(source, whole)
        except OutputError:
            _remove(parts)
            raise
        done = len(list(parts.glob(ffmpeg.PARTS)))
        memory = _read_memory(parts / f"{done - 1:06}.npz") if done else None

        decoded = ffmpeg.decode(source, skip=done * PART, max_pixels=max_pixels)
        with contextlib.closing(decoded) as frames:
            for number in itertools.count(done):
                first = next(frames, None)
                if first is None:
                    break
                photos = map(Photo, itertools.chain([first], itertools.islice(frames, PART - 1)))
                latest: deque[FrameMemory] = deque(maxlen=1)
                colored = color_frames(
                    photos, weights, options, memory=memory, remember=latest.append
                )
                unfinished = parts / "unfinished.ts"
                with ffmpeg.encoder(source, unfinished, first.shape, shown) as pipe:
                    for i, photo in enumerate(colored, number * PART):
                        pipe.write(matroska_frame(photo.pixels, ffmpeg.frame_time(times, i)))
                        if not i % 10:
                            show(i)
                (memory,) = latest
                _write_memory(parts / f"{number:06}.npz", memory)
                os.replace(unfinished, parts / f"{number:06}.ts")
        if not number:
            _remove(parts)
            raise PhotoError(f"{in_one_line(source)}: no frames; expected a video")
        ffmpeg.concatenate(source, whole, parts, ffmpeg.last_duration(times), sound)
        try:
            # again: something may have appeared meanwhile
            claims.claim(target, overwrite=overwrite)
            place_file(whole, target, overwrite=overwrite)
        except ExistsError:
            _remove(parts)
            raise
        show(len(times))
        _remove(parts)


def _check_parts(parts: pathlib.Path) -> None:
    """Check that a folder holds nothing but parts, so that it can be removed."""
    with os.scandir(parts) as found:
        for each in found:
            if not (OURS.fullmatch(each.name) and each.is_file(follow_symlinks=False)):
                other = f"holds {in_one_line(each.name)}, which is no part of a video"
                raise OutputError(f"{in_one_line(parts)}: {other}; expected a folder of parts")


def _remove(parts: pathlib.Path) -> None:
    """Remove the folder of parts, unless something else was put into it meanwhile."""
    with contextlib.suppress(OSError):
        for path in parts.iterdir():
            if OURS.fullmatch(path.name):
                path.unlink()
        parts.rmdir()


def _identity(source: pathlib.Path, weights: Weights, options: ColorOptions) -> bytes:
    """Return a hash of the video, the weights and the options, which identifies a run."""
    status, (params, config) = source.stat(), weights
    arrays = [*jax.tree.leaves(params), *map(np.asarray, jax.tree.leaves(options.tilt))]
    if options.hints is not None:
        hints = options.hints
        arrays += [hints.places, hints.rgb, *([] if hints.local is None else [hints.local])]
    plain = dataclasses.replace(options, hints=None, tilt=0.0, followed=None)
    facts = (os.path.realpath(source), status.st_size, status.st_mtime_ns, config, plain)
    digest = hashlib.sha256(repr(facts).encode())
    for array in arrays:
        digest.update(np.asarray(array).tobytes())
    return digest.hexdigest().encode()


def _forget_other_runs(parts: pathlib.Path, identity: bytes) -> None:
    """Empty the folder of parts, unless the parts belong to the same run."""
    note = parts / "run"
    if not note.exists() or note.read_bytes() != identity:
        for path in parts.iterdir():
            path.unlink()
        write_bytes(note, identity, overwrite=True)


def _write_memory(path: pathlib.Path, memory: FrameMemory) -> None:
    followed = [each for each in memory.followed or () if each is not None]
    np.savez(path, *memory.blended, *followed)


def _read_memory(path: pathlib.Path) -> FrameMemory:
    with np.load(path) as file:
        arrays = [file[name] for name in file.files]
    count = len(BlendState._fields)
    followed = Followed(*arrays[count:]) if arrays[count:] else None
    return FrameMemory(BlendState(*arrays[:count]), followed)
