"""Photo files: what is read, written, found and refused (spec/files.md)."""

import concurrent.futures
import dataclasses
import faulthandler
import io
import itertools
import os
import pathlib
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from pictures import (
    ADOBE,
    D50,
    cell,
    cmyk_profile,
    encoded,
    fixed,
    gamma_curve,
    gray_profile,
    icc,
    lzw_tiff,
    mutants,
    noise,
    oriented,
    png,
    png_chunk,
    png_header,
    rgb_profile,
    scene,
    tiff,
)
from PIL import Image, ImageCms, PngImagePlugin

from colorjax import errors, photos
from colorjax.photos import profiles, tints

PHOTO = scene()
GRAY = noise(48, 64)
WHITE_POINT = b"XYZ " + bytes(4) + fixed(*D50)


@pytest.fixture
def save(tmp_path):
    """Write bytes to a name in a temporary folder and return the path."""

    def write(name, data):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write


def one_line(error, *names):
    """Check that an error's text is one short line that holds the names."""
    text = str(error.value)
    assert text.isprintable()
    assert len(text) < 400
    assert all(str(name) in text for name in names), text


# --- reading ---------------------------------------------------------------------------------

MODES = [
    ("1", "PNG"), ("1", "TIFF"), ("1", "BMP"), ("1", "GIF"),
    ("L", "PNG"), ("L", "JPEG"), ("L", "TIFF"), ("L", "BMP"), ("L", "GIF"), ("L", "JPEG2000"),
    ("LA", "PNG"), ("LA", "TIFF"),
    ("P", "PNG"), ("P", "GIF"), ("P", "TIFF"), ("P", "BMP"),
    ("RGB", "PNG"), ("RGB", "JPEG"), ("RGB", "TIFF"), ("RGB", "WEBP"), ("RGB", "AVIF"),
    ("RGB", "BMP"), ("RGB", "JPEG2000"),
    ("RGBA", "PNG"), ("RGBA", "TIFF"), ("RGBA", "WEBP"), ("RGBA", "AVIF"), ("RGBA", "JPEG2000"),
    ("CMYK", "JPEG"), ("CMYK", "TIFF"),
    ("YCbCr", "TIFF"), ("YCbCr", "JPEG"),
]  # fmt: skip


@pytest.mark.req("FIL-001", "FIL-002", "FIL-005")
@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_mode_decodes_as_pillow_converts_it(save, mode, kind):
    picture = Image.fromarray(PHOTO).convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.fromarray(GRAY))
    data = encoded(picture, kind)
    photo = photos.read_photo(save("photo", data))

    held = Image.open(io.BytesIO(data))
    gray = mode in ("1", "L", "LA")
    np.testing.assert_array_equal(photo.pixels, np.asarray(held.convert("L" if gray else "RGB")))
    assert photo.pixels.dtype == np.uint8
    assert photo.format == kind
    if mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(photo.alpha, np.asarray(held.getchannel("A")))
    else:
        assert photo.alpha is None


@pytest.mark.req("FIL-002")
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_gray_palette_decodes_to_gray(save, kind):
    picture = Image.fromarray(GRAY).convert("P")
    photo = photos.read_photo(save("gray", encoded(picture, kind)))
    np.testing.assert_array_equal(photo.pixels, GRAY)


@pytest.mark.req("FIL-005")
@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparent_color_becomes_alpha_and_keeps_its_color(save, mode):
    picture = Image.fromarray(PHOTO).convert(mode)
    clear = picture.getpixel((0, 0))
    photo = photos.read_photo(save("clear.png", encoded(picture, "PNG", transparency=clear)))
    gray = mode == "L"
    np.testing.assert_array_equal(photo.pixels, np.asarray(picture.convert("L" if gray else "RGB")))
    values = np.asarray(picture).reshape(48, 64, -1)
    expected = np.where((values == np.asarray(clear)).all(-1), 0, 255)
    np.testing.assert_array_equal(photo.alpha, expected)


@pytest.mark.req("FIL-005")
def test_palette_of_alphas_is_kept(save):
    picture = Image.fromarray(GRAY % 5).convert("P")
    table = bytes([0, 60, 128, 200, 255])
    photo = photos.read_photo(save("alphas.png", encoded(picture, "PNG", transparency=table)))
    np.testing.assert_array_equal(photo.alpha, np.frombuffer(table, np.uint8)[GRAY % 5])


@pytest.mark.req("FIL-003")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("L", "TIFF"), ("RGB", "TIFF")]
)
def test_orientation_is_applied(save, mode, kind, orientation):
    upright = np.asarray(Image.fromarray(PHOTO).convert(mode)).copy()
    if mode == "RGBA":
        upright[..., 3] = GRAY
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(oriented(upright, orientation), kind, exif=exif)
    photo = photos.read_photo(save("photo", data))
    if mode == "RGBA":
        np.testing.assert_array_equal(photo.alpha, upright[..., 3])
        upright = upright[..., :3]
    np.testing.assert_array_equal(photo.pixels, upright)


@pytest.mark.req("FIL-003", "FIL-009")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jpeg_is_applied_to_squares(save, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = oriented(PHOTO, orientation)
    path = save("photo.jpg", encoded(stored, "JPEG", quality=100, subsampling=0, exif=exif))
    square = photos.load_square(path, 8)
    expected = np.asarray(Image.fromarray(PHOTO).resize((8, 8), Image.Resampling.LANCZOS))
    assert np.abs(square.astype(int) - expected).max() <= 3


@pytest.mark.req("FIL-004")
@pytest.mark.parametrize(("kind", "order"), [("PNG", "<"), ("TIFF", "<"), ("TIFF", ">")])
def test_16_bit_gray_keeps_every_level(save, kind, order):
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    if kind == "TIFF":
        file = io.BytesIO()
        tifffile.imwrite(file, levels, byteorder=order)
        data = file.getvalue()
    else:
        data = encoded(levels, kind)
    photo = photos.read_photo(save("deep", data))
    np.testing.assert_array_equal(photo.pixels, levels)
    assert photo.pixels.dtype == np.uint16
    shallow = photo.to_8bit()
    assert shallow.pixels.dtype == np.uint8
    np.testing.assert_array_equal(shallow.pixels, np.floor(levels / 257 + 0.5))
    assert shallow.to_8bit() is shallow


@pytest.mark.req("FIL-006")
@pytest.mark.parametrize("read", ["read_photo", "load_square"])
@pytest.mark.parametrize(
    "size", [(200_000, 200_000), (20_001, 20_000), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1)]
)
def test_bomb_is_refused_from_its_header(save, read, size):
    path = save("bomb.png", png_header(*size))
    with pytest.raises(errors.PhotoError) as error:
        getattr(photos, read)(path, *([8] if read == "load_square" else []))
    one_line(error, path, "megapixels")


@pytest.mark.req("FIL-006")
def test_pixel_limit_is_exact_and_can_be_set(save):
    path = save("photo.png", encoded(PHOTO, "PNG"))
    assert photos.read_photo(path, max_pixels=PHOTO[..., 0].size).pixels.shape == PHOTO.shape
    with pytest.raises(errors.PhotoError) as error:
        photos.read_photo(path, max_pixels=PHOTO[..., 0].size - 1)
    one_line(error, path, "64 × 48")
    assert photos.MAX_PIXELS >= 200_000_000


