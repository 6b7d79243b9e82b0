"""What the command reads stays, and nothing that fails takes more with it than itself."""

import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from commanding import colorize, files
from pictures import encoded, scene

from colorjax import cli, errors, photos
from colorjax.cli import stream as command
from colorjax.jobs import gallery
from colorjax.jobs.outputs import Claims, identity

OLD = encoded(scene(24, 32), "JPEG")


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(OLD)
    return folder


def run(*arguments, **how):
    """Run the command in a process of its own, and return it."""
    line = [sys.executable, "-m", "colorjax", *map(str, arguments)]
    return subprocess.run(line, timeout=600, **{"capture_output": True, **how})


def one_line(text, *named):
    text = text.decode() if isinstance(text, bytes) else text
    assert len(text.splitlines()) == 1, text
    assert "Traceback" not in text
    for name in named:
        assert str(name) in text
    return text


@pytest.mark.req("CMD-042")
def test_one_file_is_known_by_all_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo").write_text("a photo")
    (tmp_path / "link").symlink_to("photo")
    os.link("photo", "hard")
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    names = ["photo", "link", "hard", "./photo", "folder/../photo", str(tmp_path / "photo")]
    with open("photo") as file:
        assert len({identity(name) for name in [*names, file.fileno()]}) == 1
    new = ["folder/new", "way/new", "folder/./new", tmp_path / "way" / "new"]
    assert len({identity(name) for name in new}) == 1
    others = ["folder/other", "new", "none/new", "none/other", "folder", "/"]
    assert len({identity(name) for name in [*others, "photo", "folder/new"]}) == 8
    (tmp_path / "self").symlink_to("self")
    assert identity("self") == identity("./self")


# how file systems that ignore case are made and mounted
CASELESS = [
    ("mkfs.vfat {image}", "mount -o loop {image} {place}"),
    ("mkfs.ext4 -q -O casefold {image}", "mount -o loop {image} {place}"),
    ("mkntfs -F -q {image}", "lowntfs-3g -o ignore_case {image} {place}"),
]


def succeeds(command, **places):
    """Return whether a command of the system is there, may be used, and succeeds."""
    line = [part.format(**places) for part in command.split()]
    if not sys.platform.startswith("linux") or os.geteuid() or not shutil.which(line[0]):
        return False
    return not subprocess.run(line, capture_output=True).returncode


