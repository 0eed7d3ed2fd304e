"""Commands to servers of the sandbox, each on a connection of its own with a short time-out."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.local.ports import HOST
from sandbox.local.valkey import ValkeyError

__all__ = ["connected", "says", "wait_until"]

ANSWER_SECONDS: Final = 2.0


@contextlib.contextmanager
def connected(port: int, password: str | None) -> Iterator["redis.Redis"]:
    """A client of the server at the port, whose replies are text."""
    with redis.Redis(
        host=HOST,
        port=port,
        password=password,
        socket_timeout=ANSWER_SECONDS,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        yield client


def says(port: int, password: str | None, *command: str | int) -> Any:
    """The server's answer to a command. Raises the errors of redis-py."""
    with connected(port, password) as client:
        return client.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py has no types here


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait until the condition is true; a server that cannot answer means no.

    Raises :class:`ValkeyError`, which says ``what`` did not happen.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise ValkeyError(f"Not within {seconds:.0f} s: {what}.")
        time.sleep(0.02)
