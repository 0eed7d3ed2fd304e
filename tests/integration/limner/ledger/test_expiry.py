"""The expiry of jobs that were not sent in time."""

import pytest

from limner.errors import Expired, InDoubt, JobFailed
from limner.ledger import Closing, Grant
from limner.ledger.layout.constants import MOST_EXPIRED
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import NO_ANSWER, REFUSED, record, recover

CLOSED = Closing("no_credits", 600.0, 900.0)


def begun(bench: Bench, job_id: str, lease: int) -> Grant:
    grant = bench.ledger.jobs.begin(job_id, lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def failure(bench: Bench, job_id: str) -> JobFailed:
    told = record(bench, job_id).failure
    assert told
    return told


def in_time(bench: Bench, seconds: float = 5.0) -> str:
    return bench.submit(expires_in=seconds)


def sent(bench: Bench, seconds: float = 5.0) -> tuple[str, int]:
    job_id = in_time(bench, seconds)
    return job_id, begun(bench, job_id, bench.claim_one().lease).attempt


def test_a_job_that_waits_too_long_expires_and_costs_nothing(bench: Bench) -> None:
    bench.ledger.accounts.pause("main")
    job_id = in_time(bench)
    bench.now += 5.0
    assert [(step.job_id, step.step) for step in bench.claim().steps] == [(job_id, "recover")]
    error = failure(bench, job_id)
    assert record(bench, job_id).state is JobState.EXPIRED
    assert isinstance(error, Expired)
    assert error.charged == "no"
    assert bench.events(job_id)[-1] == "expired"


def test_a_job_is_sent_until_its_very_last_moment(bench: Bench) -> None:
    job_id = in_time(bench)
    bench.now += 4.999
    begun(bench, job_id, bench.claim_one().lease)


def test_a_dispatcher_wakes_when_a_job_expires(bench: Bench) -> None:
    bench.ledger.accounts.pause("main")
    in_time(bench)
    assert bench.claim().wait == pytest.approx(5.0)


def test_an_expired_job_is_forgotten_when_its_end_is_stored(bench: Bench) -> None:
    job_id = in_time(bench)
    bench.now += 5.0
    bench.claim()
    assert bench.stored(job_id)
    assert bench.indexes(job_id) == []
    assert bench.client.zcard(bench.ledger.prefix + "expiring") == 0


def test_a_job_that_was_sent_in_time_does_not_expire(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    bench.now += 6.0
    bench.claim()
    assert bench.ledger.jobs.accepted(job_id, attempt, "a task", poll_in=2.0)
    bench.now += 6.0
    bench.claim()
    assert bench.state(job_id) == "generating"


def test_a_granted_job_that_does_not_begin_in_time_frees_its_permit_and_slot(bench: Bench) -> None:
    job_id = in_time(bench)
    step = bench.claim_one()
    bench.now += 5.0
    assert bench.ledger.jobs.begin(job_id, step.lease, "token", deadline=900) == "stale"
    bench.claim()
    assert bench.state(job_id) == "expired"
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    assert bench.client.zcard(bench.ledger.prefix + "window:create:main") == 0


def test_a_granted_job_expires_although_nobody_begins_it(bench: Bench) -> None:
    job_id = in_time(bench)
    step = bench.claim_one()
    bench.now += 5.0
    bench.claim()
    assert bench.ledger.jobs.begin(job_id, step.lease, "token", deadline=900) == "stale"
    assert bench.state(job_id) == "expired"
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0


def test_a_refused_job_expires_while_it_waits_again(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    assert bench.ledger.jobs.retry(job_id, attempt, REFUSED, delay=60.0)
    bench.now += 5.0
    bench.claim()
    assert bench.state(job_id) == "expired"
    assert failure(bench, job_id).charged == "no"


def test_a_job_that_is_refused_after_its_expiry_expires_at_once(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    bench.now += 6.0
    bench.claim()
    assert bench.ledger.jobs.retry(job_id, attempt, REFUSED, delay=0.0)
    bench.claim()
    assert bench.state(job_id) == "expired"


def test_an_expired_job_with_a_server_fault_may_be_charged(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    assert bench.ledger.jobs.retry(job_id, attempt, {"cause": "server_fault"}, delay=60.0, doubtful=True)
    bench.now += 5.0
    bench.claim()
    assert failure(bench, job_id).charged == "maybe"


def test_a_resubmitted_job_expires_like_any_other(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    assert bench.ledger.jobs.doubt(job_id, attempt, NO_ANSWER, grace=10.0)
    bench.now += 10.0
    assert bench.ledger.jobs.resubmit(job_id, lease=recover(bench, job_id).lease) == 1
    bench.claim()
    assert bench.state(job_id) == "expired"
    assert failure(bench, job_id).charged == "maybe"


def test_a_job_whose_task_was_lost_expires_like_any_other(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    assert bench.ledger.jobs.retry(job_id, attempt, REFUSED, delay=0.0)
    assert bench.ledger.jobs.called_back(job_id, "token", "forged")
    bench.now += 6.0
    bench.claim()
    speaking.task_lost(bench.ledger, job_id, "forged", {"cause": "no_record"}, grace=5.0, ttl=60)
    bench.claim()
    assert bench.state(job_id) == "expired"


def test_a_job_that_fails_in_doubt_does_not_expire(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    assert bench.ledger.jobs.doubt(job_id, attempt, NO_ANSWER, grace=10.0)
    bench.now += 10.0
    bench.claim()
    assert bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert bench.state(job_id) == "failed"


def test_a_task_of_an_expired_job_is_delivered_late(bench: Bench) -> None:
    job_id, attempt = sent(bench)
    assert bench.ledger.jobs.doubt(job_id, attempt, NO_ANSWER, grace=10.0)
    bench.now += 10.0
    assert bench.ledger.jobs.resubmit(job_id, attempt=attempt) == 1
    bench.claim()
    assert bench.stored(job_id)
    bench.ledger.jobs.called_back(job_id, "token", "a task")
    told = speaking.task_succeeded(bench.ledger, job_id, "a task", ["https://a"], None, ttl=60)
    assert told.what == "late"
    assert bench.events(job_id)[-1] == "succeeded_late"
    assert bench.client.pttl(bench.ledger.jobs.key(job_id)) == -1


def test_an_expired_job_cannot_be_cancelled(bench: Bench) -> None:
    job_id = in_time(bench)
    bench.now += 5.0
    bench.claim()
    assert bench.ledger.jobs.cancel(job_id, InDoubt("unsent"), InDoubt("sent")) is JobState.EXPIRED


def test_thousands_of_jobs_expire_batch_by_batch(bench: Bench) -> None:
    bench.ledger.accounts.pause("main")
    bench.ledger.jobs.submit_many([new(f"fox {number}", expires_in=5.0) for number in range(250)])
    bench.now += 5.0
    for _ in range(250 // MOST_EXPIRED - 1):
        assert bench.claim().wait == 0.0
    bench.claim()
    assert bench.client.zcard(bench.ledger.prefix + "expiring") == 0
