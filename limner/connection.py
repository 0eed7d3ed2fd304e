"""Connections to Redis on which every call is bounded in time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from limner.errors import InvalidRequest, RecordTooNew, StoreUnavailable

DEFAULT_TIMEOUT = 5.0
_RETRY_PAUSE = 0.05
_SCHEMES = ("redis", "rediss", "unix")


def check_url(url: str, setting: str) -> str:
    """The URL itself, if it is one of a Redis; raises InvalidRequest, which names the setting."""
    try:
        parts = urlsplit(url)
        redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise InvalidRequest(f"{setting}: not a Redis URL ({_without_secrets(str(error), url)})") from None
    if parts.scheme not in _SCHEMES:
        raise InvalidRequest(f"{setting}: the URL must begin with redis://, rediss:// or unix://")
    if parts.scheme == "unix" and not parts.path:
        raise InvalidRequest(f"{setting}: the URL names no socket")
    return url


def _without_secrets(message: str, url: str) -> str:
    return (
        message.replace(url, "…")
        if urlsplit(url).password is None
        else "its credentials or port are malformed"
    )


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "decode_responses": True,
        "health_check_interval": 30,
    }


def connect(
    url: str, *, timeout: float = DEFAULT_TIMEOUT, setting: str = "LIMNER_REDIS_URL", retries: int = 1
) -> "redis.Redis":
    """A client whose calls each take ``timeout`` seconds at most, once more for each retry.

    A retry is harmless: every transition of a job recognises its own repetition.
    """
    retry = Retry(ConstantBackoff(_RETRY_PAUSE), retries)
    return redis.Redis.from_url(check_url(url, setting), retry=retry, **_options(timeout))


def connect_async(
    url: str, *, timeout: float = DEFAULT_TIMEOUT, setting: str = "LIMNER_REDIS_URL"
) -> "redis.asyncio.Redis":
    """The same for asyncio."""
    retry = AsyncRetry(ConstantBackoff(_RETRY_PAUSE), 1)
    return redis.asyncio.Redis.from_url(check_url(url, setting), retry=retry, **_options(timeout))


def address(client: "redis.Redis | redis.asyncio.Redis") -> str:
    """Where a client connects to, without credentials."""
    options = client.connection_pool.connection_kwargs
    return options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


@contextmanager
def store_errors(client: "redis.Redis | redis.asyncio.Redis") -> Iterator[None]:
    """Tell Redis' errors as ours."""
    try:
        yield
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
        message = str(error)
        if message.startswith("NEWER "):
            raise RecordTooNew(f"{message.removeprefix('NEWER ')}: update this installation") from error
        if message.startswith(("OOM ", "READONLY ", "MISCONF ", "LOADING ", "MASTERDOWN ")):
            raise StoreUnavailable(f"Redis at {address(client)} does not take writes: {message}") from error
        raise
