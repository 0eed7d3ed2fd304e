"""Losses of the ledger's data: the fleet finds that it was emptied, or that it has gone back."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from limner.ledger import Claim, Claimed, Grant, Ledger, Loss
from tests.integration.limner.ledger.conftest import Bench

WINDOW = 11.0
"""Longer than a window of the quota with its margin, in seconds."""


class Worker:
    """A worker with a memory of its own."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.ledger = Ledger(bench.client, clock=lambda: bench.now)

    def claim(self) -> Claimed:
        return self.ledger.queue.claim(self._bench.quota)

    def begin(self, step: Claim) -> object:
        return self.ledger.jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900)

    def send(self) -> str:
        [step] = self.claim().steps
        assert isinstance(self.begin(step), Grant)
        return step.job_id


class Snapshots:
    """Takes snapshots of the whole server, and goes back to one."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def take(self) -> dict[bytes, bytes]:
        return {key: self._raw.dump(key) for key in self._raw.keys("*")}

    def restore(self, snapshot: dict[bytes, bytes]) -> None:
        self._raw.flushdb()
        for key, dump in snapshot.items():
            self._raw.restore(key, 0, dump)


@pytest.fixture
def snapshots(valkey_url: str) -> Iterator[Snapshots]:
    with redis.Redis.from_url(valkey_url) as raw:
        yield Snapshots(raw)


@pytest.fixture
def one(bench: Bench) -> Worker:
    return Worker(bench)


@pytest.fixture
def other(bench: Bench) -> Worker:
    return Worker(bench)


def events(bench: Bench) -> list[str]:
    return [entry["event"] for _, entry in bench.client.xrange(bench.ledger.prefix + "events")]


def creates(claimed: Claimed) -> list[str]:
    return [step.job_id for step in claimed.steps if step.step == "create"]


def test_a_worker_tells_once_that_the_ledger_was_emptied(bench: Bench, one: Worker, other: Worker) -> None:
    assert one.claim().loss is None
    other.claim()
    bench.client.flushdb()
    assert one.claim().loss == Loss("emptied", 0, 0)
    assert one.claim().loss is None
    assert other.claim().loss == Loss("known", 0, 0)
    assert events(bench).count("emptied") == 1


def test_the_tasks_of_an_emptied_ledger_are_kept_for_a_person(bench: Bench, one: Worker) -> None:
    bench.submit()
    answered = one.send()
    one.ledger.jobs.accepted(answered, 1, "t1", poll_in=2.0)
    bench.submit("a hare")
    waiting = one.send()
    bench.client.flushdb()
    assert one.claim().loss == Loss("emptied", 0, 1)
    # The second one's answer comes only now.
    one.ledger.jobs.accepted(waiting, 1, "t2", poll_in=2.0)
    kept = bench.ledger.journal.unmatched_callbacks()
    assert {(each.job_id, each.task_id) for each in kept} == {(answered, "t1"), (waiting, "t2")}


def test_after_a_loss_nothing_is_sent_for_one_window(bench: Bench, one: Worker) -> None:
    one.claim()
    bench.client.flushdb()
    one.claim()
    job_id = bench.submit()
    claimed = one.claim()
    assert creates(claimed) == []
    bench.now += claimed.wait
    while not (found := creates(one.claim())):
        bench.now += 1.0
        assert bench.now < 1_800_000_000 + WINDOW + 2
    assert found == [job_id]
    assert bench.now >= 1_800_000_000 + bench.quota.creates_span


def test_an_answer_that_is_lost_is_written_again(bench: Bench, one: Worker, snapshots: Snapshots) -> None:
    one.claim()
    job_id = bench.submit()
    snapshot = snapshots.take()
    assert one.send() == job_id
    one.ledger.jobs.accepted(job_id, 1, "t1", poll_in=2.0)
    snapshots.restore(snapshot)
    assert bench.state(job_id) == "queued"

    assert one.claim().loss == Loss("rolled_back", 1, 0)
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert (record.state, record.task_id, record.attempt) == ("generating", "t1", 1)
    assert record.tokens == {1: f"token {job_id}"}
    assert bench.events(job_id)[-2:] == ["restored", "generating"]
    assert events(bench).count("rolled_back") == 1


def test_a_lost_attempt_without_an_answer_is_on_the_wire_again(
    bench: Bench, one: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    job_id = bench.submit()
    snapshot = snapshots.take()
    one.send()
    snapshots.restore(snapshot)
    assert one.claim().loss == Loss("rolled_back", 1, 0)
    assert bench.state(job_id) == "sending"
    one.ledger.jobs.accepted(job_id, 1, "t1", poll_in=2.0)
    assert bench.state(job_id) == "generating"


def test_a_lost_attempt_that_was_refused_is_sent_again(
    bench: Bench, one: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    job_id = bench.submit()
    snapshot = snapshots.take()
    one.send()
    one.ledger.jobs.retry(job_id, 1, {"cause": "unavailable"}, delay=1.0)
    snapshots.restore(snapshot)
    assert one.claim().loss == Loss("rolled_back", 0, 0)
    bench.now += WINDOW
    assert creates(one.claim()) == [job_id]


def test_a_worker_that_has_not_told_what_it_knows_sends_nothing(
    bench: Bench, one: Worker, other: Worker, snapshots: Snapshots
) -> None:
    bench.submit("a hare")
    one.claim()
    [step] = [Claim(job, "create", 1) for job in bench.client.zrange(bench.ledger.prefix + "due", 0, -1)]
    other.claim()
    snapshot = snapshots.take()
    bench.submit()
    one.claim()
    snapshots.restore(snapshot)
    # Its lease is good, and the data is older than what the worker has seen.
    assert one.begin(step) == "stale"
    assert one.claim().loss == Loss("rolled_back", 0, 0)
    # To the other one, the new epoch says so.
    assert other.begin(step) == "stale"
    assert other.claim().loss == Loss("known", 0, 0)


def test_an_old_job_that_nobody_remembers_is_in_doubt(
    bench: Bench, one: Worker, other: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    other.claim()
    sent = bench.submit()
    snapshot = snapshots.take()
    assert one.send() == sent
    other.claim()
    snapshots.restore(snapshot)
    # The first worker has died meanwhile, and what it knew is gone.
    assert other.claim().loss == Loss("rolled_back", 0, 0)
    bench.now += WINDOW
    new = bench.submit("a hare")
    assert creates(other.claim()) == [new]
    record = bench.ledger.jobs.read(sent)
    assert record
    assert (record.state, record.doubtful, record.last_error) == (
        "in_doubt",
        1,
        {"cause": "ledger_gap", "message": record.last_error and record.last_error["message"]},
    )
    # Once somebody has decided, it is sent.
    assert bench.ledger.jobs.resubmit(sent) == 1
    assert creates(other.claim()) == [sent]


def test_an_old_job_is_sent_if_all_lost_attempts_are_known(
    bench: Bench, one: Worker, other: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    other.claim()
    first, second = bench.submit(), bench.submit("a hare")
    snapshot = snapshots.take()
    [step, _] = one.claim().steps
    one.begin(step)
    other.claim()
    snapshots.restore(snapshot)
    other.claim()
    assert one.claim().loss == Loss("known", 1, 0)
    assert (bench.state(first), bench.state(second)) == ("sending", "queued")
    bench.now += WINDOW
    assert second in creates(other.claim())


def test_attempts_are_on_record_again_after_the_same_snapshot_was_restored_twice(
    bench: Bench, one: Worker, other: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    other.claim()
    job_id = bench.submit()
    snapshot = snapshots.take()
    assert one.send() == job_id
    snapshots.restore(snapshot)
    assert one.claim().loss == Loss("rolled_back", 1, 0)
    other.claim()
    snapshots.restore(snapshot)
    # The epoch is the first one again, which no worker expects.
    assert other.claim().loss == Loss("emptied", 0, 0)
    assert one.claim().loss == Loss("known", 1, 0)
    assert bench.state(job_id) == "sending"


def test_attempts_are_on_record_again_after_an_emptied_ledger_has_come_back(
    bench: Bench, one: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    job_id = bench.submit()
    snapshot = snapshots.take()
    assert one.send() == job_id
    bench.client.flushdb()
    assert one.claim().loss == Loss("emptied", 0, 0)
    snapshots.restore(snapshot)
    found = one.claim().loss
    assert found
    assert found.restored == 1
    bench.now += WINDOW
    assert creates(one.claim()) == []
    one.ledger.jobs.accepted(job_id, 1, "t1", poll_in=2.0)
    assert bench.state(job_id) == "generating"


def test_another_server_is_quiet_until_all_workers_have_claimed(bench: Bench, one: Worker) -> None:
    one.claim()
    job_id = bench.submit()
    bench.client.hset(bench.ledger.prefix + "epoch", "server", "another one")
    claimed = one.claim()
    assert claimed.loss is None
    assert creates(claimed) == []
    assert 0 < claimed.wait <= 3.1
    bench.now += 3.1
    assert creates(one.claim()) == [job_id]


def test_a_callback_for_an_attempt_that_is_lost_is_kept(
    bench: Bench, one: Worker, other: Worker, snapshots: Snapshots
) -> None:
    one.claim()
    other.claim()
    job_id = bench.submit()
    snapshot = snapshots.take()
    one.send()
    other.claim()
    snapshots.restore(snapshot)
    other.claim()
    bench.now += WINDOW
    other.claim()
    assert bench.state(job_id) == "in_doubt"
    assert bench.ledger.jobs.called_back(job_id, f"token {job_id}", "t1") == "bad_token"
    [kept] = bench.ledger.journal.unmatched_callbacks()
    assert (kept.job_id, kept.task_id) == (job_id, "t1")
