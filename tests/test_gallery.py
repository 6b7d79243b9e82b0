"""The gallery: web pages with sliders."""

import base64
import html.parser
import re

import numpy as np
import pytest
from commanding import colorize, files
from pictures import scene

from colorjax import photos
from colorjax.jobs import gallery
from colorjax.photos import Photo


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def pairs(count, name="photo {}"):
    for i in range(count):
        yield gallery.Pair(name.format(i), Photo(scene(20, 30, i)[..., 0]), Photo(scene(20, 30, i)))


@pytest.mark.req("CMD-034")
def test_page_asks_nothing_of_a_network(tmp_path):
    gallery.write_gallery(tmp_path, pairs(3))
    assert files(tmp_path) == {"index.html"}
    text = (tmp_path / "index.html").read_text()
    page = Tags(text)
    assert not page.of("link")
    assert not [script for script in page.of("script") if "src" in script]
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r'src="data:[^"]*"', "", text))
    policy = next(meta["content"] for meta in page.of("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy
    sources = [image["src"] for image in page.of("img")]
    assert len(sources) == 6
    for source, seed in zip(sources[1::2], range(3), strict=True):
        after = photos.decode_photo(base64.b64decode(source.partition(",")[2])).pixels
        assert np.abs(after.astype(int) - scene(20, 30, seed)).mean() < 8


@pytest.mark.req("CMD-034")
def test_page_is_for_keyboard_and_screen_reader(tmp_path):
    gallery.write_gallery(tmp_path, pairs(2, '<b onclick="x">&{}'))
    page = Tags((tmp_path / "index.html").read_text())
    assert page.of("html")[0]["lang"] == "en"
    assert not page.of("b")
    sliders = page.of("input")
    assert [slider["type"] for slider in sliders] == ["range", "range"]
    for i, slider in enumerate(sliders):
        assert slider["aria-label"].startswith(f'<b onclick="x">&{i}: ')
    assert all(image["alt"] for image in page.of("img"))


@pytest.mark.req("CMD-034")
def test_many_photos_are_many_pages(tmp_path):
    gallery.write_gallery(tmp_path, pairs(2 * gallery.PER_PAGE + 1))
    assert files(tmp_path) == {"index.html", "page-2.html", "page-3.html"}
    counts, links = [], []
    for name in ("index.html", "page-2.html", "page-3.html"):
        page = Tags((tmp_path / name).read_text())
        counts.append(len(page.of("figure")))
        links.append([link["href"] for link in page.of("a")])
    assert counts == [24, 24, 1]
    assert links == [["page-2.html"], ["index.html", "page-3.html"], ["page-2.html"]]


@pytest.mark.req("CMD-034", "CMD-024")
def test_gallery_of_a_folder(tiny_weights, tmp_path, capsys):
    folder = tmp_path / "album"
    folder.mkdir()
    for i in range(3):
        photos.write_photo(folder / f"{i}.png", scene(1300 if i else 20, 30, i))
    command = [folder, "--weights", tiny_weights, "--gallery", folder / "gallery"]
    assert colorize(*command) == 0
    assert str(folder / "gallery" / "index.html") in capsys.readouterr().out
    first = (folder / "gallery" / "index.html").read_text()
    assert [image["height"] for image in Tags(first).of("img")] == ["20"] * 2 + ["1200"] * 4
    assert colorize(*command) == 0  # all was there already
    assert (folder / "gallery" / "index.html").read_text() == first
    (tmp_path / "file").write_text("")
    assert colorize(folder, "--weights", tiny_weights, "--gallery", tmp_path / "file") == 2
