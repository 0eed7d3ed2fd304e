"""Large keys, read in pieces."""

from limner.ledger.pieces import PIECE, entries, hashes, members
from tests.integration.limner.ledger.conftest import Bench

MANY = 2 * PIECE + 7


def test_all_fields_of_all_hashes_are_read(bench: Bench) -> None:
    fields = {f"field {number}": str(number) for number in range(MANY)}
    bench.client.hset("large", mapping=fields)
    bench.client.hset("small", mapping={"a": "b"})
    assert hashes(bench.client, ["large", "absent", "small"]) == [fields, {}, {"a": "b"}]


def test_no_hash_needs_no_round_trip(bench: Bench) -> None:
    assert hashes(bench.client, []) == []


def test_members_come_in_their_order(bench: Bench) -> None:
    bench.client.zadd("index", {f"{number:05}": number for number in range(MANY)})
    pieces = list(members(bench.client, "index"))
    assert [len(piece) for piece in pieces] == [PIECE, PIECE, 7]
    assert [score for piece in pieces for _, score in piece] == list(range(MANY))


def test_each_entry_of_a_stream_comes_once(bench: Bench) -> None:
    with bench.client.pipeline() as pipe:
        for number in range(MANY):
            pipe.xadd("stream", {"number": number})
        pipe.execute()
    assert [fields["number"] for _, fields in entries(bench.client, "stream")] == [
        str(number) for number in range(MANY)
    ]
