"""Which photos teach, in what order, from memory or from files."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from commanding import TINY_RUN
from PIL import Image

import colorjax
from colorjax import cli, config
from colorjax import photos as photos_module
from colorjax.data import datasets, loader
from colorjax.data import order as data_order
from colorjax.data.packed import LazyPhotos, Pack
from colorjax.errors import PhotoError
from colorjax.training import loop

RNG = np.random.default_rng(0)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten photos of several shapes."""
    place = tmp_path_factory.mktemp("photos")
    for i in range(10):
        Image.fromarray(noise(30 + i, 60 - 3 * i, i)).save(place / f"{i}.png")
    return place


@pytest.mark.req("TRN-017")
def test_nearly_gray_photos_are_left_out(tmp_path):
    gray = np.broadcast_to(RNG.integers(0, 256, (20, 20, 1), np.uint8), (20, 20, 3))
    tinted = np.clip(gray.astype(int) + np.array([1, 0, 0]), 0, 255).astype(np.uint8)
    for name, rgb in (("gray", gray), ("tinted", tinted), ("color", noise(20, 20))):
        Image.fromarray(rgb).save(tmp_path / f"{name}.png")
    found = datasets.load_photos([str(tmp_path)], 8)
    assert found.names == ("color.png",)
    assert found.gray == ("gray.png", "tinted.png")


@pytest.mark.slow
@pytest.mark.req("TRN-017")
@pytest.mark.parametrize(("broken", "stops"), [(1, False), (2, True)])
def test_too_many_broken_files_stop_a_training(tmp_path, broken, stops, capsys):
    from colorjax import cli

    (tmp_path / "photos").mkdir()
    for i in range(20):
        path = tmp_path / "photos" / f"{i:02}.png"
        Image.fromarray(noise(9, 9, i)).save(path)
        if i < broken:
            path.write_bytes(path.read_bytes()[:60])
    tiny = [*TINY_RUN, "--steps", "2"]
    command = ["train", str(tmp_path / "photos"), "--out", str(tmp_path / "run"), *tiny]
    assert cli.main(command) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [f"{i:02}.png" in line for i, line in enumerate(lines[:broken])] == [True] * broken
    assert (tmp_path / "run").exists() is not stops
    assert lines[broken:] == (
        ["colorjax: 2 of 20 files cannot be read, more than 5 %; they are listed above"]
        if stops
        else []
    )


@pytest.mark.req("CMD-024")
def test_own_outputs_are_neither_taught_nor_measured(folder, tmp_path, monkeypatch, tiny_weights):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "album"))
    for name in ("0.color.png", "0.color.2.png", "0.compare.png"):
        shutil.copy("0.png", name)
    assert len(datasets.load_photos(["."], 4).names) == 10
    assert len(datasets.load_photos([".", "0.color.png"], 4).names) == 11
    command = ["evaluate", ".", "--weights", tiny_weights, "--json", "result.json"]
    assert cli.main(command) == 0
    assert len(json.loads(pathlib.Path("result.json").read_text())["photos"]) == 10


@pytest.mark.req("CMD-024", "TRN-012")
def test_a_run_inside_its_photos_is_resumed(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "album"))
    for more in ([], ["--resume"]):
        assert cli.main(["train", ".", "--out", "run", *TINY_RUN, "--steps", "2", *more]) == 0
        assert os.path.isfile("run/loss.png")


