"""What a person takes home: files in color, a zip of them, a picture to compare, a project to go on with."""

import collections
import dataclasses
import json
import os
import pathlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from colorjax.errors import PhotoError, in_one_line
from colorjax.jobs import video
from colorjax.jobs.batch import side_by_side
from colorjax.jobs.coloring import Weights, color_frames
from colorjax.jobs.planning import COLOR
from colorjax.jsontext import parse_json
from colorjax.photos import MAX_PIXELS, Photo, encode_photo, format_of, read_frames, write_frames
from colorjax.web.looks import View, color_options, first_photo, paint
from colorjax.web.session import Work, save, setting_from

PROJECT = ".colorjax"  # suffix of a project file
CONTENT = "project.json"  # in it
LONGEST_NAME = 255
MOST_CONTENT = 50_000_000  # bytes of that
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".avif")  # that a photo can be had in

Show = Callable[[int], object]


class Wanted(NamedTuple):
    """How a file is to be written.

    Attributes:
        suffix: of its format, such as ".png"; None for the file's own.
        quality: of lossy formats, from 1 to 100.
    """

    suffix: str | None = None
    quality: int = 95


def color_name_of(work: Work, view: View, wanted: Wanted) -> str:
    """Return the name of the file in color; a video keeps its format."""
    suffix = wanted.suffix if wanted.suffix and view.kind != "video" else view.suffix
    return f"{plain_stem(work.name)}{COLOR}{suffix}"


def plain_stem(name: str) -> str:
    """Return a file's name without folders and suffix, fit to be a name anywhere."""
    stem = os.path.splitext(re.split(r"[/\\]", name)[-1])[0]
    return re.sub(r'[\x00-\x1f<>:"|?*]', "_", stem).strip(". ") or "photo"


def write_color(
    work: Work,
    view: View,
    weights: Weights,
    target: pathlib.Path,
    *,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
    show: Show = lambda done: None,
) -> None:
    """Write a file in color, as it is set, all of its pages and frames.

    Args:
        work: the file.
        view: of it.
        weights: (params, config).
        target: a new file; its suffix names the format.
        quality: of lossy formats.
        max_pixels: most pixels of a photo.
        show: called with the number of frames that are done.

    Raises:
        PhotoError: the file cannot be read.
        OutputError: the format cannot hold it.
    """
    options = color_options(view, weights, work.setting)
    if view.kind == "video":
        video.colorize_video(work.path, target, weights, options, show=show)
        return
    frames = read_frames(work.path, max_pixels=max_pixels)
    colored = _shown(color_frames(frames, weights, options), show)
    with open(target, "x+b") as file:
        write_frames(file, colored, format_of(target), quality=quality)


def _shown(photos: Iterable[Photo], show: Show) -> Iterator[Photo]:
    for number, photo in enumerate(photos, 1):
        yield photo
        show(number)


def write_comparison(
    work: Work, view: View, weights: Weights, target: pathlib.Path, *, max_pixels: int = MAX_PIXELS
) -> None:
    """Write a picture of gray and color side by side."""
    photo = first_photo(work.path, max_pixels=max_pixels)
    colored = Photo(paint(view, weights, work.setting, photo))
    data = encode_photo(side_by_side(photo, [colored]), format_of(target))
    target.write_bytes(data)


def write_zip(target: pathlib.Path, named: Iterable[tuple[str, pathlib.Path]]) -> None:
    """Write files into a zip; those of one name are told apart by a number.

    Args:
        target: a new file.
        named: name and path of each; it is removed when it is in.
    """
    names: collections.Counter[str] = collections.Counter()
    with zipfile.ZipFile(target, "x") as archive:  # stored: photos are compressed already
        for name, path in named:
            names[name] += 1
            if names[name] > 1:
                stem, ending = os.path.splitext(name)
                name = f"{stem} ({names[name]}){ending}"
            archive.write(path, name)
            path.unlink()


def write_project(target: pathlib.Path, works: Sequence[Work]) -> None:
    """Write a project: the files as they were opened, and all that was set for them, undone changes included."""
    content = []
    with zipfile.ZipFile(target, "x") as archive:
        for number, work in enumerate(works):
            stored = f"{number:04}{work.path.suffix}"
            archive.write(work.path, stored)
            settings = [dataclasses.asdict(setting) for setting in work.settings]
            content.append({"name": work.name, "file": stored, "settings": settings, "at": work.at})
        archive.writestr(CONTENT, json.dumps({"version": 1, "works": content}))


def read_project(path: pathlib.Path, folder: pathlib.Path) -> list[Work]:
    """Open a project file.

    Args:
        path: of the file.
        folder: where its files are put, under names of our own.

    Raises:
        PhotoError: it is none.
    """
    works: list[Work] = []
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(CONTENT).file_size > MOST_CONTENT or _is_swollen(archive, path):
                raise _no_project(path)
            listed = _listed(parse_json(archive.read(CONTENT)), path)
            works.extend(_restored(archive, told, path, folder) for told in listed)
    except BaseException as error:
        for work in works:
            work.path.unlink(missing_ok=True)
        if isinstance(error, _BROKEN):
            raise _no_project(path) from None
        raise
    return works


_BROKEN = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)  # that an archive raises that we did not write


def _is_swollen(archive: zipfile.ZipFile, path: pathlib.Path) -> bool:
    """Return whether more may come out than is in the file; in ours all is stored as it is, once."""
    entries = archive.infolist()
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return not stored or sum(entry.file_size for entry in entries) > path.stat().st_size


def _listed(told: Any, path: pathlib.Path) -> list[Any]:
    """Return what is told of each work, no two of one file."""
    works = told.get("works") if isinstance(told, dict) else None
    if not isinstance(works, list) or not all(isinstance(each, dict) for each in works):
        raise _no_project(path)
    if len({str(each.get("file")) for each in works}) < len(works):
        raise _no_project(path)
    return works


def _restored(
    archive: zipfile.ZipFile, told: Any, path: pathlib.Path, folder: pathlib.Path
) -> Work:
    """Return one of a project's works, its file copied out."""
    name, stored = told.get("name"), told.get("file")
    settings, at = told.get("settings"), told.get("at")
    if not (isinstance(name, str) and isinstance(stored, str) and isinstance(settings, list)):
        raise _no_project(path)
    if type(at) is not int or not 0 <= at < len(settings):
        raise _no_project(path)
    known = tuple(map(setting_from, settings))
    work = new_work(in_one_line(name)[-LONGEST_NAME:], folder)
    with archive.open(stored) as source, open(work.path, "xb") as target:
        shutil.copyfileobj(source, target)
    return save(dataclasses.replace(work, settings=known, at=at), known[at])


def new_work(name: str, folder: pathlib.Path) -> Work:
    """Return a work whose file is yet to be put at its path, under a name of our own.

    Args:
        name: of the person's file; of it only a plain suffix goes into the path.
        folder: the page's own.
    """
    key = secrets.token_hex(16)
    suffix = os.path.splitext(name)[1].lower()
    plain = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
    return Work(key, name, folder / f"{key}{plain}")


def _no_project(path: pathlib.Path) -> PhotoError:
    return PhotoError(f"{path}: not a project that colorjax wrote; expected one")
