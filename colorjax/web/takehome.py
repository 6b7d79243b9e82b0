"""Files to download: photos in color, a zip, a comparison, and a project with which to continue later."""

import collections
import dataclasses
import errno
import json
import os
import pathlib
import re
import secrets
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from colorjax.errors import OutputError, PhotoError, in_one_line
from colorjax.jobs import video
from colorjax.jobs.batch import side_by_side
from colorjax.jobs.coloring import Weights, color_frames, counted
from colorjax.jobs.planning import COLOR
from colorjax.jsontext import parse_json
from colorjax.photos import (
    MAX_PIXELS,
    Photo,
    encode_photo,
    format_of,
    read_frames,
    shorten_name,
    write_frames,
)
from colorjax.web import session
from colorjax.web.looks import View, file_options, first_photo, paint
from colorjax.web.session import Work, save

PROJECT = ".colorjax"  # suffix of a project file
CONTENT = "project.json"  # the member of a project file that lists the rest
LONGEST_NAME = 255
MOST_CONTENT = 16_000_000  # bytes of CONTENT
MOST_LISTS = 300_000  # in CONTENT; many small lists take long to parse
MOST_NAMES = 2_000_000  # bytes of the directory of a project file
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".avif")  # formats that a person can choose

Show = Callable[[int], object]


class Wanted(NamedTuple):
    """How a photo is written.

    Attributes:
        suffix: The suffix of the format, such as ".png". None keeps the format of the file.
        quality: The quality of lossy formats, 1 to 100.
    """

    suffix: str | None = None
    quality: int = 95


def color_name_of(work: Work, view: View, wanted: Wanted) -> str:
    """Return the name of the colored file. A video keeps its format."""
    suffix = wanted.suffix if wanted.suffix and view.kind != "video" else view.suffix
    return download_name(work.name, f"{COLOR}{suffix}")


def download_name(name: str, ending: str) -> str:
    """Return the name of a file that is made from another one: without folders, and possible on every system.

    Args:
        name: The name of the other file.
        ending: The ending that replaces its suffix.
    """
    stem = os.path.splitext(re.split(r"[/\\]", name)[-1])[0]
    plain = _FORBIDDEN.sub("_", stem).strip(". ") or "photo"
    return shorten_name(f"_{plain}" if _RESERVED.match(plain) else plain, ending)


# characters that some systems forbid, surrogates, and those that break lines or turn the direction of writing
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff" + r'<>:"|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # by Windows


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
    """Write a file in color with its settings, including all pages or frames.

    Args:
        work: The file.
        view: Its view.
        weights: (params, config).
        target: A path that does not exist. Its suffix names the format.
        quality: The quality of lossy formats, 1 to 100.
        max_pixels: The most pixels of a photo.
        show: Called with the number of finished frames.

    Raises:
        PhotoError: the file cannot be read.
        OutputError: the format cannot hold it.
    """
    options = file_options(view, weights, work.setting)
    if view.kind == "video":
        video.colorize_video(work.path, target, weights, options, show=show)
        return
    frames = read_frames(work.path, max_pixels=max_pixels)
    colored = counted(color_frames(frames, weights, options), show)
    with open(target, "x+b") as file:
        write_frames(file, colored, format_of(target), quality=quality)


def write_comparison(
    work: Work, view: View, weights: Weights, target: pathlib.Path, *, max_pixels: int = MAX_PIXELS
) -> None:
    """Write a picture with gray and color side by side."""
    photo = first_photo(work.path, max_pixels=max_pixels)
    colored = Photo(paint(view, weights, work.setting, photo))
    data = encode_photo(side_by_side(photo, [colored]), format_of(target))
    target.write_bytes(data)


def write_zip(target: pathlib.Path, named: Iterable[tuple[str, pathlib.Path]]) -> None:
    """Write files to a zip, and remove each. If names are equal on some system, a number is added to the later ones.

    Args:
        target: A path that does not exist.
        named: The name and the path of each file.
    """
    names: collections.Counter[str] = collections.Counter()
    with zipfile.ZipFile(target, "x") as archive:  # stored: photos are compressed already
        for name, path in named:
            alike = unicodedata.normalize("NFC", name.casefold())
            names[alike] += 1
            if names[alike] > 1:
                stem, ending = os.path.splitext(name)
                name = shorten_name(stem, f" ({names[alike]}){ending}")
            archive.write(path, name)
            path.unlink()