@pytest.mark.req("FIL-006", "FIL-008")
def test_photo_above_pillows_own_limit_is_read(save, monkeypatch):
    path = save("photo.png", encoded(PHOTO, "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert photos.read_photo(path).pixels.shape == PHOTO.shape
    assert Image.MAX_IMAGE_PIXELS == 100


def broken_files():
    """Yield (name, bytes) of files that are no photos, or only part of one."""
    yield "empty.jpg", b""
    yield "text.png", b"not a photo\n" * 9
    yield "random.bin", noise(999).tobytes()
    yield "zeros.png", bytes(5000)
    yield "page.html", b"<html><svg/></html>"
    yield "script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n"
    yield "line\nbreak.png", b"x"
    yield "\udcff.png", b"x"
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "JPEG2000"):
        data = encoded(PHOTO, kind)
        for share in (0.02, 0.3, 0.6, 0.9):
            yield f"cut{share}.{kind}", data[: int(share * len(data))]
    yield "prefix.jpg", b"junk" + encoded(PHOTO, "JPEG")
    yield "header.png", png_header(30, 30)
    yield "nothing.png", png_header(0, 9)


BROKEN = dict(broken_files())


@pytest.mark.req("FIL-007")
@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_file_is_one_line(save, name):
    path = save(name, BROKEN[name])
    for read in (photos.read_photo, lambda p: photos.load_square(p, 4)):
        with pytest.raises(errors.PhotoError) as error:
            read(path)
        one_line(error, path.suffix)


@pytest.mark.req("FIL-007")
def test_what_is_no_file_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    places = [
        "",
        "missing.jpg",
        "missing/photo.jpg",
        "pipe.jpg",
        "dangling.jpg",
        "self.jpg",
        "x" * 300 + ".jpg",
    ]
    for place in [tmp_path / place for place in places] + [pathlib.Path("/dev/zero"), "nul\0.jpg"]:
        with pytest.raises(errors.PhotoError) as error:
            photos.read_photo(place)
        one_line_text = str(error.value)
        assert one_line_text.isprintable()
        assert len(one_line_text) < 700


@pytest.mark.req("FIL-008")
def test_threads_leave_no_trace(save):
    paths = [save(f"{i}.png", encoded(noise(40, 40, 3, seed=i), "PNG")) for i in range(20)]
    paths += [save("broken.png", b"x"), save("bomb.png", png_header(20_000, 20_000))]
    exif = save("exif.jpg", encoded(PHOTO, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"))
    before = Image.MAX_IMAGE_PIXELS, warnings.filters[:]

    def attempt(path):
        try:
            return photos.load_square(path, 4)
        except errors.PhotoError:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        squares = list(pool.map(attempt, [*paths, exif] * 8))
    assert sum(square is None for square in squares) == 16
    assert (Image.MAX_IMAGE_PIXELS, warnings.filters) == before


# --- squares ---------------------------------------------------------------------------------


@pytest.mark.req("FIL-009")
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (5, 90), (1, 1), (16, 16)])
def test_square_equals_pillow(save, mode, shape):
    path = save("photo.jpg", encoded(noise(*shape, 3), "JPEG", mode))
    squashed = Image.open(path).convert("RGB").resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(photos.load_square(path, 16), np.asarray(squashed))

    (h, w), short = shape, min(shape)
    left, top = (w - short) // 2, (h - short) // 2
    cut = Image.open(path).convert("RGB").crop((left, top, left + short, top + short))
    cropped = cut.resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(photos.load_square(path, 16, framing="crop"), np.asarray(cropped))


@pytest.mark.req("FIL-004", "FIL-009")
def test_square_of_16_bit_gray_is_scaled(save):
    levels = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    square = photos.load_square(save("deep.png", encoded(levels, "PNG")), 16)
    assert square.shape == (16, 16, 3)
    means = levels.reshape(16, 4, 16, 4).mean((1, 3)) / 257
    assert np.abs(square - means[..., None]).max() < 2


@pytest.mark.req("FIL-009")
@pytest.mark.parametrize(("size", "framing"), [(0, "squash"), (-1, "squash"), (8, "stretch")])
def test_square_refuses_its_options(save, size, framing):
    path = save("photo.png", encoded(PHOTO, "PNG"))
    with pytest.raises(errors.ConfigError) as error:
        photos.load_square(path, size, framing=framing)
    one_line(error)


@pytest.mark.req("FIL-010")
def test_squares_keep_their_order(save):
    paths = [save(f"{i}.png", encoded(noise(9 + i, 20, 3, seed=i), "PNG")) for i in range(23)]
    together = photos.load_squares(paths, 8)
    assert together.shape == (23, 8, 8, 3)
    for path, square in zip(paths, together, strict=True):
        np.testing.assert_array_equal(square, photos.load_square(path, 8))
    assert photos.load_squares([], 8).shape == (0, 8, 8, 3)


@pytest.mark.req("FIL-010")
def test_squares_name_the_bad_ones(save):
    good = save("good.png", encoded(PHOTO, "PNG"))
    paths = [good, save("b.png", b"b"), good, save("a.png", b"a")]
    with pytest.raises(errors.PhotoError, match=r"b\.png"):
        photos.load_squares(paths, 8)
    seen = []
    squares = photos.load_squares(
        paths, 8, on_error=lambda place, error: seen.append((place, str(error)))
    )
    assert [place for place, _ in seen] == [1, 3]
    assert "b.png" in seen[0][1]
    assert not squares[[1, 3]].any()
    np.testing.assert_array_equal(squares[2], photos.load_square(good, 8))


# --- finding ---------------------------------------------------------------------------------


@pytest.mark.req("FIL-011")
def test_search_is_recursive_sorted_and_selective(save, tmp_path):
    shown = ["b.JPG", "a.png", "z/b c.webp", "z/ä.tiff", "m/n/o.jpeg"]
    for name in [*shown, "notes.txt", ".hidden.png", ".cache/x.png", "._a.png", "noname"]:
        save(name, b"x")
    found = photos.find_photos([tmp_path])
    assert [name for _, name in found] == ["a.png", "b.JPG", "m/n/o.jpeg", "z/b c.webp", "z/ä.tiff"]
    assert all(path == tmp_path / name for path, name in found)
    assert photos.find_photos([str(tmp_path / "noname"), tmp_path / ".hidden.png"]) == [
        (tmp_path / "noname", "noname"),
        (tmp_path / ".hidden.png", ".hidden.png"),
    ]
    assert photos.find_photos([tmp_path / "z", tmp_path / "a.png"])[-1] == (
        tmp_path / "a.png",
        "a.png",
    )


@pytest.mark.req("FIL-011")
def test_search_survives_loops(save, tmp_path):
    save("in/a.png", b"x")
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "in" / "self").symlink_to(".")
    (tmp_path / "in" / "ring").symlink_to("ring")
    assert [path.name for path, _ in photos.find_photos([tmp_path])] == ["a.png"]


@pytest.mark.req("FIL-012")
def test_nothing_found_is_one_line(save, tmp_path):
    save("notes.txt", b"x")
    with pytest.raises(errors.NoPhotosError) as error:
        photos.find_photos([tmp_path])
    one_line(error, tmp_path, ".jpg")
    with pytest.raises(errors.NoPhotosError) as error:
        photos.find_photos([])
    one_line(error)
    with pytest.raises(errors.PhotoError) as error:
        photos.find_photos([tmp_path / "notes.txt", tmp_path / "absent"])
    one_line(error, tmp_path / "absent")


@pytest.mark.req("FIL-012")
def test_places_that_cannot_be_searched_are_reported(save, tmp_path, monkeypatch):
    save("a.png", b"x")
    deep = tmp_path
    for _ in range(25):  # longer than a path may be
        (deep / ("n" * 200)).mkdir()
        monkeypatch.chdir(deep / ("n" * 200))
        deep = pathlib.Path()
    monkeypatch.chdir(tmp_path)
    too_long, seen = "n" * 300, []
    found = photos.find_photos([tmp_path, too_long], on_error=lambda error: seen.append(str(error)))
    assert [name for _, name in found] == ["a.png"]
    assert len(seen) == 2
    assert "too long" in seen[0]
    assert too_long in seen[1]
    for place in (tmp_path, too_long):
        with pytest.raises(errors.PhotoError, match=str(place)):
            photos.find_photos([place])


@pytest.mark.req("FIL-013")
def test_samples_are_six_readable_photos():
    found = photos.find_photos(["samples"])
    names = [
        "astronaut.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ]
    assert [name for _, name in found] == names
    assert [path for path, _ in found] == photos.sample_photos()
    squares = photos.load_squares([path for path, _ in found], 16)
    assert squares.std((1, 2, 3)).min() > 10
    assert photos.read_photo(found[1][0]).pixels.ndim == 2


@pytest.mark.req("FIL-013")
def test_samples_cost_no_import():
    code = "import sys; from colorjax.photos import sample_photos; sample_photos(); "
    code += "sys.exit('skimage' in sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=pathlib.Path(__file__).parent.parent
    )


# --- writing ---------------------------------------------------------------------------------


@pytest.mark.req("FIL-014", "FIL-015")
def test_output_appears_whole_and_alone(tmp_path):
    path = tmp_path / "out.png"
    photos.write_photo(path, PHOTO)
    assert list(tmp_path.iterdir()) == [path]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    before = path.read_bytes()
    with pytest.raises(errors.OutputError) as error:
        photos.write_photo(path, GRAY)
    one_line(error, path, "exists")
    assert path.read_bytes() == before
    photos.write_photo(path, GRAY, overwrite=True)
    np.testing.assert_array_equal(photos.read_photo(path).pixels, GRAY)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.req("FIL-014")
@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch, step, error):
    path = tmp_path / "out.png"
    photos.write_photo(path, PHOTO)
    before = path.read_bytes()

    def fail(*_):
        raise error

    monkeypatch.setattr(os, step, fail)
    expected = errors.OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as raised:
        photos.write_photo(path, GRAY, overwrite=True)
    if isinstance(error, OSError):
        one_line(raised, path, "No space left on device")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.req("FIL-015")
@pytest.mark.parametrize(
    "place", ["absent/out.png", "file/out.png", "folder.png", "out", "out.txt", "x" * 300 + ".png"]
)
def test_bad_output_place_is_one_line(tmp_path, place):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(errors.OutputError) as error:
        photos.write_photo(tmp_path / place, PHOTO, overwrite=True)
    assert str(error.value).isprintable()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


