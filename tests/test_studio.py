"""A person at work on photos, without a page."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
from light import light_error
from pictures import encoded, scene
from PIL import Image

from colorjax import errors, photos
from colorjax.photos import Photo
from colorjax.web import session
from colorjax.web.session import Setting
from colorjax.weights import load_weights


@pytest.fixture
def work():
    return session.open_photo("old.jpg", encoded(scene()[..., 1], "JPEG", quality=95))


@pytest.mark.req("APP-003")
@pytest.mark.parametrize("data", [b"", b"no photo", encoded(scene(), "PNG")[:-300]])
def test_wrong_files_are_one_line(data):
    with pytest.raises(errors.PhotoError, match=r"old\.png") as error:
        session.open_photo("old.png", data)
    assert str(error.value).isprintable()
    with pytest.raises(errors.PhotoError, match="megapixels"):
        session.open_photo("old.png", encoded(scene(), "PNG"), max_pixels=100)


@pytest.mark.req("APP-001")
def test_changes_are_undone(work):
    assert session.undo(work).setting == Setting()
    vivid = session.change(work, dataclasses.replace(work.setting, vividness=2.0))
    assert session.change(vivid, vivid.setting) is vivid
    hinted = session.hint(vivid, 5, 7, (10, 20, 30))
    moved = session.hint(hinted, 999, -5, (1, 2, 3))
    again = session.hint(moved, 5, 7, (40, 50, 60))
    assert again.setting.hints == ((47, 0, (1, 2, 3)), (5, 7, (40, 50, 60)))
    assert again.setting.vividness == 2.0
    for expected in (moved, hinted, vivid, work, work):
        again = session.undo(again)
        assert again.setting == expected.setting


@pytest.mark.req("APP-001")
def test_vividness_is_heeded(work, network):
    gray = session.change(work, Setting(vividness=0.0))
    (photo,) = session.colored(gray, network)
    np.testing.assert_array_equal(photo.pixels, np.repeat(gray.frames[0].pixels[..., None], 3, -1))


@pytest.mark.req("APP-001")
@pytest.mark.parametrize("frames", [1, 3])
def test_the_variant_picked_is_the_one_shown(frames):
    weights = load_weights()
    pages = [Photo(scene(24, 32, seed)[..., 1]) for seed in range(frames)]
    work = session.Work("old.tif", pages)
    offered = session.colorings(work, weights)
    assert len(offered) == session.VARIANTS
    for variant, expected in enumerate(offered):
        picked = session.change(work, Setting(variant=variant))
        shown = session.colored(picked, weights)
        assert len(shown) == frames
        np.testing.assert_array_equal(shown[0].pixels, expected.pixels)


@pytest.mark.req("APP-008")
@pytest.mark.parametrize(("h", "w"), [(48, 64), (300, 1200)])
def test_marks_are_rings_of_their_color(h, w):
    given = (200, 30, 60)
    work = session.Work("old.png", [Photo(np.full((h, w), 128, np.uint8))])
    work = session.hint(work, h // 2, w // 2, given)
    work = session.hint(work, 0, w - 1, given)
    photo = Photo(np.full((h, w, 3), 128, np.uint8))
    marked = session.marked(work, photo).pixels
    assert (photo.pixels == 128).all()
    unit = max(1, w / session.UNITS)
    y, x = np.mgrid[:h, :w]
    distance = np.minimum(np.hypot(y - h // 2, x - w // 2), np.hypot(y, x - (w - 1))) / unit
    assert (marked[distance < 2] == 128).all()
    assert (marked[distance >= 8] == 128).all()
    assert (marked[(distance >= 4.5) & (distance < 5.5)] == given).all()
    for level in (0, 255):
        assert (marked[distance < 8] == level).all(-1).any()


@pytest.mark.req("APP-002")
@pytest.mark.parametrize(
    ("name", "kind", "suffix", "expected", "format"),
    [
        ("old.jpg", "JPEG", None, "old.color.jpg", "JPEG"),
        ("old.JPEG", "JPEG", None, "old.color.JPEG", "JPEG"),
        ("old.jpg", "PNG", None, "old.color.png", "PNG"),
        ("old.gif", "GIF", None, "old.color.png", "PNG"),
        ("old.jpg", "JPEG", ".png", "old.color.png", "PNG"),
        ("old.tif", "TIFF", ".webp", "old.color.webp", "WEBP"),
    ],
)
def test_files_to_take_home(network, name, kind, suffix, expected, format):
    opened = session.open_photo(name, encoded(scene()[..., 1], kind))
    written, data = session.encoded(opened, network, suffix=suffix)
    photo = photos.decode_photo(data)
    assert (written, photo.format, photo.pixels.shape) == (expected, format, (48, 64, 3))
    if format == "PNG":
        assert light_error(photo.pixels, opened.frames[0].pixels).max() <= 50


@pytest.mark.req("APP-002")
def test_all_in_a_zip(work, network):
    gray = session.change(work, Setting(vividness=0.0))
    counted = []
    data = session.zipped([work, work, gray], network, suffix=".png", done=counted.append)
    assert counted == [1, 2, 3]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == ["old.color.png", "old.color (2).png", "old.color (3).png"]
        first, second, third = (np.asarray(Image.open(archive.open(name))) for name in names)
    np.testing.assert_array_equal(first, second)
    assert (third == third[..., :1]).all()
    assert not (first == third).all()
