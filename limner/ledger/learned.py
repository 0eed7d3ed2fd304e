"""Durations of tasks, learned by all workers together."""

from collections.abc import Mapping
from dataclasses import dataclass

from limner.ledger.durations import Durations, DurationSample, Kind
from limner.ledger.layout.keys import DURATIONS
from limner.ledger.store import Store


@dataclass(frozen=True, slots=True)
class Learned:
    """The durations of each kind of task. Raises StoreUnavailable."""

    store: Store
    assumed: Mapping[str, float]
    """Assumed seconds by rendering speed."""

    def key(self, kind: Kind) -> str:
        """The key of a kind's histogram."""
        return DURATIONS(self.store.prefix, kind)

    def sample(self, kind: Kind, seconds: float) -> DurationSample | None:
        """The sample of a task that took so long, by the provider's completeTime - createTime (contract 2.1).

        None if it cannot be a duration (not positive, or more than a day).
        """
        return DurationSample.of(kind, seconds, self.assumed)

    def of(self, kind: Kind) -> Durations:
        """The durations of a kind; the assumed ones if none are learned."""
        with self.store.client() as client:
            return Durations.from_stored(kind, client.hgetall(self.key(kind)), self.assumed)
