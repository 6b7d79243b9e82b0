"""What of Gradio's server can be asked: the entries that the page uses, and files of the page's own folder only.

Gradio also fetches URLs, copies files, and forwards to other servers; none of that is for this page.
"""

import json
import os
import pathlib
import re
import stat
from typing import Any

from colorjax.web.guard import Application, Message, Receive, Send

FILE = "/gradio_api/file="
JOIN = "/gradio_api/queue/join"
ASKED = re.compile(
    r"/|/(assets|static|svelte)/[^\\]*|/(config|theme\.css|favicon\.ico|manifest\.json)/?"
    r"|/gradio_api/(info|startup-events|theme\.css|queue/data|upload_progress|app_id|heartbeat/\w+)/?"
    rf"|{FILE}.*",
    re.DOTALL,
)
GIVEN = re.compile(rf"{JOIN}|/gradio_api/(upload|cancel|reset)/?")
LARGEST = 1 << 20  # bytes of an event; photos are uploaded


class Entries:
    """An ASGI application that passes on to Gradio's what its page asks, and answers the rest with 404 or 400.

    Spec: APP-012
    """

    def __init__(self, application: Application, folder: pathlib.Path) -> None:
        """Close what is not used.

        Args:
            application: Gradio's.
            folder: the page's own, with all files that it may take and give.
        """
        self.application, self.folder = application, folder

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            known = {"GET": ASKED, "HEAD": ASKED, "POST": GIVEN}.get(scope["method"])
            path = scope["path"]
            if not known or not known.fullmatch(path):
                return await _answer(send, 404)
            if path.startswith(FILE) and not is_own(path.removeprefix(FILE), self.folder):
                return await _answer(send, 404)
            if path == JOIN:
                return await self._join(scope, receive, send)
        elif scope["type"] != "lifespan":
            return await send({"type": "websocket.close", "code": 1008})
        await self.application(scope, receive, send)

    async def _join(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass an event on, without URLs, if all its files are the page's own."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > LARGEST:
                return await _answer(send, 413)
        try:
            event = json.loads(body, object_hook=self._checked)
        except (ValueError, RecursionError):
            return await _answer(send, 400)
        body = json.dumps(event).encode()
        headers = [each for each in scope["headers"] if each[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        rest = iter([{"type": "http.request", "body": body}])

        async def given() -> Message:
            return next(rest, None) or await receive()

        await self.application({**scope, "headers": headers}, given, send)

    def _checked(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return an object of an event, without the URL of a file; ValueError on a file that is not the page's own."""
        if "path" not in found:
            return found
        if found["path"] is not None and not is_own(found["path"], self.folder):
            raise ValueError("a file that was not uploaded")
        return {**found, "url": None}


def is_own(path: object, folder: pathlib.Path) -> bool:
    """Return whether a path is that of a regular file in a folder, with no link and no ".." on the way from there.

    Spec: APP-012
    """
    if not isinstance(path, str) or "\0" in path:
        return False
    try:
        inner = os.path.relpath(path, folder) if os.path.isabs(path) else os.pardir
        plain = os.path.normpath(path) == path and not inner.startswith(os.pardir)
        own = plain and os.path.realpath(path) == os.path.join(os.path.realpath(folder), inner)
        return own and stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
