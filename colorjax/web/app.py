"""The server of the page, which uses NiceGUI (extra `app`)."""

import contextlib
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from colorjax.errors import UsageError
from colorjax.jobs.coloring import Weights
from colorjax.locks import locked
from colorjax.photos import MAX_PIXELS
from colorjax.web.guard import Guard
from colorjax.web.logs import one_line_each
from colorjax.web.routes import Entries, add_routes
from colorjax.web.studio import Studio

HOST = "127.0.0.1"
LARGEST_MESSAGE = 1 << 20  # bytes of a WebSocket message; photos are uploaded by other requests
PREFIX = "colorjax-app-"  # of the names of the folders
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)


class Served(NamedTuple):
    """The addresses of a page.

    Attributes:
        address: The address with the secret.
        once: The address with a token that works once.
    """

    address: str
    once: str


@contextlib.contextmanager
def serving(weights: Weights, *, port: int = 0, max_pixels: int = MAX_PIXELS) -> Iterator[Served]:
    """Serve the page on loopback while the block runs.

    Args:
        weights: (params, config).
        port: The port, or 0 for any free one.
        max_pixels: The most pixels of a photo.

    Yields:
        The addresses of the page.

    Raises:
        UsageError: NiceGUI is not installed, or the port is taken.
    """
    with own_folder() as folder, one_line_each():
        # otherwise NiceGUI writes to the current folder
        os.environ["NICEGUI_STORAGE_PATH"] = str(folder / "storage")
        try:
            import fastapi  # pyright: ignore[reportMissingImports]
            import nicegui  # pyright: ignore[reportMissingImports]
            import uvicorn  # pyright: ignore[reportMissingImports]

            from colorjax.web.connections import BACKLOG, LONGEST_HEAD, Connection
            from colorjax.web.page import TITLE, add_page
            from colorjax.web.widgets import STATIC
        except ImportError:
            raise UsageError(
                "the page needs NiceGUI; expected: pip install 'colorjax[app]'"
            ) from None
        listener = listen(port)
        port = listener.getsockname()[1]
        studio = Studio(weights, folder, max_pixels=max_pixels)
        server = fastapi.FastAPI(openapi_url=None, redirect_slashes=False)
        add_routes(server, studio)
        add_page(studio)
        nicegui.app.router.redirect_slashes = False
        nicegui.app.config.socket_io_js_transports = ["websocket"]
        nicegui.ui.run_with(
            server,
            title=TITLE,
            favicon=STATIC / "mark.svg",
            dark=None,
            language="en-US",
            tailwind=False,
            gzip_middleware_factory=None,  # the browser is on the same machine
            reconnect_timeout=30,
            show_welcome_message=False,
        )
        guard = Guard(Entries(server), port, headers={"Content-Security-Policy": POLICY})
        running = uvicorn.Server(
            uvicorn.Config(
                guard,
                http=Connection,
                h11_max_incomplete_event_size=LONGEST_HEAD,
                backlog=BACKLOG,
                log_level="critical",
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                ws_max_size=LARGEST_MESSAGE,
            )
        )
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            page = f"http://{HOST}:{port}/?token="
            with studio.at_work():
                yield Served(page + guard.secret, page + guard.ticket())
        finally:
            running.should_exit = True
            thread.join()
            listener.close()


@contextlib.contextmanager
def own_folder() -> Iterator[pathlib.Path]:
    """Make a folder and remove it after the block, even if a late request writes to it.

    The process locks its folder while it lives. Folders without a lock belong to pages that were killed, and are
    removed, except on systems without such locks.
    """
    _remove_left()
    with contextlib.ExitStack() as held:
        folder = _make_locked(held)
        try:
            yield folder
        finally:
            patience = time.monotonic() + 10
            while folder.exists() and time.monotonic() < patience:  # a late request may still write
                shutil.rmtree(folder, ignore_errors=True)


def _make_locked(held: contextlib.ExitStack) -> pathlib.Path:
    while True:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        # another process may see it without a lock and remove it
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            held.enter_context(locked(folder))
            if folder.exists():
                return folder


def _remove_left() -> None:
    """Remove the folders that killed pages of this user left."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), locked(folder) as held:
            if held and os.lstat(folder).st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def listen(port: int) -> socket.socket:
    """Return a socket that is bound to a port on loopback.

    Raises:
        UsageError: the port is taken or not allowed.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port}: cannot be listened on ({error.strerror})") from None
    return listener
