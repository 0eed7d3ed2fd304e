"""The learned poll policy, which places polls where tasks are likely to end.

The idea is Keller's (Optimum checking schedules for systems subject to random failure, Management Science 21,
1974): a poll costs ``c`` seconds of waiting, and at the hazard h, polls are best sqrt(2c/h) apart. That is
the limit for many polls. A task gets two to five polls, so their times are computed exactly, by dynamic
programming over the learned distribution. They minimise c x E[polls] + E[lag]. The formula is only used to
choose ``c`` from the read budget.
"""

import logging
import math
import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from limner.ledger import Durations, Kind
from worker.outages import is_outage, outage
from worker.polling.policies import Callbacks, PollPolicy

log = logging.getLogger(__name__)

SHORTEST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 60.0
"""The bounds of a pause in seconds. The longest is for first polls and tasks older than :data:`OVERDUE`."""
LONGEST_TAIL_PAUSE: Final = 15.0
"""Seconds: the shortest pause that the provider advises for tasks older than two minutes (contract 2.5)."""
FIRST_AFTER_CALLBACK: Final = 1.0
"""The first pause after a callback, in seconds. Later ones are half of the time since the callback."""
OVERDUE: Final = 900.0
"""Seconds after which a task is not expected to end (contract 2.5)."""

EARLY: Final = 0.01
"""The share of tasks after whose end no pause is longer than :data:`LONGEST_TAIL_PAUSE`."""
LONG: Final = 0.9
"""A lag is long if it exceeds this part of the interval of fixed polling with as many polls."""
IMPATIENCE: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Extra weights for a second of a long lag. At the smallest cost alone, one task in a hundred would wait half
again as long as with fixed polling. So the first weight is taken with which at most that share of tasks is
seen later than :data:`P99` of the interval. It costs up to 6 % (``python -m bench polls``)."""
P99: Final = 0.97
"""The bound, where fixed polling has 0.99: the learned level moves a little, and the lags with it."""

FINEST: Final = 0.024
COARSEST: Final = 2.0
"""The steps of the grid: at most this part of the age, and at most this number of seconds."""

CHEAPEST: Final = 0.25
DEAREST: Final = 10.0
"""The bounds of ``c`` in seconds. At the lower bound, polls are some 1.6 s apart where most tasks end, and an
idle fleet reads less often than the provider advises. At the upper bound, a task gets hardly more than one
poll."""
SHARE: Final = 0.8
"""The share of the read budget for polls. The rest is for callbacks, late results and bursts."""
NOTICEABLE: Final = 0.1
"""The relative change of ``c`` from which on the policy is computed again."""

SAFETY_READS: Final = 0.1
"""The average number of polls of a job that guard against a lost callback."""


class Learned:
    """The policy for one kind of task: the cheapest poll times for its durations and the price of a poll."""

    def __init__(self, durations: Durations, c: float) -> None:
        self.durations = durations
        self.c = c
        """The price of a poll, in seconds of lag."""
        self._ages, self._targets = _Programme(durations, c).solve()

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll.

        A callback means that the task has ended, so the provider's record will soon say so as well.
        """
        pause = self._pause(max(age, 0.0))
        if since_callback is not None:
            pause = min(pause, max(FIRST_AFTER_CALLBACK, since_callback / 2))
        return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)

    def _pause(self, age: float) -> float:
        if age >= OVERDUE:
            return LONGEST_PAUSE
        index = bisect_right(self._ages, age) - 1
        low, high = self._ages[index : index + 2]
        part = (age - low) / (high - low)
        return self._targets[index] * (1 - part) + self._targets[index + 1] * part - age


class _Programme:
    """The dynamic programme: a grid of ages, and the best next poll from each."""

    def __init__(self, durations: Durations, c: float) -> None:
        self.durations, self.c = durations, c
        self.ages = [0.0]
        age = durations.quantile(EARLY / 5)
        while age < OVERDUE:
            self.ages.append(age)
            age += min(age * FINEST, COARSEST)
        self.ages.append(OVERDUE)
        self.left = [durations.survival(age) for age in self.ages]
        self.ends = [0.0]
        for (low, high), (before, after) in zip(pairwise(self.ages), pairwise(self.left), strict=True):
            self.ends.append(self.ends[-1] + (before - after) * (low + high) / 2)

    def solve(self) -> tuple[list[float], list[float]]:
        """The ages of the grid, and for each the age of the next poll if the task has not ended."""
        long = math.inf
        for impatience in IMPATIENCE:
            chosen = self._cheapest(long, impatience)
            polls = self._polls(chosen)
            fixed = self.durations.mean / (sum(self.left[i] for i in polls[:-1]) - 0.5)
            if self._later_than(P99 * fixed, polls) <= 0.01:
                break
            long = LONG * fixed
        return self.ages, [*(self.ages[j] for j in chosen[:-1]), OVERDUE + LONGEST_PAUSE]

    def _cheapest(self, long: float, impatience: float) -> list[int]:
        """The index of the next poll for each index of the grid, if lags beyond ``long`` have extra weight.

        ``cost[i]`` is the cost that follows a poll at ``ages[i]``, times the probability that the poll finds
        the task unfinished.
        """
        ages, left, ends, last = self.ages, self.left, self.ends, len(self.ages) - 1
        early = self.durations.quantile(EARLY)
        # A task that ends before this index has a long lag when it is seen at ages[j].
        long_at = [bisect_right(ages, age - long) - 1 for age in ages]
        cost, chosen = [0.0] * (last + 1), [last] * (last + 1)
        for i in range(last - 1, -1, -1):
            until = min(max(ages[i], early) + LONGEST_TAIL_PAUSE, ages[i] + LONGEST_PAUSE)
            smallest = math.inf
            # A later poll has a later best successor, since costs of this form have the Monge property.
            for j in range(i + 1, chosen[i + 1] + 1):
                if ages[j] > until and j > i + 1:
                    break
                total = ages[j] * (left[i] - left[j]) - (ends[j] - ends[i]) + cost[j]
                k = long_at[j]
                if k > i:
                    total += impatience * ((ages[j] - long) * (left[i] - left[k]) - (ends[k] - ends[i]))
                if total <= smallest:
                    smallest, chosen[i] = total, j
            cost[i] = smallest + self.c * left[i]
        return chosen

    def _polls(self, chosen: list[int]) -> list[int]:
        """The indexes of the task's beginning and of its polls."""
        polls = [0]
        while polls[-1] < len(self.ages) - 1:
            polls.append(chosen[polls[-1]])
        return polls

    def _later_than(self, lag: float, polls: list[int]) -> float:
        """The share of tasks whose end is seen with a lag of more than ``lag`` seconds."""
        survival = self.durations.survival
        return sum(
            survival(self.ages[i]) - survival(max(self.ages[i], self.ages[j] - lag))
            for i, j in pairwise(polls)
        )


