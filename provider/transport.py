"""One connection per thread behind one HTTP client.

A pool that threads share is scanned under a lock for each request: measured, that takes
1.16 ms of CPU a request where a connection of the thread's own takes 0.53 ms.
"""

import logging
import os
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import httpcore
import httpx

from provider.deadline import DeadlineBackend, Exchange

DEADLINE: Final = "limner.deadline"
"""The request extension that says when the exchange must be over, in monotonic seconds."""

KEEPALIVE_SECONDS: Final = 30.0
"""Below the idle time-outs that servers commonly have (nginx: 75 s), so that they seldom hang up first: a
POST on a connection that the server is just closing is in doubt."""


# At DEBUG, httpcore prints answers' headers and the bytes of malformed ones, which may quote the API key.
logging.getLogger("httpcore").setLevel(logging.INFO)


class _Lane:
    """One thread's connection and the exchange that is under way on it."""

    def __init__(self, ssl_context: ssl.SSLContext, proxy: httpcore.Proxy | None) -> None:
        self.pid = os.getpid()
        self.exchange = Exchange()
        self.pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            proxy=proxy,
            max_connections=1,
            keepalive_expiry=KEEPALIVE_SECONDS,
            # Connecting again would do no harm, but the caller's clock spaces the attempts.
            retries=0,
            network_backend=DeadlineBackend(self.exchange),
        )
        # A thread that ends takes its connection with it, at once and not when the garbage is next collected.
        weakref.finalize(self, self.pool.close).atexit = False


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class ThreadTransport(httpx.BaseTransport):
    """Sends each thread's requests over that thread's connection, once.

    Raises httpcore's exceptions as they are, since the kind of the exception tells whether bytes went out.
    """

    def __init__(self, ssl_context: ssl.SSLContext, proxy: httpcore.Proxy | None = None) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._local = threading.local()
        self._lock = threading.Lock()
        self._closed = False
        self._lanes: weakref.WeakSet[_Lane] = weakref.WeakSet()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer with its body still to be read. ``request.extensions[DEADLINE]`` is needed."""
        lane = self._lane()
        lane.exchange.begin(request.extensions[DEADLINE])
        url = request.url
        response = lane.pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        if not lane.exchange.received:
            # A server that answers one request twice leaves the second answer in the parser's buffer, and
            # the next job would take another job's task for its own.
            response.close()
            raise httpcore.RemoteProtocolError("the answer was there before the request was sent")
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the connections of all threads; what is under way on them breaks off."""
        with self._lock:
            self._closed = True
            lanes = list(self._lanes)
        for lane in lanes:
            with suppress(OSError):
                lane.pool.close()

    def _lane(self) -> _Lane:
        lane: _Lane | None = getattr(self._local, "lane", None)
        # A forked child must not speak on its parent's connection.
        if lane is None or lane.pid != os.getpid():
            lane = self._local.lane = _Lane(self._ssl_context, self._proxy)
            with self._lock:
                self._lanes.add(lane)
        if self._closed:
            raise httpcore.ConnectError("the client is closed")
        return lane
