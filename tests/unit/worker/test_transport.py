"""The transport for each form of a broker's URL, and the faults of a channel that takes nothing."""

import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery.worker.state import reserved_requests

from config.celery_options import celery_url
from worker.transport import Channel

# The check runs in its own process, because kombu caches the first transport of each name.
CHECK = """
import sys
from kombu import Connection
from worker.transport import Transport, install
install()
sys.exit(not isinstance(Connection(sys.argv[1]).transport, Transport))
"""


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://h:1/0", "unix:///run/redis.sock?db=2", "unix://:pw@/run/redis.sock"]
)
def test_every_form_of_a_redis_url_gets_our_transport(url: str) -> None:
    assert subprocess.run([sys.executable, "-c", CHECK, celery_url(url)], check=False).returncode == 0


def test_a_channel_whose_connection_is_closed_says_so() -> None:
    made: Any = Channel.__new__(Channel)
    made.connection = None
    with pytest.raises(redis.ConnectionError, match="closed"):
        made._get_pool()


class Request:
    """A message in hand, as Celery's worker counts it."""


def channel(*, silent_for: float, room: bool) -> Any:
    """A channel that the broker has not answered for some seconds, with room for messages or without."""
    made: Any = Channel.__new__(Channel)
    made.answered_at = time.monotonic() - silent_for
    made._qos = SimpleNamespace(can_consume=lambda: room)
    return made


def test_a_channel_that_was_just_answered_has_no_fault() -> None:
    assert channel(silent_for=1, room=False).fault(15, 600) is None


def test_a_channel_that_could_take_messages_and_is_not_answered_is_at_fault() -> None:
    assert "has not been answered" in channel(silent_for=16, room=True).fault(15, 600)


def test_a_channel_whose_places_are_lost_is_at_fault() -> None:
    assert "nobody works on" in channel(silent_for=16, room=False).fault(15, 600)


def test_a_busy_channel_is_at_fault_only_after_a_long_time() -> None:
    request: Any = Request()
    reserved_requests.add(request)
    try:
        assert channel(silent_for=599, room=False).fault(15, 600) is None
        assert "have taken all its places" in channel(silent_for=601, room=False).fault(15, 600)
    finally:
        reserved_requests.discard(request)


@pytest.mark.parametrize("text", ["[]", "{}", "7", '{"properties": {}}', "[" * 100_000, '"\\ud800"'])
def test_an_odd_event_does_not_end_the_loop(text: str) -> None:
    made = channel(silent_for=0, room=True)
    made._fanout_to_queue, made.connection_errors = {}, (KeyError,)
    listener = SimpleNamespace(parse_response=lambda: [b"message", b"/limner.0.limner.events", text.encode()])
    assert not made._receive_one(listener)


def test_a_lost_connection_is_no_odd_event() -> None:
    def lost() -> None:
        raise redis.ConnectionError("lost")

    made = channel(silent_for=0, room=True)
    made.connection_errors = (redis.ConnectionError,)
    with pytest.raises(redis.ConnectionError):
        made._receive_one(SimpleNamespace(parse_response=lost))
