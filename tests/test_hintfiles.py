"""Hints from files, and the command's options."""

import itertools
import json
import os

import numpy as np
import pytest
from commanding import colorize, files
from light import LIGHT, light_error
from pictures import encoded, most_apart, scene
from PIL import Image

from colorjax import color, errors, photos
from colorjax.jobs import hintfiles

GRAY = scene(48, 64)[..., 1]
POINTS = [{"x": 5, "y": 7, "rgb": [200, 30, 40]}, {"x": 60, "y": 40, "rgb": "#1020f0"}]


def dots(points, shape=(48, 64)):
    """Return an RGBA picture with a pixel for each point."""
    picture = np.zeros((*shape, 4), np.uint8)
    picture[..., :3] = 77  # under the transparency
    for point in points:
        rgb = point["rgb"]
        picture[point["y"], point["x"]] = [*(bytes.fromhex(rgb[1:]) if rgb[0] == "#" else rgb), 255]
    return picture


def write(path, points):
    if path.suffix == ".json":
        path.write_text(json.dumps(points))
    else:
        Image.fromarray(dots(points)).save(path)
    return path


@pytest.mark.req("CMD-032")
@pytest.mark.parametrize("name", ["hints.json", "hints.png", "hints.tif"])
def test_points_and_dots_are_the_same(tmp_path, name):
    hints = hintfiles.read_hints(write(tmp_path / name, POINTS), GRAY.shape)
    np.testing.assert_array_equal(hints.places, [[7, 5], [40, 60]])
    np.testing.assert_array_equal(hints.rgb, [[200, 30, 40], [16, 32, 240]])


@pytest.mark.slow
@pytest.mark.req("CMD-032")
@pytest.mark.parametrize("wish", [[], ["--look", "warm"], ["--variants", "2"]])
def test_hints_on_pages_of_several_sizes(tmp_path, wish):
    path, hints = tmp_path / "pages.tif", tmp_path / "hints.json"
    photos.write_photo(
        path, [photos.Photo(scene(*shape)) for shape in ((90, 100), (20, 30), (48, 64))]
    )
    write(hints, [{"x": 80, "y": 80, "rgb": [200, 30, 40]}])
    assert colorize(path, "--hints", hints, *wish) == 0
    out = sorted(tmp_path.glob("pages.color*"))[0]
    first, *others = photos.read_frames(out)
    assert [page.pixels.shape[:2] for page in others] == [(20, 30), (48, 64)]
    assert first.pixels[80, 80].argmax() == 0


@pytest.mark.req("CMD-032")
@pytest.mark.parametrize(
    ("name", "data", "named"),
    [
        ("h.json", b"{", "no hints"),
        ("h.json", b"3", "no hints"),
        ("h.json", b'[{"x": 1, "y": 2}]', "rgb"),
        ("h.json", b'[{"x": 1.5, "y": 2, "rgb": "#102030"}]', "1.5"),
        ("h.json", b'[{"x": 1, "y": 2, "rgb": "red"}]', "red"),
        ("h.json", b'[{"x": 1, "y": 2, "rgb": [1, 2, 256]}]', "256"),
        ("h.json", b'[{"x": 1, "y": 2, "rgb": [true, 2, 3]}]', "True"),
        ("h.json", b'[{"x": 64, "y": 2, "rgb": "#102030"}]', "outside"),
        ("h.json", b'[{"x": -1, "y": 2, "rgb": "#102030"}]', "outside"),
        ("h.json", b"[" * 100_000, "no hints"),
        ("h.png", encoded(scene(48, 64), "PNG"), "transparent"),
        ("h.png", encoded(dots([], (48, 65)), "PNG"), "48 × 65"),
        ("h.png", b"no picture", "not a photo"),
    ],
)
def test_bad_hints_are_one_line(tmp_path, name, data, named):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(errors.ColorjaxError, match="h\\.") as error:
        hintfiles.read_hints(path, GRAY.shape)
    assert named in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.req("CMD-032")
