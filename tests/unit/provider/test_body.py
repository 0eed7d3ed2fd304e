import gzip
import zlib
from collections.abc import Iterator

import httpcore
import pytest

from provider import Why
from provider.body import UnusableBody, decode, decode_part, read_body

BODY = b'{"code":200}'


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY, mtime=0), " GZIP "),
        (gzip.compress(BODY, mtime=0), "x-gzip"),
        (zlib.compress(BODY), "deflate"),
    ],
)
def test_a_body_is_decoded(raw: bytes, encoding: str) -> None:
    assert decode(raw, encoding, 100) == BODY


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (BODY, "br"),
        (BODY, "gzip"),
        (gzip.compress(BODY, mtime=0)[:-9], "gzip"),
        (b"", "gzip"),
        (BODY, "gzip, gzip"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_unusable(raw: bytes, encoding: str) -> None:
    with pytest.raises(UnusableBody) as caught:
        decode(raw, encoding, 100)
    assert caught.value.why is Why.BAD_ENCODING


def test_a_body_has_a_size_limit_after_decompression() -> None:
    assert len(decode(gzip.compress(b" " * 1000, mtime=0), "gzip", 1000)) == 1000
    with pytest.raises(UnusableBody) as caught:
        decode(gzip.compress(b" " * 1001, mtime=0), "gzip", 1000)
    assert caught.value.why is Why.TOO_LONG


def test_the_chunks_of_a_body_are_joined_and_decoded() -> None:
    packed = gzip.compress(BODY, mtime=0)
    assert read_body(httpcore.Response(200, content=[packed[:7], packed[7:]]), "gzip", 100, []) == BODY


def test_a_body_has_a_size_limit_before_decompression() -> None:
    read = []

    def chunks() -> Iterator[bytes]:
        for number in range(10):
            read.append(number)
            yield b"x" * 400

    received: list[bytes] = []
    with pytest.raises(UnusableBody) as caught:
        read_body(httpcore.Response(200, content=chunks()), "gzip", 1000, received)
    assert caught.value.why is Why.TOO_LONG
    assert read == [0, 1, 2]
    assert received == [b"x" * 400] * 3


def test_what_came_of_a_broken_body_is_there() -> None:
    def chunks() -> Iterator[bytes]:
        yield BODY
        raise httpcore.ReadError

    received: list[bytes] = []
    with pytest.raises(httpcore.ReadError):
        read_body(httpcore.Response(200, content=chunks()), "", 1000, received)
    assert received == [BODY]


@pytest.mark.parametrize(
    ("raw", "encoding", "part"),
    [
        (BODY * 100, "", BODY),
        (gzip.compress(BODY * 100, mtime=0), "gzip", BODY),
        (zlib.compress(BODY)[:-4], "deflate", BODY),
        (b"\xff\xff", "gzip", b""),
        (BODY, "br", b""),
        (b"", "gzip", b""),
    ],
)
def test_a_part_of_a_body_is_decoded_as_far_as_it_goes(raw: bytes, encoding: str, part: bytes) -> None:
    assert decode_part(raw, encoding, len(BODY)) == part
