"""The page, in a real browser (slow: it needs Gradio, Playwright and a Chromium)."""

import contextlib
import http.client
import http.server
import io
import json
import os
import pathlib
import re
import secrets
import shutil
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
from colorjax.jobs import gallery
from colorjax.web import app
from colorjax.web.page import message

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


@pytest.mark.req("APP-003")
def test_messages_are_plain_text():
    text = message(["<b>*.png: not a photo"], 2)
    assert text.startswith("2 photos opened")
    assert not set("<*>") & set(text)


@contextlib.contextmanager
def serving(**environment):
    """Run `colorjax app` as a person does, and yield its address, with the token."""
    pytest.importorskip("gradio", reason="the extra `app` is not installed")
    command = [sys.executable, "-m", "colorjax", "app", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        said = process.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", said)[0]
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
def test_a_person_colors_a_photo(page, asked, address, tmp_path):
    drop(page, tmp_path, bad_jpg=b"no photo", old_png=encoded(PHOTO, "PNG"))
    assert "1 photo opened." in page.inner_text("#status")
    assert "bad.jpg: not a photo" in page.inner_text("#status")

    page.wait_for_selector("#slider img")
    handle = page.locator("#slider .inner")
    before = handle.bounding_box()["x"]
    page.get_by_label("Where color begins").first.fill("20")
    page.wait_for_function(
        f"document.querySelector('#slider .inner').getBoundingClientRect().x < {before - 20}"
    )

    name, data = downloaded(page, "Download this photo")
    assert name == "old.color.png"
    assert lost_light(data) <= 50

    page.get_by_role("button", name="Show other colorings").click()
    page.locator("#variants button").nth(2).click()
    page.wait_for_function("!document.querySelector('#undo').disabled")
    _, variant = downloaded(page, "Download this photo")
    assert variant != data
    assert lost_light(variant) <= 50
    page.locator("#undo").click()
    page.wait_for_function("document.querySelector('#undo').disabled")

    page.get_by_role("tab", name="Set a color").click()
    box = page.locator("#canvas img").bounding_box()
    page.locator("#canvas img").click(position={"x": box["width"] / 2, "y": box["height"] / 4})
    page.locator("#swatches button").nth(1).click()
    chosen = page.locator("#swatches .caption-label").nth(1).inner_text().strip()
    r, g, b = bytes.fromhex(chosen[1:])
    page.wait_for_function(
        f"document.querySelector('#color button').style.background == 'rgb({r}, {g}, {b})'"
    )
    assert page.inner_text("#marks").strip() == ""
    page.get_by_role("button", name="Give the place this color").click()
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
    assert name == "old.color.jpg"
    assert photos.decode_photo(hinted).format == "JPEG"
    assert lost_light(hinted) <= 1200  # FIL-028

    asked = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert asked
    own = address.partition("?")[0]
    assert all(url.startswith(own) for url in asked)


@pytest.mark.slow
@pytest.mark.req("APP-001", "APP-002")
def test_several_photos_as_a_zip(page, tmp_path):
    other = scene(90, 70)[..., 2]
    drop(page, tmp_path, one_png=encoded(PHOTO, "PNG"), two_tif=encoded(other, "TIFF"))
    page.wait_for_selector("#slider img")
    page.get_by_label("Vividness").first.fill("0")
    page.wait_for_function("!document.querySelector('#undo').disabled")
    name, data = downloaded(page, "Download all as a zip")
    assert name == "colored.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["one.color.png", "two.color.tif"]
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
    page.get_by_role("button", name="Show other colorings").click()
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
        assert name == f"{left}.color.png"
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
    page.get_by_role("tab", name="Set a color").press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # a color set with the keyboard alone
    page.get_by_label("From the left (pixels)").press("Control+a")
    page.keyboard.type("40")
    page.get_by_label("From the top (pixels)").press("Control+a")
    page.keyboard.type("30")
    page.get_by_role("button", name="Show likely colors").press("Enter")
    page.locator("#swatches button").first.press("Enter")
    page.get_by_role("button", name="Give the place this color").press("Enter")
    page.wait_for_function("!document.querySelector('#undo').disabled")
    assert "40 from the left, 30 from the top" in page.inner_text("#marks")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, img')]
        .filter(e => e.offsetParent && e.type != 'file')
        .filter(e => !(e.innerText || e.ariaLabel || e.title || e.alt || e.labels?.length
            || e.getAttribute('aria-labeledby') || e.querySelector('img[alt]')))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    for told in ("#status", "#marks"):
        page.wait_for_selector(f"{told}[aria-live=polite]", state="attached")


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
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request(method, path, body, self.headers | headers)
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        return found


ENTRIES = [
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/assets/index.js"),
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/queue/join"),
    ("GET", "/gradio_api/queue/data?session_hash=a"),
    ("GET", "/gradio_api/file=/etc/hostname"),
    ("OPTIONS", "/gradio_api/upload"),
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


@pytest.mark.slow
@pytest.mark.req("APP-011")
def test_what_a_proxy_says_changes_nothing(address):
    client = Client(address)
    _, _, plain = client.ask("GET", "/config")
    said = {"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https", "Forwarded": "host=x"}
    status, _, body = client.ask("GET", "/config", **said)
    assert status == 200
    assert b"example.org" not in body
    assert len(body) == len(plain)


def joined(client, function, *data):
    """Send an event to the page, and return how that was answered and all that is said of it."""
    session = secrets.token_hex(8)
    event = {"data": data, "fn_index": function, "session_hash": session}
    status, _, body = client.ask(
        "POST", "/gradio_api/queue/join", json.dumps(event), **{"Content-Type": "application/json"}
    )
    if status == 200:
        body += client.ask("GET", f"/gradio_api/queue/data?session_hash={session}")[2]
    return status, body


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

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_address[1]}/photo.png"
        for place in (*paths, url, "file:///etc/hostname", "//127.0.0.1/x", "data:,x"):
            for meta in ({"_type": "gradio.FileData"}, {}, None):
                file = {"path": place, "url": url, "orig_name": "old.png", "meta": meta}
                for function in (0, 1):
                    for data in ([file], [[file]], [None, file], [None, {"image": file}]):
                        status, body = joined(client, function, *data)
                        assert status == 400
                        assert secret.encode() not in body
                        assert str(tmp_path).encode() not in body
            for route in ("gradio_api/file=", "file=", "gradio_api/file/", "gradio_api/proxy=", ""):
                status, _, body = client.ask("GET", "/" + route + urllib.parse.quote(place))
                assert status >= 400 or (route, place) == ("", "")
                assert secret.encode() not in body
                assert str(tmp_path).encode() not in body
        other.shutdown()
    assert asked == []
    for path in ("run/predict", "api/predict", "call/add", "component_server", "process_recording"):
        assert client.ask("POST", f"/gradio_api/{path}", "{}")[0] == 404
    for body in ("", "[", "[" * 10**5, "{}", "x" * (1 << 21), '{"path": 1}', '{"path": ["a"]}'):
        kind = {"Content-Type": "application/json"}
        assert client.ask("POST", "/gradio_api/queue/join", body, **kind)[0] >= 400
    assert client.ask("GET", "/")[0] == 200


@pytest.mark.slow
@pytest.mark.req("APP-012")
@pytest.mark.parametrize("name", ["old.png", "../../old.png", "/etc/old.png", "%2e%2e/old.png"])
def test_an_upload_is_given_back(address, name):
    client, mark = Client(address), secrets.token_hex(8)
    body = (
        f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n{mark} no photo\r\n--{mark}--\r\n"
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    assert client.ask("POST", "/gradio_api/upload", body, Origin="http://a.b", **kind)[0] == 403
    status, _, answer = client.ask("POST", "/gradio_api/upload", body, **kind)
    assert status == 200
    (path,) = json.loads(answer)
    assert pathlib.Path(path).parents[1].name.startswith(app.PREFIX)
    quoted = urllib.parse.quote(path)
    status, _, answer = client.ask("GET", f"/gradio_api/file={quoted}")
    assert (status, answer) == (200, f"{mark} no photo".encode())
    assert Client(address, secret=False).ask("GET", f"/gradio_api/file={quoted}")[0] == 403
    folder, own = pathlib.Path(path).parents[1], pathlib.Path(path).name
    for other in (f"{folder}/x/../{pathlib.Path(path).parent.name}/{own}", folder, f"{path}/"):
        assert client.ask("GET", f"/gradio_api/file={urllib.parse.quote(str(other))}")[0] == 404
    for link, target in (("link", "/etc/hostname"), ("way", "/etc")):
        (folder / link).symlink_to(target)
    for other in ("link", "way/hostname"):
        assert client.ask("GET", f"/gradio_api/file={folder}/{other}")[0] == 404
    for link in ("link", "way"):
        (folder / link).unlink()


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
