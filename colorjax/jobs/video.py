"""Videos through ffmpeg: decoded, colored and encoded as a stream, in parts that a killed run need not do again."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import IO

import jax
import numpy as np
from jaxtyping import UInt8

from colorjax.errors import BusyError, ColorjaxError, OutputError, PhotoError
from colorjax.inference.blending import BlendState
from colorjax.jobs.coloring import ColorOptions, Weights, color_frames
from colorjax.photos import Photo, shorten_name, write_bytes

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

SUFFIXES = tuple(".mp4 .m4v .mov .mkv .avi .webm .mpg .mpeg .m2ts .mts .wmv .flv .ogv .3gp".split())
CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv")  # in which H.264 is usual
FORMATS = "mov,matroska,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg"  # none that names other files
PART = 200  # frames of a part, which a killed run does again
STILL = 250  # the latest frame that stands for a video
CODEC = "-c:v libx264 -crf 16 -preset medium -bf 0".split()
BT709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv".split()
MATROSKA = ".mkv"

Frame = UInt8[np.ndarray, "h w 3"]


def is_video(path: str | os.PathLike) -> bool:
    """Tell by its suffix whether a file is a video."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def video_suffix(path: str | os.PathLike) -> str:
    """Return the suffix of a video in color: its own where H.264 is usual in it, else Matroska's."""
    suffix = pathlib.Path(path).suffix
    return suffix if suffix.lower() in CONTAINERS else MATROSKA


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
    times = frame_times(source)
    parts = target.with_name(shorten_name(f".{target.name}", ".parts"))
    try:
        parts.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{parts}: cannot make the folder ({error.strerror})") from None
    with _alone(parts, target):
        _forget_other_runs(parts, _identity(source, weights, options))
        done = len(list(parts.glob("*.ts")))
        memory = _read_memory(parts / f"{done - 1:06}.npz") if done else None

        with contextlib.closing(_decoded(source, skip=done * PART)) as frames:
            for number in itertools.count(done):
                first = next(frames, None)
                if first is None:
                    break
                photos = map(Photo, itertools.chain([first], itertools.islice(frames, PART - 1)))
                latest: deque[BlendState] = deque(maxlen=1)
                colored = color_frames(
                    photos, weights, options, memory=memory, remember=latest.append
                )
                with _encoder(source, parts / "unfinished.ts", first.shape) as pipe:
                    for i, photo in enumerate(colored, number * PART):
                        pipe.write(matroska_frame(photo.pixels, _time(times, i)))
                        if not i % 10:
                            show(i)
                (memory,) = latest
                _write_memory(parts / f"{number:06}.npz", memory)
                os.replace(parts / "unfinished.ts", parts / f"{number:06}.ts")
        _join(source, target, parts, _step(times))
        show(len(times))
        shutil.rmtree(parts)


def frame_times(source: pathlib.Path) -> list[float]:
    """Return the time in seconds of each frame of a video, in order.

    Raises:
        PhotoError: ffprobe is not there, or finds no pictures.
    """
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0"]
    command += ["-show_entries", "packet=pts_time", "-of", "json", *_input(source)]
    packets = json.loads(_run(source, command)).get("packets", [])
    times = sorted(float(packet["pts_time"]) for packet in packets if "pts_time" in packet)
    if not times:
        raise PhotoError(f"{source}: no pictures; expected a video")
    return times