@pytest.fixture
def bound(album):
    """The album a second time, by a bind mount."""
    place = album.parent / "bound"
    place.mkdir()
    if not succeeds("mount --bind {album} {place}", album=album, place=place):
        pytest.skip("no bind mount is possible here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def caseless(tmp_path):
    """A folder in which a.jpg and A.JPG are one file."""
    image, place = tmp_path / "disk", tmp_path / "caseless"
    place.mkdir()
    for make, mount in CASELESS:
        image.write_bytes(bytes(32_000_000))
        if all(succeeds(command, image=image, place=place) for command in (make, mount)):
            break
    else:
        pytest.skip("no file system that ignores case can be made here")
    folder = place / "album"
    folder.mkdir()
    try:
        succeeds("chattr +F {folder}", folder=folder)  # ext4 asks for it
        (folder / "a.jpg").write_bytes(OLD)
        yield folder
    finally:
        subprocess.run(["umount", place], check=True)


def assert_refused_over(place, photo, weights, capsys):
    """Check that nothing is written to another name of an input."""
    for option in ("--out", "--json"):
        assert colorize(photo, "--weights", weights, option, place, "--overwrite") == 2
        one_line(capsys.readouterr().err, place, "is an input")


@pytest.mark.req("CMD-042")
def test_a_bind_mount_is_the_same_folder(album, bound, tiny_weights, capsys):
    assert os.path.realpath(bound / "a.jpg") != os.path.realpath(album / "a.jpg")
    assert identity(bound / "a.jpg") == identity(album / "a.jpg")
    assert identity(bound / "new") == identity(album / "new")
    assert_refused_over(bound / "a.jpg", album / "a.jpg", tiny_weights, capsys)
    assert (album / "a.jpg").read_bytes() == OLD
    assert colorize(album, bound, "--weights", tiny_weights) == 2
    one_line(capsys.readouterr().err, album / "a.jpg", bound / "a.jpg", "would both be written")
    assert files(album) == {"a.jpg", "b.jpg", "c.jpg"}


@pytest.mark.req("CMD-042")
def test_letter_case_makes_no_other_file(caseless, tiny_weights, capsys):
    assert identity(caseless / "A.JPG") == identity(caseless / "a.jpg")
    assert_refused_over(caseless / "A.JPG", caseless / "a.jpg", tiny_weights, capsys)
    assert (caseless / "a.jpg").read_bytes() == OLD


@pytest.mark.req("CMD-042")
def test_claims(tmp_path):
    (tmp_path / "photo").write_text("a photo")
    (tmp_path / "there").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    claims = Claims([tmp_path / "photo"])
    for overwrite in (False, True):
        with pytest.raises(errors.OutputError, match="is an input"):
            claims.claim_alone(tmp_path / "photo", overwrite=overwrite)
    for name in ("there", "dangling"):
        with pytest.raises(errors.OutputError, match="--overwrite"):
            claims.claim_alone(tmp_path / name)
    claims.claim_alone(tmp_path / "there", overwrite=True)
    claims.claim_alone(tmp_path / "new")
    with pytest.raises(errors.OutputError, match="another output"):
        claims.claim_alone(tmp_path / "new", overwrite=True)


@pytest.mark.req("CMD-042")
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("option", ["--json", "--out"])
def test_inputs_are_never_written_over(album, tiny_weights, tmp_path, capsys, option, overwrite):
    photo, weights, hints = album / "a.jpg", tmp_path / "own.safetensors", tmp_path / "dots.json"
    weights.write_bytes(pathlib.Path(tiny_weights).read_bytes())
    hints.write_text("[]")
    (tmp_path / "link.jpg").symlink_to(photo)
    os.link(photo, tmp_path / "hard.jpg")
    places = [photo, tmp_path / "link.jpg", tmp_path / "hard.jpg"]
    if option == "--json":
        places += [weights, hints, album / "a.color.jpg" if overwrite else photo]
    for place in places:
        before = place.read_bytes() if place.exists() else None
        arguments = [photo, "--weights", weights, "--hints", hints, option, place, *overwrite]
        assert colorize(*arguments) == 2
        one_line(capsys.readouterr().err, place)
        assert (place.read_bytes() if place.exists() else None) == before
    assert files(album) == {"a.jpg", "b.jpg", "c.jpg"}


@pytest.mark.req("CMD-042")
def test_what_is_there_stays(album, tiny_weights, tmp_path, capsys):
    own = ["--weights", tiny_weights, "--out", tmp_path / "out"]
    report, pages = tmp_path / "report.json", tmp_path / "pages"
    pages.mkdir()
    for option, file in (("--json", report), ("--gallery", pages / "index.html")):
        file.write_text("mine")
        place = file if option == "--json" else pages
        assert colorize(album, *own, option, place) == 2
        one_line(capsys.readouterr().err, file, "--overwrite")
        assert file.read_text() == "mine"
        assert not (tmp_path / "out").exists()  # before any work
        assert colorize(album, *own, option, place, "--overwrite") == 0
        assert file.read_text() != "mine"
        (tmp_path / "out").rename(tmp_path / f"out{option}")
    # a gallery makes way for the next one, of more pages too
    assert gallery.is_page(pages / "index.html")
    assert colorize(album, *own, "--gallery", pages) == 0
    paths = gallery.page_paths(pages, 2 * gallery.PER_PAGE)
    assert [path.name for path in paths] == ["index.html", "page-2.html"]
    assert cli.main(["evaluate", str(album), "--weights", tiny_weights, "--json", str(report)]) == 2
    photo = ["--json", str(album / "a.jpg"), "--overwrite"]
    assert cli.main(["evaluate", str(album), "--weights", tiny_weights, *photo]) == 2
    assert (album / "a.jpg").read_bytes() == OLD


@pytest.mark.req("CMD-042")
def test_standard_input_is_an_input(album, tiny_weights):
    photo = album / "a.jpg"
    with photo.open("rb") as stream:
        arguments = ["-", "--weights", tiny_weights, "--out", photo, "--overwrite"]
        found = run("colorize", *arguments, stdin=stream)
    assert found.returncode == 2
    one_line(found.stderr, "is an input")
    assert photo.read_bytes() == OLD
    with photo.open("ab") as stream:
        found = run(
            "colorize", photo, "--out", "-", "--weights", tiny_weights,
            stdout=stream, stderr=subprocess.PIPE, capture_output=False,
        )  # fmt: skip
    assert found.returncode == 2
    assert photo.read_bytes() == OLD


@pytest.mark.req("CMD-041")
@pytest.mark.parametrize(
    "fault",
    [MemoryError(), TypeError("a\nb"), RecursionError(), OSError(5, "x"), AssertionError()],
)
@pytest.mark.parametrize("place", ["color_file", "memory_needed", "output_suffix"])
def test_one_photo_never_ends_the_others(
    album, tiny_weights, tmp_path, capsys, monkeypatch, fault, place
):
    from colorjax.jobs import batch, planning

    module = planning if place == "output_suffix" else batch
    usual, calls = getattr(module, place), []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise fault
        return usual(*arguments, **options)

    monkeypatch.setattr(batch.os, "cpu_count", lambda: None)
    monkeypatch.setattr(module, place, failing)
    out, report = tmp_path / "out", tmp_path / "report.json"
    assert colorize(album, "--weights", tiny_weights, "--out", out, "--json", report) == 1
    captured = capsys.readouterr()
    one_line(captured.err, album)
    assert captured.out.splitlines()[-1].startswith("2 colorized, 1 failed")
    assert len(files(out)) == 2
    assert json.loads(report.read_text())["failed"] == 1


@pytest.mark.req("CMD-042")
def test_a_link_that_takes_the_place_of_the_output_folder_leads_over_no_photo(
    album, tiny_weights, tmp_path, capsys, monkeypatch
):
    from colorjax.jobs import batch

    usual, out, alone = batch.memory_needed, tmp_path / "out", threading.Lock()

    def then_linked(path):
        with alone:
            if out.is_dir() and not out.is_symlink():
                out.rename(tmp_path / "moved")
                out.symlink_to(album)
        return usual(path)

    monkeypatch.setattr(batch, "memory_needed", then_linked)
    own = ["--weights", tiny_weights, "--out", out, "--overwrite", "--compare"]
    assert colorize(album, *own) == 1
    captured = capsys.readouterr()
    assert captured.err.count("is an input") == len(captured.err.splitlines()) == 2
    assert captured.out.splitlines()[-1].startswith("1 colorized, 2 failed")
    assert {path.read_bytes() for path in album.glob("?.jpg")} == {OLD}


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.req("CMD-047")
@pytest.mark.parametrize("module", ["planning", "batch"])
@pytest.mark.parametrize(
    "change",
    [
        pathlib.Path.unlink,
        lambda path: path.write_bytes(OLD[: len(OLD) // 2]),
        lambda path: path.write_bytes(b""),
        *(pipe, folder, device),
        lambda path: path.write_bytes(encoded(scene(20, 30, 1), "PNG")),
    ],
)
def test_a_photo_that_changes_is_its_own_failure(
    album, tiny_weights, tmp_path, capsys, monkeypatch, module, change
):
    from colorjax.jobs import batch, planning

    module, name = {"planning": (planning, "plan"), "batch": (batch, "memory_needed")}[module]
    usual, changed, out = getattr(module, name), album / "b.jpg", tmp_path / "out"

    def then_changed(*arguments, **options):
        found = usual(*arguments, **options)
        if name == "plan" or arguments == (changed,):
            change(changed)
        return found

    monkeypatch.setattr(module, name, then_changed)
    code = colorize(album, "--weights", tiny_weights, "--out", out)
    captured = capsys.readouterr()
    if changed.is_file() and changed.stat().st_size > len(OLD):  # another photo
        assert (code, captured.err) == (0, "")
        assert files(out) == {"a.jpg", "b.jpg", "c.jpg"}
    else:
        assert code == 1
        one_line(captured.err, changed)
        assert captured.out.splitlines()[-1].startswith("2 colorized, 1 failed")
        assert files(out) == {"a.jpg", "c.jpg"}


@pytest.mark.req("CMD-041")
def test_a_photo_that_its_format_cannot_hold_is_its_own_failure(tiny_weights, tmp_path, capsys):
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(OLD)
    small, large = (photos.Photo(scene(side, side)) for side in (20, 30))
    (folder / "pages.tif").write_bytes(photos.encode_frames([small, large], "TIFF"))
    own = ["--weights", tiny_weights, "--out", tmp_path / "out", "--format", "png"]
    assert colorize(folder, *own) == 1
    captured = capsys.readouterr()
    one_line(captured.err, folder / "pages.tif")
    assert captured.out.splitlines()[-1].startswith("1 colorized, 1 failed")


@pytest.mark.slow
def twice(read, *_):
    """Return a photo and two variants of it, as `color_file` does with a photo network."""
    photo = next(read())
    return photo, [iter([photo]), iter([photo])]


@pytest.mark.req("CMD-041", "CMD-004")
@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_an_output_that_exists_excuses_no_failed_write(
    album, tiny_weights, tmp_path, capsys, monkeypatch, name
):
    from colorjax.jobs import batch

    source, other = album / name, tmp_path / f"a.color.2{name[1:]}"
    source.write_bytes(OLD)
    other.write_bytes(b"mine")

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    def film(source, target, *arguments, **options):
        photos.write_bytes(target, b"new")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(batch, "color_file", twice)
    monkeypatch.setattr(batch.ffmpeg, "count_packets", lambda *_, **__: 1)
    monkeypatch.setattr(batch, "_video_options", lambda *_: [None, None])
    monkeypatch.setattr(batch.video, "colorize_video", film)
    out = tmp_path / f"a.color{name[1:]}"
    own = ["--weights", tiny_weights, "--variants", 2, "--out", out]
    assert colorize(source, *own) == 2
    captured = capsys.readouterr()
    one_line(captured.err, tmp_path / f"a.color.1{name[1:]}", "No space left")
    assert captured.out.splitlines()[-1] == "0 colorized, 1 failed"
    assert other.read_bytes() == b"mine"


@pytest.mark.req("CMD-023", "CMD-042")
def test_what_another_run_wrote_first_stays_and_the_rest_is_written(
    album, tiny_weights, capsys, monkeypatch
):
    from colorjax.jobs import batch

    first = album / "a.color.1.png"

    def meanwhile(*arguments):
        first.write_bytes(b"theirs")
        return twice(*arguments)

    monkeypatch.setattr(batch, "color_file", meanwhile)
    own = ["--weights", tiny_weights, "--variants", 2, "--format", "png"]
    assert colorize(album / "a.jpg", *own) == 0
    assert "1 colorized" in capsys.readouterr().out
    assert first.read_bytes() == b"theirs"
    assert photos.read_photo(album / "a.color.2.png").pixels.shape[:2] == (24, 32)


@pytest.mark.slow
@pytest.mark.req("CMD-043")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_stdout_ends_no_work(album, tiny_weights, tmp_path):
    own = ["colorize", album, "--weights", tiny_weights]
    with open("/dev/full", "w") as full:
        found = run(
            *own,
            "--out",
            tmp_path / "full",
            stdout=full,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    assert found.returncode == 0
    one_line(found.stderr, "standard output")
    assert len(files(tmp_path / "full")) == 3

    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as broken:
        found = run(
            *own,
            "--out",
            tmp_path / "pipe",
            stdout=broken,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    assert (found.returncode, found.stderr) == (0, b"")
    assert len(files(tmp_path / "pipe")) == 3

    shell = 'exec "$@" >&-'
    line = ["sh", "-c", shell, "sh", sys.executable, "-m", "colorjax", *map(str, own), "--out"]
    found = subprocess.run([*line, str(tmp_path / "closed")], capture_output=True)
    assert (found.returncode, found.stderr) == (0, b"")
    assert len(files(tmp_path / "closed")) == 3
    for unbuffered in ("", "1"):
        photo = ["colorize", album / "a.jpg", "--weights", tiny_weights, "--out", "-"]
        with open("/dev/full", "w") as full:
            found = run(
                *photo,
                stdout=full,
                stderr=subprocess.PIPE,
                capture_output=False,
                env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            )
        assert found.returncode == 2
        one_line(found.stderr, "standard output")


@pytest.mark.req("CMD-043")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_help_for_a_full_stdout_is_one_line(asked):
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    with open("/dev/full", "w") as full:
        found = run(asked, stdout=full, stderr=subprocess.PIPE, capture_output=False, env=buffered)
    assert found.returncode == 2
    one_line(found.stderr, "standard output")


@pytest.mark.req("CMD-043")
def test_names_that_are_not_utf8_get_through(tiny_weights, tmp_path):
    folder, report = tmp_path / "album", tmp_path / "report.json"
    folder.mkdir()
    raw = os.path.join(os.fsencode(folder), b"latin-\xe9.jpg")
    with open(raw, "wb") as file:
        file.write(OLD)
    (folder / "two\nlines.jpg").write_bytes(OLD)
    (folder / "bad\n\u2028.jpg").write_bytes(b"no photo")
    own = ["colorize", folder, "--weights", tiny_weights, "--json", report]
    found = run(
        *own, "--gallery", tmp_path / "pages", env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert found.returncode == 1
    one_line(found.stderr, r"bad\n\u2028.jpg")
    found.stdout.decode("ascii")
    assert found.stdout.splitlines()[-1].startswith(b"2 colorized, 1 failed")
    noted = [photo.get("photo", "") for photo in json.loads(report.read_text())["photos"]]
    assert os.fsdecode(raw) in noted
    assert "latin-\ufffd.jpg" in (tmp_path / "pages" / "index.html").read_text()


@pytest.mark.req("CMD-043")
@pytest.mark.parametrize("failing", ["write_gallery", "write_bytes"])
def test_a_gallery_that_fails_takes_nothing_with_it(
    album, tiny_weights, tmp_path, capsys, monkeypatch, failing
):
    def fail(*arguments, **options):
        raise errors.OutputError("the place is full")

    module = gallery if failing == "write_gallery" else photos
    monkeypatch.setattr(module, failing, fail)
    report, pages = tmp_path / "report.json", tmp_path / "pages"
    own = ["--weights", tiny_weights, "--json", report, "--gallery", pages]
    assert colorize(album, *own) == 2
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("3 colorized")
    one_line(captured.err, "the place is full")
    assert report.exists() == (failing == "write_gallery")
    assert (pages / "index.html").exists() == (failing == "write_bytes")


@pytest.mark.req("CMD-044")
def test_odd_standard_input_is_one_line(tiny_weights, monkeypatch, capsys):
    monkeypatch.setattr(command, "LARGEST_STREAM", 1000)

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    class Failing(Endless):
        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    closed = io.TextIOWrapper(io.BytesIO(OLD))
    closed.close()
    streams = [io.TextIOWrapper(io.BufferedReader(raw)) for raw in (Endless(), Failing())]
    for stream in (*streams, None, closed):
        monkeypatch.setattr(sys, "stdin", stream)
        assert colorize("-", "--weights", tiny_weights) == 1
        one_line(capsys.readouterr().err, "standard input")


@pytest.mark.req("CMD-044")
def test_a_huge_photo_for_standard_output_is_one_line(album, tiny_weights, monkeypatch, capsys):
    monkeypatch.setattr(command, "LARGEST_STREAM", len(OLD) - 1)
    assert colorize(album / "a.jpg", "--out", "-", "--weights", tiny_weights) == 1
    one_line(capsys.readouterr().err, "a.jpg: longer than")


@pytest.mark.req("CMD-044")
def test_a_failing_disk_is_one_line(album, tiny_weights, capsys):
    assert colorize("/proc/self/mem", "--out", "-", "--weights", tiny_weights) == 1
    one_line(
        capsys.readouterr().err, "/proc/self/mem"
    )  # a regular file whose first byte cannot be read


HUGE = "1" + "0" * 20


@pytest.mark.req("CMD-044")
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "samples", "--out", "RUN", "--preset", "seed-relu", "--steps", HUGE],
        ["train", "samples", "--out", "RUN", "--preset", "seed-relu", "--passes", HUGE],
        ["train", "samples", "--out", "RUN", "--preset", "seed-relu", "--seed", HUGE],
        ["evaluate", "samples", "--size", "8", "--hints", HUGE],
        ["evaluate", "samples", "--size", "8", "--hints", "65"],
        ["evaluate", "samples", "--size", HUGE],
    ],
)
def test_integers_that_are_too_large_are_one_line(tiny_weights, tmp_path, capsys, arguments):
    line = [argument.replace("RUN", str(tmp_path / "run")) for argument in arguments]
    if line[0] == "evaluate":
        line += ["--weights", tiny_weights]
    assert cli.main(line) == 2
    one_line(capsys.readouterr().err, "expected")
    assert files(tmp_path) == set()


@pytest.mark.req("CMD-044")
@pytest.mark.parametrize("source", ["album", "-"])
def test_hints_that_do_not_exist_are_one_line(album, tiny_weights, tmp_path, capsys, source):
    source = source if source == "-" else album / "a.jpg"
    assert colorize(source, "--weights", tiny_weights, "--hints", tmp_path / "no\ne.png") == 2
    one_line(capsys.readouterr().err, r"no\ne.png")
    assert colorize(album, "--weights", tiny_weights, "--hints-dir", tmp_path / "none") == 2
    one_line(capsys.readouterr().err, "none")
    assert files(album) == {"a.jpg", "b.jpg", "c.jpg"}


BREAKS = [
    ["colorize", "PHOTO", "--weights", "a\nb"],
    ["colorize", "a\nb"],
    ["colorize", "PHOTO", "--format", "a\nb"],
    ["colorize", "PHOTO", "--vividness", "a\nb"],
    ["colorize", "PHOTO", "--out", "a\nb.xyz/\u2028/c.gif"],
    ["colorize", "PHOTO", "--json", "PHOTO/a\nb"],
    ["colorize", "PHOTO", "--gallery", "PHOTO/a\nb"],
    ["colorize", "PHOTO", "--quality", "a\nb"],
    ["colorize", "--a\nb"],
    ["evaluate", "a\nb"],
    ["evaluate", "PHOTO", "--json", "PHOTO/a\nb"],
    ["train", "PHOTO", "--preset", "a\nb", "--out", "RUN"],
    ["train", "PHOTO", "--out", "RUN", "--set", "a\nb=1"],
    ["export", "--weights", "a\nb"],
    ["a\nb"],
]


@pytest.mark.req("CMD-044")
@pytest.mark.parametrize("arguments", BREAKS)
def test_line_breaks_in_options_are_one_line(album, tmp_path, capsys, arguments):
    places = {"PHOTO": str(album / "a.jpg"), "RUN": str(tmp_path / "run")}
    line = [argument.replace("PHOTO", places["PHOTO"]) for argument in arguments]
    assert cli.main([places.get(each, each) for each in line]) in (1, 2)
    one_line(capsys.readouterr().err)


@pytest.mark.req("CMD-044")
def test_a_pipe_named_like_a_temporary_is_left_alone(album, tiny_weights):
    names = [f".colorjax-{digit * 16}.tmp" for digit in "012"]
    os.mkfifo(album / names[0])
    (album / names[1]).mkdir()
    (album / names[2]).symlink_to("a.jpg")
    assert colorize(album, "--weights", tiny_weights) == 0
    assert (album / "a.color.jpg").exists()
    assert all(os.path.lexists(album / name) for name in names)


@pytest.mark.req("CMD-042", "FIL-015")
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_pipes_and_folders_are_never_replaced(album, tiny_weights, tmp_path, capsys, kind):
    def place(path):
        os.mkfifo(path) if kind == "pipe" else path.mkdir()
        return path

    own = ["--weights", tiny_weights, "--overwrite"]
    there = place(tmp_path / "there")
    assert colorize(album, "--json", there, *own) == 2
    one_line(capsys.readouterr().err, there)
    assert files(album) == {"a.jpg", "b.jpg", "c.jpg"}  # refused before any work
    target = place(album / "b.color.jpg")
    assert colorize(album, *own) == 1
    one_line(capsys.readouterr().err, album / "b.jpg", target)
    assert not target.is_file()
    assert files(album) == {"a.jpg", "b.jpg", "c.jpg", "a.color.jpg", "c.color.jpg"}


@pytest.mark.req("CMD-041", "CMD-042")
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing"])
@pytest.mark.parametrize("name", ["b.color.jpg", "b.compare.png"])
def test_only_a_file_is_already_there(album, tiny_weights, tmp_path, capsys, kind, name):
    there = album / name
    if kind == "pipe":
        os.mkfifo(there)
    elif kind == "folder":
        there.mkdir()
    else:
        there.symlink_to(tmp_path / "moved.jpg")
    assert colorize(album, "--weights", tiny_weights, "--compare") == 1
    told = capsys.readouterr()
    one_line(told.err, album / "b.jpg", there)
    assert told.out.splitlines()[-1].startswith("2 colorized, 1 failed")
    assert not there.is_file()
    assert not (tmp_path / "moved.jpg").exists()


@pytest.mark.req("CMD-025")
def test_what_cannot_be_searched_ends_nothing_else(album, tiny_weights, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (album / ("n" * 251 + ".jpg")).write_bytes(OLD)
    too_long = album / ("n" * 300 + ".jpg")
    places = [tmp_path / "empty", too_long, album]
    assert colorize(*places, "--weights", tiny_weights, "--hints-dir", tmp_path / "empty") == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "empty: no photos" in told[0]
    assert "no such file" in told[1]
    assert len(files(album)) == 8
    assert colorize(album / "a.jpg", "--weights", tiny_weights, "--out", too_long) == 2
    one_line(capsys.readouterr().err, "File name too long")


@pytest.mark.req("CMD-005")
def test_a_device_of_the_environment_that_does_not_exist_is_one_line(album, tiny_weights):
    how = {"env": os.environ | {"JAX_PLATFORMS": "abacus"}}
    found = run("colorize", album, "--weights", tiny_weights, **how)
    assert found.returncode == 2
    one_line(found.stderr, "JAX_PLATFORMS=abacus")


INTERRUPTING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
module = sys.argv.pop(1)
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from colorjax.__main__ import run
sys.exit(run())
"""


@pytest.mark.req("CMD-045")
@pytest.mark.parametrize("module", ["colorjax.cli", "rich", "numpy", "jax", "jaxlib.xla_client"])
def test_interrupted_while_loading(album, tiny_weights, module):
    own = ["colorize", str(album), "--weights", tiny_weights]
    found = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, module, *own], capture_output=True, timeout=600
    )
    assert found.returncode == 128 + signal.SIGINT
    one_line(found.stderr, "interrupted")
    assert files(album) == {"a.jpg", "b.jpg", "c.jpg"}


@pytest.mark.req("CMD-045")
@pytest.mark.parametrize(("option", "code"), [("--version", 0), ("--no-such", 2)])
def test_interrupted_while_ending(option, code):
    script = """
import atexit, os, signal, sys
from colorjax.__main__ import run
atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.exit(run())
"""
    run = [sys.executable, "-c", script, option]
    found = subprocess.run(run, capture_output=True, timeout=600, text=True)
    assert found.returncode == code
    assert "Traceback" not in found.stderr
    assert found.stderr.count("\n") == (code != 0)


@pytest.mark.req("CMD-004")
def test_a_signal_between_creating_and_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fcntl.flock", interrupted)
    with pytest.raises(KeyboardInterrupt):
        photos.write_bytes(tmp_path / "new.bin", b"1")
    assert list(tmp_path.iterdir()) == []
