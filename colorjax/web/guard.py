"""Access control: a layer around any ASGI application that serves only the browser that was given the secret.

Every user of the machine can reach a server on loopback. So can every web page in the person's browser: by a request
from another origin, by a host name that resolves to 127.0.0.1, by a form or an image. Only the secret distinguishes
them.
"""

import http
import json
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[Any]]

# headers of proxies, which are dropped because there is no proxy
FORWARDING = (b"forwarded", b"x-forwarded-", b"x-real-ip")
SAFE = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
REFUSAL = "not allowed; open the address that colorjax printed, with its token"


class Guard:
    """An ASGI application that passes on the requests of its own page, and refuses all others with 403."""

    def __init__(
        self,
        application: Application,
        port: int,
        *,
        hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Guard an application.

        Args:
            application: The application.
            port: The port of the server.
            hosts: The host names of the server.
            headers: Headers of every response, in addition to `SAFE`.
        """
        self.application = application
        self.secret = secrets.token_urlsafe(32)
        self.tickets: list[str] = []
        self.cookie = f"colorjax-{port}".encode()  # cookies are shared by all ports of a host
        ports = ("", f":{port}") if port == 80 else (f":{port}",)
        self.hosts = {f"{host}{each}".encode() for host in hosts for each in ports}
        self.headers = [
            (name.lower().encode(), value.encode())
            for name, value in {**SAFE, **(headers or {})}.items()
        ]

    def ticket(self) -> str:
        """Return a token that works once. All users can read the command line that starts a browser."""
        self.tickets.append(secrets.token_urlsafe(32))
        return self.tickets[-1]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
        elif self._is_from_here(scope) and self._has_token(scope):
            await self._let_in(send)
        elif not self.admits(scope):
            await self._refuse(scope, send)
        else:
            headers = [each for each in scope["headers"] if not each[0].startswith(FORWARDING)]
            await self.application({**scope, "headers": headers}, receive, self._cleaned(send))

    def admits(self, scope: Message) -> bool:
        """Return whether a request comes from the page and carries the secret."""
        return self._is_from_here(scope) and self._has_cookie(scope) and self._is_own_page(scope)

    def _is_from_here(self, scope: Message) -> bool:
        """Return whether the host and the origin, if there is one, are those of the page."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        own = len(hosts) == 1 and hosts[0] in self.hosts
        return own and all(origin == b"http://" + hosts[0] for origin in origins)

    def _is_own_page(self, scope: Message) -> bool:
        """Return whether the browser reports no other site or port. It sends cookies to all ports of a host."""
        return all(each in (b"same-origin", b"none") for each in _values(scope, b"sec-fetch-site"))

    def _has_token(self, scope: Message) -> bool:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("GET", "/"):
            return False
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        for token in query.get("token", []):
            if self._is_secret(token.encode()):
                return True
            for ticket in self.tickets:
                if secrets.compare_digest(token.encode(), ticket.encode()):
                    self.tickets.remove(ticket)
                    return True
        return False

    def _has_cookie(self, scope: Message) -> bool:
        pairs = (
            pair.strip().partition(b"=")
            for line in _values(scope, b"cookie")
            for pair in line.split(b";")
        )
        return any(name == self.cookie and self._is_secret(value) for name, _, value in pairs)

    def _is_secret(self, value: bytes) -> bool:
        return secrets.compare_digest(value, self.secret.encode())

    async def _let_in(self, send: Send) -> None:
        """Set the secret as a cookie, and redirect to the address without it."""
        cookie = self.cookie + b"=" + self.secret.encode() + b"; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", b"/"), (b"set-cookie", cookie), (b"content-length", b"0")]
        await send(
            {"type": "http.response.start", "status": 303, "headers": headers + self.headers}
        )
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, scope: Message, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # not accepted: 403
        else:
            await self._answer(send, 403, REFUSAL, close=True)

    async def _answer(self, send: Send, status: int, text: str, *, close: bool = False) -> None:
        """Send an error as JSON, in the form that Starlette uses, too."""
        body = json.dumps({"detail": text}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if close:  # otherwise the server waits for the rest of the request
            headers.append((b"connection", b"close"))
        await send(
            {"type": "http.response.start", "status": status, "headers": headers + self.headers}
        )
        await send({"type": "http.response.body", "body": body})

    def _cleaned(self, send: Send) -> Send:
        """Return a `send` that removes Access-Control headers, and reduces errors to the name of their status."""
        failed = False

        async def clean(message: Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start":
                failed = message["status"] >= 400
                if failed:
                    await self._answer(send, message["status"], _phrase(message["status"]))
                    return
                given = {name for name, _ in self.headers}
                kept = [
                    (name, value)
                    for name, value in message.get("headers", ())
                    if name.lower() not in given and not name.lower().startswith(b"access-control-")
                ]
                message = {**message, "headers": kept + self.headers}
            if not failed:
                await send(message)

        return clean


def _values(scope: Message, name: bytes) -> list[bytes]:
    """Return the values of a header. ASGI writes the names in lower case."""
    return [value for each, value in scope["headers"] if each == name]


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