def still(source: pathlib.Path) -> Frame:
    """Return the frame that stands for a video: its middle one, or frame 250 if that comes earlier.

    Raises:
        PhotoError: ffmpeg is not there, or cannot read the video.
    """
    number = min(STILL, len(frame_times(source)) // 2)
    with contextlib.closing(_decoded(source, skip=number)) as frames:
        for frame in frames:
            return frame
    raise PhotoError(f"{source}: frame {number} is missing; expected a video")


def _time(times: list[float], number: int) -> float:
    """Return the time of a frame, also of one beyond the last that is known."""
    beyond = max(0, number - len(times) + 1)
    return times[min(number, len(times) - 1)] + beyond * _step(times)


def _step(times: list[float]) -> float:
    """Return how long the last frame shows, as far as the one before tells."""
    return times[-1] - times[-2] if len(times) > 1 else 0.04


def _plain(path: pathlib.Path) -> str:
    """Return a path that ffmpeg takes for no option and no address."""
    return f"file:{os.path.abspath(path)}"


def _input(source: pathlib.Path) -> list[str]:
    """Return the options that make ffmpeg read a video, and no other file that it may name."""
    return ["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i", _plain(source)]


def _run(source: pathlib.Path, command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise _no_ffmpeg(source) from None
    if done.returncode:
        raise _failed(source, done.stderr)
    return done.stdout


def _no_ffmpeg(source: pathlib.Path) -> ColorjaxError:
    return PhotoError(f"{source}: a video; expected ffmpeg and ffprobe to be installed")


def _failed(source: pathlib.Path, said: str) -> ColorjaxError:
    if "not on whitelist" in said:
        return PhotoError(
            f"{source}: a playlist, or no video; expected one of {' '.join(SUFFIXES)}"
        )
    lines = [line for line in said.splitlines() if line.strip()] or ["it says nothing"]
    reason = " ".join(lines[-1].rpartition(f"{_plain(source)}: ")[2].split())
    return PhotoError(f"{source}: ffmpeg cannot do it ({reason[:160]}); expected a video")


def _decoded(source: pathlib.Path, skip: int) -> Generator[Frame, None, None]:
    """Yield the frames of a video from one on, upright."""
    command = ["ffmpeg", "-v", "error", "-nostdin", *_input(source), "-map", "0:v:0"]
    command += "-fps_mode passthrough -f image2pipe -c:v ppm -pix_fmt rgb24 -".split()
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
        except FileNotFoundError:
            raise _no_ffmpeg(source) from None
        assert process.stdout is not None
        whole = False
        try:
            for number in itertools.count():
                frame = _read_ppm(process.stdout)
                if frame is None:
                    break
                if number >= skip:
                    yield frame
            whole = True
        finally:
            if not whole:
                process.kill()
            process.stdout.close()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise _failed(source, said.read().decode(errors="replace"))


def _read_ppm(pipe: IO[bytes]) -> Frame | None:
    """Read one picture as ffmpeg writes it: "P6", width and height, 255, bytes."""
    if pipe.readline() != b"P6\n":
        return None
    w, h = map(int, pipe.readline().split())
    pipe.readline()
    data = pipe.read(3 * w * h)
    return np.frombuffer(data, np.uint8).reshape(h, w, 3) if len(data) == 3 * w * h else None


@contextlib.contextmanager
def _encoder(source: pathlib.Path, path: pathlib.Path, shape: tuple[int, ...]) -> Iterator[IO]:
    """Yield a pipe that takes Matroska frames and encodes them to a part, whose times are the video's."""
    h, w = shape[:2]
    pixels = "yuv444p" if h % 2 or w % 2 else "yuv420p"  # what most players show, if it can be
    command = [
        "ffmpeg",
        "-y",
        "-v",
        "error",
        "-f",
        "matroska",
        "-copyts",
        "-i",
        "-",
        *CODEC,
        *BT709,
    ]
    command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", pixels]
    command += "-fps_mode passthrough -enc_time_base 1:90000 -muxdelay 0 -muxpreload 0".split()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, "-f", "mpegts", _plain(path)], stdin=subprocess.PIPE, stderr=said
        )
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # then its exit status says more
                process.stdin.write(matroska_header(w, h))
                yield process.stdin
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise _failed(source, said.read().decode(errors="replace"))


def matroska_header(width: int, height: int) -> bytes:
    """Return the start of a Matroska stream of uncompressed RGB with times in microseconds (RFC 9559)."""
    video = _element(0xB0, _number(width)) + _element(0xBA, _number(height))
    video += _element(0x2EB524, b"RGB\x18")
    track = b"".join(_element(each, b"\x01") for each in (0xD7, 0x73C5, 0x83))
    track += _element(0x86, b"V_UNCOMPRESSED") + _element(0xE0, video)
    info = _element(0x2AD7B1, _number(1000)) + _element(0x4D80, b"colorjax")
    info += _element(0x5741, b"colorjax")
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
    endless = bytes.fromhex("18538067 01ffffffffffffff")
    return head + endless + _element(0x1549A966, info) + _element(0x1654AE6B, _element(0xAE, track))


def matroska_frame(frame: Frame, seconds: float) -> bytes:
    """Return a frame of such a stream: a cluster of its own."""
    time = _element(0xE7, _number(max(0, round(1e6 * seconds))))
    return _element(0x1F43B675, time + _element(0xA3, b"\x81\x00\x00\x80" + frame.tobytes()))


def _element(identity: int, data: bytes) -> bytes:
    name = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return name + struct.pack(">Q", 1 << 56 | len(data)) + data


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _join(source: pathlib.Path, target: pathlib.Path, parts: pathlib.Path, step: float) -> None:
    """Put the parts one after the other, and the video's sound, subtitles and titles beside them."""
    whole = parts / f"whole{target.suffix}"
    names = "|".join(sorted(path.name for path in parts.glob("*.ts")))
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin", "-copyts", "-i", f"concat:{names}"]
    command += ["-copyts", *_input(source), "-map", "0:v", "-map", "1:a?", "-map", "1:s?"]
    last = round(90_000 * step)  # the last frame of the stream says not how long it shows
    command += ["-bsf:v", f"setts=duration='if(gt(DURATION,0),DURATION,{last})'"]
    command += ["-map_metadata", "1", "-c", "copy", _plain(whole)]
    done = subprocess.run(command, cwd=parts, capture_output=True, text=True)
    if done.returncode:
        raise _failed(source, done.stderr)
    try:
        os.replace(whole, target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})") from None


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
