"""The requests that the server answers besides the page itself: uploads, pictures and downloads.

No request contains a path. Each uploaded file gets a secret key, by which requests refer to it.
"""

import re
from typing import Any

from colorjax.errors import ColorjaxError, in_one_line
from colorjax.jsontext import parse_json
from colorjax.web import looks, session, takehome
from colorjax.web.guard import Application, Message, Receive, Send
from colorjax.web.names import color_names
from colorjax.web.studio import Studio

LARGEST = 1 << 30  # bytes of an uploaded file
ASKED = re.compile(
    r"/|/favicon\.ico|/_nicegui/[\w.]+/(static|components|libraries|esm)(/[\w@-][\w.@-]*)+|/photos/\w+(/[\w-]+){1,2}|/take/\w+"
)
GIVEN = re.compile(r"/open")
SOCKET = "/_nicegui_ws/socket.io/"


class Entries:
    """An ASGI application that passes on the requests that the page makes, and answers all others with 404."""

    def __init__(self, application: Application) -> None:
        """Restrict an application, because NiceGUI answers more requests than this page makes."""
        self.application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            known = {"GET": ASKED, "HEAD": ASKED, "POST": GIVEN}.get(scope["method"])
            if not known or not known.fullmatch(scope["path"]):
                headers = [(b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 404, "headers": headers})
                return await send({"type": "http.response.body", "body": b""})
        elif scope["type"] == "websocket" and scope["path"] != SOCKET:
            return await send({"type": "websocket.close", "code": 1008})
        await self.application(scope, receive, send)


def add_routes(server: Any, studio: Studio) -> None:
    """Add the routes of the page to a FastAPI server."""
    from fastapi import HTTPException, Request, Response  # pyright: ignore[reportMissingImports]
    from fastapi.concurrency import run_in_threadpool  # pyright: ignore[reportMissingImports]
    from fastapi.responses import FileResponse  # pyright: ignore[reportMissingImports]

    def jpeg(make: Any, *arguments: Any, **options: Any) -> Any:
        return Response(known(make, *arguments, **options), media_type="image/jpeg")

    def known(make: Any, *arguments: Any, **options: Any) -> Any:
        """Call a function of the studio. If the file is not open or cannot be read, answer with 404."""
        try:
            return make(*arguments, **options)
        except (KeyError, ColorjaxError, OSError):
            raise HTTPException(404) from None

    @server.post("/open")
    async def open_file(request: Request, name: str) -> dict[str, Any]:
        if not studio.room:
            raise HTTPException(429)
        name = in_one_line(name)[-takehome.LONGEST_NAME :] or "photo"
        work = takehome.new_work(name, studio.folder)
        size = 0
        try:
            with open(work.path, "xb") as file:
                async for part in request.stream():
                    size += len(part)
                    if size > LARGEST:
                        raise HTTPException(413)
                    file.write(part)
        except BaseException:
            work.path.unlink(missing_ok=True)
            raise
        if work.path.suffix != takehome.PROJECT:
            studio.open(work)
            return {"opened": 1}
        try:
            # in a thread, so that the page goes on answering
            return {"opened": await run_in_threadpool(studio.open_project, work.path, name)}
        except ColorjaxError as error:
            return {"opened": 0, "told": str(error)}

    @server.get("/photos/{key}/before")
    def before(key: str, whole: bool = False) -> Any:
        whole = whole or key in studio.samples  # samples are small
        return jpeg(studio.pictures.before, key, whole=whole)

    @server.get("/photos/{key}/after")
    def after(
        key: str,
        whole: bool = False,
        mark: str = "",
        instead_of: int | None = None,
        vividness: float | None = None,
    ) -> Any:
        tried = None
        if vividness is not None and not session.is_vividness(vividness):
            raise HTTPException(400)
        if mark:
            try:
                tried = session.mark_from(parse_json(mark))
            except (ValueError, ColorjaxError):
                raise HTTPException(400) from None
        return jpeg(
            studio.pictures.after,
            key,
            whole=whole,
            mark=tried,
            instead_of=instead_of,
            vividness=vividness,
        )

    @server.get("/photos/{key}/thumb")
    def thumb(key: str) -> Any:
        return jpeg(studio.thumb, key)

    @server.get("/photos/{key}/look/{name}")
    def look(key: str, name: str) -> Any:
        return jpeg(studio.pictures.look, key, name)

    @server.get("/photos/{key}/palette")
    def palette(key: str, row: int, column: int) -> Any:
        likely = known(studio.pictures.palette, key, row, column)
        colors = [*likely, *looks.EVERYDAY]
        named = zip(colors, color_names(colors), strict=True)
        swatches = [{"color": color, "name": name} for color, name in named]
        return {"likely": swatches[: len(likely)], "everyday": swatches[len(likely) :]}

    @server.get("/take/{key}")
    def take(key: str) -> Any:
        job = studio.jobs.get(key)
        if not job or job.state != "done":
            raise HTTPException(404)
        studio.note_taken(job)
        return FileResponse(job.path, filename=job.name)
