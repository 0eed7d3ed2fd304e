"""The repetition of refused attempts."""

from dataclasses import dataclass
from random import Random

from worker.limits.backoff import Backoff
from worker.limits.pauses import Pauses


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limit on a job's attempts, and the waits of a job or its account after a refusal."""

    max_attempts: int
    backoff: Backoff
    pauses: Pauses
    random: Random
    callback_patience: float = 0.0
    """Seconds in which a callback may prove that an attempt was accepted despite a server fault."""
