"""Files drawn from format × mode × depth × metadata × pages, colored, and what comes out of them (spec/files.md)."""

import dataclasses
import io

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from light import LIGHT
from pictures import bmp_with_alpha, noise, oriented, png, scene
from PIL import Image

from colorjax import photos
from colorjax.jobs import coloring
from colorjax.jobs.coloring import ColorOptions

LOSSLESS = ("PNG", "TIFF", "BigTIFF", "BMP", "JPEG2000")
DEEP = ("PNG", "TIFF", "BigTIFF")
WITH_ALPHA = ("PNG", "TIFF", "BigTIFF", "WEBP", "BMP", "JPEG2000")
WITH_EXIF = ("JPEG", "PNG", "TIFF", "BigTIFF", "WEBP", "AVIF")
WITH_PAGES = ("TIFF", "BigTIFF", "PNG", "WEBP")
SIZES = ((24, 32), (17, 40), (1, 9))  # few: each makes its programs
AUTHOR = "Jürgen Müller".encode()


@dataclasses.dataclass(frozen=True)
class Drawn:
    kind: str
    size: tuple[int, int]
    color: bool
    alpha: bool
    deep: bool
    orientation: int
    author: bool
    dpi: int
    pages: int
    seed: int


@st.composite
def files(draw):
    """Draw a file that its format can hold."""
    kind = draw(
        st.sampled_from(["JPEG", "PNG", "TIFF", "BigTIFF", "WEBP", "AVIF", "BMP", "JPEG2000"])
    )
    pages = draw(st.integers(1, 3)) if kind in WITH_PAGES else 1
    deep = kind in DEEP and draw(st.booleans()) and (pages == 1 or "TIFF" in kind)
    color = draw(st.booleans()) or kind in ("WEBP", "AVIF") or (pages > 1 and kind == "PNG")
    alpha = kind in WITH_ALPHA and (kind != "BMP" or color) and draw(st.booleans())
    by_tifffile = "TIFF" in kind or (deep and kind == "PNG")
    return Drawn(
        kind,
        draw(st.sampled_from(SIZES)),
        color,
        alpha,
        deep,
        draw(st.integers(1, 8)) if kind in WITH_EXIF and not (by_tifffile and kind == "PNG") else 1,
        # Pillow's AVIF writer turns what is not ASCII into question marks
        kind in WITH_EXIF
        and kind != "AVIF"
        and not (by_tifffile and kind == "PNG")
        and draw(st.booleans()),
        draw(st.sampled_from([0, 72, 300])) if kind in ("JPEG", "PNG") and not by_tifffile else 0,
        pages,
        draw(st.integers(0, 99)),
    )


def levels(drawn, page):
    """Return the upright pixels of a page, with alpha last."""
    h, w = drawn.size
    rgb = scene(h, w, drawn.seed + page) if min(drawn.size) > 1 else noise(h, w, 3, seed=page)
    planes = [rgb] if drawn.color else [rgb[..., 1]]
    if drawn.alpha:
        planes.append(noise(h, w, seed=drawn.seed + page) | 1)
    whole = np.dstack(planes) if len(planes) > 1 or drawn.color else planes[0]
    if not drawn.deep:
        return whole
    return whole.astype(np.uint16) * 257 - (whole > 7).astype(np.uint16) * (drawn.seed % 256)


def written(drawn):
    """Return the bytes of the file, by other writers than colorjax's."""
    stored = [oriented(levels(drawn, page), drawn.orientation) for page in range(drawn.pages)]
    if "TIFF" in drawn.kind:
        file = io.BytesIO()
        with tifffile.TiffWriter(file, bigtiff=drawn.kind == "BigTIFF") as writer:
            for page in stored:
                tags = [(274, 3, 1, drawn.orientation, True)]
                tags += [(315, 2, None, AUTHOR, True)] * drawn.author
                writer.write(
                    page,
                    photometric="rgb" if drawn.color else "minisblack",
                    planarconfig="contig" if page.ndim == 3 else None,
                    extrasamples=["unassalpha"] if drawn.alpha else None,
                    extratags=tags,
                    metadata=None,
                    contiguous=False,
                )
        return file.getvalue()
    if drawn.deep:
        return png(stored[0])
    if drawn.kind == "BMP" and drawn.alpha:
        return bmp_with_alpha(stored[0])
    exif = Image.Exif()
    exif[0x0112] = drawn.orientation
    block = exif.tobytes()
    if drawn.author:  # Pillow writes ASCII: its placeholder is replaced
        exif[0x013B] = "A" * len(AUTHOR)
        block = exif.tobytes().replace(b"A" * len(AUTHOR), AUTHOR)
    options = {"exif": block} if drawn.kind in WITH_EXIF else {}
    if drawn.dpi:
        options["dpi"] = (drawn.dpi, drawn.dpi)
    if drawn.kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    if drawn.pages > 1:
        more = [Image.fromarray(page) for page in stored[1:]]
        options |= {"save_all": True, "append_images": more, "duration": 70}
        if drawn.kind == "PNG":
            options |= {"blend": 0, "disposal": 0}
    file = io.BytesIO()
    Image.fromarray(stored[0]).save(file, drawn.kind, **options)
    return file.getvalue()


@pytest.mark.req("FIL-045")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=files())
def test_what_a_file_holds_comes_out(network, tmp_path, drawn):
    old = tmp_path / "old"
    old.write_bytes(written(drawn))
    new = tmp_path / f"new{photos.output_suffix(old)}"
    _, (variant,) = coloring.color_file(
        lambda: photos.read_frames(old), network, lambda photo: ColorOptions()
    )
    photos.write_photo(new, variant, overwrite=True)

    seen = list(photos.read_frames(new))
    assert len(seen) == drawn.pages
    lossless = drawn.kind in LOSSLESS
    for page, photo in enumerate(seen):
        expected = levels(drawn, page)
        own = expected[..., :3] if drawn.color else expected.reshape(*drawn.size, -1)[..., 0]
        assert photo.pixels.shape == (*drawn.size, 3)
        assert photo.pixels.dtype == (np.uint16 if drawn.deep else np.uint8)
        light = own.astype(int) @ LIGHT if drawn.color else 100 * own.astype(int)
        if lossless:
            assert np.abs(photo.pixels.astype(int) @ LIGHT - light).max() <= 50
        if drawn.alpha:
            np.testing.assert_array_equal(photo.alpha, expected[..., -1])
        else:
            assert photo.alpha is None
        if drawn.pages > 1 and "TIFF" not in drawn.kind:
            assert photo.milliseconds == 70
    first = seen[0].metadata
    assert (AUTHOR in first.exif) == drawn.author
    if drawn.dpi:
        assert first.dpi == pytest.approx((drawn.dpi, drawn.dpi), abs=0.02)
    assert first.big == (drawn.kind == "BigTIFF")
    with (
        Image.open(new)
        if not (drawn.deep and drawn.alpha and not drawn.color)
        else io.BytesIO() as image
    ):
        if isinstance(image, Image.Image) and drawn.kind in WITH_EXIF:
            assert image.getexif().get(0x0112, 1) == 1
