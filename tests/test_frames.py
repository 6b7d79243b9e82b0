"""Several photos in one file, and several writers of one name (spec/files.md)."""

import concurrent.futures
import dataclasses
import io
import itertools
import multiprocessing
import os
import signal
import struct
import time
import weakref
import zlib

import numpy as np
import pytest
import tifffile
from pictures import PNG, encoded, noise, oriented, png_chunk, scene
from PIL import Image

from colorjax import errors, photos
from colorjax.jobs import coloring
from colorjax.photos import Photo, writing

FRAMES = [Photo(scene(24, 32, seed), milliseconds=50.0 * seed, plays=3) for seed in range(1, 5)]


@pytest.mark.req("FIL-034")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_pages_are_exact(tmp_path, dtype, channels):
    pages = [Photo(noise(20 + i, 30, *channels, seed=i, dtype=dtype)) for i in range(3)]
    path = tmp_path / "pages.tif"
    photos.write_photo(path, iter(pages))
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 3
        for page, held in zip(pages, tiff.pages, strict=True):
            np.testing.assert_array_equal(held.asarray(), page.pixels)
    for page, seen in zip(pages, photos.read_frames(path), strict=True):
        np.testing.assert_array_equal(seen.pixels, page.pixels)


@pytest.mark.req("FIL-049")
def test_moving_avif_has_no_date():
    data = photos.encode_frames(FRAMES, "AVIF")
    for name in (b"mvhd", b"tkhd", b"mdhd"):  # ISO 14496-12: version, flags, then two times
        place = data.index(name) + 4
        assert data.count(name) == 1
        assert data[place + 4 : place + (20 if data[place] else 12)].strip(b"\0") == b""
    assert len(list(photos.decode_frames(data))) == len(FRAMES)


@pytest.mark.req("FIL-034", "FIL-025")
def test_first_page_carries_what_goes_along(tmp_path):
    path = tmp_path / "pages.tif"
    exif = Image.Exif()
    exif[0x010F] = "Zeiss"
    with_exif = photos.decode_photo(encoded(scene(), "JPEG", exif=exif, dpi=(300, 300)))
    photos.write_photo(path, [with_exif, Photo(scene(10, 12))])
    with Image.open(path) as image:
        assert image.n_frames == 2
        assert image.getexif()[0x010F] == "Zeiss"
        assert image.info["dpi"] == (300, 300)


@pytest.mark.req("FIL-039", "FIL-025", "FIL-037")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
@pytest.mark.parametrize("count", [1, 3])
def test_big_tiff_stays_one(tmp_path, dtype, channels, count):
    pages = [noise(20 + i, 30, *channels, seed=i, dtype=dtype) for i in range(count)]
    old, new = tmp_path / "old.tif", tmp_path / "new.tif"
    with tifffile.TiffWriter(old, bigtiff=True) as writer:
        for page in pages:
            colors = "rgb" if page.ndim == 3 and page.shape[2] > 2 else "minisblack"
            extra = {"extrasamples": ["unassalpha"]} if channels in ((2,), (4,)) else {}
            author = (315, 2, None, "Jürgen Müller".encode(), True)
            planes = {"planarconfig": "contig"} if channels else {}
            writer.write(
                page, photometric=colors, extratags=[author], metadata=None, **planes, **extra
            )
    photos.write_photo(new, photos.read_frames(old))
    with tifffile.TiffFile(new) as tiff:
        assert tiff.is_bigtiff
        assert len(tiff.pages) == count
        for page, held in zip(pages, tiff.pages, strict=True):
            np.testing.assert_array_equal(held.asarray(), page)
        assert tiff.pages[0].tags[305].value == "colorjax"
    assert "Jürgen Müller".encode() in new.read_bytes()
    back = photos.read_photo(new)
    assert back.metadata.big
    assert "Jürgen Müller".encode() in back.metadata.exif


