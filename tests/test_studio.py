"""A person at work on photos, without a page."""

import asyncio
import dataclasses
import io
import json
import struct
import threading
import tracemalloc
import unicodedata
import zipfile

import numpy as np
import pytest
from light import light_error
from photo_network import photo_weights
from pictures import encoded, scene
from PIL import Image

from colorjax import errors, photos
from colorjax.inference import variants
from colorjax.web import (
    dialogs,
    downloads,
    looks,
    names,
    pictures,
    samples,
    session,
    studio,
    takehome,
)
from colorjax.web.session import Mark, Setting
from colorjax.web.takehome import Wanted

RED = Mark((200, 10, 10), ((5, 7),))
GRAY = scene()[..., 1]


def file(tmp_path, name, data):
    work = takehome.new_work(name, tmp_path)
    work.path.write_bytes(data)
    return work


@pytest.fixture
def work(tmp_path):
    return file(tmp_path, "old.jpg", encoded(GRAY, "JPEG", quality=95))


@pytest.fixture(scope="session")
def photo_network():
    return photo_weights()


@pytest.fixture
def atelier(network, tmp_path):
    return studio.Studio(network, tmp_path)


def settle(atelier):
    """Color what is open, in this thread."""
    while item := atelier.next_waiting():
        atelier.color_item(item)


@pytest.mark.req("APP-003")
@pytest.mark.parametrize("data", [b"", b"no photo", encoded(scene(), "PNG")[:-300]])
def test_wrong_files_are_one_line_without_a_path(atelier, tmp_path, data):
    work = file(tmp_path, "old\n.png", data)
    atelier.open(work)
    settle(atelier)
    item = atelier.items[work.key]
    assert item.state == "failed"
    assert "old" in item.told
    assert item.told.isprintable()
    assert str(tmp_path) not in item.told


@pytest.mark.req("APP-003")
def test_photos_that_are_too_large_are_refused(network, work):
    with pytest.raises(errors.PhotoError, match="megapixels"):
        looks.look_at(work.path, network, max_pixels=100)


@pytest.mark.req("APP-001", "APP-019")
def test_changes_are_undone_and_done_again(work):
    assert session.undo(work).setting == Setting()
    vivid = session.change(work, vividness=2.0)
    assert session.change(vivid, vividness=2.0) is vivid
    hinted = session.put(vivid, RED)
    other = session.put(hinted, Mark((1, 2, 3), ((0, 0), (3, 4)), 9))
    changed = session.put(other, Mark((4, 5, 6), RED.path), instead_of=0)
    removed = session.remove(changed, 1)
    states = [work, vivid, hinted, other, changed, removed]
    assert changed.setting.marks == (Mark((4, 5, 6), RED.path), other.setting.marks[1])
    assert removed.setting == Setting(vividness=2.0, marks=(Mark((4, 5, 6), RED.path),))
    for expected in [*reversed(states[:-1]), work]:
        removed = session.undo(removed)
        assert removed.setting == expected.setting
    for expected in [*states[1:], states[-1]]:
        removed = session.redo(removed)
        assert removed.setting == expected.setting
    branched = session.change(session.undo(removed), look="warm")
    assert session.redo(branched) is not removed
    assert session.redo(branched).setting == branched.setting


@pytest.mark.req("APP-019")
def test_moves_of_the_slider_in_a_row_are_one_change(work):
    warm = session.change(work, look="warm")
    slid = warm
    for vividness in (1.1, 1.2, 1.3):
        slid = session.change(slid, vividness=vividness)
    assert session.undo(slid).setting == warm.setting
    assert session.redo(session.undo(slid)).setting == Setting("warm", 1.3)
    hinted = session.put(slid, RED)
    again = session.change(session.change(hinted, vividness=0.5), vividness=0.7)
    assert session.undo(again).setting == hinted.setting
    assert session.undo(session.undo(again)).setting == slid.setting
    back = session.change(again, vividness=1.3)  # as it was: no change is left
    assert (back.settings, back.at) == (hinted.settings, hinted.at)


