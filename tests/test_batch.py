"""Folders of photos, as people have them."""

import io
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from commanding import colorize, files
from light import LIGHT, light_error
from pictures import encoded, noise, scene
from PIL import Image
from rich.console import Console

from colorjax import color, photos
from colorjax.cli.console import Printer
from colorjax.inference import blending
from colorjax.jobs import batch, coloring, planning
from colorjax.photos import Photo


@pytest.fixture
def album(tmp_path):
    """A folder of 9 small photos in a tree."""
    folder = tmp_path / "album"
    (folder / "inner").mkdir(parents=True)
    for i in range(6):
        Image.fromarray(scene(24, 32, i)).save(folder / f"scan-{i}.png")
    for i in range(3):
        Image.fromarray(scene(20, 30, i)).save(folder / "inner" / f"draft-{i}.jpg")
    return folder


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.mark.req("CMD-020")
@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["--include", "scan-[0-2]*"], 3),
        (["--exclude", "draft*"], 6),
        (["--include", "inner/*"], 3),
        (["--include", "*.png", "--include", "*.jpg", "--exclude", "*-1.*"], 7),
    ],
)
def test_patterns_choose(album, tiny_weights, tmp_path, patterns, chosen):
    assert colorize(album, "--weights", tiny_weights, "--out", tmp_path / "out", *patterns) == 0
    assert len(files(tmp_path / "out")) == chosen


@pytest.mark.req("CMD-020")
def test_patterns_leave_named_files_alone(album, tiny_weights, tmp_path):
    named = album / "scan-0.png"
    out = tmp_path / "out.png"
    assert colorize(named, "--weights", tiny_weights, "--exclude", "*", "--out", out) == 0
    assert out.exists()


@pytest.mark.req("CMD-021")
def test_threads_and_memory_change_nothing(album, network, tmp_path):
    written = []
    for options in ({"threads": 1}, {"threads": 4}, {"threads": 4, "memory": 1}):
        out = tmp_path / str(len(written))
        jobs, _ = planning.plan([str(album)], str(out))
        results = list(batch.colorize_files(jobs, network, coloring.ColorOptions(), **options))
        assert [result.job for result in results] == jobs
        assert {result.status for result in results} == {"done"}
        written.append(contents(out))
    assert len(written[0]) == 9
    assert written[0] == written[1] == written[2]


@pytest.mark.req("CMD-021")
def test_memory_is_shared(album, network, tmp_path, monkeypatch):
    counted, lock = [0, 0], threading.Lock()
    read = batch.read_frames

    def counting(*arguments, **options):
        with lock:
            counted[0] += 1
            counted[1] = max(counted)
        yield from read(*arguments, **options)
        with lock:
            counted[0] -= 1

    monkeypatch.setattr(batch, "read_frames", counting)
    jobs, _ = planning.plan([str(album)], str(tmp_path / "out"))
    size = max(photos.memory_needed(job.source) for job in jobs)
    results = batch.colorize_files(
        jobs, network, coloring.ColorOptions(), threads=9, memory=2 * size
    )
    assert len(list(results)) == 9
    assert counted[1] <= 2


@pytest.mark.req("CMD-022")
def test_killed_and_run_again(album, tiny_weights, tmp_path):
    assert colorize(album, "--weights", tiny_weights, "--out", tmp_path / "whole") == 0
    out = tmp_path / "out"
    command = [sys.executable, "-m", "colorjax", "colorize", str(album), "--out", str(out)]
    process = subprocess.Popen([*command, "--weights", tiny_weights], stdout=subprocess.DEVNULL)
    while process.poll() is None and not (out.exists() and files(out)):
        pass
    process.kill()
    process.wait()
    done = {name: (out / name).stat().st_mtime_ns for name in files(out) if ".tmp" not in name}
    (out / ".colorjax-0123456789abcdef.tmp").write_bytes(b"half")  # as if killed while writing
    (out / ".colorjax-123456789abcdef0.tmp").write_bytes(b"")  # and just before
    assert colorize(album, "--weights", tiny_weights, "--out", out) == 0
    assert contents(out) == contents(tmp_path / "whole")
    for name, time in done.items():
        assert (out / name).stat().st_mtime_ns == time


