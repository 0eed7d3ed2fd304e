"""The body of an HTTP answer, in pieces, and never more of it than is allowed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Final

from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.head import Head, cut_off, malformed

PIECE: Final = 64 * 2**10
"""The most bytes of a piece."""
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_LONGEST_CHUNK_LINE: Final = 4096
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_OVERHEAD: Final = 64 * 2**10
"""The bytes between the chunks that a body may have in excess of its own. Chunks of single bytes would keep a
processor busy for as long as a fetch may take."""


@dataclass(frozen=True)
class Framing:
    """The mark of a body's end: its length, its last chunk, or the end of the connection."""

    length: int | None
    chunked: bool


def framing(head: Head) -> Framing:
    """The framing of an answer; raises FetchError if its headers disagree, or name an encoding."""
    if any(value != "identity" for value in head.values("content-encoding")):
        raise FetchError(FetchFault.ENCODED, "the body is encoded, although no encoding was accepted")
    lengths = set(head.headers.get("content-length", ()))
    transfer = head.values("transfer-encoding")
    if transfer and (lengths or head.minor_version == 0):
        raise malformed("an answer with a transfer encoding where none can be")
    if transfer and transfer != ["chunked"]:
        raise FetchError(FetchFault.ENCODED, "the body has a transfer encoding other than chunked")
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise malformed("an answer with a length that is not one")
    return Framing(int(lengths.pop()) if lengths else None, bool(transfer))


def read_body(reader: BufferedReader, frame: Framing, most: int) -> Iterator[bytes]:
    """The body in pieces of at most 64 KiB; raises FetchError if it is cut off, or longer than ``most``."""
    if frame.length is not None:
        if frame.length > most:
            raise too_large(most)
        return _read_exactly(reader, frame.length)
    return _read_chunks(reader, most) if frame.chunked else _read_all(reader, most)


def too_large(most: int) -> FetchError:
    """The error about a body of more than ``most`` bytes."""
    return FetchError(FetchFault.TOO_LARGE, f"more than {most} bytes")


def _read_exactly(reader: BufferedReader, length: int) -> Iterator[bytes]:
    while length:
        piece = reader.read1(min(length, PIECE))
        if not piece:
            raise cut_off()
        length -= len(piece)
        yield piece


def _read_all(reader: BufferedReader, most: int) -> Iterator[bytes]:
    """All that comes before the end of the connection, which alone ends this body."""
    received = 0
    while piece := reader.read1(PIECE):
        received += len(piece)
        if received > most:
            raise too_large(most)
        yield piece


def _read_chunks(reader: BufferedReader, most: int) -> Iterator[bytes]:
    """The chunks. Trailers are not read: the connection serves no other request."""
    received = overhead = 0
    while True:
        line = _read_chunk_line(reader)
        size = int(line[1], 16)
        if size == 0:
            return
        received += size
        overhead += len(line[0]) + 2
        if received > most:
            raise too_large(most)
        if overhead > _OVERHEAD + received:
            raise malformed("an answer whose chunks are too small")
        yield from _read_exactly(reader, size)
        if (end := reader.read(2)) != b"\r\n":
            raise malformed("a chunk that is longer than its size") if len(end) == 2 else cut_off()


def _read_chunk_line(reader: BufferedReader) -> re.Match[bytes]:
    line = reader.readline(_LONGEST_CHUNK_LINE)
    if match := _CHUNK_LINE.fullmatch(line):
        return match
    if line.endswith(b"\n") or len(line) == _LONGEST_CHUNK_LINE:
        raise malformed("a chunk whose size is not one")
    raise cut_off()