@pytest.mark.req("APP-019")
def test_marks_are_bounded(work):
    for number in range(session.MOST_MARKS + 5):
        work = session.put(work, Mark((number % 256, 0, 0), ((number, 0),)))
    assert len(work.setting.marks) == session.MOST_MARKS
    assert session.remove(work, 999).setting == work.setting


def touched(mark, shape, grid):
    """Return the cells of the pixels that a mark covers, pixel by pixel."""
    pixels = np.argwhere(np.ones(shape))
    near = [((pixels - place) ** 2).sum(-1) <= mark.radius**2 for place in mark.path]
    return {tuple(cell) for cell in (pixels[np.any(near, 0)] * grid // shape).tolist()}


@pytest.mark.req("APP-019")
@pytest.mark.parametrize("radius", [0, 1, 8, 30])
@pytest.mark.parametrize(
    ("shape", "grid"), [((48, 64), (12, 16)), ((48, 64), (48, 64)), ((50, 33), (7, 5))]
)
def test_a_brush_touches_its_cells_and_no_more(radius, shape, grid):
    for path in (((20, 10), (20, 60)), ((0, 0),), ((49, 66), (60, 3)), ((999, 999),)):
        found = session.hints([Mark((10, 20, 30), path, radius)], shape, grid)
        expected = touched(Mark((10, 20, 30), path, radius), shape, grid)
        if not expected:
            assert found is None
            continue
        found.check_inside(shape)
        cells = [tuple(cell) for cell in (found.places * grid // shape).tolist()]
        assert (len(cells), set(cells)) == (len(expected), expected)
        assert (found.rgb == [10, 20, 30]).all()


@pytest.mark.req("APP-019")
def test_where_marks_overlap_their_mean_applies():
    stroke = Mark((10, 20, 31), ((20, 10), (20, 60)), 8)
    found = session.hints([stroke, Mark((30, 20, 10), ((20, 13),))], (48, 64), (12, 16))
    colors = {
        tuple(place): tuple(rgb)
        for place, rgb in zip(found.places.tolist(), found.rgb.tolist(), strict=True)
    }
    assert colors.pop((20, 12)) == (20, 20, 20)
    assert set(colors.values()) == {(10, 20, 31)}


@pytest.mark.req("APP-019")
def test_marks_are_local_or_not():
    local = dataclasses.replace(RED, path=((1, 2),), local=True)
    assert session.mark_from(dataclasses.asdict(local)) == local
    for marks, expected in (([local], True), ([RED], False), ([RED, local], False)):
        marks = [dataclasses.replace(mark, path=((1, 2),)) for mark in marks]
        assert session.hints(marks, (48, 64), (12, 16)).local.tolist() == [expected]


@pytest.mark.req("APP-019")
def test_a_photo_may_have_fewer_pixels_than_cells():
    found = session.hints([Mark((1, 2, 3), ((2, 1),), 9)], (3, 2), (12, 16))
    found.check_inside((3, 2))


@pytest.mark.req("APP-019", "APP-020")
@pytest.mark.parametrize("radius", [0, 1, 100, 10**6 - 1])
def test_heavy_brushes_on_a_large_photo_are_light(radius):
    spots = np.random.default_rng(0).integers(0, 20_000, (5, 2000, 2)).tolist()
    marks = [Mark((10, 20, 30), tuple(map(tuple, path)), radius) for path in spots]
    tracemalloc.start()
    try:
        found = session.hints(marks, (20_000, 20_000), (56, 56))
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert len(found.places) <= 56 * 56


@pytest.mark.req("APP-018")
def test_vividness_is_heeded(work, network):
    view = looks.look_at(work.path, network)
    painted = looks.paint(view, network, Setting(vividness=0.0))
    np.testing.assert_array_equal(painted, np.repeat(view.photo.pixels[..., None], 3, -1))


@pytest.mark.slow
@pytest.mark.req("APP-018")
def test_looks_differ_and_are_what_is_taken_home(work, photo_network, tmp_path):
    view = looks.look_at(work.path, photo_network)
    offered = looks.looks(photo_network[1])
    assert 4 <= len(offered) <= 6
    shown = {}
    for number, name in enumerate(offered):
        picked = session.change(work, look=name)
        shown[name] = looks.paint(view, photo_network, picked.setting)
        target = tmp_path / f"{number}.png"
        takehome.write_color(picked, view, photo_network, target)
        taken = photos.read_photo(target)
        np.testing.assert_array_equal(taken.pixels, shown[name])
        assert light_error(taken.pixels, view.photo.pixels).max() <= 50
    for name, pixels in shown.items():
        others = [other for each, other in shown.items() if each != name]
        assert all(np.abs(pixels.astype(int) - other).mean() > 0.5 for other in others)
    warmth = {name: (rgb[..., 0].astype(int) - rgb[..., 2]).mean() for name, rgb in shown.items()}
    assert warmth["cool"] < warmth["natural"] < warmth["warm"]


@pytest.mark.req("APP-018")
def test_a_network_of_one_coloring_has_looks_too(work, network):
    view = looks.look_at(work.path, network)
    strengths = [
        np.ptp(looks.paint(view, network, Setting(look=name)).astype(int), axis=-1).mean()
        for name in ("soft", "natural", "vivid", "bold")
    ]
    assert strengths == sorted(strengths)
    unknown = looks.paint(view, network, Setting(look="none"))
    np.testing.assert_array_equal(unknown, looks.paint(view, network, Setting()))


@pytest.mark.slow
@pytest.mark.req("APP-019")
@pytest.mark.parametrize("level", [0, 128, 255])
def test_likely_colors_are_shown_at_middling_light(tmp_path, photo_network, level):
    gray = GRAY.copy()
    gray[10:20, 10:20] = level
    work = file(tmp_path, "old.png", encoded(gray, "PNG"))
    view = looks.look_at(work.path, photo_network)
    colors = looks.palette(view, photo_network, 15, 999)
    assert colors == looks.palette(view, photo_network, 15, 63)
    colors = looks.palette(view, photo_network, 15, 15)
    assert 6 <= len(colors) <= 8
    assert len(set(colors)) == len(colors)
    light = [(21 * r + 72 * g + 7 * b) / 100 for r, g, b in colors]
    assert np.allclose(light, variants.MIDDLE, atol=0.5)


@pytest.mark.req("APP-019")
def test_a_mark_colors_its_place_only_while_it_is_tried(atelier, work):
    atelier.open(work)
    before = atelier.pictures.after(work.key)
    tried = atelier.pictures.after(work.key, mark=RED)
    assert tried != before
    assert atelier.pictures.after(work.key) == before
    atelier.update(work.key, lambda work: session.put(work, RED))
    assert atelier.pictures.after(work.key) == tried
    instead = atelier.pictures.after(work.key, mark=Mark((10, 10, 200), RED.path), instead_of=0)
    assert instead not in (before, tried)
    assert atelier.pictures.palette(work.key, 5, 7) == []


@pytest.mark.req("APP-006", "APP-008")
@pytest.mark.parametrize(
    ("color", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "gray"),
        ((200, 30, 30), "red"),
        ((110, 70, 40), "dark brown"),
        ((150, 190, 230), "light blue"),
        ((60, 130, 60), "green"),
        ((230, 120, 170), "pink"),
    ],
)
def test_colors_have_names(color, name):
    assert names.color_name(color) == name


@pytest.mark.req("APP-019")
def test_no_name_is_in_a_palette_twice():
    everyday = ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"]
    assert names.color_names(looks.EVERYDAY) == everyday
    grays = [(140, 140, 140), (150, 138, 130), (132, 141, 152), (141, 141, 139), (139, 140, 141)]
    found = names.color_names([*grays, *grays, *looks.EVERYDAY, (200, 40, 30), (190, 70, 60)])
    assert len(set(found)) == len(found)
    assert found[:3] == ["gray", "warm gray", "bluish gray"]


@pytest.mark.req("APP-002")
@pytest.mark.parametrize(
    ("name", "kind", "suffix", "expected", "format"),
    [
        ("old.jpg", "JPEG", None, "old.color.jpg", "JPEG"),
        ("old.gif", "GIF", None, "old.color.png", "PNG"),
        ("../a/old.jpg", "JPEG", ".png", "old.color.png", "PNG"),
        ("old.tif", "TIFF", ".webp", "old.color.webp", "WEBP"),
        ("C:\\a\\..", "PNG", None, "photo.color.png", "PNG"),
        ("Aux.png", "PNG", None, "_Aux.color.png", "PNG"),
        ("a\u202eb\x85c?.png", "PNG", None, "a_b_c_.color.png", "PNG"),
    ],
)
def test_files_to_take_home(atelier, tmp_path, name, kind, suffix, expected, format):
    work = file(tmp_path, name, encoded(GRAY, kind))
    atelier.open(work)
    job = atelier.take("color", [work.key], Wanted(suffix))
    assert job.ended.wait(600)
    assert (job.state, job.told, job.name) == ("done", "", expected)
    photo = photos.read_photo(job.path)
    assert (photo.format, photo.pixels.shape) == (format, (48, 64, 3))
    if format == "PNG":
        gray = photos.read_photo(work.path).pixels
        assert light_error(photo.pixels, gray).max() <= 50


@pytest.mark.req("APP-002")
def test_names_in_a_zip_differ_on_every_system(tmp_path):
    asked = [
        "a.png",
        "A.png",
        "é.png",
        "e\u0301.png",
        "a.png",
        "ä" * 300 + ".png",
        "ä" * 300 + ".PNG",
    ]
    names = [takehome.download_name(name, ".color.png") for name in asked]
    paths = [tmp_path / str(number) for number in range(len(names))]
    for path in paths:
        path.write_bytes(path.name.encode())
    takehome.write_zip(tmp_path / "all.zip", zip(names, paths, strict=True))
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        written = archive.namelist()
        assert [archive.read(name) for name in written] == [path.name.encode() for path in paths]
    assert written[:3] == ["a.color.png", "A.color (2).png", "é.color.png"]
    assert len({unicodedata.normalize("NFD", name.lower()) for name in written}) == len(asked)
    assert max(len(name.encode()) for name in written) <= 255


@pytest.mark.req("APP-002", "APP-003")
def test_all_in_a_zip(atelier, tmp_path, work):
    gray = file(tmp_path, "old.jpg", work.path.read_bytes())
    gray = session.change(gray, vividness=0.0)
    bad = file(tmp_path, "bad.jpg", b"no photo")
    for each in (work, gray, bad):
        atelier.open(each)
    job = atelier.take("zip", list(atelier.items), Wanted(".png"))
    assert job.ended.wait(600)
    assert (job.state, job.done, job.total) == ("done", 3, 3)
    assert job.told.startswith("bad.jpg: not a photo")
    with zipfile.ZipFile(job.path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == ["old.color.png", "old.color (2).png"]
        first, second = (np.asarray(Image.open(archive.open(name))) for name in names)
    assert (second == second[..., :1]).all()
    assert not (first == second).all()


@pytest.mark.req("APP-020")
def test_a_comparison_is_twice_as_wide(atelier, work):
    atelier.open(work)
    job = atelier.take("compare", [work.key])
    assert job.ended.wait(600)
    assert job.name == "old.compare.jpg"
    assert photos.read_photo(job.path).pixels.shape[1] >= 2 * 64


@pytest.mark.req("APP-020")
def test_a_project_opens_again_as_it_was(atelier, network, tmp_path, work):
    changed = session.undo(session.put(session.change(work, look="vivid", vividness=1.5), RED))
    other = file(tmp_path, "b.png", encoded(GRAY, "PNG"))
    atelier.open(changed)
    atelier.open(other)
    assert atelier.unsaved()
    job = atelier.take("project", list(atelier.items))
    assert job.ended.wait(600)
    assert atelier.unsaved()  # until the browser takes it
    atelier.note_taken(job)
    assert not atelier.unsaved()
    again = studio.Studio(network, tmp_path)
    sent = tmp_path / "sent"
    sent.write_bytes(job.path.read_bytes())
    assert again.open_project(sent, "photos.colorjax") == 2
    assert not sent.exists()
    first, second = (item.work for item in again.items.values())
    assert (first.name, second.name) == ("old.jpg", "b.png")
    assert (first.settings, first.at) == (changed.settings, changed.at)
    assert first.path.read_bytes() == work.path.read_bytes()
    assert first.path != work.path
    assert not again.unsaved()


@pytest.mark.req("APP-020")
def test_only_what_a_zip_holds_counts_as_saved(atelier, tmp_path, work):
    other = file(tmp_path, "b.png", encoded(GRAY, "PNG"))
    for each in (work, other):
        atelier.open(session.change(each, look="vivid"))
    settle(atelier)
    other.path.unlink()  # it can no longer be read
    job = atelier.take("zip", list(atelier.items))
    assert job.ended.wait(600)
    assert "b.png" in job.told
    atelier.note_taken(job)
    assert [each["unsaved"] for each in atelier.strip()] == [False, True]


@pytest.mark.req("APP-020")
def test_a_comparison_saves_no_settings(atelier, work):
    atelier.open(session.change(work, look="vivid"))
    job = atelier.take("compare", [work.key])
    assert job.ended.wait(600)
    atelier.note_taken(job)
    assert atelier.unsaved()


@pytest.mark.req("APP-028")
def test_a_download_in_progress_does_not_keep_the_page_from_ending(tmp_path):
    job = downloads.Job("key", "a.png", tmp_path / "a.png", frozenset(), 1)

    async def until_the_page_ends():
        waiting = asyncio.create_task(dialogs.until_ended(job))
        await asyncio.sleep(0.01)
        waiting.cancel()

    page = threading.Thread(target=lambda: asyncio.run(until_the_page_ends()), daemon=True)
    page.start()
    page.join(60)
    ended = not page.is_alive()
    job.ended.set()
    assert ended


@pytest.mark.req("APP-028")
def test_a_passing_failure_keeps_the_coloring(atelier, work, monkeypatch):
    atelier.open(work)
    settle(atelier)
    item = atelier.items[work.key]
    thumb, told = item.thumb, item.told

    def fail(key):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(atelier.pictures, "thumbnail", fail)
        atelier.update(work.key, lambda work: session.change(work, look="vivid"))
        settle(atelier)
    assert (item.state, item.told, item.thumb) == ("done", told, thumb)
    atelier.update(work.key, session.undo)
    settle(atelier)
    assert (item.state, item.painted) == ("done", 2)


@pytest.mark.req("APP-019")
def test_a_color_that_is_set_already_is_not_set_again(work):
    marked = session.put(work, RED)
    assert session.put(marked, RED) is marked
    assert session.put(marked, RED, instead_of=0) is marked


@pytest.mark.req("APP-020")
def test_a_project_of_an_older_version_opens(atelier, tmp_path):
    sent = tmp_path / "sent"
    mark = {"color": [200, 10, 10], "path": [[5, 7]], "radius": 0}
    sent.write_bytes(project(told(settings=[{"look": "warm", "vividness": 1, "marks": [mark]}])))
    assert atelier.open_project(sent, "photos.colorjax") == 1
    (item,) = atelier.items.values()
    assert item.work.setting == Setting("warm", 1.0, (RED,))


@pytest.mark.req("APP-020")
def test_a_long_history_makes_a_small_project(tmp_path, work):
    for number in range(100):
        path = tuple((number, column) for column in range(400))
        work = session.put(work, Mark((10, 20, 30), path, 5))
    for number in range(100):
        work = session.change(work, look=("warm", "cool")[number % 2])
    takehome.write_project(tmp_path / "project", [work])
    with zipfile.ZipFile(tmp_path / "project") as archive:
        assert archive.getinfo(takehome.CONTENT).file_size < 500_000
    (again,) = takehome.read_project(tmp_path / "project", tmp_path, most=1)
    assert (again.settings, again.at) == (work.settings, work.at)


@pytest.mark.req("APP-020")
def test_a_project_that_could_not_be_opened_is_not_written(atelier, work, monkeypatch):
    monkeypatch.setattr(takehome, "MOST_CONTENT", 100)
    atelier.open(session.put(work, RED))
    job = atelier.take("project", [work.key])
    assert job.ended.wait(600)
    assert (job.state, job.told) == (
        "failed",
        "old.jpg: too many colors were set for one project; expected fewer",
    )
    assert atelier.unsaved()


@pytest.mark.req("APP-019", "APP-020")
def test_the_settings_of_a_file_are_bounded(work):
    for level in range(30):
        path = tuple((n, n) for n in range(session.MOST_PLACES))
        work = session.put(work, Mark((level, 2, 3), path, 5))
    assert len(work.setting.marks) == session.MOST_TOGETHER // session.MOST_PLACES
    assert session.put(work, Mark((30, 2, 3), path, 5), 25) is work
    assert session.put(work, RED, 0).setting.marks[0] == RED
    for number in range(session.MOST_SETTINGS + 5):
        work = session.change(work, look=str(number))
    assert (len(work.settings), work.at) == (session.MOST_SETTINGS, session.MOST_SETTINGS - 1)


@pytest.mark.req("APP-020")
def test_a_project_does_not_open_more_files_than_fit(atelier, tmp_path, work, monkeypatch):
    monkeypatch.setattr(studio, "MOST_FILES", 3)
    atelier.open(work)
    atelier.open(file(tmp_path, "b.png", encoded(GRAY, "PNG")))
    job = atelier.take("project", list(atelier.items))
    assert job.ended.wait(600)
    sent = tmp_path / "sent"
    sent.write_bytes(job.path.read_bytes())
    with pytest.raises(errors.PhotoError, match=r"^photos\.colorjax: 2 files; only 1 more"):
        atelier.open_project(sent, "photos.colorjax")
    assert len(atelier.items) == 2


def project(content, files=("0000.png",), compression=zipfile.ZIP_STORED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name in files:
            archive.writestr(name, encoded(GRAY, "PNG"))
        archive.writestr("project.json", content)
    return data.getvalue()


def many_names(*, large):
    """Return a project with 45,000 more names, or one whose directory is told in the form for large archives."""
    data = project(told())
    place, end = data.index(b"PK\1\2"), data[-22:]
    more = 0 if large else 45_000
    directory = data[place:-22] + more * (b"PK\1\2" + bytes(24) + b"\1" + bytes(17) + b"a")
    size, number = len(directory), 2 + more
    if large:
        directory += struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, size, place)
        directory += struct.pack("<4sIQI", b"PK\6\7", 0, place + size, 1)
    return data[:place] + directory + end[:8] + struct.pack("<HHI", number, number, size) + end[16:]


def told(**changes):
    setting = {"look": "natural", "vividness": 1.0, "marks": []}
    fields = {"name": "a.png", "file": "0000.png", "settings": [setting], "at": 0} | changes
    return json.dumps({"version": 1, "works": [fields]})


DOT = {"color": [1, 2, 3], "path": [1, 2], "radius": 0}
LONG = DOT | {"path": 2000 * [1, 2]}


def changed(data, place):
    """Return bytes of which one is larger by 1."""
    data = bytearray(data)
    data[place] += 1
    return bytes(data)


@pytest.mark.req("APP-012", "APP-020")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        changed(project(told()), 100),  # a photo whose checksum is wrong
        changed(project(told()), -4),  # all members begin before the file
        b"no zip",
        b"PK\5\6" + bytes(18),
        project("[]"),
        project("{"),
        project("[" * 10**5),
        project('{"works": [1]}'),
        project('{"works": 9}'),
        project(told(), files=()),
        project(told(at=1)),
        project(told(at=True)),
        project(told(file="/etc/hostname")),
        project(told(file="../0000.png")),
        project(told(settings=[])),
        project(json.dumps({"works": 2 * json.loads(told())["works"]})),
        project(told(settings=[{"look": 1, "vividness": 1, "marks": []}])),
        project(told(settings=[{"look": "x", "vividness": "NaN", "marks": []}])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": [], "keep_color": 1}])),
        project(told(settings=[{"look": "x", "vividness": 1e9, "marks": []}])),
        project(told(settings=[{"look": "x", "vividness": 10**399, "marks": []}])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": [{"color": [1]}]}])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": [0]}])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": [-1]}], marks=[DOT])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": [True]}], marks=[DOT])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": 201 * [0]}], marks=[DOT])),
        project(told(settings=[{"look": "x", "vividness": 1, "marks": 26 * [0]}], marks=[LONG])),
        project(told(settings=1001 * [{"look": "x", "vividness": 1, "marks": []}])),
        project(told(marks=3)),
        project(told(marks=[{"color": [1, 2, 3], "path": [1, 2, 3]}])),
        project(told(name=300_000 * "[")),
        project(told(name=16_000_000 * "x")),
        project(told(), compression=zipfile.ZIP_DEFLATED),
    ],
)
def test_other_files_are_no_project(atelier, tmp_path, data):
    sent = tmp_path / "sent"
    sent.write_bytes(data)
    with pytest.raises(errors.PhotoError, match=r"photos\.colorjax|the project") as error:
        atelier.open_project(sent, "photos.colorjax")
    assert str(tmp_path) not in str(error.value)
    assert atelier.items == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.req("APP-020")
