"""The page served: a person's photos in the browser of this machine, by Gradio (the extra `app`)."""

import contextlib
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from colorjax.colouring import Weights
from colorjax.errors import UsageError
from colorjax.page import SCRIPT, STYLE, make_page
from colorjax.photos import MAX_PIXELS

HOST = "127.0.0.1"
LARGEST_FILE = "1gb"
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)


@contextlib.contextmanager
def serving(weights: Weights, *, port: int = 0, max_pixels: int = MAX_PIXELS) -> Iterator[str]:
    """Serve the page on loopback while the block runs.

    Args:
        weights: (params, config).
        port: to listen on; 0 for any free one.
        max_pixels: most pixels of a photo.

    Yields:
        The address of the page.

    Raises:
        UsageError: Gradio is not installed, or the port is taken.

    Spec: APP-004, APP-005, APP-007
    """
    with own_folder() as folder:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(folder)}
        try:
            import fastapi  # pyright: ignore[reportMissingImports]
            import gradio  # pyright: ignore[reportMissingImports]
            import uvicorn  # pyright: ignore[reportMissingImports]
            from starlette.middleware.trustedhost import (  # pyright: ignore[reportMissingImports]
                TrustedHostMiddleware,
            )
        except ImportError:
            raise UsageError(
                "the page needs Gradio; expected: pip install 'colorjax[app]'"
            ) from None
        listener = listen(port)
        server = fastapi.FastAPI(openapi_url=None)

        @server.middleware("http")
        async def forbid_other_machines(request: Any, call_next: Callable) -> Any:
            response = await call_next(request)
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        server.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        gradio.mount_gradio_app(
            server,
            make_page(weights, folder, max_pixels=max_pixels),
            path="",
            server_name=HOST,
            footer_links=[],
            max_file_size=LARGEST_FILE,
            ssr_mode=False,
            theme=gradio.themes.Default(
                primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]
            ),
            css=STYLE,
            js=SCRIPT,
        )
        running = uvicorn.Server(
            uvicorn.Config(server, log_level="critical", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}/"
        finally:
            running.should_exit = True
            thread.join()
            listener.close()


@contextlib.contextmanager
def own_folder() -> Iterator[pathlib.Path]:
    """Make a folder that is gone after the block, also where a request that outlives the page writes into it.

    Spec: APP-005
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="colorjax-app-"))
    try:
        yield folder
    finally:
        patience = time.monotonic() + 10
        while folder.exists() and time.monotonic() < patience:  # what is written meanwhile keeps it
            shutil.rmtree(folder, ignore_errors=True)


def listen(port: int) -> socket.socket:
    """Return a socket bound to a port of loopback.

    Raises:
        UsageError: the port is taken or not allowed.

    Spec: APP-004
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port}: cannot be listened on ({error.strerror})") from None
    return listener