@pytest.mark.req("CMD-023")
def test_two_runs_at_once(album, network, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    jobs, _ = planning.plan([str(album)], str(alone))
    list(batch.colorize_files(jobs, network, coloring.ColorOptions()))
    jobs, _ = planning.plan([str(album)], str(both))
    found = []
    runs = [
        threading.Thread(
            target=lambda: found.extend(
                batch.colorize_files(jobs, network, coloring.ColorOptions())
            )
        )
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(found) == 18
    assert {result.status for result in found} <= {"done", "skipped"}
    assert contents(both) == contents(alone)


@pytest.mark.req("CMD-024")
def test_outputs_inside_are_no_inputs(album, tiny_weights, capsys):
    (album / ".hidden.png").write_bytes((album / "scan-0.png").read_bytes())
    command = [album, "--weights", tiny_weights, "--out", album / "new" / "colored", "--compare"]
    assert colorize(*command) == 0
    before = contents(album)
    assert colorize(*command) == 0
    assert contents(album) == before
    assert "0 colorized, 9 already there" in capsys.readouterr().out
    assert colorize(album, "--weights", tiny_weights, "--exclude", "new/*") == 0
    after = files(album)
    assert colorize(album, "--weights", tiny_weights, "--exclude", "new/*") == 0
    assert files(album) == after


@pytest.mark.req("CMD-025")
def test_difficult_names(tiny_weights, tmp_path):
    folder = tmp_path / "été 夏"
    (folder / "a b").mkdir(parents=True)
    data = encoded(scene(8, 9), "PNG")
    names = ["one two.png", "夏の日.png", "émile.PNG", "x" * 251 + ".png", "夏" * 83 + ".png"]
    names += ["a b/\N{SMILING FACE WITH SUNGLASSES}.png", "x" * 250 + "y.png", "percent%20.png"]
    for name in names:
        (folder / name).write_bytes(data)
    raw = os.fsdecode(b"latin-\xe9.png")
    pathlib.Path(os.path.join(folder, raw)).write_bytes(data)
    (folder / "circle").symlink_to(folder)
    (folder / "self.png").symlink_to(folder / "self.png")
    assert colorize(folder, "--weights", tiny_weights, "--quiet") == 1  # the link to itself
    new = files(folder) - {*names, raw}
    assert len(new) == 9
    assert all(".color" in name for name in new)
    assert max(len(os.fsencode(pathlib.Path(name).name)) for name in new) <= 255
    assert colorize(folder, "--weights", tiny_weights, "--quiet") == 1
    assert files(folder) - {*names, raw} == new


@pytest.mark.req("CMD-025")
def test_a_folder_that_cannot_be_written_to(album, tiny_weights, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "inner").write_text("a file where a folder should be")  # root may write to any folder
    assert colorize(album, "--weights", tiny_weights, "--out", out) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert all("inner" in line for line in errors)
    assert len(files(out)) == 7


@pytest.mark.req("CMD-026")
def test_summary(album, tiny_weights, tmp_path, capsys):
    (album / "bad.png").write_bytes(b"no photo")
    (album / "large.png").write_bytes(encoded(np.zeros((1500, 1500), np.uint8), "PNG"))
    Image.fromarray(scene()).save(tmp_path / "there.png")
    out, report = tmp_path / "out", tmp_path / "report.json"
    out.mkdir()
    (out / "scan-3.png").write_text("mine")
    command = [
        album,
        "--weights",
        tiny_weights,
        "--out",
        out,
        "--json",
        report,
        "--max-megapixels",
        1,
    ]
    assert colorize(*command) == 1
    captured = capsys.readouterr()
    last = captured.out.splitlines()[-1]
    assert last.startswith("8 colorized, 1 already there (--overwrite to replace), 2 failed, ")
    assert last.endswith(" photos per second")
    summary = json.loads(report.read_text())
    assert [summary[status] for status in ("done", "skipped", "failed")] == [8, 1, 2]
    assert len(summary["photos"]) == 11
    failed = [photo["error"] for photo in summary["photos"] if photo["status"] == "failed"]
    assert "bad.png" in failed[0]
    assert "--max-megapixels" in failed[1]


@pytest.mark.req("CMD-027")
@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [("JPEG", [], "JPEG"), ("GIF", [], "PNG"), ("JPEG", ["--format", "webp"], "WEBP")],
)
def test_standard_streams(
    tiny_weights, tmp_path, kind, options, expected, monkeypatch, capsysbinary
):
    data = encoded(scene(), kind)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert colorize("-", "--weights", tiny_weights, *options) == 0
    captured = capsysbinary.readouterr()
    assert captured.err == b""
    with Image.open(io.BytesIO(captured.out)) as image:
        assert (image.format, image.size) == (expected, (64, 48))

    (tmp_path / "old.jpg").write_bytes(data)
    assert colorize(tmp_path / "old.jpg", "--weights", tiny_weights, "--out", "-", *options) == 0
    assert capsysbinary.readouterr().out == captured.out


@pytest.mark.req("CMD-027")
def test_standard_input_to_a_file(tiny_weights, tmp_path, monkeypatch, capsys):
    def run(data, *options):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return colorize("-", "--weights", tiny_weights, *options)

    out = tmp_path / "new.tif"
    assert run(encoded(scene(), "PNG"), "--out", out) == 0
    assert photos.read_photo(out).format == "TIFF"
    assert run(encoded(scene(), "PNG"), "--out", out) == 2
    assert run(b"no photo") == 1
    assert colorize("-", "other.png", "--weights", tiny_weights) == 2
    assert colorize(tmp_path, "--out", "-", "--weights", tiny_weights) == 2
    for option in (["--compare"], ["--gallery", "g"], ["--json", "j"], ["--variants", "2"]):
        assert colorize("-", *option, "--weights", tiny_weights) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 8
    assert "standard input: not a photo" in errors[1]


@pytest.mark.req("CMD-028")
@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("tone", [[1.07, 0.95, 0.8], [0.8, 1.0, 1.2]])
def test_a_tint_is_removed_and_its_light_kept(network, scale, tone):
    gray = scene(64, 80)[..., 1]
    sepia = np.clip(gray[..., None] * tone, 0, 255).round().astype(np.uint8)
    sepia = sepia.astype(f"u{1 + scale // 257}") * scale
    assert photos.tints.is_tinted(sepia)
    made = coloring.color_photo(Photo(sepia), network).pixels
    assert light_error(made, sepia).max() <= 50  # against the gray that is not rounded
    bare = ((sepia.astype(int) @ LIGHT + 50) // 100).astype(sepia.dtype)
    near = np.abs(made.astype(int) - coloring.color_photo(Photo(bare), network).pixels) / scale
    assert near.mean() < 1
    assert near.max() <= 4


@pytest.mark.req("CMD-028")
@pytest.mark.parametrize("scale", [1, 257])
def test_hand_coloring_on_a_strong_sepia_is_kept(network, scale):
    gray = np.clip(np.mgrid[0:192, 0:256][1] * 0.6 + 40, 0, 255)
    sepia = np.clip(gray[..., None] * [1.25, 0.97, 0.55], 0, 255)
    painted = (slice(60, 70), slice(100, 110))  # 0.2 % of the photo
    sepia[painted] = gray[painted][..., None] * [0.75, 1.0, 1.75]
    sepia = sepia.round().astype(np.uint8).astype(f"u{1 + scale // 257}") * scale
    assert photos.tints.is_tinted(sepia)
    options = coloring.ColorOptions(keep_color=True)
    kept = coloring.color_photo(Photo(sepia), network, options).pixels
    np.testing.assert_array_equal(kept[painted], sepia[painted])
    rest = np.ones(gray.shape, bool)
    rest[painted] = False
    anew = coloring.color_photo(Photo(sepia), network).pixels
    far = np.abs(kept.astype(float) - anew)[rest].mean() / scale
    assert far < 2
    assert np.abs(sepia.astype(float) - anew)[rest].mean() / scale > 10 * far
    assert light_error(kept, sepia).max() <= 50


@pytest.mark.req("CMD-028")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_own_color_is_kept(dtype):
    own, given = noise(40, 50, 3, dtype=dtype), noise(40, 50, 3, seed=1, dtype=dtype)
    own[:20] = own[:20, :, :1]
    mixed = blending.blend_own_color(own, given)
    assert mixed.dtype == dtype
    assert light_error(mixed, own).max() <= 50
    peak = np.iinfo(dtype).max
    light = own.astype(int) @ LIGHT
    luma = light[..., None] / 100
    chroma = (own[..., ::2] - luma) * (255 / peak)
    full = np.linalg.norm(chroma, axis=-1) >= 40
    assert full.any()
    np.testing.assert_array_equal(mixed[full], own[full])
    # a gray pixel takes the given chroma, as far as it fits
    given_chroma = given[..., ::2] - given.astype(int) @ LIGHT[:, None] / 100
    expected = color.apply_chroma(
        light[:20].astype(np.int32), given_chroma[:20].astype(np.float32), peak=int(peak)
    )
    assert np.abs(mixed[:20].astype(int) - np.asarray(expected)).max() <= max(1, peak // 20000)


@pytest.mark.req("CMD-035")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_depth_is_kept(tiny_weights, tmp_path, suffix, channels):
    coarse = scene(40, 50) if channels else scene(40, 50)[..., 1]
    levels = coarse.astype(np.uint16) * 257 // 2 + noise(*coarse.shape, dtype=np.uint16) % 257
    alpha = noise(40, 50, seed=1, dtype=np.uint16)
    photos.write_photo(tmp_path / f"old{suffix}", Photo(levels, alpha))
    assert colorize(tmp_path, "--weights", tiny_weights) == 0
    new = photos.read_photo(tmp_path / f"old.color{suffix}")
    assert new.pixels.dtype == np.uint16
    assert light_error(new.pixels, levels).max() <= 50
    assert np.ptp(new.pixels.astype(int), axis=-1).mean() > 200
    np.testing.assert_array_equal(new.alpha, alpha)


@pytest.mark.req("CMD-029")
def test_format_is_an_option(album, tiny_weights, tmp_path, capsys):
    out = tmp_path / "out"
    assert colorize(album, "--weights", tiny_weights, "--out", out, "--format", "webp") == 0
    assert {pathlib.Path(name).suffix for name in files(out)} == {".webp"}
    assert photos.read_photo(out / "scan-0.webp").format == "WEBP"
    assert colorize(album, "--weights", tiny_weights, "--out", out, "--format", "gif") == 2
    assert "--format gif" in capsys.readouterr().err
    one = [album / "scan-0.png", "--weights", tiny_weights, "--out", tmp_path / "one.jpg"]
    assert colorize(*one, "--format", "png") == 2
    assert "one.jpg" in capsys.readouterr().err
    assert colorize(*one, "--format", "jpeg") == 0


def grainy(seed, still=None):
    still = scene(64, 80)[..., 1] if still is None else still
    grain = np.random.default_rng(seed).normal(0, 8, still.shape)
    return Photo(np.clip(still + grain, 0, 255).round().astype(np.uint8), milliseconds=40.0)


def flicker(frames):
    """Return the mean CIEDE2000 between neighboring frames, their chroma on one light."""
    light = np.full(frames[0].pixels.shape[:2], 12800, np.int32)
    labs = []
    for frame in frames:
        rgb = frame.pixels.astype(np.float32)
        chroma = rgb[..., ::2] - (rgb @ (LIGHT / 100))[..., None].astype(np.float32)
        labs.append(color.rgb_to_lab(np.asarray(color.apply_chroma(light, chroma))))
    pairs = itertools.pairwise(labs)
    return np.mean([color.ciede2000(a, b) for a, b in pairs])


@pytest.mark.slow
@pytest.mark.req("CMD-030")
def test_chroma_is_steadied():
    from colorjax.weights import load_weights

    frames = [grainy(seed) for seed in range(8)]
    packaged = load_weights()
    steady = list(coloring.color_frames(frames, packaged, coloring.ColorOptions()))
    assert flicker(steady) <= 1
    assert flicker(steady) < flicker([coloring.color_photo(frame, packaged) for frame in frames])
    for frame, colored in zip(frames, steady, strict=True):
        assert light_error(colored.pixels, frame.pixels).max() <= 50


@pytest.mark.req("CMD-030")
def test_a_cut_starts_anew(network):
    other = [grainy(seed, 255 - scene(64, 80, 3)[..., 0]) for seed in range(3)]
    frames = [grainy(0), grainy(1), *other]
    seen = list(coloring.color_frames(frames, network))
    alone = list(coloring.color_frames(other, network))
    for frame, expected in zip(seen[2:], alone, strict=True):
        np.testing.assert_array_equal(frame.pixels, expected.pixels)


@pytest.mark.req("CMD-030")
@pytest.mark.parametrize(("kind", "suffix"), [("TIFF", ".tif"), ("GIF", ".png"), ("WEBP", ".webp")])
def test_frames_stay_one_file(tiny_weights, tmp_path, kind, suffix):
    frames = [Image.fromarray(scene(24, 32, seed)[..., 0]) for seed in range(4)]
    options = {} if kind == "TIFF" else {"duration": [40, 80, 120, 40], "loop": 0}
    if kind == "WEBP":
        frames = [frame.convert("RGB") for frame in frames]
        options["lossless"] = True
    path = tmp_path / f"old{photos.SUFFIXES[kind][0]}"
    path.write_bytes(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    out = tmp_path / f"old.color{suffix}"
    assert colorize(path, "--weights", tiny_weights, "--quality", 100) == 0
    before, after = list(photos.read_frames(path)), list(photos.read_frames(out))
    assert len(after) == 4
    for old, new in zip(before, after, strict=True):
        assert old.milliseconds == new.milliseconds
        assert light_error(new.pixels, old.pixels).max() <= 50


@pytest.mark.req("CMD-030", "FIL-027")
def test_pages_of_a_fax_stay_one_file(tiny_weights, tmp_path):
    pages = [Image.fromarray(noise(40 + each, 60, seed=each) > 127) for each in range(3)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="group4")
    (tmp_path / "fax.tif").write_bytes(data)
    assert colorize(tmp_path, "--weights", tiny_weights) == 0
    with Image.open(tmp_path / "fax.color.tif") as image:
        assert image.n_frames == 3
    for old, new in zip(pages, photos.read_frames(tmp_path / "fax.color.tif"), strict=True):
        assert light_error(new.pixels, np.asarray(old.convert("L"))).max() <= 50


@pytest.mark.req("CMD-046")
def test_a_file_of_many_pages_says_how_far_it_is(tiny_weights, tmp_path, capsys):
    pages = [photos.Photo(scene(24, 32, seed), milliseconds=40.0) for seed in range(24)]
    photos.write_photo(tmp_path / "scan.tif", pages)
    photos.write_photo(tmp_path / "moving.png", pages[:3])
    photos.write_photo(tmp_path / "still.png", pages[0])
    assert colorize(tmp_path, "--weights", tiny_weights) == 0
    lines = capsys.readouterr().out.splitlines()
    out = tmp_path / "scan.color.tif"
    said = [line.partition(", ")[0] for line in lines if " pages " in line]
    assert said == [f"{done}/24 pages  {out}" for done in (3, 5, 8, 10, 12, 15, 17, 20, 22, 24)]
    out = tmp_path / "moving.color.png"
    said = [line.partition(", ")[0] for line in lines if " frames " in line]
    assert said == [f"{done}/3 frames  {out}" for done in (1, 2, 3)]
    assert not [line for line in lines if "still" in line and "photos" not in line]


@pytest.mark.req("CMD-046", "CMD-027")
def test_a_stream_of_many_pages_says_how_far_it_is(
    tiny_weights, tmp_path, monkeypatch, capfdbinary
):
    pages = [photos.Photo(scene(24, 32, seed)) for seed in range(3)]

    def run(count, *options):
        data = photos.encode_frames(pages[:count], "TIFF")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert colorize("-", "--weights", tiny_weights, *options) == 0
        return capfdbinary.readouterr()

    def said(lines, place):
        told = [line.partition(", ")[0] for line in lines.decode().splitlines()]
        return told == [f"{done}/3 pages  {place}" for done in (1, 2, 3)]

    out = tmp_path / "new.tif"
    told = run(3, "--out", out)
    assert said(told.out, out)
    assert told.err == b""
    told = run(3)
    assert said(told.err, "standard output")
    assert told.out == out.read_bytes()
    for count, options in ((3, ["--quiet"]), (1, [])):
        told = run(count, *options)
        assert told.err == b""
        assert photos.count_frames_in(told.out) == count


@pytest.mark.req("CMD-046")
def test_bars_within_a_bar():
    printer = Printer()
    printer.console = Console(force_terminal=True, file=io.StringIO(), width=80)
    with printer.progress(2, "photos") as show:
        for number in (1, 2):
            with printer.progress(5, "pages") as inner:
                inner(3, "scan.tif")
                printer.bars.refresh()
            show(number, "done")
    with printer.progress(3, "frames") as show:
        show(3, "film.mp4")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", printer.console.file.getvalue())
    for text in ("3/5 pages +scan.tif", "2/2 photos +done", "3/3 frames +film.mp4"):
        assert re.search(text, shown)


SLOWLY = """
import signal, sys, time
from colorjax import cli
from colorjax.jobs import batch
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
write = batch.write_photo
batch.write_photo = lambda *photo, **options: (write(*photo, **options), time.sleep(0.3))
sys.exit(cli.main())
"""


@pytest.mark.req("CMD-004", "CMD-022")
@pytest.mark.parametrize(
    ("options", "writes"),
    [
        (["-", "--out", "out.png"], 1),
        (["scan-0.png", "--out", "out.png", "--json", "reports/all.json"], 2),
        (["scan-0.png", "--out", "out.png", "--gallery", "reports"], 2),
    ],
    ids=["stream", "report", "gallery"],
)
def test_terminated_while_something_is_written(
    album, tiny_weights, monkeypatch, capsys, options, writes
):
    def left(folder):
        return [name for name in files(folder) if name.endswith(".tmp")]

    def interrupted(descriptor):
        written.append(descriptor)
        if len(written) == writes:
            os.kill(os.getpid(), signal.SIGTERM)

    def unheard(*_):
        raise AssertionError("SIGTERM ended the process")

    monkeypatch.chdir(album)
    (album / "reports").mkdir()
    data = (album / "scan-0.png").read_bytes()
    command = [*options, "--weights", tiny_weights]
    written, before = [], signal.signal(signal.SIGTERM, unheard)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", interrupted)
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
            assert colorize(*command) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("run the same command again to continue")
    assert not left(album)
    for folder in (album, album / "reports"):  # as if killed
        (folder / ".colorjax-0123456789abcdef.tmp").write_bytes(b"half")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert colorize(*command) == 0
    assert left(album) == (
        ["reports/.colorjax-0123456789abcdef.tmp"] if "reports" not in str(options) else []
    )


@pytest.mark.req("CMD-004")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_interrupted_colorizing_says_how_to_go_on(album, tiny_weights, tmp_path, number, code):
    for i in range(60):
        Image.fromarray(scene(24, 32, i)).save(album / f"more-{i}.png")
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOWLY, "colorize", str(album), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--weights", tiny_weights], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (out.exists() and files(out)):
        pass
    process.send_signal(number)
    try:
        _, error = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == code, error
    assert error.splitlines()[-1].endswith("run the same command again to continue")
    assert not [name for name in files(out) if name.endswith(".tmp")]
