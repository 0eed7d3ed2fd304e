"""When to poll next, learned from how long tasks take.

The idea is Keller's (Optimum checking schedules for systems subject to random failure, Management Science 21,
1974): a poll costs ``c`` seconds of waiting, and polls are placed where tasks are likely to end, sqrt(2c/h)
apart at the hazard h. That is a limit for many polls. A task gets two to five, so the times are computed
exactly instead, by dynamic programming over the learned distribution: those with the smallest c x E[polls] +
E[lag]. The formula remains where it is good, in choosing ``c`` by the read budget.
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
from worker.polling.policies import Callbacks, PollPolicy

log = logging.getLogger(__name__)

SHORTEST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 60.0
"""Seconds; the longest is for tasks older than :data:`OVERDUE`, and the bound of a first poll."""
LONGEST_TAIL_PAUSE: Final = 15.0
"""Seconds; what the provider's advice asks for at least, of tasks older than two minutes (contract 2.5)."""
FIRST_AFTER_CALLBACK: Final = 1.0
"""Seconds; afterwards, half of the time since the callback, up to what the policy says without one."""
OVERDUE: Final = 900.0
"""Seconds after which a task is not expected to end (contract 2.5)."""

EARLY: Final = 0.01
"""The share of tasks from whose end on no pause is longer than :data:`LONGEST_TAIL_PAUSE`."""
LONG: Final = 0.9
"""A lag is long from that part of the interval of as many polls, evenly spaced."""
IMPATIENCE: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""By how much more a second of a long lag may count. The smallest cost alone would leave one task in a
hundred waiting for half again as long as fixed polling does. So the first of these is taken with which no
more than that share is seen later than :data:`P99` of the interval. It costs up to 6 %
(``python -m bench polls``)."""
P99: Final = 0.97
"""Fixed polling's is 0.99 of its interval; the learned level moves a little, and with it the lags."""

FINEST: Final = 0.024
COARSEST: Final = 2.0
"""The grid of the programme: steps of that part of the age, and never more than those seconds."""

CHEAPEST: Final = 0.25
DEAREST: Final = 10.0
"""The bounds of ``c`` in seconds. At the least, polls are some 1.6 s apart where most tasks end, and an idle
fleet reads less often than by the provider's advice; at the most, a task gets hardly more than one poll."""
SHARE: Final = 0.8
"""Of the read budget; the rest is for callbacks, for late results and for bursts."""
NOTICEABLE: Final = 0.1
"""A relative change of ``c`` that is worth a new programme."""

SAFETY_READS: Final = 0.1
"""How many polls a job may take, on average, in case its callback is lost."""


class Learned:
    """The policy for one kind of task: the cheapest times, by its durations and the price of a poll."""

    def __init__(self, durations: Durations, c: float) -> None:
        self.durations = durations
        self.c = c
        """Seconds of lag that a poll is worth."""
        self._ages, self._targets = _Programme(durations, c).solve()

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll.

        A callback says that the task has ended; if the provider's record does not, it will soon.
        """
        pause = self._pause(max(age, 0.0))
        if since_callback is not None:
            pause = min(pause, max(FIRST_AFTER_CALLBACK, since_callback / 2))
        return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)

    def _pause(self, age: float) -> float:
        if age >= OVERDUE:
            return LONGEST_PAUSE
        place = bisect_right(self._ages, age) - 1
        low, high = self._ages[place : place + 2]
        part = (age - low) / (high - low)
        return self._targets[place] * (1 - part) + self._targets[place + 1] * part - age


class _Programme:
    """The ages on a grid, and the best next poll from each."""

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
        """The ages of the grid, and for each the age at which a task that still works is polled next."""
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
        """For each place in the grid, that of the next poll, if lags beyond ``long`` count for more.

        ``cost[i]`` is what follows a poll ``ages[i]``, times the probability that it finds the task
        working.
        """
        ages, left, ends, last = self.ages, self.left, self.ends, len(self.ages) - 1
        early = self.durations.quantile(EARLY)
        # What ends before that place has waited for long when it is seen at ages[j].
        long_at = [bisect_right(ages, age - long) - 1 for age in ages]
        cost, chosen = [0.0] * (last + 1), [last] * (last + 1)
        for i in range(last - 1, -1, -1):
            until = min(max(ages[i], early) + LONGEST_TAIL_PAUSE, ages[i] + LONGEST_PAUSE)
            smallest = math.inf
            # The later a poll, the later the best next one: costs of this form have Monge's property.
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
        """The places of a task's polls, and before them that of its beginning."""
        polls = [0]
        while polls[-1] < len(self.ages) - 1:
            polls.append(chosen[polls[-1]])
        return polls

    def _later_than(self, lag: float, polls: list[int]) -> float:
        """The share of tasks whose end is seen by more than ``lag`` seconds later."""
        survival = self.durations.survival
        return sum(
            survival(self.ages[i]) - survival(max(self.ages[i], self.ages[j] - lag))
            for i, j in pairwise(polls)
        )