@pytest.mark.req("FIL-039")
def test_more_than_a_tiff_holds_becomes_a_big_one(tmp_path, monkeypatch):
    photos.write_photo(tmp_path / "old.tif", [Photo(scene(20, 30)), Photo(scene(20, 30))])
    for most, big in ((2 * 20 * 30 * 3, False), (2 * 20 * 30 * 3 - 1, True)):
        monkeypatch.setattr(photos.reading, "LARGEST_TIFF", most)
        photos.write_photo(
            tmp_path / "new.tif", photos.read_frames(tmp_path / "old.tif"), overwrite=True
        )
        with tifffile.TiffFile(tmp_path / "new.tif") as tiff:
            assert tiff.is_bigtiff == big


@pytest.mark.req("FIL-038")
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_every_frame_is_turned(kind, orientation):
    upright = [scene(24, 32, seed) for seed in range(4)]
    stored = [Image.fromarray(oriented(frame, orientation)) for frame in upright]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(
        stored[0], kind, save_all=True, append_images=stored[1:], exif=exif.tobytes(), **options
    )
    seen = list(photos.decode_frames(data))
    assert len(seen) == 4
    for frame, held in zip(upright, seen, strict=True):
        np.testing.assert_array_equal(held.pixels, frame)
    again = list(photos.decode_frames(photos.encode_frames(seen, kind, quality=100)))
    for frame, held in zip(upright, again, strict=True):
        np.testing.assert_array_equal(held.pixels, frame)


CLEAR, WHITE, RED, BLUE = ((0, 0, 0, 0), (255, 255, 255, 255), (255, 0, 0, 255), (0, 0, 255, 255))
STAY, CLEAN, GO_BACK, REPLACE, OVER = 0, 1, 2, 0, 1  # PNG, third edition, 11.3.6.2


def moving_png(frames, default=None):
    """Return an animated PNG of 4 × 4 pixels, made by hand.

    Args:
        frames: Of each frame its color, its box (x, y, w, h), what happens afterwards, and how it is laid down.
        default: The color of a picture that is not part of the animation.
    """

    def pixels(color, w, h):
        return zlib.compress((b"\0" + bytes(color) * w) * h)

    data = PNG + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 6, 0, 0, 0))
    data += png_chunk(b"acTL", struct.pack(">II", len(frames), 3))
    if default:
        data += png_chunk(b"IDAT", pixels(default, 4, 4))
    numbers = itertools.count()
    for place, (color, (x, y, w, h), afterwards, laid) in enumerate(frames):
        control = struct.pack(">IIIII", next(numbers), w, h, x, y)
        data += png_chunk(b"fcTL", control + struct.pack(">HHBB", 1, 10, afterwards, laid))
        first = not default and place == 0
        number = b"" if first else struct.pack(">I", next(numbers))
        data += png_chunk(b"IDAT" if first else b"fdAT", number + pixels(color, w, h))
    return data + png_chunk(b"IEND", b"")


def shown(data):
    """Return the frames of an animation as arrays of RGBA."""
    for frame in photos.decode_frames(data):
        rgb = frame.pixels if frame.pixels.ndim == 3 else np.repeat(frame.pixels[..., None], 3, -1)
        alpha = np.full(rgb.shape[:2], 255, np.uint8) if frame.alpha is None else frame.alpha
        yield np.dstack([rgb, alpha])


WHOLE = (0, 0, 4, 4)


@pytest.mark.req("FIL-048")
def test_frame_that_goes_away_leaves_nothing():
    frames = [
        (RED, WHOLE, STAY, REPLACE),
        (BLUE, (0, 0, 2, 2), GO_BACK, OVER),
        (WHITE, (3, 3, 1, 1), STAY, OVER),
    ]
    expected = np.tile(np.uint8(RED), (4, 4, 1))
    expected[3, 3] = WHITE
    *_, last = shown(moving_png(frames))
    np.testing.assert_array_equal(last, expected)


