"""ffmpeg: the frames of a video as a stream of arrays, and back."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from typing import IO

import numpy as np
from jaxtyping import UInt8

from colorjax.errors import ColorjaxError, PhotoError, TooLargeError
from colorjax.jobs.matroska import matroska_header
from colorjax.photos import MAX_PIXELS, most_pixels

SUFFIXES = tuple(".mp4 .m4v .mov .mkv .avi .webm .mpg .mpeg .m2ts .mts .wmv .flv .ogv .3gp".split())
CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv")  # in which H.264 is common
FORMATS = "mov,matroska,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg"  # none can refer to other files
STILL = 250  # the latest frame that represents a video
CODEC = "-c:v libx264 -crf 16 -preset medium -bf 0".split()
BT709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv".split()
MATROSKA = ".mkv"
PARTS = "[0-9]*.ts"  # the finished parts, not the one that is being written
LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds specified max pixel count (\d+)")
Frame = UInt8[np.ndarray, "h w 3"]


def is_video(path: str | os.PathLike) -> bool:
    """Return whether a file is a video, by its suffix."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def video_suffix(path: str | os.PathLike) -> str:
    """Return the suffix of a color version: that of the video if H.264 is common in it, else that of Matroska."""
    suffix = pathlib.Path(path).suffix
    return suffix if suffix.lower() in CONTAINERS else MATROSKA


