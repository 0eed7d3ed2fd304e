"""The connections of a proxy in its event loop, and what the present faults do to them."""

import asyncio
import contextlib
from collections import deque
from typing import Final, cast

from sandbox.local.ports import HOST

__all__ = ["Network"]

BACKLOG: Final = 4096
CONNECT_SECONDS: Final = 5.0
TIMER_SECONDS: Final = 0.001
"""The seconds by which a timer of the loop may be too early."""


class Network:
    """The connections and the present faults. Everything here runs in the loop's thread."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.delay = 0.0
        self.idle_seconds: float | None = None
        self.frozen = False
        self.refusing = False
        self.accepted = 0
        self.port = 0
        self.flows: set[_Flow] = set()
        self.connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Flow(self).client, HOST, 0, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self.connecting, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets in the next round of the loop

    def count(self) -> int:
        return sum(not flow.is_forgotten() for flow in self.flows)

    def cut(self) -> None:
        for flow in list(self.flows):
            flow.abort()

    def down(self) -> None:
        self.refusing = True
        self.cut()

    def up(self) -> None:
        self.refusing = False

    def freeze(self) -> None:
        self.frozen = True
        for flow in self.flows:
            flow.freeze()

    def thaw(self) -> None:
        self.frozen = False
        for flow in list(self.flows):
            flow.thaw()

    def forget(self) -> None:
        for flow in self.flows:
            flow.forgotten = True


class _Flow:
    """One connection of a client, and its counterpart to the server."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.forgotten = False
        self.used = asyncio.get_running_loop().time()
        self.client = _End(self)
        self.server = _End(self)
        self.client.other, self.server.other = self.server, self.client

    def is_forgotten(self) -> bool:
        """True if the flow is a black hole, or has been idle for too long and becomes one now."""
        limit = self.network.idle_seconds
        if limit is not None and asyncio.get_running_loop().time() - self.used > limit:
            self.forgotten = True
        return self.forgotten

    def opened(self) -> None:
        self.network.accepted += 1
        if self.network.refusing:
            self.client.abort()
            return
        self.network.flows.add(self)
        if self.network.frozen:
            self.freeze()
        else:
            self.connect()

    def connect(self) -> None:
        task = asyncio.ensure_future(self._connect())
        self.network.connecting.add(task)
        task.add_done_callback(self.network.connecting.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: self.server, *self.network.target)
        except OSError:  # a time-out is one too
            self.abort()
            return
        if self not in self.network.flows:  # closed meanwhile
            self.server.abort()
        elif self.network.frozen:
            self.freeze()
        else:
            self.server.flush()

    def freeze(self) -> None:
        self.client.pause()
        self.server.pause()

    def thaw(self) -> None:
        if self.server.transport is None:
            self.connect()
        self.client.resume()
        self.server.resume()

    def abort(self) -> None:
        self.network.flows.discard(self)
        self.client.abort()
        self.server.abort()


class _End(asyncio.Protocol):
    """One end of a flow: the proxy's connection to the client, or to the server."""

    other: "_End"

    def __init__(self, flow: _Flow) -> None:
        self.flow = flow
        self.transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        """The chunks to be written here, each with its time; None closes the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self is self.flow.client:
            self.flow.opened()

    def data_received(self, data: bytes) -> None:
        if not self.flow.is_forgotten():
            self.flow.used = asyncio.get_running_loop().time()
            self.other.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.flow.is_forgotten():
            self.other.write(None)

    def write(self, data: bytes | None) -> None:
        """Write the data, or close for None, after the network's delay."""
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + self.flow.network.delay, data))
        if self.flow.network.delay:
            loop.call_later(self.flow.network.delay, self.flush)
        else:
            self.flush()

    def flush(self) -> None:
        """Write what has waited for long enough, in its order."""
        due = asyncio.get_running_loop().time() + TIMER_SECONDS
        while (
            self._waiting and self._waiting[0][0] <= due and self.transport and not self.flow.network.frozen
        ):
            data = self._waiting.popleft()[1]
            if self.flow.forgotten:
                continue
            if data is None:
                self.flow.network.flows.discard(self.flow)
                self.transport.close()
            else:
                self.transport.write(data)

    def pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        self.flush()

    def abort(self) -> None:
        if self.transport is not None:
            with contextlib.suppress(OSError):
                self.transport.abort()