@pytest.mark.req("FIL-048")
def test_half_transparent_frames_lie_over_each_other():
    frames = [
        ((255, 255, 255, 128), WHOLE, STAY, REPLACE),
        ((0, 0, 0, 128), (0, 0, 2, 2), CLEAN, OVER),
        ((0, 0, 255, 128), (1, 1, 2, 2), STAY, OVER),
    ]
    _, second, third = (frame.astype(int) for frame in shown(moving_png(frames)))
    share = 128 / 255  # PNG, third edition, 13.16: a share of 0.5 over one of 0.5
    alpha = 255 * (share + share * (1 - share))
    gray = 255 * share * (1 - share) / (alpha / 255)
    np.testing.assert_allclose(second[0, 0], [gray, gray, gray, alpha], atol=1)
    np.testing.assert_array_equal(second[3, 3], (255, 255, 255, 128))
    np.testing.assert_array_equal(third[0, 0], CLEAR)
    np.testing.assert_array_equal(third[1, 1], (0, 0, 255, 128))
    np.testing.assert_allclose(third[2, 2], [gray, gray, 255, alpha], atol=1)


@pytest.mark.req("FIL-048", "FIL-034")
def test_picture_outside_an_animation_is_no_frame():
    frames = [(RED, (1, 1, 2, 2), CLEAN, OVER), (BLUE, WHOLE, STAY, REPLACE)]
    data = moving_png(frames, default=WHITE)
    first, second = shown(data)
    np.testing.assert_array_equal(first[0, 0], CLEAR)
    np.testing.assert_array_equal(first[1, 1], RED)
    np.testing.assert_array_equal(second[0, 0], BLUE)
    assert photos.count_frames_in(data) == 2
    again = photos.encode_frames(photos.decode_frames(data), "PNG")
    with Image.open(io.BytesIO(again)) as image:
        assert (image.n_frames, image.default_image, image.info["duration"]) == (2, False, 100)
    still = photos.decode_photo(moving_png(frames[:1], default=WHITE))
    np.testing.assert_array_equal(still.pixels[1, 1], RED[:3])


@pytest.mark.req("FIL-048")
def test_picture_whose_animation_is_missing_is_read():
    none, one = (png_chunk(b"acTL", struct.pack(">II", count, 3)) for count in (0, 1))
    data = moving_png([], default=RED).replace(none, one)
    np.testing.assert_array_equal(photos.decode_photo(data).pixels[0, 0], RED[:3])


PALETTE = noise(8, 3, seed=1)
ALPHAS = np.array([255, 255, 0, 128, 255, 255, 255, 64], np.uint8)
CLEAR_GRAY, CLEAR_RGB = struct.pack(">H", 3), struct.pack(">3H", 3, 3, 3)
KINDS = {  # color type, depth, channels, levels, and chunks of an animation
    "palette": (3, 8, (), 8, [(b"PLTE", PALETTE.tobytes())]),
    "palette with alpha": (3, 8, (), 8, [(b"PLTE", PALETTE.tobytes()), (b"tRNS", ALPHAS.tobytes())]),
    "gray": (0, 8, (), 256, []),
    "gray, one level clear": (0, 8, (), 8, [(b"tRNS", CLEAR_GRAY)]),
    "gray of 4 bits, one level clear": (0, 4, (), 16, [(b"tRNS", CLEAR_GRAY)]),
    "gray with alpha": (4, 8, (2,), 256, []),
    "RGB": (2, 8, (3,), 256, []),
    "RGB, one color clear": (2, 8, (3,), 4, [(b"tRNS", CLEAR_RGB)]),
    "RGBA": (6, 8, (4,), 256, []),
}  # fmt: skip


