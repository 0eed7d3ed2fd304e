"""Servers that others know: who is asked, for how long, and what is said if nobody knows."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis

from limner._redis import parse
from limner._redis.addresses import Host
from limner._redis.faults import NotFound
from limner._redis.places import Master, Place, SlotOwner
from sandbox.local.cluster import Cluster
from sandbox.local.commands import says
from sandbox.local.ports import HOST, free_port
from sandbox.local.sentinel import SERVICE, Sentinel
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually

GUARD = {"password": "guard"}


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture(scope="module")
def sentinel(primary: EmbeddedValkey) -> Iterator[Host]:
    with Sentinel(primary, quorum=1, password="guard") as server:
        yield Host(HOST, server.port)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=3) as nodes:
        yield nodes


@pytest.fixture
def frozen() -> Iterator[list[Host]]:
    """Two addresses that take connections and answer nothing, as frozen servers do."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(2)]
        yield [Host(*listener.getsockname()) for listener in listeners]


def dead() -> list[Host]:
    return [Host(HOST, free_port()) for _ in range(2)]


def blocking(place: Place) -> Host:
    return place.find()


def in_a_loop(place: Place) -> Host:
    return asyncio.run(place.afind())


Way = Callable[[Place], Host]
both = pytest.mark.parametrize("find", [blocking, in_a_loop])


@both
def test_two_frozen_sentinels_cost_a_second_once(
    find: Way, primary: EmbeddedValkey, sentinel: Host, frozen: list[Host]
) -> None:
    place = Master((*frozen, sentinel), SERVICE, False, GUARD)
    began = time.monotonic()
    assert find(place) == (HOST, primary.port)
    first = time.monotonic()
    assert first - began < 2.5
    assert find(place) == (HOST, primary.port)
    assert time.monotonic() - first < 0.5


@both
def test_two_dead_sentinels_cost_nothing(find: Way, primary: EmbeddedValkey, sentinel: Host) -> None:
    began = time.monotonic()
    assert find(Master((*dead(), sentinel), SERVICE, False, GUARD)) == (HOST, primary.port)
    assert time.monotonic() - began < 1


@both
def test_an_unknown_service_is_told_with_who_was_asked(find: Way, sentinel: Host) -> None:
    [gone, _] = dead()
    with pytest.raises(NotFound, match=rf"{sentinel} No such master .*; {gone} cannot be reached"):
        find(Master((sentinel, gone), "nobody", False, GUARD))


@both
def test_a_wrong_password_of_the_sentinels_is_told_as_one(find: Way, sentinel: Host) -> None:
    with pytest.raises(redis.AuthenticationError):
        find(Master((sentinel,), SERVICE, False, {"password": "wrong"}))


@both
def test_a_master_without_an_answer_is_not_used(find: Way, primary: EmbeddedValkey, sentinel: Host) -> None:
    place = Master((sentinel,), SERVICE, False, GUARD)

    def is_given_up() -> bool:
        try:
            return not find(place)
        except NotFound as error:
            return "its master is" in str(error)

    assert not is_given_up()
    primary.pause()
    try:
        eventually(is_given_up)
    finally:
        primary.resume()
    eventually(lambda: not is_given_up())
    assert find(place) == (HOST, primary.port)


@both
def test_who_was_asked_is_left_again(find: Way, sentinel: Host) -> None:
    place = Master((sentinel,), SERVICE, False, {**GUARD, "client_name": "asking"})
    for _ in range(20):
        find(place)
    eventually(lambda: "asking" not in str(says(sentinel.port, "guard", "CLIENT", "LIST")))


def test_another_one_is_asked_after_a_doubt(
    primary: EmbeddedValkey, sentinel: Host, frozen: list[Host]
) -> None:
    place = Master((sentinel, *frozen), SERVICE, False, GUARD)
    place.doubt()
    began = time.monotonic()
    assert place.find() == (HOST, primary.port)
    assert time.monotonic() - began >= 1


@both
def test_the_owner_of_a_slot_is_found_by_any_node(find: Way, cluster: Cluster) -> None:
    at = parse(cluster.url)
    for host in at.hosts:
        place = SlotOwner((*dead(), host), "{main}", False, at.login)
        assert find(place) == (HOST, cluster.node_of("{main}").port)
        assert place.latest == (HOST, cluster.node_of("{main}").port)


@both
def test_learned_nodes_lead_on_when_those_of_the_url_have_left(find: Way, cluster: Cluster) -> None:
    at = parse(cluster.url)
    place = SlotOwner(at.hosts[:1], "{main}", False, at.login)
    found = find(place)
    place.doubt()
    assert find(place) == found
