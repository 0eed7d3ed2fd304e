"""The event loops that a client serves: connections of each, and threads for calls that block."""

import asyncio
import contextlib
import contextvars
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

import redis.asyncio

P = ParamSpec("P")
T = TypeVar("T")
_Clients: TypeAlias = AsyncGenerator["redis.asyncio.Redis"]

THREADS: Final = 8
"""Calls that block at once, so that a Redis that hangs takes no thread from the rest of the application."""


def _threads() -> ThreadPoolExecutor:
    # It starts none before the first call.
    return ThreadPoolExecutor(THREADS, thread_name_prefix="limner")


class EventLoops:
    """The connections and threads of one client, for all its event loops. ``connect`` makes a pool."""

    def __init__(self, connect: Callable[[], "redis.asyncio.Redis"]) -> None:
        self._connect = connect
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._sides: dict[asyncio.AbstractEventLoop, tuple[Any, _Clients]] = {}
        self._threads = _threads()

    def client(self) -> Any:
        """The client of the running loop, whose connections end with that loop."""
        # redis-py's annotations cannot tell decoded answers from bytes.
        loop = asyncio.get_running_loop()
        if loop not in self._sides:
            self._drop_closed()
            client = self._connect()
            side = _until_the_end(client)
            # The first step ties it to the loop, which ends its asynchronous generators before it closes.
            with contextlib.suppress(StopIteration):
                side.__anext__().send(None)
            with self._lock:
                self._sides[loop] = client, side
        return self._sides[loop][0]

    def _drop_closed(self) -> None:
        """Close the connections of loops that were closed without the end of their generators."""
        with self._lock:
            closed = [loop for loop in self._sides if loop.is_closed()]
            sides = [self._sides.pop(loop) for loop in closed]
        for client, _ in sides:
            _drop(client)

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a thread make a call that blocks; at most THREADS run at once, the others wait.

        Cancelled before a thread is free, the call is not made. One that has begun runs to its end, which
        the client's time-out bounds, and its answer is lost.
        """
        made = partial(contextvars.copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, made)

    def close(self) -> ThreadPoolExecutor:
        """Let the threads end, once they have made the calls that were asked for; returns these threads."""
        self._drop_closed()
        threads, self._threads = self._threads, _threads()
        threads.shutdown(wait=False)
        return threads

    async def aclose(self) -> None:
        """Wait for the calls in threads, and close the running loop's connections."""
        await asyncio.to_thread(self.close().shutdown)
        self._drop_closed()
        with self._lock:
            _, side = self._sides.pop(asyncio.get_running_loop(), (None, None))
        if side is not None:
            await side.aclose()

    def forked(self) -> None:
        """Begin anew in a process that has forked, in which no loop and no thread of the other one runs."""
        _OTHERS.append(self._sides)
        self._begin()


async def _until_the_end(client: "redis.asyncio.Redis") -> _Clients:
    try:
        yield client
    finally:
        await client.aclose()


def _drop(client: Any) -> None:
    """Close the sockets of a client whose loop has closed, and which nothing else can close any more."""
    pool = client.connection_pool
    for connection in (*pool._available_connections, *pool._in_use_connections):  # noqa: SLF001 - no other way
        writer, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001
        if writer is not None:
            # A transport closes by a callback of its loop, which does not run any more.
            with contextlib.suppress(RuntimeError):
                writer.transport.abort()
            with contextlib.suppress(AttributeError):
                writer.transport._call_connection_lost(None)  # noqa: SLF001


_ALL: "weakref.WeakSet[EventLoops]" = weakref.WeakSet()
_OTHERS: Final[list[object]] = []
"""The property of the process from which this one was forked: to let it go would close it there."""


def _forked() -> None:
    for loops in list(_ALL):
        loops.forked()


os.register_at_fork(after_in_child=_forked)
