"""The connection on which ends are announced, on a real Valkey."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from limner._redis import connect
from limner.listener import Heard, Listener
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually

BASE = "ended:"


@pytest.fixture
def client(valkey_url: str) -> Iterator[Any]:
    with connect(valkey_url) as client:
        yield client


@pytest.fixture
def listener(valkey_url: str) -> Iterator[Listener]:
    with connect(valkey_url, connections=1) as client:
        listener = Listener(client, BASE)
        yield listener
        listener.close()


def hears(listener: Listener, *expected: Heard, now: float = 0.0) -> None:
    heard: list[Heard] = []

    def complete() -> bool:
        heard.extend(listener.exchange(now))
        return len(heard) >= len(expected)

    eventually(complete)
    assert heard == list(expected)


def test_it_confirms_subscriptions_and_hears_what_is_published(listener: Listener, client: Any) -> None:
    listener.connect(["ended:a"], 0.0)
    hears(listener, Heard("subscribe", BASE), Heard("subscribe", "ended:a"))
    listener.subscribe("ended:b")
    hears(listener, Heard("subscribe", "ended:b"))
    client.publish("ended:b", "succeeded")
    hears(listener, Heard("message", "ended:b"))
    listener.unsubscribe("ended:b")
    hears(listener, Heard("unsubscribe", "ended:b"))
    assert client.publish("ended:b", "succeeded") == 0


def test_a_second_subscription_is_confirmed_as_well(listener: Listener) -> None:
    listener.connect([], 0.0)
    hears(listener, Heard("subscribe", BASE))
    listener.subscribe("ended:a")
    hears(listener, Heard("subscribe", "ended:a"))
    listener.unsubscribe("ended:a")
    listener.subscribe("ended:a")
    hears(listener, Heard("subscribe", "ended:a"))


def test_thousands_of_channels_are_told_in_few_commands(listener: Listener, client: Any) -> None:
    channels = [f"ended:{number}" for number in range(2 * Listener.CHUNK + 1)]
    before = client.info("commandstats").get("cmdstat_subscribe", {"calls": 0})["calls"]
    listener.connect(channels, 0.0)
    hears(listener, *(Heard("subscribe", channel) for channel in (BASE, *channels)))
    assert client.info("commandstats")["cmdstat_subscribe"]["calls"] - before == 3


@pytest.mark.parametrize("connected", [False, True])
def test_it_sleeps_until_it_is_woken(listener: Listener, connected: bool) -> None:
    if connected:
        listener.connect([], 0.0)
        hears(listener, Heard("subscribe", BASE))
    began = time.monotonic()
    listener.rest(0.2)
    assert time.monotonic() - began >= 0.2
    for act in (listener.wake, lambda: threading.Timer(0.1, listener.wake).start()):
        began = time.monotonic()
        act()
        listener.rest(5.0)
        assert time.monotonic() - began < 2.0


def test_it_sleeps_until_something_is_published(listener: Listener, client: Any) -> None:
    listener.connect([], 0.0)
    hears(listener, Heard("subscribe", BASE))
    threading.Timer(0.1, client.publish, (BASE, "")).start()
    began = time.monotonic()
    listener.rest(5.0)
    assert time.monotonic() - began < 2.0
    hears(listener, Heard("message", BASE))


def test_a_redis_that_says_nothing_for_long_is_asked(listener: Listener) -> None:
    listener.connect([], 0.0)
    hears(listener, Heard("subscribe", BASE))
    [pong] = _until(lambda: listener.exchange(Listener.SILENCE))
    assert pong.kind.lower() == "pong"
    assert listener.exchange(2 * Listener.SILENCE - 0.1) == []


def test_a_connection_without_an_answer_is_given_up() -> None:
    with EmbeddedValkey() as valkey, connect(valkey.url, connections=1) as client:
        listener = Listener(client, BASE)
        listener.connect([], 0.0)
        hears(listener, Heard("subscribe", BASE))
        valkey.pause()
        try:
            assert listener.exchange(Listener.SILENCE) == []
            with pytest.raises(redis.TimeoutError):
                listener.exchange(2 * Listener.SILENCE)
        finally:
            valkey.resume()
        listener.drop()
        assert not listener.connected
        listener.connect([], 0.0)
        hears(listener, Heard("subscribe", BASE))
        listener.close()


def _until(get: Callable[[], list[Heard]]) -> list[Heard]:
    found: list[Heard] = []
    eventually(lambda: bool(found.extend(get()) or found))  # type: ignore[func-returns-value]
    return found