def moving_png_of(kind, w, h, parts):
    """Return an animated PNG of stored values, (values, x, y, what happens afterwards, how it is laid down)."""
    color_type, depth, _, _, extra = KINDS[kind]
    data = PNG + png_chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color_type, 0, 0, 0))
    data += png_chunk(b"acTL", struct.pack(">II", len(parts), 0))
    data += b"".join(png_chunk(*each) for each in extra)
    numbers = itertools.count()
    for values, x, y, afterwards, laid in parts:
        control = struct.pack(">5I", next(numbers), *values.shape[1::-1], x, y)
        data += png_chunk(b"fcTL", control + struct.pack(">HHBB", 1, 10, afterwards, laid))
        rows = values.reshape(len(values), -1)
        if depth == 4:
            rows = np.pad(rows, [(0, 0), (0, rows.shape[1] % 2)])
            rows = rows[:, ::2] << 4 | rows[:, 1::2]
        packed = zlib.compress(np.pad(rows, [(0, 0), (1, 0)]).tobytes())
        if values is parts[0][0]:
            data += png_chunk(b"IDAT", packed)
        else:
            data += png_chunk(b"fdAT", struct.pack(">I", next(numbers)) + packed)
    return data + png_chunk(b"IEND", b"")


def rgba_of(kind, values):
    """Return stored values as RGBA in [0, 1]."""
    alpha = np.ones(values.shape[:2])
    if "palette" in kind:
        color = PALETTE[values] / 255
        alpha = ALPHAS[values] / 255 if "alpha" in kind else alpha
    elif "alpha" in kind or kind == "RGBA":
        color, alpha = values[..., :-1] / 255, values[..., -1] / 255
    else:
        color = values.reshape(*values.shape[:2], -1) / (2 ** KINDS[kind][1] - 1)
        alpha = (values != 3).reshape(color.shape).any(-1) if "clear" in kind else alpha
    return np.dstack([np.broadcast_to(color, (*alpha.shape, 3)), alpha])


def composed(kind, w, h, parts):
    """Yield what viewers show, in float64, by the words of the standard (11.3.6.2 and 13.16)."""
    canvas = np.zeros((h, w, 4))
    for values, x, y, afterwards, laid in parts:
        before, part = canvas.copy(), rgba_of(kind, values)
        place = np.s_[y : y + values.shape[0], x : x + values.shape[1]]
        if laid == OVER:
            under, share = canvas[place], part[..., 3:]
            alpha = share + under[..., 3:] * (1 - share)
            color = part[..., :3] * share + under[..., :3] * under[..., 3:] * (1 - share)
            part = np.concatenate([color / np.maximum(alpha, 1e-9), alpha], -1)
        canvas[place] = part
        yield canvas.copy()
        if afterwards == CLEAN:
            canvas[place] = 0
        elif afterwards == GO_BACK:
            canvas = before


@pytest.mark.req("FIL-048")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_every_color_type_are_composed(kind, seed):
    rng = np.random.default_rng(seed)
    w, h, count = 13, 9, 8
    parts = []
    for number in range(count):
        x, y = rng.integers(0, (w - 4, h - 4)) * bool(number)
        size = rng.integers(1, (h - y, w - x)) if number else (h, w)
        values = rng.integers(0, KINDS[kind][3], (*size, *KINDS[kind][2])).astype(np.uint8)
        parts.append((values, x, y, rng.integers(3), rng.integers(2)))
    data = moving_png_of(kind, w, h, parts)
    seen, expected = list(photos.decode_frames(data)), list(composed(kind, w, h, parts))
    assert len(seen) == len(expected) == count
    for photo, frame, levels in zip(seen, expected, shown(data), strict=True):
        share = frame[..., 3:]
        np.testing.assert_allclose(levels[..., 3:], 255 * share, atol=1.5)
        np.testing.assert_allclose(levels[..., :3] * share, 255 * frame[..., :3] * share, atol=2)
        exact = (share == 1)[..., 0] & np.isin(levels[..., 3], (0, 255))
        if kind not in ("palette with alpha", "gray with alpha", "RGBA"):
            np.testing.assert_array_equal(levels[exact], np.rint(255 * frame[exact]))
        if kind in ("palette", "gray", "RGB"):
            assert (photo.alpha is None) == (share == 1).all()
        assert photo.pixels.ndim == (2 if "gray" in kind else 3)


