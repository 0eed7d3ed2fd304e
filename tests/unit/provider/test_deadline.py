"""The time left for an exchange bounds every wait, and nothing is sent once it has expired."""

import time
from typing import Any

import httpcore
import pytest

from provider.deadline import DeadlineBackend, DeadlineStream, Exchange


class Wire(httpcore.NetworkStream):
    """A stream that records the written bytes and the time-out of each call."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []
        self.written = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"answer"[:max_bytes]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)
        self.written += buffer

    def close(self) -> None:
        self.written = b"closed"

    def get_extra_info(self, info: str) -> Any:
        return info


def stream(left: float) -> tuple[DeadlineStream, Wire, Exchange]:
    wire, exchange = Wire(), Exchange()
    exchange.begin(time.monotonic() + left)
    return DeadlineStream(wire, exchange), wire, exchange


def test_a_wait_is_cut_to_what_is_left() -> None:
    made, wire, _ = stream(50.0)
    made.write(b"request", timeout=900.0)
    made.read(100, timeout=None)
    made.read(100, timeout=1.0)
    first, second, third = wire.timeouts
    assert first is not None
    assert second is not None
    assert 0 < second <= first <= 50.0
    assert third == 1.0


def test_nothing_is_sent_once_the_exchange_is_over() -> None:
    made, wire, exchange = stream(-1.0)
    with pytest.raises(httpcore.ConnectTimeout, match="before anything was sent"):
        made.write(b"request")
    assert (wire.written, exchange.sent) == (b"", False)


def test_an_exchange_that_ends_in_the_middle_of_a_request_is_told_from_one_that_never_began() -> None:
    made, wire, exchange = stream(50.0)
    made.write(b"head")
    exchange.ends_at = time.monotonic() - 1.0
    with pytest.raises(httpcore.WriteTimeout):
        made.write(b"body")
    with pytest.raises(httpcore.ReadTimeout):
        made.read(100)
    assert wire.written == b"head"


def test_what_was_sent_and_received_is_remembered_until_the_next_exchange() -> None:
    made, _, exchange = stream(50.0)
    made.write(b"request")
    assert (exchange.sent, exchange.received) == (True, False)
    made.read(100)
    assert exchange.received
    exchange.begin(time.monotonic() + 1.0)
    assert (exchange.sent, exchange.received) == (False, False)


def test_no_connection_is_opened_once_the_exchange_is_over() -> None:
    with pytest.raises(httpcore.ConnectTimeout, match="before anything was sent"):
        DeadlineBackend(Exchange(time.monotonic() - 1.0)).connect_tcp("127.0.0.1", 1)
