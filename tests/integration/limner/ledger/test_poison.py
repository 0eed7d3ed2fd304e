"""Whatever somebody writes into an index or a hash of the ledger, other jobs go on."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
import redis

from limner.errors import RecordUnreadable
from limner.ledger import Ledger, Quota
from limner.ledger.layout.constants import AUDIT
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.moments import CLOSING, ERROR, MONEY
from tests.integration.limner.ledger.test_all_or_nothing import damages

INDEXES: Final = (
    *("due", "ready", "ready:main", "ready:polls:main", "over-budget", "over-budget:day", "expiring"),
    *("copies", "copies:failed", "active", "open", "maintained", "registrations", "lanes:5"),
    *("window:create:main", "window:answer:main", "window:poll:main", "in-flight:main", "doubts", "apart"),
)
MEMBERS: Final = (
    b"",
    b"\xff\xfe\x00\n",
    b"x" * 100_000,
    b"{other}:1",
    *(b"gone-%d" % at for at in range(150)),
)
SCORES: Final = (-math.inf, -1.0, 0.5, 1e15, 1e300, math.inf)
PATIENCE: Final = 130.0
"""Seconds in which a claim, a registration or the housekeeping has made good what can be made good."""
QUOTA: Final = Quota(20, 10.0, 10, 1.0, 100)
OTHER: Final = replace(QUOTA, account="other")


@pytest.fixture
def raw(valkey_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


class Fleet:
    """A worker that registers every minute of the test's clock, as a real one does."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.ledger = Ledger(bench.client, clock=lambda: bench.now)
        self._registered = bench.now

    def steps(self) -> Iterator[tuple[str, str]]:
        """The steps that are claimed until the patience ends: the job, and the step."""
        end = self._bench.now + PATIENCE
        while self._bench.now < end:
            if self._bench.now >= self._registered + 60:
                self.ledger = Ledger(self._bench.client, clock=lambda: self._bench.now)
                self._registered = self._bench.now
            claimed = self.ledger.queue.claim(QUOTA, OTHER, money=MONEY, copies=2)
            yield from ((step.job_id, step.step) for step in claimed.steps)
            self.ledger.queue.maintain()
            self._bench.now += 5.0

    def sends(self, job_id: str) -> bool:
        return (job_id, "create") in self.steps()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("index", INDEXES)
def test_poisoned_entries_of_an_index_stop_nobody(bench: Bench, raw: Any, index: str, score: float) -> None:
    fleet = Fleet(bench)
    generating = bench.generating("an owl", poll_in=0.0)
    raw.zadd(bench.ledger.prefix + index, dict.fromkeys(MEMBERS, score))
    assert (generating, "poll") in fleet.steps()
    assert fleet.sends(bench.submit())
    assert fleet.sends(bench.submit("a hare", account="main"))


@pytest.mark.parametrize("score", SCORES)
def test_entries_of_jobs_with_absurd_scores_come_back(bench: Bench, raw: Any, score: float) -> None:
    fleet = Fleet(bench)
    job_id = bench.generating(poll_in=600.0)
    bench.ledger.queue.claim(QUOTA, OTHER)
    for key in raw.keys("*"):
        if raw.type(key) == b"zset":
            for member in raw.zrange(key, 0, -1):
                raw.zadd(key, {member: score})
    assert (job_id, "poll") in fleet.steps()
    assert fleet.sends(bench.submit("a hare"))


def test_a_slot_with_an_absurd_time_is_audited(bench: Bench, raw: Any) -> None:
    fleet = Fleet(bench)
    raw.zadd(bench.ledger.prefix + "in-flight:main", {f"gone-{at}": math.inf for at in range(100)})
    raw.zadd(bench.ledger.prefix + "in-flight:other", {f"gone-{at}": 1e14 for at in range(100)})
    assert fleet.sends(bench.submit())
    assert raw.zcard(bench.ledger.prefix + "in-flight:other") <= AUDIT


def populated(bench: Bench) -> None:
    """Jobs in many states, a paused account, and money that is held."""
    jobs = bench.ledger.jobs
    bench.ledger.queue.claim(QUOTA, OTHER, money=MONEY)
    jobs.submit_many([new(f"fox {number}", lane="a", expires_in=600.0) for number in range(4)])
    steps = bench.ledger.queue.claim(QUOTA, OTHER, money=MONEY).steps
    for step in steps:
        jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900, money=MONEY)
    accepted, doubtful, refused, _ = (step.job_id for step in steps)
    jobs.accepted(accepted, 1, "t1", poll_in=0.0)
    jobs.doubt(doubtful, 1, ERROR, grace=5.0)
    jobs.retry(refused, 1, ERROR, delay=1.0, pause=CLOSING)
    jobs.submit_many([new("a hare", account="main"), new("an owl", account="other")])
    bench.now += 1.0
    bench.ledger.queue.claim(QUOTA, OTHER, money=MONEY)


def test_no_damage_to_a_key_stops_the_others(bench: Bench, raw: Any) -> None:
    populated(bench)
    bench.spoilt = True
    start, now = {key: raw.dump(key) for key in raw.keys("*")}, bench.now
    stopped = []
    for key in start:
        # A record is set apart (test_apart.py). Another layout is refused as a whole.
        if b":job:" in key or b":log:" in key or key.endswith(b":layout"):
            continue
        for what, damage in list(damages(raw, key)):
            raw.flushdb()
            for each, dump in start.items():
                raw.restore(each, 0, dump)
            bench.now = now
            damage(raw)
            try:
                if not Fleet(bench).sends(bench.submit("a hen")):
                    stopped.append(f"{key!r} {what}: the job is not sent")
            except Exception as error:
                stopped.append(f"{key!r} {what}: {error!r}")
        raw.flushdb()
        for each, dump in start.items():
            raw.restore(each, 0, dump)
    assert stopped == [], "\n".join(stopped)


def test_a_job_of_an_impossible_id_stops_nobody(bench: Bench, raw: Any) -> None:
    fleet, odd = Fleet(bench), b"\xff\xfe\n"
    other = bench.submit()
    prefix = bench.ledger.prefix.encode()
    raw.copy(prefix + b"job:" + other.encode(), prefix + b"job:" + odd)
    for index in (b"due", b"copies", b"expiring", b"apart", b"doubts"):
        raw.zadd(prefix + index, {odd: 1})
    assert fleet.sends(other)
    assert {"no_text"} == {each.kind for each in bench.ledger.check.run() if "\\x" in each.subject}
    # Listing them is no problem either.
    assert [*bench.ledger.jobs.doubts(), *bench.ledger.copies.waiting()] == []
    assert [each.job_id for each in bench.ledger.jobs.broken()] in ([], ["\\xff\\xfe\n"])


@pytest.mark.parametrize("layout", ["", "x", "nan"])
def test_a_layout_that_is_no_number_is_refused_with_a_word(bench: Bench, raw: Any, layout: str) -> None:
    bench.claim()
    raw.set(bench.ledger.prefix + "layout", layout)
    with pytest.raises(RecordUnreadable, match="the layout of the ledger is no number"):
        bench.submit()
