"""Callbacks, adopted at any time in the life of a job.

Each test is the story of one late or repeated answer. They can be read from top to bottom.
"""

from decimal import Decimal

import pytest

from limner.errors import GenerationFailed, RequestRejected
from limner.ledger import Claim, Quota
from limner.ledger.messages import Adoption
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import START, Bench
from tests.integration.limner.ledger.stories import (
    NO_ANSWER,
    REFUSED,
    SENT,
    UNSENT,
    failed_in_doubt,
    in_doubt,
    record,
    second_attempt,
    succeed,
)


def test_a_callback_frees_the_permit_of_a_claimed_attempt(bench: Bench) -> None:
    one = Quota(1, 10.0, 0, 1.0, 100)
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    bench.now += 20.0
    [step] = bench.claim(one).steps
    bench.ledger.jobs.called_back(job_id, "token", "a task")
    assert bench.ledger.jobs.begin(job_id, step.lease, "second", deadline=900) == "stale"
    other = bench.submit("another")
    assert [step.job_id for step in bench.claim(one).steps] == [other]


def test_a_callback_before_the_answer_is_adopted_and_confirmed_by_the_answer(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert bench.claim_one().step == "poll"  # at once
    [task] = record(bench, job_id).tasks
    assert (task.task_id, task.attempt, task.confirmed) == ("T", grant.attempt, False)
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "T", poll_in=2.0) is Adoption.EXPECTED
    [task] = record(bench, job_id).tasks
    assert task.confirmed


def test_a_callback_after_the_answer_brings_the_poll_forward(bench: Bench) -> None:
    job_id = bench.generating(poll_in=60.0)
    assert bench.claim().steps == []
    assert bench.ledger.jobs.called_back(job_id, "token", "task of a fox") is Adoption.EXPECTED
    assert bench.claim_one() == Claim(job_id, "poll", 2)


def test_a_callback_in_doubt_is_adopted_and_a_poll_resolves_the_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert bench.state(job_id) == "generating"
    assert [doubt.job_id for doubt in bench.ledger.jobs.doubts()] == [job_id]
    lease = bench.claim_one().lease
    assert speaking.polled(
        bench.ledger, job_id, lease, "waiting", poll_in=2.0, task_id="T", sure=True, attempt=1
    )
    assert bench.ledger.jobs.doubts() == []


@pytest.mark.parametrize("allowance", ["known", "of version 1"])
def test_a_task_adopted_in_doubt_has_the_full_allowance(bench: Bench, allowance: str) -> None:
    job_id = in_doubt(bench)
    if allowance == "of version 1":
        bench.client.hdel(bench.ledger.jobs.key(job_id), "allowance")
    bench.now += 800.0
    bench.ledger.jobs.called_back(job_id, "token", "T")
    deadline = record(bench, job_id).deadline
    assert deadline
    assert deadline.timestamp() == START + 800.0 + 900.0


def test_a_task_adopted_while_sending_keeps_the_deadline(bench: Bench) -> None:
    job_id, _ = bench.sending()
    bench.now += 20.0
    bench.ledger.jobs.called_back(job_id, "token", "T")
    deadline = record(bench, job_id).deadline
    assert deadline
    assert deadline.timestamp() == START + 900.0


@pytest.mark.parametrize("delay", [0.0, 30.0])
def test_a_callback_for_a_refused_attempt_prevents_the_next_one(bench: Bench, delay: float) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=delay)
    if delay == 0.0:
        bench.claim(Quota(0, 10.0, 0, 1.0, 100))  # it is in the ready queue now
        assert bench.indexes(job_id) == ["ready"]
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert (bench.state(job_id), bench.indexes(job_id)) == ("generating", ["ready:polls:main"])
    assert [step.step for step in bench.claim().steps] == ["poll"]


