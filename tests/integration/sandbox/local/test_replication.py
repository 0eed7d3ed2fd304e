"""Failovers of real servers: by themselves behind a service address, and by sentinels."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from sandbox.local.commands import says
from sandbox.local.replication import Replicated
from sandbox.local.sentinel import SERVICE


@pytest.fixture
def pair() -> Iterator[Replicated]:
    with Replicated(replicas=1) as servers:
        yield servers


@pytest.fixture(scope="module")
def watched() -> Iterator[Replicated]:
    with Replicated(replicas=1, sentinels=3, sentinel_password="guard") as servers:
        yield servers


def client_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=0.5, retry=None, single_connection_client=True)


def named_by(sentinel: int) -> int:
    """The port of the primary, as the sentinel at a port says."""
    return int(says(sentinel, "guard", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])


def test_a_write_reaches_every_replica() -> None:
    with Replicated(replicas=2, appendonly=False) as servers, client_of(servers.url) as client:
        client.set("key", 1)
        assert client.wait(2, 5000) == 2
        servers.stop_replicas()
        assert client.wait(1, 100) == 0
        servers.rejoin()
        client.set("key", 2)
        assert client.wait(2, 5000) == 2
        servers.fail_over()
        with client_of(servers.service_url) as promoted:
            promoted.set("key", 3)
            assert promoted.wait(2, 5000) == 2


def test_a_planned_failover_loses_nothing_and_leaves_connections_at_a_replica(pair: Replicated) -> None:
    old, address = pair.primary, pair.service_url
    with client_of(address) as before:
        before.set("key", 1)
        pair.fail_over()
        assert pair.primary is not old
        assert old.running
        assert pair.service_url == address
        with pytest.raises(redis.exceptions.ReadOnlyError):
            before.set("key", 2)
    with client_of(address) as after:
        assert after.get("key") == b"1"
        assert after.set("key", 2)
        assert after.wait(1, 5000) == 1


def test_a_killed_primary_is_replaced_and_rejoins(pair: Replicated) -> None:
    old = pair.primary
    with client_of(pair.service_url) as before:
        before.set("key", 1)
        assert before.wait(1, 5000) == 1
        pair.kill_primary()
        with pytest.raises(redis.ConnectionError):
            before.get("key")
    with client_of(pair.service_url) as after:
        assert after.get("key") == b"1"
        pair.rejoin()
        assert old in pair.others
        after.set("key", 2)
        assert after.wait(1, 5000) == 1


def test_a_primary_that_freezes_is_replaced_when_told(pair: Replicated) -> None:
    old = pair.primary
    with client_of(pair.service_url) as before:
        before.ping()
        pair.freeze_primary()
        with pytest.raises(redis.TimeoutError):
            before.ping()
        pair.promote()
        with client_of(pair.service_url) as after:
            assert after.set("key", 1)
        pair.thaw_primary()
        # Nobody has told it yet: it takes writes that will be lost.
        with client_of(old.url) as stranger:
            assert stranger.set("key", 2)
        pair.rejoin()
        with client_of(old.url) as stranger:
            assert stranger.get("key") == b"1"


def test_sentinels_promote_the_replica_of_a_killed_primary(watched: Replicated) -> None:
    parts = urlsplit(watched.sentinel_url)
    assert (parts.scheme, parts.path, parts.query) == (
        "redis+sentinel",
        f"/{SERVICE}/0",
        "sentinel_password=guard",
    )
    ports = [int(host.rpartition(":")[2]) for host in parts.netloc.rpartition("@")[2].split(",")]
    old = watched.primary
    assert {named_by(port) for port in ports} == {old.port}
    watched.kill_primary()
    watched.wait_until_promoted()
    assert watched.primary is not old
    assert {named_by(port) for port in ports} == {watched.primary.port}
    with client_of(watched.service_url) as client:
        assert client.set("key", 1)
