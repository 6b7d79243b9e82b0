"""The page, in a real browser (slow: it needs NiceGUI, Playwright and a Chromium)."""

import base64
import contextlib
import html
import http.client
import http.server
import io
import json
import logging
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import zipfile

import numpy as np
import pytest
from light import light_error
from pictures import encoded, scene

from colorjax import cli, errors, photos
from colorjax.inference import looks
from colorjax.jobs import gallery
from colorjax.web import app, guard, logs, routes, studio

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
WAIT = 600_000  # milliseconds: only a hang takes this long, however slow the machine is
STILL = """document.getAnimations().every(
  ({ effect, playState }) => playState != "running" || !isFinite(effect.getComputedTiming().endTime))"""


@pytest.mark.req("APP-007")
def test_without_nicegui_one_line_says_what_to_install(network, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nicegui", None)
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


@pytest.mark.req("APP-014")
def test_the_browser_is_started_with_a_ticket(network, monkeypatch, capsys):
    @contextlib.contextmanager
    def serving(weights, **options):
        yield app.Served("http://printed/", "http://opened/")

    def opened(address):
        seen.append(address)
        raise KeyboardInterrupt

    seen = []
    monkeypatch.setattr(app, "serving", serving)
    monkeypatch.setattr("webbrowser.open", opened)
    assert cli.main(["app"]) == 130
    assert seen == ["http://opened/"]
    assert "http://printed/ " in capsys.readouterr().out


@contextlib.contextmanager
def serving(*, end=signal.SIGTERM, stderr=None, **environment):
    """Run `colorjax app` as a person does, yield its address with the token, and end it with a signal."""
    pytest.importorskip("nicegui", reason="the extra `app` is not installed")
    command = [sys.executable, "-m", "colorjax", "app", "--no-browser"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | environment,
    )
    try:
        said = process.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", said)[0]
    finally:
        process.send_signal(end)
        process.communicate(timeout=600)
    assert process.returncode == 128 + end


@pytest.mark.slow
@pytest.mark.req("APP-005", "CMD-004")
def test_a_closed_terminal_leaves_nothing(tmp_path):
    with serving(end=signal.SIGHUP, TMPDIR=str(tmp_path)):
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """Where the page has its folder."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def address(temporary):
    with serving(TMPDIR=str(temporary)) as address:
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
def open_page(browser, address, asked):
    """Opens a page in a window. After the test, even a failed one, all files and windows are closed."""
    with contextlib.ExitStack() as closing:

        def open_page(width, height, **options):
            size = {"width": width, "height": height}
            context = browser.new_context(viewport=size, **options)
            closing.enter_context(contextlib.closing(context))
            page = opened(context.new_page(), address, asked)
            closing.callback(close_all, page)
            return page

        yield open_page


@pytest.fixture
def page(open_page):
    return open_page(1280, 900)


def opened(page, address, asked):
    faults = []
    page.set_default_timeout(WAIT)
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    page.faults = faults
    page.goto(address)
    page.locator(".welcome, .work").locator("visible=true").first.wait_for()
    return page


def close_all(page):
    """Take all out of the strip: the server is the other tests', too."""
    page.reload()
    page.locator(".welcome, .work").locator("visible=true").first.wait_for()
    if page.locator(".strip li").count() > 1:
        page.get_by_role("button", name="Remove all").click()
        page.locator(".strip li").first.wait_for(state="detached")
    elif page.locator(".strip li").count():
        page.locator(".strip .frame").press("Delete")
        page.locator(".strip li").wait_for(state="detached")
    assert page.faults == []


PHOTO = scene(120, 160)[..., 1]


def resize(page, width, height):
    """Give the window another size, and wait until it has it."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(
        "size => innerWidth + ' ' + innerHeight == size", arg=f"{width} {height}"
    )


def drop(page, tmp_path, **files):
    paths = []
    for name, data in files.items():
        paths.append(tmp_path / name.replace("_", "."))
        paths[-1].write_bytes(data)
    page.set_input_files("#choose-files", paths)


def colored(page):
    """Wait until the photo that is shown is shown in color."""
    page.locator(".stage .layer").nth(1).locator("img").wait_for()


def source(page):
    """Return where the color picture that is shown comes from: another one for each coloring."""
    return page.locator(".stage .layer").nth(1).locator("img").get_attribute("src")


@contextlib.contextmanager
def another(page):
    """Wait until what is shown in color is another picture than before."""
    shown = source(page)
    yield
    page.wait_for_function(
        "shown => document.querySelectorAll('.stage .layer')[1].querySelector('img').src != shown",
        arg=shown,
    )


def downloaded(page, what):
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=what).click()
    close(page)
    path = pathlib.Path(download.value.path())
    return download.value.suggested_filename, path.read_bytes()


def wanted(page, suffix, label):
    page.get_by_role("button", name="Download").click()
    page.get_by_text("Format and quality").click()
    page.get_by_label("Format").select_option(suffix)
    page.get_by_role("button", name=f"Download this photo ({label})").wait_for()
    close(page)


def close(page):
    """Close a dialog, and wait until it is gone: it takes clicks until then."""
    page.get_by_role("button", name="Close").click()
    page.locator(".sheet").wait_for(state="hidden")


def lost_light(data, gray=PHOTO):
    rgb = photos.decode_photo(data).pixels
    assert rgb.shape == (*gray.shape, 3)
    return light_error(rgb, gray).max()


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-002", "APP-003", "APP-004", "APP-018")
def test_a_person_colors_a_photo(page, asked, address, tmp_path):
    drop(page, tmp_path, bad_jpg=b"no photo", old_png=encoded(PHOTO, "PNG"))
    page.locator(".strip .failed").wait_for()
    page.locator(".strip li").nth(1).wait_for()
    assert "not a photo" in page.locator(".strip .failed .frame").get_attribute("aria-label")
    page.locator(".strip .frame").last.click()
    colored(page)
    assert "160 × 120" in page.locator(".what").inner_text()

    slider = page.locator(".stage").get_by_label("Where color begins")
    before = page.locator(".divider").bounding_box()["x"]
    slider.fill("20")
    assert page.locator(".divider").bounding_box()["x"] < before - 20

    name, data = downloaded(page, "This photo")
    assert name == "old.color.png"
    assert lost_light(data) <= 50

    with another(page):
        page.locator(".looks button").nth(1).click()
    _, vivid = downloaded(page, "This photo")
    assert vivid != data
    assert lost_light(vivid) <= 50
    with another(page):
        page.get_by_role("button", name="Undo").click()
    assert page.get_by_role("button", name="Undo").is_disabled()

    wanted(page, ".jpg", "JPEG")
    name, jpeg = downloaded(page, "This photo")
    assert name == "old.color.jpg"
    assert photos.decode_photo(jpeg).format == "JPEG"
    assert lost_light(jpeg) <= 1200  # FIL-028

    asked = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert asked
    own = address.partition("?")[0]
    assert all(url.startswith((own, own.replace("http", "ws"))) for url in asked)


@pytest.mark.slow
@pytest.mark.req("APP-008", "APP-019")
def test_a_place_gets_a_color(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    _, plain = downloaded(page, "This photo")
    box = page.locator(".stage").bounding_box()
    at = box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4
    page.mouse.click(*at)
    swatches = page.locator(".swatches button")
    swatches.first.wait_for()
    assert 2 + 8 <= swatches.count() <= 8 + 8
    named = swatches.evaluate_all("all => all.map((e) => e.getAttribute('aria-label'))")
    assert len(set(named)) == len(named)
    palette = page.locator(".palette").bounding_box()  # beside the photo
    assert palette["x"] >= box["x"] + box["width"]
    assert palette["y"] >= box["y"]
    ring = page.locator(".ring.asking").bounding_box()
    assert abs(ring["x"] + ring["width"] / 2 - at[0]) < 6
    with another(page):  # what one points at is shown
        swatches.nth(1).hover()
    name = swatches.last.get_attribute("aria-label").split()[-1]
    swatches.last.click()
    page.locator(".set").wait_for()
    assert name in page.locator(".set").inner_text()
    assert page.locator(".ring").get_attribute("aria-label").startswith(f"Color 1, {name}")
    page.locator(".set .again").click()
    page.get_by_role("dialog", name="Colors for this place").wait_for()
    assert "chosen" in page.locator(".ring").get_attribute("class")
    page.locator(".palette").get_by_role("button", name="Close").click()
    _, hinted = downloaded(page, "This photo")
    assert hinted != plain
    assert lost_light(hinted) <= 50  # no ring in it

    page.keyboard.press("Control+z")
    page.locator(".set").wait_for(state="detached")
    page.keyboard.press("Control+Shift+Z")
    page.locator(".set").wait_for()

    page.get_by_role("button", name="Color an area").click()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.6)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.6, steps=8)
    page.mouse.up()
    page.get_by_role("dialog", name="Colors for this area").wait_for()
    page.locator(".any input").fill("#2060c0")
    page.locator(".set").nth(1).wait_for()
    assert "area" in page.locator(".set").nth(1).inner_text()
    page.locator(".ring").nth(1).click()
    page.get_by_role("button", name="Remove this color").click()
    page.locator(".set").nth(1).wait_for(state="detached")
    page.locator(".set .away").click()
    page.locator(".set").wait_for(state="detached")


@pytest.mark.slow
@pytest.mark.req("APP-016", "APP-019")
def test_the_slider_is_back_after_a_palette(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO, "PNG"))
    colored(page)
    page.locator(".stage").get_by_label("Where color begins").fill("60")
    divider, box = page.locator(".divider"), page.locator(".stage .layer img").first.bounding_box()
    shown = page.locator(".stage .layer").nth(1)
    left = divider.bounding_box()["x"]
    ring = page.locator(".ring.asking")
    for x, y in (
        (0.6, 0.3),
        (0.3, 0.4),
        (0.8, 0.6),
    ):  # on the slider's line, and then at once elsewhere
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        page.locator(".swatches button").first.wait_for()
        place = ring.bounding_box()
        assert abs(place["x"] + place["width"] / 2 - box["x"] - box["width"] * x) < 6
        assert not divider.is_visible()
        inset = shown.evaluate("e => parseFloat(e.style.clipPath.split(' ').pop())")
        assert inset <= box["x"] - page.locator(".stage").bounding_box()["x"] + 1
    page.keyboard.press("Escape")
    divider.wait_for()
    assert divider.bounding_box()["x"] == left
    page.locator(".strip .frame").nth(1).click()
    page.wait_for_function("document.querySelector('.what h1').innerText == 'two.png'")
    colored(page)
    assert page.locator(".stage").get_by_label("Where color begins").input_value() == "50"


@pytest.mark.slow
@pytest.mark.req("APP-019")
def test_a_ring_on_the_sliders_line_is_clicked(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    box = page.locator(".stage .layer img").first.bounding_box()
    x, y = box["x"] + box["width"] / 2 + 12, box["y"] + box["height"] * 0.3
    page.mouse.click(x, y)
    page.locator(".swatches button").first.click()
    page.locator(".set").wait_for()
    page.locator(".divider").wait_for()
    page.mouse.click(x - 4, y)
    page.locator(".palette").get_by_text("Change this color").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.matches('button.ring')")


HELD = """() => {
  const json = Response.prototype.json;
  Response.prototype.json = async function () {
    const told = await json.call(this);
    await new Promise(done => (window.release = done));
    return told;
  };
}"""


@pytest.mark.slow
@pytest.mark.req("APP-019")
def test_a_palette_is_closed_before_its_colors_arrive(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    page.locator(".stage").click(position={"x": 300, "y": 200})
    page.locator(".swatches button").first.click()
    page.locator(".set").wait_for()
    page.evaluate(HELD)
    page.locator(".set .again").click()
    page.wait_for_function("!!window.release")
    page.keyboard.press("Escape")
    page.locator(".palette").wait_for(state="detached")
    page.evaluate("() => { release(); return new Promise(requestAnimationFrame); }")
    assert page.faults == []
    assert page.evaluate("document.activeElement.matches('.set .again')")


@pytest.mark.slow
@pytest.mark.req("APP-019")
def test_a_color_is_limited_to_its_surroundings(page, asked, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    box = page.locator(".stage .layer img").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4)
    swatch = page.locator(".swatches").nth(1).locator("button").nth(5)
    name = swatch.get_attribute("aria-label")
    swatch.click()
    page.locator(".set").wait_for()
    ring = page.locator("button.ring")
    place, line = ring.bounding_box(), page.locator(".divider").bounding_box()
    assert line["x"] + line["width"] / 2 < place["x"]  # the color that was set is seen
    page.wait_for_timeout(500)

    asked.clear()
    ring.click()
    page.wait_for_function("document.activeElement.matches('.swatches [aria-pressed=true]')")
    assert page.locator(":focus").get_attribute("aria-label") == name
    assert page.locator(".any input").input_value() == "#3c6ec8"
    tried = [url for url in asked if "mark=" in url]
    assert all("60%2C110%2C200" in url for url in tried)  # what is there
    with another(page):
        page.get_by_label("Only around this place").check()
    page.locator(".set").get_by_text("(only here)").wait_for()
    assert page.locator(".palette").is_visible()
    with another(page):
        page.keyboard.press("Control+z")
    page.locator(".set").get_by_text("(only here)").wait_for(state="detached")
    page.locator(".palette").wait_for(state="detached")
    page.wait_for_function("document.activeElement.matches('button.ring')")


@pytest.mark.slow
@pytest.mark.req("APP-015")
@pytest.mark.parametrize(("width", "height"), [(1366, 625), (1280, 900)])
def test_the_first_page_fits(page, width, height):
    resize(page, width, height)
    assert page.evaluate("document.documentElement.scrollHeight") <= height


@pytest.mark.slow
@pytest.mark.req("APP-016")
@pytest.mark.parametrize(("width", "height"), [(1366, 560), (1366, 625), (1280, 900), (390, 844)])
def test_the_tools_cover_nothing_of_the_photo(page, tmp_path, width, height):
    resize(page, width, height)
    drop(page, tmp_path, tall_png=encoded(scene(900, 600)[..., 1], "PNG"))
    colored(page)
    picture = page.locator(".stage .layer img").first.bounding_box()
    assert picture["y"] + picture["height"] <= page.locator(".tools").bounding_box()["y"]
    if width > 1000:
        assert page.evaluate("document.documentElement.scrollHeight") <= height
        assert picture["height"] > 0.5 * height
    looks = page.locator(".looks").bounding_box()
    assert looks["x"] + looks["width"] <= width


@pytest.mark.slow
@pytest.mark.req("APP-018")
def test_a_look_is_chosen_only_after_it_was_seen(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO, "PNG"))
    colored(page)
    page.locator(".looks button:disabled").first.wait_for(state="detached")
    held = []
    page.route("**/look/*", lambda route: held.append(route))
    page.locator(".strip .frame").nth(1).click()
    page.wait_for_function("document.querySelector('.what h1').innerText == 'two.png'")
    assert page.locator(".looks button:disabled").count() == len(looks.LOOKS)
    for route in held:
        route.continue_()
    page.unroute("**/look/*")
    page.locator(".looks button:disabled").first.wait_for(state="detached")


@pytest.mark.slow
@pytest.mark.req("APP-016")
@pytest.mark.parametrize(("width", "height"), [(7, 9), (20, 400)])
def test_small_and_narrow_photos_are_seen(page, tmp_path, width, height):
    drop(page, tmp_path, old_png=encoded(scene(height, width)[..., 1], "PNG"))
    colored(page)
    assert page.locator(".stage .layer img").first.bounding_box()["height"] >= 200
    before, after = (page.locator(".side").nth(i).bounding_box() for i in (0, 1))
    assert before["x"] + before["width"] <= after["x"]


@pytest.mark.slow
@pytest.mark.req("APP-016")
def test_zoom_and_wheel(page, tmp_path):
    large = np.kron(PHOTO, np.ones((24, 24), np.uint8))  # 3840 × 2880
    drop(page, tmp_path, large_png=encoded(large, "PNG"))
    colored(page)
    stage, picture = page.locator(".stage"), page.locator(".stage .layer img").first
    box, fitted = stage.bounding_box(), picture.bounding_box()
    assert fitted["width"] <= box["width"] + 1
    assert fitted["height"] <= box["height"] + 1
    assert box["y"] + box["height"] <= 900
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(200)
    assert picture.bounding_box() == fitted  # the page's, not the photo's

    with another(page):  # the whole photo is asked for
        page.keyboard.press("1")
    assert abs(picture.bounding_box()["width"] - 3840) < 1
    handle = page.locator(".divider .handle").bounding_box()
    assert box["x"] <= handle["x"] + handle["width"] / 2 <= box["x"] + box["width"]
    left = picture.bounding_box()["x"]
    page.mouse.move(box["x"] + 300, box["y"] + box["height"] / 3)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + box["height"] / 3, steps=5)
    page.mouse.up()
    assert abs(picture.bounding_box()["x"] - (left - 150)) < 2
    page.keyboard.down("Control")
    page.mouse.wheel(0, 300)
    page.keyboard.up("Control")
    page.wait_for_function("!document.querySelector('.share').innerText.startsWith('100')")
    page.keyboard.press("0")
    assert abs(picture.bounding_box()["width"] - fitted["width"]) < 1


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-002", "APP-020")
def test_several_photos_a_reload_and_a_project(page, address, tmp_path):
    other = scene(90, 70)[..., 2]
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_tif=encoded(other, "TIFF"))
    colored(page)
    page.locator(".strip .done").nth(1).wait_for()
    with another(page):
        page.get_by_label("Vividness").fill("0")
    assert "2 files" in page.locator(".sum").inner_text()
    asking = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    page.wait_for_function(asking)
    page.reload()
    colored(page)
    assert page.get_by_label("Vividness").input_value() == "0"
    page.wait_for_function("document.querySelectorAll('.strip li.done').length == 2")

    name, data = downloaded(page, "All as a zip")
    assert name == "colored.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["one.color.png", "two.color.tif"]
        one, two = (archive.read(each) for each in archive.namelist())
    gray = photos.decode_photo(one).pixels
    np.testing.assert_array_equal(gray, np.repeat(PHOTO[..., None], 3, -1))
    assert lost_light(two, other) <= 50
    page.wait_for_function(f"!({asking})")  # all is at home

    name, project = downloaded(page, "Project file")
    close_all(page)
    drop(page, tmp_path, photos_colorjax=project)
    colored(page)
    assert page.locator(".strip li").count() == 2
    assert page.get_by_label("Vividness").input_value() == "0"
    assert not page.get_by_role("button", name="Undo").is_disabled()
    name, sheet = downloaded(page, "Compare picture")
    assert name == "one.compare.jpg"
    assert photos.decode_photo(sheet).pixels.shape[1] >= 320


@pytest.mark.slow
@pytest.mark.req("APP-002")
def test_all_go_into_a_folder_over_nothing(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO, "PNG"))
    colored(page)
    page.evaluate("window.showDirectoryPicker = () => navigator.storage.getDirectory()")
    names = "navigator.storage.getDirectory().then(f => Array.fromAsync(f.keys()))"
    expected = set()
    for added in ({"one.color.png", "two.color.png"}, {"one.color (2).png", "two.color (2).png"}):
        expected |= added
        page.get_by_role("button", name="Download").click()
        page.get_by_role("button", name="Into a folder").click()
        page.get_by_text("2 saved").last.wait_for()
        assert set(page.evaluate(names)) == expected
        close(page)
        page.get_by_text("2 saved").wait_for(state="hidden")


FAILING_FOLDER = """() => {
  window.made = {};
  window.showDirectoryPicker = async () => ({
    async *keys() { yield* Object.keys(made); },
    async getFileHandle(name) {
      made[name] = 0;
      const write = () => { if (name.startsWith("one")) throw new Error("The disk is full."); made[name]++; };
      return { createWritable: async () => new WritableStream({ write }) };
    },
    async removeEntry(name) { delete made[name]; },
  });
}"""


def open_three(page, tmp_path):
    """Open one.png, two.png and three.png, and wait until all are colored."""
    pictures = {f"{name}_png": encoded(PHOTO, "PNG") for name in ("one", "two", "three")}
    drop(page, tmp_path, **pictures)
    open_files(page, 3)


@pytest.mark.slow
@pytest.mark.req("APP-028")
def test_a_folder_that_fails_is_said_and_the_others_are_saved(page, tmp_path):
    open_three(page, tmp_path)
    page.evaluate(FAILING_FOLDER)
    page.get_by_role("button", name="Download").click()
    page.get_by_role("button", name="Into a folder").click()
    page.get_by_text("2 saved").wait_for()
    page.get_by_text("one.color.png: The disk is full.").wait_for()
    assert page.evaluate("Object.keys(made).sort()") == ["three.color.png", "two.color.png"]


@pytest.mark.slow
@pytest.mark.req("APP-027")
def test_a_double_click_removes_one_file(page, tmp_path):
    open_three(page, tmp_path)
    page.locator(".strip .close").first.dblclick()
    page.locator(".strip li").nth(2).wait_for(state="detached")
    drop(page, tmp_path, bad_png=b"no photo")
    page.locator(".strip .failed .frame").click()
    page.locator(".failure button").dblclick()
    page.locator(".failure").wait_for(state="detached")
    assert open_files(page, 2) == ["two.png", "three.png"]


def colors_set(page, *places):
    """Set the first color that the palette offers at places of the photo."""
    for number, (x, y) in enumerate(places):
        box = page.locator(".stage .layer img").first.bounding_box()
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        page.locator(".swatches button").nth(number).click()
        page.locator(".set").nth(number).wait_for()


@pytest.mark.slow
@pytest.mark.req("APP-027")
def test_a_double_click_or_a_held_key_removes_one_color(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"))
    colored(page)
    colors_set(page, (0.2, 0.2), (0.4, 0.7), (0.8, 0.3))
    page.locator(".set .away").first.dblclick()
    page.locator(".set").nth(2).wait_for(state="detached")
    page.locator(".ring").first.focus()
    page.keyboard.down("Delete")
    page.locator(".set").nth(1).wait_for(state="detached")
    page.wait_for_function("document.activeElement.matches('.ring, .stage')")
    page.keyboard.down("Delete")  # repeated, as long as it is held
    page.keyboard.up("Delete")
    page.get_by_role("button", name="Undo").click()
    page.locator(".set").nth(1).wait_for()
    assert page.locator(".set").count() == 2


SHOWN = "name => document.querySelector('.what h1').innerText == name"


@pytest.mark.slow
@pytest.mark.req("APP-027")
def test_a_click_counts_for_the_photo_that_is_seen(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO[:, ::-1], "PNG"))
    open_files(page, 2)
    page.wait_for_function("!document.querySelectorAll('.looks button')[1].disabled")
    # in one go, so that the browser shows the first photo at both clicks
    page.evaluate("""() => {
      document.querySelectorAll(".strip .frame")[1].click();
      document.querySelectorAll(".looks button")[1].click();
    }""")
    look = page.locator(".looks button").nth(1)
    page.wait_for_function(SHOWN, arg="two.png")
    colored(page)
    assert look.get_attribute("aria-pressed") == "false"
    page.keyboard.press("PageUp")
    page.wait_for_function(SHOWN, arg="one.png")
    page.wait_for_function("document.querySelectorAll('.looks button')[1].ariaPressed == 'true'")


@pytest.mark.slow
@pytest.mark.req("APP-027")
def test_what_was_begun_on_a_photo_ends_with_it(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO, "PNG"))
    open_files(page, 2)
    colored(page)
    # a place
    page.keyboard.press("c")
    page.locator(".cross").wait_for()
    page.keyboard.press("PageDown")
    page.wait_for_function(SHOWN, arg="two.png")
    page.locator(".cross").wait_for(state="detached")
    # a stroke
    colored(page)
    page.keyboard.press("b")
    box = page.locator(".stage .layer img").first.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 100)
    page.locator(".strokes").wait_for()
    page.keyboard.press("PageUp")
    page.wait_for_function(SHOWN, arg="one.png")
    page.locator(".strokes").wait_for(state="detached")
    page.mouse.up()
    assert page.locator(".palette").count() == 0
    # a vividness
    colored(page)
    handle = page.locator("#vividness").bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] + handle["width"] * 0.9, handle["y"] + handle["height"] / 2)
    page.wait_for_function("document.querySelector('#vividness').value > 1.5")
    page.keyboard.press("PageDown")
    page.wait_for_function(SHOWN, arg="two.png")
    page.wait_for_function("document.querySelector('#vividness').value == 1")
    page.mouse.up()
    page.keyboard.press("PageUp")
    page.wait_for_function(SHOWN, arg="one.png")
    assert page.locator("#vividness").input_value() == "1"
    assert page.get_by_role("button", name="Undo").is_disabled()


@pytest.mark.slow
@pytest.mark.req("APP-027")
def test_keys_change_nothing_behind_a_dialog(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO, "PNG"))
    open_files(page, 2)
    colored(page)
    with another(page):
        page.locator(".looks button").nth(1).click()
    page.get_by_role("button", name="Keys").click()
    page.locator(".sheet").wait_for()
    page.evaluate("document.activeElement.blur()")
    for key in ("Control+z", "PageDown", "b"):
        page.evaluate(
            "key => document.body.dispatchEvent(new KeyboardEvent('keydown', key))",
            {
                "key": key.split("+")[-1],
                "ctrlKey": "+" in key,
                "bubbles": True,
            },
        )
    close(page)
    assert page.get_by_role("button", name="Undo").is_enabled()
    assert page.locator(".what h1").inner_text() == "one.png"
    assert page.get_by_label("Size of the brush").count() == 0


@pytest.mark.slow
@pytest.mark.req("APP-028")
@pytest.mark.parametrize("what", ["before", "after"])
def test_a_picture_that_fails_is_asked_for_again(page, tmp_path, what):
    failed = []

    def fail_once(route):
        if failed:
            return route.continue_()
        failed.append(route.request.url)
        return route.abort()

    page.route(re.compile(rf"/photos/\w+/{what}\?v="), fail_once)
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"))
    colored(page)
    page.locator(".stage .layer").first.locator("img").wait_for()
    page.locator(".stage .thumb").wait_for(state="detached")
    assert failed
    page.unroute_all()


@pytest.mark.slow
@pytest.mark.req("APP-028")
@pytest.mark.parametrize("body", [None, "{"])
def test_a_palette_without_its_colors_has_the_picker(page, tmp_path, body):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"))
    colored(page)
    answer = (lambda route: route.fulfill(body=body)) if body else (lambda route: route.abort())
    page.route("**/palette?*", answer)
    page.locator(".stage").click(position={"x": 300, "y": 200})
    page.get_by_text("Any other color").wait_for()
    page.get_by_text("Finding colors").wait_for(state="detached")
    page.unroute_all()


@pytest.mark.slow
@pytest.mark.req("APP-018")
def test_a_color_that_is_set_already_changes_nothing(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"))
    colored(page)
    with another(page):
        colors_set(page, (0.3, 0.4))
    page.wait_for_timeout(500)
    shown = source(page)
    page.locator(".set .again").click()
    page.locator(".swatches [aria-pressed=true]").first.click()
    page.wait_for_function(
        "shown => document.querySelectorAll('.stage .layer')[1].querySelector('img').src == shown",
        arg=shown,
    )
    assert page.locator(".set").count() == 1


@pytest.mark.slow
@pytest.mark.req("APP-015")
def test_what_cannot_be_read_of_a_folder_is_left_out(page):
    page.evaluate(
        """async (data) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt());
      const good = { isFile: true, file: (done) => done(new File([bytes], "a.png")) };
      const gone = { isFile: true, file: (done, failed) => failed(new Error("gone")) };
      const items = [gone, good].map((entry) => ({ kind: "file", webkitGetAsEntry: () => entry }));
      const event = new Event("drop", { cancelable: true });
      event.dataTransfer = { types: ["Files"], items, files: [] };
      dispatchEvent(event);
    }""",
        base64.b64encode(encoded(PHOTO, "PNG")).decode(),
    )
    assert open_files(page, 1) == ["a.png"]


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-006", "APP-017")
def test_a_photo_is_taken_out_of_the_strip(page, tmp_path):
    names = ("one", "two", "three")
    pictures = {f"{name}_png": encoded(scene(90, 70, i), "PNG") for i, name in enumerate(names)}
    drop(page, tmp_path, **pictures)
    page.locator(".strip li").nth(2).wait_for()
    for removed, left in (("one", "two"), ("two", "three")):
        page.get_by_role("button", name=f"Remove {removed}.png").press("Enter")
        page.wait_for_function(f"document.querySelector('.what h1').innerText == '{left}.png'")
        page.wait_for_function(f"document.activeElement.title == '{left}.png'")
    page.get_by_role("button", name="Remove three.png").press("Enter")
    page.locator(".welcome").wait_for()


@pytest.mark.slow
@pytest.mark.req("APP-020")
def test_removing_what_was_set_asks(page, tmp_path):
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_png=encoded(PHOTO, "PNG"))
    colored(page)
    with another(page):
        page.locator(".looks button").nth(1).click()
    page.evaluate("window.confirm = (text) => { window.told = text; }")
    page.get_by_role("button", name="Remove two.png").press("Enter")  # nothing was set there
    page.locator(".strip li").nth(1).wait_for(state="detached")
    page.get_by_role("button", name="Remove one.png").press("Enter")
    page.wait_for_function("window.told")
    assert "one.png" in page.evaluate("window.told")
    assert page.locator(".strip li").count() == 1


@pytest.mark.slow
@pytest.mark.req("APP-003", "APP-012")
def test_a_failed_file_has_no_settings_and_no_path(page, tmp_path):
    drop(page, tmp_path, bad_jpg=b"no photo")
    page.locator(".strip .failed").wait_for()
    page.locator(".vividness").wait_for(state="hidden")
    assert not page.get_by_text("Colors you set").is_visible()
    page.get_by_role("button", name="Download").click()
    assert not page.get_by_role("button", name="All as a zip").is_visible()  # it is one file
    for what in ("This photo", "Compare picture"):
        page.get_by_role("button", name=what).click()
        page.locator(".jobs p").last.get_by_text("bad.jpg").wait_for()
    told = page.locator(".jobs").inner_text()
    assert "not a photo" in told
    assert app.PREFIX not in told
    close(page)
    assert "not a photo" in page.locator(".failure").inner_text()
    page.locator(".failure").get_by_role("button", name="Remove").click()
    page.locator(".welcome").wait_for()


@pytest.mark.slow
@pytest.mark.req("APP-003")
def test_messages_are_not_in_the_way(page, tmp_path):
    drop(page, tmp_path, bad_jpg=b"no photo", old_png=encoded(PHOTO, "PNG"))
    page.locator(".strip .done").wait_for()
    downloaded(page, "All as a zip")
    page.get_by_role("button", name="Download").click()
    assert "bad.jpg: not a photo" in page.locator(".jobs").inner_text()
    assert page.locator(".q-notification").count() == 0  # the dialog says it
    close(page)
    drop(page, tmp_path, photos_colorjax=b"no project")
    message = page.locator(".q-notification").get_by_text("photos.colorjax")
    message.wait_for()
    box = message.bounding_box()
    behind = "([x, y]) => !document.elementFromPoint(x, y).closest('.q-notification')"
    assert page.evaluate(behind, [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    page.get_by_role("button", name="OK").click()
    message.wait_for(state="hidden")


@pytest.mark.slow
@pytest.mark.req("APP-017")
def test_a_photo_says_that_it_is_being_colored(page, tmp_path):
    held = []
    page.route("**/after?*", lambda route: held.append(route))
    page.evaluate("""() => new MutationObserver(() => {
      window.said = [...(window.said || []), document.querySelector(".stage .waiting")?.innerText];
    }).observe(document.querySelector(".stage"), { subtree: true, childList: true, characterData: true })""")
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    page.locator(".stage .thumb").wait_for()
    assert page.locator(".stage .waiting").inner_text() == "Opening …"
    page.locator(".what").get_by_text("160 × 120").wait_for()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    colored(page)
    page.unroute("**/after?*")


@pytest.mark.slow
@pytest.mark.req("APP-017")
def test_a_click_counts_while_a_thumbnail_appears(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    for button in (page.locator(".strip .frame"), page.locator(".looks button").first):
        box = button.bounding_box()
        place = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        # pressed is the button, not what is in it, which may be replaced until the release
        hit = "(button, place) => document.elementFromPoint(...place) == button"
        assert button.evaluate(hit, place)


# files as a browser hands them over: a list of (path, base64) becomes a tree of entries, or a clipboard
HAND_OVER = """([how, files]) => {
  const data = new DataTransfer(), tree = {};
  for (const [path, bytes] of files) {
    const file = new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], path.split("/").pop());
    data.items.add(file);
    let folder = tree;
    for (const part of path.split("/").slice(0, -1)) folder = folder[part] ||= {};
    folder[file.name] = file;
  }
  if (how == "paste") return dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
  const reader = (entries) => ({ readEntries: (done) => done(entries.splice(0, 2)) });
  const entry = (node) => node instanceof File
    ? { isFile: true, file: (done) => done(node) }
    : { isFile: false, createReader: () => reader(Object.values(node).map(entry)) };
  const roots = Object.values(tree).map(entry), asked = DataTransferItem.prototype.webkitGetAsEntry;
  DataTransferItem.prototype.webkitGetAsEntry = () => roots.shift() || entry({});
  dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
  DataTransferItem.prototype.webkitGetAsEntry = asked;
}"""


def hand_over(page, how, *names):
    """Paste or drop files, most of which are photos."""
    files = []
    for number, name in enumerate(names):
        data = encoded(np.roll(PHOTO, 9 * number, 1), "PNG") if name.endswith("png") else b"text"
        files.append([name, base64.b64encode(data).decode()])
    page.evaluate(HAND_OVER, [how, files])


def open_files(page, count):
    page.wait_for_function(f"document.querySelectorAll('.strip .done').length == {count}")
    labels = page.locator(".strip .frame").evaluate_all(
        "frames => frames.map((frame) => frame.getAttribute('aria-label'))"
    )
    return [label.split(",")[0] for label in labels]


@pytest.mark.slow
@pytest.mark.req("APP-015")
def test_a_folder_is_dropped(page):
    names = ["album/a.png", "album/b.png", "album/notes.txt", "album/inner/c.png", "album/.d.png"]
    hand_over(page, "drop", *names, "album/inner/deep/e.png")
    assert sorted(open_files(page, 4)) == ["a.png", "b.png", "c.png", "e.png"]


@pytest.mark.slow
@pytest.mark.req("APP-015")
def test_of_a_folder_every_photo_and_film_is_opened(page):
    names = ["notes.txt", ".DS_Store", "scan.jfif", "film.m2ts", "film.3gp", "a.J2K", "other.pdf"]
    hand_over(page, "drop", *[f"album/{name}" for name in names])
    page.wait_for_function("document.querySelectorAll('.strip li').length == 4")
    page.locator(".q-notification").get_by_text("2 other files were skipped").wait_for()


@pytest.mark.slow
@pytest.mark.req("APP-015")
def test_a_folder_without_photos_is_said(page):
    hand_over(page, "drop", "album/notes.txt")
    page.locator(".q-notification").get_by_text("no photos or videos").wait_for()


@pytest.mark.slow
@pytest.mark.req("APP-015")
def test_a_photo_is_pasted(page):
    hand_over(page, "paste", "clip.png")
    assert open_files(page, 1) == ["clip.png"]
    colored(page)


@pytest.mark.slow
@pytest.mark.req("APP-016", "APP-022")
def test_two_fingers_zoom(open_page):
    page = open_page(390, 844, has_touch=True)
    hand_over(page, "paste", "clip.png")
    colored(page)
    width = "document.querySelectorAll('.stage .layer img')[1].getBoundingClientRect().width"
    fitted = page.evaluate(width)
    stage = page.locator(".stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    fingers = page.context.new_cdp_session(page)

    def touch(kind, apart):
        places = [{"x": x + side * apart, "y": y, "id": i} for i, side in enumerate((-1, 1))]
        points = [] if kind == "touchEnd" else places
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for start, end, check in (
        (30, 90, lambda w: w > 2 * fitted),
        (90, 20, lambda w: w < fitted * 1.1),
    ):
        touch("touchStart", start)
        for apart in np.linspace(start, end, 6)[1:]:
            touch("touchMove", float(apart))
        touch("touchEnd", end)
        assert check(page.evaluate(width))


@pytest.mark.slow
@pytest.mark.req("APP-016", "APP-022")
@pytest.mark.parametrize(("width", "height"), [(667, 375), (844, 390)])
def test_a_phone_held_sideways(open_page, width, height):
    page = open_page(width, height, has_touch=True)
    hand_over(page, "paste", "clip.png")
    colored(page)
    stage = page.locator(".stage")
    for place in ("top", "end"):
        page.evaluate(
            f"scrollTo(0, {0 if place == 'top' else 'document.documentElement.scrollHeight'})"
        )
        box = stage.bounding_box()
        assert 0 <= box["y"] <= height - box["height"], place
        assert box["height"] > 0.75 * height
        assert box["width"] > 0.5 * width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".strip .frame").is_visible()
    stage.click(position={"x": box["width"] / 2 - 60, "y": 100})
    palette = page.locator(".palette").bounding_box()
    assert palette["x"] >= 0
    assert palette["x"] + palette["width"] <= width
    assert palette["y"] >= 0
    assert palette["y"] + palette["height"] <= height


@pytest.mark.slow
@pytest.mark.req("APP-022")
def test_icons_take_no_more_room_before_their_font_is_loaded(page, tmp_path):
    page.route("**/*.woff2", lambda route: route.abort())
    page.reload()
    drop(page, tmp_path, a_png=encoded(PHOTO, "PNG"), b_png=encoded(PHOTO, "PNG"))
    colored(page)
    open_files(page, 2)
    icons = page.locator("i")
    sizes = icons.evaluate_all("all => all.map((e) => [e.clientWidth, e.clientHeight])")
    assert max(max(size) for size in sizes) <= 24
    page.unroute_all()


@pytest.mark.slow
@pytest.mark.req("APP-017")
def test_two_hundred_photos_at_once(page, tmp_path):
    paths = []
    for number in range(200):
        paths.append(tmp_path / f"{number:03}.jpg")
        paths[-1].write_bytes(encoded(np.roll(PHOTO, number, 1), "JPEG"))
    page.set_input_files("#choose-files", paths)
    page.wait_for_function("document.querySelectorAll('.strip li').length == 200")
    page.locator(".strip .frame").nth(150).click()
    page.wait_for_function("document.querySelector('.what h1').innerText == '150.jpg'")
    colored(page)
    page.wait_for_function("document.querySelectorAll('.strip .done').length == 200")
    for number in range(4):  # names in order, whatever came first
        assert f"{number:03}.jpg" in page.locator(".strip .frame").nth(number).get_attribute(
            "aria-label"
        )


@pytest.mark.slow
@pytest.mark.req("APP-021")
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg here")
def test_a_video_is_colored_in_the_background(page, tmp_path):
    film = tmp_path / "old.mp4"
    command = "ffmpeg -v error -f lavfi -i testsrc=size=96x64:rate=8:duration=2 -pix_fmt yuv420p"
    subprocess.run([*command.split(), str(film)], check=True)
    page.set_input_files("#choose-files", [film])
    colored(page)
    assert "Video of 16 frames, 96 × 64" in page.locator(".what").inner_text()
    name, data = downloaded(page, "This video")
    assert name == "old.color.mp4"
    assert data[4:8] == b"ftyp"
    page.get_by_role("button", name="Download").click()
    page.locator(".jobs").get_by_text("Saved to your downloads").wait_for()


@pytest.mark.slow
@pytest.mark.req("APP-015")
def test_the_first_look(page):
    page.locator(".hero .after").wait_for()
    hero = page.locator(".hero").get_by_label("Where color begins")
    hero.fill("30")
    assert page.evaluate(
        "getComputedStyle(document.querySelector('.hero')).getPropertyValue('--at')"
    ).startswith("30")
    assert page.get_by_role("button", name="Choose photos").is_visible()
    assert page.get_by_role("button", name="Choose a folder").is_visible()
    samples = page.locator(".samples button")
    assert samples.count() == 3
    samples.last.click()
    colored(page)
    assert page.locator(".looks img").count() == len(looks.LOOKS)
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


@pytest.mark.slow
@pytest.mark.req("APP-006", "APP-019", "APP-022")
@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_for_all(page, tmp_path, width):
    resize(page, width, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # a color set with the keyboard alone
    page.keyboard.press("c")
    cross = page.locator(".cross")
    told = cross.get_attribute("aria-label")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert cross.get_attribute("aria-label") != told
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.closest('.swatches')")
    page.keyboard.press("Enter")
    page.locator(".set").wait_for()
    page.wait_for_function("document.activeElement.matches('.cross')")
    # by numbers
    page.get_by_text("Exact place").click()
    page.get_by_label("From the left").fill("40")
    page.get_by_label("From the top").fill("30")
    page.get_by_role("button", name="Set this color").press("Enter")
    page.locator(".set").nth(1).wait_for()
    # a palette is closed, and the focus is back
    page.locator(".set .again").first.press("Enter")
    page.wait_for_function("document.activeElement.closest('.swatches')")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.matches('.set .again')")
    # a ring, by its key
    page.locator(".ring").first.press("Delete")
    page.locator(".set").nth(1).wait_for(state="detached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 400:
        assert page.evaluate(SMALL) == []


# the buttons that a finger misses or that nobody sees
SMALL = """() => [...document.querySelectorAll('button')]
  .filter(e => e.offsetParent && getComputedStyle(e).pointerEvents != 'none')
  .map(e => [e.getBoundingClientRect(), getComputedStyle(e), e.outerHTML.slice(0, 120)])
  .filter(([box, style]) => Math.min(box.width, box.height) < 43.5 || style.opacity == 0)
  .map(([, , text]) => text)"""


@pytest.mark.slow
@pytest.mark.req("APP-022")
def test_a_tablet_has_large_buttons(open_page):
    page = open_page(1024, 768, has_touch=True, is_mobile=True)
    hand_over(page, "paste", "a.png", "b.png")
    open_files(page, 2)
    assert page.evaluate(SMALL) == []


@pytest.mark.slow
@pytest.mark.req("APP-006", "APP-015", "APP-022")
def test_a_phone_cuts_nothing_off(page):
    resize(page, 360, 844)
    assert page.locator(".logo b").is_visible()
    tops = page.locator(".samples img").evaluate_all("all => all.map(e => e.offsetTop)")
    assert len(set(tops)) == 1
    page.locator(".samples button").first.click()
    colored(page)
    page.get_by_role("button", name="Color an area").click()
    tools = page.locator(".tools")
    tools.get_by_label("Size of the brush").wait_for()
    assert tools.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.get_by_role("button", name="Download").click()
    page.get_by_text("Format and quality").click()
    assert page.get_by_label("Format").evaluate(
        """e => {
          const copy = e.parentNode.appendChild(e.cloneNode(true));
          copy.style.width = "auto";
          const needed = copy.offsetWidth;
          copy.remove();
          return needed <= e.offsetWidth;
        }"""
    )
    close(page)


@pytest.mark.slow
@pytest.mark.req("APP-018")
def test_vividness_is_seen_while_it_is_dragged(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    shown = source(page)
    box = page.get_by_label("Vividness").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    with another(page):
        page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=4)
    assert page.get_by_role("button", name="Undo").is_disabled()  # nothing is set yet
    with another(page):
        page.mouse.move(box["x"] + box["width"] / 2, y, steps=4)
    page.wait_for_function(
        "shown => document.querySelectorAll('.stage .layer')[1].querySelector('img').src == shown",
        arg=shown,
    )
    page.mouse.up()
    assert page.get_by_role("button", name="Undo").is_disabled()


@pytest.mark.slow
@pytest.mark.req("APP-018")
def test_while_vividness_is_dragged_one_picture_is_asked_for_at_a_time(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    held = []
    page.route("**/after?*vividness=*", lambda route: held.append(route))
    slider = page.get_by_label("Vividness")
    slide = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
    for value in (1.1, 1.2, 1.3, 1.4):
        slider.evaluate(slide, value)
        page.wait_for_timeout(100)
    assert [route.request.url.partition("vividness=")[2] for route in held] == ["1.1"]
    with another(page):  # it is shown even though there is a newer one
        held.pop().continue_()
    while not held:
        page.wait_for_timeout(20)
    assert held[0].request.url.endswith("vividness=1.4")
    with another(page):
        held.pop().continue_()
    page.wait_for_timeout(100)
    assert held == []
    page.unroute("**/after?*vividness=*")


@pytest.mark.slow
@pytest.mark.req("APP-018")
def test_each_coloring_is_asked_for_once(page, asked, tmp_path):
    drop(page, tmp_path, first_png=encoded(PHOTO, "PNG"))
    colored(page)
    with another(page):
        page.get_by_label("Vividness").fill("1.2")
    drop(page, tmp_path, second_png=encoded(PHOTO[::-1], "PNG"))
    page.locator(".strip li").nth(1).click()  # another photo, and another version of its settings
    page.locator(".stage img[alt^='second']").first.wait_for()
    colored(page)
    page.locator(".strip li").first.click()
    page.locator(".stage img[alt^='first']").first.wait_for()
    colored(page)
    page.wait_for_timeout(300)
    shown = [address.partition("/photos/")[2] for address in asked if "/after?v=" in address]
    shown = [each for each in shown if "vividness=" not in each]  # what was tried
    first, second = shown[0].partition("/")[0], shown[2].partition("/")[0]
    assert shown == [
        f"{first}/after?v=0",
        f"{first}/after?v=1",
        f"{second}/after?v=0",
        f"{first}/after?v=1",
    ]


@pytest.mark.slow
@pytest.mark.req("APP-018", "APP-019")
def test_the_photo_is_back_after_many_previews(page, tmp_path):
    drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
    colored(page)
    shown = source(page)
    slide = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
    for step in range(14):
        with another(page):
            page.get_by_label("Vividness").evaluate(slide, 1.1 + step / 20)
    with another(page):
        page.get_by_label("Vividness").evaluate(slide, 1)
    assert source(page) == shown
    page.locator(".stage .layer").nth(1).locator("img").evaluate("image => image.decode()")


@pytest.mark.slow
@pytest.mark.req("APP-024")
def test_fields_keep_what_was_entered(page, tmp_path):
    def more(name, count):  # the page shows something new
        drop(page, tmp_path, **{name: encoded(scene(90, 70, count)[..., 1], "PNG")})
        page.wait_for_function(f"document.querySelectorAll('.strip .done').length == {count}")

    more("one_png", 1)
    colored(page)
    vividness = page.get_by_label("Vividness")
    box = vividness.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=4)
    dragged = vividness.input_value()
    assert float(dragged) > 1.4
    assert f"{round(100 * float(dragged))} %" in page.locator(".vividness").inner_text()
    more("two_png", 2)
    assert vividness.input_value() == dragged
    with another(page):
        page.mouse.up()
    assert vividness.input_value() == dragged
    with another(page):
        page.get_by_role("button", name="Undo").click()
    page.wait_for_function("document.querySelector('#vividness').value == 1")

    page.get_by_text("Exact place").click()
    left = page.get_by_label("From the left")
    left.fill("40")
    more("three_png", 3)
    assert left.input_value() == "40"
    left.fill("9999")
    left.press("Tab")
    assert left.input_value() == "69"  # the last column
    left.fill("")
    left.press("Tab")
    assert left.input_value() == "0"

    page.get_by_role("button", name="Download").click()
    page.get_by_text("Format and quality").click()
    quality = page.get_by_label("Quality")
    quality.fill("60")
    quality.press("Tab")
    more("four_png", 4)
    assert quality.input_value() == "60"
    quality.fill("500")
    quality.press("Tab")
    assert quality.input_value() == "100"
    close(page)


@pytest.mark.slow
@pytest.mark.req("APP-006", "APP-022")
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 1280),
        ("light", 390),
    ],
)
def test_axe_finds_nothing_serious(page, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    resize(page, width, 844)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    def check():
        found = axe.run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in serious] == []

    check()
    page.locator(".samples button").first.click()
    colored(page)
    check()
    box = page.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    page.locator(".swatches button").first.wait_for()
    check()
    page.locator(".swatches button").first.click()
    page.locator(".set").wait_for()
    for button in ("Keys", "Download"):
        page.get_by_role("button", name=button, exact=True).click()
        page.locator(".sheet").wait_for()
        page.wait_for_function(STILL)
        check()
        close(page)


class Client:
    """An HTTP client apart from the page's script, with the cookie or without."""

    def __init__(self, address, *, secret=True):
        self.host = address.split("/")[2]
        self.headers = {}
        if secret:
            status, headers, _ = self.ask("GET", address.partition(self.host)[2])
            assert (status, headers["Location"]) == (303, "/")
            self.headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]

    def ask(self, method, path, body=None, **headers):
        """Return status, headers and body; of a stream what comes until it closes."""
        connection = http.client.HTTPConnection(self.host, timeout=600)
        connection.request(method, path, body, self.headers | headers)
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        return found


