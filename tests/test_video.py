"""Videos through ffmpeg."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import weakref

import jax
import numpy as np
import pytest
from commanding import colorize, files
from light import LIGHT
from pictures import most_apart, scene
from PIL import Image
from test_batch import flicker, grainy

from colorjax import errors
from colorjax.inference import blending
from colorjax.inference.hints import Hints
from colorjax.jobs import coloring, ffmpeg, video
from colorjax.photos import Photo, read_photo, sample_photos, shrink_photo
from colorjax.weights import load_weights

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
    reason="no ffmpeg here (Debian: apt-get install ffmpeg)",
)
VARIABLE = "format=gray,setpts='if(gt(N,5),N*2,N)/25/TB'"


def run_ffmpeg(*arguments, **options):
    command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


def make_video(path, *options, frames=25, size="64x48"):
    """Make a small gray video with a tone."""
    sources = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25", "-f", "lavfi", "-i", "sine=d=1"]
    run_ffmpeg(*sources, "-frames:v", frames, *options, "-pix_fmt", "yuv420p", path)
    return path


def pictures(path, size=(48, 64)):
    exact = ["-sws_flags", "accurate_rnd+full_chroma_int", "-fps_mode", "passthrough"]
    raw = run_ffmpeg("-i", path, *exact, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, *size, 3)


def luma(path, size=(48, 64)):
    raw = run_ffmpeg("-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-")
    planes = np.frombuffer(raw, np.uint8).reshape(-1, size[0] * size[1] * 3 // 2)
    return planes[:, : size[0] * size[1]].astype(int)


def times(path):
    """When a player shows the frames, in seconds."""
    command = ["ffmpeg", "-copyts", "-i", path, "-fps_mode", "passthrough", "-vf", "showinfo"]
    told = subprocess.run([*command, "-f", "null", "-"], check=True, capture_output=True).stderr
    return [float(time) for time in re.findall(rb"pts_time:\s*([-\d.]+)", told)]


def sound(path):
    return hashlib.sha256(
        run_ffmpeg("-i", path, "-map", "0:a", "-c", "copy", "-f", "data", "-")
    ).digest()


@needs_ffmpeg
@pytest.mark.req("VID-001")
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("old.mp4", ["-vf", "format=gray", "-c:v", "libx264"], "old.color.mp4"),
        ("old.mp4", ["-vf", VARIABLE, "-fps_mode", "vfr", "-c:v", "libx264"], "old.color.mp4"),
        ("old.avi", ["-vf", "format=gray", "-c:v", "mpeg4"], "old.color.mkv"),
    ],
    ids=["constant", "variable", "avi"],
)
def test_sound_and_timing_are_kept(tiny_weights, tmp_path, name, options, expected):
    path = make_video(tmp_path / name, *options)
    assert colorize(path, "--weights", tiny_weights) == 0
    out = tmp_path / expected
    assert files(tmp_path) == {name, expected}
    before, after = times(path), times(out)
    assert len(before) == len(after) == 25
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert sound(out) == sound(path)
    gray, rgb = (pictures(each) @ (LIGHT / 100) for each in (path, out))
    assert np.abs(gray - rgb).mean() < 3
    assert abs(luma(out).mean() - luma(path).mean()) < 0.2
    assert np.ptp(pictures(out).astype(int), axis=-1).mean() > 2


@needs_ffmpeg
@pytest.mark.req("VID-001")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("old.avi", ["-c:v", "mpeg4", "-bf", 2]),
        ("old.mpg", ["-c:v", "mpeg2video", "-bf", 2, "-c:a", "mp2"]),
        ("old.webm", "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -c:a libvorbis".split()),
        ("old.mp4", ["-c:v", "libx264", "-g", 100]),
    ],
    ids=["packets without times", "times of some", "hidden frames", "frames cut off"],
)
def test_frames_are_shown_when_they_were(tiny_weights, tmp_path, name, options):
    path = make_video(tmp_path / name, *options)
    if name == "old.mp4":
        path = tmp_path / "cut.mp4"
        run_ffmpeg("-ss", 0.4, "-i", tmp_path / name, "-c", "copy", path)
    out = tmp_path / "out.mkv"
    assert colorize(path, "--out", out, "--weights", tiny_weights) == 0
    assert len(times(path)) > 10
    # a player starts at the first sound or frame; Matroska calls that time 0
    np.testing.assert_allclose(since_sound(out), since_sound(path), atol=1e-3)
    assert ffmpeg.count_packets(path) in (len(times(path)), len(times(path)) + 1)  # one is hidden


def since_sound(path):
    command = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "packet=pts_time"]
    told = subprocess.run([*command, "-of", "csv=p=0", path], check=True, capture_output=True)
    return np.subtract(times(path), float(told.stdout.split()[0].strip(b",")))


def aspect(path):
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=sample_aspect_ratio"]
    told = subprocess.run([*command, path], check=True, capture_output=True, text=True).stdout
    return told.strip().rstrip(",")


@needs_ffmpeg
@pytest.mark.req("VID-009")
@pytest.mark.parametrize("turned", [False, True])
def test_pixels_that_are_not_square_stay_so(tiny_weights, tmp_path, turned):
    path = make_video(tmp_path / "old.mp4", "-c:v", "libx264", "-vf", "setsar=64/45", frames=5)
    if turned:  # by 90°: the matrix of the track header in MP4
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 44
        data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
    assert aspect(path) == "64:45"
    assert colorize(path, "--weights", tiny_weights) == 0
    out = tmp_path / "old.color.mp4"
    assert aspect(out) == ("45:64" if turned else "64:45")
    assert pictures(out, (64, 48) if turned else (48, 64)).shape[0] == 5


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-009")
@pytest.mark.parametrize(
    ("name", "scan", "expected"),
    [("old.mp4", "tff", "1,1"), ("old.mkv", "bff", "1,0"), ("old.mp4", None, "0,0")],
)
def test_fields_stay_fields(tiny_weights, tmp_path, name, scan, expected):
    filters = ["-vf", f"interlace=scan={scan}", "-flags", "+ilme+ildct"] if scan else []
    path = make_video(tmp_path / name, "-c:v", "libx264", *filters, frames=10)
    assert colorize(path, "--weights", tiny_weights) == 0
    for each in (path, tmp_path / f"old.color{path.suffix}"):
        command = ["ffprobe", "-v", "error", "-select_streams", "v", "-of", "csv=p=0"]
        command += ["-show_entries", "frame=interlaced_frame,top_field_first", each]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert {line.strip(",") for line in told.splitlines() if line} == {expected}


def samples(path):
    return run_ffmpeg("-i", path, "-map", "0:a", "-f", "s16le", "-ar", 44100, "-")


@needs_ffmpeg
@pytest.mark.req("VID-010")
@pytest.mark.parametrize(
    ("name", "options", "copied"),
    [
        ("old.m4v", ["-c:a", "libopus", "-f", "mp4"], True),
        ("old.mp4", ["-c:a", "pcm_s16be", "-f", "mov"], False),
        ("old.mpg", ["-c:v", "mpeg2video", "-c:a", "pcm_dvd", "-ar", 48000, "-f", "vob"], False),
    ],
)
def test_sound_that_the_container_does_not_hold_is_kept(
    tiny_weights, tmp_path, name, options, copied
):
    path = make_video(tmp_path / name, "-c:v", "libx264", *options)
    assert colorize(path, "--weights", tiny_weights) == 0
    out = tmp_path / f"old.color{path.suffix.replace('.mpg', '.mkv')}"
    assert files(tmp_path) == {path.name, out.name}
    assert samples(out) == samples(path)
    assert (sound(out) == sound(path)) is copied


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-010")
def test_subtitles_become_those_of_the_container(tiny_weights, tmp_path):
    text, path, out = (tmp_path / name for name in ("a.srt", "old.mkv", "new.mp4"))
    text.write_text("1\n00:00:00,100 --> 00:00:00,900\nGrandmother\n")
    run_ffmpeg("-i", make_video(tmp_path / "plain.mkv"), "-i", text, path)
    assert colorize(path, "--out", out, "--weights", tiny_weights) == 0
    assert b"Grandmother" in run_ffmpeg("-i", out, "-map", "0:s", "-f", "srt", "-")


@needs_ffmpeg
@pytest.mark.req("VID-010")
def test_sound_that_cannot_be_kept_is_one_line_at_once(tiny_weights, tmp_path, monkeypatch, capsys):
    path = make_video(tmp_path / "old.avi", "-c:v", "mpeg4", "-c:a", "pcm_s16le")
    data = bytearray(path.read_bytes())
    at = data.index(b"strf", data.index(b"auds")) + 8
    data[at : at + 2] = b"\x99\x99"  # a codec that nobody knows
    path.write_bytes(data)
    monkeypatch.setattr(ffmpeg, "decode", None)  # no frame is decoded
    assert colorize(path, "--out", tmp_path / "new.mp4", "--weights", tiny_weights) == 1
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "old.avi" in each]
    assert "sound" in line
    assert ".mkv" in line
    assert files(tmp_path) == {"old.avi"}


@needs_ffmpeg
@pytest.mark.req("VID-001")
def test_odd_sizes(tiny_weights, tmp_path):
    path = tmp_path / "odd.mkv"
    size = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "31x23", "-i", "-", "-c:v", "ffv1"]
    run_ffmpeg(*size, path, input=bytes(31 * 23 * 5))
    assert colorize(path, "--weights", tiny_weights) == 0
    assert pictures(tmp_path / "odd.color.mkv", (23, 31)).shape[0] == 5


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-002")
def test_a_killed_run_goes_on(network, tmp_path, monkeypatch):
    monkeypatch.setattr(video, "PART", 10)
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray")
    whole, target = tmp_path / "whole.mkv", tmp_path / "target.mkv"
    video.colorize_video(path, whole, network, coloring.ColorOptions())

    class Killed(BaseException):
        pass

    def kill(done):
        if done == 20:
            raise Killed

    with pytest.raises(Killed):
        video.colorize_video(path, target, network, coloring.ColorOptions(), show=kill)
    kept = sorted(each.name for each in (tmp_path / ".target.mkv.parts").glob("0*"))
    assert kept == ["000000.npz", "000000.ts", "000001.npz", "000001.ts"]
    assert not target.exists()
    colored = []
    original = coloring.color_photo

    def counting(*arguments):
        colored.append(1)
        return original(*arguments)

    monkeypatch.setattr(coloring, "color_photo", counting)
    video.colorize_video(path, target, network, coloring.ColorOptions())
    assert len(colored) == 5
    np.testing.assert_array_equal(pictures(target), pictures(whole))
    assert files(tmp_path) == {"old.mkv", "whole.mkv", "target.mkv"}


@needs_ffmpeg
@pytest.mark.req("VID-002")
@pytest.mark.parametrize("finished", [0, 1])
def test_the_beginning_of_a_part_is_no_part(network, tmp_path, monkeypatch, finished):
    monkeypatch.setattr(video, "PART", 10)
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray")
    whole, target = tmp_path / "whole.mkv", tmp_path / "target.mkv"
    video.colorize_video(path, whole, network, coloring.ColorOptions())
    replace = os.replace

    def kill(
        old, new
    ):  # what is known of the frames before is written, but the part has not got its name
        if os.path.basename(new) == f"{finished:06}.ts":
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            video.colorize_video(path, target, network, coloring.ColorOptions())
    assert (tmp_path / ".target.mkv.parts" / "unfinished.ts").stat().st_size
    video.colorize_video(path, target, network, coloring.ColorOptions())
    np.testing.assert_array_equal(pictures(target), pictures(whole))
    assert files(tmp_path) == {"old.mkv", "whole.mkv", "target.mkv"}


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-002", "INF-040")
@pytest.mark.parametrize("local", [None, np.array([True])])
def test_hints_go_on_after_a_kill(network, tmp_path, monkeypatch, local):
    monkeypatch.setattr(video, "PART", 4)
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=10)
    hints = Hints(np.array([[20, 20]]), np.array([[220, 60, 60]], np.uint8), local)
    options = coloring.ColorOptions(hints=hints)
    whole, target = tmp_path / "whole.mkv", tmp_path / "target.mkv"
    video.colorize_video(path, whole, network, options)
    follow = coloring.follow

    def killed(followed, prediction):
        if len(list((tmp_path / ".target.mkv.parts").glob("*.ts"))) == 2:
            raise KeyboardInterrupt
        return follow(followed, prediction)

    with monkeypatch.context() as patch:
        patch.setattr(coloring, "follow", killed)
        with pytest.raises(KeyboardInterrupt):
            video.colorize_video(path, target, network, options)
    starts = []
    monkeypatch.setattr(coloring, "start_following", lambda *_: starts.append(1))
    video.colorize_video(path, target, network, options)
    assert not starts  # the hints go on where they were
    np.testing.assert_array_equal(pictures(target), pictures(whole))


@needs_ffmpeg
@pytest.mark.req("VID-002")
def test_a_few_frames_are_in_memory(network, tmp_path, monkeypatch):
    frames, memories, most = [], [], []
    blend = blending.blend_over_time

    def counted(pixels):
        frames.append(weakref.ref(pixels))
        most.append(max(sum(each() is not None for each in kept) for kept in (frames, memories)))
        return Photo(pixels)

    def noted(*arguments):
        memory, rgb = blend(*arguments)
        memories.append(weakref.ref(memory.chroma))
        return memory, rgb

    monkeypatch.setattr(video, "Photo", counted)
    monkeypatch.setattr(blending, "blend_over_time", noted)
    path = make_video(tmp_path / "old.mp4", frames=60)
    video.colorize_video(path, tmp_path / "new.mp4", network, coloring.ColorOptions())
    assert len(frames) == len(memories) == 60
    assert max(most) <= (os.cpu_count() or 1) + 4


@needs_ffmpeg
@pytest.mark.req("VID-002")
def test_parts_of_another_run_are_not_taken(network, tmp_path):
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=5)
    target = tmp_path / "target.mkv"
    parts = tmp_path / ".target.mkv.parts"
    parts.mkdir()
    for name in ("000000.ts", "000000.npz", "run"):
        (parts / name).write_bytes(b"of another video")
    video.colorize_video(path, target, network, coloring.ColorOptions(vividness=0.0))
    assert np.ptp(pictures(target).astype(int), axis=-1).max() <= 8


@needs_ffmpeg
@pytest.mark.req("VID-002")
def test_two_runs_at_once(network, tmp_path):
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=12)
    target, refused = tmp_path / "target.mkv", []

    def again(done):
        if target.exists():  # the last call, when all is done
            return
        with pytest.raises(errors.OutputError, match="another run"):
            video.colorize_video(path, target, network, coloring.ColorOptions())
        refused.append(done)

    video.colorize_video(path, target, network, coloring.ColorOptions(), show=again)
    assert refused == [0, 10]
    assert len(pictures(target)) == 12


@needs_ffmpeg
@pytest.mark.req("VID-002", "CMD-026")
def test_a_film_that_another_run_works_on_is_left_to_it(tiny_weights, tmp_path, capsys):
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=3)
    parts = tmp_path / ".old.color.mkv.parts"
    parts.mkdir()
    folder = os.open(parts, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    report = tmp_path / "report.json"
    command = [path, "--weights", tiny_weights, "--overwrite", "--json", report]
    assert colorize(*command) == 0
    os.close(folder)
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "0 colorized, 1 in progress in another run"
    assert not captured.err
    summary = json.loads(report.read_text())
    assert (summary["busy"], summary["videos"][0]["status"]) == (1, "busy")
    assert not (tmp_path / "old.color.mkv").exists()
    assert colorize(*command) == 0
    assert "1 colorized" in capsys.readouterr().out


@needs_ffmpeg
@pytest.mark.req("VID-002")
def test_a_file_system_without_locks(tiny_weights, tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=3)
    monkeypatch.setattr(fcntl, "flock", flock)
    assert colorize(path, "--weights", tiny_weights) == 0
    assert len(pictures(tmp_path / "old.color.mkv")) == 3
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old.color.mkv", "old.mkv"]


def meanwhile(monkeypatch, happen):
    """Make something happen while a video is colored."""
    usual = ffmpeg.frame_time

    def changed(times, number):
        if number == 1:
            happen()
        return usual(times, number)

    monkeypatch.setattr(ffmpeg, "frame_time", changed)


@needs_ffmpeg
@pytest.mark.req("CMD-042")
def test_a_film_replaces_no_file_that_appeared_meanwhile(
    tiny_weights, tmp_path, capsys, monkeypatch
):
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=3)
    target, sheet = tmp_path / "old.color.mkv", tmp_path / "old.compare.png"
    meanwhile(monkeypatch, lambda: target.write_text("mine"))
    assert colorize(path, "--weights", tiny_weights) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 colorized, 1 already there")
    assert target.read_text() == "mine"
    assert files(tmp_path) == {path.name, target.name}
    meanwhile(monkeypatch, lambda: os.link(path, sheet))
    assert colorize(path, "--weights", tiny_weights, "--overwrite", "--compare") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "old.compare.png: is an input" in said
    assert sheet.samefile(path)


@needs_ffmpeg
@pytest.mark.req("CMD-042")
def test_a_link_that_takes_the_place_of_a_folder_leads_a_film_over_no_input(
    tiny_weights, tmp_path, capsys, monkeypatch
):
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    path = make_video(album / "old.mkv", "-vf", "format=gray", frames=3)
    before = path.read_bytes()

    def link():
        if not out.is_symlink():
            out.rename(tmp_path / "moved")
            out.symlink_to(album)
            (tmp_path / "moved" / ".old.mkv.parts").rename(album / ".old.mkv.parts")

    meanwhile(monkeypatch, link)
    assert colorize(album, "--weights", tiny_weights, "--out", out, "--overwrite") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is an input" in said
    assert path.read_bytes() == before


@needs_ffmpeg
@pytest.mark.req("VID-002")
@pytest.mark.parametrize("kind", ["link", "file", "folder", "pipe", "inner link"])
def test_what_is_no_part_is_not_touched(tiny_weights, tmp_path, capsys, kind):
    path = make_video(tmp_path / "old.mkv", "-vf", "format=gray", frames=3)
    parts, mine = tmp_path / ".old.color.mkv.parts", tmp_path / "mine"
    mine.mkdir()
    (mine / "run").write_text("mine")
    if kind == "link":
        parts.symlink_to(mine)
    elif kind == "file":
        parts.write_text("mine")
    else:
        parts.mkdir()
    if kind == "folder":
        (parts / "a.jpg").write_text("mine")
    elif kind == "pipe":
        os.mkfifo(parts / "run")
    elif kind == "inner link":
        (parts / "unfinished.ts").symlink_to(mine / "run")
    before = files(tmp_path)
    assert colorize(path, "--weights", tiny_weights) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert parts.name in said
    assert files(tmp_path) == before
    assert (mine / "run").read_text() == "mine"


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-003")
def test_a_still_scene_does_not_flicker(tmp_path):
    grain = [grainy(seed).pixels for seed in range(8)]
    path, out = tmp_path / "grain.mkv", tmp_path / "color.mkv"
    h, w = grain[0].shape
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{w}x{h}", "-i", "-", "-c:v", "ffv1"]
    run_ffmpeg(*raw, path, input=b"".join(frame.tobytes() for frame in grain))
    video.colorize_video(path, out, load_weights(), coloring.ColorOptions())
    seen = pictures(out, (h, w))
    assert len(seen) == 8
    assert flicker([Photo(frame) for frame in seen]) <= 1


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-008")
def test_small_bombs_are_refused(tiny_weights, tmp_path, capsys):
    path = tmp_path / "bomb.mkv"
    source = ["-f", "lavfi", "-i", "color=black:s=3000x3000:r=25", "-frames:v", 1]
    run_ffmpeg(*source, "-c:v", "ffv1", "-pix_fmt", "gray", path)
    assert path.stat().st_size < 4000
    command = [path, "--weights", tiny_weights, "--compare", "--max-megapixels"]
    for most in (8, 10):  # 8 megapixels; 10 / 20 megapixels, and 2,000 pixels for each byte
        assert colorize(*command, most) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        for part in ("bomb.mkv", "3000 × 3000", "--max-megapixels"):
            assert part in said
    with pytest.raises(errors.TooLargeError, match="3000 × 3000"):
        ffmpeg.frame_times(path, max_pixels=8_000_000)
    with contextlib.closing(ffmpeg.decode(path, skip=0, max_pixels=200_000_000)) as frames:
        assert next(frames).shape == (3000, 3000, 3)


@needs_ffmpeg
@pytest.mark.req("VID-004")
def test_wrong_films_are_one_line(tiny_weights, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.1", tmp_path / "sound.mkv")
    for name in ("text.mp4", "sound.mkv", "missing.avi"):
        assert colorize(tmp_path / name, "--weights", tiny_weights) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert name in line
    assert files(tmp_path) == {"text.mp4", "sound.mkv"}


@needs_ffmpeg
@pytest.mark.req("VID-004")
def test_a_film_whose_name_is_not_utf8_is_told_its_reason(tiny_weights, tmp_path, capsys):
    path = tmp_path / os.fsdecode(b"odd\xff.mp4")
    path.write_text("no video")
    assert colorize(path, "--weights", tiny_weights) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ffmpeg failed (Invalid data" in line


@pytest.mark.req("VID-004")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_ffmpeg_opens_no_pipe(tiny_weights, tmp_path, monkeypatch, capsys):
    os.mkfifo(tmp_path / "pipe.mp4")
    monkeypatch.delattr(ffmpeg.subprocess, "run")  # it would wait
    assert colorize(tmp_path, "--weights", tiny_weights) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pipe.mp4: a folder or a special file" in line


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile {video}\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n",
    "address": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nhttp://localhost:9/a.ts\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet><Representation id="0" bandwidth="1"><BaseURL>{video}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "metadata": ";FFMETADATA1\ntitle=a\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
}


@needs_ffmpeg
@pytest.mark.req("VID-007")
@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_playlist_reads_no_other_film(tiny_weights, tmp_path, capsys, kind, suffix):
    (tmp_path / "secret").mkdir()
    secret = make_video(tmp_path / "secret" / "film.ts", "-c:v", "mpeg2video", frames=3)
    text = PLAYLISTS[kind].replace("{video}", str(secret))
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / f"film{suffix}").write_text(text)
    for read in (ffmpeg.frame_times, ffmpeg.still):
        with pytest.raises(errors.PhotoError, match="video"):
            read(inputs / f"film{suffix}")
    with pytest.raises(errors.PhotoError):
        next(ffmpeg.decode(inputs / f"film{suffix}", skip=0))
    assert colorize(inputs, "--weights", tiny_weights) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"film{suffix}" in line
    assert files(inputs) == {f"film{suffix}"}


@pytest.mark.req("VID-004")
def test_without_ffmpeg_one_line(tiny_weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "old.mp4").write_bytes(b"film")
    assert colorize(tmp_path / "old.mp4", "--weights", tiny_weights) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected ffmpeg" in line


@needs_ffmpeg
@pytest.mark.req("VID-004")
def test_a_film_whose_frames_are_all_hidden_is_one_line(
    tiny_weights, tmp_path, monkeypatch, capsys
):
    make_video(tmp_path / "old.mp4", "-c:v", "libx264")
    monkeypatch.setattr(ffmpeg, "decode", lambda *_, **__: (frame for frame in ()))
    assert colorize(tmp_path / "old.mp4", "--weights", tiny_weights) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"colorjax: {tmp_path / 'old.mp4'}: no frames; expected a video"
    assert files(tmp_path) == {"old.mp4"}
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]


@pytest.mark.req("VID-004")
def test_existing_films_are_kept(network, tiny_weights, tmp_path, capsys):
    for name in ("old.mp4", "old.color.mp4"):
        (tmp_path / name).write_bytes(b"mine")
    assert colorize(tmp_path / "old.mp4", "--weights", tiny_weights) == 0
    assert "1 already there" in capsys.readouterr().out
    assert (tmp_path / "old.color.mp4").read_bytes() == b"mine"
    with pytest.raises(errors.OutputError, match="exists"):
        video.colorize_video(
            tmp_path / "old.mp4", tmp_path / "old.color.mp4", network, coloring.ColorOptions()
        )
    command = [tmp_path / "old.mp4", "--weights", tiny_weights, "--out", tmp_path / "old.mp4"]
    assert colorize(*command, "--overwrite") == 2


@pytest.mark.req("VID-004")
@pytest.mark.parametrize("out", ["new.webm", "new.jpg"])
def test_a_file_that_cannot_hold_the_film_is_refused(tiny_weights, tmp_path, out, capsys):
    (tmp_path / "old.mp4").write_bytes(b"film")
    command = [tmp_path / "old.mp4", "--weights", tiny_weights, "--out", tmp_path / out]
    assert colorize(*command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert out in line
    assert ".mkv" in line
    assert files(tmp_path) == {"old.mp4"}


@pytest.fixture
def album(tmp_path):
    """A folder with a photo, and a film in a folder of its own."""
    folder = tmp_path / "album"
    (folder / "inner").mkdir(parents=True)
    Image.fromarray(scene()).save(folder / "old.png")
    make_video(folder / "inner" / "film.avi", "-vf", "format=gray", "-c:v", "mpeg4", frames=12)
    return folder


@needs_ffmpeg
@pytest.mark.req("VID-005")
def test_films_in_folders(album, tiny_weights, tmp_path, capsys):
    out, report = tmp_path / "out", tmp_path / "report.json"
    command = [album, "--weights", tiny_weights, "--out", out]
    assert colorize(*command, "--json", report) == 0
    assert files(out) == {"old.png", "inner/film.mkv"}
    assert len(pictures(out / "inner" / "film.mkv")) == 12
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 colorized, ")
    summary = json.loads(report.read_text())
    assert (summary["done"], len(summary["photos"])) == (2, 1)
    (noted,) = summary["videos"]
    assert noted == {
        "video": str(album / "inner" / "film.avi"),
        "status": "done",
        "output": str(out / "inner" / "film.mkv"),
    }
    assert colorize(*command) == 0
    assert "0 colorized, 2 already there" in capsys.readouterr().out
    assert colorize(album, "--weights", tiny_weights, "--exclude", "*.avi") == 0
    assert colorize(album, "--weights", tiny_weights, "--include", "*.avi") == 0
    assert "1 colorized" in capsys.readouterr().out.splitlines()[-1]
    ours = {"old.color.png", "inner/film.color.mkv"}
    assert files(album) == {"old.png", "inner/film.avi", *ours}
    assert colorize(album, "--weights", tiny_weights) == 0
    assert files(album) == {"old.png", "inner/film.avi", *ours}


@needs_ffmpeg
@pytest.mark.req("VID-005")
def test_films_in_folders_without_ffmpeg(album, tiny_weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "out"
    assert colorize(album, "--weights", tiny_weights, "--out", out) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert "film.avi" in line
    assert "expected ffmpeg" in line
    assert captured.out.splitlines()[-1].startswith("1 colorized, 1 failed")
    assert files(out) == {"old.png"}
    assert not (out / "inner").exists()


@needs_ffmpeg
@pytest.mark.req("VID-005", "CMD-025")
def test_a_film_with_a_long_name(network, tmp_path):
    path = make_video(tmp_path / "x.mkv", "-vf", "format=gray", frames=3)
    target = tmp_path / f"{'y' * 251}.mkv"
    video.colorize_video(path, target, network, coloring.ColorOptions())
    assert len(pictures(target)) == 3


@needs_ffmpeg
@pytest.mark.req("VID-006")
def test_hints_hold_in_every_frame(network, tiny_weights, tmp_path):
    gray = np.full((48, 64), 120, np.uint8)
    path, hints = tmp_path / "old.mkv", tmp_path / "dots.png"
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x48", "-i", "-", "-c:v", "ffv1"]
    run_ffmpeg(*raw, path, input=gray.tobytes() * 6)
    dots = np.zeros((48, 64, 4), np.uint8)
    dots[20:28, 40:56] = [200, 90, 110, 255]
    Image.fromarray(dots).save(hints)
    assert colorize(path, "--weights", tiny_weights, "--hints", hints) == 0
    chroma = np.array([200, 110]) - np.array([200, 90, 110]) @ LIGHT / 100
    for frame in pictures(tmp_path / "old.color.mkv"):
        spot = frame[22:26, 44:52].reshape(-1, 3).mean(0)
        np.testing.assert_allclose(spot[[0, 2]] - spot @ LIGHT / 100, chroma, atol=6)
    Image.fromarray(dots[:30]).save(hints)
    command = [path, "--weights", tiny_weights, "--hints", hints, "--out", tmp_path / "new.mkv"]
    assert colorize(*command) == 2
    assert not (tmp_path / "new.mkv").exists()


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.req("VID-006")
def test_variants_give_things_other_colors(tmp_path):
    (camera,) = [path for path in sample_photos() if path.name == "camera.png"]
    still = shrink_photo(read_photo(camera), 128).pixels
    h, w = still.shape
    path = tmp_path / "old.mkv"
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{w}x{h}", "-i", "-", "-c:v", "ffv1"]
    run_ffmpeg(*raw, path, input=np.roll(still, 8, 1).tobytes() * 2 + still.tobytes() * 2)
    assert colorize(path, "--variants", "2", "--compare") == 0
    names = {"old.mkv", "old.color.1.mkv", "old.color.2.mkv", "old.compare.png"}
    assert files(tmp_path) == names
    one, two = (pictures(tmp_path / f"old.color.{i}.mkv", (h, w)) for i in (1, 2))
    assert len(one) == len(two) == 4
    for a, b in zip(one, two, strict=True):
        assert most_apart(a, b) >= 5
    assert colorize(path, "--variants", "2", "--compare") == 0
    assert files(tmp_path) == names


@needs_ffmpeg
@pytest.mark.req("VID-006")
def test_stills_stand_for_films(album, tiny_weights, tmp_path):
    path = album / "inner" / "film.avi"
    np.testing.assert_array_equal(ffmpeg.still(path), pictures(path)[6])
    out = tmp_path / "out"
    command = [album, "--weights", tiny_weights, "--out", out, "--gallery", tmp_path / "pages"]
    assert colorize(*command) == 0
    page = (tmp_path / "pages" / "index.html").read_text()
    assert page.count("<figure>") == 2
    assert "inner/film.avi" in page


@needs_ffmpeg
@pytest.mark.req("VID-002")
@pytest.mark.parametrize(
    "other", [{"vividness": 0.5}, {"hints": Hints(np.array([[1, 2]]), np.array([[9, 9, 9]], "u1"))}]
)
def test_parts_are_of_one_film_weights_and_wishes(network, tmp_path, other):
    path = tmp_path / "old.mkv"
    path.write_bytes(b"film")
    params, config = network
    options = coloring.ColorOptions()
    known = video._identity(path, network, options)
    assert known == video._identity(path, network, coloring.ColorOptions())
    assert known != video._identity(path, network, coloring.ColorOptions(**other))
    assert known != video._identity(path, (jax.tree.map(lambda a: 2 * a, params), config), options)
