"""Redirects are followed a few times, each as if its URL had come from the caller."""

import itertools
from collections.abc import Callable

import pytest

from limner._fetch import Fetcher, FetchError, FetchFault, Limits
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._fetch.conftest import Leaving
from tests.integration.limner._fetch.getting import (
    HOST,
    QUICK,
    error_from,
    fetch,
    fetch_from,
    sends,
)
from tests.integration.limner._fetch.names import Names
from tests.integration.limner._fetch.serving import Script, Secured
from tests.integration.provider.raw import Conversation, RawServer, always, http


def test_all_redirects_share_the_time_of_the_fetch() -> None:
    ticks = itertools.count()
    with RawServer(always(http(b"", status="302 Found", headers="Location: /again\r\n"))) as server:
        fetcher = Fetcher(
            Limits(seconds=20, redirects=100), plain_hosts=[HOST], clock=lambda: float(next(ticks))
        )
        with pytest.raises(FetchError) as caught, fetcher.open(server.url):
            pass
    assert caught.value.fault is FetchFault.TOO_SLOW


def redirects(leads: Callable[[str], str | None]) -> Script:
    """A script that redirects from each path to where it leads, and serves the path if it leads nowhere."""

    def script(conversation: Conversation) -> None:
        path = conversation.receive().split()[1].decode()
        place = leads(path)
        if place is None:
            conversation.send(http(path.encode()))
        else:
            conversation.send(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\n\r\n".encode())

    return script


def test_three_redirects_are_followed_each_on_a_connection_of_its_own(leaving: Leaving) -> None:
    leads = {"/": "/1", "/1": "?2", "/1?2": "3"}
    assert fetch_from(redirects(leads.get)) == b"/3"
    assert len(leaving.addresses) == 4


@pytest.mark.parametrize("status", [301, 303, 307, 308])
def test_every_kind_of_redirect_is_followed(status: int) -> None:
    def script(conversation: Conversation) -> None:
        first = b"GET / " in conversation.receive()
        headers = "Location: /a\r\nSet-Cookie: a=b\r\n"
        conversation.send(http(b"", status=f"{status} Moved", headers=headers) if first else http(b"picture"))

    with RawServer(script) as server:
        assert fetch(server.url) == b"picture"
        assert b"ookie" not in server.requests[1]


def test_a_fourth_redirect_is_not_followed(leaving: Leaving) -> None:
    error = error_from(redirects(lambda path: f"{path}a"))
    assert (error.fault, error.status, len(leaving.addresses)) == (FetchFault.STATUS, 302, 4)


def test_a_redirect_leads_to_another_plain_host_and_names_it_in_the_request() -> None:
    with RawServer(always(http(b"picture"))) as other:
        with RawServer(redirects(lambda _: f"{other.url}/a")) as server:
            assert fetch(server.url) == b"picture"
        assert f"Host: {other.url.removeprefix('http://')}\r\n".encode() in other.requests[0]


def test_a_redirect_leads_from_https_to_http_only_at_a_plain_host(authority: Authority) -> None:
    names = Names({"own.test": ["127.0.0.1"], "files.test": ["8.8.8.8"]})
    with RawServer(always(http(b"picture"))) as plain:
        place = plain.url
        script = Secured(authority.server(["own.test"]), redirects(lambda _: place))
        with RawServer(script) as server:
            url = server.url.replace("http://127.0.0.1", "https://own.test")
            hosts = ["own.test", plain.url.removeprefix("http://")]
            fetcher = Fetcher(QUICK, plain_hosts=hosts, resolve=names, tls=authority.client())
            with fetcher.open(url) as download:
                assert b"".join(download.pieces()) == b"picture"
            place = "http://files.test/"
            with pytest.raises(FetchError) as caught, fetcher.open(url):
                pass
    assert caught.value.fault is FetchFault.FORBIDDEN


@pytest.mark.parametrize(
    "location", ["/a\rHost: evil.test", "/a b", "/\x00", "/\x85", "//127.0.0.1:1@evil.test/"]
)
def test_a_redirect_smuggles_nothing_into_the_next_request(location: str, leaving: Leaving) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % location.encode("latin-1")
    error = error_from(sends(answer))
    assert error.fault in (FetchFault.FORBIDDEN, FetchFault.MALFORMED)
    assert len(leaving.addresses) == 1


def test_a_redirect_in_utf_8_is_followed() -> None:
    assert fetch_from(redirects({"/": "/风筝"}.get)) == b"/%E9%A3%8E%E7%AD%9D"
