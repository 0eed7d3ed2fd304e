"""A simulation that compares the learned poll policy with simpler ones and with the optimum.

The others are fixed intervals, back-off and the provider's advice. Time is a number. Tasks begin evenly
spaced, and each is polled at the times of its policy. From a poll that finds the task ended, the learned
policy learns its duration. A poll takes no time.
"""

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Final

from bench.report import quantile, table
from limner.ledger import Durations
from worker.polling.learned import Learned, PollPolicies
from worker.polling.policies import PollPolicy, ProviderAdvice

JOBS: Final = 5000
WARM_UP: Final = 500
SEED: Final = 1974
PRICES: Final = (0.25, 1.0, 2.0)
REFRESH: Final = 5.0
FLEETS: Final = 20
HEAD: Final = ("policy", "reads/job", "lag mean, s", "p50", "p95", "p99", "cost, s", "cost/optimum")

Draw = Callable[[Random], float]


@dataclass(frozen=True)
class Profile:
    """A plausible distribution of a provider's durations."""

    name: str
    kind: str
    draw: Draw
    lag_goal: float | None = None
    """The goal for the lag, as a share of fixed polling's."""


@dataclass(frozen=True)
class Seen:
    """The polls and the lag of a task."""

    reads: int
    lag: float


def log_normal(median: float, sigma: float) -> Draw:
    """Log-normal durations with a median in seconds."""
    return lambda random: median * math.exp(random.gauss(0.0, sigma))


def mixed(share: float, rare: Draw, usual: Draw) -> Draw:
    """A mixture: ``rare`` with probability ``share``, else ``usual``."""
    return lambda random: (rare if random.random() < share else usual)(random)


def _very_long(random: Random) -> float:
    return random.uniform(120.0, 600.0)


NARROW: Final = Profile("narrow: sigma 0.3, median 16 s", "m:BALANCED:1", log_normal(16.0, 0.3), 0.5)
PROFILES: Final = (
    NARROW,
    Profile(
        "wide: sigma 0.45, median 16 s, 3 % of 2-10 min",
        "m:BALANCED:1",
        mixed(0.03, _very_long, log_normal(16.0, 0.45)),
        2 / 3,
    ),
    Profile("slow: sigma 0.3, median 30 s", "m:QUALITY:1", log_normal(30.0, 0.3), 0.5),
    Profile(
        "two humps, 10 s and (30 %) 25 s, 1 % of 2-10 min",
        "m:BALANCED:1",
        mixed(0.01, _very_long, mixed(0.3, log_normal(25.0, 0.3), log_normal(10.0, 0.25))),
    ),
    Profile(
        "Weibull of shape 2.2, median 34 s",
        "m:QUALITY:1",
        lambda random: random.weibullvariate(40.0, 2.2),
    ),
    Profile(
        "held out: gamma of shape 2 from 5 s on, median 18 s",
        "m:BALANCED:1",
        lambda random: 5.0 + random.gammavariate(2.0, 8.0),
    ),
)


@dataclass(frozen=True)
class Fixed:
    """Polls at a fixed interval in seconds."""

    pause: float

    def next_poll(self, age: float, since_callback: float | None = None) -> float:  # noqa: ARG002 - as PollPolicy
        """Seconds until the next poll."""
        return self.pause


@dataclass(frozen=True)
class Doubling:
    """Exponential back-off: polls at the ages 1, 3, 7, 15 … s, at most a minute apart."""

    def next_poll(self, age: float, since_callback: float | None = None) -> float:  # noqa: ARG002 - as PollPolicy
        """Seconds until the next poll."""
        return min(age + 1.0, 60.0)


class Optimum:
    """The best poll times for the known distribution ``sample``.

    They lie on a grid of 0.1 s for a minute, then of 1 s.
    """

    AGES: Final = (*(step / 10 for step in range(600)), *(float(step) for step in range(60, 651)))

    def __init__(self, sample: Sequence[float], c: float) -> None:
        ages, ordered, last = self.AGES, sorted(sample), len(self.AGES) - 1
        places = [bisect_left(ordered, age) for age in ages]
        left = [1 - place / len(ordered) for place in places]
        ends = [0.0]
        for low, high in pairwise(places):
            ends.append(ends[-1] + sum(ordered[low:high]) / len(ordered))
        cost, self._next = [0.0] * (last + 1), [last] * (last + 1)
        for i in range(last - 1, -1, -1):
            smallest = math.inf
            for j in range(i + 1, self._next[i + 1] + 1):
                total = ages[j] * (left[i] - left[j]) - (ends[j] - ends[i]) + cost[j]
                if total <= smallest:
                    smallest, self._next[i] = total, j
            cost[i] = smallest + c * left[i]

    def next_poll(self, age: float, since_callback: float | None = None) -> float:  # noqa: ARG002 - as PollPolicy
        """Seconds until the next poll."""
        # Ages are sums of pauses, and deviate from the grid by rounding errors.
        place = bisect_right(self.AGES, age + 1e-6) - 1
        return self.AGES[self._next[place]] - age if place < len(self.AGES) - 1 else 10.0


