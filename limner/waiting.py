"""Waiting for a job's end: announced by pub/sub, and checked at intervals in case a message was lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import redis
import redis.asyncio

from limner._redis import async_store_errors, store_errors
from limner.errors import WaitTimeout
from limner.status import JobState


@dataclass(slots=True)
class Patience:
    """The limits of a wait: its own length, and that of an outage of Redis. Times are monotonic seconds."""

    deadline: float | None
    last_seen: float

    RECHECK: ClassVar[float] = 5.0
    PAUSE: ClassVar[float] = 0.2
    OUTAGE: ClassVar[float] = 30.0

    @classmethod
    def until(cls, now: float, timeout: float | None) -> Self:
        """The patience for a wait that begins now."""
        return cls(None if timeout is None else now + timeout, now)

    def seen(self, now: float) -> None:
        """Redis has answered."""
        self.last_seen = now

    def over(self, now: float) -> bool:
        """True if the deadline has passed."""
        return self.deadline is not None and now >= self.deadline

    def lost(self, now: float) -> bool:
        """True if Redis has been away for too long, or for the rest of the time."""
        return now - self.last_seen > self.OUTAGE or (self.deadline is not None and now >= self.deadline)

    def nap(self, now: float) -> float:
        """For how long to wait for the message before the record is read again."""
        return self.RECHECK if self.deadline is None else max(0.0, min(self.RECHECK, self.deadline - now))


def still_waiting(job_id: str, state: JobState, timeout: float | None) -> WaitTimeout:
    """The error for a wait that timed out before the job ended."""
    return WaitTimeout(
        f"job {job_id} is still {state} after {timeout} s; it goes on, ask again later", job_id=job_id
    )


def wait_in_thread(
    client: "redis.Redis", channel: str, has_ended: Callable[[], bool], patience: Patience
) -> None:
    """Block until the job's end is announced or its record is due to be read again."""
    with store_errors(client), client.pubsub() as subscription:  # type: ignore[no-untyped-call]
        subscription.subscribe(channel)
        # Only a subscription that Redis has confirmed misses nothing from here on.
        _message(subscription, patience)
        if not has_ended():
            _message(subscription, patience)


def _message(subscription: Any, patience: Patience) -> None:
    subscription.get_message(timeout=patience.nap(time.monotonic()))


class _Waiter:
    def __init__(self) -> None:
        self.subscribed = asyncio.Event()
        self.ended = asyncio.Event()

    async def ended_within(self, seconds: float) -> None:
        await _within(seconds, self.ended)


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass  # The record is read again either way.


class AsyncSide:
    """The connections of one event loop: a client, and one subscription for all of its waits."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        # redis-py's annotations cannot tell decoded answers from bytes.
        self.client: Any = client
        self._subscription: Any = self.client.pubsub()
        self._waiters: dict[str, set[_Waiter]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._subscribing = asyncio.Lock()

    @asynccontextmanager
    async def watch(self, channel: str) -> AsyncIterator[_Waiter]:
        """Watch a channel; the body runs once Redis has confirmed the subscription, or is slow to."""
        watch = _Waiter()
        watches = self._waiters.setdefault(channel, set())
        watches.add(watch)
        try:
            with async_store_errors(self.client):
                async with self._subscribing:
                    # Subscribing anew to a channel that is subscribed is confirmed once more.
                    await self._subscription.subscribe(channel)
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read())
            await _within(Patience.PAUSE, watch.subscribed)
            yield watch
        finally:
            watches.discard(watch)
            if not watches and self._waiters.get(channel) is watches:
                del self._waiters[channel]
                await self._forget(channel)

    async def _forget(self, channel: str) -> None:
        try:
            async with self._subscribing:
                if channel not in self._waiters:
                    await self._subscription.unsubscribe(channel)
        except (redis.RedisError, OSError):
            pass  # The subscription ended with the connection.

    async def _read(self) -> None:
        while self._waiters:
            try:
                message = await self._subscription.get_message(timeout=Patience.RECHECK)
            except (redis.RedisError, OSError):
                # The waits find out by themselves; redis-py subscribes again when it reconnects.
                await asyncio.sleep(Patience.PAUSE)
                continue
            for watch in self._waiters.get(message["channel"], ()) if message else ():
                if message["type"] == "subscribe":
                    watch.subscribed.set()
                elif message["type"] == "message":
                    watch.ended.set()

    async def aclose(self) -> None:
        """Close the connections; waits under way end with an error."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._subscription.aclose()
        await self.client.aclose()
