"""Ids and keys that come again: with the same request or another one, before and after the record's end."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from limner.ledger import Submission, Submitted
from limner.ledger.layout.keys import JOB, LOG, TAKEN
from limner.status import JobState
from tests.integration.limner.ledger.conftest import START, Bench, new

MEMORY = 1000.0


def message(prompt: str = "a fox", *, too_old: bool = False) -> Submission:
    """The submission of a plain message with the id ``mine``."""
    return replace(new(prompt, job_id="mine"), remember=MEMORY, too_old=too_old)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def expire(bench: Bench, job_id: str) -> None:
    """Remove what has a time to live after a job's end, as Redis does."""
    for key in (JOB, LOG):
        assert bench.client.pttl(key(bench.ledger.prefix, job_id)) > 0
        bench.client.delete(key(bench.ledger.prefix, job_id))


def ended(bench: Bench) -> None:
    """Take the job of a message to its end, and let its record expire."""
    bench.ledger.jobs.submit(message())
    grant = bench.ledger.jobs.begin("mine", bench.claim_one().lease, "token", deadline=900)
    assert not isinstance(grant, str)
    bench.ledger.jobs.accepted("mine", grant.attempt, "task", poll_in=2)
    bench.succeed("mine")
    assert bench.stored("mine")
    expire(bench, "mine")


def test_a_message_that_comes_again_after_the_record_has_expired_makes_no_job(bench: Bench) -> None:
    ended(bench)
    bench.now += 60
    first = message()
    told = bench.ledger.jobs.submit(first)
    assert told == Submitted("gone", "mine", first.digest, at(0), at(60))
    assert bench.ledger.jobs.read("mine") is None
    assert bench.claim().steps == []


def test_the_forgotten_job_s_request_is_known_by_its_digest(bench: Bench) -> None:
    ended(bench)
    told = bench.ledger.jobs.submit(message("a hen"))
    assert (told.outcome, told.digest) == ("gone", message("a fox").digest)


def test_an_id_is_remembered_for_its_time_and_no_longer(bench: Bench) -> None:
    bench.ledger.jobs.submit(message())
    key = TAKEN(bench.ledger.prefix, "mine")
    assert MEMORY - 60 < bench.client.pttl(key) / 1000 <= MEMORY


def test_the_ids_of_other_submits_are_not_remembered(bench: Bench) -> None:
    job_id = bench.submit(idempotency_key="order 7")
    assert not bench.client.exists(TAKEN(bench.ledger.prefix, job_id))


def test_a_message_that_is_older_than_the_memory_makes_no_job(bench: Bench) -> None:
    assert bench.ledger.jobs.submit(message(too_old=True)) == Submitted("too_old", "mine")
    assert not bench.client.exists(TAKEN(bench.ledger.prefix, "mine"))
    assert bench.claim().steps == []


def test_an_old_message_of_a_job_that_is_there_still_is_known(bench: Bench) -> None:
    bench.ledger.jobs.submit(message())
    assert bench.ledger.jobs.submit(message(too_old=True)).outcome == "known"


@pytest.mark.parametrize("damaged", ["", "x", "-1 d", "x d"])
def test_a_damaged_memory_is_none(bench: Bench, damaged: str) -> None:
    bench.client.set(TAKEN(bench.ledger.prefix, "mine"), damaged)
    assert bench.ledger.jobs.submit(message()).outcome == "created"


def test_a_memory_of_a_time_to_come_can_be_read(bench: Bench) -> None:
    bench.client.set(TAKEN(bench.ledger.prefix, "mine"), "9" * 30 + " d", ex=60)
    assert bench.ledger.jobs.submit(message()) == Submitted("gone", "mine", "d", at(0), at(0))


def test_the_same_id_with_another_request_is_a_conflict_and_changes_nothing(bench: Bench) -> None:
    first, other = message("a fox"), message("a hen")
    bench.ledger.jobs.submit(first)
    before = bench.client.hgetall(JOB(bench.ledger.prefix, "mine"))
    bench.now += 5
    assert bench.ledger.jobs.submit(other) == Submitted("conflict", "mine", first.digest, at(0), at(5))
    assert bench.client.hgetall(JOB(bench.ledger.prefix, "mine")) == before
    assert bench.state("mine") == JobState.QUEUED
    *_, entry = bench.ledger.journal.log("mine")
    assert (entry.event, entry.detail) == ("conflict", {"digest": first.digest, "other": other.digest})


def test_the_same_key_with_another_request_tells_both_requests_and_both_times(bench: Bench) -> None:
    first = new("a fox", idempotency_key="order 7")
    bench.ledger.jobs.submit(first)
    bench.now += 5
    told = bench.ledger.jobs.submit(new("a hen", idempotency_key="order 7"))
    assert told == Submitted("conflict", first.job_id, first.digest, at(0), at(5))
    assert bench.events(first.job_id) == ["submitted", "conflict"]


def test_many_conflicts_in_a_row_do_not_push_the_job_s_history_out(bench: Bench) -> None:
    bench.ledger.jobs.submit(message())
    for number in range(300):
        assert bench.ledger.jobs.submit(message(f"hen {number}")).outcome == "conflict"
    assert bench.events("mine") == ["submitted", "conflict"]


@pytest.mark.parametrize("created", ["x", "-1", "1e300"])
def test_a_conflict_with_a_damaged_time_can_be_read(bench: Bench, created: str) -> None:
    job_id = bench.submit("a fox", idempotency_key="order 7")
    bench.client.hset(JOB(bench.ledger.prefix, job_id), "created", created)
    told = bench.ledger.jobs.submit(new("a hen", idempotency_key="order 7"))
    assert (told.outcome, told.created_at) == ("conflict", datetime.fromtimestamp(0, UTC))
