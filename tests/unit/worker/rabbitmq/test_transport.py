"""The transport for RabbitMQ, without a broker: a worker's places, and compressed bodies."""

from typing import Any

import amqp
import pytest
from kombu.transport import TRANSPORT_ALIASES

from worker.rabbitmq import transport
from worker.rabbitmq.transport import Channel, Message, install

STILL, STUCK = 15.0, 600.0


class Clock:
    """The time of the module, which a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(transport, "time", made)
    return made


def channel(places: int, taken: int) -> Any:
    """A channel of a worker with so many places, of which so many are taken."""
    made: Any = object.__new__(Channel)
    made.places, made._full_since = places, None
    made._taken = set(range(taken))
    return made


def test_a_worker_with_a_free_place_has_no_fault(clock: Clock) -> None:
    some = channel(places=4, taken=3)
    assert some.fault(STILL, STUCK) is None
    clock.now += 10 * STUCK
    assert some.fault(STILL, STUCK) is None


def test_messages_that_nobody_works_on_are_a_fault(clock: Clock) -> None:
    full = channel(places=4, taken=4)
    assert full.fault(STILL, STUCK) is None
    clock.now += STILL + 1
    assert full.fault(STILL, STUCK) == "messages that nobody works on have taken all its places for 16 s"


def test_steps_may_take_all_places_for_longer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "reserved_requests", {object()})
    full = channel(places=4, taken=4)
    assert full.fault(STILL, STUCK) is None
    clock.now += STILL + 1
    assert full.fault(STILL, STUCK) is None
    clock.now += STUCK
    assert full.fault(STILL, STUCK) == "its steps have taken all its places for 616 s"


def test_a_place_that_was_free_meanwhile_begins_the_time_anew(clock: Clock) -> None:
    busy = channel(places=4, taken=4)
    busy.fault(STILL, STUCK)
    busy._taken.discard(0)
    clock.now += STILL + 1
    assert busy.fault(STILL, STUCK) is None
    busy._taken.add(9)
    assert busy.fault(STILL, STUCK) is None


def test_a_channel_of_no_worker_has_no_fault(clock: Clock) -> None:
    some = channel(places=0, taken=50)
    some.fault(STILL, STUCK)
    clock.now += 10 * STUCK
    assert some.fault(STILL, STUCK) is None


def test_a_body_stays_compressed_for_the_inspection() -> None:
    headers = {"compression": "application/x-gzip", "task": "limner.create_task"}
    raw: Any = amqp.Message(b"packed", application_headers=headers)
    raw.delivery_info = {"delivery_tag": 1}
    message: Any = Message(raw)
    assert (message.body, message.compression) == (b"packed", "application/x-gzip")
    assert message.headers == {"task": "limner.create_task"}


def test_the_transport_takes_the_place_of_kombu_s() -> None:
    install()
    assert TRANSPORT_ALIASES["amqp"] == "worker.rabbitmq.transport:Transport"
    assert TRANSPORT_ALIASES["amqps"] == "worker.rabbitmq.transport:SSLTransport"
