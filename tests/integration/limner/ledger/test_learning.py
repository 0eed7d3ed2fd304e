"""Durations in a real Valkey: shared, decaying, and the same as the pure ones."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import redis

from limner._redis import connect
from limner.errors import StoreUnavailable
from limner.ledger import Ledger, Quota
from limner.ledger.durations import HALF_LIFE, KEEP_SECONDS, Durations
from limner.ledger.learned import Learned
from limner.models import TextToImage
from limner.submission import prepare
from tests.integration.limner.ledger import speaking

KIND = "ideogram/v3-text-to-image:BALANCED:1"
ROOMY = Quota(10_000, 10.0, 10_000, 1.0, 10_000)


@pytest.fixture
def client(valkey_url: str) -> Iterator["redis.Redis"]:
    with connect(valkey_url) as client:
        yield client


def learner(client: "redis.Redis", group: str = "main") -> Learned:
    return Ledger(client, group=group).durations


def learn(client: "redis.Redis", seconds: float) -> None:
    """A job whose task took so long, from its submission to its end."""
    ledger = Ledger(client)
    new = prepare(TextToImage(prompt="a fox"))
    ledger.jobs.submit(new)
    [step] = ledger.queue.claim(ROOMY).steps
    ledger.jobs.begin(new.job_id, step.lease, "token", deadline=900)
    ledger.jobs.accepted(new.job_id, 1, new.job_id, poll_in=600)
    sample = ledger.durations.sample(KIND, seconds)
    end = speaking.task_succeeded(ledger, new.job_id, new.job_id, ["https://a"], None, ttl=60, sample=sample)
    assert end.what == "ended"


def made_up(count: int, median: float = 40.0) -> list[float]:
    random = Random(5)
    return [median * math.exp(random.gauss(0, 0.4)) for _ in range(count)]


def same(found: Durations, expected: Durations) -> bool:
    return found.level == pytest.approx(expected.level) and found.weights == pytest.approx(expected.weights)


def test_nothing_is_known_at_first(client: "redis.Redis") -> None:
    assert learner(client).of(KIND) == Durations.unlearned(KIND)


def test_redis_counts_as_the_pure_durations_do(client: "redis.Redis") -> None:
    learning, expected = learner(client), Durations.unlearned(KIND)
    for seconds in [*made_up(300), 0.02, 1900.0, 700.0, *made_up(50, 8.0)]:
        learn(client, seconds)
        expected = expected.learned(seconds)
    assert same(learning.of(KIND), expected)


def test_two_learners_share_what_they_learn(client: "redis.Redis", valkey_url: str) -> None:
    with connect(valkey_url) as other:
        one, two, expected = learner(client), learner(other), Durations.unlearned(KIND)
        for number, seconds in enumerate(made_up(40)):
            learn((client, other)[number % 2], seconds)
            expected = expected.learned(seconds)
        assert same(one.of(KIND), expected)
        assert one.of(KIND) == two.of(KIND)


def test_kinds_and_groups_are_apart(client: "redis.Redis") -> None:
    learn(client, 100.0)
    assert learner(client).of("m:TURBO:1") == Durations.unlearned("m:TURBO:1")
    assert learner(client, "other").of(KIND) == Durations.unlearned(KIND)


def test_old_jobs_count_less(client: "redis.Redis") -> None:
    learning = learner(client)
    learn(client, 16.0)
    [first] = [weight for weight in learning.of(KIND).weights if weight]
    for _ in range(HALF_LIFE):
        learn(client, 300.0)
    durations = learning.of(KIND)
    bucket = Durations.unlearned(KIND).learned(16.0).weights.index(1.0)
    assert first == pytest.approx(1)
    # Later jobs may be in the same bucket after the level has followed, so the sum is compared.
    assert durations.jobs == pytest.approx((1 - 0.5 ** (1 + 1 / HALF_LIFE)) / (1 - 0.5 ** (1 / HALF_LIFE)))
    assert durations.weights[bucket] >= 0.5


def test_the_weights_stay_bounded(client: "redis.Redis") -> None:
    learning, expected = learner(client), Durations.unlearned(KIND)
    for seconds in made_up(50):
        learn(client, seconds)
        expected = expected.learned(seconds)
    # As after 7400 jobs: everything is a power of two larger.
    key, scale = learning.key(KIND), 2.0**29.5
    for name, value in client.hgetall(key).items():
        if name != "level":
            client.hset(key, name, repr(float(value) * scale))
    largest = 0.0
    for seconds in made_up(200):
        learn(client, seconds)
        expected = expected.learned(seconds)
        largest = max(largest, float(client.hget(key, "unit") or 0))
    assert 8e8 < largest <= 1e9
    assert float(client.hget(key, "unit") or 0) < 2
    assert same(learning.of(KIND), expected)
    fields: Any = client.hgetall(key)
    stored = sum(float(value) for name, value in fields.items() if name.isdecimal())
    assert stored == pytest.approx(float(fields["total"]))


@pytest.mark.parametrize("seconds", [0.0, -3.0, 86_401.0, math.inf, math.nan])
def test_what_cannot_be_a_duration_is_ignored(client: "redis.Redis", seconds: float) -> None:
    learn(client, seconds)
    assert client.keys(learner(client).key("*")) == []


def test_learned_durations_of_an_unused_kind_expire(client: "redis.Redis") -> None:
    learning = learner(client)
    learn(client, 16.0)
    assert KEEP_SECONDS - 60 < client.ttl(learning.key(KIND)) <= KEEP_SECONDS


@pytest.mark.parametrize(
    "garbage", [{"level": "x"}, {"level": "nan", "unit": "inf", "3": "?"}, {"level": "3", "unit": "0"}]
)
def test_garbage_is_replaced(client: "redis.Redis", garbage: dict[str, str]) -> None:
    learning = learner(client)
    for name, value in garbage.items():
        client.hset(learning.key(KIND), name, value)
    learn(client, 20.0)
    assert same(learning.of(KIND), Durations.unlearned(KIND).learned(20.0))


def test_a_key_of_another_type_is_replaced(client: "redis.Redis") -> None:
    learning = learner(client)
    client.set(learning.key(KIND), "what?")
    learn(client, 20.0)
    assert same(learning.of(KIND), Durations.unlearned(KIND).learned(20.0))


def test_an_unreachable_redis_raises_store_unavailable() -> None:
    with connect("redis://127.0.0.1:1", timeout=0.2) as away, pytest.raises(StoreUnavailable):
        learner(away).of(KIND)