@pytest.mark.req("FIL-016")
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp", ".jp2"])
@pytest.mark.parametrize("pixels", [PHOTO, GRAY], ids=["rgb", "gray"])
def test_lossless_formats_give_back_what_they_got(tmp_path, suffix, pixels):
    path = tmp_path / f"out{suffix}"
    photos.write_photo(path, pixels)
    np.testing.assert_array_equal(photos.read_photo(path).pixels, pixels)


@pytest.mark.req("FIL-005", "FIL-016")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_goes_round(tmp_path, save, suffix, mode):
    picture = Image.fromarray(PHOTO).convert(mode)
    picture.putalpha(Image.fromarray(GRAY))
    photo = photos.read_photo(save("in.png", encoded(picture, "PNG")))
    photos.write_photo(tmp_path / f"out{suffix}", photo)
    back = photos.read_photo(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(back.pixels, photo.pixels)
    np.testing.assert_array_equal(back.alpha, GRAY)


@pytest.mark.req("FIL-017")
def test_jpeg_is_fine_and_not_subsampled(tmp_path):
    photos.write_photo(tmp_path / "default.jpg", PHOTO)
    photos.write_photo(tmp_path / "low.jpeg", PHOTO, quality=50)
    files = [io.BytesIO((tmp_path / name).read_bytes()) for name in ("default.jpg", "low.jpeg")]
    default, low = map(Image.open, files)
    assert all(
        component[1:3] == (1, 1) for picture in (default, low) for component in picture.layer
    )
    reference = Image.open(io.BytesIO(encoded(PHOTO, "JPEG", quality=95)))
    assert default.quantization == reference.quantization
    assert sum(low.quantization[0]) > sum(default.quantization[0])


@pytest.mark.req("FIL-017")
@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_out_of_range_is_refused(tmp_path, quality):
    with pytest.raises(errors.ConfigError, match=str(quality)):
        photos.write_photo(tmp_path / "out.jpg", PHOTO, quality=quality)
    assert not list(tmp_path.iterdir())


@pytest.mark.req("FIL-018")
def test_labels_fill_their_columns():
    strip = photos.text_strip(["truth", "", "colorised " * 9], [80, 40, 60], 20)
    assert strip.shape == (20, 180, 3)
    light = (strip > 128).any((0, 2))
    assert light[:80].any()
    assert not light[80:120].any()
    assert light[120:].any()
    assert np.median(strip) < 64


@pytest.mark.req("FIL-049", "FIL-025")
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_deep_png_has_no_date_and_no_other_program(monkeypatch, channels):
    levels = noise(20, 30, *channels, dtype=np.uint16)
    alpha = levels[..., -1] if channels in ((2,), (4,)) else None
    pixels = levels if alpha is None else levels[..., 0] if channels == (2,) else levels[..., :3]
    photo = photos.Photo(pixels, alpha)
    written = photos.encode_photo(photo, "PNG")
    monkeypatch.setattr(time, "gmtime", lambda *_: time.struct_time((1999, 1, 2, 3, 4, 5, 0, 2, 0)))
    assert photos.encode_photo(photo, "PNG") == written
    names, place = [], 8
    while place < len(written):
        (size,) = struct.unpack_from(">I", written, place)
        names.append(written[place + 4 : place + 8])
        place += 12 + size
    assert names == [b"IHDR", b"IDAT", b"IEND"]


# --- depth, color and what is carried along ----------------------------------------------------

FILES = (pathlib.Path(__file__).parent.parent / "spec" / "files.md").read_text()
TABLE = [
    line.strip("| ").split(" | ")
    for line in FILES.partition("### FIL-030")[2].partition("\n### ")[0].splitlines()
    if line.startswith("| ")
]
CELLS = [
    (kind, mode, what)
    for mode, *row in TABLE[1:]
    for kind, what in zip(TABLE[0], row, strict=True)
    if what != "–"
]
SUFFIX = {kind: suffixes[0] for kind, suffixes in getattr(photos, "SUFFIXES", {}).items()}


@pytest.mark.req("FIL-030", "FIL-019", "FIL-020", "FIL-021", "FIL-023", "FIL-026")
@pytest.mark.parametrize(("kind", "mode", "what"), CELLS)
def test_cell_of_the_format_table(save, tmp_path, kind, mode, what):
    data, pixels, alpha, bits = cell(kind, mode)
    path = save("photo", data)
    if what == "refused":
        for read in (photos.read_photo, lambda p: photos.load_square(p, 4), photos.output_suffix):
            with pytest.raises(errors.PhotoError) as error:
                read(path)
            one_line(error, path, "8 bits")
        return
    photo = photos.read_photo(path)
    assert photo.bits == bits
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(photo.alpha, alpha)
    assert photo.alpha is None or photo.alpha.dtype == pixels.dtype

    if what in ("exact", "lossy"):
        again = tmp_path / f"again{SUFFIX[kind]}"
        photos.write_photo(again, photo)
        back = photos.read_photo(again)
        assert (back.bits, back.format) == (bits, kind)
        far = 60 if what == "lossy" else 0
        np.testing.assert_allclose(back.pixels.astype(int), pixels, atol=far)
        far = 4 if kind == "AVIF" else 0
        assert (back.alpha is None) == (alpha is None)
        if alpha is not None:
            np.testing.assert_allclose(back.alpha.astype(int), alpha, atol=far)


@pytest.mark.req("FIL-019")
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": 2, "rowsperstrip": 5},
        {"compression": "zlib", "tile": (32, 16)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib", "predictor": 2},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "plain",
)
def test_16_bit_tiff_keeps_every_level(channels, order, options):
    levels = noise(33, 47, channels, dtype=np.uint16)
    data = tiff(levels, byteorder=order, **options)
    photo = photos.decode_photo(data)
    np.testing.assert_array_equal(photo.pixels, levels[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(photo.alpha, levels[..., 3])


@pytest.mark.req("FIL-019")
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_16_bit_lzw_keeps_every_level(channels):
    levels = noise(33, 47, *channels, dtype=np.uint16)
    photo = photos.decode_photo(lzw_tiff(levels))
    np.testing.assert_array_equal(photo.pixels, levels[..., :3] if channels else levels)
    assert photo.bits == 16


@pytest.mark.req("FIL-019", "FIL-005")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_planes_keep_every_level(dtype, channels):
    levels = noise(33, 47, channels, dtype=dtype)
    extra = ["unassalpha"] if channels in (2, 4) else None
    photo = photos.decode_photo(tiff(levels, planarconfig="separate", extrasamples=extra))
    pixels = {2: levels[..., 0], 3: levels, 4: levels[..., :3]}[channels]
    np.testing.assert_array_equal(photo.pixels, pixels)
    np.testing.assert_array_equal(photo.alpha, levels[..., -1] if extra else None)


@pytest.mark.req("FIL-019", "FIL-020")
def test_lzw_of_16_bit_gray_with_alpha_is_refused():
    with pytest.raises(errors.PhotoError) as error:
        photos.decode_photo(lzw_tiff(noise(33, 47, 2, dtype=np.uint16)), name="pair.tif")
    one_line(error, "pair.tif", "LZW", "deflate")


@pytest.mark.req("FIL-019", "FIL-020")
def test_planar_lzw_is_refused():
    data = bytearray(
        tiff(noise(33, 47, 3, dtype=np.uint16), byteorder="<", planarconfig="separate")
    )
    where = data.index(struct.pack("<HHIH", 259, 3, 1, 1))  # compression
    data[where + 8] = 5
    with pytest.raises(errors.PhotoError) as error:
        photos.decode_photo(bytes(data), name="planar.tif")
    one_line(error, "planar.tif", "LZW")


@pytest.mark.req("FIL-019")
@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_16_bit_png_keeps_every_level(interlace, channels):
    levels = noise(33, 47, *channels, dtype=np.uint16)
    photo = photos.decode_photo(png(levels, interlace=interlace))
    expected = levels[..., 0] if channels == (2,) else levels[..., :3] if channels else levels
    np.testing.assert_array_equal(photo.pixels, expected)
    if channels in ((2,), (4,)):
        np.testing.assert_array_equal(photo.alpha, levels[..., -1])


@pytest.mark.req("FIL-019", "FIL-005")
@pytest.mark.parametrize("channels", [(), (3,)])
def test_transparent_16_bit_color_becomes_alpha(channels):
    levels = noise(20, 30, *channels, dtype=np.uint16) // 8192 * 8192 + 7
    clear = levels[0, 0]
    photo = photos.decode_photo(png(levels, transparent=tuple(clear) if channels else int(clear)))
    same = (levels == clear).all(-1) if channels else levels == clear
    np.testing.assert_array_equal(photo.pixels, levels)
    np.testing.assert_array_equal(photo.alpha, np.where(same, 0, 65535))


@pytest.mark.req("FIL-019", "FIL-003")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "LA"])
def test_16_bit_orientation_is_applied(orientation, mode):
    upright = noise(20, 30, len(mode), dtype=np.uint16)
    tag = [(274, 3, 1, orientation, True)]
    photo = photos.decode_photo(tiff(oriented(upright, orientation), extratags=tag))
    expected = upright[..., 0] if mode == "LA" else upright
    np.testing.assert_array_equal(photo.pixels, expected)


@pytest.mark.req("FIL-005", "FIL-019")
def test_associated_alpha_is_divided_out():
    alpha = noise(20, 30, dtype=np.uint16)
    color = noise(20, 30, 3, seed=1, dtype=np.uint16)
    stored = np.floor(color * (alpha[..., None] / 65535) + 0.5).astype(np.uint16)
    data = tiff(np.dstack([stored, alpha]), extrasamples=["assocalpha"])
    photo = photos.decode_photo(data)
    np.testing.assert_array_equal(photo.alpha, alpha)
    error = np.abs(photo.pixels.astype(int) - color) * (alpha[..., None] / 65535)
    assert error.max() <= 1


@pytest.mark.req("FIL-021")
@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (np.array([[0, 70000, 2**32 - 1]], np.uint32), [0, 1, 65535]),
        (np.array([[0, 255, 65535]], np.uint32), [0, 255, 65535]),
        (np.array([[-5, 255, 32767]], np.int16), [0, 255, 32767]),
        (np.array([[-5, 65535, 2]], np.int32), [0, 65535, 2]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 32768, 65535]),
        (np.array([[0, 127.5, 255]], np.float32), [0, 32768, 65535]),
        (np.array([[0, 300, 65535]], np.float32), [0, 300, 65535]),
        (np.array([[0, 50_000, 100_000]], np.float32), [0, 32768, 65535]),
        (np.array([[np.nan, -np.inf, np.inf, 0.2]], np.float32), [0, 0, 65535, 13107]),
        (np.array([[np.nan, -1]], np.float32), [0, 0]),
        (np.array([[0x7F800001, 0x3F800000]], np.uint32).view(np.float32), [0, 65535]),
    ],
)
def test_unusual_depth_is_scaled(levels, expected):
    photo = photos.decode_photo(tiff(levels))
    assert photo.bits == 16
    np.testing.assert_array_equal(photo.pixels, [expected])


