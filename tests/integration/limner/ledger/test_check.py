"""The walk through the ledger finds what contradicts itself, and repairs what is safe to be repaired."""

import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from limner.errors import GenerationFailed
from limner.ledger import Ledger
from limner.status import Contradiction, JobState
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.moments import MOMENTS

Spoil = Callable[[Bench, Any, str], str]
"""Breaks something; returns the subject of the finding."""


def check(bench: Bench, *, repair: bool = False) -> list[Contradiction]:
    return list(bench.ledger.check.run(repair=repair))


def found(bench: Bench) -> list[tuple[str, str]]:
    return [(each.kind, each.subject) for each in check(bench)]


def out_of_its_index(bench: Bench, client: Any, prefix: str) -> str:
    job_id = bench.submit()
    client.zrem(prefix + "ready", job_id)
    return job_id


def in_two(bench: Bench, client: Any, prefix: str) -> str:
    job_id = bench.submit()
    client.zadd(prefix + "due", {job_id: bench.now * 1000})
    return job_id


def in_flight(bench: Bench, client: Any, prefix: str) -> str:
    job_id = bench.submit()
    client.zadd(prefix + "in-flight:main", {job_id: bench.now * 1000})
    return job_id


def of_no_record(_: Bench, client: Any, prefix: str) -> str:
    client.zadd(prefix + "in-flight:main", {"gone": 1})
    return "gone"


def without_a_slot(bench: Bench, client: Any, prefix: str) -> str:
    job_id = bench.generating()
    client.zrem(prefix + "in-flight:main", job_id)
    return job_id


def a_doubt(bench: Bench, client: Any, prefix: str) -> str:
    job_id, _ = bench.sending()
    bench.ledger.jobs.doubt(job_id, 1, {"cause": "timeout"}, grace=60.0)
    client.zrem(prefix + "doubts", job_id)
    return job_id


def for_ever(bench: Bench, client: Any, prefix: str) -> str:
    job_id = bench.generating()
    bench.ledger.jobs.fail(job_id, GenerationFailed("no"), [JobState.GENERATING])
    client.hdel(prefix + "job:" + job_id, "tasks")
    bench.stored(job_id)
    client.persist(prefix + "job:" + job_id)
    return job_id


def a_task(_: Bench, client: Any, prefix: str) -> str:
    client.set(prefix + "task:t1", "a")
    return "task:t1"


def a_stranger(_: Bench, client: Any, prefix: str) -> str:
    client.set(prefix + "whatever", "a")
    return "whatever"


def another_type(_: Bench, client: Any, prefix: str) -> str:
    client.set(prefix + "doubts", "a")
    return "doubts"


def a_damaged_record(bench: Bench, client: Any, prefix: str) -> str:
    job_id = bench.submit()
    client.hset(prefix + "job:" + job_id, "turn", "x")
    return job_id


def lanes(bench: Bench, client: Any, prefix: str) -> str:
    bench.submit()
    client.hincrby(prefix + "lanes:waiting:5", "", 1)
    return "lanes:waiting:5"


def money(_: Bench, client: Any, prefix: str) -> str:
    client.hincrby(prefix + "money:held", "held", 7)
    return "money:held"


SPOILT: Final[dict[str, tuple[Spoil, bool]]] = {
    "in_no_index": (out_of_its_index, True),
    "in_two_indexes": (in_two, False),
    "slot_of_nobody": (in_flight, True),
    "no_record": (of_no_record, True),
    "slot_without_entry": (without_a_slot, False),
    "doubt_not_listed": (a_doubt, True),
    "never_expires": (for_ever, True),
    "no_ttl": (a_task, True),
    "unknown_key": (a_stranger, False),
    "wrong_type": (another_type, False),
    "unreadable": (a_damaged_record, False),
    "sum": (lanes, False),
    "sum of money": (money, False),
}
"""By the kind of the finding: how to break it, and whether it can be repaired."""


@pytest.mark.parametrize("kind", SPOILT)
def test_a_contradiction_is_found_and_repaired_if_that_is_safe(bench: Bench, kind: str) -> None:
    spoil, mends = SPOILT[kind]
    bench.spoilt = not mends
    bench.claim()
    subject = spoil(bench, bench.client, bench.ledger.prefix)
    assert found(bench) == [(kind.split(" ")[0], subject)]
    assert [each.repaired for each in check(bench, repair=True)] == [mends]
    assert bool(found(bench)) is not mends
    if not mends:
        # A key that nobody knows stays for ever.
        bench.client.flushdb()


@pytest.mark.parametrize("name", [name for name in MOMENTS if "recall" not in name])
def test_nothing_contradicts_itself_at_any_moment_of_a_job(bench: Bench, name: str) -> None:
    script = MOMENTS[name](bench)
    for _ in range(2):
        assert [each for each in check(bench) if each.kind != "unreadable"] == []
        bench.ledger.store.run(script)


def test_a_repaired_job_goes_on(bench: Bench) -> None:
    bench.claim()
    job_id = out_of_its_index(bench, bench.client, bench.ledger.prefix)
    assert bench.claim().steps == []
    check(bench, repair=True)
    assert [step.job_id for step in bench.claim().steps] == [job_id]


def test_jobs_under_way_are_no_contradiction(bench: Bench, valkey_url: str) -> None:
    other = Ledger(bench.client)
    stopped = threading.Event()
    told: list[Contradiction] = []

    def walk() -> None:
        while not stopped.is_set():
            told.extend(other.check.run())

    thread = threading.Thread(target=walk)
    thread.start()
    for number in range(60):
        job_id = bench.generating(f"fox {number}")
        bench.succeed(job_id)
        bench.stored(job_id)
        bench.now += 1.0
    stopped.set()
    thread.join()
    assert told == []


def test_the_walk_sees_many_keys(bench: Bench) -> None:
    bench.spoilt = True
    bench.ledger.jobs.submit_many([new(f"fox {number}") for number in range(350)])
    bench.client.zrem(
        bench.ledger.prefix + "ready", *bench.client.zrange(bench.ledger.prefix + "ready", 0, 249)
    )
    assert sum(kind == "in_no_index" for kind, _ in found(bench)) == 250
    # Jobs without an index stay for ever.
    bench.client.flushdb()
