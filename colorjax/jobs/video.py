"""Videos in color, in parts, so that a killed run need not repeat what it had done."""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import pathlib
import shutil
from collections import deque
from collections.abc import Callable, Iterator

import jax
import numpy as np

from colorjax.errors import BusyError, OutputError
from colorjax.inference.blending import BlendState
from colorjax.jobs import ffmpeg
from colorjax.jobs.coloring import ColorOptions, Weights, color_frames
from colorjax.jobs.matroska import matroska_frame
from colorjax.photos import Photo, shorten_name, write_bytes

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

PART = 200  # frames of a part, which a killed run does again


def colorize_video(
    source: pathlib.Path,
    target: pathlib.Path,
    weights: Weights,
    options: ColorOptions,
    *,
    overwrite: bool = False,
    show: Callable[[int], object] = lambda done: None,
) -> None:
    """Color a video; go on where a killed run stopped.

    Args:
        source: the video.
        target: its suffix names the container.
        weights: (params, config).
        options: as for photos, at fixed points of the picture; one variant.
        overwrite: replace a target that exists.
        show: called with the number of frames done, now and then.

    Raises:
        PhotoError: ffmpeg is not there, or cannot read the video.
        OutputError: the target exists or cannot be written.
        BusyError: another run is at work on it.
    """
    if target.exists() and not overwrite:
        raise OutputError(f"{target}: exists; expected a new name, or leave to overwrite")
    times = ffmpeg.frame_times(source)
    parts = target.with_name(shorten_name(f".{target.name}", ".parts"))
    try:
        parts.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{parts}: cannot make the folder ({error.strerror})") from None
    with _alone(parts, target):
        _forget_other_runs(parts, _identity(source, weights, options))
        done = len(list(parts.glob("*.ts")))
        memory = _read_memory(parts / f"{done - 1:06}.npz") if done else None

        with contextlib.closing(ffmpeg.decode(source, skip=done * PART)) as frames:
            for number in itertools.count(done):
                first = next(frames, None)
                if first is None:
                    break
                photos = map(Photo, itertools.chain([first], itertools.islice(frames, PART - 1)))
                latest: deque[BlendState] = deque(maxlen=1)
                colored = color_frames(
                    photos, weights, options, memory=memory, remember=latest.append
                )
                with ffmpeg.encoder(source, parts / "unfinished.ts", first.shape) as pipe:
                    for i, photo in enumerate(colored, number * PART):
                        pipe.write(matroska_frame(photo.pixels, ffmpeg.frame_time(times, i)))
                        if not i % 10:
                            show(i)
                (memory,) = latest
                _write_memory(parts / f"{number:06}.npz", memory)
                os.replace(parts / "unfinished.ts", parts / f"{number:06}.ts")
        ffmpeg.concatenate(source, target, parts, ffmpeg.last_duration(times))
        show(len(times))
        shutil.rmtree(parts)


@contextlib.contextmanager
def _alone(parts: pathlib.Path, target: pathlib.Path) -> Iterator[None]:
    """Refuse to work where another run is at work; the lock goes with the process, however it ends."""
    if fcntl is None:
        yield
        return
    folder = os.open(parts, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BusyError(f"{target}: another run is at work on it; expected to be alone") from None
    finally:
        os.close(folder)


def _identity(source: pathlib.Path, weights: Weights, options: ColorOptions) -> bytes:
    """Return what tells runs apart: the video, the weights and the options, hashed."""
    status, (params, config) = source.stat(), weights
    arrays = [*jax.tree.leaves(params), np.asarray(options.tilt)]
    if options.hints is not None:
        arrays += [options.hints.places, options.hints.rgb]
    plain = dataclasses.replace(options, hints=None, tilt=0.0)
    facts = (os.path.realpath(source), status.st_size, status.st_mtime_ns, config, plain)
    digest = hashlib.sha256(repr(facts).encode())
    for array in arrays:
        digest.update(np.asarray(array).tobytes())
    return digest.hexdigest().encode()


def _forget_other_runs(parts: pathlib.Path, identity: bytes) -> None:
    """Empty the folder of parts unless they are of the same video, colored the same way."""
    note = parts / "run"
    if not note.exists() or note.read_bytes() != identity:
        for path in parts.iterdir():
            path.unlink()
        write_bytes(note, identity, overwrite=True)


def _write_memory(path: pathlib.Path, memory: BlendState) -> None:
    np.savez(path, blocks=memory.blocks, chroma=memory.chroma)


def _read_memory(path: pathlib.Path) -> BlendState:
    with np.load(path) as arrays:
        return BlendState(arrays["blocks"], arrays["chroma"])