@pytest.mark.req("FIL-021")
def test_12_bits_and_white_is_zero():
    levels = noise(6, 8, dtype=np.uint16)
    photo = photos.decode_photo(tiff(levels, photometric="miniswhite"))
    np.testing.assert_array_equal(photo.pixels, 65535 - levels)
    twelve = levels >> 4
    packed = bytearray(
        np.packbits(
            np.unpackbits(twelve.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
        )
    )
    data = bytearray(tiff(levels[:, :6]))
    start = data.index(levels[:, :6].tobytes())
    data[start : start + len(packed)] = packed
    where = data.index(struct.pack("<HHIH", 258, 3, 1, 16))
    data[where + 8] = 12
    assert (
        photos.decode_photo(bytes(data)).pixels.flat[0] == twelve.flat[0] << 4 | twelve.flat[0] >> 8
    )


def shallow_jpeg2000(values, depths):
    """Return a codestream of other depths: SIZ of a lossless one is changed (ISO 15444-1, A.5.1 and G.1).

    A decoder adds half of the range of the depth that SIZ states to what is stored.
    """
    deep = max(depths) > 8
    halves = np.array([2**depth // 2 for depth in depths]).reshape(values.shape[2:] or ())
    moved = values.astype(int) + (32768 if deep else 128) - halves
    data = bytearray(
        encoded(moved.astype(np.uint16 if deep else np.uint8), "JPEG2000", no_jp2=True, mct=0)
    )
    for channel, depth in enumerate(depths):
        data[data.index(b"\xff\x51") + 40 + 3 * channel] = depth - 1
    return bytes(data)


@pytest.mark.req("FIL-021")
@pytest.mark.parametrize(
    "depths",
    [*((depth,) for depth in range(1, 17)), (5, 6, 5), (8, 1), (4, 4), (8, 8, 8, 1), (8, 8, 8)],
)
def test_white_is_white_at_every_depth_of_jpeg_2000(depths):
    tops = np.array([2**depth - 1 for depth in depths])
    values = noise(40, 60, len(depths), dtype=np.uint16) % (tops + 1)
    values[0, 0], values[0, 1] = 0, tops
    values = values[..., 0] if len(depths) == 1 else values
    photo = photos.decode_photo(shallow_jpeg2000(values, depths))
    top = 65535 if max(depths) > 8 else 255
    expected = np.floor(values * top / (tops if len(depths) > 1 else tops[0]) + 0.5)
    alpha = expected[..., -1] if len(depths) in (2, 4) else None
    pixels = {1: expected, 2: expected[..., 0], 3: expected, 4: expected[..., :3]}[len(depths)]
    np.testing.assert_array_equal(photo.pixels, pixels)
    np.testing.assert_array_equal(photo.alpha, alpha)
    assert photo.pixels.dtype == (np.uint16 if max(depths) > 8 else np.uint8)


SRGB = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)


def srgb_encoded(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_rgb_profile_becomes_srgb(kind, gamma, depth):
    top = 2**depth - 1
    levels = noise(40, 50, 3, dtype=np.uint8 if depth == 8 else np.uint16)
    profile = rgb_profile(gamma_curve(gamma))
    gamma = round(256 * gamma) / 256
    data = png(levels, iccp=("p", profile)) if kind == "PNG" else tiff(levels, iccprofile=profile)
    photo = photos.decode_photo(data)
    assert photo.bits == depth
    xyz = (levels / top) ** gamma @ np.array(ADOBE)
    expected = top * srgb_encoded(xyz @ np.linalg.inv(SRGB).T)
    assert np.abs(photo.pixels - expected).max() <= (1.01 if depth == 8 else 16)


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_profile_becomes_srgb(kind, depth):
    top = 2**depth - 1
    levels = noise(40, 50, dtype=np.uint8 if depth == 8 else np.uint16)
    data = tiff(levels, iccprofile=gray_profile(gamma_curve(1.75)))
    if kind == "PNG":
        data = png(levels, iccp=("p", gray_profile(gamma_curve(1.75))))
    photo = photos.decode_photo(data)
    assert (photo.pixels.ndim, photo.bits) == (2, depth)
    expected = top * srgb_encoded((levels / top) ** 1.75)
    assert np.abs(photo.pixels - expected).max() <= (1.01 if depth == 8 else 16)


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize(
    ("curve", "linear"),
    [
        (b"curv" + bytes(8), lambda v: v),
        (
            b"curv" + bytes(4) + struct.pack(">I3H", 3, 0, 13107, 65535),
            lambda v: np.interp(v, [0, 0.5, 1], [0, 0.2, 1]),
        ),
        (b"para" + bytes(4) + struct.pack(">HH", 0, 0) + fixed(2.5), lambda v: v**2.5),
        (b"para" + bytes(4) + struct.pack(">HH", 1, 0) + fixed(2, 0.9, 0.1), lambda v: (0.9 * v + 0.1) ** 2),
        (
            b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.1, 0.1 / 1.1, 1 / 12, 0.05),
            lambda v: np.where(v >= 0.05, (v / 1.1 + 0.1 / 1.1) ** 2.4, v / 12),
        ),
    ],
)  # fmt: skip
def test_every_kind_of_curve_is_followed(curve, linear):
    levels = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    photo = photos.decode_photo(tiff(levels, iccprofile=gray_profile(curve)))
    assert photo.bits == 16
    expected = 65535 * srgb_encoded(linear(levels / 65535))
    assert np.abs(photo.pixels - expected).max() <= 16


def luminance_of(lightness):
    """Return Y of L* / 100 (CIE 15)."""
    above = ((100 * lightness + 16) / 116) ** 3
    return np.where(lightness > 0.08, above, 100 * lightness / (24389 / 27))


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("gamma", [1.0, 1.75])
def test_gray_profile_to_lightness_becomes_srgb(dtype, gamma):
    top = np.iinfo(dtype).max
    levels = noise(40, 50, dtype=dtype)
    profile = icc(b"GRAY", {b"wtpt": WHITE_POINT, b"kTRC": gamma_curve(gamma)}, b"Lab ")
    photo = photos.decode_photo(tiff(levels, iccprofile=profile))
    expected = top * srgb_encoded(luminance_of((levels / top) ** gamma))
    assert np.abs(photo.pixels - expected).max() <= (1.01 if dtype == np.uint8 else 16)
    assert photo.pixels.dtype == dtype


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", [b"A2B0", b"A2B1"])
@pytest.mark.parametrize("more", [{}, {b"kTRC": gamma_curve(2.2)}])
def test_gray_profile_with_a_table_becomes_srgb(dtype, name, more):
    nodes = np.linspace(0, 1, 17)
    table = np.full(
        (17, 3), 0x8000
    )  # lut16Type (ICC.1:2010, 10.10): L* 100 is 0xFF00, and neutral 0x8000
    table[:, 0] = (0xFF00 * nodes**2).round()
    lut = b"mft2" + bytes(4) + bytes([1, 3, 17, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += struct.pack(">4H", 2, 2, 0, 65535) + table.astype(">u2").tobytes()
    lut += struct.pack(">2H", 0, 65535) * 3
    profile = icc(b"GRAY", {b"wtpt": WHITE_POINT, name: lut, **more}, b"Lab ")
    top = np.iinfo(dtype).max
    levels = noise(40, 50, dtype=dtype)
    photo = photos.decode_photo(tiff(levels, iccprofile=profile))
    expected = 255 * srgb_encoded(luminance_of(np.interp(levels / top, nodes, nodes**2)))
    assert np.abs(photo.pixels * (255 / top) - expected).max() <= 1.5
    assert (photo.pixels.dtype, photo.pixels.ndim) == (dtype, 2)
    damaged = profile.replace(lut[:8], b"what" + bytes(4))
    same = photos.decode_photo(tiff(levels, iccprofile=damaged))
    np.testing.assert_array_equal(same.pixels, levels)


@pytest.mark.req("FIL-022")
def test_cmyk_profile_becomes_srgb(save):
    inks = np.zeros((8, 32, 4), np.uint8)
    inks[..., 3] = np.arange(256).reshape(8, 32)
    data = encoded(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=cmyk_profile())
    photo = photos.decode_photo(data)
    assert photo.bits == 8
    lightness = 1 - np.arange(256) / 255
    y = np.where(lightness > 0.08, ((lightness * 100 + 16) / 116) ** 3, lightness * 100 / 903.3)
    expected = 255 * srgb_encoded(y).reshape(8, 32)
    assert np.abs(photo.pixels - expected[..., None]).max() <= 2

    colors = Image.fromarray(noise(20, 20, 4), "CMYK")
    ours = photos.decode_photo(encoded(colors, "JPEG", quality=100, icc_profile=cmyk_profile()))
    plain = photos.decode_photo(encoded(colors, "JPEG", quality=100))
    assert np.abs(ours.pixels.astype(int) - plain.pixels).max() > 20


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        b"",
        b"no profile",
        rgb_profile(gamma_curve(1.8))[:200],
        gray_profile(gamma_curve(1.8)),
        cmyk_profile(),
        rgb_profile(b"curv" + bytes(4) + struct.pack(">I", 2**31)),
        rgb_profile(b"what" + bytes(30)),
    ],
    ids=["srgb", "empty", "text", "cut", "gray", "cmyk", "endless", "unknown"],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_that_says_nothing_changes_nothing(profile, dtype):
    levels = noise(30, 40, 3, dtype=dtype)
    photo = photos.decode_photo(tiff(levels, iccprofile=profile or None))
    assert photo.bits == 8 * levels.itemsize
    np.testing.assert_array_equal(photo.pixels, levels)


@pytest.mark.req("FIL-022")
def test_gray_profile_without_a_slope_changes_nothing():
    levels = noise(30, 40)
    curve = b"para" + struct.pack(">IHH3i", 0, 1, 0, 65536, 0, 65536)
    photo = photos.decode_photo(tiff(levels, iccprofile=gray_profile(curve)))
    np.testing.assert_array_equal(photo.pixels, levels)
    color = tiff(noise(30, 40, 3, dtype=np.uint16), iccprofile=rgb_profile(curve))
    assert photos.decode_photo(color).bits == 16


@pytest.mark.req("FIL-022")
def test_overlapping_tags_need_little_memory():
    profile = bytearray(gray_profile(gamma_curve(1.75)) + bytes(20_000_000))
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = bytes(profile[132 : 132 + 12 * count])
    for number in range(1, 101):  # each holds nearly the whole profile
        struct.pack_into(">III", profile, 120 + 12 * number, number, number, len(profile))
    profile[132 : 132 + len(tags)] = tags
    struct.pack_into(">I", profile, 128, 100)
    tracemalloc.start()
    try:
        profiles.levels_to_srgb(np.zeros((4, 4), np.uint16), bytes(profile))
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.req("FIL-024")
@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "AVIF", "PNG"])
def test_frames_come_in_order(save, kind):
    frames = [Image.fromarray(scene(24, 32, seed)) for seed in range(4)]
    options = {"lossless": True} if kind == "WEBP" else {}
    path = save(
        "many", encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    )
    seen = list(photos.read_frames(path))
    with Image.open(path) as reference:
        for number, photo in enumerate(seen):
            reference.seek(number)
            np.testing.assert_array_equal(photo.pixels, np.asarray(reference.convert("RGB")))
    assert len(seen) == 4
    np.testing.assert_array_equal(photos.read_photo(path).pixels, seen[0].pixels)


@pytest.mark.req("FIL-024", "FIL-019")
@pytest.mark.parametrize("channels", [(), (2,), (3,)])
def test_pages_of_16_bits_come_in_order(save, channels):
    pages = noise(3, 20, 30, *channels, dtype=np.uint16)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            alpha = (
                {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
                if channels == (2,)
                else {}
            )
            writer.write(
                page,
                photometric="rgb" if channels == (3,) else "minisblack",
                metadata=None,
                **alpha,
            )
    seen = list(photos.read_frames(save("pages.tif", file.getvalue())))
    expected = pages[..., 0] if channels == (2,) else pages
    np.testing.assert_array_equal([photo.pixels for photo in seen], expected)


@pytest.mark.req("FIL-024")
def test_damaged_page_ends_the_frames_with_one_line(save):
    frames = [Image.fromarray(scene(24, 32, seed)) for seed in range(4)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    path = save("cut.tif", data[: len(data) * 3 // 5])
    seen = []
    with pytest.raises(errors.PhotoError) as error:
        seen.extend(photo.bits for photo in photos.read_frames(path))
    one_line(error, path)


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:Make="Zei\xc3\x9f"/>
</rdf:RDF></x:xmpmeta>"""


def memories():
    """Return the EXIF of a camera, of a picture stored on its side."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Zeiss", "Ikonta"
    exif[0x0131], exif[0x0132] = "Scan 1", "1999:01:02 03:04:05"
    exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = 6, 300.0, 300.0, 2
    exif[0x8769] = {0x9003: "1936:05:06 07:08:09", 0x829A: 0.02, 0xA002: 64, 0xA003: 48}
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return exif


def with_memories(kind):
    """Return a file that carries everything along."""
    exif = memories()
    if kind == "TIFF":
        exif[700] = XMP
        return encoded(PHOTO, kind, exif=exif.tobytes(), dpi=(300, 300))
    pnginfo = PngImagePlugin.PngInfo()
    pnginfo.add_itxt("XML:com.adobe.xmp", XMP.decode())
    extra = {"pnginfo": pnginfo} if kind == "PNG" else {"xmp": XMP}
    return encoded(PHOTO, kind, exif=exif.tobytes(), dpi=(300, 300), **extra)


CARRIERS = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "AVIF": ".avif"}


@pytest.mark.req("FIL-025", "FIL-026")
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", list(CARRIERS))
@pytest.mark.parametrize("into", list(CARRIERS))
def test_what_was_known_is_carried_along(save, tmp_path, kind, into, depth):
    photo = photos.read_photo(save("old", with_memories(kind)))
    assert photo.pixels.shape == (64, 48, 3)
    if depth == 16:
        photo = dataclasses.replace(photo, pixels=photo.pixels.astype(np.uint16) * 257)
    path = tmp_path / f"new{CARRIERS[into]}"
    photos.write_photo(path, photo)

    with Image.open(path) as new:
        assert new.size == (48, 64)
        exif, info = new.getexif(), new.info
        assert exif.get(0x0112, 1) == 1
        assert exif[0x0131] == "colorjax"
        assert (exif[0x010F], exif[0x0110], exif[0x0132]) == (
            "Zeiss",
            "Ikonta",
            "1999:01:02 03:04:05",
        )
        details = exif.get_ifd(0x8769)
        assert details[0x9003] == "1936:05:06 07:08:09"
        assert float(details[0x829A]) == 0.02
        assert (details[0xA002], details[0xA003]) == (48, 64)
        assert [float(x) for x in exif.get_ifd(0x8825)[2]] == [52, 31, 12]
        assert b"tiff:Make" in info["xmp"] if into != "PNG" else "Zeiß" in info["XML:com.adobe.xmp"]
    back = photos.read_photo(path)
    assert back.metadata.dpi == pytest.approx((300, 300), abs=0.01)
    assert b'tiff:Orientation="6"' not in back.metadata.xmp
    assert back.pixels.shape == (64, 48, 3)
    assert back.bits == (16 if depth == 16 and into in ("PNG", "TIFF") else 8)


@pytest.mark.req("FIL-025", "FIL-003")
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", [*CARRIERS, "planar TIFF"])
def test_resolution_is_turned_with_the_photo(kind, orientation):
    if kind == "planar TIFF":
        levels = noise(48, 64, 3, dtype=np.uint16)
        tags = {"extratags": [(0x0112, 3, 1, orientation, True)], "resolution": (204, 98)}
        data = tiff(levels, planarconfig="separate", **tags)
    else:
        exif = Image.Exif()
        exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = orientation, 204.0, 98.0, 2
        data = encoded(PHOTO, kind, exif=exif.tobytes(), dpi=(204, 98))
    photo = photos.decode_photo(data)
    turned = orientation > 4
    assert photo.pixels.shape[:2] == ((64, 48) if turned else (48, 64))
    assert photo.metadata.dpi == pytest.approx((98, 204) if turned else (204, 98), abs=0.02)


@pytest.mark.req("FIL-022", "FIL-025")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_gray_with_alpha_in_tiff_is_carried_along(dtype, photometric):
    levels = noise(48, 64, 2, dtype=dtype)
    tags = {"iccprofile": gray_profile(gamma_curve(1.0)), "photometric": photometric}
    tags["extratags"] = [(0x0112, 3, 1, 1, True), (700, 1, len(XMP), XMP, True)]
    gray, both = (
        photos.decode_photo(tiff(each, **tags, resolution=(300, 300)))
        for each in (levels[..., 0].copy(), levels)
    )
    np.testing.assert_array_equal(both.pixels, gray.pixels)
    np.testing.assert_array_equal(both.alpha, levels[..., 1])
    assert b"tiff:Make" in both.metadata.xmp
    assert both.metadata.xmp == gray.metadata.xmp
    assert both.metadata.dpi == (300, 300)


@pytest.mark.req("FIL-037")
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("kind", list(CARRIERS))
@pytest.mark.parametrize("into", list(CARRIERS))
def test_texts_keep_their_bytes(save, tmp_path, kind, into, encoding):
    texts = {0x013B: "Jürgen Müller", 0x8298: "© 1932 Zeiß"}
    texts = {tag: text.encode(encoding) for tag, text in texts.items()}
    lens = "Objektiv für Übersee".encode(encoding)
    block = exif_block({**texts, 0x8769: {0xA434: lens}})
    photo = photos.read_photo(save("old", with_exif_block(kind, block)))
    photos.write_photo(tmp_path / f"new{CARRIERS[into]}", photo)
    data = (tmp_path / f"new{CARRIERS[into]}").read_bytes()
    for text in (*texts.values(), lens):
        assert text + b"\0" in data


def exif_block(entries, place=8):
    """Return a little-endian TIFF whose directories hold texts, made by hand (TIFF 6.0, section 2)."""
    head = struct.pack("<2sHI", b"II", 42, 8) if place == 8 else b""
    table, after = struct.pack("<H", len(entries)), b""
    start = place + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        if isinstance(value, dict):
            table += struct.pack("<HHII", tag, 4, 1, start + len(after))
            after += exif_block(value, start + len(after))
        else:
            table += struct.pack("<HHII", tag, 2, len(value) + 1, start + len(after))
            after += value + bytes(1 + (len(value) + 1) % 2)
    return head + table + bytes(4) + after


def with_exif_block(kind, block):
    """Return a photo with an EXIF block of exactly these bytes; a TIFF is the block's own directory."""
    if kind != "TIFF":
        return encoded(PHOTO, kind, exif=b"Exif\0\0" + block)
    data = bytearray(encoded(PHOTO, "TIFF"))
    (count,) = struct.unpack_from("<H", data, struct.unpack_from("<I", data, 4)[0])
    start = struct.unpack_from("<I", data, 4)[0]
    own = {
        struct.unpack_from("<H", data, start + 2 + 12 * i)[0]: bytes(
            data[start + 2 + 12 * i :][:12]
        )
        for i in range(count)
    }
    place = len(data)
    moved = exif_moved(block, place)
    (more,) = struct.unpack_from("<H", moved, 0)
    own |= {
        struct.unpack_from("<H", moved, 2 + 12 * i)[0]: bytes(moved[2 + 12 * i :][:12])
        for i in range(more)
    }
    data += moved
    struct.pack_into("<I", data, 4, len(data))
    data += struct.pack("<H", len(own)) + b"".join(own[tag] for tag in sorted(own)) + bytes(4)
    return bytes(data)


def exif_moved(block, place):
    """Return the directories of a block for another place in a file."""
    moved = bytearray(block[8:])

    def move(directory):
        (count,) = struct.unpack_from("<H", moved, directory)
        for i in range(count):
            entry = directory + 2 + 12 * i
            tag, _, _, value = struct.unpack_from("<HHII", moved, entry)
            struct.pack_into("<I", moved, entry + 8, value - 8 + place)
            if tag == 0x8769:
                move(value - 8)

    move(0)
    return moved


@pytest.mark.req("FIL-025")
def test_bmp_keeps_its_resolution(save, tmp_path):
    photo = photos.read_photo(save("old.bmp", encoded(PHOTO, "BMP", dpi=(300, 300))))
    photos.write_photo(tmp_path / "new.bmp", photo)
    assert photos.read_photo(tmp_path / "new.bmp").metadata.dpi == pytest.approx(
        (300, 300), abs=0.1
    )


@pytest.mark.req("FIL-025", "FIL-007")
@pytest.mark.parametrize("into", [*CARRIERS.values(), ".bmp", ".jp2"])
@pytest.mark.parametrize(
    "spoilt",
    [
        {"exif": b"Exif\0\0" + bytes(40)},
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\xff\xff"},
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\xff\xff\xff\xff\0\0\0\0"},
        {"xmp": b"\xff<no xml" * 7000},
        {"dpi": (0, 0)},
        {"dpi": (1, 65535)},
    ],
    ids=["zeros", "cut", "lost", "long", "nothing", "large"],
)
def test_spoilt_memories_do_not_spoil_the_photo(save, tmp_path, spoilt, into):
    photo = photos.read_photo(save("old.webp", encoded(PHOTO, "WEBP", lossless=True, **spoilt)))
    if "dpi" in spoilt:
        photo = photos.read_photo(save("old.jpg", encoded(PHOTO, "JPEG", **spoilt)))
    photos.write_photo(tmp_path / f"new{into}", photo)
    back = photos.read_photo(tmp_path / f"new{into}")
    assert back.bits == 8
    assert np.abs(back.pixels.astype(int) - photo.pixels).mean() <= 10


def with_png_chunks(*chunks):
    """Return a PNG with more chunks before its pixels."""
    data = encoded(PHOTO, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


LONG_XMP = XMP.replace(b'Orientation="6"', b'Orientation="1"') + b" " * 1_400_000
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LONG_PROFILE = struct.pack(">I", 1_300_000) + PROFILE[4:] + bytes(1_300_000 - len(PROFILE))
ODD_CHUNKS = {
    "iCCP": (b"iCCP", b"a\0\0" + zlib.compress(LONG_PROFILE)),
    "iCCP of another method": (b"iCCP", b"a\0\1" + zlib.compress(PROFILE)),
    "iCCP damaged": (b"iCCP", b"a\0\0damaged"),
    "iCCP too long": (b"iCCP", b"a\0\0" + zlib.compress(bytes((1 << 24) + 1))),
    "zTXt": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(1_400_000))),
    "zTXt of another method": (b"zTXt", b"Comment\0\1damaged"),
    "iTXt cut": (b"iTXt", b"XML:com.adobe.xmp\0\1"),
    **{f"{name} cut": (name.encode(), b"") for name in ("pHYs", "cHRM", "gAMA", "acTL", "sRGB")},
}


@pytest.mark.req("FIL-025")
@pytest.mark.parametrize("name", ODD_CHUNKS)
@pytest.mark.parametrize("depth", [8, 16])
def test_metadata_refuses_no_png(name, depth):
    data = with_png_chunks(png_chunk(*ODD_CHUNKS[name]))
    pixels = np.asarray(PHOTO)
    if depth == 16:
        pixels = noise(5, 4, 3, dtype=np.uint16)
        data = png(pixels)
        data = data[:33] + png_chunk(*ODD_CHUNKS[name]) + data[33:]
    limit = PngImagePlugin.MAX_TEXT_CHUNK
    photo = photos.decode_photo(data)
    assert PngImagePlugin.MAX_TEXT_CHUNK == limit
    np.testing.assert_allclose(photo.pixels, pixels, atol=1 if name == "iCCP" else 0)


@pytest.mark.req("FIL-025")
def test_metadata_of_a_png_is_found_among_odd_chunks():
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG_XMP)
    wrong = png_chunk(b"tEXt", b"Comment\0old")[:-1] + b"\0"
    dots = png_chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
    again = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0second")
    data = with_png_chunks(wrong, dots, wrong, png_chunk(b"iTXt", packed), again, wrong)
    for order in (data, data[:-12] + wrong + data[-12:]):
        photo = photos.decode_photo(order)
        np.testing.assert_array_equal(photo.pixels, np.asarray(PHOTO))
        assert photo.metadata.xmp == LONG_XMP
        assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.1)


@pytest.mark.req("FIL-025")
def test_repeated_metadata_is_unpacked_once(monkeypatch):
    packed = b"Raw profile type exif\0\0" + zlib.compress(bytes(1000))
    unpacked, usual = [], photos.ancillary._fits
    monkeypatch.setattr(
        photos.ancillary, "_fits", lambda data: unpacked.append(data) or usual(data)
    )
    photos.decode_photo(with_png_chunks(*[png_chunk(b"zTXt", packed)] * 50))
    assert len(unpacked) == 1


@pytest.mark.req("FIL-025", "FIL-037")
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("tag", "inside"),
    [(0x0110, None), (0x013B, None), (0x4746, None), (0x8298, None), (0xA002, 0x8769), (2, 0x8825)],
)
@pytest.mark.parametrize("kind", [2, 5, 9, 10, 12, 13, 99])
def test_a_mistyped_entry_takes_no_other_with_it(order, tag, inside, kind):
    """Only the entry of a wrong type may be lost."""
    entries = {
        None: [(0x010E, 2, b"kept\0"), (0x0132, 2, b"1936:05:06 07:08:09\0")],
        0x8769: [(0x9003, 2, b"1935:05:06 07:08:09\0")],
        0x8825: [(1, 2, b"N\0")],
    }
    entries[inside].append((tag, kind, b"\xff" * 24))
    block = typed_exif(order, entries)
    exif = Image.Exif()
    exif.load(photos.decode_photo(encoded(PHOTO, "PNG", exif=b"Exif\0\0" + block)).metadata.exif)
    assert exif[0x010E] == "kept"
    assert exif[0x0132] == "1936:05:06 07:08:09"
    assert exif.get_ifd(0x8769)[0x9003] == "1935:05:06 07:08:09"
    assert exif.get_ifd(0x8825)[1] == "N"


