"""A proxy gets checked addresses, and nothing that it sends is taken for the host's."""

import pytest

from limner._fetch.connection import Guard
from limner._fetch.deadline import Deadline, Limits
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.proxy import Proxy
from limner._fetch.urls import parse
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._fetch.conftest import Leaving
from tests.integration.limner._fetch.names import NAMES, Names
from tests.integration.limner._fetch.serving import Secured, Tunnel
from tests.integration.provider.raw import Conversation, RawServer, always, http

URL = parse("https://both.test/")


def connect(guard: Guard) -> None:
    guard.connect(URL, Deadline(Limits(idle_seconds=2))).close()


@pytest.mark.parametrize(
    "url",
    ["", "localhost:3128", "https://proxy.test:3128", "http://a:b@proxy.test:3128", "http://proxy.test/a"],
)
def test_a_proxy_has_a_plain_url(url: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        Proxy(url)


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch, leaving: Leaving) -> None:
    with RawServer(always(http(b"from the proxy"))) as proxy, RawServer(always(http(b"direct"))) as server:
        server_url = server.url
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        guard = Guard(plain_hosts=["127.0.0.1"])
        guard.connect(parse(server.url), Deadline(Limits())).close()
    assert [f"http://{host}:{port}" for host, port in leaving.addresses] == [server_url]


def test_a_plain_host_is_reached_without_the_proxy(leaving: Leaving) -> None:
    with RawServer(always(http(b""))) as proxy, RawServer(always(http(b""))) as server:
        server_url = server.url
        guard = Guard(plain_hosts=["127.0.0.1"], proxy=proxy.url)
        guard.connect(parse(server.url), Deadline(Limits())).close()
    assert [f"http://{host}:{port}" for host, port in leaving.addresses] == [server_url]


def test_the_next_address_is_tried_if_the_proxy_refuses_one(authority: Authority) -> None:
    origin = Secured(authority.server(["both.test"]), always(http(b"")))
    tunnel = Tunnel(origin, refuses=frozenset({"[2606:4700::1111]:443"}))
    with RawServer(tunnel) as proxy:
        connect(Guard(proxy=proxy.url, resolve=Names(), tls=authority.client()))
        assert tunnel.places == ["[2606:4700::1111]:443", "8.8.8.8:443"]
        assert proxy.requests[-1] == b"CONNECT 8.8.8.8:443 HTTP/1.1\r\nHost: 8.8.8.8:443\r\n\r\n"


def test_a_proxy_that_refuses_all_addresses_makes_the_host_unreachable() -> None:
    tunnel = Tunnel(always(b""), refuses=frozenset({"[2606:4700::1111]:443", "8.8.8.8:443"}))
    with RawServer(tunnel) as proxy, pytest.raises(FetchError, match="status 502") as caught:
        connect(Guard(proxy=proxy.url, resolve=Names()))
    assert caught.value.fault is FetchFault.UNREACHABLE


def test_an_answer_in_clear_text_behind_the_proxy_is_not_believed() -> None:
    def lie(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\n" + http(b"forged"))
        conversation.wait()

    with RawServer(lie) as proxy, pytest.raises(FetchError) as caught:
        connect(Guard(proxy=proxy.url, resolve=Names()))
    assert caught.value.fault is FetchFault.UNREACHABLE


def test_a_proxy_has_a_name_whose_addresses_are_tried_without_a_check(authority: Authority) -> None:
    origin = Secured(authority.server(["both.test"]), always(http(b"")))
    with RawServer(Tunnel(origin)) as proxy:
        # The proxy does not listen on ::1.
        url = proxy.url.replace("127.0.0.1", "proxy.test")
        names = Names({**NAMES, "proxy.test": ["::1", "127.0.0.1"]})
        connect(Guard(proxy=url, resolve=names, tls=authority.client()))
    assert origin.hosts == ["both.test"]


def test_a_proxy_that_is_not_there_is_named_in_the_error() -> None:
    with pytest.raises(FetchError, match="the proxy: its name cannot be resolved") as caught:
        connect(Guard(proxy="http://proxy.test:3128", resolve=Names()))
    assert caught.value.fault is FetchFault.UNREACHABLE
