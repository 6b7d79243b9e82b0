"""Photo files that are made to harm: headers, bombs, missing ends (spec/files.md)."""

import concurrent.futures
import contextlib
import io
import itertools
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from commanding import colorize, files
from pictures import encoded, noise, png_header, scene, tiff
from PIL import Image, ImageFile
from test_photos import one_line, save

import colorjax
from colorjax import errors, photos
from colorjax.photos import tints

__all__ = ["save"]  # the fixture
PHOTO = scene()
TIFF_TYPES = range(1, 14)  # TIFF 6.0, section 2
ORIENTATION, COPYRIGHT = 0x0112, 0x8298
EXTREMES = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def tiff_tags(order, kind, tag, count, value):
    """Return a small gray TIFF with one of its entries replaced."""
    entries = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    table = b""
    for name in sorted({*entries, tag}):
        form, held = (kind, value) if name == tag else (4, entries[name])
        number = count if name == tag else 1
        table += struct.pack(f"{order}HHII", name, form, number, held)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 72)
    return (
        head + noise(8, 8).tobytes() + struct.pack(f"{order}H", len(table) // 12) + table + bytes(4)
    )


def hostile_tiffs():
    tags = (
        254,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        282,
        284,
        296,
        317,
        320,
        322,
        323,
        324,
        325,
    )
    tags += (330, 338, 339, 347, 529, 530, 700, 34665, 34675, 34853)
    for tag, kind in itertools.product(tags, TIFF_TYPES):
        for count, value in [(0, 8), (2, 8), (2**32 - 1, 8), *((1, value) for value in EXTREMES)]:
            yield tiff_tags("<>"[(tag + kind) % 2], kind, tag, count, value)


@pytest.mark.slow
@pytest.mark.req("FIL-041")
def test_hostile_headers_are_one_line(tmp_path):
    script = """
import resource, sys
from test_hostile import hostile_tiffs, photos, errors
photos.read_photo(photos.sample_photos()[0])
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
for number, data in enumerate(hostile_tiffs()):
    for attempt in (photos.decode_photo, lambda d: [f.bits for f in photos.decode_frames(d)]):
        try:
            attempt(data)
        except errors.PhotoError as error:
            assert str(error).isprintable() and len(str(error)) < 400, error
print(number)
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert int(found.stdout) > 3000


@pytest.mark.req("FIL-041", "FIL-007")
@pytest.mark.parametrize(
    "error",
    [
        TypeError("x"),
        struct.error("x"),
        MemoryError(),
        RecursionError("x"),
        OverflowError("x"),
        KeyError(3),
    ],
)
def test_whatever_a_library_raises_is_one_line(save, monkeypatch, error):
    def fail(*_):
        raise error

    path = save("a.png", encoded(PHOTO, "PNG"))
    monkeypatch.setattr(photos.decoding, "decode", fail)
    with pytest.raises(errors.PhotoError) as caught:
        photos.read_photo(path)
    one_line(caught, "a.png")
    monkeypatch.setattr(photos.encoding, "encode", fail)
    with pytest.raises(errors.OutputError) as caught:
        photos.write_photo(path.with_name("b.png"), PHOTO)
    one_line(caught, "b.png")


def bombs():
    """Return tiny files of 361 megapixels, of 1,200 frames, and of 150 scans."""
    jp2 = bytearray(encoded(np.zeros((64, 64), np.uint8), "JPEG2000", no_jp2=True))
    siz = jp2.index(b"\xff\x51")
    struct.pack_into(">II", jp2, siz + 6, 19_000, 19_000)
    struct.pack_into(">II", jp2, siz + 22, 19_000, 19_000)
    webp = b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<IB", 13, 0x2F)
    webp += struct.pack("<I", 16382 | 16382 << 14) + bytes(9)
    gif = bytearray(encoded(np.zeros((1, 1), np.uint8), "GIF"))
    struct.pack_into("<HH", gif, 6, 19_000, 19_000)
    still = [Image.fromarray(np.full((2, 2), level, np.uint8)) for level in (0, 255)]
    frames = [still[number % 2] for number in range(1, 1200)]
    moving = encoded(still[0], "GIF", save_all=True, append_images=frames)
    pages = encoded(still[0], "TIFF", save_all=True, append_images=frames)
    jpeg = encoded(PHOTO, "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    scans = jpeg[:-2] + 150 * jpeg[last:-2] + b"\xff\xd9"
    return {
        "jp2": bytes(jp2),
        "webp": webp,
        "gif": bytes(gif),
        "frames": moving,
        "pages": pages,
        "scans": scans,
    }


@pytest.mark.req("FIL-042")
@pytest.mark.parametrize("kind", ["jp2", "webp", "gif", "frames", "pages", "scans"])
def test_small_bombs_are_refused(kind):
    data = bombs()[kind]
    options = {"max_pixels": 2_000_000} if kind in ("frames", "pages", "scans") else {}
    with pytest.raises(errors.TooLargeError) as caught:
        for _ in photos.decode_frames(data, name="bomb", **options):
            pass
    one_line(
        caught,
        "bomb",
        {"frames": "1000 frames", "pages": "1000 frames", "scans": "100 scans"}.get(kind, "bytes"),
    )
    if options:
        assert sum(1 for _ in photos.decode_frames(data)) == (1 if kind == "scans" else 1200)


@pytest.mark.req("FIL-042")
@pytest.mark.parametrize("kind", ["frames", "pages"])
def test_too_many_frames_are_refused_before_a_pixel_is_decoded(monkeypatch, kind):
    data = bombs()[kind]
    monkeypatch.setattr(photos.decoding, "decode", None)
    with pytest.raises(errors.TooLargeError) as caught:
        next(photos.decode_frames(data, name="many", max_pixels=2_000_000))
    one_line(caught, "many", "1000 frames")


@pytest.mark.req("FIL-042", "FIL-046")
def test_scans_are_counted_in_a_few_reads():
    class Counted(io.BytesIO):
        reads = 0

        def read(self, *size):
            self.reads += 1
            return super().read(*size)

    data = encoded(PHOTO, "JPEG")
    file = Counted(data[:-2] + b"\xff\xda\0\2" * 20_000 + b"\xff\xd9")
    with (
        pytest.raises(errors.TooLargeError) as caught,
        photos.opening.open_photo(file, "many", 10**6),
    ):
        pass
    one_line(caught, "many", "100 scans")
    assert file.reads < 1000


@pytest.mark.req("FIL-042")
def test_scans_are_counted():
    for progressive, expected in ((False, 1), (True, 10)):
        data = encoded(PHOTO, "JPEG", progressive=progressive)
        assert data.count(b"\xff\xda") == expected  # stuffed bytes hide none
        for extra in (b"", b"\xff\xda" * 500):
            assert photos.parts.count_scans(io.BytesIO(data + extra), 99) == expected
        with_thumbnail = encoded(
            PHOTO, "JPEG", progressive=progressive, exif=b"Exif\0\0" + b"\xff\xda" * 500
        )
        assert photos.parts.count_scans(io.BytesIO(with_thumbnail), 99) == expected
    assert photos.parts.count_scans(io.BytesIO(encoded(PHOTO, "PNG")), 99) == 0
    long = encoded(noise(1024, 1024, 3), "JPEG", quality=100)
    assert photos.parts.count_scans(io.BytesIO(long), 99) == 1


def short_strips(pixels, strips, kept):
    """Return an uncompressed TIFF whose header tells of fewer strips than its rows fill, and of their count."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, rowsperstrip=len(pixels) // strips, metadata=None, byteorder="<")
    file.seek(0)
    with tifffile.TiffFile(file, mode="r+b") as opened:
        page = opened.pages[0]
        assert len(page.dataoffsets) == strips
        for tag in (273, 279):
            page.tags[tag].overwrite(page.tags[tag].value[:kept])
    return file.getvalue()


@pytest.mark.req("FIL-043")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_missing_strips_are_told(save, dtype, channels):
    pixels = noise(40, 30, *channels, dtype=dtype)
    path = save("a.tif", short_strips(pixels, 8, 5))
    with pytest.raises(errors.TruncatedError) as caught:
        photos.read_photo(path)
    one_line(caught, "a.tif", "5 of 8 strips")
    photo = photos.read_photo(path, allow_truncated=True)
    assert photo.truncated
    np.testing.assert_array_equal(photo.pixels[:25], pixels[:25])
    assert (photo.pixels[25:] == 0).all()
    assert not photos.read_photo(save("b.tif", tiff(pixels)), allow_truncated=True).truncated


@pytest.mark.req("FIL-043")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_missing_ends_are_opened_on_request(save, kind):
    whole = encoded(noise(64, 48), kind)
    path = save("a", whole[: len(whole) // 2])
    for read in (photos.read_photo, lambda path: list(photos.read_frames(path))):
        with pytest.raises(errors.TruncatedError) as caught:
            read(path)
        one_line(caught, "a")
    photo = photos.read_photo(path, allow_truncated=True)
    assert photo.truncated
    assert photo.pixels.shape == (64, 48)
    expected = photos.decode_photo(whole).pixels
    np.testing.assert_array_equal(photo.pixels[:16], expected[:16])
    (frame,) = photos.read_frames(path, allow_truncated=True)
    np.testing.assert_array_equal(frame.pixels, photo.pixels)
    with pytest.raises(errors.PhotoError):
        photos.read_photo(save("b", whole[:20]), allow_truncated=True)


@pytest.mark.req("FIL-043")
def test_missing_pages_are_left_out(save):
    pages = [noise(40, 30, seed=seed) for seed in range(3)]
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, metadata=None, contiguous=False)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as opened:
        place = opened.pages[2].dataoffsets[0]
    path = save("a.tif", file.getvalue()[: place + 600])
    seen = list(photos.read_frames(path, allow_truncated=True))
    assert [frame.truncated for frame in seen] == [False, False, True]
    np.testing.assert_array_equal(seen[2].pixels[:20], pages[2][:20])
    with pytest.raises(errors.TruncatedError):
        list(photos.read_frames(path))


@pytest.mark.req("FIL-042", "FIL-043")
@pytest.mark.parametrize("following", [0, 10**6, "itself"])
def test_chains_of_pages_end(save, following):
    data = bytearray(encoded(noise(40, 30), "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    place = start + 2 + 12 * count
    struct.pack_into("<I", data, place, start if following == "itself" else following)
    path = save("a.tif", bytes(data))
    assert photos.memory_needed(path) >= 40 * 40 * 30
    photo = photos.read_photo(path)
    assert not photo.truncated
    if following == 10**6:
        with pytest.raises(errors.PhotoError):
            list(photos.read_frames(path))
        (frame,) = photos.read_frames(path, allow_truncated=True)
        assert frame.truncated
    else:
        assert len(list(photos.read_frames(path))) == 1


def with_chunks(name, number, *, last=False):
    """Return a PNG with empty chunks before its pixels, or behind them."""
    data = encoded(noise(8, 8), "PNG")
    chunk = bytes(4) + name + struct.pack(">I", zlib.crc32(name))
    place = data.index(b"IEND" if last else b"IDAT") - 4
    return data[:place] + number * chunk + data[place:]


def with_blocks(between):
    """Return a GIF with more bytes before its image."""
    data = encoded(noise(8, 8), "GIF")
    place = 13 + 3 * (2 << (data[10] & 7))  # behind the global color table
    return data[:place] + between + data[place:]


def with_boxes(number):
    """Return a JPEG 2000 file with empty boxes before its codestream."""
    data = encoded(noise(8, 8), "JPEG2000")
    place = data.index(b"jp2c") - 4
    return data[:place] + number * struct.pack(">I4s", 8, b"free") + data[place:]


def with_bytes(between):
    """Return a JPEG with more bytes before its first segment."""
    data = encoded(noise(8, 8), "JPEG")
    return data[:2] + between + data[2:]


@pytest.mark.req("FIL-046")
@pytest.mark.parametrize(
    ("make", "most", "in_header"),
    [
        (lambda number: with_chunks(b"teXt", number), 39_999, True),  # and IHDR
        (lambda number: with_chunks(b"teXt", number, last=True), 39_999, False),
        (lambda number: with_bytes(b"\xff\xfe\0\2" * number), 39_995, True),  # and five others
        (lambda number: with_bytes(b"\xff" * number), 39_995, True),
        (lambda number: with_bytes(b"\xff\xe1\0\x08Exif\0\0" * number), 199, True),
    ],
    ids=["chunks", "chunks behind", "segments", "stray bytes", "EXIF"],
)
def test_parts_of_a_header_are_limited(save, make, most, in_header):
    photos.read_photo(save("a", make(most)))
    path = save("b", make(most + 1))
    with pytest.raises(errors.PhotoError) as caught:
        photos.read_photo(path)
    one_line(caught, "b", "more than 40000 parts")
    for ask in (photos.output_suffix, photos.memory_needed, photos.count_frames):
        with pytest.raises(errors.PhotoError) if in_header else contextlib.nullcontext():
            ask(path)


@pytest.mark.req("FIL-046")
@pytest.mark.parametrize(
    ("make", "most", "in_header"),
    [
        (lambda number: with_chunks(b"IDAT", number), 39_999, False),  # and IHDR
        (lambda number: with_chunks(b"IDAT", number, last=True), 39_999, False),
        (lambda number: with_blocks(bytes(number)), 40_000, True),
        (lambda number: with_blocks(b"!\xfe\1a\0" * number), 40_000, True),
        (lambda number: with_blocks(b"!\xfe" + b"\1a" * number + b"\0"), 40_000, True),
        (lambda number: with_blocks(b"!\x01\0;" + b"a" * 59 + bytes(1 + number)), 39_998, True),
        (lambda number: with_bytes(b"")[:-2] + b"\xff\xfe\0\2" * number, 39_995, False),
        (lambda number: webp_with(b"ABCD\0\0\0\0" * number), 39_997, True),  # VP8X, VP8L, EXIF
        (with_boxes, 39_995, True),
    ],
    ids=[
        "pixels",
        "pixels behind",
        "stray bytes of GIF",
        "comments",
        "a comment in pieces",
        "a block that Pillow reads on",
        "segments behind",
        "chunks of WebP",
        "boxes",
    ],
)
def test_parts_of_other_kinds_are_limited(save, make, most, in_header):
    test_parts_of_a_header_are_limited(save, make, most, in_header)


def webp_with(chunks):
    """Return a WebP with more chunks at its end."""
    data = encoded(noise(8, 8, 3), "WEBP", lossless=True, exif=b"Exif\0\0II*\0" + bytes(10))
    body = data[8:] + chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def grown(kind, size):
    """Return a photo with zeros behind its end."""
    return encoded(noise(8, 8, 3), kind).ljust(size, b"\0")


def large_chunk(number):
    data = encoded(noise(8, 8), "PNG")
    return (
        data[:33] + struct.pack(">I4s", number << 13, b"tEXt"),
        number << 13,
        bytes(4) + data[33:],
    )


def large_segments(number):
    data = encoded(noise(8, 8), "JPEG")
    return data[:2], *(number // 8 * [b"\xff\xe3\xff\xff", 65_533]), data[2:]


def large_box(number):
    data = encoded(noise(8, 8), "JPEG2000")
    place = data.index(b"jp2h") + 4
    size = number << 13
    return data[:place] + struct.pack(">I4s", size, b"free"), size - 8, data[place:]


def large_entry(kind, tag, size):
    """Return a TIFF with an entry of many values, in pieces."""
    return lambda number: (tiff_tags("<", kind, tag, number * size, 0), 8 * number * size)


@pytest.mark.req("FIL-046")
@pytest.mark.parametrize(
    ("make", "most", "more"),
    [
        (large_chunk, 39_998, 39_999),  # IHDR, and its own part
        (large_segments, 39_995, 40_000),  # five others
        (large_box, 39_994, 39_995),  # six boxes
        (large_entry(7, 40_000, 1 << 16), 39_990, 39_991),  # ten entries
        (large_entry(5, 40_000, 64), 39_990, 39_991),
        (large_entry(4, 273, 64), 39_991, 39_992),
    ],
    ids=["chunk", "segments", "box", "bytes in TIFF", "numbers in TIFF", "strips of TIFF"],
)
def test_large_parts_count_more_than_once(tmp_path, make, most, more):
    for number, fits in ((most, True), (more, False)):
        with open(tmp_path / "a", "w+b") as file:
            for piece in make(number):
                file.seek(piece, io.SEEK_CUR) if isinstance(piece, int) else file.write(piece)
            file.truncate()
            assert (photos.parts.count_parts(file, 40_000, whole=False) <= 40_000) == fits


@pytest.mark.req("FIL-046")
def test_long_exif_is_left_out():
    photo = Image.new("L", (8, 9))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[COPYRIGHT] = "x" * (1 << 24)
    data = io.BytesIO()
    photo.save(data, "PNG", exif=exif)
    found = photos.decode_photo(data.getvalue())
    assert found.pixels.shape == (9, 8)
    assert found.metadata.exif == photos.decode_photo(encoded(noise(8, 8), "PNG")).metadata.exif


@pytest.mark.req("FIL-046")
@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "HEIF"])
def test_files_that_are_held_as_a_whole_have_a_limit(save, monkeypatch, kind):
    monkeypatch.setattr(photos.opening, "LARGEST_WHOLE", 100_000)
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
        photos.formats.need_heif()
    assert photos.read_photo(save("a", grown(kind, 100_000))).pixels.shape == (8, 8, 3)
    path = save("b", grown(kind, 100_001))
    for ask in (photos.read_photo, photos.output_suffix, photos.memory_needed, photos.count_frames):
        with pytest.raises(errors.PhotoError) as caught:
            ask(path)
        one_line(caught, "b", "100001 bytes")
    photos.read_photo(save("c", grown("PNG", 100_001)))


@pytest.mark.req("FIL-046")
def test_pixels_and_frames_are_no_parts():
    def count(data):
        return photos.parts.count_parts(io.BytesIO(data), 40_000, whole=True)

    png = encoded(noise(8, 8), "PNG")
    place = png.index(b"IDAT") - 4
    large = struct.pack(">I4s", 100, b"IDAT") + bytes(104)
    assert count(png[:place] + 50_000 * large + png[place:]) == 2  # IHDR, and the last one
    assert count(with_chunks(b"fcTL", 50_000)) == 1
    still = [Image.fromarray(np.full((2, 2), level, np.uint8)) for level in (0, 255)]
    frames = [still[number % 2] for number in range(1, 100)]
    for kind, most in (("PNG", 2), ("GIF", 2)):  # IHDR, acTL; the number of plays
        assert count(encoded(still[0], kind, save_all=True, append_images=frames, loop=0)) == most
    assert count(encoded(noise(500, 500), "GIF")) == 0


@pytest.mark.req("FIL-046")
def test_directories_are_counted_up_to_a_limit(save):
    data = bytearray(encoded(noise(40, 30), "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    places = len(data) + 6 * np.arange(250_000)
    struct.pack_into("<I", data, start + 2 + 12 * count, places[0])
    chain = np.zeros(len(places), [("count", "<u2"), ("next", "<u4")])
    chain["next"][:-1] = places[1:]
    path = save("a.tif", bytes(data) + chain.tobytes())
    assert photos.count_frames(path) == 200_000
    assert photos.read_photo(path).pixels.shape == (40, 30)


@pytest.mark.req("FIL-020")
@pytest.mark.parametrize("deep", [False, True])
def test_the_depth_of_jpeg_2000_is_found_behind_other_boxes(save, deep):
    data = bytearray(encoded(noise(8, 8, 3), "JPEG2000"))
    if deep:  # each channel of 16 bits, as the codestream says
        siz = data.index(b"\xff\x4f\xff\x51") + 2
        data[siz + 40 : siz + 49 : 3] = b"\x0f" * 3
    place = data.index(b"jp2c") - 4
    box = struct.pack(">I", 100_000) + b"free" + bytes(99_992)
    path = save("a.jp2", bytes(data[:place]) + box + bytes(data[place:]))
    if deep:
        with pytest.raises(errors.PhotoError) as caught:
            photos.output_suffix(path)
        one_line(caught, "a.jp2", "more than 8 bits")
    else:
        np.testing.assert_array_equal(photos.read_photo(path).pixels, noise(8, 8, 3))


@pytest.mark.req("FIL-001")
def test_subsampled_chroma_is_never_taken_for_whole(save):
    file = io.BytesIO()
    Image.fromarray(noise(8, 8, 3)).convert("YCbCr").save(file, "TIFF", compression="raw")
    path = save("a.tif", file.getvalue())
    assert photos.read_photo(path).pixels.shape == (8, 8, 3)
    with tifffile.TiffFile(path, mode="r+b") as opened:
        opened.pages[0].tags[530].overwrite((2, 2))
    with pytest.raises(errors.PhotoError) as caught:
        photos.read_photo(path)
    one_line(caught, "a.tif", "subsampled YCbCr")


@pytest.mark.req("FIL-007")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_that_takes_the_place_of_a_photo_is_not_waited_for(save, monkeypatch):
    path, stat = save("a.png", encoded(PHOTO, "PNG")), os.stat
    held = []

    def replaced(place):
        found = stat(place)
        if not held:
            path.unlink()
            os.mkfifo(path)
            held.append(os.open(path, os.O_RDWR))  # so that opening it waits for nobody
        return found

    with monkeypatch.context() as patched:
        patched.setattr(photos.opening.os, "stat", replaced)
        with contextlib.suppress(errors.PhotoError), photos.opening.regular_file(path):
            pytest.fail("it was opened")
    with pytest.raises(errors.PhotoError) as caught, photos.opening.regular_file(path):
        pass
    one_line(caught, "a.png", "a special file")
    os.close(held[0])


@pytest.mark.req("FIL-043", "FIL-008")
def test_other_threads_stay_strict(save):
    whole = encoded(noise(64, 48), "JPEG")
    path = save("a.jpg", whole[: len(whole) // 2])

    def read(number):
        try:
            return photos.read_photo(path, allow_truncated=number % 2 == 0).truncated
        except errors.TruncatedError:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(200))) == [True, None] * 100
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.req("CMD-060")
def test_command_opens_what_there_is(tiny_weights, tmp_path, capfd):
    whole = encoded(scene(64, 48), "PNG")
    album = tmp_path / "album"
    album.mkdir()
    (album / "cut.png").write_bytes(whole[: len(whole) // 2])
    (album / "whole.png").write_bytes(whole)
    command = [album, "--weights", tiny_weights, "--out"]
    assert colorize(*command, tmp_path / "strict") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "cut.png" in line
    assert "--allow-truncated" in line
    assert files(tmp_path / "strict") == {"whole.png"}
    assert (
        colorize(
            *command, tmp_path / "lenient", "--allow-truncated", "--json", tmp_path / "told.json"
        )
        == 0
    )
    (line,) = capfd.readouterr().err.splitlines()
    assert "cut.png: its end is missing" in line
    assert files(tmp_path / "lenient") == {"cut.png", "whole.png"}
    told = json.loads((tmp_path / "told.json").read_text())["photos"]
    assert [photo.get("truncated", False) for photo in told] == [True, False]
    stream = [album / "cut.png", "--out", "-", "--weights", tiny_weights]
    assert colorize(*stream) == 1
    capfd.readouterr()
    assert colorize(*stream, "--allow-truncated") == 0
    assert "its end is missing" in capfd.readouterr().err


@pytest.mark.req("FIL-044")
@pytest.mark.parametrize("shape", [(1, 1000), (30, 300), (3000, 2), (1000, 1400)])
def test_memory_is_told_for_every_aspect_ratio(save, shape):
    from colorjax.inference import tiles
    from colorjax.inference.pipeline import working_shape

    told = photos.memory_needed(save("a.png", png_header(*shape[::-1])))
    rgb = noise(*shape, 3)
    tracemalloc.start()
    try:
        tints.is_tinted(rgb)
        tiles.reduce_gray(rgb, working_shape(shape, colorjax.preset("photo")))
        assert told / 80 <= tracemalloc.get_traced_memory()[1] <= told
    finally:
        tracemalloc.stop()


@pytest.mark.req("FIL-044")
@pytest.mark.parametrize("side", [100, 14_336, 10**6, 4 * 10**8])
@pytest.mark.parametrize("cells", [4, 224, 3584, 6016])
def test_a_long_side_has_few_blocks(side, cells):
    from colorjax.inference import resampling

    block = resampling.block_side(side, cells)
    assert -(-side // block) <= max(4 * cells, resampling.MOST_BLOCKS)
    usual = min(256, max(1, side // (2 * cells)))
    assert block == usual or -(-side // usual) > resampling.MOST_BLOCKS


@pytest.mark.req("FIL-044")
def test_a_very_long_photo_is_averaged_in_few_blocks():
    rgb = np.zeros((1, 600_001, 3), np.uint16)
    rgb[:, 300_000:] = 65535
    from colorjax.inference import tiles

    means = tints._blocks(rgb)[:, 0]
    assert len(means) <= 1 << 18
    assert (means[: len(means) // 2 - 1] == 0).all()
    assert (means[len(means) // 2 + 1 :] == 65535).all()
    gray = tiles.shrink_gray(np.repeat(rgb[..., 0], 9, 1), (1, 4))
    np.testing.assert_allclose(gray, [[0, 0, 255, 255]], atol=20)


@pytest.mark.req("FIL-044")
def test_kept_matrices_have_a_bounded_number_of_bytes():
    from colorjax.inference import resampling

    calls = []

    @resampling._kept
    def matrix(side):
        calls.append(side)
        return np.zeros(side, np.uint8)

    half = resampling.MOST_KEPT // 2
    for side in (half, 10, half, half + 1, 10, half, 3 * half, 10):
        assert len(matrix(side)) == side
    assert calls == [half, 10, half + 1, 10, half, 3 * half, 10]


@pytest.mark.req("FIL-044")
def test_memory_is_told_from_the_header(save):
    shape = (300, 200)
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000"):
        path = save("a", encoded(scene(*shape), kind))
        assert 20 <= photos.memory_needed(path) / (300 * 200) <= 80
    frames = [Image.fromarray(scene(*shape, seed)) for seed in range(5)]
    few, many = (
        photos.memory_needed(
            save("b", encoded(frames[0], "PNG", save_all=True, append_images=each))
        )
        for each in (frames[1:3], frames[1:])
    )
    assert 0 < many - few < 30 * 300 * 200
    few, many = (
        photos.memory_needed(
            save("e", encoded(frames[0], "AVIF", save_all=True, append_images=each))
        )
        for each in (frames[1:3], frames[1:])
    )
    assert many - few == 2 * 2 * 300 * 200  # its encoder keeps up to 1.74 bytes per pixel
    pages = save("c", encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert photos.memory_needed(pages) == 3 * photos.memory_needed(
        save("d", encoded(frames[0], "TIFF"))
    )