@pytest.mark.req("TRN-017", "CMD-004")
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_each_file_is_named_if_none_can_be_read(tmp_path, command, tiny_weights, capsys):
    (tmp_path / "broken").mkdir()
    for i in range(3):
        (tmp_path / "broken" / f"{i}.png").write_bytes(b"no photo")
    out = ["--out", str(tmp_path / "run"), *TINY_RUN]
    options = out if command == "train" else ["--weights", tiny_weights]
    assert cli.main([command, str(tmp_path / "broken"), *options]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [f"{i}.png: not a photo" in line for i, line in enumerate(lines[:-1])] == [True] * 3
    assert lines[-1].endswith("broken: no color photos (0 gray, 3 unreadable)")
    assert not (tmp_path / "run").exists()


@pytest.mark.req("CMD-004", "TRN-017")
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_places_that_do_not_exist_are_named_and_the_others_done(
    folder, tmp_path, command, tiny_weights, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    os.mkdir("empty")
    absent = ["absent-1", "absent-2", "empty"]
    options = ["--weights", tiny_weights, "--json", "result.json"]
    if command == "train":
        options = ["--out", "run", *TINY_RUN, "--steps", "2"]
    places = [absent[0], *[str(folder)] * 6, *absent[1:]]  # 3 of 63
    assert cli.main([command, *places, *options]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == absent
    if command == "train":
        assert os.path.isfile("run/weights.safetensors")
    else:
        assert len(json.loads(pathlib.Path("result.json").read_text())["photos"]) == 60


@pytest.mark.req("TRN-050", "TRN-052")
@pytest.mark.parametrize("framing", ["squash", "crop", "whole"])
def test_streamed_photos_are_those_in_memory(folder, framing):
    kept = datasets.load_photos([str(folder)], 16, framing=framing)
    streamed = datasets.load_photos([str(folder)], 16, framing=framing, memory=4000)
    assert not isinstance(kept.rgb, LazyPhotos)
    assert isinstance(streamed.rgb, LazyPhotos)
    assert (kept.names, len(kept.rgb)) == (streamed.names, len(streamed.rgb))
    for a, b in zip(kept.rgb, streamed.rgb, strict=True):
        np.testing.assert_array_equal(a, b)
    feeds = [
        loader.Loader(photos, data_order.photo_order(10, 4, seed=1), size=16, seed=1)
        for photos in (kept.rgb, streamed.rgb)
    ]
    for first in (0, 6):
        chunks = [list(f.chunks(first, 12, 3)) for f in feeds]
        assert [c.shape for c in chunks[0]] == [(3, 4, 16, 16, 3)] * ((12 - first) // 3)
        np.testing.assert_array_equal(*chunks)
    assert np.any(feeds[0].batch(0) != feeds[0].batch(1))


def _spied(monkeypatch):
    """Return a list to which the path of each photo that is decoded from now on is added."""
    decoded = []
    for name in ("load_square", "load_resized"):
        original = getattr(photos_module, name)
        spy = lambda path, original=original, **k: decoded.append(path) or original(path, **k)  # noqa: E731
        monkeypatch.setattr(photos_module, name, spy)
    return decoded


@pytest.mark.req("TRN-053")
@pytest.mark.parametrize("framing", ["squash", "whole"])
def test_packed_photos_are_those_in_memory(folder, tmp_path, framing, monkeypatch):
    folder = shutil.copytree(folder, tmp_path / "album")
    (folder / "broken.png").write_bytes(b"no photo")
    Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(folder / "gray.png")
    places = ["samples", str(folder)]
    kept = datasets.load_photos(places, 16, framing=framing)
    written = datasets.load_photos(places, 16, framing=framing, pack=tmp_path / "pack")
    decoded = _spied(monkeypatch)
    again = datasets.load_photos(places, 16, framing=framing, pack=tmp_path / "pack")
    assert [path.name for path in decoded] == ["broken.png"]  # it may be readable now
    order = data_order.photo_order(len(kept.rgb), 4, seed=1)
    for packed in (written, again):
        for name in ("names", "gray", "failures"):
            assert getattr(packed, name) == getattr(kept, name)
        np.testing.assert_array_equal(packed.source, kept.source)
        for a, b in zip(kept.rgb, packed.rgb, strict=True):
            np.testing.assert_array_equal(a, b)
        assert datasets.digest(packed.rgb) == datasets.digest(kept.rgb)
        some = np.array([5, 0, 3])
        assert datasets.digest(datasets.subset(packed.rgb, some)) == datasets.digest(
            datasets.subset(kept.rgb, some)
        )
        batches = [
            loader.Loader(rgb, order, size=16, seed=1).batch(3) for rgb in (kept.rgb, packed.rgb)
        ]
        np.testing.assert_array_equal(*batches)


BROKEN = {
    "list": lambda index: [index],
    "negative": lambda index: index | {"sizes": [[-h, -w] for h, w in index["sizes"]]},
    "moved": lambda index: index | {"sizes": [[16, 8], *index["sizes"][1:]]},
    "huge": lambda index: index | {"sizes": [*index["sizes"], [2**32, 2**32]]},
    "text": lambda index: index | {"sizes": ["ab", *index["sizes"][1:]]},
    "fractions": lambda index: index | {"sizes": [[h / 1, w] for h, w in index["sizes"]]},
    "marks": lambda index: index | {"marks": [0] * len(index["marks"])},
    "fewer": lambda index: index | {"marks": index["marks"][1:]},
    "kept": lambda index: index | {"note": index["note"] | {"kept": [99] * 10}},
    "failed": lambda index: index | {"note": index["note"] | {"failed": [10]}},
    "failures": lambda index: index | {"note": index["note"] | {"failed": 0}},
    "more": lambda index: index | {"note": index["note"] | {"other": []}},
    "gray": lambda index: index | {"note": index["note"] | {"gray": 7}},
    "note": lambda index: index | {"note": None},
}


@pytest.mark.req("TRN-053")
@pytest.mark.parametrize(
    "change", ["file", "size", "framing", "cut", "index", "pipe", "nothing", *BROKEN]
)
def test_packs_are_of_unchanged_files(folder, tmp_path, change, monkeypatch):
    folder = shutil.copytree(folder, tmp_path / "album")
    pack, options = tmp_path / "pack", {"size": 16, "framing": "whole"}
    datasets.load_photos([str(folder)], pack=pack, **options)
    match change:
        case "file":
            path = sorted(folder.iterdir())[0]
            path.write_bytes(path.read_bytes() + b"\0")
        case "size":
            options["size"] = 12
        case "framing":
            options["framing"] = "crop"
        case "cut":
            (data,) = pack.glob("*/photos.bin")
            data.write_bytes(data.read_bytes()[:-1])
        case "index":
            (index,) = pack.glob("*/index.json")
            index.write_text(index.read_text()[:-20])
        case "pipe":
            (index,) = pack.glob("*/index.json")
            index.unlink()
            os.mkfifo(index)
        case _ if change in BROKEN:
            (index,) = pack.glob("*/index.json")
            whole = json.loads(index.read_text())
            index.write_text(json.dumps(BROKEN[change](whole)))
    decoded = _spied(monkeypatch)
    packed = datasets.load_photos([str(folder)], pack=pack, **options).rgb
    assert len(decoded) == (0 if change == "nothing" else 10)
    kept = datasets.load_photos([str(folder)], **options).rgb
    for a, b in zip(kept, packed, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list(pack.glob(".unfinished-*"))


@pytest.mark.req("TRN-053")
def test_photos_that_became_readable_join_a_pack(folder, tmp_path, monkeypatch):
    album, pack, original = tmp_path / "album", tmp_path / "pack", photos_module.load_square
    shutil.copytree(folder, album)
    (album / "away.png").symlink_to(tmp_path / "absent.png")

    def refuse(path, **options):
        if path.name == "3.png":
            raise PhotoError(f"{path}: not readable yet")
        return original(path, **options)

    def names():
        found = datasets.load_photos([str(album)], 16, pack=pack)
        return [*found.names], [line.split(":")[0].rpartition("/")[2] for line in found.failures]

    every = [f"{i}.png" for i in range(10)]
    some = [name for name in every if name != "3.png"]
    monkeypatch.setattr(photos_module, "load_square", refuse)
    for _ in range(2):
        assert names() == (some, ["3.png", "away.png"])
    monkeypatch.setattr(photos_module, "load_square", original)
    for _ in range(2):
        assert names() == (every, ["away.png"])
    shutil.copy(album / "0.png", tmp_path / "absent.png")
    assert names() == ([*every, "away.png"], [])


@pytest.mark.req("TRN-053")
def test_folders_that_killed_writers_left_are_removed(folder, tmp_path):
    pack = tmp_path / "pack"
    script = """
import os, sys
from colorjax.data.packed import Pack
with Pack(sys.argv[1], [], "").writer():
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script, pack]).returncode == -9
    assert len(list(pack.glob(".unfinished-*"))) == 1
    with Pack(pack, [], "other").writer():  # another process, as far as locks can tell
        datasets.load_photos([str(folder)], 16, pack=pack)
        assert len(list(pack.glob(".unfinished-*"))) == 1
    assert not list(pack.glob(".unfinished-*"))
    assert len(list(pack.iterdir())) == 2


@pytest.mark.req("TRN-053")
def test_a_pack_that_cannot_be_written_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    command = ["train", folder, "--preset", "seed-tanh2", "--out", tmp_path / "run"]
    assert cli.main([*map(str, command), "--pack", str(tmp_path / "file" / "pack")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write decoded photos" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.req("TRN-050")
def test_a_process_reads_its_own_slots(folder):
    asked = []

    class Watched(LazyPhotos):
        def __getitem__(self, place):
            asked.append(place)
            return super().__getitem__(place)

    photos = datasets.load_photos([str(folder)], 16, framing="whole", memory=0).rgb
    photos = Watched(photos.places, photos.read, photos.marks)
    order = data_order.photo_order(10, 4, seed=1)
    mine = loader.Loader(photos, order, size=16, seed=1, slots=range(2, 4))
    whole = loader.Loader(photos, order, size=16, seed=1)
    asked.clear()  # the type checker looked at some
    batch = mine.batch(5)
    assert asked == order(5)[2:].tolist()
    np.testing.assert_array_equal(batch[2:], whole.batch(5)[2:])


@pytest.mark.req("TRN-051")
def test_folders_are_mixed_by_weight():
    source = np.repeat([0, 1, 2], [60, 30, 10])
    order = data_order.photo_order(100, 10, seed=2, source=source, weights=(1, 1, 2))
    drawn = np.concatenate([order(step) for step in range(40)]).reshape(4, 100)
    for turn in drawn:
        np.testing.assert_array_equal(np.bincount(source[turn]), [25, 25, 50])
    visits = np.bincount(drawn.ravel(), minlength=100)
    assert np.ptp(visits[:60]) <= 1
    assert np.ptp(visits[60:90]) <= 1
    assert np.ptp(visits[90:]) == 0
    again = data_order.photo_order(100, 10, seed=2, source=source, weights=(1, 1, 2))
    np.testing.assert_array_equal(again(33), drawn.reshape(40, 10)[33])
    assert np.any(order(0) != np.sort(order(0)))


@pytest.mark.req("TRN-051")
@pytest.mark.parametrize("weights", [(1e308, 1e308), (1e308, 5e-324), (5e-324, 5e-324)])
def test_weights_of_any_size(weights):
    source = np.repeat([0, 1], [6, 4])
    order = data_order.photo_order(10, 10, seed=2, source=source, weights=weights)
    expected = [5, 5] if weights[0] == weights[1] else [10, 0]
    np.testing.assert_array_equal(np.bincount(source[order(0)], minlength=2), expected)


@pytest.mark.req("TRN-051", "CMD-005")
def test_a_place_of_the_mix_without_photos_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "plain").mkdir()
    Image.fromarray(np.full((9, 9), 99, np.uint8)).save(tmp_path / "plain" / "gray.png")
    places = [str(folder), str(tmp_path / "plain")]
    command = ["train", *places, "--out", str(tmp_path / "run"), *TINY_RUN, "--steps", "2"]
    assert cli.main([*command, "--mix", "1,1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{places[1]}: no photo to train on" in line
    assert not (tmp_path / "run").exists()
    assert cli.main(command) == 0


@pytest.mark.req("TRN-051")
@pytest.mark.parametrize(
    ("mix", "says"), [("1,2", "expected 1 "), ("0", "above 0"), ("a", "mix is 'a'")]
)
def test_bad_mix_is_one_line(folder, tmp_path, mix, says, capsys):
    from colorjax import cli

    command = ["train", str(folder), "--out", str(tmp_path / "run"), "--mix", mix]
    assert cli.main(command) == 2
    assert says in capsys.readouterr().err


@pytest.mark.req("TRN-052")
def test_views_lie_anywhere_along_the_long_side(tmp_path):
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8)[None, :, None], (30, 90, 3))
    photos = [ramp]
    views = loader.Loader(photos, lambda step: np.zeros(200, int), size=30, seed=3).batch(0)
    left = views[:, 0, 0, 0].astype(int)
    assert views.shape == (200, 30, 30, 3)
    np.testing.assert_array_equal(np.diff(views[..., 0].astype(int), axis=2), 1)
    assert left.min() < 3
    assert left.max() > 57
    assert 25 < left.mean() < 35
    tall = [ramp.transpose(1, 0, 2)]
    turned = loader.Loader(tall, lambda step: np.zeros(200, int), size=30, seed=3).batch(0)
    np.testing.assert_array_equal(turned, views.transpose(0, 2, 1, 3))
    wide = noise(20, 400)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    kept = datasets.load_photos([str(tmp_path)], 20, framing="whole").rgb[0]
    np.testing.assert_array_equal(kept, wide[:, 170:230])
    np.testing.assert_array_equal(datasets.center_squares([wide], 20)[0], wide[:, 190:210])


@pytest.mark.slow
@pytest.mark.req("TRN-050", "TRN-052")
def test_whole_photos_train_from_files(folder, tmp_path):
    changes = {"size": 8, "source_size": 16, "framing": "whole", "batch": 4}
    conf = config.replace(colorjax.preset("seed-relu"), changes)
    conf = config.fit_config(conf, photos=10, steps=6)
    kept = datasets.load_photos([str(folder)], 16, framing="whole").rgb
    streamed = datasets.load_photos([str(folder)], 16, framing="whole", memory=0).rgb
    validation = datasets.center_squares(kept[:2], 16)[:, :8, :8]
    for name, photos in (("a", kept), ("b", streamed)):
        loop.train(photos, validation, conf, tmp_path / name)
    for name in ("weights.safetensors", "weights-last.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