@pytest.mark.parametrize("large", [False, True])
def test_the_names_of_a_project_have_a_limit(atelier, tmp_path, large):
    test_other_files_are_no_project(atelier, tmp_path, many_names(large=large))


@pytest.mark.req("APP-019", "APP-020")
@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {},
        {"color": [1, 2, 3], "path": []},
        {"color": [1, 2, 256], "path": [[1, 2]]},
        {"color": [1, 2, -1], "path": [[1, 2]]},
        {"color": [1, 2, 3.0], "path": [[1, 2]]},
        {"color": [1, 2, 3], "path": [[1, True]]},
        {"color": [1, 2, 3], "path": [[1, 2, 3]]},
        {"color": [1, 2, 3], "path": [[10**9, 2]]},
        {"color": [1, 2, 3], "path": [[1, 2]], "radius": "1"},
        {"color": [1, 2, 3], "path": [[1, 2]], "local": 1},
        {"color": [1, 2, 3], "path": [[1, 2]] * 2001},
    ],
)
def test_other_things_are_no_mark(found):
    with pytest.raises(errors.PhotoError, match="a mark"):
        session.mark_from(found)
    assert session.mark_from({"color": [200, 10, 10], "path": [[5, 7]]}) == RED


@pytest.mark.req("APP-021")
@pytest.mark.parametrize(
    ("name", "kind", "says"), [("a.tif", "TIFF", "3 pages"), ("a.webp", "WEBP", "Animation of 3")]
)
def test_pages_are_named_and_colored_with_progress(atelier, tmp_path, name, kind, says):
    pages = [Image.fromarray(scene(24, 32, seed)[..., 1]) for seed in range(3)]
    data = io.BytesIO()
    pages[0].save(data, kind, save_all=True, append_images=pages[1:])
    work = file(tmp_path, name, data.getvalue())
    atelier.open(work)
    settle(atelier)
    assert says in atelier.items[work.key].told
    job = atelier.take("color", [work.key])
    assert job.ended.wait(600)
    assert (job.state, job.done, job.total) == ("done", 3, 3)
    assert len(list(photos.read_frames(job.path))) == 3


