"""An answer that is cut off, slow, endless or malformed ends in an error, in time."""

import gzip

import pytest

from limner._fetch import Fetcher, FetchError, FetchFault, Limits
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._fetch.getting import (
    ENDLESS,
    HOST,
    QUICK,
    drips,
    error_from,
    sends,
)
from tests.integration.limner._fetch.serving import Secured
from tests.integration.provider.raw import Conversation, RawServer, http


@pytest.mark.parametrize(
    "framing",
    [b"", b"Content-Length: 20\r\n", b"Transfer-Encoding: chunked\r\n"],
    ids=["none", "length", "chunks"],
)
def test_a_connection_over_tls_that_ends_without_saying_so_is_cut_off(
    authority: Authority, framing: bytes
) -> None:
    # The script closes the connection, but not TLS, as anybody between the two could.
    cut = sends(b"HTTP/1.1 200 OK\r\n%s\r\na\r\nhalf a pic" % framing)
    with RawServer(Secured(authority.server([HOST]), cut)) as server:
        fetcher = Fetcher(QUICK, plain_hosts=[HOST], tls=authority.client())
        with (
            pytest.raises(FetchError) as caught,
            fetcher.open(server.url.replace("http", "https")) as download,
        ):
            list(download.pieces())
    assert caught.value.fault is FetchFault.CUT_OFF


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npicture",
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\npicture\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\npicture",
    ],
)
def test_an_answer_that_ends_early_is_cut_off(answer: bytes) -> None:
    assert error_from(sends(answer)).fault is FetchFault.CUT_OFF


def test_a_connection_that_is_reset_is_cut_off() -> None:
    def reset(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        conversation.reset()

    assert error_from(reset).fault is FetchFault.CUT_OFF


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>an answer of HTTP/0.9</html>\n",
        b"\x16\x03\x01\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\npicture",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\npicture",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_an_answer_that_contradicts_itself_is_malformed(answer: bytes) -> None:
    assert error_from(sends(answer)).fault is FetchFault.MALFORMED


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 20),
        (b"HTTP/1.1 200 OK\r\nA: ", ENDLESS),
        (b"HTTP/1.1 200 ", ENDLESS),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", ENDLESS),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 10_000),
    ],
)
def test_a_flood_is_malformed_before_time_is_up(head: bytes, drop: bytes) -> None:
    assert error_from(drips(head, drop), Limits(seconds=20)).fault is FetchFault.MALFORMED


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"A"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
    ],
)
def test_a_drip_ends_with_the_time_of_the_whole_fetch(head: bytes, drop: bytes) -> None:
    error = error_from(drips(head, drop), Limits(seconds=0.3))
    assert error.fault is FetchFault.TOO_SLOW
    assert "not complete within 0.3 s" in str(error)


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npict", http(b"")[:-2]]
)
def test_silence_ends_with_the_time_between_bytes(head: bytes) -> None:
    def fall_silent(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(head)
        conversation.wait()

    error = error_from(fall_silent, Limits(idle_seconds=0.1))
    assert error.fault is FetchFault.TOO_SLOW
    assert "waited 0.1 s for the answer" in str(error)


@pytest.mark.parametrize("encoding", ["gzip", "br", "x-made-up", "identity, gzip"])
def test_an_encoded_body_is_not_read(encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    error = error_from(sends(http(bomb, headers=f"Content-Encoding: {encoding}\r\n")))
    assert error.fault is FetchFault.ENCODED


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nC800000\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_file_of_200_mb_is_not_read(head: bytes) -> None:
    sent = list[int]()

    def flood(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(head)
        for _ in range(200 * 16):
            conversation.send(ENDLESS)
            sent.append(len(ENDLESS))

    assert error_from(flood, Limits(max_bytes=2**20)).fault is FetchFault.TOO_LARGE
    # The rest is what buffers of the two sockets hold.
    assert sum(sent) < 50 * 2**20
