"""Clients of a URL: its options reach the connections, and a failure names its cause."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from limner._redis import address, async_store_errors, connect, connect_async, store_errors
from limner.errors import ConfigurationError, StoreUnavailable
from sandbox.local.ports import HOST, free_port
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._redis.conftest import Connect
from tests.integration.limner._redis.terminator import terminator


def test_a_connection_has_the_name_of_the_url(client_of: Connect, server: EmbeddedValkey) -> None:
    assert client_of(f"{server.url}?client_name=shop-1")("CLIENT", "GETNAME") == "shop-1"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_connection_speaks_the_protocol_of_the_url(
    client_of: Connect, server: EmbeddedValkey, protocol: int
) -> None:
    ask = client_of(f"{server.url}?protocol={protocol}")
    assert ask("SET", "key", "1")
    assert ask("GET", "key") == "1"
    assert f"resp={protocol}" in str(ask("CLIENT", "INFO"))


def test_a_database_of_the_url_is_selected(client_of: Connect, server: EmbeddedValkey) -> None:
    assert "db=3" in str(client_of(f"{server.url.removesuffix('/0')}?db=3")("CLIENT", "INFO"))


def blocking_socket(url: str) -> tuple[int, ...]:
    with connect(url) as client, client.pubsub() as listener:
        listener.subscribe("news")
        return kept_alive(listener.connection._sock)


def socket_of_a_loop(url: str) -> tuple[int, ...]:
    async def examined() -> tuple[int, ...]:
        async with connect_async(url) as client:
            listener: Any = client.pubsub()
            await listener.subscribe("news")
            end = listener.connection._writer.get_extra_info("socket")
            try:
                return kept_alive(end)
            finally:
                await listener.aclose()

    return asyncio.run(examined())


def kept_alive(end: socket.socket) -> tuple[int, ...]:
    tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    on = end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return (on, *(end.getsockopt(socket.IPPROTO_TCP, option) for option in tcp))


@pytest.mark.parametrize("examine", [blocking_socket, socket_of_a_loop])
def test_an_idle_connection_is_kept_alive_unless_the_url_forbids_it(
    examine: Any, server: EmbeddedValkey
) -> None:
    assert examine(server.url) == (1, 15, 5, 3)
    assert examine(f"{server.url}?socket_keepalive=off")[0] == 0


def test_a_pool_that_is_in_use_is_told(server: EmbeddedValkey) -> None:
    with connect(f"{server.url}?max_connections=1", timeout=0.1) as client, client.pubsub() as listener:
        listener.subscribe("news")
        with pytest.raises(StoreUnavailable, match="all connections of this client"), store_errors(client):
            client.ping()
    assert client.connection_pool.max_connections == 1


def test_a_pool_of_a_loop_that_is_in_use_is_told(server: EmbeddedValkey) -> None:
    async def ask() -> None:
        async with connect_async(f"{server.url}?max_connections=1", timeout=0.1) as client:
            listener: Any = client.pubsub()
            await listener.subscribe("news")
            try:
                with async_store_errors(client):
                    await client.ping()
            finally:
                await listener.aclose()

    with pytest.raises(StoreUnavailable, match="all connections of this client"):
        asyncio.run(ask())


def test_calls_beyond_the_connections_wait_for_one(server: EmbeddedValkey) -> None:
    with connect(f"{server.url}?max_connections=2&client_name=few") as client:
        seen: list[int] = []

        def ask() -> None:
            client.blpop(["nothing"], timeout=0.05)
            seen.append(str(client.client_list()).count("few"))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert max(seen) <= 2


def test_an_option_of_another_kind_is_refused_by_name(server: EmbeddedValkey) -> None:
    with pytest.raises(ConfigurationError, match=r"LIMNER_REDIS_URL: .* its option ssl_cert_reqs has"):
        connect(f"{server.url}?ssl_cert_reqs=none")


# Causes


def test_a_wrong_password_is_told_at_once(client_of: Connect, server: EmbeddedValkey) -> None:
    ask = client_of(f"redis://:wrong@{HOST}:{server.port}/0")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="refused the credentials") as refused:
        ask("PING")
    assert time.monotonic() - began < 1
    assert "wrong@" not in str(refused.value)


def test_an_unknown_name_is_told(client_of: Connect) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere\.invalid:6379 .*its name cannot be resolved"):
        client_of("redis://nowhere.invalid", timeout=0.2)("PING")


def test_a_closed_port_is_told(client_of: Connect) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot be reached \("):
        client_of(f"redis://{HOST}:{free_port()}", timeout=0.2)("PING")


def test_a_database_that_is_not_there_is_told_at_once(client_of: Connect, server: EmbeddedValkey) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"refuses to serve: .*DB index is out of range"):
        client_of(f"{server.url.removesuffix('/0')}/999")("PING")
    assert time.monotonic() - began < 1


def test_a_full_server_is_told(client_of: Connect) -> None:
    with EmbeddedValkey(configuration=["maxmemory 1"]) as full:
        ask = client_of(full.url, timeout=0.2)
        with pytest.raises(StoreUnavailable, match=r"refuses to serve: .*used memory > 'maxmemory'"):
            ask("SET", "key", "1")
        with pytest.raises(StoreUnavailable, match=r"refuses to serve: .*used memory > 'maxmemory'"):
            ask("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "key")


def test_a_server_with_too_many_clients_is_told_or_cannot_be_reached(client_of: Connect) -> None:
    with EmbeddedValkey(configuration=["maxclients 2"]) as crowded, ExitStack() as stack:
        others = [stack.enter_context(socket.create_connection((HOST, crowded.port))) for _ in range(2)]
        # The server may close the connection before the client has sent its password.
        words = "has too many clients|cannot be reached"
        with pytest.raises(StoreUnavailable, match=words):
            client_of(crowded.url, timeout=0.3)("PING")
        others[0].close()
        eventually(lambda: client_of(crowded.url)("PING"))


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def trusted(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    certificate = authority.client().get_ca_certs(binary_form=True)[0]
    path.write_text(ssl.DER_cert_to_PEM_cert(certificate))
    return path


@pytest.fixture
def tls(authority: Authority, server: EmbeddedValkey) -> Iterator[str]:
    with terminator(authority.server([HOST]), server.port) as port:
        yield f"rediss://:{server.password}@{HOST}:{port}/0"


def test_a_trusted_certificate_is_accepted(tls: str, client_of: Connect, trusted: Path) -> None:
    assert client_of(f"{tls}?ssl_ca_certs={trusted}")("PING")


def test_an_untrusted_certificate_is_told_at_once(tls: str, client_of: Connect) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"certificate that is not trusted: .*verify failed"):
        client_of(tls)("PING")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("word", ["CERT_NONE", "none"])
def test_a_certificate_is_not_looked_at_when_the_url_says_so(tls: str, client_of: Connect, word: str) -> None:
    assert client_of(f"{tls}?ssl_cert_reqs={word}")("PING")


def test_a_certificate_for_another_name_is_told_unless_names_do_not_matter(
    client_of: Connect, authority: Authority, server: EmbeddedValkey, trusted: Path
) -> None:
    with terminator(authority.server(["elsewhere.example"]), server.port) as port:
        url = f"rediss://:{server.password}@{HOST}:{port}/0?ssl_ca_certs={trusted}"
        with pytest.raises(StoreUnavailable, match=r"certificate that is not trusted: .*mismatch"):
            client_of(url)("PING")
        assert client_of(f"{url}&ssl_check_hostname=false")("PING")


def test_a_client_shows_where_its_server_is_and_no_secret(server: EmbeddedValkey) -> None:
    client: redis.Redis
    with connect(server.url) as client:
        assert address(client) == f"{HOST}:{server.port}"
