"""The repetition of refused attempts."""

from dataclasses import dataclass
from random import Random
from typing import Final

from worker.limits.backoff import Backoff
from worker.limits.pauses import Pauses

FAULT_PACE: Final = 4.0
"""The growth of the wait after each server fault of a job for which no callback can come."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limit on a job's attempts, and the waits of a job or its account after a refusal."""

    max_attempts: int
    backoff: Backoff
    pauses: Pauses
    random: Random
    fault_attempts: int = 3
    generation_attempts: int = 2
    callback_patience: float | None = None
    """Seconds in which a callback may prove that an attempt was accepted despite a server fault; None if no
    callback can come."""

    def fault_delay(self, faults: int) -> float:
        """Seconds to wait after the job's server fault of that number, 1 being the first.

        A task may exist behind each. A callback may tell; without callbacks, the wait is long enough that the
        next attempt is not bought into the same outage.
        """
        if self.callback_patience is not None:
            least = self.callback_patience
        else:
            least = min(self.pauses.longest, self.pauses.first * FAULT_PACE**faults)
        return max(self.backoff.delay(faults, self.random), least)
