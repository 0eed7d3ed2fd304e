"""The waits of a process: which record is read when, and who is told what."""

import pytest

from limner.errors import RecordUnreadable, StoreUnavailable, UnknownJob, WaitTimeout
from limner.ledger import Record
from limner.ledger.layout.constants import VERSION
from limner.watches import Watch, Watches

FIELDS = {
    "v": str(VERSION),
    "state": "queued",
    "request": '{"prompt": "a fox"}',
    "metadata": "{}",
    "priority": "5",
    "lease": "1",
    "attempt": "1",
    "polls": "1",
    "created": "1800000000000",
}


def record(job_id: str, state: str = "queued", **fields: str) -> Record:
    return Record.from_hash(job_id, {**FIELDS, "state": state, **fields})


class Bench:
    """Waits that began at 0, and what they were told."""

    def __init__(self) -> None:
        self.watches = Watches(0.0)
        self.told: dict[str, Record | Exception] = {}

    def add(self, job_id: str, name: str = "", *, began: float = 0.0, **options: object) -> Watch:
        def tell(answer: Record | Exception) -> None:
            assert (name or job_id) not in self.told
            self.told[name or job_id] = answer

        watch = Watch(job_id, str(options.pop("namespace", "")), tell, began, **options)  # type: ignore[arg-type]
        self.watches.add(watch)
        return watch

    def begin(self, *job_ids: str) -> None:
        """Have the subscriptions confirmed and the records read at 0."""
        for job_id in job_ids:
            self.watches.confirmed(job_id)
        while due := self.watches.due(0.0):
            for job_id in due:
                self.watches.found(job_id, record(job_id), 0.0)

    def read(self, now: float, state: str = "queued") -> list[str]:
        """Read all that is due."""
        due = self.watches.due(now)
        for job_id in due:
            self.watches.found(job_id, record(job_id, state), now)
        return due


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_wait_reads_twice(bench: Bench) -> None:
    bench.add("a")
    assert bench.watches.due(0.1) == []
    bench.watches.confirmed("a")
    assert bench.read(0.1) == ["a"]
    assert bench.watches.due(1.0) == []
    bench.watches.told("a")
    assert bench.read(1.1, "succeeded") == ["a"]
    assert bench.told["a"] == record("a", "succeeded")
    assert len(bench.watches) == 0
    assert bench.watches.due(10.0) == []


def test_several_waits_for_a_job_share_its_reads(bench: Bench) -> None:
    bench.add("a", "first")
    bench.begin("a")
    bench.add("a", "second", began=1.0)
    assert bench.read(1.0) == ["a"]
    bench.watches.told("a")
    assert bench.read(2.0, "failed") == ["a"]
    assert set(bench.told) == {"first", "second"}


def test_what_is_announced_while_its_record_is_read_is_read_again(bench: Bench) -> None:
    bench.add("a")
    bench.watches.confirmed("a")
    [job_id] = bench.watches.due(0.0)
    bench.watches.told("a")
    bench.watches.found(job_id, record("a"), 0.1)
    assert bench.read(0.1, "succeeded") == ["a"]
    assert "a" in bench.told


def test_a_subscription_that_is_not_confirmed_is_waited_for_and_not_for_long(bench: Bench) -> None:
    bench.add("a")
    assert bench.watches.due(Watches.CONFIRMATION - 0.1) == []
    assert bench.read(Watches.CONFIRMATION) == ["a"]
    bench.watches.hears(False)
    bench.add("b", began=3.0)
    assert bench.watches.pause(3.0) == 0.0
    assert bench.read(3.0) == ["b"]


def test_at_its_deadline_a_wait_reads_for_a_last_time(bench: Bench) -> None:
    for job_id in ("ended", "goes on"):
        bench.add(job_id, timeout=2.0)
        bench.add(job_id, f"{job_id}, patient")
    bench.begin("ended", "goes on")
    assert bench.watches.pause(0.5) == 1.5
    assert bench.watches.due(2.0) == ["ended", "goes on"]
    bench.watches.found("ended", record("ended", "succeeded"), 2.0)
    bench.watches.found("goes on", record("goes on"), 2.0)
    assert isinstance(bench.told["ended"], Record)
    error = bench.told["goes on"]
    assert isinstance(error, WaitTimeout)
    assert str(error) == "job goes on is still queued after 2.0 s; it goes on, ask again later"
    assert set(bench.told) == {"ended", "ended, patient", "goes on"}


@pytest.mark.parametrize("found", [None, record("a", namespace="blog")])
def test_a_job_that_is_not_there_or_anothers_is_unknown_at_once(bench: Bench, found: Record | None) -> None:
    bench.add("a", namespace="shop")
    bench.watches.confirmed("a")
    [job_id] = bench.watches.due(0.0)
    bench.watches.found(job_id, found, 0.0)
    assert isinstance(bench.told["a"], UnknownJob)


def test_a_record_that_cannot_be_read_is_told_to_its_own_waits_alone(bench: Bench) -> None:
    bench.add("a")
    bench.add("b")
    bench.begin("b")
    error = RecordUnreadable("broken")
    bench.watches.found("a", error, 0.0)
    assert bench.told == {"a": error}


