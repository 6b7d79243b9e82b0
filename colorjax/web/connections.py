"""Connections to the page's server. Silent ones neither keep it from answering nor use up its files and memory."""

import asyncio
from typing import Any

try:
    from uvicorn.protocols.http import h11_impl  # pyright: ignore[reportMissingImports]
except ImportError:  # the extra `app` is missing, which `app.serving` reports
    h11_impl = None

HEAD_WITHIN = 10.0  # seconds
MOST_SILENT = 128
BACKLOG = 64  # connections that are accepted before silent ones are closed
LONGEST_HEAD = 64 << 10  # bytes
H11Protocol: Any = getattr(h11_impl, "H11Protocol", object)


class Connection(H11Protocol):
    """A connection that is closed unless the whole head of a request arrives in time.

    Any process of the machine can connect. Of uvicorn's two protocols, this one limits the length of a head.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start waiting, and close the oldest silent connection if there are too many."""
        super().connection_made(transport)
        self._opened = self.loop.time()
        self._patience = self.loop.call_later(HEAD_WITHIN, self._lose_patience)
        silent = [each for each in self.connections if isinstance(each, Connection) and each.silent]
        if len(silent) > MOST_SILENT:
            min(silent, key=lambda each: each._opened).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._patience.cancel()
        super().connection_lost(exc)

    def _should_upgrade(self) -> bool:
        """Leave all that the guard refuses to the guard.

        The library for WebSockets answers a damaged head itself, tells what is wrong with it, and may wait forever.
        """
        return super()._should_upgrade() and self.app.admits(self.scope)

    @property
    def silent(self) -> bool:
        """Whether no request has arrived yet, or a WebSocket is not open yet."""
        opened = getattr(self.transport.get_protocol(), "handshake_complete", False)
        return self.cycle is None and not opened and not self.transport.is_closing()

    def _lose_patience(self) -> None:
        if self.silent:
            self.transport.abort()
