"""Finding photos: in files, in folders, and among scikit-image's samples."""

import importlib.util
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence

from colorjax.errors import NoPhotosError, PhotoError, in_one_line
from colorjax.photos.formats import SUFFIXES
from colorjax.photos.opening import PathLike, photo_error

COLOR, COMPARE = ".color", ".compare"  # ends the stems of files that colorjax wrote
_OURS = re.compile(rf"({re.escape(COLOR)}(\.\d+)?|{re.escape(COMPARE)})$")
_SAMPLES = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
)


def find_photos(
    paths: Iterable[PathLike],
    *,
    besides: Iterable[str] = (),
    on_error: Callable[[PhotoError], object] | None = None,
) -> list[tuple[pathlib.Path, str]]:
    """Find the photos that files and folders name.

    Args:
        paths: Files of any suffix, folders, or the text "samples" for `sample_photos` ("./samples" is a folder of that
            name). Folders are searched recursively for the suffixes of `SUFFIXES`, without hidden files.
        besides: More suffixes to search for, such as ".mp4".
        on_error: Called with the error of each path that does not exist and of each folder that cannot be listed. The
            other places are searched. None raises the first error.

    Returns:
        The path of each photo, and its name relative to the folder, with "/". The order is that of `paths`; files of
        one folder are sorted.

    Raises:
        PhotoError: a path does not exist, or a folder cannot be listed, and there is no `on_error`.
        NoPhotosError: no photo was found, and `on_error` was not called.
    """
    paths, faults = list(paths), []

    def note(error: PhotoError) -> None:
        if on_error is None:
            raise error
        faults.append(error)
        on_error(error)

    known = [*itertools.chain(*SUFFIXES.values()), *besides]
    found: list[tuple[pathlib.Path, str]] = []
    for place in paths:
        path = pathlib.Path(place)
        if place == "samples":
            found += [(sample, sample.name) for sample in sample_photos()]
        elif os.path.isdir(path):  # unlike pathlib, it raises no error for a name that is too long
            found += [
                (photo, photo.relative_to(path).as_posix()) for photo in _search(path, known, note)
            ]
        elif os.path.lexists(path):
            found.append((path, path.name))
        else:
            note(photo_error(place, "no such file or folder", "photos"))
    if not found and not faults:
        where = ", ".join(map(in_one_line, paths)) or "nothing to search"
        raise NoPhotosError(f"{where}: no photos; expected files with {' '.join(known)}")
    return found


def without_outputs(
    found: Iterable[tuple[pathlib.Path, str]], place: PathLike, folders: Iterable[PathLike] = ()
) -> list[tuple[pathlib.Path, str]]:
    """Leave out what colorjax wrote itself.

    Args:
        found: The photos of `find_photos([place])`.
        place: Where they were found. Nothing is left out unless it is a folder.
        folders: Folders that are written. Files in those below `place` are left out.
    """
    if not os.path.isdir(place):
        return list(found)
    root = os.path.realpath(place)
    written = [os.path.realpath(folder) for folder in folders]
    inner = [folder for folder in written if _is_inside(folder, root)]
    return [
        (photo, name)
        for photo, name in found
        if not _OURS.search(photo.stem)
        and not any(_is_inside(os.path.realpath(photo), folder) for folder in inner)
    ]


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))


def sample_photos() -> list[pathlib.Path]:
    """Return the paths of the six photos that come with scikit-image. One of them is gray.

    Raises:
        NoPhotosError: scikit-image is not installed.
    """
    spec = importlib.util.find_spec("skimage")  # importing it takes a second
    if spec is None or spec.origin is None:
        raise NoPhotosError("samples: scikit-image is not installed; expected its sample photos")
    folder = pathlib.Path(spec.origin).parent / "data"
    return [folder / name for name in _SAMPLES]


def _search(
    folder: pathlib.Path, known: Sequence[str], note: Callable[[PhotoError], object]
) -> list[pathlib.Path]:
    """Return the photos below a folder by their suffixes. Each real folder is entered once."""
    photos: list[pathlib.Path] = []
    entered: set[str] = set()

    def refuse(error: OSError) -> None:
        note(photo_error(error.filename, error.strerror or str(error), "a readable folder"))

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
