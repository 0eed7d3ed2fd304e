"""How long tasks take, as all workers of an account group learn it together."""

import math
from collections.abc import Mapping
from typing import Final

from limner import durations as known
from limner.connection import store_errors
from limner.durations import Durations, Kind
from limner.scripts import Scripts, to_ms

KEEP_SECONDS: Final = 30 * 86_400
"""After so long without a job of a kind, what was learned of it says nothing any more."""


class Learning(Scripts):
    """The durations of each kind. All methods raise :class:`~limner.errors.StoreUnavailable` when Redis does
    not answer in time."""

    assumed: Mapping[str, float] = known.USUAL
    """What is assumed of each rendering speed before anything is learned, in seconds."""

    def key(self, kind: Kind) -> str:
        """Where what is known of a kind is kept."""
        return f"{self.prefix}durations:{kind}"

    def learn(self, kind: Kind, seconds: float) -> None:
        """Count a task that took so long, by the provider's own completeTime - createTime (contract 2.1).

        What cannot be a duration (not positive, or more than a day) is ignored.
        """
        counted = known.countable(seconds)
        if counted is None:
            return
        self._run(
            "learn",
            kind=kind,
            duration=math.log(counted),
            level=math.log(known.usual(kind, self.assumed)),
            lowest_level=math.log(known.SHORTEST),
            highest_level=math.log(known.LONGEST),
            lowest=known.LOWEST,
            width=known.WIDTH,
            buckets=known.BUCKETS,
            gain=known.GAIN,
            doubt=known.DOUBT,
            surprise=known.SURPRISE,
            half_life=known.HALF_LIFE,
            ttl=to_ms(KEEP_SECONDS),
        )

    def durations(self, kind: Kind) -> Durations:
        """What is known of a kind; what is assumed at first, if that is nothing."""
        with store_errors(self._redis):
            return Durations.from_stored(kind, self._redis.hgetall(self.key(kind)), self.assumed)
