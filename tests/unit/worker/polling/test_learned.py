"""The learned poll policy: its poll times, its cost, and its robustness against outages."""

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from bench.polls import (
    Online,
    Optimum,
    as_many_reads,
    cost_of,
    log_normal,
    mean_lag,
    mean_reads,
    p99,
    simulate,
)
from limner.errors import StoreUnavailable
from limner.ledger.durations import BUCKETS, Durations
from worker.polling.learned import (
    CHEAPEST,
    DEAREST,
    LONGEST_PAUSE,
    LONGEST_TAIL_PAUSE,
    SAFETY_READS,
    SHORTEST_PAUSE,
    Learned,
    PollPolicies,
    price,
    safety_patience,
)
from worker.polling.policies import PollPolicy

KIND = "ideogram/v3-text-to-image:BALANCED:1"
PRIOR = Durations.unlearned(KIND)


def learned_from(median: float, sigma: float = 0.3, jobs: int = 400, start: Durations = PRIOR) -> Durations:
    random = Random(3)
    for _ in range(jobs):
        start = start.learned(median * math.exp(random.gauss(0, sigma)))
    return start


def polls(policy: PollPolicy, until: float) -> list[float]:
    """The ages at which a task of duration ``until`` is polled."""
    ages = [policy.next_poll(0.0)]
    while ages[-1] < until:
        ages.append(ages[-1] + policy.next_poll(ages[-1]))
    return ages


STRANGE = {
    "unlearned": PRIOR,
    "narrow": learned_from(16),
    "all at once": learned_from(16, sigma=0.0),
    "all the shortest": learned_from(0.01),
    "all the longest": learned_from(5000),
    "only the lowest bucket": Durations(16.0, (1e9, *(0.0,) * (BUCKETS - 1))),
    "only the highest bucket": Durations(16.0, (*(0.0,) * (BUCKETS - 1), 1e9)),
    "two humps": replace(learned_from(8), weights=learned_from(60, jobs=200, start=learned_from(8)).weights),
}


@pytest.mark.parametrize("durations", STRANGE.values(), ids=STRANGE.keys())
@pytest.mark.parametrize("c", [0.01, CHEAPEST, 1.0, DEAREST, 1000.0])
def test_intervals_between_polls_are_within_limits(durations: Durations, c: float) -> None:
    policy = Learned(durations, c)
    for tenth in range(-10, 12_000, 7):
        assert SHORTEST_PAUSE <= policy.next_poll(tenth / 10) <= LONGEST_PAUSE


@pytest.mark.parametrize("c", [CHEAPEST, 1.0, DEAREST])
def test_the_tail_is_polled_often(c: float) -> None:
    policy = Learned(learned_from(16), c)
    assert all(policy.next_poll(age) <= LONGEST_TAIL_PAUSE + 0.01 for age in range(20, 880))
    assert policy.next_poll(1000) == LONGEST_PAUSE


@pytest.mark.parametrize(("kind", "median"), [("m:TURBO:1", 8), (KIND, 16), ("m:QUALITY:1", 30)])
def test_before_learning_the_first_poll_is_near_the_usual_time(kind: str, median: float) -> None:
    ages = polls(Learned(Durations.unlearned(kind), 0.5), 4 * median)
    assert median / 3 < ages[0] < median
    assert 4 <= len(ages) <= 24


