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

from limner._redis.faults import (
    CannotServe,
    cannot_serve,
    is_misplaced,
    lacks_a_right,
    said,
    without_arguments,
)
from limner._redis.places import Place

IDLE_SECONDS: Final = 10.0
"""The time without an answer after which a connection is tried. Middleboxes forget flows after some minutes,
the quickest known after 45 s."""
_TRIAL: Final = 1.0
"""The longest trial in seconds."""
_WATCHED: Final = "the connection is gone, and with it what it watched"
_SILENT: Final = "the server did not answer a PING"
_GONE: Final = (redis.RedisError, OSError)


class Serving:
    """The part of a connection that makes it serve or close. ``place`` finds the server."""

    def __init__(
        self, *args: Any, place: Place | None = None, idle_seconds: float = IDLE_SECONDS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._place = place
        self._idle_seconds = idle_seconds
        self._state = _State()
        self._connecting = False

    def connect(self: Any) -> None:
        """Connect unless it is connected. redis-py 5 repeats only the first step, and not the handshake."""
        if not self._sock:
            # The handshake must not be disturbed by a trial.
            self._connecting = True
            try:
                self.retry.call_with_retry(super().connect, self._drop)  # type: ignore[misc]
            finally:
                self._connecting = False

    def _drop(self: Any, _: Exception) -> None:
        self.disconnect()

    def _connect(self: Any) -> Any:
        if self._place is not None:
            self.host, self.port = self._place.find()
        self._state = _State()
        connected = super()._connect()  # type: ignore[misc]
        self._state.answered()
        return connected

    def send_command(self: Any, *args: Any, **options: Any) -> None:
        """Send a command."""
        super().send_command(*args, **options)  # type: ignore[misc]
        self._state.note(args)

    def can_read(self: Any, *args: Any, **options: Any) -> bool:
        """True if there is an answer; raises redis.ConnectionError if one is overdue."""
        if super().can_read(*args, **options):  # type: ignore[misc]
            return True
        self._check_silence()
        return False

    def read_response(self: Any, *args: Any, **options: Any) -> Any:
        """Read a reply; raises CannotServe for an error that is not about the command."""
        try:
            reply = super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            self._state.answered()
            without_arguments(error)
            if not _ends_connection(error):
                raise
            self.disconnect()
            raise _refusal(error, self._place) from error
        self._state.answered()
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
        watched = self._state.watches
        self.disconnect()
        if watched:
            raise redis.ConnectionError(_WATCHED)
        self._renew()

    def _renew(self: Any) -> None:
        self.connect()

    def _check_silence(self: Any) -> None:
        if self._state.is_silent(self.socket_timeout):
            self.disconnect()
            raise redis.ConnectionError(_SILENT)


class AsyncServing:
    """The same for asynchronous connections."""

    def __init__(
        self, *args: Any, place: Place | None = None, idle_seconds: float = IDLE_SECONDS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._place = place
        self._idle_seconds = idle_seconds
        self._state = _State()
        self._connecting = False

    async def connect(self: Any) -> None:
        """Connect unless it is connected."""
        if not self.is_connected:
            self._connecting = True
            try:
                await self.retry.call_with_retry(super().connect, self._drop)  # type: ignore[misc]
            finally:
                self._connecting = False

    async def _drop(self: Any, _: Exception) -> None:
        await self.disconnect(nowait=True)

    async def disconnect(self: Any, nowait: bool = False, *args: Any, **options: Any) -> None:
        """Close the connection. A server that does not say farewell over TLS is not waited for long."""
        if nowait or asyncio.current_task() is None:
            await super().disconnect(nowait, *args, **options)  # type: ignore[misc]
            return
        try:
            async with asyncio.timeout(_TRIAL):
                await super().disconnect(False, *args, **options)  # type: ignore[misc]
        except (TimeoutError, redis.TimeoutError):
            pass

    async def _connect(self: Any) -> None:
        if self._place is not None:
            self.host, self.port = await self._place.afind()
        self._state = _State()
        await super()._connect()  # type: ignore[misc]
        self._state.answered()

    async def send_command(self: Any, *args: Any, **options: Any) -> None:
        """Send a command."""
        await super().send_command(*args, **options)  # type: ignore[misc]
        self._state.note(args)

    async def read_response(self: Any, *args: Any, **options: Any) -> Any:
        """Read a reply; raises CannotServe for an error that is not about the command."""
        try:
            reply = await super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            self._state.answered()
            without_arguments(error)
            if not _ends_connection(error):
                raise
            await self.disconnect(nowait=True)
            raise _refusal(error, self._place) from error
        if reply is not None:
            self._state.answered()
        elif self._state.is_silent(self.socket_timeout):
            await self.disconnect(nowait=True)
            raise redis.ConnectionError(_SILENT)
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
        watched = self._state.watches
        await self.disconnect(nowait=True)
        if watched:
            raise redis.ConnectionError(_WATCHED)
        await self.connect()


class _State:
    """The times of a connection to one server (``time.monotonic``), and what it has asked for."""

    def __init__(self) -> None:
        self.answered_at = 0.0
        self.watches = False
        self._pinged_at: float | None = None

    def answered(self) -> None:
        self.answered_at = time.monotonic()
        self._pinged_at = None

    def note(self, command: tuple[Any, ...]) -> None:
        if command[0] == "WATCH":
            self.watches = True
        elif command[0] == "PING" and self._pinged_at is None:
            # On a subscription nothing else is answered, and redis-py does not miss the answer.
            self._pinged_at = time.monotonic()

    def is_silent(self, seconds: float | None) -> bool:
        return self._pinged_at is not None and time.monotonic() - self._pinged_at > (seconds or _TRIAL)


def _ends_connection(error: redis.ResponseError) -> bool:
    # A user without a right has no other rights on a new connection.
    return cannot_serve(error) and not lacks_a_right(error)


def _refusal(error: redis.ResponseError, place: Place | None) -> CannotServe:
    if place is not None and is_misplaced(error):
        place.doubt()
    return CannotServe(said(error))


def _is_fresh(connection: Any) -> bool:
    if connection._connecting:  # noqa: SLF001 - of this module
        return True
    idle = time.monotonic() - connection._state.answered_at  # noqa: SLF001 - of this module
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
