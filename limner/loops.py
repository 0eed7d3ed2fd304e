"""The event loops that a client serves: connections of each, and threads for calls that block."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import redis.asyncio

from limner.waiting import AsyncSide

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
        self._sides: dict[asyncio.AbstractEventLoop, AsyncSide] = {}
        self._threads = _threads()

    def side(self) -> AsyncSide:
        """The connections of the running loop."""
        loop = asyncio.get_running_loop()
        side = self._sides.get(loop)
        if side is None:
            # Loops that asyncio.run has closed leave their connections to the garbage collector.
            self._sides = {other: kept for other, kept in self._sides.items() if not other.is_closed()}
            side = self._sides[loop] = AsyncSide(self._connect())
        return side

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a thread make a call that blocks; at most THREADS run at once, the others wait.

        Cancelled before a thread is free, the call is not made. One that has begun runs to its end, which
        the client's time-out bounds, and its answer is lost.
        """
        made = partial(contextvars.copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, made)

    def close(self) -> ThreadPoolExecutor:
        """Let the threads end, once they have made the calls that were asked for; returns these threads."""
        threads, self._threads = self._threads, _threads()
        threads.shutdown(wait=False)
        return threads

    async def aclose(self) -> None:
        """Wait for the calls in threads, and close the running loop's connections."""
        await asyncio.to_thread(self.close().shutdown)
        side = self._sides.pop(asyncio.get_running_loop(), None)
        if side:
            await side.aclose()
