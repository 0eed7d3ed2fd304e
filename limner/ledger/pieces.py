"""Reads large keys in pieces, so that no single command keeps other clients waiting."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

PIECE: Final = 1000
"""Entries that one command reads. They take Redis less than a millisecond, or two with large entries."""


def hashes(client: Any, keys: Sequence[str]) -> list[dict[str, str]]:
    """The fields of each hash; a round trip for every :data:`PIECE` fields of the largest one."""
    found: list[dict[str, str]] = [{} for _ in keys]
    left = dict.fromkeys(range(len(keys)), 0)
    while left:
        with client.pipeline(transaction=False) as pipe:
            for at, cursor in left.items():
                pipe.hscan(keys[at], cursor, count=PIECE)
            replies = pipe.execute()
        for at, (_, fields) in zip(left, replies, strict=True):
            found[at].update(fields)
        left = {at: cursor for at, (cursor, _) in zip(left, replies, strict=True) if cursor}
    return found


def members(client: Any, index: str) -> Iterator[list[tuple[str, float]]]:
    """The members of a sorted set with their scores, piece by piece.

    A member that is added or removed meanwhile can make another one appear twice, or not at all.
    """
    start = 0
    while piece := client.zrange(index, start, start + PIECE - 1, withscores=True):
        yield piece
        start += PIECE


def entries(client: Any, stream: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The entries of a stream, the oldest first."""
    after = "-"
    while piece := client.xrange(stream, min=after, count=PIECE):
        yield from piece
        after = f"({piece[-1][0]}"