def write_project(target: pathlib.Path, works: Sequence[Work]) -> None:
    """Write a project: the files as they were opened, and all their settings, including those that were undone."""
    content = []
    with zipfile.ZipFile(target, "x") as archive:
        for number, work in enumerate(works):
            stored = f"{number:04}{work.path.suffix}"
            archive.write(work.path, stored)
            told = {"name": work.name, "file": stored, "at": work.at}
            content.append(told | session.plain_settings(work.settings))
        data = json.dumps({"version": 2, "works": content}, separators=(",", ":")).encode()
        if _is_long(data):
            raise OutputError("too many colors were set for one project; expected fewer")
        archive.writestr(CONTENT, data)


def _is_long(content: bytes) -> bool:
    """Return whether the list of a project takes too long to parse."""
    return len(content) > MOST_CONTENT or content.count(b"[") > MOST_LISTS


def read_project(path: pathlib.Path, folder: pathlib.Path, *, most: int) -> list[Work]:
    """Open a project file.

    Args:
        path: The project file.
        folder: The folder to which its files are copied, under new names.
        most: The most files that it may have.

    Raises:
        PhotoError: it is not a project that colorjax wrote, or has more files.
    """
    works: list[Work] = []
    if _has_many_names(path):
        raise _no_project(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(CONTENT).file_size > MOST_CONTENT or _is_bomb(archive, path):
                raise _no_project(path)
            content = archive.read(CONTENT)
            if _is_long(content):
                raise _no_project(path)
            listed = _listed(parse_json(content), path)
            if len(listed) > most:
                raise PhotoError(f"{path}: {len(listed)} files; only {most} more can be open")
            for told in listed:
                works.append(_work_in(told, path, folder))
                with archive.open(told["file"]) as source, open(works[-1].path, "xb") as target:
                    shutil.copyfileobj(source, target)
    except BaseException as error:
        for work in works:
            work.path.unlink(missing_ok=True)
        if isinstance(error, _BROKEN) or getattr(error, "errno", None) == errno.EINVAL:
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
)  # raised by archives that colorjax did not write, as is EINVAL for places before the file's beginning


def _has_many_names(path: pathlib.Path) -> bool:
    """Return whether a zip has a long directory, or one in the form for large archives, which is read as a whole."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 42))
        end = file.read()
    large, last = end[:-22].startswith(b"PK\6\7"), end[-22:]
    size = int.from_bytes(last[12:16], "little")
    return large or not last.startswith(b"PK\5\6") or size > MOST_NAMES


def _is_bomb(archive: zipfile.ZipFile, path: pathlib.Path) -> bool:
    """Return whether members are compressed or overlap. `write_project` stores each of them once, uncompressed."""
    entries = archive.infolist()
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return not stored or sum(entry.file_size for entry in entries) > path.stat().st_size


def _listed(told: Any, path: pathlib.Path) -> list[Any]:
    """Return the entries of a project, each for another member."""
    works = told.get("works") if isinstance(told, dict) else None
    if not isinstance(works, list) or not all(isinstance(each, dict) for each in works):
        raise _no_project(path)
    if len({str(each.get("file")) for each in works}) < len(works):
        raise _no_project(path)
    return works


def _work_in(told: Any, path: pathlib.Path, folder: pathlib.Path) -> Work:
    """Return one file of a project with its settings. It has yet to be extracted."""
    name, stored = told.get("name"), told.get("file")
    if not (isinstance(name, str) and isinstance(stored, str)):
        raise _no_project(path)
    known = session.settings_from(told.get("settings"), told.get("marks", []))
    at = told.get("at")
    if type(at) is not int or not 0 <= at < len(known):
        raise _no_project(path)
    work = new_work(in_one_line(name)[-LONGEST_NAME:], folder)
    return save(dataclasses.replace(work, settings=known, at=at), known[at])


def new_work(name: str, folder: pathlib.Path) -> Work:
    """Return a work with a new path, to which the caller writes the file.

    Args:
        name: The name of the person's file. The path contains only its suffix, and only a plain one.
        folder: The page's own folder.
    """
    key = secrets.token_hex(16)
    suffix = os.path.splitext(name)[1].lower()
    plain = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
    return Work(key, name, folder / f"{key}{plain}")


def _no_project(path: pathlib.Path) -> PhotoError:
    return PhotoError(f"{path}: not a project that colorjax wrote; expected one")
