"""The door of the stand-in: its listening socket, which can be closed for a while."""

import asyncio
import socket
from typing import Final

import uvicorn

from sandbox.kie.faults.connections import Breakable, abort

__all__ = ["BACKLOG", "Door"]

BACKLOG: Final = 2048


class Door:
    """Lets connections in, or not. One that was never attached to a server is always open."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._address: tuple[str, int] = ("", 0)
        self._held: socket.socket | None = None
        self._timer: asyncio.Task[None] | None = None
        self._variant = ""

    def attach(self, server: uvicorn.Server, address: tuple[str, int]) -> None:
        """Take over the server's only listening socket, which is bound to ``address``."""
        self._server = server
        self._address = address

    async def shut(self, seconds: float, variant: str, keep: asyncio.Transport | None) -> None:
        """Let nobody in for ``seconds``, and break off the open connections, except ``keep``.

        ``variant`` is one of :data:`sandbox.kie.faults.variants.UNREACHABLE`.
        """
        await self.open()
        self._variant = variant
        if self._server is not None:
            if variant == "refused":
                self._stop_listening(self._server)
            self._break_off(self._server, keep)
        self._timer = asyncio.create_task(self._open_after(seconds))

    async def open(self) -> None:
        """Let everybody in again. Connections that were left hanging are broken off."""
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
        self._timer = None
        hung, self._variant = self._variant == "hang", ""
        if self._server is not None and hung:
            for protocol in list(self._server.server_state.connections):
                if isinstance(protocol, Breakable) and protocol.hangs:
                    abort(protocol.transport)
        if self._server is not None and self._held is not None:
            held, self._held = self._held, None
            await self._listen(self._server, held)

    def receive(self, protocol: Breakable) -> None:
        """Treat a new connection as the door demands."""
        if self._variant == "reset":
            abort(protocol.transport)
        elif self._variant == "hang":
            protocol.hang()

    def _stop_listening(self, server: uvicorn.Server) -> None:
        for listener in server.servers:
            listener.close()
        # Bound and not listening: connections are refused, and no other program can take the port.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(self._address)

    async def _listen(self, server: uvicorn.Server, held: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return Breakable(
                config=server.config, server_state=server.server_state, app_state=server.lifespan.state
            )

        loop = asyncio.get_running_loop()
        server.servers = [await loop.create_server(protocol, sock=held, backlog=BACKLOG)]

    def _break_off(self, server: uvicorn.Server, keep: asyncio.Transport | None) -> None:
        for protocol in list(server.server_state.connections):
            transport = getattr(protocol, "transport", None)
            if transport is not None and transport is not keep:
                abort(transport)

    async def _open_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.open()
