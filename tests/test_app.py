"""The page, in a real browser (slow: it needs Gradio, Playwright and a Chromium)."""

import contextlib
import io
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile

import numpy as np
import pytest
from light import light_error
from pictures import encoded, scene

from colorjax import app, cli, errors, gallery, photos
from colorjax.page import message

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
WAIT = 60_000  # milliseconds


@pytest.mark.req("APP-007")
def test_without_gradio_one_line_says_what_to_install(network, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(errors.UsageError, match=r"colorjax\[app\]"), app.serving(network):
        pass
    assert cli.main(["app", "--no-browser"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.req("APP-004")
def test_a_port_that_is_taken_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(errors.UsageError, match=str(port)):
            app.listen(port)
    assert cli.main(["app", "--port", "70000"]) == 2
    assert "port is 70000" in capsys.readouterr().err


@pytest.mark.req("APP-005")
def test_own_folder_goes_while_a_request_writes_into_it():
    written = []

    def write(folder):
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            with contextlib.suppress(OSError):  # what it writes into goes under its hands
                inner = folder / str(len(written) % 100)
                inner.mkdir(exist_ok=True)
                (inner / "photo").write_bytes(b"a photo")
                written.append(inner)

    with app.own_folder() as folder:
        request = threading.Thread(target=write, args=[folder])
        request.start()
        while not written:
            time.sleep(0.01)
    request.join()
    assert not folder.exists()


@pytest.mark.req("APP-003")
def test_messages_are_plain_text():
    text = message(["<b>*.png: not a photo"], 2)
    assert text.startswith("2 photos opened")
    assert not set("<*>") & set(text)


@contextlib.contextmanager
def serving(**environment):
    """Run `colorjax app` as a person does, and yield its address."""
    pytest.importorskip("gradio", reason="the extra `app` is not installed")
    command = [sys.executable, "-m", "colorjax", "app", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        said = process.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/", said)[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 143


@pytest.fixture(scope="module")
def address():
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def asked():
    """Every address that the browser asked for."""
    return []


@pytest.fixture
def page(address, browser, asked):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.set_default_timeout(WAIT)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("input[type=file]", state="attached")
    yield page
    page.close()


PHOTO = scene(120, 160)[..., 1]


def drop(page, tmp_path, **files):
    paths = []
    for name, data in files.items():
        paths.append(tmp_path / name.replace("_", "."))
        paths[-1].write_bytes(data)
    page.set_input_files("input[type=file]", paths)
    page.wait_for_selector("#status p")


def downloaded(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    path = pathlib.Path(download.value.path())
    return download.value.suggested_filename, path.read_bytes()


def choose_format(page, name):
    page.get_by_label("Format").click()
    page.get_by_role("option", name=name).click()


def lost_light(data, gray=PHOTO):
    rgb = photos.decode_photo(data).pixels
    assert rgb.shape == (*gray.shape, 3)
    return light_error(rgb, gray).max()


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-002", "APP-003", "APP-004")
def test_a_person_colours_a_photo(page, asked, address, tmp_path):
    drop(page, tmp_path, bad_jpg=b"no photo", old_png=encoded(PHOTO, "PNG"))
    assert "1 photo opened." in page.inner_text("#status")
    assert "bad.jpg: not a photo" in page.inner_text("#status")

    page.wait_for_selector("#slider img")
    handle = page.locator("#slider .inner")
    before = handle.bounding_box()["x"]
    page.get_by_label("Where colour begins").first.fill("20")
    page.wait_for_function(
        f"document.querySelector('#slider .inner').getBoundingClientRect().x < {before - 20}"
    )

    name, data = downloaded(page, "Download this photo")
    assert name == "old.colour.png"
    assert lost_light(data) <= 50

    page.get_by_role("button", name="Show other colourings").click()
    page.locator("#variants button").nth(2).click()
    page.wait_for_function("!document.querySelector('#undo').disabled")
    _, variant = downloaded(page, "Download this photo")
    assert variant != data
    assert lost_light(variant) <= 50
    page.locator("#undo").click()
    page.wait_for_function("document.querySelector('#undo').disabled")

    page.get_by_role("tab", name="Set a colour").click()
    box = page.locator("#canvas img").bounding_box()
    page.locator("#canvas img").click(position={"x": box["width"] / 2, "y": box["height"] / 4})
    page.locator("#swatches button").nth(1).click()
    chosen = page.locator("#swatches .caption-label").nth(1).inner_text().strip()
    r, g, b = bytes.fromhex(chosen[1:])
    page.wait_for_function(
        f"document.querySelector('#colour button').style.background == 'rgb({r}, {g}, {b})'"
    )
    assert page.inner_text("#marks").strip() == ""
    page.get_by_role("button", name="Give the place this colour").click()
    page.wait_for_function("!document.querySelector('#undo').disabled")
    assert chosen in page.inner_text("#marks")
    x, y = (int(page.get_by_label(f"From the {side}").input_value()) for side in ("left", "top"))
    assert f"{x} from the left, {y} from the top" in page.inner_text("#marks")
    source = page.locator("#canvas img").get_attribute("src")
    shown = photos.decode_photo(page.request.get(source).body()).pixels
    assert shown.shape[:2] == PHOTO.shape
    ring = shown[y, x - 5].astype(int) - [r, g, b]
    assert np.abs(ring).max() < 60  # it is a JPEG
    name, bare = downloaded(page, "Download this photo")
    assert lost_light(bare) <= 50  # no ring
    choose_format(page, "JPEG")
    name, hinted = downloaded(page, "Download this photo")
    assert name == "old.colour.jpg"
    assert photos.decode_photo(hinted).format == "JPEG"
    assert lost_light(hinted) <= 1200  # FIL-028

    asked = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert asked
    assert all(url.startswith(address) for url in asked)


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-002")
def test_several_photos_as_a_zip(page, tmp_path):
    other = scene(90, 70)[..., 2]
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_tif=encoded(other, "TIFF"))
    page.wait_for_selector("#slider img")
    page.get_by_label("Vividness").first.fill("0")
    page.wait_for_function("!document.querySelector('#undo').disabled")
    name, data = downloaded(page, "Download all as a zip")
    assert name == "coloured.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["one.colour.png", "two.colour.tif"]
        one, two = (archive.read(each) for each in archive.namelist())
    gray = photos.decode_photo(one).pixels
    np.testing.assert_array_equal(gray, np.repeat(PHOTO[..., None], 3, -1))
    assert lost_light(two, other) <= 50
    assert np.ptp(photos.decode_photo(two).pixels, axis=-1).max() > 5


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-006")
def test_a_photo_is_taken_out_of_the_list(page, tmp_path):
    names = ("one", "two", "three")
    pictures = {f"{name}_png": encoded(scene(90, 70, i), "PNG") for i, name in enumerate(names)}
    drop(page, tmp_path, **pictures)
    page.wait_for_selector("#slider img")
    page.get_by_role("button", name="Show other colourings").click()
    page.locator("#variants button").nth(2).wait_for()
    remove = page.get_by_role("button", name="Remove this photo from the list")
    for removed, left in (("one", "two"), ("two", "three")):
        remove.press("Enter")
        page.wait_for_function(
            f"document.querySelector('#status').innerText == '{removed}.png removed.'"
        )
        page.locator("#variants").wait_for(state="hidden")
        page.wait_for_function("document.querySelector('#undo').disabled")
        name, _ = downloaded(page, "Download this photo")
        assert name == f"{left}.colour.png"
    remove.press("Enter")
    page.locator("#slider").wait_for(state="hidden")
    drop(page, tmp_path, again_png=encoded(PHOTO, "PNG"))
    page.wait_for_selector("#slider img")


@pytest.mark.slow
@pytest.mark.req("APP-006", "APP-008")
@pytest.mark.parametrize("width", [390, 1280])
def test_page_is_for_all(page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 844})
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    page.wait_for_selector("#slider img")
    page.get_by_role("tab", name="Set a colour").press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # a colour set with the keyboard alone
    page.get_by_label("From the left (pixels)").press("Control+a")
    page.keyboard.type("40")
    page.get_by_label("From the top (pixels)").press("Control+a")
    page.keyboard.type("30")
    page.get_by_role("button", name="Show likely colours").press("Enter")
    page.locator("#swatches button").first.press("Enter")
    page.get_by_role("button", name="Give the place this colour").press("Enter")
    page.wait_for_function("!document.querySelector('#undo').disabled")
    assert "40 from the left, 30 from the top" in page.inner_text("#marks")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, img')]
        .filter(e => e.offsetParent && e.type != 'file')
        .filter(e => !(e.innerText || e.ariaLabel || e.title || e.alt || e.labels?.length
            || e.getAttribute('aria-labelledby') || e.querySelector('img[alt]')))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    for told in ("#status", "#marks"):
        page.wait_for_selector(f"{told}[aria-live=polite]", state="attached")


def status_of(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.req("APP-004")
def test_nothing_else_can_be_had(address):
    assert status_of(address) == 200
    assert status_of(address, Host="example.org") == 400
    here = pathlib.Path(__file__)
    for path in (here, here.parent.parent / "pyproject.toml", "/etc/passwd", "../../etc/passwd"):
        for route in ("gradio_api/file=", "file=", "gradio_api/file/", ""):
            assert status_of(f"{address}{route}{path}") >= 400
    port = int(address.rstrip("/").rpartition(":")[2])
    listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True).stdout
    for line in listening.splitlines():
        if f":{port} " in line:
            assert "127.0.0.1" in line


@pytest.mark.slow
@pytest.mark.req("APP-005")
def test_nothing_stays(tmp_path, browser):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with serving(TMPDIR=str(temporary)) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("input[type=file]", state="attached")
        drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
        page.wait_for_selector("#slider img")
        assert list(temporary.rglob("photo.jpg"))
        page.close()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.req("CMD-034")
def test_gallery_is_worked_by_keyboard(browser, tmp_path):
    photo, pair = photos.Photo(PHOTO), photos.Photo(scene(120, 160))
    gallery.write_gallery(tmp_path, [gallery.Pair("old.jpg", photo, pair)] * 2)
    page, asked = browser.new_page(viewport={"width": 390, "height": 844}), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())
    slider = page.get_by_role("slider", name="old.jpg").first
    slider.press("Home")
    start = page.evaluate("document.querySelector('figure').style.getPropertyValue('--at')")
    slider.press("ArrowRight")
    moved = page.evaluate("document.querySelector('figure').style.getPropertyValue('--at')")
    assert float(moved.rstrip("%")) > float(start.rstrip("%"))
    assert page.evaluate("[...document.images].every(image => image.naturalWidth == 160)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert len([url for url in asked if not url.startswith("data:")]) == 1
    page.close()