@pytest.mark.req("APP-017")
def test_the_one_that_is_shown_is_colored_first(atelier, tmp_path):
    works = [file(tmp_path, f"{i}.png", encoded(GRAY, "PNG")) for i in range(4)]
    for work in works:
        atelier.open(work)
    assert atelier.shown().work is works[0]
    atelier.select(works[2].key)
    order = []
    for _ in works:
        atelier.color_item(atelier.next_waiting())
        order += [
            i
            for i, work in enumerate(works)
            if atelier.items[work.key].state == "done" and i not in order
        ]
    assert order == [2, 3, 0, 1]
    thumb = atelier.thumb(works[1].key)
    atelier.update(works[1].key, lambda work: session.change(work, vividness=0.0))
    assert atelier.items[works[1].key].state == "waiting"
    settle(atelier)
    assert atelier.thumb(works[1].key) != thumb


@pytest.mark.req("APP-017")
def test_a_file_that_is_opened_again_needs_no_network(atelier, tmp_path, monkeypatch):
    works = [file(tmp_path, f"{i}.png", encoded(GRAY, "PNG")) for i in range(12)]
    for work in works:
        atelier.open(work)
    settle(atelier)
    looked = []
    look_at = pictures.look_at
    monkeypatch.setattr(
        pictures, "look_at", lambda *args, **options: looked.append(1) or look_at(*args, **options)
    )
    for work in works:
        atelier.pictures.after(work.key)
    assert not looked
    size = atelier.pictures.view(works[0].key).size
    monkeypatch.setattr(pictures, "MEMORY", 3 * size)
    atelier.open(file(tmp_path, "more.png", encoded(GRAY, "PNG")))
    settle(atelier)
    assert len(atelier.pictures._views) == 3


