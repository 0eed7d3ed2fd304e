"""The durations of tasks: a level that follows the provider, and a histogram of the shape around it.

A duration is kept as its ratio to the level at that time. If the provider is twice as slow today, the level
follows within ten to twenty jobs. The shape changes over some hundreds of jobs, since the differences between
tasks are much the same on slow days. The two together predict the next duration. The errors of the level are
part of the shape, so an unsteady level widens the forecast.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Any, Final, Self

from limner.models import MODEL, TextToImage

Kind = str

SHORTEST: Final = 0.5
LONGEST: Final = 1800.0
"""The bounds in seconds. Shorter and longer durations count as these."""
ABSURD: Final = 86_400.0
"""The longest duration in seconds that is counted. A longer one comes from a wrong clock."""

USUAL: Final[Mapping[str, float]] = MappingProxyType({"TURBO": 8.0, "BALANCED": 16.0, "QUALITY": 30.0})
"""Median seconds by rendering speed, assumed before anything is learned (contract 6)."""
USUAL_ELSE: Final = 16.0

WIDTH: Final = 0.1
"""The width of a bucket on the logarithmic scale. A log-normal of sigma 0.3 fills some twenty buckets."""
LOWEST: Final = -3.5
BUCKETS: Final = 85
"""The buckets cover ratios to the level from 0.03 to 148. The outermost two hold all that is beyond."""

HALF_LIFE: Final = 250
"""The number of jobs after which a job counts half. So some 360 count in all."""
MOST: Final = 1000.0
"""A bound that no bucket's weight reaches."""
GAIN: Final = 0.1
"""The part of a job's surprise by which the level moves. After a shift, the level makes up 65 % of it in 10
jobs and 88 % in 20. The cost is small: the level's noise turns a shape of sigma 0.3 into one of 0.31."""
SURPRISE: Final = 0.7
"""The bound of a surprise (a factor of two), so that the few very long tasks do not move the level."""
DOUBT: Final = 1.5
"""The weight of the level in :data:`USUAL`, in jobs."""

PRIOR_JOBS: Final = 15.0
"""The weight of the prior shape, in jobs: a wide log-normal, and some very long tasks."""
PRIOR_SIGMA: Final = 0.6
TAIL_SHARE: Final = 0.02
TAIL: Final = (1.5, 4.1)
"""The range of the very long tasks on the logarithmic scale: 4.5 to 60 times the level."""


def kind_of(request: TextToImage) -> Kind:
    """The kind of a request: model, rendering speed and number of images. Equal kinds take equally long."""
    return f"{MODEL}:{request.rendering_speed}:{request.num_images}"


def usual(kind: Kind, assumed: Mapping[str, float] = USUAL) -> float:
    """The level of a kind before anything is learned, in seconds. ``assumed`` has it by rendering speed."""
    return next((assumed[part] for part in kind.split(":") if part in assumed), USUAL_ELSE)


def countable(seconds: float) -> float | None:
    """The duration within its bounds, or None if no task can have taken so long."""
    if not (math.isfinite(seconds) and 0 < seconds <= ABSURD):
        return None
    return min(max(seconds, SHORTEST), LONGEST)


KEEP_SECONDS: Final = 30 * 86_400
"""Seconds without a job of a kind after which its learned durations are forgotten."""


@dataclass(frozen=True, slots=True)
class DurationSample:
    """The counted duration of one task of a kind, in seconds."""

    kind: Kind
    seconds: float
    usual: float
    """The assumed level of the kind before anything is learned."""

    @classmethod
    def of(cls, kind: Kind, seconds: float, assumed: Mapping[str, float] = USUAL) -> Self | None:
        """A sample, or None if no task can have taken so long."""
        taken = countable(seconds)
        return None if taken is None else cls(kind, taken, usual(kind, assumed))

    def to_json(self) -> dict[str, Any]:
        """The argument of ``lua/parts/durations.lua``: the sample and the constants of this module."""
        return {
            "kind": self.kind,
            "duration": math.log(self.seconds),
            "level": math.log(self.usual),
            "lowest_level": math.log(SHORTEST),
            "highest_level": math.log(LONGEST),
            "lowest": LOWEST,
            "width": WIDTH,
            "buckets": BUCKETS,
            "gain": GAIN,
            "doubt": DOUBT,
            "surprise": SURPRISE,
            "half_life": HALF_LIFE,
            "ttl": KEEP_SECONDS * 1000,
        }


