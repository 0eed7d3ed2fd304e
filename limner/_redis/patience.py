"""The repetition of calls that a connection did not serve, on new connections, until their time is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import uniform
from typing import Any, Final, TypeVar

import redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from limner._redis.faults import is_final

T = TypeVar("T")

REPEATED: Final[tuple[Any, ...]] = (redis.ConnectionError, redis.TimeoutError, OSError)
_SHORTEST, _LONGEST = 0.02, 0.3
"""Seconds between two tries."""

_deadline: ContextVar[float | None] = ContextVar("limner_redis_deadline", default=None)
"""The end of the call under way. A call may have to connect, which redis-py repeats in a loop of its own."""


class Patience(Retry):
    """redis-py's rule for failed calls: repeat them for so many seconds.

    The first repetition follows at once, on a new connection: mostly the server has only closed the old one.
    A call that the server does not answer in time is not repeated, and neither are wrong credentials.
    Repeating is harmless: every transition of a job recognises its own repetition.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(NoBackoff(), 0, REPEATED)
        self._seconds = seconds

    def call_with_retry(self, do: Callable[[], T], fail: Callable[..., Any], *_: Any, **options: Any) -> T:
        """Call ``do`` until it succeeds or the time is over; redis-py's ``fail`` closes the connection."""
        with _until(self._seconds) as deadline:
            failures = 0
            while True:
                try:
                    return do()
                except REPEATED as error:
                    failures += 1
                    fail(error, failures) if options.get("with_failure_count") else fail(error)
                    if not (pause := _pause(error, failures, deadline)):
                        raise
                    time.sleep(pause)


class AsyncPatience(AsyncRetry):
    """The same for asynchronous calls."""

    def __init__(self, seconds: float) -> None:
        super().__init__(NoBackoff(), 0, REPEATED)
        self._seconds = seconds

    async def call_with_retry(
        self, do: Callable[[], Awaitable[T]], fail: Callable[..., Any], *_: Any, **options: Any
    ) -> T:
        """Call ``do`` until it succeeds or the time is over."""
        with _until(self._seconds) as deadline:
            failures = 0
            while True:
                try:
                    return await do()
                except REPEATED as error:
                    failures += 1
                    failed = fail(error, failures) if options.get("with_failure_count") else fail(error)
                    if failed is not None:
                        await failed
                    if not (pause := _pause(error, failures, deadline)):
                        raise
                    await asyncio.sleep(pause)


@contextmanager
def _until(seconds: float) -> Iterator[float]:
    outer = _deadline.get()
    if outer is not None:
        yield outer
        return
    deadline = time.monotonic() + seconds
    token = _deadline.set(deadline)
    try:
        yield deadline
    finally:
        _deadline.reset(token)


def _pause(error: BaseException, failures: int, deadline: float) -> float:
    """The seconds before the next try; 0 if there is none."""
    if isinstance(error, redis.TimeoutError | TimeoutError) or is_final(error):
        return 0.0
    pause = min(_LONGEST, _SHORTEST * 2 ** min(failures, 8)) * uniform(0.5, 1.0) if failures > 1 else 0.001
    return pause if time.monotonic() + pause < deadline else 0.0
