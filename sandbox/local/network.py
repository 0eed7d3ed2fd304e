"""A network on loopback with the faults of real ones, between clients and a server."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from sandbox.local.flows import Network

__all__ = ["Proxy"]

T = TypeVar("T")


class Proxy:
    """A TCP proxy in a thread, as a context manager::

        with Proxy("127.0.0.1", valkey.port) as proxy:
            redis.Redis(port=proxy.port, password=valkey.password)

    Every method may be called from any thread, and has taken effect when it returns. Faults apply to both
    directions. A black hole swallows what is sent and answers nothing, not even that the other end has
    closed. The keepalive of TCP does not find it, because each half is a connection of its own.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._network = Network(target_host, target_port)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._flapping: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._network.port

    @property
    def connections(self) -> int:
        """The number of open connections, without those that have become black holes."""
        return self._call(self._network.count)

    @property
    def accepted(self) -> int:
        """The number of connections accepted since the start, refused ones included."""
        return self._network.accepted

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen on a free port."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._network.listen(), self._loop).result()
        return self

    def stop(self) -> None:
        """Close every connection, and listen no longer."""
        if self._thread is None:
            return
        self.steady()
        asyncio.run_coroutine_threadsafe(self._network.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = None

    def retarget(self, host: str, port: int) -> None:
        """Lead new connections to another server, as a service address does. Open ones stay."""

        def retarget() -> None:
            self._network.target = (host, port)

        self._call(retarget)

    def cut(self) -> None:
        """Close all open connections. New ones are served."""
        self._call(self._network.cut)

    def down(self) -> None:
        """Close all open connections, and each new one at once, until :meth:`up`."""
        self._call(self._network.down)

    def up(self) -> None:
        """Serve new connections again."""
        self._call(self._network.up)

    def freeze(self) -> None:
        """Accept connections, and forward nothing, until :meth:`thaw`. Nothing is lost."""
        self._call(self._network.freeze)

    def thaw(self) -> None:
        """Forward what was kept back, and go on."""
        self._call(self._network.thaw)

    def forget(self) -> None:
        """Turn all open connections into black holes for ever. New ones are served."""
        self._call(self._network.forget)

    def forget_idle(self, seconds: float | None) -> None:
        """Turn each connection that is idle for so long into a black hole; None for none any more."""

        def forget_idle() -> None:
            self._network.count()  # those that were idle for too long until now stay forgotten
            self._network.idle_seconds = seconds

        self._call(forget_idle)

    def slow(self, seconds_each_way: float) -> None:
        """Deliver everything so much later; 0 for at once."""

        def slow() -> None:
            self._network.delay = seconds_each_way

        self._call(slow)

    def flap(self, on: float, off: float) -> None:
        """Serve for ``on`` seconds, be down for ``off`` seconds, and so on until :meth:`steady`."""
        self.steady()

        async def flap() -> None:
            while True:
                await asyncio.sleep(on)
                self._network.down()
                await asyncio.sleep(off)
                self._network.up()

        def begin() -> None:
            self._flapping = asyncio.ensure_future(flap())

        self._call(begin)

    def steady(self) -> None:
        """Stop flapping, and serve."""

        def end() -> None:
            if self._flapping is not None:
                self._flapping.cancel()
                self._flapping = None
                self._network.up()

        self._call(end)

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()
