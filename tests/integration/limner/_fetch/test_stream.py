"""Each wait of a connection ends in time."""

import socket
from collections.abc import Iterator

import pytest

from limner._fetch.deadline import Deadline, Limits
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.stream import reader, send


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def deadline() -> Deadline:
    return Deadline(Limits(idle_seconds=0.05))


def test_silence_is_too_slow(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"a line\nhalf")
    lines = reader(ours, deadline())
    assert lines.readline(100) == b"a line\n"
    with pytest.raises(FetchError) as caught:
        lines.readline(100)
    assert caught.value.fault is FetchFault.TOO_SLOW


def test_a_peer_that_takes_nothing_is_too_slow(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(FetchError) as caught:
        send(ends[0], bytes(50_000_000), deadline())
    assert caught.value.fault is FetchFault.TOO_SLOW


def test_a_peer_that_is_gone_cuts_off(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(FetchError) as caught:
        send(ours, bytes(1_000_000), deadline())
    assert caught.value.fault is FetchFault.CUT_OFF
    assert reader(ours, deadline()).read1(10) == b""


def test_a_reader_leaves_the_socket_open(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"ab")
    with reader(ours, deadline(), ahead=1) as first:
        assert first.read(1) == b"a"
    with reader(ours, deadline()) as second:
        assert second.read1(5) == b"b"