@pytest.mark.req("APP-001", "APP-017")
def test_a_file_is_taken_out_and_its_neighbor_shown(atelier, tmp_path):
    works = [file(tmp_path, f"{i}.png", encoded(GRAY, "PNG")) for i in range(3)]
    for work in works:
        atelier.open(work)
    atelier.select(works[1].key)
    for closed, shown in ((1, 2), (2, 0)):
        atelier.close(works[closed].key)
        assert not works[closed].path.exists()
        assert atelier.current == works[shown].key
    atelier.close(works[0].key)
    assert atelier.shown() is None
    atelier.close("none")


@pytest.mark.req("APP-003")
def test_a_good_file_is_shown_unless_a_failed_one_was_chosen(atelier, tmp_path):
    bad = file(tmp_path, "bad.jpg", b"no photo")
    atelier.open(bad)
    settle(atelier)
    assert atelier.shown().work is bad
    good = [file(tmp_path, f"{i}.png", encoded(GRAY, "PNG")) for i in range(2)]
    for work in good:
        atelier.open(work)
    assert atelier.shown().work is good[0]
    atelier.select(bad.key)
    settle(atelier)
    assert atelier.shown().work is bad


@pytest.mark.req("APP-026")
def test_the_colors_of_a_file_can_be_kept(atelier, tmp_path, network):
    work = file(tmp_path, "new.png", encoded(scene(), "PNG"))
    gray = file(tmp_path, "old.png", encoded(GRAY, "PNG"))
    for each in (work, gray):
        atelier.open(each)
    settle(atelier)
    assert [item.in_color for item in atelier.items.values()] == [True, False]
    plain = atelier.pictures.after(work.key)
    atelier.update(work.key, lambda work: session.change(work, keep_color=True))
    assert atelier.pictures.after(work.key) != plain
    shown = looks.paint(atelier.pictures.view(work.key), network, Setting(keep_color=True))
    job = atelier.take("color", [work.key])
    assert job.ended.wait(600)
    np.testing.assert_array_equal(photos.read_photo(job.path).pixels, shown)


