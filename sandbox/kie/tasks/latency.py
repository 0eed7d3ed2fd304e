"""How long a generation takes, and an answer.

No figures for Ideogram on kie.ai are published. The medians follow from what its other image models and other
resellers of Ideogram show; the shape and the tail are assumptions (contract 6). Answers were observed to take
0.4 to 0.8 s for createTask and 0.2 to 0.4 s for recordInfo (contract 1.2).
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
    """Log-normal round a median per rendering speed, with a few tasks that take minutes."""

    median: float = 0.0
    """In seconds; 0 for :data:`MEDIAN_SECONDS`."""
    sigma: float = 0.3
    tail: float = 0.01
    """The share of tasks that take as long as ``tail_seconds`` says."""
    tail_seconds: tuple[float, float] = (120.0, 600.0)
    fixed: float = 0.0
    """Every task takes this long instead; 0 for as described."""
    speed: float = 1.0
    """Divides everything."""

    def seconds(self, rendering_speed: str, rng: random.Random) -> float:
        """The duration of one task. Raises :class:`KeyError` for an unknown rendering speed
        without a ``median``."""
        # Always two draws, so that a changed option does not shift what follows them.
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
