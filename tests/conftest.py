"""Fixtures and helpers for tests of every kind."""

import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox.local.valkey import EmbeddedValkey

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background processes with Ctrl-C ignored, and the processes of tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _server() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as valkey:
        yield valkey


@pytest.fixture
def valkey_url(_server: EmbeddedValkey) -> str:
    """The URL of an empty Valkey that the whole session shares."""
    import redis

    with redis.Redis.from_url(_server.url) as client:
        client.flushall()
    return _server.url


@pytest.fixture(autouse=True)
def _no_outage_of_another_test() -> Iterator[None]:
    """Forget an outage that a test has reported in this process, and would tell in the next one's log."""
    yield
    if outages := sys.modules.get("worker.outages"):
        vars(outages.outage).update(vars(outages.Outage()))


def eventually(condition: Callable[[], object], *, within: float = 20.0, every: float = 0.02) -> None:
    """Wait until the condition holds; fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {condition}")
        time.sleep(every)
