"""How attempts that were refused are repeated."""

from dataclasses import dataclass
from random import Random

from worker.limits.backoff import Backoff
from worker.limits.pauses import Pauses


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a job is sent, and how long it or its account waits after a refusal."""

    max_attempts: int
    backoff: Backoff
    pauses: Pauses
    random: Random
    callback_patience: float = 0.0
    """Seconds in which a callback may prove that a server fault was none."""
