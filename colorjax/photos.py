"""Photo files: decode, encode, limits, search; the only user of Pillow and tifffile.

Everything that a decoder may do wrong ends here: whatever a file holds, the caller gets arrays or one `PhotoError`.
"""

import contextlib
import dataclasses
import importlib.util
import io
import os
import pathlib
import secrets
import stat
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt, UInt8
from PIL import (
    AvifImagePlugin,  # noqa: F401 - plugins register themselves, here once and not in a thread
    Image,
    ImageDraw,
    ImageFont,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from colorjax.errors import ColorjaxError, ConfigError, NoPhotosError, OutputError, PhotoError

MAX_PIXELS = 400_000_000
"""Default limit on the pixels of a photo, checked from its header."""

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""The formats that are read, by Pillow's names, and the file names under which a search takes them."""

_WRITTEN = {s: kind for kind, suffixes in SUFFIXES.items() if kind != "GIF" for s in suffixes}
_WITH_ALPHA = {"PNG", "TIFF", "WEBP", "AVIF", "JPEG2000"}
_SAMPLES = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
)

PathLike = str | os.PathLike[str]
Pixels = UInt[np.ndarray, "h w"] | UInt[np.ndarray, "h w 3"]


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright.

    Attributes:
        pixels: gray (h, w) or sRGB (h, w, 3), uint8 in [0, 255] or uint16 in [0, 65535].
        alpha: opacity (h, w) in the dtype of pixels, or None; pixels are not multiplied by it.
        format: Pillow's name of the format it came from, such as "JPEG"; empty for none.
    """

    pixels: Pixels
    alpha: UInt[np.ndarray, "h w"] | None = None
    format: str = ""

    def to_8bit(self) -> "Photo":
        """Return the photo with 8-bit levels: itself, or v / 257 rounded to the nearest.

        Spec: FIL-004
        """
        if self.pixels.dtype == np.uint8:
            return self
        alpha = None if self.alpha is None else _to_8bit(self.alpha)
        return dataclasses.replace(self, pixels=_to_8bit(self.pixels), alpha=alpha)


def _to_8bit(levels: np.ndarray) -> np.ndarray:
    return ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)


# --- reading ---------------------------------------------------------------------------------


def read_photo(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a photo file of any mode, turned upright.

    Args:
        path: a file; its content, not its suffix, says what it is.
        max_pixels: most pixels that its header may announce.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.

    Spec: FIL-001, FIL-002, FIL-003, FIL-004, FIL-005, FIL-006, FIL-007, FIL-008
    """
    with _opened(path, max_pixels) as image:
        return _decoded(image)


def load_square(
    path: PathLike, size: int, *, framing: str = "squash", max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "size size 3"]:
    """Decode a photo file and shrink or enlarge it to a small square, antialiased (Lanczos).

    Args:
        path: a file that `read_photo` reads.
        size: side of the square in pixels, at least 1.
        framing: "squash" ignores the aspect ratio, as the seed did; "crop" first cuts the centred square of the
            short side.
        max_pixels: as in `read_photo`.

    Returns:
        8-bit RGB levels; a gray photo has three equal channels, alpha is dropped.

    Raises:
        PhotoError: in one line, whatever is wrong with the file.
        ConfigError: on a size below 1 or an unknown framing.

    Source: seed S1.
    Spec: FIL-009
    """
    if size < 1:
        raise ConfigError(f"size {size}; expected at least 1 pixel")
    if framing not in ("squash", "crop"):
        raise ConfigError(f"framing {framing!r}; expected 'squash' or 'crop'")
    with _opened(path, max_pixels) as image:
        if image.format == "JPEG" and image.mode in ("L", "RGB") and _is_bare(image):
            plain: Image.Image = image  # most photos: no array between decoding and resizing
        else:
            plain = Image.fromarray(_decoded(image).to_8bit().pixels)
        if framing == "crop":
            short = min(plain.size)
            left, top = (plain.width - short) // 2, (plain.height - short) // 2
            plain = plain.crop((left, top, left + short, top + short))
        small = plain.resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(small.convert("RGB"))


def load_squares(
    paths: Sequence[PathLike],
    size: int,
    *,
    framing: str = "squash",
    max_pixels: int = MAX_PIXELS,
    on_error: Callable[[int, PhotoError], object] | None = None,
) -> UInt8[np.ndarray, "m size size 3"]:
    """Apply `load_square` to many files, on all cores.

    Args:
        paths: m files.
        size: side of the squares in pixels.
        framing: as in `load_square`.
        max_pixels: as in `read_photo`.
        on_error: called with the place and the error of each file that cannot be read, in order; its row stays
            black. None raises the first such error.

    Returns:
        The squares in the order of the paths.

    Raises:
        PhotoError: the first one, if there is no `on_error`.
        ConfigError: on a size below 1 or an unknown framing.

    Spec: FIL-010
    """
    squares = np.zeros((len(paths), max(size, 0), max(size, 0), 3), np.uint8)

    def fill(place: int) -> PhotoError | None:
        try:
            squares[place] = load_square(paths[place], size, framing=framing, max_pixels=max_pixels)
        except PhotoError as error:
            return error
        return None

    pool = ThreadPoolExecutor(os.cpu_count())  # Pillow lets go of the interpreter while it works
    try:
        for place, error in enumerate(pool.map(fill, range(len(paths)))):
            if error and on_error is None:
                raise error
            if error and on_error:
                on_error(place, error)
    finally:
        pool.shutdown(cancel_futures=True)
    return squares