@pytest.mark.req("FIL-048", "FIL-043")
def test_frame_whose_end_is_missing_lies_on_the_frames_before_it():
    parts = [(noise(9, 13), 0, 0, CLEAN, REPLACE)]
    parts += [(noise(3, 4, seed=seed), seed, seed, STAY, REPLACE) for seed in (1, 2, 3)]
    data = moving_png_of("gray", 13, 9, parts)
    last = list(photos.decode_frames(data[:-24], allow_truncated=True))[-1]
    assert last.truncated
    *_, expected = composed("gray", 13, 9, parts)
    np.testing.assert_array_equal(last.alpha, 255 * expected[..., 3])


class _Counted(np.ndarray):
    """Pixels that can be referred to weakly."""


@pytest.mark.req("FIL-040")
@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp", ".avif"])
def test_a_few_pages_are_in_memory(network, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(coloring.os, "cpu_count", lambda: 2)
    pages = [scene(24, 32, seed) for seed in range(24)]
    photos.write_photo(tmp_path / "old.tif", map(Photo, pages))
    read, made, most = [], [], [0, 0]

    def counted(pixels, seen):
        held = pixels.view(_Counted)
        seen.append(weakref.ref(held))
        return held

    def alive(seen, bound):
        """Count what is referred to, once threads have let go of what they have finished."""
        for _ in range(500):
            count = sum(each() is not None for each in seen)
            if count <= bound:
                break
            time.sleep(0.02)
        return count

    def reading():
        for photo in photos.read_frames(tmp_path / "old.tif"):
            photo = dataclasses.replace(photo, pixels=counted(photo.pixels, read))
            most[0] = max(most[0], alive(read, 5))
            yield photo
            del photo

    def written(variant):
        for photo in variant:
            photo = dataclasses.replace(photo, pixels=counted(photo.pixels, made))
            most[1] = max(most[1], alive(made, 3))
            yield photo
            del photo

    _, (variant,) = coloring.color_file(reading, network, lambda _: coloring.ColorOptions())
    photos.write_photo(tmp_path / f"new{suffix}", written(variant))
    # the first page, the one before and the one that is being blended, one for each core; the next is read meanwhile
    assert most[0] <= 5
    assert most[1] <= 3
    assert photos.count_frames(tmp_path / f"new{suffix}") == 24


@pytest.mark.req("FIL-040")
def test_large_pages_are_taken_two_at_a_time(network, monkeypatch):
    monkeypatch.setattr(coloring.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(coloring, "AHEAD", 24 * 32 * 3)
    taken = []

    def reading():
        for seed in range(12):
            taken.append(seed)
            yield Photo(scene(24, 32, seed))

    for number, _ in enumerate(coloring.color_frames(reading(), network)):
        assert len(taken) - number <= 5


@pytest.mark.req("FIL-034")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_animations_keep_frames_and_timing(kind):
    data = photos.encode_frames(FRAMES, kind, quality=100 if kind == "WEBP" else 95)
    seen = list(photos.decode_frames(data))
    assert [frame.milliseconds for frame in seen] == [50, 100, 150, 200]
    if kind != "AVIF":  # which has no number of plays
        assert {frame.plays for frame in seen} == {3}
    for frame, held in zip(FRAMES, seen, strict=True):
        error = np.abs(held.pixels.astype(int) - frame.pixels)
        assert error.max() == 0 if kind != "AVIF" else error.mean() < 4


@pytest.mark.req("FIL-034")
def test_animation_keeps_its_alpha():
    frames = [Photo(scene(24, 32, i), noise(24, 32, seed=i), milliseconds=40.0) for i in range(3)]
    for frame, held in zip(
        frames, photos.decode_frames(photos.encode_frames(frames, "PNG")), strict=True
    ):
        np.testing.assert_array_equal(held.pixels, frame.pixels)
        np.testing.assert_array_equal(held.alpha, frame.alpha)


@pytest.mark.req("FIL-034")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("with_alpha", ["100", "010", "0011", "0100"])
def test_one_frame_with_alpha_gives_it_to_all(kind, with_alpha):
    frames = [
        Photo(scene(24, 32, i), noise(24, 32, seed=i) if each == "1" else None, milliseconds=40.0)
        for i, each in enumerate(with_alpha)
    ]
    data = photos.encode_frames(frames, kind, quality=100)
    for frame, held in zip(frames, photos.decode_frames(data), strict=True):
        assert held.milliseconds == 40
        opaque = np.full((24, 32), 255, np.uint8)
        expected = opaque if frame.alpha is None else frame.alpha
        np.testing.assert_array_equal(held.alpha, expected)
        if kind == "PNG":
            np.testing.assert_array_equal(held.pixels, frame.pixels)


@pytest.mark.req("FIL-034")
def test_opaque_alpha_of_later_frames_is_left_out():
    opaque = np.full((24, 32), 255, np.uint8)
    frames = [Photo(scene(24, 32, i), opaque if i else None) for i in range(3)]
    for frame in photos.decode_frames(photos.encode_frames(frames, "PNG")):
        assert frame.alpha is None


@pytest.mark.req("FIL-034")
@pytest.mark.parametrize(
    "milliseconds", [0, 1, 33, 65_535, 65_536, 123_457, 65_534_999, 65_535_000]
)
def test_durations_of_a_png(milliseconds):
    frames = [Photo(scene(24, 32, 1), milliseconds=float(milliseconds)) for _ in range(3)]
    seen = list(photos.decode_frames(photos.encode_frames(frames, "PNG")))
    assert len(seen) == 3  # equal ones, too
    for frame in seen:
        np.testing.assert_array_equal(frame.pixels, frames[0].pixels)
        assert abs(frame.milliseconds - milliseconds) <= max(0.5, milliseconds**2 / 65_535_000)


@pytest.mark.req("FIL-034")
def test_plays_are_at_most_what_the_format_holds():
    frames = [dataclasses.replace(frame, plays=100_000) for frame in FRAMES]
    for kind, plays in (("PNG", 100_000), ("WEBP", 65_535)):
        data = photos.encode_frames(frames, kind)
        assert {frame.plays for frame in photos.decode_frames(data)} == {plays}


@pytest.mark.req("FIL-034", "FIL-025")
def test_an_animated_png_is_what_its_standard_says():
    exif = Image.Exif()
    exif[0x010F] = "Zeiss"
    first = photos.decode_photo(encoded(scene(24, 32), "JPEG", exif=exif, dpi=(300, 300)))
    rest = [Photo(scene(24, 32, seed), milliseconds=20.0) for seed in range(3)]
    data = photos.encode_frames([dataclasses.replace(first, plays=7), *rest], "PNG")
    names, numbers, place = [], [], 8
    while place < len(data):
        size, name = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + size]
        assert int.from_bytes(data[place + 8 + size : place + 12 + size]) == zlib.crc32(name + body)
        names.append(name.decode())
        if name in (b"fcTL", b"fdAT"):
            numbers.append(int.from_bytes(body[:4]))
        if name == b"acTL":
            assert body == (4).to_bytes(4) + (7).to_bytes(4)
        place += 12 + size
    assert names[:2] == ["IHDR", "acTL"]
    assert names[-1] == "IEND"
    assert names.count("fcTL") == 4
    assert names.index("eXIf") < names.index("IDAT")
    assert numbers == list(range(len(numbers)))
    assert names.index("fcTL") < names.index("IDAT") < names.index("fdAT")
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x010F] == "Zeiss"


