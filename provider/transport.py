"""As many connections as there are exchanges at once, straight on httpcore.

The one that was used last is taken first, so that those of a busy moment grow old and are closed. httpcore's
own pool is scanned under a lock for each request: measured, that takes more CPU than the exchange itself.
"""

import logging
import os
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpcore

from provider.deadline import DeadlineBackend, Exchange

KEEPALIVE_SECONDS: Final = 30.0
"""Below the idle time-outs that servers commonly have (nginx: 75 s), so that they seldom hang up first: a
POST on a connection that the server is just closing is in doubt."""


# At DEBUG, httpcore prints answers' headers and the bytes of malformed ones, which may quote the API key.
logging.getLogger("httpcore").setLevel(logging.INFO)


class _Line:
    """A connection that is made anew once it cannot be used any more."""

    def __init__(
        self,
        origin: httpcore.Origin,
        ssl_context: ssl.SSLContext,
        proxy: httpcore.Proxy | None,
        backend: httpcore.NetworkBackend,
    ) -> None:
        self._origin = origin
        # Only makes the connections, since it knows each kind of proxy. It keeps none of them, and gets no
        # request: to find the one connection of a thread, it would do its scans several times an exchange.
        self._maker = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            proxy=proxy,
            keepalive_expiry=KEEPALIVE_SECONDS,
            # Connecting again would do no harm, but the caller's clock spaces the attempts.
            retries=0,
            network_backend=backend,
        )
        self._connection: httpcore.ConnectionInterface | None = None

    def ready(self) -> httpcore.ConnectionInterface:
        """The last exchange's connection, or a new one if that is broken, idle for too long, or hung up."""
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            self.close()
            connection = self._connection = self._maker.create_connection(self._origin)
        return connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()


class _Lane:
    """A connection, and the exchange that is under way on it."""

    def __init__(
        self, origin: httpcore.Origin, ssl_context: ssl.SSLContext, proxy: httpcore.Proxy | None
    ) -> None:
        self.pid = os.getpid()
        self.idle_since = 0.0
        self.exchange = Exchange()
        self.line = _Line(origin, ssl_context, proxy, DeadlineBackend(self.exchange))


class Transport:
    """Sends requests to ``origin``, each once, on a connection that no other exchange uses meanwhile.

    Raises httpcore's exceptions as they are, since the kind of the exception tells whether bytes went out.
    """

    def __init__(
        self, origin: httpcore.Origin, ssl_context: ssl.SSLContext, proxy: httpcore.Proxy | None = None
    ) -> None:
        self._origin = origin
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._lock = threading.Lock()
        self._closed = False
        self._idle: deque[_Lane] = deque()
        """The one that was used last at the end."""
        self._lanes: weakref.WeakSet[_Lane] = weakref.WeakSet()

    @contextmanager
    def send(self, request: httpcore.Request, ends_at: float) -> Iterator[httpcore.Response]:
        """The answer with its body still to be read. After the block, the connection is others' to use.

        The exchange must be over, with the reading, at ``ends_at`` in monotonic seconds.
        """
        lane = self._take()
        try:
            lane.exchange.begin(ends_at)
            response = lane.line.ready().handle_request(request)
            try:
                if not lane.exchange.received:
                    # A server that answers one request twice leaves the second answer in the parser's buffer,
                    # and the next job would take another job's task for its own.
                    raise httpcore.RemoteProtocolError("the answer was there before the request was sent")
                yield response
            finally:
                response.close()
        finally:
            self._put_back(lane)

    def close(self) -> None:
        """Close all connections; what is under way on them breaks off."""
        with self._lock:
            self._closed = True
            self._idle.clear()
            lanes = list(self._lanes)
        for lane in lanes:
            lane.line.close()

    def _take(self) -> _Lane:
        with self._lock:
            if self._closed:
                raise httpcore.ConnectError("the client is closed")
            # A forked child must not speak on its parent's connection.
            while self._idle and (lane := self._idle.pop()):
                if lane.pid == os.getpid():
                    return lane
            lane = _Lane(self._origin, self._ssl_context, self._proxy)
            self._lanes.add(lane)
        return lane

    def _put_back(self, lane: _Lane) -> None:
        lane.idle_since = now = time.monotonic()
        too_old: list[_Lane] = []
        with self._lock:
            if self._closed:
                too_old.append(lane)
            else:
                self._idle.append(lane)
            while self._idle and now - self._idle[0].idle_since > KEEPALIVE_SECONDS:
                too_old.append(self._idle.popleft())
        for each in too_old:
            each.line.close()
