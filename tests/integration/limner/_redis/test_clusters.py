"""A Redis Cluster of three, whose slot of the ledger moves under load."""

from collections.abc import Iterator
from typing import Any

import pytest

from limner._redis import connect
from sandbox.local.cluster import Cluster
from sandbox.local.commands import says
from tests.integration.limner._redis.conftest import Connect
from tests.integration.limner._redis.loads import Load, gone_on, loads

PREFIX = "shop:{main}:"
RECORD = """
    redis.call('SADD', KEYS[1] .. 'first', ARGV[1])
    redis.call('SADD', KEYS[1] .. 'second', ARGV[1])
    return redis.call('HINCRBY', KEYS[1] .. 'times', ARGV[1], 1)
"""
"""A script like the ledger's: it declares the prefix, which is no key, and uses keys behind it."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=3) as nodes:
        yield nodes


def record(client: Any, number: int) -> Any:
    return client.eval(RECORD, 1, PREFIX, number)


def check(cluster: Cluster, both: list[Load]) -> None:
    """Every acknowledged script has run as a whole."""
    with connect(cluster.url) as client:
        first, second = (client.smembers(f"{PREFIX}{name}") for name in ("first", "second"))
        times: Any = client.hkeys(f"{PREFIX}times")
    assert first == second == set(times)
    for load in both:
        assert load.errors == []
        assert {str(number) for number in load.numbers()} <= set(times)


def empty(cluster: Cluster) -> None:
    with connect(cluster.url) as client:
        client.delete(*(f"{PREFIX}{name}" for name in ("first", "second", "times")))


def test_any_node_leads_to_the_owner(client_of: Connect, cluster: Cluster) -> None:
    for node in cluster.nodes:
        ask = client_of(f"redis+cluster://:{cluster.password}@127.0.0.1:{node.port}")
        assert ask("SET", f"{PREFIX}key", node.port)
        assert ask("GET", f"{PREFIX}key") == str(node.port)
    owner = cluster.node_of(PREFIX)
    assert says(owner.port, cluster.password, "EXISTS", f"{PREFIX}key") == 1


def test_a_moved_slot_is_followed(client_of: Connect, cluster: Cluster) -> None:
    ask = client_of(cluster.url)
    ask("SET", f"{PREFIX}key", "1")
    before = cluster.node_of(PREFIX)
    cluster.move_slot(PREFIX)
    assert cluster.node_of(PREFIX) is not before
    assert ask("GET", f"{PREFIX}key") == "1"


def test_scripts_wait_until_a_slot_has_moved_and_none_runs_half(cluster: Cluster) -> None:
    empty(cluster)
    with loads(cluster.url, record) as both:
        for _ in range(2):
            move = cluster.slot_move(PREFIX)
            move.start()
            # One key a step, so that the keys of a script are at two nodes for a while.
            with connect(cluster.url) as client:
                assert client.type(f"{PREFIX}first") == "set"
            before = [len(load.acknowledged) for load in both]
            while move.move(1):
                pass
            # At most the call that was under way has been answered since.
            assert all(len(load.acknowledged) <= count + 1 for load, count in zip(both, before, strict=True))
            move.finish()
            gone_on(both)
    check(cluster, both)


def test_a_slot_that_moves_at_once_is_not_noticed(cluster: Cluster) -> None:
    empty(cluster)
    with loads(cluster.url, record) as both:
        cluster.move_slot_atomically(PREFIX)
        gone_on(both)
    check(cluster, both)
