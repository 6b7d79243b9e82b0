"""ffmpeg: the frames of a video as a stream of arrays, and back."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from colorjax.errors import ColorjaxError, OutputError, PhotoError, TooLargeError
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


def frame_times(
    source: pathlib.Path, *, packets: int | None = None, max_pixels: int = MAX_PIXELS
) -> list[float]:
    """Return the time of each frame of a video in seconds, in order.

    ffprobe decodes the video for this. The times of its packets would not do: some packets have no time (in AVI and
    MPEG), and some give no frame (in cut MP4 and in VP8).

    Args:
        source: The video.
        packets: How many packets are read. None means all.
        max_pixels: As for `decode`.

    Raises:
        PhotoError: ffprobe is not installed, or finds no frames, or they are too large.
    """
    entry = "best_effort_timestamp_time"
    some = [] if packets is None else ["-read_intervals", f"%+#{packets}"]
    frames = _probe(source, some, f"frame={entry}", max_pixels).get("frames", [])
    times = sorted(float(frame[entry]) for frame in frames if entry in frame)
    if not times:
        raise PhotoError(f"{source}: no frames; expected a video")
    return times


def count_packets(source: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> int:
    """Return how many frames a video has as far as its container tells, which takes no decoding.

    Args:
        source: The video.
        max_pixels: As for `decode`. ffprobe decodes a frame of some videos.

    Raises:
        PhotoError: as for `frame_times`.
    """
    packets = _probe(source, [], "packet=flags", max_pixels).get("packets", [])
    return sum("D" not in packet["flags"] for packet in packets)  # without those to discard


class Display(NamedTuple):
    """How a player shows the frames of a video.

    Attributes:
        aspect: Width / height of the pixels of an upright frame, such as "64/45" in DV, on DVDs and of some phones.
        fields: "tff" or "bff" if each frame has two fields, of which the top or the bottom one is shown first, else "".
    """

    aspect: str
    fields: str


def display(source: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Display:
    """Return how a player shows the frames of a video.

    Args:
        source: The video.
        max_pixels: As for `decode`.

    Raises:
        PhotoError: as for `frame_times`.
    """
    entries = "stream=sample_aspect_ratio:stream_side_data=rotation:frame=interlaced_frame,top_field_first"
    told = _probe(source, ["-read_intervals", "%+#9"], entries, max_pixels)
    (stream,) = told.get("streams") or [{}]
    sides = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", stream.get("sample_aspect_ratio", ""))
    w, h = sides.groups() if sides else (1, 1)
    if any(each.get("rotation", 0) % 180 for each in stream.get("side_data_list", [])):
        return Display(f"{h}/{w}", "")
    orders = [
        ("tff" if frame.get("top_field_first") else "bff") if frame.get("interlaced_frame") else ""
        for frame in told.get("frames", [])
    ]
    return Display(f"{w}/{h}", max(orders, key=orders.count, default=""))


def still(source: pathlib.Path, *, max_pixels: int = MAX_PIXELS) -> Frame:
    """Return a representative frame of a video: the middle one, but at most frame 250.

    Args:
        source: The video.
        max_pixels: As for `decode`.

    Raises:
        PhotoError: ffmpeg is not installed, or cannot read the video.
    """
    beginning = frame_times(source, packets=2 * STILL + 1, max_pixels=max_pixels)
    number = min(STILL, len(beginning) // 2)
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
    command += "-sws_flags accurate_rnd+full_chroma_int".split()  # otherwise frames get darker
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
def encoder(
    source: pathlib.Path, path: pathlib.Path, shape: tuple[int, ...], shown: Display
) -> Iterator[IO]:
    """Open a pipe that accepts Matroska frames and encodes them to a part. The times are those of the frames.

    Args:
        source: The video, for errors.
        path: The part.
        shape: (h, w, 3) of the frames.
        shown: The result of `display`.
    """
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
    filters = ["scale=out_color_matrix=bt709:out_range=tv", f"setsar={shown.aspect}"]
    if shown.fields:
        filters = [f"{filters[0]}:interl=1", filters[1], f"setfield={shown.fields}"]
        command += ["-flags", "+ilme+ildct"]
    command += ["-vf", ",".join(filters), "-pix_fmt", pixels]
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


def sound_options(source: pathlib.Path, whole: pathlib.Path) -> list[str]:
    """Return the options with which the container of a whole takes over the sound and the subtitles of a video.

    They are copied if it can hold them. Otherwise sound is encoded without loss, and subtitles as text.

    Args:
        source: The video.
        whole: Where `concatenate` will write. Until then, nothing is there.

    Raises:
        OutputError: the container cannot hold them.
    """
    lossless, text = ("flac", "ass") if whole.suffix.lower() == MATROSKA else ("alac", "mov_text")
    blank = "-f lavfi -i color=size=16x16:duration=0.1".split()
    reasons = []
    for subtitles, sound in itertools.product(("copy", text), ("copy", lossless)):
        options = ["-c:s", subtitles, "-c:a", sound]
        done = _mux(blank, source, ["-c:v", "libx264", *options, "-t", "0.1"], whole)
        whole.unlink(missing_ok=True)
        if not done.returncode:
            return options
        reasons.append(_reason(source, done.stderr))
    found = f"{source}: a {whole.suffix} file cannot hold its sound or subtitles ({reasons[0]})"
    raise OutputError(f"{found}; expected an output with the suffix {MATROSKA}")


def concatenate(
    source: pathlib.Path,
    whole: pathlib.Path,
    parts: pathlib.Path,
    step: float,
    options: Sequence[str],
) -> None:
    """Concatenate the parts into a whole, and add the sound, subtitles and metadata of the source.

    Args:
        source: The video.
        whole: The result.
        parts: The folder of the parts.
        step: How long the last frame is shown, in seconds. The parts do not contain that.
        options: The result of `sound_options`.
    """
    names = "|".join(sorted(path.name for path in parts.glob(PARTS)))
    last = round(90_000 * step)
    copied = ["-c:v", "copy", "-bsf:v", f"setts=duration='if(gt(DURATION,0),DURATION,{last})'"]
    done = _mux(["-copyts", "-i", f"concat:{names}", "-copyts"], source, [*copied, *options], whole)
    if done.returncode:
        raise _failed(source, done.stderr)


def _mux(
    video: Sequence[str], source: pathlib.Path, options: Sequence[str], whole: pathlib.Path
) -> subprocess.CompletedProcess[str]:
    """Join a video with the sound, subtitles and metadata of the source. Names in `video` are those of its folder."""
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin", *video, *_input(source)]
    command += ["-map", "0:v", "-map", "1:a?", "-map", "1:s?", "-map_metadata", "1", *options]
    if whole.suffix.lower() == ".m4v":  # for which ffmpeg would choose a format that holds less
        command += ["-f", "mp4"]
    command += ["-strict", "-2", _plain(whole)]  # some sound in MP4 counts as experimental
    return subprocess.run(
        command, cwd=whole.parent, capture_output=True, text=True, errors="surrogateescape"
    )


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


def _probe(
    source: pathlib.Path, options: Sequence[str], entries: str, max_pixels: int
) -> dict[str, Any]:
    """Return what ffprobe tells about the first video stream."""
    command = ["ffprobe", "-v", "error", *_limit(source, max_pixels), "-select_streams", "v:0"]
    command += [*options, "-show_entries", entries, "-of", "json", *_input(source)]
    return json.loads(_run(source, command))


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
    if done.returncode or LARGE.search(done.stderr):
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
    return PhotoError(f"{source}: ffmpeg failed ({_reason(source, said)}); expected a video")


def _reason(source: pathlib.Path, said: str) -> str:
    """Return the last line that ffmpeg printed, shortened."""
    lines = [line for line in said.splitlines() if line.strip()] or ["no message"]
    return " ".join(lines[-1].rpartition(f"{_plain(source)}: ")[2].split())[:160]


def _read_ppm(pipe: IO[bytes]) -> Frame | None:
    """Read one picture as ffmpeg writes it: "P6", width and height, 255, bytes."""
    if pipe.readline() != b"P6\n":
        return None
    w, h = map(int, pipe.readline().split())
    pipe.readline()
    data = pipe.read(3 * w * h)
    return np.frombuffer(data, np.uint8).reshape(h, w, 3) if len(data) == 3 * w * h else None
