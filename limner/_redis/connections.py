"""Connections that are given up when the server cannot serve on them.

redis-py keeps a connection on which the server has answered with an error, on a server that may be the wrong
one for ever. These close it, and raise :class:`~limner._redis.faults.CannotServe`, which redis-py and kombu
treat as a lost connection. A connection that was idle is tried before it is used: a middlebox may have
forgotten it without telling anybody.
"""

import asyncio
import time
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio import connection as asyncio_connection

from limner._redis.faults import CannotServe, cannot_serve, said
from limner._redis.places import Place

IDLE_SECONDS: Final = 10.0
"""The time without an answer after which a connection is tried. Middleboxes forget flows after some minutes,
the quickest known after 45 s."""
_TRIAL: Final = 1.0
"""The longest trial in seconds."""
_GONE: Final = (redis.RedisError, OSError)


class Serving:
    """The part of a connection that makes it serve or close. ``place`` finds the server."""

    def __init__(
        self, *args: Any, place: Place | None = None, idle_seconds: float = IDLE_SECONDS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._place = place
        self._idle_seconds = idle_seconds
        self._answered_at = 0.0

    def _connect(self: Any) -> Any:
        if self._place is not None:
            self.host, self.port = self._place.find()
        connected = super()._connect()  # type: ignore[misc]
        # What follows is the handshake, before which the server answers nothing else.
        self._answered_at = time.monotonic()
        return connected

    def read_response(self: Any, *args: Any, **options: Any) -> Any:
        """Read a reply; raises CannotServe for an error that is not about the command."""
        try:
            reply = super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            self._answered_at = time.monotonic()
            if not _ends_connection(error):
                raise
            self.disconnect()
            raise CannotServe(said(error)) from error
        self._answered_at = time.monotonic()
        return reply

    def check_health(self: Any) -> None:
        """Try a connection that was idle before it is used, and make a new one if it is gone."""
        if _is_fresh(self):
            return
        try:
            if not _is_elsewhere(self):
                self._sock.settimeout(min(_TRIAL, self.socket_timeout or _TRIAL))
                self._send_ping()
                self._sock.settimeout(self.socket_timeout)
                return
        except _GONE:
            pass
        self.disconnect()
        self._renew()

    def _renew(self: Any) -> None:
        self.connect()


class AsyncServing:
    """The same for asynchronous connections."""

    def __init__(
        self, *args: Any, place: Place | None = None, idle_seconds: float = IDLE_SECONDS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._place = place
        self._idle_seconds = idle_seconds
        self._answered_at = 0.0

    async def _connect(self: Any) -> None:
        if self._place is not None:
            self.host, self.port = await self._place.afind()
        await super()._connect()  # type: ignore[misc]
        self._answered_at = time.monotonic()

    async def read_response(self: Any, *args: Any, **options: Any) -> Any:
        """Read a reply; raises CannotServe for an error that is not about the command."""
        try:
            reply = await super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            self._answered_at = time.monotonic()
            if not _ends_connection(error):
                raise
            await self.disconnect(nowait=True)
            raise CannotServe(said(error)) from error
        self._answered_at = time.monotonic()
        return reply

    async def check_health(self: Any) -> None:
        """Try a connection that was idle, and make a new one if it is gone."""
        if _is_fresh(self):
            return
        try:
            if not _is_elsewhere(self):
                async with asyncio.timeout(min(_TRIAL, self.socket_timeout or _TRIAL)):
                    await self._send_ping()
                return
        except (*_GONE, TimeoutError):
            pass
        await self.disconnect(nowait=True)
        await self.connect()


def _ends_connection(error: redis.ResponseError) -> bool:
    # A user without a right has no other rights on a new connection.
    return cannot_serve(error) and not isinstance(error, redis.exceptions.NoPermissionError)


def _is_fresh(connection: Any) -> bool:
    idle = time.monotonic() - connection._answered_at  # noqa: SLF001 - of this module
    return idle <= connection._idle_seconds and not _is_elsewhere(connection)  # noqa: SLF001 - of this module


def _is_elsewhere(connection: Any) -> bool:
    """True if another connection has found the server at another place since."""
    place = connection._place  # noqa: SLF001 - of this module
    return bool(place and place.latest and place.latest != (connection.host, connection.port))


class Tcp(Serving, redis.Connection):
    """A connection over TCP."""


class Tls(Serving, redis.SSLConnection):
    """A connection over TLS."""


class Socket(Serving, redis.UnixDomainSocketConnection):
    """A connection over a socket."""


class AsyncTcp(AsyncServing, asyncio_connection.Connection):
    """An asynchronous connection over TCP."""


class AsyncTls(AsyncServing, asyncio_connection.SSLConnection):
    """An asynchronous connection over TLS."""


class AsyncSocket(AsyncServing, asyncio_connection.UnixDomainSocketConnection):
    """An asynchronous connection over a socket."""
