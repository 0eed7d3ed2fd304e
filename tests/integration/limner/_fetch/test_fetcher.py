"""Fetches from real servers, and what is told of them."""

import tracemalloc

import pytest

from limner._fetch import Fetcher, FetchError, FetchFault, Limits
from limner._fetch.fetcher import USER_AGENT
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._fetch.getting import (
    ENDLESS,
    HOST,
    QUICK,
    error_from,
    fetch,
    fetch_from,
    sends,
)
from tests.integration.limner._fetch.names import Names
from tests.integration.limner._fetch.serving import Secured
from tests.integration.provider.raw import Conversation, RawServer, always, http


def test_a_file_is_fetched_with_what_its_server_says_of_it() -> None:
    with RawServer(always(http(b"picture", headers="Content-Type: Image/PNG; a=b\r\n"))) as server:
        url = f"{server.url}/a.png?token=secret"
        with Fetcher(QUICK, plain_hosts=[HOST]).open(f"{url}#b") as download:
            assert (download.url, download.content_type, download.length) == (url, "image/png", 7)
            assert b"".join(download.pieces()) == b"picture"
            assert list(download.pieces()) == []
            assert "secret" not in repr(download)
        assert server.requests == [
            f"GET /a.png?token=secret HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n"
            f"User-Agent: {USER_AGENT}\r\nAccept: image/*\r\nAccept-Encoding: identity\r\n"
            "Connection: close\r\n\r\n".encode()
        ]


@pytest.mark.parametrize(
    "declared", ["", "Content-Type: image\r\n", "Content-Type: a/b\r\nContent-Type: c/d\r\n"]
)
def test_a_type_that_is_not_one_is_none(declared: str) -> None:
    with (
        RawServer(always(http(b"", headers=declared))) as server,
        Fetcher(QUICK, plain_hosts=[HOST]).open(server.url) as download,
    ):
        assert download.content_type is None


def test_a_file_is_fetched_over_tls(authority: Authority) -> None:
    script = Secured(authority.server(["own.test"]), always(http(b"picture")))
    with RawServer(script) as server:
        url = server.url.replace("http://127.0.0.1", "https://own.test")
        names = Names({"own.test": ["127.0.0.1"]})
        fetcher = Fetcher(QUICK, plain_hosts=["own.test"], resolve=names, tls=authority.client())
        with fetcher.open(url) as download:
            assert b"".join(download.pieces()) == b"picture"
    assert script.hosts == ["own.test"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npict\r\n3;a=b\r\nure\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\npicture",
        b"HTTP/1.0 200 OK\r\n\r\npicture",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + http(b"picture"),
        b"HTTP/1.1 200 OK\nContent-Length: 7\n\npicture",
        http(b"picture", headers="Content-Encoding: identity\r\nSet-Cookie: a=b\r\n")
        + b"HTTP/1.1 500 Again\r\n",
    ],
)
def test_a_body_may_end_in_every_way_of_http(answer: bytes) -> None:
    assert fetch_from(sends(answer)) == b"picture"


@pytest.mark.parametrize(
    "status", ["204 No Content", "206 Partial Content", "304 Not Modified", "403 Forbidden", "503 No"]
)
def test_only_200_is_a_file(status: str) -> None:
    error = error_from(sends(http(b"<html>", status=status)))
    assert (error.fault, error.status) == (FetchFault.STATUS, int(status[:3]))


def test_a_large_file_takes_little_memory() -> None:
    size = 60 * 2**20

    def serve(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(ENDLESS)):
            conversation.send(ENDLESS)

    tracemalloc.start()
    try:
        with (
            RawServer(serve) as server,
            Fetcher(Limits(), plain_hosts=[HOST]).open(server.url) as download,
        ):
            lengths = [len(piece) for piece in download.pieces()]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (sum(lengths), max(lengths) <= 65536) == (size, True)
    assert peak < 2 * 2**20


def test_an_error_names_the_url_without_its_secrets() -> None:
    with RawServer(sends(http(b"", status="403 Forbidden"))) as server:
        with pytest.raises(FetchError) as caught:
            fetch(f"{server.url}/a.png?token=secret#fragment")
        assert str(caught.value) == f"{server.url}/a.png: answered with status 403"


def test_an_error_of_the_caller_passes_and_closes_the_connection() -> None:
    with RawServer(always(http(b"picture"))) as server:
        with (
            pytest.raises(ZeroDivisionError),
            Fetcher(QUICK, plain_hosts=[HOST]).open(server.url) as download,
        ):
            raise ZeroDivisionError
        assert download.length == 7  # a download that is kept keeps no connection
        # The server's thread ends only when the client has closed the connection.
        for thread in server._threads:
            thread.join(5)
            assert not thread.is_alive()


def test_a_file_that_is_not_read_costs_nothing() -> None:
    with (
        RawServer(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n", ENDLESS)) as server,
        Fetcher(QUICK, plain_hosts=[HOST]).open(server.url) as download,
    ):
        assert download.length == 60_000_000