def typed_exif(order, directories):
    """Return a TIFF of directories, each a list of (tag, type, bytes) under the tag that points to it."""
    sizes = {2: 1, 5: 8, 7: 1, 9: 4, 10: 8, 12: 8, 13: 4, 99: 1}
    block = b""
    pointers = []
    for pointer, entries in reversed(directories.items()):
        begin = 8 + len(block)
        inside = [each for each in pointers if (0x8769 if each[0] == 0xA005 else None) == pointer]
        here = sorted(entries + inside)
        after, table, values = begin + 2 + 12 * len(here) + 4, b"", b""
        for tag, kind, value in here:
            place = struct.pack(order + "I", after + len(values))
            if tag in directories:
                place, count = value, 1
            else:
                values, count = values + value, len(value) // sizes[kind]
                if len(value) <= 4:
                    place, values = value.ljust(4, b"\0"), values[: -len(value)]
            table += struct.pack(order + "HHI", tag, kind, count) + place
        block += struct.pack(order + "H", len(here)) + table + bytes(4) + values
        pointers.append((pointer, 4, struct.pack(order + "I", begin)))
    head = (b"II*\0" if order == "<" else b"MM\0*") + pointers[-1][2]
    return head + block


UNDEFINED = {  # CIPA DC-008: bytes of type UNDEFINED, among them those that cameras write most
    0x8769: {
        0x9000: b"0232",
        0x9101: b"\1\2\3\0",
        0x927C: b"MAKER\0" + bytes(range(256)),
        0x9286: b"UNICODE\0" + "Grüße".encode("utf-16le"),
        0xA000: b"0100",
        0xA300: b"\3",
        0xA301: b"\1",
        0xA302: b"\0\2\0\2\0\1\1\2",
        0xA40B: b"settings",
    },
    0x8825: {27: b"ASCII\0\0\0GPS", 28: b"ASCII\0\0\0Ulm"},
    0xA005: {2: b"0100"},
}