@contextlib.contextmanager
def _opened(path: PathLike, max_pixels: int) -> Iterator[Image.Image]:
    """Open a photo, not yet decoded, and turn all that goes wrong in the block into `PhotoError`."""
    at_most = f"at most {max_pixels / 1e6:.6g} megapixels"
    try:
        mode = os.stat(path).st_mode  # before opening: opening a pipe waits for a writer
        if not stat.S_ISREG(mode):
            found = "a folder" if stat.S_ISDIR(mode) else "a special file"
            raise _photo_error(path, found, "a photo file")
        with open(path, "rb") as file, _quiet(max_pixels):
            if not file.peek(1):
                raise _photo_error(path, "an empty file", "a photo")
            image = Image.open(file, formats=tuple(SUFFIXES))
            w, h = image.size
            if w * h > max_pixels:
                raise _photo_error(path, f"{w} × {h} = {w * h / 1e6:.6g} megapixels", at_most)
            yield image
    except ColorjaxError:
        raise
    except FileNotFoundError as error:
        raise _photo_error(path, "no such file", "a photo") from error
    except Image.UnidentifiedImageError as error:
        raise _photo_error(path, "not a photo", "one of " + ", ".join(SUFFIXES)) from error
    except Image.DecompressionBombError as error:  # Pillow's own, at twice our limit
        raise _photo_error(path, "far more megapixels", at_most) from error
    except OSError as error:
        found = error.strerror or f"damaged ({error})"
        raise _photo_error(path, found, "a whole photo") from error
    except MemoryError as error:
        raise _photo_error(path, "too large for the memory here", "a smaller photo") from error
    except Exception as error:  # decoders raise what they like on damaged data
        raise _photo_error(path, f"damaged ({error})", "a whole photo") from error


def _photo_error(path: object, found: str, expected: str) -> PhotoError:
    return PhotoError(f"{_line(path)}: {_line(found)[:160]}; expected {expected}")


