"""The last tick of each schedule entry, from which beat computes the ticks that it missed during a stop."""

from collections.abc import Iterable
from dataclasses import dataclass

from limner.ledger.layout.keys import TICKS
from limner.ledger.store import Store


@dataclass(frozen=True, slots=True)
class Ticks:
    """The last ticks by mark, in seconds since the epoch. Raises StoreUnavailable."""

    store: Store

    def take_up(self, marks: Iterable[str], now: int) -> dict[str, int]:
        """The last tick of each mark, ``now`` for a new mark. All other marks are removed."""
        wanted, key = set(marks), TICKS(self.store.prefix)
        with self.store.client() as client:
            found = {mark: int(tick) for mark, tick in client.hgetall(key).items()}
            if gone := found.keys() - wanted:
                client.hdel(key, *gone)
            if new := dict.fromkeys(wanted - found.keys(), now):
                client.hset(key, mapping=new)
        return {mark: found.get(mark, now) for mark in wanted}

    def record(self, mark: str, tick: int) -> None:
        """Record that this tick has been submitted."""
        with self.store.client() as client:
            client.hset(TICKS(self.store.prefix), mark, tick)
