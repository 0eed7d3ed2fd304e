"""The head of an answer is read strictly, and never without end."""

from io import BytesIO

import pytest

from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.head import LONGEST_HEAD, read_head


def fault(data: bytes) -> FetchFault:
    with pytest.raises(FetchError) as caught:
        read_head(BytesIO(data))
    return caught.value.fault


def test_a_head_is_read_up_to_the_body() -> None:
    reader = BytesIO(b"HTTP/1.1 200 OK\r\nContent-Type:  image/png \r\nX: a\r\nx: b, C\r\n\r\nbody")
    head = read_head(reader)
    assert head.status == 200
    assert head.headers == {"content-type": ("image/png",), "x": ("a", "b, C")}
    assert head.values("x") == ["a", "b", "c"]
    assert reader.read() == b"body"


@pytest.mark.parametrize("line", [b"HTTP/1.1 404\r\n", b"HTTP/1.0 404 Not Found\n", b"HTTP/1.1 404 \xff\r\n"])
def test_a_status_line_needs_no_reason(line: bytes) -> None:
    assert read_head(BytesIO(line + b"\r\n")).status == 404


def test_interim_answers_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    head = read_head(BytesIO(interim + b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"))
    assert (head.status, head.headers) == (200, {"a": ("b",)})


@pytest.mark.parametrize(
    "data",
    [
        b"<html>hello</html>\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 0200 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 6 + b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * LONGEST_HEAD,
        b"HTTP/1.1 200 " + b"b" * LONGEST_HEAD,
    ],
)
def test_anything_else_is_malformed(data: bytes) -> None:
    assert fault(data) is FetchFault.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nA: b",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_head_that_ends_early_is_cut_off(data: bytes) -> None:
    assert fault(data) is FetchFault.CUT_OFF


def test_a_bomb_of_headers_is_read_up_to_the_bound() -> None:
    reader = BytesIO(b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 10 * LONGEST_HEAD)
    with pytest.raises(FetchError):
        read_head(reader)
    assert reader.tell() == LONGEST_HEAD