class Online:
    """The learned policy at a price, which learns from polls and is refreshed as in the fleet."""

    def __init__(self, kind: str, c: float) -> None:
        self._durations, self._c, self._until = Durations.unlearned(kind), c, 0.0
        self._policy = Learned(self._durations, c)

    def learn(self, seconds: float) -> None:
        """Learn a duration."""
        self._durations = self._durations.learned(seconds)

    def policy(self, now: float) -> PollPolicy:
        """The policy at that time."""
        if now >= self._until:
            self._policy, self._until = Learned(self._durations, self._c), now + REFRESH
        return self._policy


def simulate(
    durations: Sequence[float],
    policy: Callable[[float], PollPolicy],
    *,
    rate: float = 1.0,
    learn: Callable[[float], None] = lambda _: None,
) -> list[Seen]:
    """Simulate tasks that begin at ``rate`` a second; the results are in their order."""
    seen: list[Seen] = [Seen(0, 0.0)] * len(durations)
    polls = [(number / rate, number, 0) for number in range(len(durations))]
    while polls:
        now, number, reads = heapq.heappop(polls)
        age = now - number / rate
        if reads and age >= durations[number]:
            seen[number] = Seen(reads, age - durations[number])
            learn(durations[number])
        else:
            heapq.heappush(polls, (now + policy(now).next_poll(age), number, reads + 1))
    return seen


def _by(policy: PollPolicy, durations: Sequence[float]) -> list[Seen]:
    return simulate(durations, lambda _: policy)


def as_many_reads(durations: Sequence[float], reads: float) -> Fixed:
    """The fixed interval at which these tasks take ``reads`` reads on average."""
    low, high = 0.05, 200.0
    for _ in range(50):
        middle = math.sqrt(low * high)
        made = sum(math.floor(seconds / middle) + 1 for seconds in durations) / len(durations)
        low, high = (middle, high) if made > reads else (low, middle)
    return Fixed(high)


def mean_reads(seen: Sequence[Seen]) -> float:
    """Polls per task."""
    return sum(task.reads for task in seen) / len(seen)


def mean_lag(seen: Sequence[Seen]) -> float:
    """Seconds from a task's end to the poll that sees it."""
    return sum(task.lag for task in seen) / len(seen)


def p99(seen: Sequence[Seen]) -> float:
    """The 99th percentile of the lag in seconds."""
    return quantile([task.lag for task in seen], 0.99)


def cost_of(seen: Sequence[Seen], c: float) -> float:
    """The cost by which policies are compared, in seconds a task."""
    return c * mean_reads(seen) + mean_lag(seen)


def run() -> Iterator[str]:
    """The tables."""
    yield f"{JOBS} tasks a profile, one a second, after {WARM_UP} more from which the policy has learned."
    yield "The profile that is held out was not polled while the policy's constants were chosen."
    goals: list[list[object]] = []
    for profile in PROFILES:
        for c in PRICES:
            yield f"\n### {profile.name}; a read is worth {c} s of lag\n"
            yield from _compare(profile, c, goals)
    yield "\n### Goals: cost within 10 % of the optimum's; lag against fixed at equal reads; p99 no worse\n"
    head = [
        "profile",
        "c, s",
        "cost/optimum",
        "met",
        "lag/fixed",
        "goal",
        "met",
        "p99/fixed",
        "met",
        "optimum: p99/fixed",
    ]
    yield from table(head, goals)
    yield f"\n### The first tasks of {FLEETS} fleets, from nothing learned; cost/optimum, c = 1 s\n"
    yield from table(["profile", "tasks 1-20", "21-50", "51-200", "201-400"], map(_beginning, PROFILES))
    yield f"\n### The provider becomes twice as slow, or recovers; narrow, {FLEETS} fleets, c = 1 s\n"
    yield from table(["", "reads/job", "lag mean, s", "p99", "cost/optimum"], _shifts())
    yield "\n### The price follows the load: 10 reads a second allowed, narrow\n"
    yield from table(
        ["tasks a second", "reads/job", "reads a second", "lag mean, s"], map(_load, (0.5, 2, 4, 8))
    )