def undefined_in(tiff, place, big, order, inside=None):
    """Yield (directory, tag, bytes) of the entries of type UNDEFINED in a TIFF or BigTIFF, by its words alone."""
    counts, size, head = ("Q", "QQ", 8) if big else ("H", "II", 2)
    (count,) = struct.unpack_from(order + counts, tiff, place)
    for entry in range(place + head, place + head + (20 if big else 12) * count, 20 if big else 12):
        tag, kind, length, value = struct.unpack_from(order + "HH" + size, tiff, entry)
        if tag in UNDEFINED:
            yield from undefined_in(tiff, value, big, order, tag)
        elif kind == 7:
            here = entry + (12 if big else 8)
            start = here if length <= (8 if big else 4) else value
            yield inside, tag, tiff[start : start + length]


@pytest.mark.req("FIL-025")
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("into", [*CARRIERS.values(), "big.tif"])
def test_bytes_of_undefined_type_keep_it(tmp_path, into, order):
    entries = {
        pointer: [(tag, 7, data) for tag, data in each.items()]
        for pointer, each in UNDEFINED.items()
    }
    block = typed_exif(order, {None: [(0x010F, 2, b"Zeiss\0")], **entries})
    photo = photos.decode_photo(encoded(PHOTO, "PNG", exif=b"Exif\0\0" + block))
    if into == "big.tif":
        photo = dataclasses.replace(photo, metadata=dataclasses.replace(photo.metadata, big=True))
    path = tmp_path / f"new{into}"
    photos.write_photo(path, photo)
    if "tif" in into:
        written = path.read_bytes()
    else:
        with Image.open(path) as new:
            written = new.info["exif"].removeprefix(b"Exif\0\0")
    own, big = "<" if written.startswith(b"II") else ">", 43 in written[2:4]
    (first,) = struct.unpack_from(own + ("8xQ" if big else "4xI"), written)
    expected = {(pointer, *each) for pointer, found in UNDEFINED.items() for each in found.items()}
    assert set(undefined_in(written, first, big, own)) == expected


