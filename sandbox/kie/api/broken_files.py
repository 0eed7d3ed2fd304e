"""Answers to a download that are not the file as it is (contract 4)."""

import asyncio
import functools
import gzip
import math
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from sandbox.kie.faults.connections import Broken, Undeclared, gateway_page
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.files import TYPES
from sandbox.kie.faults.redirects import REDIRECTS
from sandbox.kie.faults.switches import Strike
from sandbox.kie.tasks.result_files import ResultFile

__all__ = ["BOMB_BYTES", "BROKEN_FILES", "HUGE_BYTES", "FileCall"]

HUGE_BYTES: Final = 200_000_000
BOMB_BYTES: Final = 2**30
"""The size to which the bomb unpacks, from 1 MB."""

_PIECE: Final = bytes(2**20)
_PIECES_A_SECOND: Final = 4
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
_GZIPPED: Final = {"content-encoding": "gzip"}


@dataclass(frozen=True)
class FileCall:
    """A download that a fault strikes."""

    file: ResultFile
    strike: Strike
    base_url: str
    path: str


def _truncated(call: FileCall) -> Response:
    half, media_type = call.file.data[: len(call.file.data) // 2], call.file.media_type
    match call.strike.variant:
        case "nothing":
            return Broken(reset=True)
        case "undeclared":
            return Undeclared(half, media_type)
        case "shortened":
            return Response(half, media_type=media_type)
        case variant:
            declared = variant != "chunked"
            return Broken(half, reset=variant == "reset", media_type=media_type, declared=declared)


def _slow(call: FileCall) -> Response:
    data, seconds = call.file.data, call.strike.seconds
    length = {"content-length": str(len(data))}
    pieces = 2 if call.strike.variant == "stall" else max(2, math.ceil(seconds * _PIECES_A_SECOND))
    return StreamingResponse(_dripped(data, pieces, seconds), headers=length, media_type=call.file.media_type)


async def _dripped(data: bytes, pieces: int, seconds: float) -> AsyncIterator[bytes]:
    """The data in at most that many pieces, the last of them after ``seconds``."""
    size = math.ceil(len(data) / pieces)
    starts = range(0, len(data), size)
    for start in starts:
        if start:
            await asyncio.sleep(seconds / (len(starts) - 1))
        yield data[start : start + size]


def _typed(call: FileCall) -> Response:
    media_type = TYPES[call.strike.variant]
    return Response(call.file.data, headers={} if media_type is None else {"content-type": media_type})


def _redirect(call: FileCall) -> Response:
    location = REDIRECTS[call.strike.variant](call.base_url, call.path)
    return Response(status_code=302, headers={"location": location} if location else {})


def _huge(call: FileCall) -> Response:
    length = {"content-length": str(HUGE_BYTES)} if call.strike.variant == "declared" else {}
    return StreamingResponse(_padded(call.file.data), headers=length, media_type=call.file.media_type)


async def _padded(data: bytes) -> AsyncIterator[bytes]:
    """The data, and zeros until there are :data:`HUGE_BYTES`."""
    yield data
    left = HUGE_BYTES - len(data)
    while left > 0:
        yield _PIECE[:left]
        left -= len(_PIECE)


def _gzipped(call: FileCall) -> Response:
    data = call.file.data
    match call.strike.variant:
        case "bomb":
            data = _bomb(data)
        case "picture":
            data = gzip.compress(data, mtime=0)
    return Response(data, headers=_GZIPPED, media_type=call.file.media_type)


@functools.lru_cache(maxsize=1)
def _bomb(data: bytes) -> bytes:
    """A gzip stream that begins with the data and unpacks to :data:`BOMB_BYTES` more.

    A block that ends with a full flush can be repeated, so nobody has to pack all the zeros.
    """
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(_PIECE) + packer.flush(zlib.Z_FULL_FLUSH)
    times = BOMB_BYTES // len(_PIECE)
    checksum = zlib.crc32(data)
    for _ in range(times):
        checksum = zlib.crc32(_PIECE, checksum)
    tail = struct.pack("<II", checksum, (len(data) + BOMB_BYTES) % 2**32)
    return _GZIP_HEAD + head + block * times + packer.flush() + tail


BROKEN_FILES: Mapping[Fault, Callable[[FileCall], Response]] = MappingProxyType(
    {
        Fault.FILE_404: lambda _call: PlainTextResponse("Not Found", 404),
        Fault.FILE_HTML: lambda call: gateway_page(call.strike.variant),
        Fault.FILE_TRUNCATED: _truncated,
        Fault.FILE_SLOW: _slow,
        Fault.FILE_TYPE: _typed,
        Fault.FILE_REDIRECT: _redirect,
        Fault.FILE_HUGE: _huge,
        Fault.FILE_GZIP: _gzipped,
        Fault.FILE_CHANGED: lambda call: Response(call.file.data, media_type=call.file.media_type),
    }
)
"""By fault, the answer. The faults that are missing decide whether the file is given at all."""
