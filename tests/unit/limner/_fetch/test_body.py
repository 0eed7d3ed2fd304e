"""A body is whole, or it is an error; and no more of it is read than is allowed."""

from io import BufferedReader, BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner._fetch.body import PIECE, Framing, framing, read_body
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.head import Head

CHUNKED = Framing(None, chunked=True)
UNTIL_CLOSE = Framing(None, chunked=False)


def reader(data: bytes) -> BufferedReader:
    return BufferedReader(BytesIO(data))


def body(data: bytes, frame: Framing, most: int = 10**6) -> bytes:
    return b"".join(read_body(reader(data), frame, most))


def fault(data: bytes, frame: Framing, most: int = 10**6) -> FetchFault:
    with pytest.raises(FetchError) as caught:
        body(data, frame, most)
    return caught.value.fault


def head(minor_version: int = 1, **headers: tuple[str, ...]) -> Head:
    return Head(200, {name.replace("_", "-"): values for name, values in headers.items()}, minor_version)


@pytest.mark.parametrize(
    ("given_head", "frame"),
    [
        (head(), UNTIL_CLOSE),
        (head(content_length=("12",)), Framing(12, chunked=False)),
        (head(content_length=("12", "12")), Framing(12, chunked=False)),
        (head(transfer_encoding=("Chunked",)), CHUNKED),
        (head(content_encoding=("Identity", "")), UNTIL_CLOSE),
    ],
)
def test_headers_say_where_the_body_ends(given_head: Head, frame: Framing) -> None:
    assert framing(given_head) == frame


@pytest.mark.parametrize(
    ("given_head", "expected"),
    [
        (head(content_encoding=("gzip",)), FetchFault.ENCODED),
        (head(content_encoding=("identity, br",)), FetchFault.ENCODED),
        (head(content_encoding=("identity", "deflate")), FetchFault.ENCODED),
        (head(transfer_encoding=("gzip, chunked",)), FetchFault.ENCODED),
        (head(transfer_encoding=("chunked, chunked",)), FetchFault.ENCODED),
        (head(transfer_encoding=("xchunked",)), FetchFault.ENCODED),
        (head(transfer_encoding=("chunked",), content_length=("5",)), FetchFault.MALFORMED),
        (head(0, transfer_encoding=("chunked",)), FetchFault.MALFORMED),
        (head(content_length=("5", "6")), FetchFault.MALFORMED),
        (head(content_length=("5, 5",)), FetchFault.MALFORMED),
        (head(content_length=("-1",)), FetchFault.MALFORMED),
        (head(content_length=("+5",)), FetchFault.MALFORMED),
        (head(content_length=("1_0",)), FetchFault.MALFORMED),
        (head(content_length=("٣",)), FetchFault.MALFORMED),
        (head(content_length=("",)), FetchFault.MALFORMED),
        (head(content_length=("9" * 19,)), FetchFault.MALFORMED),
    ],
)
def test_headers_that_disagree_or_encode_are_refused(given_head: Head, expected: FetchFault) -> None:
    with pytest.raises(FetchError) as caught:
        framing(given_head)
    assert caught.value.fault is expected


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_chunks_make_the_body(chunks: list[bytes]) -> None:
    data = b"".join(b"%x;a=b\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    assert body(data + b"0\r\nTrailer: a\r\n\r\n", CHUNKED) == b"".join(chunks)


@pytest.mark.parametrize("frame", [Framing(300_000, chunked=False), CHUNKED, UNTIL_CLOSE])
def test_pieces_are_small(frame: Framing) -> None:
    sent = b"a" * 300_000
    data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), sent) if frame.chunked else sent
    pieces = list(read_body(reader(data), frame, 10**6))
    assert b"".join(pieces) == sent
    assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b"", Framing(1, chunked=False)),
        (b"abc", Framing(4, chunked=False)),
        (b"", CHUNKED),
        (b"5", CHUNKED),
        (b"5\r", CHUNKED),
        (b"5\r\nabc", CHUNKED),
        (b"5\r\nabcde", CHUNKED),
        (b"5\r\nabcde\r", CHUNKED),
        (b"5\r\nabcde\r\n", CHUNKED),
    ],
)
def test_a_body_that_ends_early_is_cut_off(data: bytes, frame: Framing) -> None:
    assert fault(data, frame) is FetchFault.CUT_OFF


@pytest.mark.parametrize(
    "data",
    [
        b"-1\r\nabc",
        b"0x5\r\nabcde\r\n",
        b"+5\r\nabcde\r\n",
        b"1_0\r\nabcde\r\n",
        b"\r\nabc",
        b"5\nabcde\r\n0\r\n\r\n",
        b"5 a\r\nabcde\r\n",
        b"5\r\nabcdefg0\r\n\r\n",
        b"f" * 16 + b"\r\n",
        b"5;" + b"a" * 5000 + b"\r\nabcde\r\n",
    ],
)
def test_a_chunk_size_is_a_plain_number(data: bytes) -> None:
    assert fault(data, CHUNKED) is FetchFault.MALFORMED


def test_a_flood_of_tiny_chunks_is_refused() -> None:
    assert fault(b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n", CHUNKED) is FetchFault.MALFORMED


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b"", Framing(101, chunked=False)),
        (b"65\r\n", CHUNKED),
        (b"64\r\n" + b"a" * 100 + b"\r\n1\r\n", CHUNKED),
        (b"a" * 101, UNTIL_CLOSE),
    ],
)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(data: bytes, frame: Framing) -> None:
    assert fault(data, frame, most=100) is FetchFault.TOO_LARGE


@pytest.mark.parametrize("frame", [Framing(100, chunked=False), UNTIL_CLOSE])
def test_a_body_may_have_as_many_bytes_as_are_allowed(frame: Framing) -> None:
    assert body(b"a" * 100, frame, most=100) == b"a" * 100


def test_nothing_after_the_declared_length_is_read() -> None:
    assert body(b"abcdef", Framing(3, chunked=False)) == b"abc"