def test_announced_ends_are_read_before_new_waits(bench: Bench) -> None:
    many = [str(number) for number in range(3 * Watches.BATCH)]
    for job_id in ["old", *many]:
        bench.add(job_id)
    bench.begin("old")
    for job_id in many:
        bench.watches.confirmed(job_id)
    bench.watches.told("old")
    assert bench.watches.due(1.0) == ["old", *many[: Watches.BATCH - 1]]


def test_a_wait_that_was_given_up_reads_nothing(bench: Bench) -> None:
    watch = bench.add("a", timeout=3.0)
    bench.watches.confirmed("a")
    bench.watches.discard(watch)
    bench.watches.discard(watch)
    bench.watches.told("a")
    assert bench.watches.due(4.0) == []
    assert "a" not in bench.watches


# Lost messages


def many_waits(bench: Bench, count: int) -> list[str]:
    jobs = [str(number) for number in range(count)]
    for job_id in jobs:
        bench.add(job_id)
    bench.begin(*jobs)
    return jobs


def reads(bench: Bench, begin: int, end: int, state: str = "queued") -> list[str]:
    """The records that are read in a span of seconds."""
    found: list[str] = []
    for tenth in range(10 * begin, 10 * end):
        while due := bench.read(tenth / 10, state):
            found += due
    return found


def test_few_waits_are_all_read_again_every_five_seconds(bench: Bench) -> None:
    jobs = many_waits(bench, Watches.FEW)
    assert reads(bench, 1, 5) == []
    assert reads(bench, 5, 10) == jobs
    assert reads(bench, 10, 15) == jobs


def test_many_waits_are_read_again_in_turn(bench: Bench) -> None:
    jobs = many_waits(bench, 18_000)
    found = reads(bench, 0, 60)
    assert len(found) == 11 * 50
    assert found == jobs[: 11 * 50]


def test_a_lost_message_has_all_read_again_soon_but_not_at_once(bench: Bench) -> None:
    jobs = many_waits(bench, 2_000)
    [first, *_] = reads(bench, 5, 6, "succeeded")
    assert first == jobs[0]
    after = reads(bench, 6, 16)
    assert set(after) >= set(bench.watches)
    assert len(after) <= 10 * Watches.STORM
    second = reads(bench, 16, 17)
    assert len(second) <= Watches.STORM


def test_an_end_that_was_announced_just_before_its_read_was_not_lost(bench: Bench) -> None:
    jobs = many_waits(bench, 2_000)
    due = bench.watches.due(5.0)
    for job_id in due:
        bench.watches.told(job_id)
        bench.watches.found(job_id, record(job_id, "succeeded"), 5.0)
    assert len(reads(bench, 6, 16)) < len(jobs) / 10


def test_without_a_subscription_all_are_read_again_soon(bench: Bench) -> None:
    jobs = many_waits(bench, 1_500)
    bench.watches.hears(False)
    assert set(reads(bench, 5, 10)) == set(jobs)


# Outages


def test_an_outage_is_borne_for_half_a_minute_from_the_first_failure_or_the_begin_of_the_wait(
    bench: Bench,
) -> None:
    bench.add("old")
    bench.begin("old")
    error = StoreUnavailable("away")
    bench.watches.told("old")
    assert bench.watches.due(100.0)[0] == "old"
    bench.watches.failed(error, 100.0)
    assert bench.watches.due(100.1) == []
    assert bench.watches.pause(100.1) == pytest.approx(0.1)
    bench.add("new", began=120.0)
    assert bench.watches.due(129.9)[0] == "old"
    bench.watches.failed(error, 129.9)
    assert bench.told == {}
    bench.watches.failed(error, 130.0)
    assert str(bench.told["old"]) == "away"
    assert bench.told["old"] is not error
    bench.watches.failed(error, 149.9)
    assert "new" not in bench.told
    bench.watches.failed(error, 150.0)
    assert "new" in bench.told


def test_an_outage_that_ends_in_time_is_forgotten(bench: Bench) -> None:
    bench.add("a")
    bench.begin("a")
    bench.watches.told("a")
    bench.watches.due(100.0)
    bench.watches.failed(StoreUnavailable("away"), 100.0)
    assert bench.read(120.0) == ["a"]
    bench.watches.failed(StoreUnavailable("away"), 140.0)
    assert bench.told == {}


def test_a_deadline_in_an_outage_ends_in_its_error(bench: Bench) -> None:
    bench.add("a", timeout=2.0)
    bench.watches.due(2.0)
    bench.watches.failed(StoreUnavailable("away"), 2.0)
    assert isinstance(bench.told["a"], StoreUnavailable)


def test_the_waits_of_an_owner_are_its_own(bench: Bench) -> None:
    mine, other = object(), object()
    watch = bench.add("a", owner=mine)
    bench.add("b", owner=other)
    assert bench.watches.owned(mine) == [watch]
    assert len(bench.watches.owned(None)) == 2
