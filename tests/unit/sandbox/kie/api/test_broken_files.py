"""Downloads that are not the file as it is."""

import asyncio
import gzip
import hashlib
import io
import zlib
from collections.abc import AsyncIterator
from typing import Final, cast

import pytest
from starlette.responses import Response, StreamingResponse

from sandbox.kie.api.broken_files import BOMB_BYTES, BROKEN_FILES, HUGE_BYTES, FileCall
from sandbox.kie.faults.connections import Broken, Undeclared
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.files import TYPES
from sandbox.kie.faults.switches import Strike
from sandbox.kie.faults.variants import VARIANTS, variant_of
from sandbox.kie.tasks.formats import noise
from sandbox.kie.tasks.result_files import ResultFile

DATA: Final = noise(64, "png")
FILE: Final = ResultFile(DATA, hashlib.sha256(DATA).hexdigest(), "image/png")


def answer(fault: Fault, variant: str = "", seconds: float = 0.0) -> Response:
    strike = Strike(fault, variant_of(fault, variant), seconds)
    return BROKEN_FILES[fault](FileCall(FILE, strike, "http://base.test", "/files/t1_0.png"))


def pieces(response: Response) -> list[bytes]:
    async def read() -> list[bytes]:
        body = cast("AsyncIterator[bytes]", cast("StreamingResponse", response).body_iterator)
        return [piece async for piece in body]

    return asyncio.run(read())


def test_a_truncated_file_is_half_of_the_image() -> None:
    shortened = answer(Fault.FILE_TRUNCATED, "shortened")
    assert shortened.body == DATA[: len(DATA) // 2]
    assert shortened.headers["content-length"] == str(len(DATA) // 2)
    kinds = {
        variant: type(answer(Fault.FILE_TRUNCATED, variant)) for variant in VARIANTS[Fault.FILE_TRUNCATED]
    }
    assert {variant for variant, kind in kinds.items() if kind is Broken} == {
        "half",
        "reset",
        "chunked",
        "nothing",
    }
    assert kinds["undeclared"] is Undeclared


@pytest.mark.parametrize(
    ("variant", "seconds", "number"), [("drip", 0.01, 2), ("drip", 1.0, 4), ("stall", 0.01, 2)]
)
def test_a_slow_file_comes_whole_and_in_pieces(
    variant: str, seconds: float, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def wait(pause: float) -> None:
        waited.append(pause)

    monkeypatch.setattr(asyncio, "sleep", wait)
    response = answer(Fault.FILE_SLOW, variant, seconds)
    came = pieces(response)
    assert (b"".join(came), response.headers["content-length"]) == (DATA, str(len(DATA)))
    assert (len(came), len(waited)) == (number, number - 1)
    assert sum(waited) == pytest.approx(seconds)


@pytest.mark.parametrize("variant", TYPES)
def test_a_wrong_type_is_that_of_the_whole_image(variant: str) -> None:
    response = answer(Fault.FILE_TYPE, variant)
    assert (response.body, response.headers.get("content-type")) == (DATA, TYPES[variant])


@pytest.mark.parametrize("variant", ["declared", "undeclared"])
def test_a_huge_file_begins_with_the_image(variant: str) -> None:
    response = answer(Fault.FILE_HUGE, variant)
    came = pieces(response)
    assert (came[0], sum(map(len, came))) == (DATA, HUGE_BYTES)
    assert max(map(len, came)) <= 2**20
    length = response.headers.get("content-length")
    assert length == (str(HUGE_BYTES) if variant == "declared" else None)


def test_a_bomb_begins_with_the_image_and_unpacks_to_a_thousand_times_its_size() -> None:
    response = answer(Fault.FILE_GZIP, "bomb")
    assert response.headers["content-encoding"] == "gzip"
    assert len(response.body) < BOMB_BYTES / 900
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert unpacker.decompress(response.body, len(DATA)) == DATA
    size, left = len(DATA), unpacker.unconsumed_tail
    while left:
        size += len(unpacker.decompress(left, 2**24))
        left = unpacker.unconsumed_tail
    assert (size, unpacker.eof) == (len(DATA) + BOMB_BYTES, True)


def test_a_packed_file_is_the_image_or_only_says_that_it_is_packed() -> None:
    packed, untrue = answer(Fault.FILE_GZIP, "picture"), answer(Fault.FILE_GZIP, "untrue")
    assert gzip.GzipFile(fileobj=io.BytesIO(packed.body)).read() == untrue.body == DATA
    assert packed.headers["content-encoding"] == untrue.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"] == "image/png"
