"""The time left for an exchange bounds every wait, and a request goes out in one piece or not at all."""

import ssl
import time
from collections.abc import Callable
from typing import Any

import httpcore
import pytest

from provider.deadline import DeadlineBackend, DeadlineStream, Exchange, NotSent


class Wire(httpcore.NetworkStream):
    """A stream that records the written bytes and the time-out of each call."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []
        self.pieces: list[bytes] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"answer"[:max_bytes]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.timeouts.append(timeout)
        self.pieces.append(buffer)

    def close(self) -> None:
        self.pieces.append(b"closed")

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return info


def stream(left: float, may_send: Callable[[], bool] | None = None) -> tuple[DeadlineStream, Wire, Exchange]:
    wire, exchange = Wire(), Exchange()
    exchange.begin(time.monotonic() + left, may_send)
    return DeadlineStream(wire, exchange), wire, exchange


def send(made: httpcore.NetworkStream, *pieces: bytes, timeout: float | None = None) -> None:
    """Write a request as httpcore does, which ends it with an empty piece."""
    for piece in (*pieces, b""):
        made.write(piece, timeout)


def asked(*answers: bool) -> tuple[Callable[[], bool], list[bool]]:
    """A permission that gives these answers, and those that are left."""
    left = list(answers)
    return lambda: left.pop(0), left


def test_a_wait_is_cut_to_what_is_left() -> None:
    made, wire, _ = stream(50.0)
    send(made, b"request", timeout=900.0)
    made.read(100, timeout=None)
    made.read(100, timeout=1.0)
    first, second, third = wire.timeouts
    assert first is not None
    assert second is not None
    assert 0 < second <= first <= 50.0
    assert third == 1.0


def test_a_request_goes_out_in_one_piece() -> None:
    made, wire, _ = stream(50.0)
    made.write(b"head")
    made.write(b"body")
    assert wire.pieces == []
    made.write(b"")
    assert wire.pieces == [b"headbody"]
    send(made, b"another")
    assert wire.pieces == [b"headbody", b"another"]


def test_nothing_is_sent_once_the_exchange_is_over() -> None:
    made, wire, exchange = stream(50.0)
    made.write(b"head")
    exchange.ends_at = time.monotonic() - 1.0
    with pytest.raises(httpcore.ConnectTimeout, match="before anything was sent"):
        send(made, b"body")
    assert wire.pieces == []


def test_the_time_that_the_permission_takes_counts() -> None:
    def slow() -> bool:
        exchange.ends_at = time.monotonic() - 1.0
        return True

    made, wire, exchange = stream(50.0, slow)
    with pytest.raises(httpcore.ConnectTimeout):
        send(made, b"request")
    assert wire.pieces == []


def test_an_exchange_that_ends_after_the_request_is_told_from_one_that_never_began() -> None:
    made, wire, exchange = stream(50.0)
    send(made, b"request")
    exchange.ends_at = time.monotonic() - 1.0
    with pytest.raises(httpcore.ReadTimeout):
        made.read(100)
    assert wire.pieces == [b"request"]


def test_the_permission_is_asked_once_and_when_the_request_is_complete() -> None:
    permission, left = asked(True)
    made, wire, _ = stream(50.0, permission)
    made.write(b"head")
    made.write(b"body")
    assert left == [True]
    made.write(b"")
    assert (left, wire.pieces) == ([], [b"headbody"])


def test_nothing_is_sent_without_the_permission() -> None:
    permission, _ = asked(False)
    made, wire, _ = stream(50.0, permission)
    with pytest.raises(NotSent):
        send(made, b"head", b"body")
    assert wire.pieces == []


def test_the_permission_for_a_proxy_s_tunnel_is_not_that_for_the_request() -> None:
    permission, left = asked(True, False)
    made, wire, _ = stream(50.0, permission)
    send(made, b"CONNECT")
    tunnel = made.start_tls(ssl.create_default_context())
    with pytest.raises(NotSent):
        send(tunnel, b"head", b"body")
    assert (left, wire.pieces) == ([], [b"CONNECT"])


def test_an_answer_is_remembered_until_the_next_exchange() -> None:
    made, _, exchange = stream(50.0)
    send(made, b"request")
    assert not exchange.received
    made.read(100)
    assert exchange.received
    exchange.begin(time.monotonic() + 1.0)
    assert not exchange.received


def test_no_connection_is_opened_once_the_exchange_is_over() -> None:
    with pytest.raises(httpcore.ConnectTimeout, match="before anything was sent"):
        DeadlineBackend(Exchange(time.monotonic() - 1.0)).connect_tcp("127.0.0.1", 1)
