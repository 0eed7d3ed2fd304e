"""The durations of generations and of answers.

No figures for Ideogram on kie.ai are published. The medians are derived from its other image models and from
other resellers of Ideogram; the shape and the tail are assumptions (contract 6).
Answers took 0.4 to 0.8 s for createTask and 0.2 to 0.4 s for recordInfo (contract 1.2).
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["MEDIAN_SECONDS", "DurationProfile", "log_normal"]

MEDIAN_SECONDS: Mapping[str, float] = MappingProxyType({"TURBO": 8.0, "BALANCED": 16.0, "QUALITY": 30.0})


@dataclass(frozen=True)
class DurationProfile:
    """Log-normal durations around a median per rendering speed, with a few tasks that take minutes."""

    median: float = 0.0
    """In seconds; 0 for :data:`MEDIAN_SECONDS`."""
    sigma: float = 0.3
    tail: float = 0.01
    """The share of tasks with a duration in the range ``tail_seconds``."""
    tail_seconds: tuple[float, float] = (120.0, 600.0)
    fixed: float = 0.0
    """The seconds of every task, in place of a draw; 0 to draw."""
    speed: float = 1.0
    """The divisor of every duration."""

    def seconds(self, rendering_speed: str, rng: random.Random) -> float:
        """The duration of one task in seconds.

        Raises :class:`KeyError` for an unknown rendering speed without a ``median``.
        """
        # Always two draws, so that a changed option does not shift the draws that follow.
        usual = log_normal(self.median or MEDIAN_SECONDS[rendering_speed], self.sigma, rng)
        place = rng.random()
        if self.fixed:
            return self.fixed / self.speed
        if place < self.tail:
            low, high = self.tail_seconds
            usual = low + (high - low) * place / self.tail
        return usual / self.speed


def log_normal(median: float, sigma: float, rng: random.Random) -> float:
    """A draw in the unit of ``median``, which must be above 0; ``sigma`` of 0 gives the median itself."""
    return rng.lognormvariate(math.log(median), sigma)
