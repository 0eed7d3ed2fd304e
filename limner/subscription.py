"""The waits of a client: one thread with one subscription, for all threads and event loops of the process."""

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar

import redis

from limner.errors import StoreUnavailable
from limner.ledger import Ledger, Record
from limner.listener import GONE, Listener
from limner.waiting import Patience
from limner.watches import Found, Watch, Watches


class Subscription:
    """Waits for the ends of jobs. Thread-safe.

    Its thread starts with the first wait. It announces ends, reads all records of the waits in batches, and
    ends some seconds after the last wait, or when closed. A process that has forked begins anew. ``connect``
    makes the client whose one connection has the subscriptions; records are read through the ledger.
    """

    IDLE: ClassVar[float] = 10.0

    def __init__(self, ledger: Ledger, connect: Callable[[], "redis.Redis"]) -> None:
        self._ledger = ledger
        self._connect = connect
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: _Reader | None = None

    def wait(self, job_id: str, timeout: float | None, namespace: str = "") -> Record:
        """Block until the job has ended; returns its record.

        Raises WaitTimeout, UnknownJob, RecordUnreadable, and StoreUnavailable if Redis is away for half a
        minute, or at the end of the time.
        """
        told: Future[Record] = Future()

        def tell(answer: Record | Exception) -> None:
            if isinstance(answer, Exception):
                told.set_exception(answer)
            else:
                told.set_result(answer)

        watch = Watch(job_id, namespace, tell, time.monotonic(), timeout)
        reader = self._add(watch)
        try:
            return told.result()
        finally:
            if not told.done():
                reader.discard(watch)

    async def await_(self, job_id: str, timeout: float | None, namespace: str = "") -> Record:
        """:meth:`wait` for asynchronous code. Any number of waits holds no thread and no connection more."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Record] = loop.create_future()

        def tell(answer: Record | Exception) -> None:
            # A loop that has closed has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, told, answer)

        watch = Watch(job_id, namespace, tell, time.monotonic(), timeout, owner=loop)
        reader = self._add(watch)
        try:
            return await told
        finally:
            if not told.done() or told.cancelled():
                reader.discard(watch)

    def _add(self, watch: Watch) -> "_Reader":
        with self._lock:
            if self._thread is None or not self._thread.add(watch):
                self._thread = self._start(watch)
            return self._thread

    def _start(self, watch: Watch) -> "_Reader":
        reader = _Reader(self._ledger, self._connect(), self.IDLE)
        reader.add(watch)
        try:
            reader.start()
        except RuntimeError as error:
            # The process is at its limit. With a thread that does not run, others would wait for ever.
            reader.abandon()
            raise StoreUnavailable(f"there can be no thread that waits for jobs: {error}") from error
        return reader

    def close(self, owner: object | None = None) -> None:
        """End the waits of an event loop, or all of them, with StoreUnavailable; without others, the thread.

        It can be used again.
        """
        with self._lock:
            reader = self._thread
        if reader is not None:
            reader.close(owner)

    def forked(self) -> None:
        """Begin anew in a process that has forked. The other one has the waits and the connection."""
        reader = self._thread
        self._begin()
        if reader is not None:
            reader.abandon()


def _settle(told: "asyncio.Future[Record]", answer: Record | Exception) -> None:
    if told.done():
        return
    if isinstance(answer, Exception):
        told.set_exception(answer)
    else:
        told.set_result(answer)


class _Reader(threading.Thread):
    """The thread: it alone has the waits and the connection. Others leave word for it."""

    CLOSING: ClassVar[float] = 1.0
    """For how long a close waits. A Redis that does not answer keeps the thread for longer."""

    def __init__(self, ledger: Ledger, client: "redis.Redis", idle: float) -> None:
        super().__init__(name="limner-waits", daemon=True)
        self._ledger = ledger
        self._client = client
        self._idle = idle
        self._channel = ledger.journal.channel
        self._listener = Listener(client, self._channel(""))
        self._connect_at = 0.0
        self._pause = Patience.PAUSE
        self._watches = Watches(time.monotonic())
        self._lock = threading.Lock()
        self._word: deque[Callable[[], None]] = deque()
        self._closing = self._ended = False

    # By other threads

    def add(self, watch: Watch) -> bool:
        """Take in a wait; False if the thread has ended."""
        return self._leave_word(lambda: self._add(watch))

    def discard(self, watch: Watch) -> None:
        """Forget a wait."""
        self._leave_word(lambda: self._discard(watch))

    def close(self, owner: object | None) -> None:
        """End the waits of an owner, or all, and the thread without any others."""
        closed = threading.Event()
        left = self._leave_word(lambda: self._close(owner, closed))
        if left and closed.wait(self.CLOSING) and not len(self._watches):
            self.join(self.CLOSING)

    def _leave_word(self, word: Callable[[], None]) -> bool:
        with self._lock:
            if self._ended:
                return False
            self._word.append(word)
            if len(self._word) == 1:
                self._listener.wake()
            return True

    def abandon(self) -> None:
        """Let go in a process that has forked, in which the thread does not run."""
        self._listener.abandon()

    # By the thread itself

    def run(self) -> None:
        """Serve the waits until there have been none for a while."""
        try:
            last = time.monotonic()
            while True:
                now = time.monotonic()
                while self._word:
                    self._word.popleft()()
                if len(self._watches):
                    last = now
                elif (self._closing or now - last >= self._idle) and self._end():
                    return
                self._listen(now)
                self._read(self._watches.due(now))
                self._rest(last)
        except BaseException as error:
            # Nobody may wait for a thread that is no more.
            self._fail(StoreUnavailable(f"the thread that waits for jobs has ended: {error!r}"))
            raise
        finally:
            self._listener.close()
            self._client.close()

    def _rest(self, last: float) -> None:
        now = time.monotonic()
        pause = self._watches.pause(now) if len(self._watches) else last + self._idle - now
        if not self._listener.connected:
            pause = min(pause, self._connect_at - now)
        if not self._word:
            self._listener.rest(max(0.0, pause))

    def _end(self) -> bool:
        with self._lock:
            self._ended = not self._word
            return self._ended

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._ended = True
        while self._word:
            self._word.popleft()()
        for watch in self._watches.owned(None):
            watch.tell(error)

    def _add(self, watch: Watch) -> None:
        self._closing = False
        if self._watches.add(watch):
            self._listener.subscribe(self._channel(watch.job_id))

    def _discard(self, watch: Watch) -> None:
        self._watches.discard(watch)
        self._unsubscribe(watch.job_id)

    def _unsubscribe(self, job_id: str) -> None:
        if job_id not in self._watches:
            self._listener.unsubscribe(self._channel(job_id))

    def _close(self, owner: object | None, closed: threading.Event) -> None:
        for watch in self._watches.owned(owner):
            self._discard(watch)
            watch.tell(StoreUnavailable(f"the client was closed that waited for job {watch.job_id}"))
        self._closing = True
        closed.set()

    def _listen(self, now: float) -> None:
        """Hear what Redis has announced. A subscription that cannot be had delays no wait for long."""
        try:
            if not self._listener.connected:
                if now < self._connect_at or not len(self._watches):
                    return
                self._listener.connect(map(self._channel, self._watches), now)
            for heard in self._listener.exchange(now):
                self._take(heard.kind, heard.channel.removeprefix(self._channel("")))
        except GONE:
            self._listener.drop()
            self._watches.hears(False)
            self._connect_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, Patience.RECHECK)

    def _take(self, kind: str, job_id: str) -> None:
        if kind == "message":
            self._watches.told(job_id)
        elif kind == "subscribe" and job_id:
            self._watches.confirmed(job_id)
        elif kind == "subscribe":
            self._watches.hears(True)
            self._pause = Patience.PAUSE

    def _read(self, job_ids: list[str]) -> None:
        if not job_ids:
            return
        found: Sequence[Found]
        try:
            found = self._ledger.jobs.read_many(job_ids)
        except StoreUnavailable as error:
            self._watches.failed(error, time.monotonic())
            return
        except Exception as error:  # whatever is wrong with one record is told to its waits
            if len(job_ids) > 1:
                for job_id in job_ids:
                    self._read([job_id])
                return
            found = [error]
        now = time.monotonic()
        # What was announced before it was read was not lost.
        self._listen(now)
        for job_id, each in zip(job_ids, found, strict=True):
            self._watches.found(job_id, each, now)
            self._unsubscribe(job_id)


_ALL: "weakref.WeakSet[Subscription]" = weakref.WeakSet()


def _each(act: Callable[[Subscription], Any]) -> None:
    for subscription in list(_ALL):
        act(subscription)


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _each(Subscription.forked))
# The thread is a daemon, which keeps no process alive; its connection is to be closed properly.
atexit.register(_each, Subscription.close)
