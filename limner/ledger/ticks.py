"""The last tick of each entry of the schedule, so that beat knows after a stop what it has missed."""

from collections.abc import Iterable
from dataclasses import dataclass

from limner.ledger.layout.keys import TICKS
from limner.ledger.store import Store


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks by mark, in seconds since the epoch. Raises StoreUnavailable."""

    store: Store

    def take_up(self, marks: Iterable[str], now: int) -> dict[str, int]:
        """The last tick of each mark, which is ``now`` for a new one; all other marks are forgotten."""
        wanted, key = set(marks), TICKS(self.store.prefix)
        with self.store.client() as client:
            found = {mark: int(tick) for mark, tick in client.hgetall(key).items()}
            if gone := found.keys() - wanted:
                client.hdel(key, *gone)
            if new := dict.fromkeys(wanted - found.keys(), now):
                client.hset(key, mapping=new)
        return {mark: found.get(mark, now) for mark in wanted}

    def record(self, mark: str, tick: int) -> None:
        """The tick is on the ledger."""
        with self.store.client() as client:
            client.hset(TICKS(self.store.prefix), mark, tick)
