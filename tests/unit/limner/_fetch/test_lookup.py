"""A lookup ends in time, whatever the resolver does."""

import socket
import threading
from collections.abc import Sequence

import pytest

from limner._fetch.deadline import Deadline, Limits
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.lookup import AT_ONCE, Lookup
from tests.conftest import eventually


def deadline() -> Deadline:
    return Deadline(Limits(idle_seconds=0.05))


def fault(lookup: Lookup) -> FetchFault:
    with pytest.raises(FetchError) as caught:
        lookup.addresses("files.test", deadline())
    return caught.value.fault


def test_the_system_knows_this_machine() -> None:
    assert set(Lookup().addresses("localhost", Deadline(Limits()))) <= {"127.0.0.1", "::1"}


def test_a_resolver_that_hangs_is_left_behind() -> None:
    over = threading.Event()

    def hang(name: str) -> Sequence[str]:
        over.wait(30)
        return [name]

    lookup = Lookup(hang)
    try:
        assert fault(lookup) is FetchFault.TOO_SLOW
    finally:
        over.set()


def test_a_dead_name_server_holds_a_bounded_number_of_threads_and_none_afterwards() -> None:
    over = threading.Event()
    started = threading.Semaphore(0)

    def hang(name: str) -> Sequence[str]:
        started.release()
        over.wait(30)
        return ["8.8.8.8"]

    lookup = Lookup(hang)
    instant = Limits(idle_seconds=0.001)
    try:
        for _ in range(AT_ONCE + 3):
            with pytest.raises(FetchError):
                lookup.addresses("files.test", Deadline(instant))
        for _ in range(AT_ONCE):
            assert started.acquire(timeout=10)
        assert not started.acquire(blocking=False)
    finally:
        over.set()
    eventually(lambda: lookup.addresses("files.test", Deadline(Limits())) == ["8.8.8.8"])


def test_a_name_without_an_address_is_unreachable() -> None:
    def unknown(name: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    def empty(name: str) -> Sequence[str]:
        return []

    assert fault(Lookup(unknown)) is FetchFault.UNREACHABLE
    assert fault(Lookup(empty)) is FetchFault.UNREACHABLE


def test_a_fault_of_ours_is_not_hidden() -> None:
    def broken(name: str) -> Sequence[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Lookup(broken).addresses("files.test", deadline())