def _compare(profile: Profile, c: float, goals: list[list[object]]) -> Iterator[str]:
    random = Random(SEED)
    sample = [profile.draw(random) for _ in range(200_000)]
    durations = [profile.draw(random) for _ in range(WARM_UP + JOBS)]
    tested = durations[WARM_UP:]
    online = Online(profile.kind, c)
    learned = simulate(durations, online.policy, learn=online.learn)[WARM_UP:]
    even = as_many_reads(tested, mean_reads(learned))
    policies: dict[str, PollPolicy] = {
        "optimum": Optimum(sample, c),
        f"fixed {even.pause:.2f} s (equal reads)": even,
        "fixed 2 s": Fixed(2.0),
        "fixed 3 s": Fixed(3.0),
        "fixed 5 s": Fixed(5.0),
        "exponential back-off": Doubling(),
        "provider's advice": ProviderAdvice(),
    }
    seen = {"learned": learned}
    seen |= {name: _by(policy, tested) for name, policy in policies.items()}
    best = cost_of(seen["optimum"], c)
    yield from table(HEAD, [_row(name, results, c, best) for name, results in seen.items()])
    cost = cost_of(learned, c) / best
    as_optimal = _by(as_many_reads(tested, mean_reads(seen["optimum"])), tested)
    fixed = seen[f"fixed {even.pause:.2f} s (equal reads)"]
    lag, last = mean_lag(learned) / mean_lag(fixed), p99(learned) / p99(fixed)
    ideal = p99(seen["optimum"]) / p99(as_optimal)
    goal = profile.lag_goal
    met = _met(lag <= goal) if goal else ""
    short = profile.name.split(",")[0]
    goals.append([short, c, cost, _met(cost <= 1.1), lag, goal or "", met, last, _met(last <= 1), ideal])


def _row(name: str, seen: Sequence[Seen], c: float, best: float) -> list[object]:
    lags = [task.lag for task in seen]
    marks = [quantile(lags, q) for q in (0.5, 0.95, 0.99)]
    return [name, mean_reads(seen), mean_lag(seen), *marks, cost_of(seen, c), cost_of(seen, c) / best]


def _met(met: bool) -> str:
    return "yes" if met else "no"


def _beginning(profile: Profile) -> list[object]:
    parts = (slice(0, 20), slice(20, 50), slice(50, 200), slice(200, 400))
    random = Random(SEED)
    best = Optimum([profile.draw(random) for _ in range(100_000)], 1.0)
    learned: list[list[Seen]] = [[] for _ in parts]
    optimal: list[list[Seen]] = [[] for _ in parts]
    for _ in range(FLEETS):
        durations = [profile.draw(random) for _ in range(400)]
        online = Online(profile.kind, 1.0)
        seen = simulate(durations, online.policy, rate=0.5, learn=online.learn)
        ideal = _by(best, durations)
        for place, part in enumerate(parts):
            learned[place] += seen[part]
            optimal[place] += ideal[part]
    ratios = [cost_of(a, 1.0) / cost_of(b, 1.0) for a, b in zip(learned, optimal, strict=True)]
    return [profile.name.split(",")[0], *ratios]


def _shifts() -> Iterator[list[object]]:
    parts = {"last 100 before": slice(300, 400), "first 20": slice(400, 420), "next 50": slice(420, 470)}
    parts["next 130"] = slice(470, 600)
    for change, factor in (("twice as slow", 2.0), ("recovers", 0.5)):
        random = Random(SEED)
        before = NARROW.draw if factor > 1 else log_normal(32.0, 0.3)
        after = log_normal(32.0 if factor > 1 else 16.0, 0.3)
        results: dict[str, list[Seen]] = {name: [] for name in parts}
        for _ in range(FLEETS):
            durations = [(before if number < 400 else after)(random) for number in range(600)]
            online = Online(NARROW.kind, 1.0)
            seen = simulate(durations, online.policy, rate=0.5, learn=online.learn)
            for name, part in parts.items():
                results[name] += seen[part]
        for name, seen in results.items():
            draw = before if name == "last 100 before" else after
            sample = [draw(random) for _ in range(50_000)]
            best = cost_of(_by(Optimum(sample, 1.0), sample[:5000]), 1.0)
            yield [
                f"{change}: {name}", mean_reads(seen), mean_lag(seen), p99(seen), cost_of(seen, 1.0) / best
            ]  # fmt: skip


def _load(rate: float) -> list[object]:
    random = Random(SEED)
    durations = [NARROW.draw(random) for _ in range(3000)]
    now, ended, known = 0.0, 0, Durations.unlearned(NARROW.kind)

    def in_flight() -> float:
        return min(math.floor(now * rate) + 1, len(durations)) - ended

    def learn(seconds: float) -> None:
        nonlocal known, ended
        known, ended = known.learned(seconds), ended + 1

    policies = PollPolicies(lambda _: known, in_flight=in_flight, reads_per_second=10.0, clock=lambda: now)

    def policy(at: float) -> PollPolicy:
        nonlocal now
        now = at
        return policies.of(NARROW.kind)

    seen = simulate(durations, policy, rate=rate, learn=learn)[WARM_UP:-WARM_UP]
    return [rate, mean_reads(seen), mean_reads(seen) * rate, mean_lag(seen)]