ENTRIES = [
    ("GET", "/"),
    ("GET", "/photos/camera/before"),
    ("GET", "/photos/camera/palette?row=1&column=1"),
    ("GET", "/take/a"),
    ("POST", "/open?name=old.png"),
    ("OPTIONS", "/open?name=old.png"),
    ("GET", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"),
    ("POST", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"),
    ("PUT", "/any"),
]


@pytest.mark.slow
@pytest.mark.req("APP-004", "APP-009", "APP-010")
@pytest.mark.parametrize(("method", "path"), ENTRIES)
def test_nothing_gets_in(address, method, path):
    assert Client(address, secret=False).ask(method, path)[0] == 403
    client = Client(address)
    for host in ("example.org", "127.0.0.1", client.host + ".example.org"):
        assert client.ask(method, path, Host=host)[0] == 403
    for origin in ("http://localhost:3000", "http://127.0.0.1:3000", "null"):
        status, _, _ = client.ask(method, path, Origin=origin, Host=client.host)
        assert status == 403


def closed(connection):
    """Return whether the server closed a connection, perhaps after an answer."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def dialed(address):
    host, _, port = address.split("/")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=600)


@pytest.mark.slow
@pytest.mark.req("APP-025")
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: "])
def test_silent_connections_do_not_shut_the_page(address, begun):
    client = Client(address)
    with contextlib.ExitStack() as stack:
        silent = []
        for _ in range(300):
            silent.append(stack.enter_context(dialed(address)))
            silent[-1].sendall(begun)
        assert not closed(silent[-1])  # the newest stays, for its ten seconds
        assert client.ask("GET", "/")[0] == 200
        assert sum(map(closed, silent)) >= 300 - 128
        assert closed(silent[0])
        silent[-1].settimeout(600)
        assert silent[-1].recv(1 << 16) == b""  # in the end, the server closes all of them


@pytest.mark.slow
@pytest.mark.req("APP-025")
def test_a_refused_request_ends_its_connection(address):
    with dialed(address) as connection:
        host = address.split("/")[2].encode()
        connection.sendall(
            b"POST /open?name=a.png HTTP/1.1\r\nHost: "
            + host
            + b"\r\nContent-Length: 9999\r\n\r\nx"
        )
        answer = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(200):  # a byte now and then keeps a connection open that waits for more
                connection.settimeout(0.1)
                try:
                    part = connection.recv(4096)
                    if not part:
                        break
                    answer += part
                except TimeoutError:
                    connection.sendall(b"x")
            else:
                pytest.fail("still open")
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"connection: close" in answer.lower()


@pytest.mark.slow
@pytest.mark.req("APP-025")
def test_a_websocket_outlives_silent_connections(address):
    client = Client(address)
    with dialed(address) as socket, dialed(address) as silent:
        head = client.headers | {
            "Host": client.host,
            "Origin": f"http://{client.host}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        lines = [f"{name}: {value}" for name, value in head.items()]
        target = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        socket.sendall("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode())
        socket.settimeout(600)
        assert socket.recv(1 << 16).startswith(b"HTTP/1.1 101")
        silent.settimeout(600)
        assert silent.recv(1) == b""  # the time of both is over
        assert not closed(socket)


@pytest.mark.slow
@pytest.mark.req("APP-025")
def test_a_head_without_end_is_refused(address):
    with dialed(address) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(64):  # 4 MB
            connection.sendall(b"X-More: " + b"x" * 65_526 + b"\r\n")
            if closed(connection):
                break
            connection.settimeout(600)
        else:
            pytest.fail("4 MB of a head were taken")


MANY = "".join(f"X-{number}: 1\r\n" for number in range(200))
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"


def answered(address, *, target="/x", method="GET", headers=""):
    """Ask for a WebSocket, and return the answer when the server closed the connection."""
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    with dialed(address) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{upgrade}{headers}\r\n".encode())
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.slow
@pytest.mark.req("APP-009", "APP-011", "APP-025")
@pytest.mark.parametrize("host", ["own", "example.org"])
@pytest.mark.parametrize(
    "head",
    [
        {"headers": KEY},
        {"headers": ""},
        {"headers": KEY + MANY},
        {"headers": KEY + "X: " + "a" * 9000 + "\r\n"},
        {"headers": KEY, "target": "/" + "x" * 9000},
        {"headers": KEY + "Content-Length: 10\r\n", "method": "POST"},
        {"headers": KEY.replace("dGhl", "told")},
        {"headers": KEY.replace("13", "99")},
        {"headers": KEY + "Sec-WebSocket-Extensions: ;;=told\r\n"},
    ],
)
def test_a_socket_without_the_secret_is_refused_by_the_guard(address, host, head):
    host = address.split("/")[2] if host == "own" else host
    answer = answered(address, **head | {"headers": f"Host: {host}\r\n" + head["headers"]})
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(json.dumps({"detail": guard.REFUSAL}).encode())


@pytest.mark.slow
@pytest.mark.req("APP-025")
def test_a_socket_that_is_never_accepted_is_closed(address):
    client = Client(address)
    own = f"Host: {client.host}\r\nCookie: {client.headers['Cookie']}\r\n"
    assert answered(address, headers=own + KEY + MANY) == b""


@pytest.mark.slow
@pytest.mark.req("APP-009", "APP-010", "APP-012")
@pytest.mark.parametrize("path", ["/_nicegui_ws/socket.io/", "/", "/photos/camera/before"])
def test_sockets_need_the_secret_and_the_origin(address, path):
    client = Client(address)
    asked = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    target = path + "?EIO=4&transport=websocket"
    own = f"http://{client.host}"
    assert upgrade(Client(address, secret=False), target, asked | {"Origin": own}) == 403
    for origin in ("http://localhost:3000", "null", "https://example.org"):
        assert upgrade(client, target, asked | {"Origin": origin}) == 403
    found = upgrade(client, target, asked | {"Origin": own})
    assert found == (101 if path.startswith("/_nicegui_ws") else 403)


def upgrade(client, target, headers):
    """Ask for a socket, and return the status."""
    connection = http.client.HTTPConnection(client.host, timeout=600)
    connection.request("GET", target, headers=client.headers | headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.req("APP-023")
@pytest.mark.parametrize("name", logs.LIBRARIES)
def test_an_error_of_a_library_is_one_line(capsys, name):
    log = logging.getLogger(name)
    before = log.handlers, log.level, log.propagate
    with logs.one_line_each():
        try:
            raise KeyError("x" * 1000)
        except KeyError:
            log.exception("odd \x1b[31m\nand more")
        log.warning("not worth a line")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("colorjax: the page: odd \\x1b[31m (KeyError: 'xxx")
    assert len(line) <= 200
    assert (log.handlers, log.level, log.propagate) == before


ODD = [
    *("", "9", "4", "4x", "42", "42[]", "42{", "43a", "44", "49", "b!!", b"\xff\xfe", "é"),
    *("42" + "[" * 3000, "42" + "9" * 200, '42["event",' + "1" * 900_000 + "]", "4" * 2_000_000),
    *('42["event"]', '42["event",1]', '42["event",{}]', '42["event",{"client_id":[]}]'),
    *('42["ack",{}]', '42["log",{}]', '42["handshake",1]', '42["connect",1]', '42["none",1]'),
    '42["event",{"client_id":"CLIENT","id":4}]',
    '42["event",{"client_id":"CLIENT","id":4,"listener_id":"x","args":["{"]}]',
    '42["javascript_response",{"client_id":"CLIENT"}]',
    '42["log",{"client_id":"CLIENT","level":"error","message":"odd\\n\\u001b[31m"}]',
]


ODD_ARGUMENTS = [
    "[1]",
    "{}",
    "null",
    '"x"',
    "true",
    "-1",
    '"nan"',
    '"1e400"',
    '"' + "9" * 5000 + '"',
]
ODD_ARGUMENTS += ['{"color":"abc","path":{}}', '{"color":[1,2,3],"path":[[1,2,3]]}']


@contextlib.contextmanager
def connected(asking, page):
    """Connect to the socket of a page, and yield the socket and the key of the page."""
    client = pytest.importorskip("websockets.sync.client")
    key = re.search(r"'client_id': '([\w-]+)'", page)[1]
    query = f"EIO=4&transport=websocket&client_id={key}&implicit_handshake=true"
    query += "&tab_id=a&document_id=b&next_message_id=0"
    with client.connect(
        f"ws://{asking.host}/_nicegui_ws/socket.io/?{query}",
        additional_headers=asking.headers,
        origin=f"http://{asking.host}",
    ) as socket:
        socket.recv()  # the handshake of engine.io
        socket.send("40")
        socket.recv()  # that of socket.io
        yield socket, key


@pytest.mark.slow
@pytest.mark.req("APP-023")
def test_odd_messages_are_one_line_each(tmp_path):
    with open(tmp_path / "said", "w") as said, serving(stderr=said) as address:
        asking = Client(address)
        page = asking.ask("GET", "/")[2].decode()
        for message in ODD:
            with connected(asking, page) as (socket, key):
                socket.send(message.replace("CLIENT", key) if isinstance(message, str) else message)
        assert asking.ask("GET", "/")[0] == 200
    lines = (tmp_path / "said").read_text().splitlines()
    assert 10 < len(lines) <= len(ODD)
    for line in lines:
        assert line.startswith("colorjax: the page: ")
        assert line.isprintable()
        assert len(line) <= 200


@pytest.mark.slow
@pytest.mark.req("APP-023")
def test_odd_arguments_of_events_change_no_photo(tmp_path):
    with (
        open(tmp_path / "said", "w") as said,
        serving(stderr=said, TMPDIR=str(tmp_path)) as address,
    ):
        asking, before = Client(address), set(tmp_path.rglob("*.png"))
        asking.ask("POST", "/open?name=old.png", encoded(PHOTO, "PNG"))
        (path,) = {*tmp_path.rglob("*.png")} - before
        shown = asking.ask("GET", f"/photos/{path.stem}/after")[2]
        page = asking.ask("GET", "/")[2].decode()
        elements = json.loads(html.unescape(re.search(r"String\.raw`(.*?)`", page, re.S)[1]))
        with connected(asking, page) as (socket, key):
            for number, element in elements.items():
                for event in element.get("events", []):
                    if event["type"] not in ("choose", "change", "mark", "unmark"):
                        continue
                    for given in ODD_ARGUMENTS:
                        fields = {"client_id": key, "id": int(number), "args": [given]}
                        fields["listener_id"] = event["listener_id"]
                        socket.send(f'42["event",{json.dumps(fields)}]')
            socket.send('42["log",{}]')  # the last one, whose line is waited for
            while "'client_id'" not in (tmp_path / "said").read_text():
                time.sleep(0.05)
        assert asking.ask("GET", f"/photos/{path.stem}/after")[::2] == (200, shown)
    lines = (tmp_path / "said").read_text().splitlines()
    assert all(line.startswith("colorjax: the page: ") for line in lines)


@pytest.mark.slow
@pytest.mark.req("APP-011")
def test_what_a_proxy_says_changes_nothing(address):
    client = Client(address)
    said = {
        "X-Forwarded-Host": "example.org",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/example.org",
        "Forwarded": "host=example.org",
    }
    status, _, body = client.ask("GET", "/", **said)
    assert status == 200
    assert b"example.org" not in body


def foreign_paths(folder):
    """Return paths and URLs that are no upload, and the secret that is in the files."""
    secret = "what is in a foreign file"
    (folder / "file.png").write_text(secret)
    (folder / "link.png").symlink_to(folder / "file.png")
    os.mkfifo(folder / "pipe.png")
    names = [str(folder / name) for name in ("file.png", "link.png", "pipe.png", "none.png", "")]
    names += ["/dev/zero", "/dev/stdin", "/proc/self/environ", "/etc/hostname", "../etc/hostname"]
    names += [f"{folder}/../{folder.name}/file.png", "file.png", "pyproject.toml", "a\0b"]
    return secret, names


@pytest.mark.slow
@pytest.mark.req("APP-012")
def test_nothing_but_uploads_is_read(address, tmp_path):
    client = Client(address)
    secret, paths = foreign_paths(tmp_path)
    asked = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

        do_HEAD = do_GET

    def closed(method, path, *body):
        status, _, answer = client.ask(method, path, *body)
        assert status >= 400
        assert secret.encode() not in answer
        assert str(tmp_path).encode() not in answer

    page = client.ask("GET", "/")[2].decode()
    static = re.search(r"/_nicegui/[\w.]+/", page)[0]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_address[1]}/photo.png"
        for place in (*paths, url, "file:///etc/hostname", "//127.0.0.1/x", "data:,x"):
            for quoted in {urllib.parse.quote(place), urllib.parse.quote(place, safe="")}:
                for what in ("before", "after", "thumb", "look/natural", "palette?row=0&column=0"):
                    closed("GET", f"/photos/{quoted}/{what}")
                for route in ("take/", "static/", "photos/camera/look/../", "file="):
                    closed("GET", f"/{route}{quoted}")
                for kind in ("static", "components", "libraries", "esm", "resources"):
                    closed("GET", f"{static}{kind}/{quoted}")
                    closed("GET", f"{static}{kind}/..{quoted}")
                closed("GET", f"/photos/camera/after?mark={quoted or 1}")
        other.shutdown()
    assert asked == []
    for method, path in (
        ("POST", "/"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", f"{static}dynamic_resources/x"),
        ("POST", "/_nicegui/client/x/upload/1"),
        ("POST", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"),
        ("GET", "/photos/camera"),
        ("GET", "/photos/camera/look/" + "x" * 5000 + "/y"),
        ("POST", "/open"),
    ):
        closed(method, path, "{}" if method == "POST" else None)
    for mark in ("[", "[" * 10**4, "{}", '{"color":[1,2,3],"path":[[1e9,1]]}', '{"path":["a"]}'):
        closed("GET", f"/photos/camera/after?mark={urllib.parse.quote(mark)}")
    for vividness in ("nan", "-1", "1e9", "x"):
        closed("GET", f"/photos/camera/after?vividness={vividness}")
    for place in ("row=x&column=1", "row=1", ""):
        closed("GET", f"/photos/camera/palette?{place}")
    assert client.ask("GET", "/")[0] == 200


@pytest.mark.slow
@pytest.mark.req("APP-012")
@pytest.mark.parametrize("name", ["old.png", "../../old.png", "/etc/old.png", "%2e%2e/old.png"])
def test_an_upload_goes_to_the_own_folder_only(address, temporary, name):
    client, data = Client(address), encoded(PHOTO, "PNG")
    target = "/open?name=" + urllib.parse.quote(name)
    assert client.ask("POST", target, data, Origin="http://a.b")[0] == 403
    assert Client(address, secret=False).ask("POST", target, data)[0] == 403
    before = set(temporary.rglob("*"))
    status, _, answer = client.ask("POST", target, data)
    assert (status, json.loads(answer)) == (200, {"opened": 1})
    (path,) = set(temporary.rglob("*")) - before
    assert path.parent.name.startswith(app.PREFIX)
    assert re.fullmatch(r"[0-9a-f]{32}\.png", path.name)
    asked = f"/photos/{path.stem}/before"
    status, headers, shown = client.ask("GET", asked)
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert photos.decode_photo(shown).pixels.shape[:2] == PHOTO.shape
    assert Client(address, secret=False).ask("GET", asked)[0] == 403


@pytest.mark.slow
@pytest.mark.req("APP-012")
def test_uploads_are_limited(network, tmp_path, monkeypatch):
    fastapi = pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    monkeypatch.setattr(routes, "LARGEST", 1000)
    server, atelier = fastapi.FastAPI(), studio.Studio(network, tmp_path)
    routes.add_routes(server, atelier)
    with testclient.TestClient(server) as client:
        assert client.post("/open?name=a.png", content=bytes(1001)).status_code == 413
        assert list(tmp_path.iterdir()) == []
        assert client.post("/open?name=a.png", content=bytes(1000)).status_code == 200
        monkeypatch.setattr(studio, "MOST_FILES", 1)
        assert client.post("/open?name=a.png", content=b"").status_code == 429
    assert len(atelier.items) == 1


@pytest.mark.slow
@pytest.mark.req("APP-004")
def test_only_loopback_is_listened_on(address):
    port = address.split("/")[2].rpartition(":")[2]
    listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True).stdout
    for line in listening.splitlines():
        if f":{port} " in line:
            assert "127.0.0.1" in line


@pytest.mark.req("APP-013")
def test_what_a_killed_page_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(app.tempfile, "tempdir", None)
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / f"{app.PREFIX}link").symlink_to(kept)
    code = (
        "from colorjax.web import app; import os, time\n"
        "with app.own_folder() as folder:\n"
        "    (folder / 'inner').mkdir(); (folder / 'inner' / 'photo').write_text('a photo')\n"
        "    print(folder, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with process.stdout:
        left = pathlib.Path(process.stdout.readline().strip())
        with app.own_folder() as folder:
            assert left.exists()  # its page is at work
            assert folder.exists()
        process.kill()
        process.wait()
    assert (left / "inner" / "photo").exists()
    with app.own_folder() as folder:
        assert not left.exists()
        with app.own_folder():
            assert folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"kept", f"{app.PREFIX}link"}


@pytest.mark.slow
@pytest.mark.req("APP-005")
def test_nothing_stays(tmp_path, browser):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with serving(TMPDIR=str(temporary)) as address:
        page = opened(browser.new_page(), address, [])
        drop(page, tmp_path, old_png=encoded(PHOTO, "PNG"))
        colored(page)
        downloaded(page, "This photo")
        assert list(temporary.rglob("*.png"))
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