@pytest.mark.req("FIL-025")
def test_memories_too_long_for_jpeg_are_left_out(save, tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x8769] = "Zeiss", {0x927C: bytes(70_000), 0x9003: "1936:05:06 07:08:09"}
    photo = photos.read_photo(save("old.png", encoded(PHOTO, "PNG", exif=exif.tobytes())))
    photos.write_photo(tmp_path / "new.jpg", photo)
    with Image.open(tmp_path / "new.jpg") as new:
        assert new.getexif()[0x010F] == "Zeiss"
    assert photos.read_photo(tmp_path / "new.jpg").bits == 8


def jpeg2000_with(pixels, profile):
    """Return a JPEG 2000 file whose header holds a color profile (ISO 15444-1, I.5.3.3)."""
    data = encoded(pixels, "JPEG2000")
    head, color = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    (length,), (old,) = (struct.unpack_from(">I", data, place) for place in (head, color))
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    length = struct.pack(">I", length + len(box) - old)
    return data[:head] + length + data[head + 4 : color] + box + data[color + old :]


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize("channels", [(), (3,)])
def test_profile_in_jpeg_2000_is_applied(channels):
    pixels = noise(48, 64, *channels)
    profile = rgb_profile(gamma_curve(1.8)) if channels else gray_profile(gamma_curve(1.8))
    expected = photos.decode_photo(encoded(pixels, "PNG", icc_profile=profile)).pixels
    assert (expected != pixels).any()
    seen = photos.decode_photo(jpeg2000_with(pixels, profile)).pixels
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.req("FIL-022")
def test_profile_in_deep_jpeg_2000_is_applied():
    levels, profile = noise(48, 64, dtype=np.uint16), gray_profile(gamma_curve(1.8))
    expected = photos.decode_photo(encoded(levels, "PNG", icc_profile=profile)).pixels
    seen = photos.decode_photo(jpeg2000_with(levels, profile)).pixels
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.req("FIL-022")
@pytest.mark.parametrize("profile", [b"damaged", gray_profile(gamma_curve(1.8))])
def test_profile_in_jpeg_2000_that_cannot_be_used_is_ignored(profile):
    pixels = noise(48, 64, 3)
    seen = photos.decode_photo(jpeg2000_with(pixels, profile)).pixels
    np.testing.assert_array_equal(seen, pixels)


@pytest.mark.req("FIL-047")
@pytest.mark.parametrize("order", "<>")
def test_preview_of_a_raw_photo_is_not_the_photo(save, order):
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:
        writer.write(scene(24, 32), photometric="rgb", subifds=1, subfiletype=1)
        writer.write(noise(480, 640, dtype=np.uint16), photometric="cfa")
    for read in (photos.read_photo, photos.output_suffix, lambda path: [*photos.read_frames(path)]):
        with pytest.raises(errors.PhotoError) as error:
            read(save("raw.dng", file.getvalue()))
        one_line(error, "raw.dng", "preview")


