"""The errors of Redis, raised as errors of Limner."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import redis.asyncio

from limner._redis.clients import address
from limner._redis.faults import cannot_serve, cause, said
from limner.errors import RecordTooNew, RecordUnreadable, StoreUnavailable


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
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise StoreUnavailable(
            f"Redis at {address(client)} {cause(error)}; LIMNER_REDIS_URL says where it is"
        ) from error
    except redis.ResponseError as error:
        words = said(error)
        if unreadable := record_error(words):
            raise unreadable from error
        # A server that does not know one of our commands serves nobody here.
        unknown = words.removeprefix("ERR ").startswith("unknown command")
        if unknown or cannot_serve(error) or isinstance(error, redis.exceptions.NoScriptError):
            raise StoreUnavailable(f"Redis at {address(client)} refuses to serve: {words}") from error
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
