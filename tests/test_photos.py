"""Photo files: what is read, written, found and refused (spec/files.md)."""

import concurrent.futures
import io
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
from pictures import encoded, noise, oriented, png_header, scene
from PIL import Image

from colorjax import errors, photos

PHOTO = scene()
GRAY = noise(48, 64)


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
    ("RGB", "BMP"), ("RGB", "JPEG2000"), ("RGB", "PPM"),
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
def test_transparent_colour_becomes_alpha_and_keeps_its_colour(save, mode):
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
        import tifffile

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
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "JPEG2000", "PPM"):
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
    strip = photos.text_strip(["truth", "", "colourised " * 9], [80, 40, 60], 20)
    assert strip.shape == (20, 180, 3)
    light = (strip > 128).any((0, 2))
    assert light[:80].any()
    assert not light[80:120].any()
    assert light[120:].any()
    assert np.median(strip) < 64
