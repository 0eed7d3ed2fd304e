"""The event loops that a client serves: connections of each, and threads for calls that block."""

import asyncio
import contextlib
import contextvars
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

import redis.asyncio

from limner._redis import address
from limner.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

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
        self._sides: dict[asyncio.AbstractEventLoop, _Side] = {}
        self._threads = _threads()

    async def call(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Have ``ask`` call the running loop's client, once it is this call's turn.

        Any number of calls may wait, for as long as others are answered. Raises StoreUnavailable if none has
        been for the time-out of a call.
        """
        side = self._side()
        await side.turn()
        try:
            answer = await ask(side.client)
        finally:
            side.pass_on()
        side.answered += 1
        return answer

    def _side(self) -> "_Side":
        """The connections of the running loop, which end with it."""
        loop = asyncio.get_running_loop()
        if loop not in self._sides:
            self._drop_closed()
            side = _Side(self._connect())
            # The first step ties it to the loop, which ends its asynchronous generators before it closes.
            with contextlib.suppress(StopIteration):
                side.life.__anext__().send(None)
            with self._lock:
                self._sides[loop] = side
        return self._sides[loop]

    def _drop_closed(self) -> None:
        """Close the connections of loops that were closed without the end of their generators."""
        with self._lock:
            closed = [loop for loop in self._sides if loop.is_closed()]
            sides = [self._sides.pop(loop) for loop in closed]
        for side in sides:
            _drop(side.client)

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
            side = self._sides.pop(asyncio.get_running_loop(), None)
        if side is not None:
            await side.life.aclose()

    def forked(self) -> None:
        """Begin anew in a process that has forked, in which no loop and no thread of the other one runs."""
        _OTHERS.append(self._sides)
        self._begin()


class _Side:
    """The client of one loop. A call waits for its turn here, as the pool would give up too early."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        # redis-py's annotations cannot tell decoded answers from bytes.
        self.client: Any = client
        self.life = _until_the_end(client)
        self.answered = 0
        self._free: int = self.client.connection_pool.max_connections
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    async def turn(self) -> None:
        """Wait for a turn, behind the calls that came before."""
        if self._free:
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting[mine] = None
        try:
            while not mine.done():
                before = self.answered
                await asyncio.wait({mine}, timeout=self.client.connection_pool.timeout)
                if not mine.done() and self.answered == before:
                    raise StoreUnavailable(
                        f"Redis at {address(self.client)} has answered none of the calls before this one"
                    )
        except BaseException:
            if mine.done():
                self.pass_on()
            else:
                del self._waiting[mine]
            raise

    def pass_on(self) -> None:
        """Give the turn to the next call."""
        if self._waiting:
            self._waiting.popitem(last=False)[0].set_result(None)
        else:
            self._free += 1


async def _until_the_end(client: "redis.asyncio.Redis") -> AsyncGenerator[None]:
    try:
        yield
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


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