@pytest.mark.req("FIL-047")
def test_photo_with_smaller_versions_of_itself_is_read(save):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(PHOTO, photometric="rgb", subifds=1)
        writer.write(PHOTO[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(photos.decode_photo(file.getvalue()).pixels, PHOTO)


@pytest.mark.req("FIL-027")
@pytest.mark.parametrize(
    ("name", "kind", "mode", "expected"),
    [
        ("a.jpg", "JPEG", "L", ".jpg"),
        ("a.JPEG", "JPEG", "CMYK", ".JPEG"),
        ("a.png", "JPEG", "RGB", ".jpg"),
        ("a", "JPEG", "RGB", ".jpg"),
        ("a.tif", "TIFF", "RGB 16", ".tif"),
        ("a.tiff", "TIFF", "LA 16", ".tiff"),
        ("a.tif", "TIFF", "1", ".tif"),
        ("a.bmp", "BMP", "1", ".png"),
        ("a.bmp", "BMP", "L", ".bmp"),
        ("a.bmp", "BMP", "RGB", ".bmp"),
        ("a.bmp", "BMP", "RGBA", ".png"),
        ("a.gif", "GIF", "L", ".png"),
        ("a.png", "PNG", "LA 16", ".png"),
        ("a.jp2", "JPEG2000", "RGB", ".jp2"),
        ("a.jp2", "JPEG2000", "L 16", ".png"),
        ("a.webp", "WEBP", "RGBA", ".webp"),
        ("a.avif", "AVIF", "RGB", ".avif"),
        ("a.avif", "AVIF", "RGBA", ".png"),
    ],
)
def test_output_has_the_format_of_the_input(save, name, kind, mode, expected):
    path = save(name, cell(kind, mode)[0])
    assert photos.output_suffix(path) == expected
    assert photos.suffix_for(photos.read_photo(path), os.path.splitext(name)[1]) == expected


@pytest.mark.req("FIL-027", "FIL-005")
def test_bmp_that_a_caller_names_has_no_alpha(tmp_path):
    photo = photos.Photo(PHOTO, GRAY)
    photos.write_photo(tmp_path / "plain.bmp", photo)
    back = photos.read_photo(tmp_path / "plain.bmp")
    np.testing.assert_array_equal(back.pixels, PHOTO)
    assert back.alpha is None


@pytest.mark.req("FIL-027", "FIL-007")
@pytest.mark.parametrize("name", ["empty.jpg", "text.png", "nothing.png", "script.eps"])
def test_output_of_no_photo_is_one_line(save, name):
    with pytest.raises(errors.PhotoError) as error:
        photos.output_suffix(save(name, BROKEN[name]))
    one_line(error, name)


def light_lost(pixels, kind, **options):
    """Return the largest change of gray, in levels."""
    weights = np.array([21, 72, 7])
    back = photos.decode_photo(photos.encode_photo(pixels, kind, **options)).pixels
    return np.abs(back.astype(int) @ weights - pixels.astype(int) @ weights).max() / 100


@pytest.mark.req("FIL-015")
@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65_501), (".webp", 16_384)])
def test_side_too_long_for_its_format_is_one_line(tmp_path, capfd, suffix, side):
    with pytest.raises(errors.OutputError) as error:
        photos.write_photo(tmp_path / f"long{suffix}", np.zeros((1, side), np.uint8))
    one_line(error, f"long{suffix}", side)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.req("FIL-028", "FIL-017")
@pytest.mark.parametrize(
    ("kind", "on_photos", "on_noise"), [("JPEG", 12, 12), ("AVIF", 8, 8), ("WEBP", 20, 60)]
)
def test_light_lost_in_encoding_is_bounded(kind, on_photos, on_noise):
    for path in photos.sample_photos():
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((512, 400)))
        assert light_lost(pixels, kind) <= on_photos
    assert light_lost(noise(256, 256, 3), kind) <= on_noise
    saturated = np.repeat(np.repeat(noise(80, 80, 3) // 128 * 255, 3, 0), 3, 1)
    assert light_lost(saturated, kind) <= on_noise


@pytest.mark.req("FIL-028", "FIL-016")
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG2000"])
def test_no_light_is_lost_without_loss(kind):
    assert light_lost(noise(100, 100, 3), kind) == 0
    assert light_lost(noise(100, 100, 3), "WEBP", quality=100) == 0


def toned(gray, tone, noise_level=0, seed=0):
    """Return a gray picture printed in a tone, {gray: color}, as a noisy scan."""
    levels = sorted(tone)
    table = np.stack(
        [np.interp(np.arange(256), levels, [tone[v][c] for v in levels]) for c in range(3)], -1
    )
    grain = np.random.default_rng(seed).normal(0, noise_level, (*gray.shape, 3))
    return np.clip(np.floor(table[gray] + grain + 0.5), 0, 255).astype(np.uint8)


TONES = {
    "none": {0: (0, 0, 0), 255: (255, 255, 255)},
    "sepia": {0: (20, 10, 0), 128: (150, 120, 80), 255: (255, 245, 215)},
    "yellowed": {0: (40, 26, 13), 255: (250, 235, 200)},
    "cyanotype": {0: (0, 20, 60), 128: (70, 130, 190), 255: (245, 250, 255)},
    "selenium": {0: (20, 10, 30), 200: (200, 190, 195), 255: (255, 250, 240)},
}


@pytest.mark.req("FIL-029")
@pytest.mark.parametrize("tone", list(TONES))
@pytest.mark.parametrize("noise_level", [0, 4])
def test_tinted_photo_is_recognized(tone, noise_level):
    for path in photos.sample_photos():
        with Image.open(path) as picture:
            gray = np.asarray(picture.convert("L"))
        rgb = toned(gray, TONES[tone], noise_level)
        assert tints.is_tinted(rgb), path.name
        rgb = photos.decode_photo(encoded(rgb, "JPEG", quality=75)).pixels
        assert tints.is_tinted(rgb), path.name
        assert tints.is_tinted(rgb.astype(np.uint16) * 257)


@pytest.mark.req("FIL-029")
def test_color_photo_is_not_tinted():
    for path in photos.sample_photos():
        rgb = photos.read_photo(path).pixels
        if rgb.ndim == 3:
            assert not tints.is_tinted(rgb), path.name
    assert not tints.is_tinted(PHOTO)
    assert not tints.is_tinted(noise(64, 64, 3))


@pytest.mark.req("FIL-029")
def test_hand_colored_spot_is_not_lost():
    rgb = toned(np.asarray(Image.fromarray(PHOTO).convert("L").resize((512, 384))), TONES["sepia"])
    assert tints.is_tinted(rgb)
    rgb[100:150, 100:150] = (200, 20, 40)
    assert not tints.is_tinted(rgb)


@pytest.mark.req("FIL-029")
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (300, 2), (63, 64), (129, 4000)])
def test_tint_of_any_size_is_known(shape):
    gray = np.sort(noise(*shape), axis=None).reshape(shape)
    rgb = toned(gray, TONES["yellowed"])
    assert tints.is_tinted(rgb)
    assert tints.is_tinted(rgb.astype(np.uint16) * 257)


def refusal(read, *arguments, **options):
    """Return the error that reading raises, if it is our own; None if it reads."""
    try:
        read(*arguments, **options)
    except errors.PhotoError as error:
        return error
    return None


@pytest.mark.req("FIL-031")
def test_mutated_files_raise_nothing_but_our_own(capfd):
    faulthandler.dump_traceback_later(60, exit=True)  # a hang must not stay silent
    read = 0
    for data in mutants(300):
        for attempt in (
            lambda data: photos.encode_photo(photos.decode_photo(data, max_pixels=10**6), "PNG"),
            lambda data: [
                f.bits for f in itertools.islice(photos.decode_frames(data, max_pixels=10**6), 9)
            ],
        ):
            error = refusal(attempt, data)
            read += error is None
            assert error is None or str(error).isprintable()
    faulthandler.cancel_dump_traceback_later()
    assert 30 < read < 400
    assert capfd.readouterr() == ("", "")


@pytest.mark.req("FIL-033")
def test_bytes_decode_as_their_file(save):
    for name, data in {**BROKEN, "good.png": cell("PNG", "RGBA 16")[0]}.items():
        path = save(name, data)
        error = refusal(photos.read_photo, path)
        assert str(refusal(photos.decode_photo, data, name=str(path))) == str(error)
        if error is None:
            np.testing.assert_array_equal(
                photos.decode_photo(data).pixels, photos.read_photo(path).pixels
            )


HEIC_HEADER = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(99)


@pytest.mark.req("FIL-032", "FIL-028")
def test_heic_goes_round(save, tmp_path):
    pytest.importorskip("pillow_heif")
    photos.write_photo(tmp_path / "a.heic", PHOTO)
    photo = photos.read_photo(tmp_path / "a.heic")
    assert (photo.format, photo.bits) == ("HEIF", 8)
    for pixels in (PHOTO, noise(256, 256, 3), photos.read_photo(photos.sample_photos()[0]).pixels):
        assert light_lost(pixels, "HEIF") <= 4
    assert photos.output_suffix(tmp_path / "a.heic") == ".heic"
    with pytest.raises(errors.PhotoError):
        photos.read_photo(save("b.heic", HEIC_HEADER))


@pytest.mark.req("FIL-032")
def test_heic_without_its_library_says_what_to_install(save, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(errors.PhotoError) as error:
        photos.read_photo(save("b.heic", HEIC_HEADER))
    one_line(error, "b.heic", "pillow-heif")
    with pytest.raises(errors.OutputError) as error:
        photos.write_photo(tmp_path / "a.heic", PHOTO)
    one_line(error, "a.heic", "pillow-heif")
