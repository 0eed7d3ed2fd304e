"""Sockets that obey one deadline for the whole exchange.

HTTP clients limit single reads and writes, so a peer that sends a byte a second blocks a worker forever.
These streams limit every wait to the time left of the exchange, and send nothing after the deadline: a step
whose lease has expired must not buy images.

A request goes out in one piece. With two pieces, head and body, this machine could stand still between them:
after the last check, and before the provider has the whole request.
"""

import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpcore


class NotSent(Exception):
    """The request was not sent, because this side must not, or cannot, send it any more."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer: the deadline in monotonic seconds, and the progress so far."""

    ends_at: float = 0.0
    may_send: Callable[[], bool] | None = None
    """Called right before the request is sent. If it returns False, nothing is sent."""
    received: bool = False

    def begin(self, ends_at: float, may_send: Callable[[], bool] | None = None) -> None:
        """Start the next exchange on the same connection."""
        self.ends_at, self.may_send, self.received = ends_at, may_send, False

    def left(self, timeout: float | None) -> float:
        """The seconds that an operation may still take; zero or less after the deadline."""
        left = self.ends_at - time.monotonic()
        return left if timeout is None else min(left, timeout)


class DeadlineStream(httpcore.NetworkStream):
    """A stream whose operations end at the deadline of the current exchange."""

    def __init__(self, stream: httpcore.NetworkStream, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange
        self._unsent: list[bytes] = []
        """The pieces of a request that is not complete."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if (left := self._exchange.left(timeout)) <= 0:
            raise httpcore.ReadTimeout("the time for the whole exchange is over")
        data = self._stream.read(max_bytes, left)
        self._exchange.received = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Keep a piece of a request; an empty one, with which httpcore ends each request, sends the whole."""
        if buffer:
            self._unsent.append(buffer)
            return
        request = b"".join(self._unsent)
        self._unsent.clear()
        may_send = self._exchange.may_send
        if may_send and not may_send():
            raise NotSent("the permission to send the request had expired")
        if (left := self._exchange.left(timeout)) <= 0:
            raise httpcore.ConnectTimeout("the time was over before anything was sent")
        # Nothing that takes time may stand between may_send and this.
        self._stream.write(request, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        if (left := self._exchange.left(timeout)) <= 0:
            raise httpcore.ConnectTimeout("the time was over before anything was sent")
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._exchange)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens streams with the exchange's deadline.

    The system's name resolution has no time limit; if it ends after the deadline, nothing is sent.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        if (left := self._exchange.left(timeout)) <= 0:
            raise httpcore.ConnectTimeout("the time was over before anything was sent")
        stream = self._backend.connect_tcp(host, port, left, local_address, socket_options)
        return DeadlineStream(stream, self._exchange)