def test_polls_are_more_frequent_when_they_are_cheaper() -> None:
    counts = [len(polls(Learned(learned_from(16), c), 60)) for c in (0.1, 0.4, 1.6, 6.4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2 * counts[-1]


def test_polls_are_densest_where_most_tasks_end() -> None:
    policy = Learned(learned_from(16), 0.25)
    assert policy.next_poll(17) < policy.next_poll(8)
    assert policy.next_poll(17) < policy.next_poll(100) / 2


def test_polls_adapt_to_a_slower_provider() -> None:
    before = learned_from(16)
    after = learned_from(32, jobs=20, start=before)
    first, shifted = (Learned(durations, 1.0).next_poll(0) for durations in (before, after))
    assert shifted > 1.6 * first


def test_a_task_is_polled_soon_after_its_callback() -> None:
    policy = Learned(learned_from(30), 1.0)
    assert policy.next_poll(2) > 10
    assert policy.next_poll(2, since_callback=0) == 1
    assert policy.next_poll(2, since_callback=6) == 3
    assert policy.next_poll(300, since_callback=250) == policy.next_poll(300)


@pytest.mark.parametrize(("median", "sigma", "c"), [(16, 0.3, 0.25), (16, 0.3, 1.0), (24, 0.45, 1.0)])
def test_the_cost_is_near_the_optimum(median: float, sigma: float, c: float) -> None:
    random = Random(11)
    draw = log_normal(median, sigma)
    best = Optimum([draw(random) for _ in range(20_000)], c)
    durations = [draw(random) for _ in range(1800)]
    online = Online(KIND, c)
    learned = simulate(durations, online.policy, learn=online.learn)[300:]
    optimal = simulate(durations, lambda _: best)[300:]
    assert cost_of(learned, c) < 1.1 * cost_of(optimal, c)


def test_the_lag_is_at_most_half_of_fixed_polling_s_at_equal_reads() -> None:
    random = Random(11)
    durations = [log_normal(16, 0.3)(random) for _ in range(1800)]
    online = Online(KIND, 1.0)
    learned = simulate(durations, online.policy, learn=online.learn)[300:]
    fixed = as_many_reads(durations[300:], mean_reads(learned))
    even = simulate(durations[300:], lambda _: fixed)
    assert mean_reads(even) == pytest.approx(mean_reads(learned), rel=0.01)
    assert mean_lag(learned) <= 0.5 * mean_lag(even)


@pytest.mark.parametrize("c", [CHEAPEST, 1.0, 2.0])
@pytest.mark.parametrize("sigma", [0.3, 0.45, 0.6])
def test_the_longest_lags_are_no_worse_than_fixed_polling_s_at_equal_reads(sigma: float, c: float) -> None:
    durations = learned_from(16, sigma)
    sample = [durations.quantile((place + 0.5) / 5000) for place in range(5000)]
    policy = Learned(durations, c)
    learned = simulate(sample, lambda _: policy)
    fixed = as_many_reads(sample, mean_reads(learned))
    assert p99(learned) <= 1.02 * p99(simulate(sample, lambda _: fixed))


# The price of a poll


def test_an_idle_fleet_has_the_lowest_price() -> None:
    for idle in (0.0, -1.0, math.nan, math.inf, 1.0):
        assert price(PRIOR, reads_per_second=10, in_flight=idle) == CHEAPEST


def test_the_price_rises_with_the_load_up_to_a_limit() -> None:
    prices = [price(learned_from(16), reads_per_second=10, in_flight=n) for n in (10, 60, 90, 10_000)]
    assert prices == sorted(prices)
    assert prices[1] > CHEAPEST
    assert prices[-1] == DEAREST


@pytest.mark.parametrize("rate", [3.0, 4.0])
def test_reads_stay_within_the_budget(rate: float) -> None:
    durations = learned_from(16)
    policy = Learned(durations, price(durations, reads_per_second=10, in_flight=rate * durations.mean))
    random = Random(2)
    seen = simulate([log_normal(16, 0.3)(random) for _ in range(1000)], lambda _: policy)
    assert 5 < rate * mean_reads(seen) <= 10


# With callbacks


def test_a_lost_callback_is_replaced_by_a_poll_after_the_patience() -> None:
    assert safety_patience(learned_from(16), 60) == 60


def test_slow_tasks_have_a_longer_patience() -> None:
    slow = learned_from(100)
    patience = safety_patience(slow, 60)
    assert patience > 150
    assert sum(slow.survival(patience * 2**times) for times in range(5)) <= SAFETY_READS


def test_with_callbacks_a_task_takes_little_more_than_one_read() -> None:
    random = Random(5)
    durations = [
        random.uniform(120, 600) if random.random() < 0.03 else 16 * math.exp(random.gauss(0, 0.45))
        for _ in range(4000)
    ]
    known = PRIOR
    for seconds in durations[:1000]:
        known = known.learned(seconds)
    policy = policies(lambda _: known, patience=60.0).of(KIND)
    reads = [1 + sum(age < seconds for age in polls(policy, seconds)) for seconds in durations[1000:]]
    assert sum(reads) / len(reads) <= 1.1


# Policies of all kinds


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def policies(
    durations: Callable[[str], Durations],
    *,
    clock: Callable[[], float] = lambda: 0.0,
    in_flight: Callable[[], float] = lambda: 0.0,
    patience: float | None = None,
) -> PollPolicies:
    return PollPolicies(durations, in_flight=in_flight, reads_per_second=10.0, clock=clock, patience=patience)


def test_the_store_is_read_only_every_few_seconds() -> None:
    reads, clock = [], Clock()

    def durations(kind: str) -> Durations:
        reads.append(kind)
        return PRIOR

    known = policies(durations, clock=clock)
    for tenth in range(100):
        clock.now = tenth / 10
        known.of(KIND)
        known.of("m:TURBO:1")
    assert sorted(reads) == sorted([KIND, "m:TURBO:1"] * 2)


def test_the_policy_follows_new_durations() -> None:
    clock, stored = Clock(), [PRIOR]
    known = policies(lambda _: stored[0], clock=clock)
    before = known.of(KIND).next_poll(0)
    stored[0] = learned_from(60)
    assert known.of(KIND).next_poll(0) == before
    clock.now = 5.0
    assert known.of(KIND).next_poll(0) > 2 * before


def test_an_unchanged_policy_is_not_recomputed() -> None:
    clock = Clock()
    known = policies(lambda _: learned_from(60), clock=clock)
    first = known.of(KIND)
    clock.now = 10.0
    assert known.of(KIND) is first


def test_the_policy_follows_the_load() -> None:
    clock, tasks = Clock(), [0.0]
    known = policies(lambda _: learned_from(16), clock=clock, in_flight=lambda: tasks[0])
    idle = len(polls(known.of(KIND), 60))
    clock.now, tasks[0] = 5.0, 200.0
    assert len(polls(known.of(KIND), 60)) < idle


@pytest.mark.parametrize("error", [StoreUnavailable("away"), OSError("reset"), ValueError("what?")])
def test_an_outage_of_the_store_does_not_stop_polling(error: Exception) -> None:
    clock, answers = Clock(), [learned_from(60)]

    def durations(kind: str) -> Durations:
        if not answers:
            raise error
        return answers[0]

    unlearned = Learned(PRIOR, CHEAPEST)
    known = policies(durations, clock=clock)
    policy = known.of(KIND)
    assert policy.next_poll(0) > 2 * unlearned.next_poll(0)
    answers.clear()
    clock.now = 60.0
    assert known.of(KIND) is policy
    assert policies(durations).of(KIND).next_poll(0) == unlearned.next_poll(0)


def test_an_unknown_load_does_not_stop_polling() -> None:
    def away() -> float:
        raise StoreUnavailable("away")

    assert policies(lambda _: PRIOR, in_flight=away).of(KIND).next_poll(0) > 1