def _line(text: object) -> str:
    """Return a text with what would break its line escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


class _Quiet:
    """Silences Pillow's warnings and lifts its own pixel limit while any thread reads a photo.

    Both are process-wide; the count restores them when the last reader leaves.
    """

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0

    @contextlib.contextmanager
    def __call__(self, max_pixels: int) -> Iterator[None]:
        with self.lock:
            if not self.readers:
                self.limit = Image.MAX_IMAGE_PIXELS
                self.filters = warnings.catch_warnings(action="ignore")
                self.filters.__enter__()
            self.readers += 1
            # not None: decoders also ask for the size of tiles and of embedded frames
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or max_pixels, max_pixels)
        try:
            yield
        finally:
            with self.lock:
                self.readers -= 1
                if not self.readers:
                    self.filters.__exit__(None, None, None)
                    Image.MAX_IMAGE_PIXELS = self.limit


_quiet = _Quiet()


def _is_bare(image: Image.Image) -> bool:
    """Tell whether the pixels mean what they say: no orientation, no colour profile."""
    return not image.info.keys() & {"exif", "xmp", "icc_profile"}


def _decoded(image: Image.Image) -> Photo:
    """Decode an open image to arrays, upright."""
    image.load()
    orientation = image.getexif().get(0x0112, 1)  # after loading: Pillow turns TIFF by itself
    colour, alpha = _colour_and_alpha(image)
    return Photo(
        pixels=_upright(colour, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        format="JPEG" if image.format == "MPO" else image.format or "",
    )


def _colour_and_alpha(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return gray or RGB levels and the alpha of an image of any mode."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), None
    gray = image.mode in ("1", "L", "LA", "La")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
    indexed = image.mode in ("P", "PA")
    colour = np.asarray(image.convert("L" if gray else "RGB"))
    if indexed and (colour == colour[..., :1]).all():
        colour = np.ascontiguousarray(colour[..., 0])
    return colour, alpha


def _upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Return the upright picture of what a camera stored under an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


# --- finding ---------------------------------------------------------------------------------


def find_photos(paths: Iterable[PathLike]) -> list[tuple[pathlib.Path, str]]:
    """Find the photos that files and folders name.

    Args:
        paths: files of any suffix, folders (searched recursively for the suffixes of `SUFFIXES`; hidden names are
            left out), or the text "samples" for `sample_photos`; a folder of that name is "./samples".

    Returns:
        For each photo its path and its name relative to the folder given, with "/": in the order of `paths`, and
        within a folder sorted.

    Raises:
        PhotoError: if a path does not exist or a folder cannot be listed.
        NoPhotosError: if nothing was found.

    Spec: FIL-011, FIL-012, FIL-013
    """
    paths = list(paths)
    found: list[tuple[pathlib.Path, str]] = []
    for place in paths:
        path = pathlib.Path(place)
        if place == "samples":
            found += [(sample, sample.name) for sample in sample_photos()]
        elif path.is_dir():
            found += [(photo, photo.relative_to(path).as_posix()) for photo in _searched(path)]
        elif os.path.lexists(path):
            found.append((path, path.name))
        else:
            raise _photo_error(place, "no such file or folder", "photos")
    if not found:
        where = ", ".join(map(_line, paths)) or "nothing to search"
        known = " ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
        raise NoPhotosError(f"{where}: no photos; expected files with {known}")
    return found


def sample_photos() -> list[pathlib.Path]:
    """Return the paths of the six photos that come with scikit-image, one of them gray.

    Raises:
        NoPhotosError: if scikit-image is not there.

    Spec: FIL-013
    """
    spec = importlib.util.find_spec("skimage")  # importing it would take a second
    if spec is None or spec.origin is None:
        raise NoPhotosError("samples: scikit-image is not installed; expected its sample photos")
    folder = pathlib.Path(spec.origin).parent / "data"
    return [folder / name for name in _SAMPLES]


def _searched(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the photos below a folder, each real folder entered once."""
    known = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
    photos: list[pathlib.Path] = []
    entered: set[str] = set()

    def refuse(error: OSError) -> None:
        raise _photo_error(error.filename, error.strerror or str(error), "a readable folder")

    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        photos += [
            pathlib.Path(place, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in known
        ]
    return sorted(photos, key=lambda photo: photo.parts)


# --- writing ---------------------------------------------------------------------------------


def write_photo(
    path: PathLike, photo: Photo | Pixels, *, quality: int = 95, overwrite: bool = False
) -> None:
    """Write a photo in the format of the path's suffix, whole or not at all.

    Args:
        path: the new file; its folder exists.
        photo: a photo, or only its pixels.
        quality: of the lossy formats, 1 to 100.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: in one line, if the suffix is unknown, the file exists or cannot be written.
        ConfigError: on a quality out of range.

    Spec: FIL-014, FIL-015, FIL-016, FIL-017
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _WRITTEN:
        known = " ".join(_WRITTEN)
        raise OutputError(f"{_line(path)}: cannot write {suffix or 'no suffix'}; expected {known}")
    if not overwrite:
        _check_free(path)
    write_bytes(path, encode_photo(photo, _WRITTEN[suffix], quality=quality), overwrite=overwrite)


def encode_photo(photo: Photo | Pixels, format: str, *, quality: int = 95) -> bytes:
    """Encode a photo in memory.

    Args:
        photo: a photo, or only its pixels; its alpha is dropped where the format has none.
        format: one of `SUFFIXES` but GIF.
        quality: of JPEG, WebP and AVIF, 1 to 100; chroma is not subsampled where the format can do without.

    Raises:
        ConfigError: on a quality out of range.

    Spec: FIL-016, FIL-017
    """
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality {quality}; expected 1 to 100")
    photo = (photo if isinstance(photo, Photo) else Photo(photo)).to_8bit()
    image = Image.fromarray(photo.pixels)
    if photo.alpha is not None and format in _WITH_ALPHA:
        image.putalpha(Image.fromarray(photo.alpha))
    options = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "WEBP": {"quality": quality, "exact": True, "use_sharp_yuv": True},
        "AVIF": {"quality": quality, "subsampling": "4:4:4"},
        "TIFF": {"compression": "tiff_deflate"},
    }
    file = io.BytesIO()
    image.save(file, format, **options.get(format, {}))
    return file.getvalue()


def write_bytes(path: PathLike, data: bytes, *, overwrite: bool = False) -> None:
    """Write a file under a temporary name in its folder, flush it to disk, and rename it.

    Raises:
        OutputError: in one line, if the file exists (and not `overwrite`) or cannot be written.

    Spec: FIL-014, FIL-015
    """
    if not overwrite:
        _check_free(path)
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        found = f"cannot be written ({error.strerror or error})"
        raise OutputError(f"{_line(path)}: {found}; expected a place to write to") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _check_free(path: PathLike) -> None:
    if os.path.lexists(path):
        raise OutputError(f"{_line(path)}: exists; expected a new name, or leave to overwrite")


def text_strip(
    labels: Sequence[str], widths: Sequence[int], height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one row of labels, light on dark, to stand above the columns of a picture sheet.

    Args:
        labels: one a column; too long a one is set smaller, then cut.
        widths: of the columns in pixels.
        height: of the row in pixels.

    Spec: FIL-018
    """
    cells = []
    for label, width in zip(labels, widths, strict=True):
        cell = Image.new("L", (width, height), 24)
        for size in range(max(8, height * 3 // 5), 7, -1):
            font = ImageFont.load_default(size)
            if font.getlength(label) <= width - 4:
                break
        ImageDraw.Draw(cell).text((width / 2, height / 2), label, 230, font, anchor="mm")
        cells.append(np.asarray(cell))
    return np.repeat(np.concatenate(cells, 1)[..., None], 3, -1)
