"""The faults of the network, met by a client of a real server behind the proxy."""

import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.local.flows import TIMER_SECONDS
from sandbox.local.network import Proxy
from sandbox.local.ports import HOST
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as valkey:
        yield valkey


@pytest.fixture
def proxy(server: EmbeddedValkey) -> Iterator[Proxy]:
    with Proxy(HOST, server.port) as proxy:
        yield proxy


def client_of(proxy: Proxy, server: EmbeddedValkey, timeout: float = 0.2) -> redis.Redis:
    """A client that repeats nothing, with one open connection."""
    client = redis.Redis(
        port=proxy.port,
        password=server.password,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
    assert client.ping()
    return client


def test_many_connections_carry_what_is_sent(proxy: Proxy, server: EmbeddedValkey) -> None:
    clients = [client_of(proxy, server, timeout=5) for _ in range(50)]
    long = b"x" * 3_000_000
    for number, client in enumerate(clients):
        client.set(f"key {number}", number)
    clients[0].set("long", long)
    assert clients[1].get("long") == long
    assert [int(client.get(f"key {number}") or -1) for number, client in enumerate(clients)] == list(
        range(50)
    )
    assert (proxy.connections, proxy.accepted) == (50, 50)
    for client in clients:
        client.close()
    eventually(lambda: proxy.connections == 0)
    assert proxy.accepted == 50


def test_a_new_target_serves_new_connections_only(proxy: Proxy, server: EmbeddedValkey) -> None:
    with EmbeddedValkey(password=server.password) as other:
        before = client_of(proxy, server)
        proxy.retarget(HOST, other.port)
        after = client_of(proxy, server)
        assert before.config_get("port") == {"port": str(server.port)}
        assert after.config_get("port") == {"port": str(other.port)}


def test_a_cut_closes_what_is_open_and_serves_what_comes(proxy: Proxy, server: EmbeddedValkey) -> None:
    client = client_of(proxy, server)
    proxy.cut()
    assert proxy.connections == 0
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert client_of(proxy, server).ping()


def test_a_server_that_is_away_closes_connections_on_both_sides(server: EmbeddedValkey) -> None:
    with EmbeddedValkey() as other, Proxy(HOST, other.port) as proxy:
        client = client_of(proxy, other)
        other.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        with pytest.raises(redis.ConnectionError):
            client_of(proxy, other)
        eventually(lambda: proxy.connections == 0)


def test_a_frozen_network_loses_nothing(proxy: Proxy, server: EmbeddedValkey) -> None:
    client = client_of(proxy, server, timeout=0.1)
    client.delete("list")
    proxy.freeze()
    with pytest.raises(redis.TimeoutError):
        client.rpush("list", 1)
    with pytest.raises(redis.TimeoutError):
        client_of(proxy, server, timeout=0.1)  # it is accepted
    proxy.thaw()
    late = client_of(proxy, server)
    eventually(lambda: late.llen("list") == 1)


def test_forgotten_connections_are_black_holes_for_ever(proxy: Proxy, server: EmbeddedValkey) -> None:
    client = client_of(proxy, server)
    proxy.forget()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    assert proxy.connections == 0
    new = client_of(proxy, server)
    assert new.ping()
    assert proxy.connections == 1


def test_only_idle_connections_are_forgotten(proxy: Proxy, server: EmbeddedValkey) -> None:
    idle, busy = client_of(proxy, server), client_of(proxy, server)
    proxy.forget_idle(0.3)
    until = time.monotonic() + 0.4
    eventually(lambda: busy.ping() and time.monotonic() > until)
    assert proxy.connections == 1
    with pytest.raises(redis.TimeoutError):
        idle.ping()
    proxy.forget_idle(None)
    assert busy.ping()


def test_a_slow_network_delays_each_way_and_keeps_the_order(proxy: Proxy, server: EmbeddedValkey) -> None:
    client = client_of(proxy, server, timeout=5)
    with client.pipeline(transaction=False) as pipeline:
        pipeline.ping()
        pipeline.execute()  # it opens its connection
        proxy.slow(0.1)
        began = time.monotonic()
        for number in range(200):
            pipeline.echo(str(number))
        assert pipeline.execute() == [str(number).encode() for number in range(200)]
        assert 2 * (0.1 - TIMER_SECONDS) <= time.monotonic() - began < 1.0
    proxy.slow(0)
    began = time.monotonic()
    client.ping()
    assert time.monotonic() - began < 0.1


def test_a_flapping_network_comes_and_goes_until_it_is_steady(proxy: Proxy, server: EmbeddedValkey) -> None:
    def serves() -> bool:
        try:
            return bool(client_of(proxy, server).ping())
        except redis.ConnectionError:
            return False

    proxy.flap(0.2, 0.2)
    for wanted in (False, True, False):
        eventually(lambda: serves() is wanted)  # noqa: B023
    proxy.steady()
    until = time.monotonic() + 0.5
    eventually(lambda: not serves() or time.monotonic() > until)
    assert serves()


def test_a_network_that_is_down_refuses_until_it_is_up(proxy: Proxy, server: EmbeddedValkey) -> None:
    client = client_of(proxy, server)
    proxy.down()
    for call in (client.ping, lambda: client_of(proxy, server)):
        with pytest.raises(redis.ConnectionError):
            call()
    proxy.up()
    assert client_of(proxy, server).ping()
