"""Reading an answer's body within a size limit, before and after decompression."""

import zlib
from contextlib import suppress
from typing import Final

import httpcore

from provider.answers import Why

_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS


class UnusableBody(Exception):
    """The body cannot be used; ``why`` is the reason."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


def read_body(response: httpcore.Response, encoding: str, limit: int, received: list[bytes]) -> bytes:
    """The body of an answer, decoded. Raises :class:`UnusableBody` beyond ``limit`` bytes.

    Whatever comes is added to ``received`` at once, so that the caller has it if the body breaks off.
    """
    size = 0
    for chunk in response.iter_stream():
        received.append(chunk)
        if (size := size + len(chunk)) > limit:
            raise UnusableBody(Why.TOO_LONG)
    return decode(b"".join(received), encoding, limit)


def decode(raw: bytes, encoding: str, limit: int) -> bytes:
    """The body without its content encoding: at most ``limit`` bytes, however small the raw body is."""
    match encoding.strip().lower():
        case "" | "identity":
            return raw
        case "gzip" | "x-gzip" | "deflate":
            return _inflate(raw, limit)
        case _:
            raise UnusableBody(Why.BAD_ENCODING)


def decode_part(raw: bytes, encoding: str, limit: int) -> bytes:
    """At most ``limit`` bytes of a body that broke off or is too long, from the part that came."""
    match encoding.strip().lower():
        case "" | "identity":
            return raw[:limit]
        case "gzip" | "x-gzip" | "deflate":
            with suppress(zlib.error):
                return zlib.decompressobj(_ZLIB_OR_GZIP).decompress(raw, limit)
    return b""


def _inflate(raw: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        body = stream.decompress(raw, limit + 1)
    except zlib.error:
        raise UnusableBody(Why.BAD_ENCODING) from None
    if len(body) > limit:
        raise UnusableBody(Why.TOO_LONG)
    if not stream.eof:
        raise UnusableBody(Why.BAD_ENCODING)
    return body
