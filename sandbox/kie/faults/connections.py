"""Answers that break off, as a client sees them when a proxy or a network fails.

ASGI offers no way to end a connection without an answer, so the protocol class exposes its transport to the
response.
"""

import asyncio
import socket
import struct
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.kie.faults.pages import PAGES

__all__ = ["Breakable", "Broken", "Unusual", "abort", "gateway_page"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST and not FIN
_CANNOT_OVERTAKE_SECONDS: Final = 0.05


class Breakable(H11Protocol):
    """uvicorn's protocol, with the connection in ``scope["state"]["transport"]``.

    The lifespan's state can have a ``door``, whose ``receive`` sees each new connection first.
    """

    hangs = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio sets TCP_NODELAY only on sockets made with an explicit protocol number. Without it every
        # answer, written as head and body, waits 40 ms for the client's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}
        if door := self.app_state.get("door"):
            door.receive(self)

    def hang(self) -> None:
        """Read nothing more, and answer nothing."""
        self.hangs = True
        self.transport.pause_reading()


def abort(transport: asyncio.Transport) -> None:
    """Reset the connection."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class Broken(Response):
    """An answer that ends the connection after ``part`` of its body, or without a single byte."""

    def __init__(self, part: bytes = b"", *, reset: bool) -> None:
        """With ``reset``, the client sees a reset connection; otherwise an orderly close."""
        super().__init__()
        self._part = part
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        if self._part:
            length = str(len(self._part) * 2).encode()
            headers = [(b"content-type", b"application/json;charset=UTF-8"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": self._part, "more_body": True})
            await asyncio.sleep(_CANNOT_OVERTAKE_SECONDS)  # a reset may discard data that is still in transit
        if self._reset:
            abort(transport)
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Unusual(Response):
    """An answer without a body and with a reason phrase of its own, which ASGI has no way to send."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__()
        self._head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        transport: asyncio.Transport = scope["state"]["transport"]
        transport.write(self._head.encode())
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def gateway_page(variant: str) -> Response:
    """The answer of an intermediary instead of the API: one of :data:`PAGES`."""
    page = PAGES[variant]
    return Response(page.body, page.status, dict(page.headers), media_type=page.media_type)
