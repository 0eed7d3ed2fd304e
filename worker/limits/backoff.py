"""The back-off after a refusal."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter. ``base`` and ``cap`` are in seconds."""

    base: float
    cap: float

    def delay(self, refusals: int, random: Random) -> float:
        """Seconds to wait after the given number of refusals, 1 being the first.

        The delay is uniform between 0 and a bound that doubles with each refusal.
        """
        return random.uniform(0.0, min(self.cap, self.base * 2.0 ** min(refusals - 1, 60)))