def frame_times(source: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> list[float]:
    """Return the time of each frame of a video in seconds, in order.

    Args:
        source: The video.
        max_pixels: As for `decode`. ffprobe decodes a frame of some videos.

    Raises:
        PhotoError: ffprobe is not installed, or finds no frames, or they are too large.
    """
    command = ["ffprobe", "-v", "error", *_limit(source, max_pixels), "-select_streams", "v:0"]
    command += ["-show_entries", "packet=pts_time", "-of", "json", *_input(source)]
    packets = json.loads(_run(source, command)).get("packets", [])
    times = sorted(float(packet["pts_time"]) for packet in packets if "pts_time" in packet)
    if not times:
        raise PhotoError(f"{source}: no frames; expected a video")
    return times


def still(source: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Frame:
    """Return a representative frame of a video: the middle one, but at most frame 250.

    Args:
        source: The video.
        max_pixels: As for `decode`.

    Raises:
        PhotoError: ffmpeg is not installed, or cannot read the video.
    """
    number = min(STILL, len(frame_times(source, max_pixels=max_pixels)) // 2)
    with contextlib.closing(decode(source, skip=number, max_pixels=max_pixels)) as frames:
        for frame in frames:
            return frame
    raise PhotoError(f"{source}: frame {number} is missing; expected a video")


def frame_time(times: list[float], number: int) -> float:
    """Return the time of a frame. Frames after the last known one are extrapolated."""
    beyond = max(0, number - len(times) + 1)
    return times[min(number, len(times) - 1)] + beyond * last_duration(times)


def last_duration(times: list[float]) -> float:
    """Return how long the last frame is shown, which is assumed to be as long as the one before it."""
    return times[-1] - times[-2] if len(times) > 1 else 0.04


def decode(
    source: pathlib.Path, skip: int, *, max_pixels: int = MAX_PIXELS
) -> Generator[Frame, None, None]:
    """Yield the frames of a video upright.

    Args:
        source: The video.
        skip: The number of the first frame.
        max_pixels: The most pixels of a frame. Small files may have fewer, as for photos.

    Raises:
        PhotoError: ffmpeg is not installed, or cannot read the video, or its frames are too large.
    """
    command = ["ffmpeg", "-v", "error", "-nostdin", *_limit(source, max_pixels)]
    command += [*_input(source), "-map", "0:v:0"]
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
        said.seek(0)
        told = said.read().decode(errors="surrogateescape")
        if process.returncode or LARGE.search(told):
            raise _failed(source, told)


@contextlib.contextmanager
def encoder(source: pathlib.Path, path: pathlib.Path, shape: tuple[int, ...]) -> Iterator[IO]:
    """Open a pipe that accepts Matroska frames and encodes them to a part. The times are those of the frames."""
    h, w = shape[:2]
    pixels = (
        "yuv444p" if h % 2 or w % 2 else "yuv420p"
    )  # most players need 4:2:0, which needs even sides
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
            with contextlib.suppress(BrokenPipeError):  # the exit status is more precise
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
            raise _failed(source, said.read().decode(errors="surrogateescape"))


def concatenate(
    source: pathlib.Path, whole: pathlib.Path, parts: pathlib.Path, step: float
) -> None:
    """Concatenate the parts into a whole, and add the sound, subtitles and metadata of the source."""
    names = "|".join(sorted(path.name for path in parts.glob(PARTS)))
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin", "-copyts", "-i", f"concat:{names}"]
    command += ["-copyts", *_input(source), "-map", "0:v", "-map", "1:a?", "-map", "1:s?"]
    last = round(90_000 * step)  # the stream does not contain the duration of the last frame
    command += ["-bsf:v", f"setts=duration='if(gt(DURATION,0),DURATION,{last})'"]
    command += ["-map_metadata", "1", "-c", "copy", _plain(whole)]
    done = subprocess.run(
        command, cwd=parts, capture_output=True, text=True, errors="surrogateescape"
    )
    if done.returncode:
        raise _failed(source, done.stderr)


def _plain(path: pathlib.Path) -> str:
    """Return a path that ffmpeg cannot mistake for an option or an address."""
    return f"file:{os.path.abspath(path)}"


def _input(source: pathlib.Path) -> list[str]:
    """Return the options with which ffmpeg reads a video, but no other file that the video refers to.

    Raises:
        PhotoError: the video is a folder, a pipe or a device. ffmpeg would wait for a pipe.
    """
    if os.path.exists(source) and not os.path.isfile(source):
        raise PhotoError(f"{source}: a folder or a special file; expected a video")
    return ["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i", _plain(source)]


def _limit(source: pathlib.Path, max_pixels: int) -> list[str]:
    """Return the option that limits the pixels of a frame."""
    size = os.path.getsize(source) if os.path.exists(source) else 0
    most = min(most_pixels(max_pixels, size), 2**31 - 1)  # ffmpeg knows no larger limit
    return ["-max_pixels", str(most)]


def _run(source: pathlib.Path, command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise _no_ffmpeg(source) from None
    if done.returncode:
        raise _failed(source, done.stderr)
    return done.stdout


def _no_ffmpeg(source: pathlib.Path) -> ColorjaxError:
    return PhotoError(f"{source}: a video; expected ffmpeg and ffprobe to be installed")


def _failed(source: pathlib.Path, said: str) -> ColorjaxError:
    """Return the error for what ffmpeg printed."""
    if "not on whitelist" in said:
        return PhotoError(
            f"{source}: a playlist, or no video; expected one of {' '.join(SUFFIXES)}"
        )
    if large := LARGE.search(said):
        w, h, most = map(int, large.groups())
        found = f"frames of {w} × {h} = {w * h / 1e6:.6g} megapixels"
        expected = f"at most {most / 1e6:.6g} in a file of this size"
        return TooLargeError(f"{source}: {found}; expected {expected}")
    lines = [line for line in said.splitlines() if line.strip()] or ["no message"]
    reason = " ".join(lines[-1].rpartition(f"{_plain(source)}: ")[2].split())
    return PhotoError(f"{source}: ffmpeg failed ({reason[:160]}); expected a video")


def _read_ppm(pipe: IO[bytes]) -> Frame | None:
    """Read one picture as ffmpeg writes it: "P6", width and height, 255, bytes."""
    if pipe.readline() != b"P6\n":
        return None
    w, h = map(int, pipe.readline().split())
    pipe.readline()
    data = pipe.read(3 * w * h)
    return np.frombuffer(data, np.uint8).reshape(h, w, 3) if len(data) == 3 * w * h else None
