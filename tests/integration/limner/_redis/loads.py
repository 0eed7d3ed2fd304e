"""Clients that write all the time, while servers fail."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from limner._redis import async_store_errors, connect, connect_async, store_errors
from limner.errors import StoreUnavailable
from tests.conftest import eventually

Write = Callable[[Any, int], Any]
"""The call of a load, by its client and its number. A client of asyncio returns an awaitable."""


@dataclass
class Load:
    """The writes of one client."""

    acknowledged: list[tuple[int, float]] = field(default_factory=list)
    """The numbers of those that were acknowledged, and when."""
    errors: list[StoreUnavailable] = field(default_factory=list)

    def silence(self) -> float:
        """The longest time in seconds between two acknowledged writes."""
        times = [at for _, at in self.acknowledged]
        return max(later - earlier for earlier, later in pairwise(times))

    def has_gone_on(self, since: float, writes: int = 20) -> bool:
        return sum(at > since for _, at in list(self.acknowledged)) >= writes

    def numbers(self) -> set[int]:
        return {number for number, _ in self.acknowledged}


def add(client: Any, number: int) -> Any:
    return client.sadd("load", number)


@contextmanager
def loads(url: str, write: Write = add) -> Iterator[list[Load]]:
    """A blocking client and one of asyncio that write until the end."""
    both = [Load(), Load()]
    stop = threading.Event()
    threads = [
        threading.Thread(target=_blocking, args=(url, both[0], write, stop)),
        threading.Thread(target=_in_a_loop, args=(url, both[1], write, stop)),
    ]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(load.has_gone_on(0) for load in both))
        yield both
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def gone_on(both: list[Load]) -> None:
    """Wait until both clients have written again."""
    since = time.monotonic()
    eventually(lambda: all(load.has_gone_on(since) for load in both), within=30)


def _blocking(url: str, load: Load, write: Write, stop: threading.Event) -> None:
    with connect(url) as client:
        number = 0
        while not stop.is_set():
            number += 2
            try:
                with store_errors(client):
                    write(client, number)
                load.acknowledged.append((number, time.monotonic()))
            except StoreUnavailable as error:
                load.errors.append(error)
            stop.wait(0.005)


def _in_a_loop(url: str, load: Load, write: Write, stop: threading.Event) -> None:
    async def run() -> None:
        async with connect_async(url) as client:
            number = 1
            while not stop.is_set():
                number += 2
                try:
                    with async_store_errors(client):
                        await write(client, number)
                    load.acknowledged.append((number, time.monotonic()))
                except StoreUnavailable as error:
                    load.errors.append(error)
                await asyncio.sleep(0.005)

    asyncio.run(run())