@pytest.mark.req("FIL-034")
@pytest.mark.parametrize("loop", [None, 0, 2])
def test_plays_of_a_gif(loop):
    frames = [Image.fromarray(scene(24, 32, seed)) for seed in range(3)]
    options = {} if loop is None else {"loop": loop}
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], **options)
    assert {photo.plays for photo in photos.decode_frames(data)} == {{None: 1, 0: 0, 2: 3}[loop]}


@pytest.mark.req("FIL-034")
@pytest.mark.parametrize(("kind", "named"), [("JPEG", "JPEG"), ("PNG", "sizes"), ("WEBP", "sizes")])
def test_frames_that_a_format_cannot_hold_are_one_line(tmp_path, kind, named):
    pages = [Photo(scene(20, 30)), Photo(scene(21, 30))]
    with pytest.raises(errors.OutputError, match=named) as error:
        photos.encode_frames(pages, kind)
    assert str(error.value).isprintable()


@pytest.mark.req("FIL-035")
def test_frames_count_together():
    data = photos.encode_frames(FRAMES, "PNG")
    assert len(list(photos.decode_frames(data, max_pixels=4 * 24 * 32))) == 4
    with pytest.raises(errors.PhotoError, match="4 frames"):
        list(photos.decode_frames(data, max_pixels=4 * 24 * 32 - 1))
    pages = photos.encode_frames(FRAMES, "TIFF")  # are taken one by one
    assert len(list(photos.decode_frames(pages, max_pixels=24 * 32))) == 4