def test_a_claimed_step_sends_nothing_after_an_adoption(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    lease = bench.claim_one().lease
    bench.ledger.jobs.called_back(job_id, "token", "T")
    assert bench.ledger.jobs.begin(job_id, lease, "second", deadline=900) == "stale"


@pytest.mark.parametrize("outcome", ["refused", "failed", "in doubt"])
def test_a_superseded_attempts_task_waits_for_the_outcome_of_the_one_on_the_wire(
    bench: Bench, outcome: str
) -> None:
    job_id = second_attempt(bench)
    assert bench.ledger.jobs.called_back(job_id, "token", "T1") is Adoption.ADOPTED
    assert bench.state(job_id) == "sending"
    if outcome == "refused":
        assert bench.ledger.jobs.retry(job_id, 2, REFUSED, delay=30.0)
    elif outcome == "failed":
        error = RequestRejected("no")
        assert bench.ledger.jobs.fail(job_id, error, [JobState.SENDING], attempt=2) is None
    else:
        assert bench.ledger.jobs.doubt(job_id, 2, NO_ANSWER, grace=30.0)
    assert (bench.state(job_id), bench.task_id(job_id)) == ("generating", "T1")
    assert bench.claim_one().step == "poll"


# ... or none


def test_the_attempts_own_task_is_not_mistaken_for_another(bench: Bench) -> None:
    job_id = bench.generating()
    assert bench.ledger.jobs.called_back(job_id, "token", "another") is Adoption.MISMATCHED
    assert [task.task_id for task in record(bench, job_id).tasks] == ["task of a fox"]


def test_a_wrong_token_changes_nothing(bench: Bench) -> None:
    job_id = in_doubt(bench)
    before = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    assert bench.ledger.jobs.called_back(job_id, "guessed", "T") is Adoption.BAD_TOKEN
    assert bench.client.hgetall(bench.ledger.jobs.key(job_id)) == before
    assert bench.ledger.journal.callback_counts() == {"bad_token": 1}


def test_a_callback_for_an_unknown_job_is_kept_for_a_person(bench: Bench) -> None:
    assert bench.ledger.jobs.called_back("nobody", "token", "T") is Adoption.UNKNOWN_JOB
    [unmatched] = bench.ledger.journal.unmatched_callbacks()
    assert (unmatched.job_id, unmatched.task_id) == ("nobody", "T")
    assert bench.ledger.jobs.read("nobody") is None


def test_a_job_that_was_never_sent_adopts_nothing(bench: Bench) -> None:
    job_id = bench.submit()
    assert bench.ledger.jobs.adopt(job_id, "T") is Adoption.MISMATCHED
    assert bench.state(job_id) == "queued"


def test_callbacks_for_an_uncounted_attempt_are_refused(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0, uncounted=1.0)
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.BAD_TOKEN


# After the end


def test_a_job_that_failed_in_doubt_succeeds_late(bench: Bench) -> None:
    job_id = failed_in_doubt(bench)
    with bench.client.pubsub() as ends:
        ends.subscribe(bench.ledger.journal.channel(job_id))
        assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
        assert bench.state(job_id) == "failed"
        assert bench.claim_one().step == "poll"
        assert succeed(bench, job_id, "T", Decimal("3.5")) == "late"
        told = [ends.get_message(timeout=5.0) for _ in range(2)][1]
    assert told
    assert told["data"] == "succeeded"
    assert record(bench, job_id).images().urls == ["https://T"]
    assert bench.ledger.jobs.doubts() == []
    assert bench.events(job_id)[-1] == bench.ledger.journal.events("0")[-1].event == "succeeded_late"
    assert bench.indexes(job_id) == ["due"]  # until the better result is stored


def test_a_callback_after_success_is_a_repetition(bench: Bench) -> None:
    job_id = bench.generating()
    bench.succeed(job_id)
    bench.stored(job_id)
    assert bench.ledger.jobs.called_back(job_id, "token", "task of a fox") is Adoption.REPEATED
    assert bench.indexes(job_id) == []


def test_a_second_task_is_recorded_as_a_double_with_its_credits(bench: Bench) -> None:
    job_id = second_attempt(bench)
    bench.ledger.jobs.accepted(job_id, 2, "T2", poll_in=0.0)
    succeed(bench, job_id, "T2", Decimal("3.5"))
    bench.stored(job_id)
    assert bench.ledger.jobs.called_back(job_id, "token", "T1") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T1", Decimal("7")) == "noted"
    double = bench.ledger.journal.events("0")[-1]
    assert (double.event, double.detail["task_id"], double.detail["credits"]) == ("double", "T1", "7")
    assert record(bench, job_id).images().urls == ["https://T2"]
    paid = {task.task_id: (task.credits, task.urls) for task in record(bench, job_id).tasks}
    assert paid == {"T1": (Decimal("7"), ("https://T1",)), "T2": (Decimal("3.5"), ())}


def test_a_cancelled_job_stays_cancelled_and_its_paid_result_is_recorded(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    bench.stored(job_id)
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == "maybe"
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T", Decimal("3.5")) == "noted"
    assert bench.state(job_id) == "cancelled"
    assert bench.ledger.journal.events("0")[-1].event == "late_result"
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == "yes"
    assert record(bench, job_id).tasks[0].urls == ("https://T",)


@pytest.mark.parametrize(("ended", "event"), [("succeeded", "double"), ("failed", "late_result")])
def test_a_paid_task_without_images_is_announced(bench: Bench, ended: str, event: str) -> None:
    job_id = second_attempt(bench)
    bench.ledger.jobs.accepted(job_id, 2, "T2", poll_in=0.0)
    if ended == "succeeded":
        succeed(bench, job_id, "T2")
    else:
        speaking.task_failed(bench.ledger, job_id, "T2", GenerationFailed("no"), ttl=60)
    bench.stored(job_id)
    bench.ledger.jobs.called_back(job_id, "token", "T1")
    speaking.task_failed(bench.ledger, job_id, "T1", GenerationFailed("no"), ttl=60, cost=Decimal("7"))
    told = bench.ledger.journal.events("0")[-1]
    assert (told.event, told.detail["credits"]) == (event, "7")


def test_a_record_is_kept_while_a_task_is_open(bench: Bench) -> None:
    job_id = bench.generating()
    bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
    key = bench.ledger.jobs.key(job_id)
    assert bench.stored(job_id)
    assert (bench.indexes(job_id), bench.client.pttl(key)) == (["due"], -1)
    assert (
        speaking.task_failed(bench.ledger, job_id, "task of a fox", GenerationFailed("no"), ttl=60).what
        == "noted"
    )
    assert bench.indexes(job_id) == []
    assert 0 < bench.client.pttl(key) <= 60_000


def test_a_late_task_removes_the_time_to_live_of_the_record(bench: Bench) -> None:
    job_id = failed_in_doubt(bench)
    key = bench.ledger.jobs.key(job_id)
    assert bench.client.pttl(key) > 0
    bench.ledger.jobs.called_back(job_id, "token", "T")
    assert bench.client.pttl(key) == -1