@dataclass(frozen=True)
class Durations:
    """The durations of one kind of task, in seconds, from when the provider created it to its end."""

    level: float
    weights: tuple[float, ...] = (0.0,) * BUCKETS
    """The weight of each bucket, in jobs. A job that is :data:`HALF_LIFE` jobs old counts half."""

    @classmethod
    def unlearned(cls, kind: Kind, assumed: Mapping[str, float] = USUAL) -> Self:
        """The assumed durations of a kind without any samples."""
        return cls(usual(kind, assumed))

    @classmethod
    def from_stored(cls, kind: Kind, stored: Mapping[Any, Any], assumed: Mapping[str, float] = USUAL) -> Self:
        """The durations of a kind from the ledger's hash. Implausible values count as absent."""
        fields = {_text(name): _number(value) for name, value in stored.items()}
        level, unit = fields.get("level"), fields.get("unit")
        if level is None or not math.log(SHORTEST) <= level <= math.log(LONGEST):
            return cls.unlearned(kind, assumed)
        if unit is None or unit <= 0:
            return cls(math.exp(level))
        weights = ((fields.get(str(bucket)) or 0.0) / unit for bucket in range(BUCKETS))
        return cls(math.exp(level), tuple(weight if 0 <= weight <= MOST else 0.0 for weight in weights))

    def learned(self, seconds: float) -> Self:
        """The durations after one more job. ``lua/parts/durations.lua`` computes the same."""
        counted = countable(seconds)
        if counted is None:
            return self
        surprise = math.log(counted / self.level)
        bucket = min(max(math.floor((surprise - LOWEST) / WIDTH), 0), BUCKETS - 1)
        gain = max(GAIN, 1 / (DOUBT + self.jobs))
        weights = [weight * 0.5 ** (1 / HALF_LIFE) for weight in self.weights]
        weights[bucket] += 1
        level = self.level * math.exp(gain * min(max(surprise, -SURPRISE), SURPRISE))
        return replace(self, level=level, weights=tuple(weights))

    @cached_property
    def jobs(self) -> float:
        """The number of jobs behind this, with older ones counting less."""
        return sum(self.weights)

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """The probability of each bucket in the forecast: smoothed, and with the prior added."""
        total = self.jobs + PRIOR_JOBS
        return tuple(
            (weight + PRIOR_JOBS * prior) / total
            for weight, prior in zip(_smooth(self.weights), _prior(), strict=True)
        )

    def widths(self) -> Iterator[float]:
        """The width of each bucket in seconds."""
        for bucket in range(BUCKETS):
            yield self.level * math.exp(LOWEST + WIDTH * bucket) * math.expm1(WIDTH)

    @cached_property
    def _below(self) -> tuple[float, ...]:
        sums = list(accumulate(self.shares, initial=0.0))
        return tuple(value / sums[-1] for value in sums)

    def survival(self, age: float) -> float:
        """The probability that a task takes longer than ``age`` seconds."""
        if age <= 0:
            return 1.0
        position = (math.log(age) - math.log(self.level) - LOWEST) / WIDTH
        if not 0 <= position < BUCKETS:
            return 1.0 if position < 0 else 0.0
        bucket = int(position)
        low, high = self._below[bucket : bucket + 2]
        return max(1.0 - low - (high - low) * (position - bucket), 0.0)

    def quantile(self, q: float) -> float:
        """The age by which the share ``q`` of tasks has ended."""
        q = min(max(q, 0.0), 1.0)
        # The first bucket that reaches q, so that it is not an empty one.
        bucket = max(bisect_left(self._below, q), 1) - 1
        low, high = self._below[bucket : bucket + 2]
        return self.level * math.exp(LOWEST + WIDTH * (bucket + (q - low) / (high - low)))

    @property
    def median(self) -> float:
        """The age by which half of the tasks have ended."""
        return self.quantile(0.5)

    @cached_property
    def mean(self) -> float:
        """The mean duration of a task."""
        middle = LOWEST + WIDTH / 2
        ratios = (share * math.exp(middle + WIDTH * bucket) for bucket, share in enumerate(self.shares))
        return self.level * sum(ratios)

    def remaining(self, age: float, q: float = 0.5) -> float:
        """The further seconds within which a task of that age ends with probability ``q``."""
        return max(self.quantile(1 - (1 - q) * self.survival(age)) - age, 0.0)


def _smooth(weights: tuple[float, ...]) -> tuple[float, ...]:
    # The outermost buckets keep the weight that smoothing would move beyond the ends.
    padded = (weights[0], *weights, weights[-1])
    return tuple((padded[i] + 2 * padded[i + 1] + padded[i + 2]) / 4 for i in range(BUCKETS))


@cache
def _prior() -> tuple[float, ...]:
    def below(edge: float) -> float:
        body = (1 + math.erf(edge / PRIOR_SIGMA / math.sqrt(2))) / 2
        tail = min(max((edge - TAIL[0]) / (TAIL[1] - TAIL[0]), 0.0), 1.0)
        return (1 - TAIL_SHARE) * body + TAIL_SHARE * tail

    edges = [below(LOWEST + WIDTH * bucket) for bucket in range(BUCKETS + 1)]
    return tuple(high - low for low, high in pairwise(edges))


def _text(name: Any) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