@pytest.mark.req("FIL-035")
def test_frames_open_their_file_once(monkeypatch):
    opened = []
    original = photos.headers.open_image
    monkeypatch.setattr(
        photos.headers, "open_image", lambda file: opened.append(1) or original(file)
    )
    assert len(list(photos.decode_frames(photos.encode_frames(FRAMES, "WEBP")))) == 4
    assert len(opened) == 1


@pytest.mark.req("FIL-036")
def test_one_of_two_writers_wins(tmp_path):
    def write(seed):
        try:
            photos.write_bytes(path, bytes([seed]) * 1000)
        except errors.OutputError:
            return None
        return seed

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number in range(20):
            path = tmp_path / str(number)
            (winner,) = [seed for seed in pool.map(write, range(8)) if seed is not None]
            assert path.read_bytes() == bytes([winner]) * 1000
    assert len(list(tmp_path.iterdir())) == 20


def _write_and_wait(path, writing_now):
    os.fsync = lambda _: (writing_now.set(), signal.pause())
    photos.write_bytes(path, b"half")


@pytest.mark.req("FIL-036")
def test_what_a_killed_writer_leaves_is_swept(tmp_path):
    context = multiprocessing.get_context("spawn")
    writing_now = context.Event()
    process = context.Process(target=_write_and_wait, args=(tmp_path / "photo.png", writing_now))
    process.start()
    assert writing_now.wait(600)
    try:
        (temporary,) = tmp_path.iterdir()
        photos.remove_temporaries(tmp_path)  # at work: stays
        assert list(tmp_path.iterdir()) == [temporary]
        assert temporary.name.startswith(".")
    finally:
        process.kill()
        process.join()
    (tmp_path / ".colorjax-notes.tmp").write_text("mine")
    photos.remove_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".colorjax-notes.tmp"]
    photos.remove_temporaries(tmp_path / "absent")


@pytest.mark.req("FIL-036")
def test_swept_before_it_is_locked(tmp_path, monkeypatch):
    lock, swept = writing.fcntl.flock, []

    def flock(file, how):
        if not swept:
            swept.extend(tmp_path.iterdir())
            photos.remove_temporaries(tmp_path)
            assert not swept[0].exists()
        lock(file, how)

    monkeypatch.setattr(writing.fcntl, "flock", flock)
    photos.write_bytes(tmp_path / "photo.png", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
    assert (tmp_path / "photo.png").read_bytes() == b"whole"


@pytest.mark.req("FIL-036", "FIL-014")
def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(writing.os, "link", refuse)
    path = tmp_path / "photo.png"
    photos.write_photo(path, scene())
    before = path.read_bytes()
    with pytest.raises(errors.OutputError, match="exists"):
        photos.write_photo(path, scene(seed=1))
    assert path.read_bytes() == before
    assert io.BytesIO(before).read(4) == b"\x89PNG"
