"""A cluster of three real nodes, and a client in the middle of a slot's move."""

from collections.abc import Iterator

import pytest
import redis

from sandbox.local.cluster import Cluster
from sandbox.local.valkey import EmbeddedValkey

KEYS = [f"{{tag}}:{number}" for number in range(25)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[redis.RedisCluster]:
    """A client of the whole cluster, and all keys written."""
    with redis.RedisCluster(
        host="127.0.0.1", port=cluster.nodes[0].port, password=cluster.password
    ) as client:
        for number, key in enumerate(KEYS):
            client.set(key, number)
        yield client


def asked_for(cluster: Cluster, node: EmbeddedValkey, key: str) -> int | None:
    """The port at which the node says to ASK for the key; None if the node itself has it."""
    try:
        cluster.ask(node, "GET", key)
    except redis.exceptions.AskError as error:
        return int(error.port)
    return None


def values(client: redis.RedisCluster) -> list[int]:
    return [int(client.get(key) or -1) for key in KEYS]


def test_the_nodes_share_all_slots(cluster: Cluster, client: redis.RedisCluster) -> None:
    owners = {cluster.node_of(f"key {number}").port for number in range(50)}
    assert owners == {node.port for node in cluster.nodes}
    assert values(client) == list(range(25))
    assert all(f"127.0.0.1:{node.port}" in cluster.url for node in cluster.nodes)
    stranger = next(node for node in cluster.nodes if node is not cluster.node_of(KEYS[0]))
    with pytest.raises(redis.exceptions.MovedError):
        cluster.ask(stranger, "GET", KEYS[0])


def test_a_move_by_steps_answers_ask_and_then_moved(cluster: Cluster, client: redis.RedisCluster) -> None:
    source = cluster.node_of(KEYS[0])
    move = cluster.slot_move(KEYS[0])
    move.start()
    assert move.move(10) == 10
    asked = [port for key in KEYS if (port := asked_for(cluster, source, key)) is not None]
    assert asked == [move.target.port] * 10
    assert values(client) == list(range(25))
    assert [move.move(10), move.move(10), move.move(10)] == [10, 5, 0]
    move.finish()
    assert cluster.node_of(KEYS[0]) is move.target
    with pytest.raises(redis.exceptions.MovedError):
        cluster.ask(source, "GET", KEYS[0])
    assert values(client) == list(range(25))


def test_a_move_at_once_leaves_all_keys_readable(cluster: Cluster, client: redis.RedisCluster) -> None:
    source = cluster.node_of(KEYS[0])
    cluster.move_slot(KEYS[0])
    assert cluster.node_of(KEYS[0]) is not source
    assert values(client) == list(range(25))
    cluster.move_slot(KEYS[0], target=source)
    assert cluster.node_of(KEYS[0]) is source
    assert values(client) == list(range(25))


def test_an_atomic_move_never_answers_ask(cluster: Cluster, client: redis.RedisCluster) -> None:
    source = cluster.node_of(KEYS[0])
    cluster.move_slot_atomically(KEYS[0])
    assert cluster.node_of(KEYS[0]) is not source
    assert values(client) == list(range(25))
