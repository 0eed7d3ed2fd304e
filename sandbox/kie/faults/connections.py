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

__all__ = ["Breakable", "Broken", "Undeclared", "Unusual", "abort", "gateway_page"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST and not FIN
_CANNOT_OVERTAKE_SECONDS: Final = 0.05
_JSON: Final = "application/json;charset=UTF-8"


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

    def __init__(
        self, part: bytes = b"", *, reset: bool, media_type: str = _JSON, declared: bool = True
    ) -> None:
        """With ``reset``, the client sees a reset connection; otherwise an orderly close.

        The declared length is twice that of the part. Without one, the body comes in chunks, and the last
        chunk does not come.
        """
        super().__init__()
        self._part = part
        self._reset = reset
        self._part_headers = [(b"content-type", media_type.encode())]
        if declared:
            self._part_headers.append((b"content-length", str(len(part) * 2).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        if self._part:
            await send({"type": "http.response.start", "status": 200, "headers": self._part_headers})
            await send({"type": "http.response.body", "body": self._part, "more_body": True})
            await asyncio.sleep(_CANNOT_OVERTAKE_SECONDS)  # a reset may discard data that is still in transit
        if self._reset:
            abort(transport)
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class _Raw(Response):
    """An answer that ASGI has no way to send, as its bytes; the end of the connection is its end."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self._raw = raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        transport: asyncio.Transport = scope["state"]["transport"]
        transport.write(self._raw)
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


class Unusual(_Raw):
    """An answer without a body and with a reason phrase of its own."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(
            f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )


class Undeclared(_Raw):
    """An answer with a body of no declared length: nothing in HTTP says where it should have ended."""

    def __init__(self, body: bytes, media_type: str) -> None:
        super().__init__(
            f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nConnection: close\r\n\r\n".encode() + body
        )


def gateway_page(variant: str) -> Response:
    """The answer of an intermediary instead of the API: one of :data:`PAGES`."""
    page = PAGES[variant]
    return Response(page.body, page.status, dict(page.headers), media_type=page.media_type)