def effort(durations: Durations) -> float:
    """The integral of sqrt(survival x density): how widely the ends are spread, in sqrt(seconds)."""
    total, left = 0.0, 1.0
    for share, seconds in zip(durations.shares, durations.widths(), strict=True):
        total += math.sqrt(max(left - share / 2, 0.0) * share * seconds)
        left -= share
    return total


def price(durations: Durations, *, reads_per_second: float, in_flight: float) -> float:
    """The ``c`` at which all tasks in flight together keep within their share of the reads, in seconds.

    Tasks end at the rate in_flight / mean, which says how many reads each may have. In Keller's limit they
    are effort / sqrt(2c), and a half for the last poll's chance to come too late: that is solved for c.
    """
    if not (math.isfinite(in_flight) and in_flight > 0):
        return CHEAPEST
    reads = SHARE * reads_per_second * durations.mean / in_flight
    needed = (effort(durations) / max(reads - 0.5, 0.1)) ** 2 / 2
    return min(max(needed, CHEAPEST), DEAREST)


def safety_patience(durations: Durations, least: float) -> float:
    """Seconds until the first poll for a lost callback, ``least`` or more; each further one at twice the age.

    So many that the polls come to no more than :data:`SAFETY_READS` a job, up to :data:`OVERDUE`.
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
    """The policy of each kind of task, kept up to date. May be used by many threads; never raises.

    ``durations`` and ``in_flight`` ask the store, and are asked at most every ``refresh`` seconds a kind, by
    one thread while the others go on with what they have. When the store is away, the last policy holds, or
    the one of what is assumed at first. ``patience`` is, with callbacks, the least number of seconds until
    the first poll for a lost one; ``clock`` gives seconds that only grow.
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
            # Others need not wait for this thread's questions.
            self._held[kind] = _Held(held.learned, held.policy, now + self._refresh)
        fresh = self._ask(kind, held.learned, now)
        if fresh is None:
            return held.policy
        with self._lock:
            self._held[kind] = fresh
        return fresh.policy

    def _ask(self, kind: Kind, known: Learned, now: float) -> _Held | None:
        try:
            durations = self._durations(kind)
            c = price(durations, reads_per_second=self._reads_per_second, in_flight=self._in_flight())
            if durations == known.durations and abs(c / known.c - 1) < NOTICEABLE:
                return None
            return self._hold(durations, c, now)
        except Exception as error:
            # Whatever is wrong with what was learned, a poll with an older policy is better than none.
            log.warning("the poll policy of %s is not renewed: %s", kind, error)
            return None

    def _hold(self, durations: Durations, c: float, now: float) -> _Held:
        learned = Learned(durations, c)
        policy: PollPolicy = learned
        if self._patience is not None:
            policy = Callbacks(safety_patience(durations, self._patience), learned)
        return _Held(learned, policy, now + self._refresh)
