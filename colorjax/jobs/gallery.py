"""Galleries: web pages with a before/after slider for each photo. Each page is a single file and uses no network."""

import base64
import html
import itertools
import math
import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from colorjax.errors import PhotoError
from colorjax.photos import Photo, encode_photo, read_bytes, shrink_photo, write_bytes

PER_PAGE = 24  # photos per page
LONGEST = 1200  # pixels of a side


class Pair(NamedTuple):
    """A photo and its coloring."""

    name: str
    before: Photo
    after: Photo


def write_gallery(
    folder: str | os.PathLike, pairs: Iterable[Pair], *, overwrite: bool = False
) -> None:
    """Write a gallery into a folder. Pages of an older gallery are replaced.

    Args:
        folder: The folder.
        pairs: The photos and their colorings, which are read one by one.
        overwrite: Whether other files may be replaced, too.

    Raises:
        OutputError: a page cannot be written, or its name belongs to another file.
    """
    pairs = iter(pairs)
    page = list(itertools.islice(map(_figure, pairs), PER_PAGE))
    for number in itertools.count(1):
        following = list(itertools.islice(map(_figure, pairs), PER_PAGE))
        text = _page(page, number, bool(following))
        path = pathlib.Path(folder, page_name(number))
        write_bytes(path, text.encode(), overwrite=overwrite or is_page(path))
        if not following:
            return
        page = following


def page_name(number: int) -> str:
    """Return the file name of a page. Pages are numbered from 1."""
    return "index.html" if number == 1 else f"page-{number}.html"


def page_paths(folder: str | os.PathLike, pairs: int) -> list[pathlib.Path]:
    """Return the paths of all pages of a gallery."""
    pages = max(1, math.ceil(pairs / PER_PAGE))
    return [pathlib.Path(folder, page_name(number + 1)) for number in range(pages)]


def is_page(path: str | os.PathLike) -> bool:
    """Return whether a file is a page of a gallery."""
    try:
        return read_bytes(path, len(_MARK)) == _MARK
    except PhotoError:
        return False


def _figure(pair: Pair) -> str:
    name = html.escape(os.fsencode(pair.name).decode("utf-8", "replace"))
    before, after = (shrink_photo(photo, LONGEST) for photo in (pair.before, pair.after))
    h, w = before.pixels.shape[:2]
    return f"""<figure>
<div class="frame" style="aspect-ratio:{w}/{h};max-width:{w}px">
<img src="{_data(before)}" alt="{name}, as it was" width="{w}" height="{h}">
<img src="{_data(after)}" alt="{name}, in color" width="{w}" height="{h}" class="after">
<input type="range" min="0" max="100" value="50" aria-label="{name}: where color begins, in percent from the left">
</div>
<figcaption>{name}</figcaption>
</figure>
"""


def _data(photo: Photo) -> str:
    data = encode_photo(Photo(photo.pixels), "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _page(figures: list[str], number: int, more: bool) -> str:
    links = []
    if number > 1:
        links.append(f'<a rel="prev" href="{page_name(number - 1)}">Earlier photos</a>')
    if more:
        links.append(f'<a rel="next" href="{page_name(number + 1)}">More photos</a>')
    navigation = f"<nav>{' '.join(links)}</nav>\n" if links else ""
    return f"{_HEAD}{''.join(figures)}</main>\n{navigation}{_SCRIPT}</html>\n"


_MARK = b'<!doctype html>\n<html lang="en" data-gallery="colorjax">'  # marks pages that the next run may replace
_HEAD = (
    _MARK.decode()
    + """
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Before and after</title>
<style>
body { margin: 0; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; background: #181818; color: #eee }
h1 { font-size: 1.25rem; font-weight: 600 }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem }
figure { margin: 0; --at: 50% }
figcaption { padding-top: .35rem; overflow-wrap: anywhere; color: #bbb }
.frame { position: relative; overflow: hidden }
.frame:focus-within { outline: 3px solid #6cf; outline-offset: 2px }
.frame::after { content: ""; position: absolute; inset: 0 auto 0 calc(var(--at) - 1px); width: 2px; background: #fff;
 pointer-events: none }
img { position: absolute; inset: 0; width: 100%; height: 100% }
.after { clip-path: inset(0 0 0 var(--at)) }
input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; appearance: none; background: none;
 cursor: ew-resize; outline: none }
input::-webkit-slider-thumb { appearance: none; width: 2.25rem; height: 2.25rem; border: 3px solid #fff;
 border-radius: 50%; background: #0006 }
input::-moz-range-thumb { width: 2rem; height: 2rem; border: 3px solid #fff; border-radius: 50%; background: #0006 }
nav { display: flex; gap: 2rem; padding: 1.5rem 0 }
a { color: #8cf }
</style>
<h1>Before and after</h1>
<main>
"""
)

_SCRIPT = """<script>
addEventListener("input", event => {
  const slider = event.target, width = slider.clientWidth, thumb = Math.min(36, width);
  const at = thumb / 2 + (width - thumb) * slider.value / 100;  // the middle of the thumb
  slider.closest("figure").style.setProperty("--at", 100 * at / width + "%");
});
</script>
"""