@pytest.mark.req("APP-002")
def test_downloads_of_removed_files_are_forgotten(atelier, tmp_path):
    works = [file(tmp_path, f"{i}.png", encoded(GRAY, "PNG")) for i in range(2)]
    for work in works:
        atelier.open(work)
    one = atelier.take("color", [works[0].key])
    both = atelier.take("zip", [work.key for work in works])
    assert all(job.ended.wait(600) for job in (one, both))
    atelier.close(works[0].key)
    assert list(atelier.jobs.values()) == [both]
    assert not one.path.exists()
    atelier.close(works[1].key)
    assert not atelier.jobs


@pytest.mark.req("APP-016")
def test_the_whole_photo_has_its_own_pixels(atelier, tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "SHOWN", 32)
    work = file(tmp_path, "old.png", encoded(GRAY, "PNG"))
    atelier.open(work)
    for show in (atelier.pictures.before, atelier.pictures.after):
        assert max(photos.decode_photo(show(work.key)).pixels.shape) == 32
        whole = photos.decode_photo(show(work.key, whole=True)).pixels
        assert whole.shape[:2] == GRAY.shape


@pytest.mark.req("APP-015")
def test_samples_are_gray_and_open_at_once(atelier):
    atelier.samples = samples.write_samples(atelier.folder)
    assert set(atelier.samples) == set(samples.SAMPLES)
    atelier.open_sample(samples.HERO)
    shown = atelier.shown().work
    assert photos.read_photo(shown.path).pixels.ndim == 2
    assert shown.key not in atelier.samples
    atelier.close(shown.key)
    assert atelier.samples[samples.HERO].path.exists()
