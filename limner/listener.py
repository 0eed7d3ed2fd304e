"""One connection on which Redis announces the ends of jobs, and the sleep of the thread that reads it."""

import selectors
import socket
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, ClassVar, Final, NamedTuple

import redis

GONE: Final = (redis.RedisError, OSError)
"""The errors after which a listener is to be dropped. It can connect again."""


class Heard(NamedTuple):
    """A message: its kind, ``subscribe`` or ``message`` among others, and its channel."""

    kind: str
    channel: str


class Listener:
    """Subscriptions on one connection of a client. For use by one thread, but for ``wake``.

    It speaks to the connection itself: redis-py's PubSub connects again unseen, and what is published
    meanwhile is lost; and nothing can wake it. ``base`` is a channel that keeps the connection subscribed;
    nothing is published there. Methods raise the errors in GONE.
    """

    CHUNK: ClassVar[int] = 500
    """The most channels of a command, and the most messages that are read at once."""
    SILENCE: ClassVar[float] = 5.0
    """The seconds without a message after which Redis is asked for one, and for which its answer may take."""

    def __init__(self, client: "redis.Redis", base: str) -> None:
        self._pool: Any = client.connection_pool
        self._base = base
        self._connection: Any = None
        self._wanted: dict[str, bool] = {}
        """The changes that Redis has not been told: true to subscribe, false to unsubscribe."""
        self._heard_at = 0.0
        self._asked = False
        self._ear, self._bell = socket.socketpair()
        for end in (self._ear, self._bell):
            end.setblocking(False)

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self._connection is not None and self._connection._sock is not None  # noqa: SLF001 - as kombu does

    def connect(self, channels: Iterable[str], now: float) -> None:
        """Make a connection, and subscribe to these channels in the next exchanges."""
        if self._connection is None:
            self._connection = self._pool.make_connection()
        self._connection.connect()
        self._wanted = dict.fromkeys((self._base, *channels), True)
        self._heard_at, self._asked = now, False

    def subscribe(self, channel: str) -> None:
        """Subscribe in the next exchange, if there is a connection. It is confirmed, also a second time."""
        if self.connected:
            self._wanted[channel] = True

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe in the next exchange, if there is a connection."""
        if self.connected:
            self._wanted[channel] = False

    def exchange(self, now: float) -> list[Heard]:
        """Tell Redis of changes, and read what it has announced, without waiting for more."""
        chosen = dict(islice(self._wanted.items(), self.CHUNK))
        for command, wanted in (("SUBSCRIBE", True), ("UNSUBSCRIBE", False)):
            if channels := [channel for channel, asked in chosen.items() if asked is wanted]:
                self._send(command, *channels)
        for channel in chosen:
            del self._wanted[channel]
        heard = self._hear()
        if heard:
            self._heard_at, self._asked = now, False
        elif now - self._heard_at >= self.SILENCE:
            if self._asked:
                raise redis.TimeoutError("Redis has not answered on the connection of subscriptions")
            self._send("PING")
            self._heard_at, self._asked = now, True
        return heard

    def _send(self, *command: str) -> None:
        # Another connection in its place would have no subscriptions.
        self._connection.send_command(*command, check_health=False)

    def _hear(self) -> list[Heard]:
        heard: list[Heard] = []
        while len(heard) < self.CHUNK and self._connection.can_read(timeout=0):
            reply = self._connection.read_response(push_request=True)
            kind, channel = reply[:2] if isinstance(reply, list) else (reply, "")
            heard.append(Heard(str(kind), str(channel)))
        return heard

    def rest(self, seconds: float) -> None:
        """Sleep until Redis sends something, somebody calls ``wake``, or the time is over."""
        if self._wanted and self.connected:
            return
        # It is made for each sleep: a process that forks shares what it has.
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            if self.connected:
                selector.register(self._connection._sock, selectors.EVENT_READ)  # noqa: SLF001 - as kombu does
            selector.select(min(seconds, self.SILENCE))
        with suppress(BlockingIOError):
            self._ear.recv(4096)

    def wake(self) -> None:
        """End the sleep of the thread, from any other one."""
        with suppress(BlockingIOError):
            self._bell.send(b"\0")

    def drop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.disconnect()

    def close(self) -> None:
        """Close the connection, and the way to wake the thread."""
        self.drop()
        self.abandon()

    def abandon(self) -> None:
        """Close what a process that has forked may close: the connection belongs to the other one."""
        self._ear.close()
        self._bell.close()
