"""Connections to Redis on which every call is bounded in time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from limner.errors import ConfigurationError, RecordTooNew, RecordUnreadable, StoreUnavailable

DEFAULT_TIMEOUT = 5.0
_RETRY_PAUSE = 0.05
_WORTH_A_RETRY = (redis.ConnectionError,)
_THREADS = 10_000
"""The most connections of a client. Each thread that waits for a job holds one, and 100 is the default."""
_ASYNC_CONNECTIONS = 32
_REFUSALS = (
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.MasterDownError,
)
_REFUSING_WORDS = ("MISCONF ", "NOREPLICAS ", "UNBLOCKED ", "DB index")
"""The beginnings of refusals for which redis-py has no class. It strips the first word of the others."""
_IN_PIPELINE = " of pipeline caused error: "
"""The text before an error in a pipeline. redis-py puts the command and its arguments in front of it."""


def _said(error: Exception) -> str:
    return str(error).rpartition(_IN_PIPELINE)[2].removesuffix("',)")


def refuses(error: Exception) -> bool:
    """True if Redis refuses to serve at all, which may pass, and not just this command."""
    return isinstance(error, _REFUSALS) or _said(error).startswith(_REFUSING_WORDS)


def check_url(url: str, setting: str) -> str:
    """The URL without surrounding space; raises ConfigurationError if it is not the URL of a Redis.

    The message names the setting and never shows the URL, which may hold a password.
    """
    try:
        url = url.strip()
        parts = urlsplit(url)
        if parts.scheme == "unix" and not parts.path:
            raise ValueError
        # redis-py reads a database that is not a number as 0.
        if parts.scheme != "unix" and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
            raise ValueError
        # Only a connection object parses the whole URL. Making one opens no socket.
        redis.ConnectionPool.from_url(url).make_connection()
    except (AttributeError, TypeError, ValueError):
        raise ConfigurationError(
            f"{setting}: not the URL of a Redis; one looks like redis://:password@host:6379/0, rediss://… or "
            "unix:///path, with special characters of the password percent-encoded"
        ) from None
    return url


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "decode_responses": True,
        # What is no UTF-8 was written by somebody else, and must not stop a worker that meets it.
        "encoding_errors": "backslashreplace",
        "health_check_interval": 30,
        # redis-py 5 repeats a call only if both the retry and the connection list its error.
        "retry_on_error": [*_WORTH_A_RETRY],
    }


def connect(
    url: str, *, timeout: float = DEFAULT_TIMEOUT, setting: str = "LIMNER_REDIS_URL", retries: int = 1
) -> "redis.Redis":
    """A client whose calls wait for ``timeout`` seconds at most.

    A call on a closed connection is repeated on a new one, ``retries`` times. A call that the server does not
    answer is not repeated. Repeating is harmless: every transition of a job recognises its own repetition.
    """
    retry = Retry(ConstantBackoff(_RETRY_PAUSE), retries, _WORTH_A_RETRY)
    return redis.Redis.from_url(
        check_url(url, setting), retry=retry, max_connections=_THREADS, **_options(timeout)
    )


def connect_async(
    url: str, *, timeout: float = DEFAULT_TIMEOUT, setting: str = "LIMNER_REDIS_URL"
) -> "redis.asyncio.Redis":
    """A client for asyncio, like :func:`connect`. Calls beyond the number of connections wait for one."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        check_url(url, setting),
        max_connections=_ASYNC_CONNECTIONS,
        timeout=timeout,
        retry=AsyncRetry(ConstantBackoff(_RETRY_PAUSE), 1, _WORTH_A_RETRY),
        **_options(timeout),
    )
    return redis.asyncio.Redis.from_pool(pool)


def address(client: "redis.Redis | redis.asyncio.Redis") -> str:
    """The address of a client's server, without credentials."""
    options = client.connection_pool.connection_kwargs
    return options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def record_error(said: str) -> RecordUnreadable | None:
    """The error in a script's message about an unreadable record; None for any other message."""
    kind, _, what = said.partition(" ")
    match kind:
        case "NEWER":
            return RecordTooNew(f"{what}: update this installation")
        case "OLDER":
            return RecordUnreadable(
                f"{what}: let workers of the version that wrote it finish its jobs, then update, as "
                "docs/operations.md says"
            )
        case "BROKEN":
            return RecordUnreadable(what)
    return None


@contextmanager
def store_errors(client: "redis.Redis | redis.asyncio.Redis") -> Iterator[None]:
    """Raises the errors of Redis as errors of Limner."""
    try:
        yield
    except StoreUnavailable:
        raise
    except redis.AuthenticationError as error:
        raise StoreUnavailable(
            f"Redis at {address(client)} refused the credentials of LIMNER_REDIS_URL"
        ) from error
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise StoreUnavailable(
            f"Redis at {address(client)} cannot be reached or did not answer in time "
            f"({type(error).__name__}); LIMNER_REDIS_URL says where it is"
        ) from error
    except redis.ResponseError as error:
        message = _said(error)
        if unreadable := record_error(message):
            raise unreadable from error
        if refuses(error):
            raise StoreUnavailable(f"Redis at {address(client)} refuses to serve: {message}") from error
        raise


def cancellations() -> int:
    """The number of cancellations of the running task."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


@contextmanager
def async_store_errors(client: "redis.asyncio.Redis") -> Iterator[None]:
    """The same for asynchronous calls. A cancelled call always ends with its cancellation.

    redis-py sends through asyncio.wait_for, which on Python 3.11 loses a cancellation that comes as it ends.
    """
    before = cancellations()
    try:
        with store_errors(client):
            yield
    finally:
        if cancellations() > before:
            raise asyncio.CancelledError
