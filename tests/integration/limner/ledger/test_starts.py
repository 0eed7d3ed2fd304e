"""Jobs that have a start: they wait in ``due``, and no worker has anything to do with them until then."""

from dataclasses import replace

import pytest

from limner.errors import Cancelled, RecordUnreadable
from limner.ledger import Submission
from limner.status import JobState
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import record


def starting(bench: Bench, seconds: float = 60.0, **options: object) -> str:
    submission: Submission = replace(new("later", **options), starts_in=seconds)
    return bench.ledger.jobs.submit(submission).job_id


def test_a_job_is_not_sent_before_its_start(bench: Bench) -> None:
    job_id = starting(bench)
    assert bench.indexes(job_id) == ["due"]
    bench.now += 59.999
    assert bench.claim().steps == []
    bench.now += 0.001
    assert bench.claim_one().job_id == job_id


def test_jobs_without_a_start_do_not_wait_for_it(bench: Bench) -> None:
    starting(bench)
    job_id = bench.submit("now")
    assert bench.claim_one().job_id == job_id


def test_a_dispatcher_wakes_at_the_start(bench: Bench) -> None:
    starting(bench)
    assert bench.claim().wait == pytest.approx(60.0)


def test_its_status_and_its_log_have_the_start(bench: Bench) -> None:
    bench.claim()
    job_id = starting(bench)
    status = bench.ledger.store.ask(bench.ledger.statuses.of(record(bench, job_id)))
    assert (status.state, status.position) == (JobState.QUEUED, None)
    assert status.next_step_at
    assert status.next_step_at.timestamp() == bench.now + 60
    assert status.starts_at
    assert status.starts_at.timestamp() >= bench.now + 60
    assert bench.ledger.journal.log(job_id)[0].detail == {"next": 60_000}


def test_it_can_be_cancelled_and_costs_nothing(bench: Bench) -> None:
    job_id = starting(bench)
    unsent, sent = Cancelled("unsent", {"charged": "no"}), Cancelled("sent")
    assert bench.ledger.jobs.cancel(job_id, unsent, sent) is JobState.QUEUED
    assert [(step.job_id, step.step) for step in bench.claim().steps] == [(job_id, "recover")]
    failure = record(bench, job_id).failure
    assert isinstance(failure, Cancelled)
    assert failure.charged == "no"


def test_it_can_expire_before_its_start(bench: Bench) -> None:
    job_id = starting(bench, expires_in=30.0)
    bench.now += 30.0
    bench.claim()
    assert record(bench, job_id).state is JobState.EXPIRED


def test_a_repeated_submission_does_not_change_the_start(bench: Bench) -> None:
    job_id = starting(bench, job_id="job-1")
    bench.now += 10.0
    assert starting(bench, seconds=600.0, job_id="job-1") == job_id
    bench.now += 50.0
    assert bench.claim_one().job_id == job_id


def test_a_job_that_was_set_apart_keeps_its_start(bench: Bench) -> None:
    job_id = starting(bench)
    assert bench.ledger.jobs.set_apart(job_id, RecordUnreadable("damaged"))
    assert bench.ledger.jobs.put_back(job_id)
    assert bench.claim().steps == []
    bench.now += 60.0
    assert bench.claim_one().job_id == job_id


# What Celery does at the end


def test_the_record_keeps_what_is_linked_until_it_was_told(bench: Bench) -> None:
    submission = replace(new("linked"), celery='{"chain":[]}')
    job_id = bench.ledger.jobs.submit(submission).job_id
    assert record(bench, job_id).celery == {"chain": []}
    unsent = Cancelled("unsent")
    bench.ledger.jobs.cancel(job_id, unsent, unsent)
    assert not record(bench, job_id).continued
    assert bench.stored(job_id)
    assert record(bench, job_id).continued


def test_what_was_told_of_an_end_that_another_replaced_is_not_told_again(bench: Bench) -> None:
    submission = replace(new("linked"), celery='{"chain":[]}')
    job_id = bench.ledger.jobs.submit(submission).job_id
    unsent = Cancelled("unsent")
    bench.ledger.jobs.cancel(job_id, unsent, unsent)
    finished = record(bench, job_id).finished_at
    assert finished
    earlier = finished.replace(year=finished.year - 1)
    assert not bench.ledger.jobs.stored(job_id, earlier, ttl=60)
    assert record(bench, job_id).continued


def test_a_job_to_which_nothing_is_linked_has_nothing_of_it(bench: Bench) -> None:
    job_id = bench.submit()
    bench.ledger.jobs.cancel(job_id, Cancelled("unsent"), Cancelled("sent"))
    bench.stored(job_id)
    found = record(bench, job_id)
    assert (found.celery, found.continued) == (None, False)