@pytest.mark.parametrize("name", ["long.json", "large.png"])
def test_large_files_of_hints_are_not_read(tiny_weights, tmp_path, monkeypatch, capsys, name):
    Image.fromarray(GRAY).save(tmp_path / "old.png")
    path = tmp_path / name
    if path.suffix == ".json":
        path.write_bytes(b"[]")
        os.truncate(path, (16 << 20) + 1)
    else:
        Image.new("RGBA", (500, 500)).save(path)  # 81 times as large
        os.truncate(path, 200)  # decoding it would fail
    command = [tmp_path / "old.png", "--weights", tiny_weights, "--hints", path, "--quiet"]
    assert colorize(*command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert name in said
    assert {"long.json": "16 MiB", "large.png": "48 × 64"}[name] in said
    assert colorize(*command, "--out", "-") == 2


@pytest.mark.req("CMD-032")
def test_the_dots_of_a_picture_are_limited(tmp_path, monkeypatch):
    path = write(tmp_path / "h.png", POINTS)
    monkeypatch.setattr(hintfiles, "MOST_DOTS", 2)
    assert len(hintfiles.read_hints(path, GRAY.shape).places) == 2
    monkeypatch.setattr(hintfiles, "MOST_DOTS", 1)
    with pytest.raises(errors.HintError, match=r"h\.png: 2 pixels are opaque; expected at most 1"):
        hintfiles.read_hints(path, GRAY.shape)


@pytest.mark.req("CMD-033")
@pytest.mark.parametrize("name", ["old.png", "old.json", "old.jpg.png", "old.jpg.json"])
def test_hints_are_found_by_name(tmp_path, name):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / name).write_text("")
    assert hintfiles.find_hints(tmp_path, "inner/old.jpg") == tmp_path / "inner" / name
    assert hintfiles.find_hints(tmp_path, "old.jpg") is None


@pytest.mark.req("CMD-032", "CMD-033")
@pytest.mark.parametrize("name", ["old.png", "old.json"])
def test_hints_are_kept_by_the_command(tiny_weights, tmp_path, name):
    photo, folder = tmp_path / "old.png", tmp_path / "hints"
    folder.mkdir()
    Image.fromarray(GRAY).save(photo)
    path = write(folder / name, POINTS)
    command = ["--weights", tiny_weights]
    assert colorize(photo, *command, "--hints", path) == 0
    rgb = photos.read_photo(tmp_path / "old.color.png").pixels
    for point, known in zip(POINTS, [[200, 30, 40], [16, 32, 240]], strict=True):
        place = point["y"], point["x"]
        luma = np.float32(GRAY[place])[None]
        chroma = np.float32(known - np.dot(known, LIGHT) / 100)[None, ::2]
        fitted = color.luma_chroma_to_rgb(luma, color.fit_gamut(luma, chroma))[0]
        assert np.abs(rgb[place] - np.asarray(fitted)).max() <= 0.501
    assert colorize(tmp_path, *command, "--hints-dir", folder, "--out", tmp_path / "out") == 0
    assert files(tmp_path / "out") == {"old.png"}
    np.testing.assert_array_equal(photos.read_photo(tmp_path / "out" / "old.png").pixels, rgb)


@pytest.mark.req("CMD-032")
def test_hints_of_one_photo_are_not_for_two(tiny_weights, tmp_path, capsys):
    for name in ("one.png", "two.png"):
        Image.fromarray(GRAY).save(tmp_path / name)
    path = write(tmp_path / "h.json", POINTS)
    assert colorize(tmp_path, "--weights", tiny_weights, "--hints", path) == 2
    assert "--hints-dir" in capsys.readouterr().err
    bad = write(tmp_path / "bad.json", [{"x": 99, "y": 0, "rgb": "#000000"}])
    assert colorize(tmp_path / "one.png", "--weights", tiny_weights, "--hints", bad) == 2
    assert "bad.json" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.req("CMD-026", "CMD-031")
def test_variants_are_written(tmp_path):
    (camera,) = [path for path in photos.sample_photos() if path.name == "camera.png"]
    out, report = tmp_path / "out", tmp_path / "report.json"
    options = ["--variants", "3", "--compare", "--quiet", "--json", report]
    assert colorize(camera, "--out", out, *options) == 0
    names = {"camera.compare.png", *(f"camera.{i}.png" for i in (1, 2, 3))}
    assert files(out) == names
    (noted,) = json.loads(report.read_text())["photos"]
    assert noted["outputs"] == [str(out / f"camera.{i}.png") for i in (1, 2, 3)]
    variants = [photos.read_photo(out / f"camera.{i}.png").pixels for i in (1, 2, 3)]
    gray = photos.read_photo(camera).pixels
    for rgb in variants:
        assert light_error(rgb, gray).max() <= 50
    for one, two in itertools.combinations(variants, 2):
        assert most_apart(one, two) >= 5


@pytest.mark.slow
@pytest.mark.req("CMD-031")
def test_variants_of_pages(tmp_path):
    path = tmp_path / "pages.tif"
    photos.write_photo(path, [photos.Photo(GRAY), photos.Photo(255 - GRAY)])
    assert colorize(path, "--variants", "2") == 0
    assert files(tmp_path) == {"pages.tif", "pages.color.1.tif", "pages.color.2.tif"}
    one, two = (list(photos.read_frames(tmp_path / f"pages.color.{i}.tif")) for i in (1, 2))
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        assert most_apart(a.pixels, b.pixels) >= 5
