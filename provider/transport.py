"""A pool with one connection for each concurrent exchange, built directly on httpcore.

The most recently used connection is taken first, so that the extra ones of a busy moment expire and are
closed. httpcore's own pool is scanned under a lock for each request: in a measurement, that took more CPU
than the exchange itself.
"""

import logging
import os
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpcore

from provider.deadline import DeadlineBackend, Exchange, NotSent

KEEPALIVE_SECONDS: Final = 30.0
"""Seconds after which an idle connection is closed.

The time is below the usual idle time-outs of servers (nginx: 75 s), so that the server seldom closes first: a
POST on a connection that the server is just closing leaves the job in doubt.
"""


# At DEBUG, httpcore prints answers' headers and the bytes of malformed ones, which may quote the API key.
logging.getLogger("httpcore").setLevel(logging.INFO)


class _Connection:
    """A connection that is replaced when it can no longer be used."""

    def __init__(
        self,
        origin: httpcore.Origin,
        ssl_context: ssl.SSLContext,
        proxy: httpcore.Proxy | None,
        backend: httpcore.NetworkBackend,
    ) -> None:
        self._origin = origin
        # The pool only makes the connections, because it supports every kind of proxy. It keeps none of them
        # and handles no request: its scans would run several times an exchange.
        self._maker = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            proxy=proxy,
            keepalive_expiry=KEEPALIVE_SECONDS,
            # A second attempt to connect would be harmless, but the caller's back-off spaces the attempts.
            retries=0,
            network_backend=backend,
        )
        self._connection: httpcore.ConnectionInterface | None = None

    def ready(self) -> httpcore.ConnectionInterface:
        """The last exchange's connection, or a new one if that is broken, idle for too long, or closed."""
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            self.close()
            connection = self._connection = self._maker.create_connection(self._origin)
        return connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()


class _PoolEntry:
    """A connection, and its current exchange."""

    def __init__(
        self, origin: httpcore.Origin, ssl_context: ssl.SSLContext, proxy: httpcore.Proxy | None
    ) -> None:
        self.pid = os.getpid()
        self.idle_since = 0.0
        self.exchange = Exchange()
        self.connection = _Connection(origin, ssl_context, proxy, DeadlineBackend(self.exchange))


class Transport:
    """Sends requests to ``origin``, each once, on a connection that no other exchange uses at the same time.

    Raises httpcore's exceptions unchanged, since their type shows whether any byte was sent, and NotSent.
    """

    def __init__(
        self, origin: httpcore.Origin, ssl_context: ssl.SSLContext, proxy: httpcore.Proxy | None = None
    ) -> None:
        self._origin = origin
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._lock = threading.Lock()
        self._closed = False
        self._idle: deque[_PoolEntry] = deque()
        """Idle connections; the most recently used one is the last."""
        self._entries: weakref.WeakSet[_PoolEntry] = weakref.WeakSet()

    @contextmanager
    def send(
        self, request: httpcore.Request, ends_at: float, may_send: Callable[[], bool] | None = None
    ) -> Iterator[httpcore.Response]:
        """Send the request; the answer's body is still to be read. After the block, the connection is free.

        The exchange, including the reading of the body, must end by ``ends_at`` in monotonic seconds. Right
        before the request goes out, ``may_send`` is asked; if it says no, NotSent is raised.
        """
        entry = self._take()
        try:
            entry.exchange.begin(ends_at, may_send)
            response = entry.connection.ready().handle_request(request)
            try:
                if not entry.exchange.received:
                    # A server that answers one request twice leaves the second answer in the parser's buffer.
                    # The next job would then adopt another job's task.
                    raise httpcore.RemoteProtocolError("the answer was there before the request was sent")
                yield response
            finally:
                response.close()
        finally:
            self._put_back(entry)

    def close(self) -> None:
        """Close all connections; exchanges on them break off."""
        with self._lock:
            self._closed = True
            self._idle.clear()
            entries = list(self._entries)
        for entry in entries:
            entry.connection.close()

    def _take(self) -> _PoolEntry:
        with self._lock:
            if self._closed:
                raise NotSent("the client is closed")
            # A forked child must not use its parent's connection.
            while self._idle and (entry := self._idle.pop()):
                if entry.pid == os.getpid():
                    return entry
            entry = _PoolEntry(self._origin, self._ssl_context, self._proxy)
            self._entries.add(entry)
        return entry

    def _put_back(self, entry: _PoolEntry) -> None:
        entry.idle_since = now = time.monotonic()
        expired: list[_PoolEntry] = []
        with self._lock:
            if self._closed:
                expired.append(entry)
            else:
                self._idle.append(entry)
            while self._idle and now - self._idle[0].idle_since > KEEPALIVE_SECONDS:
                expired.append(self._idle.popleft())
        for entry in expired:
            entry.connection.close()