def effort(durations: Durations) -> float:
    """The integral of sqrt(survival x density), in sqrt(seconds): a measure of the spread of the ends."""
    total, left = 0.0, 1.0
    for share, seconds in zip(durations.shares, durations.widths(), strict=True):
        total += math.sqrt(max(left - share / 2, 0.0) * share * seconds)
        left -= share
    return total


def price(durations: Durations, *, reads_per_second: float, in_flight: float) -> float:
    """The ``c`` in seconds at which all tasks in flight together stay within their share of the reads.

    Tasks end at the rate in_flight / mean, which gives the number of reads that each may have. In Keller's
    limit a task has effort / sqrt(2c) polls, and another half since the last poll comes after the end. This
    is solved for c.
    """
    if not (math.isfinite(in_flight) and in_flight > 0):
        return CHEAPEST
    reads = SHARE * reads_per_second * durations.mean / in_flight
    needed = (effort(durations) / max(reads - 0.5, 0.1)) ** 2 / 2
    return min(max(needed, CHEAPEST), DEAREST)


def safety_patience(durations: Durations, least: float) -> float:
    """Seconds until the first poll for a lost callback, at least ``least``.

    Each further poll is at twice the age. The patience grows until the polls stay within :data:`SAFETY_READS`
    a job, or until it reaches :data:`OVERDUE`.
    """
    patience = max(least, SHORTEST_PAUSE)
    while patience < OVERDUE and _polls_from(durations, patience) > SAFETY_READS:
        patience *= 1.1
    return patience


def _polls_from(durations: Durations, patience: float) -> float:
    return sum(durations.survival(patience * 2**times) for times in range(12))


@dataclass(frozen=True, slots=True)
class _Held:
    learned: Learned
    policy: PollPolicy
    until: float


class PollPolicies:
    """The current policy of each kind of task. Safe for use by many threads; never raises.

    ``durations`` and ``in_flight`` read the store. One thread calls them every ``refresh`` seconds at most
    for each kind, and the other threads use the last policy in the meantime. If the store is away, the last
    policy stays, or the one for the assumed durations. With callbacks, ``patience`` is the smallest number of
    seconds until the first poll for a lost callback. ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        durations: Callable[[Kind], Durations],
        *,
        in_flight: Callable[[], float],
        reads_per_second: float,
        clock: Callable[[], float],
        patience: float | None = None,
        refresh: float = 5.0,
    ) -> None:
        self._durations, self._in_flight, self._clock = durations, in_flight, clock
        self._reads_per_second = reads_per_second
        self._patience = patience
        self._refresh = refresh
        self._held: dict[Kind, _Held] = {}
        self._lock = threading.Lock()

    def of(self, kind: Kind) -> PollPolicy:
        """The policy for tasks of this kind."""
        with self._lock:
            now = self._clock()
            held = self._held.get(kind)
            if held and now < held.until:
                return held.policy
            if held is None:
                held = self._hold(Durations.unlearned(kind), CHEAPEST, now)
            # Other threads use the last policy while this one reads the store.
            self._held[kind] = _Held(held.learned, held.policy, now + self._refresh)
        fresh = self._ask(kind, held.learned, now)
        if fresh is None:
            return held.policy
        with self._lock:
            self._held[kind] = fresh
        return fresh.policy

    def _ask(self, kind: Kind, known: Learned, now: float) -> _Held | None:
        if outage.lasts:
            # The answer of a request may wait for this policy, and must not wait for Redis twice.
            return None
        try:
            durations = self._durations(kind)
            c = price(durations, reads_per_second=self._reads_per_second, in_flight=self._in_flight())
            if durations == known.durations and abs(c / known.c - 1) < NOTICEABLE:
                return None
            return self._hold(durations, c, now)
        except Exception as error:
            # Whatever is wrong with the learned data, an older policy is better than no poll.
            if is_outage(error):
                outage.failed("ledger", error)
            else:
                log.warning("the poll policy of %s is not renewed: %s", kind, error)
            return None

    def _hold(self, durations: Durations, c: float, now: float) -> _Held:
        learned = Learned(durations, c)
        policy: PollPolicy = learned
        if self._patience is not None:
            policy = Callbacks(safety_patience(durations, self._patience), learned)
        return _Held(learned, policy, now + self._refresh)
