"""Attempts in doubt: events that resolve the doubt, and decisions about it."""

import pytest

from limner.errors import GenerationFailed, InDoubt
from limner.ledger import Grant
from limner.ledger.messages import Adoption
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import (
    NO_ANSWER,
    NOT_THERE,
    REFUSED,
    SENT,
    UNSENT,
    in_doubt,
    record,
    recover,
    second_attempt,
    succeed,
)


def test_a_lost_task_that_only_a_callback_named_leaves_the_job_in_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.jobs.called_back(job_id, "token", "T")
    bench.claim_one()
    assert speaking.task_lost(bench.ledger, job_id, "T", NOT_THERE, grace=5.0, ttl=60).what == "noted"
    assert bench.state(job_id) == "in_doubt"
    assert [doubt.job_id for doubt in bench.ledger.jobs.doubts()] == [job_id]
    bench.now += 5.0
    assert recover(bench, job_id).step == "recover"


def test_another_callback_finds_a_lost_task_again(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.jobs.called_back(job_id, "token", "T")
    speaking.task_lost(bench.ledger, job_id, "T", NOT_THERE, grace=5.0, ttl=60)
    bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T") == "late"


def test_a_slow_poll_resolves_the_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.jobs.called_back(job_id, "token", "T")
    speaking.task_lost(bench.ledger, job_id, "T", NOT_THERE, grace=5.0, ttl=60)
    assert speaking.task_failed(bench.ledger, job_id, "T", GenerationFailed("no"), ttl=60).what == "ended"
    assert bench.state(job_id) == "failed"
    assert bench.ledger.jobs.doubts() == []


def test_a_failed_task_does_not_end_the_doubt_about_another_attempt(bench: Bench) -> None:
    job_id = second_attempt(bench)
    bench.ledger.jobs.called_back(job_id, "token", "T1")
    bench.ledger.jobs.doubt(job_id, 2, NO_ANSWER, grace=5.0)
    speaking.task_failed(bench.ledger, job_id, "T1", GenerationFailed("no"), ttl=60, grace=5.0)
    assert bench.state(job_id) == "in_doubt"
    assert bench.ledger.jobs.called_back(job_id, "second", "T2") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T2") == "ended"


def test_the_number_of_forged_tasks_is_bounded(bench: Bench) -> None:
    job_id = in_doubt(bench)
    told = [bench.ledger.jobs.called_back(job_id, "token", f"T{number}") for number in range(10)]
    assert set(told) == {Adoption.ADOPTED}
    # The newest ones are open, and the others wait.
    assert [task.task_id for task in record(bench, job_id).tasks] == ["T9", "T8", "T7", "T6"]
    assert bench.ledger.jobs.adopt(job_id, "found by a person") is Adoption.ADOPTED
    assert record(bench, job_id).tasks[0].task_id == "found by a person"


def test_lost_forged_tasks_free_capacity_and_the_oldest_is_forgotten(bench: Bench) -> None:
    job_id = in_doubt(bench)
    for number in range(10):
        assert bench.ledger.jobs.called_back(job_id, "token", f"T{number}") is Adoption.ADOPTED
        speaking.task_lost(bench.ledger, job_id, f"T{number}", NOT_THERE, grace=5.0, ttl=60)
    assert [task.task_id for task in record(bench, job_id).tasks] == [f"T{n}" for n in range(9, 1, -1)]


def test_a_lost_forged_task_does_not_keep_a_failed_job_in_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    for task_id in ("made up", "T"):
        assert bench.ledger.jobs.called_back(job_id, "token", task_id) is Adoption.ADOPTED
    assert speaking.task_failed(bench.ledger, job_id, "T", GenerationFailed("no"), ttl=60).what == "noted"
    assert speaking.task_lost(bench.ledger, job_id, "made up", NOT_THERE, grace=5.0, ttl=60).what == "ended"
    failure = record(bench, job_id).failure
    assert isinstance(failure, GenerationFailed)
    told = bench.ledger.journal.events("0")[-1].detail["error"]
    assert (told["type"], told["message"]) == ("GenerationFailed", failure.message)


def test_a_refusal_stands_when_the_task_named_after_it_is_lost(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=30.0)
    bench.ledger.jobs.called_back(job_id, "token", "T")
    bench.claim_one()
    assert speaking.task_lost(bench.ledger, job_id, "T", NOT_THERE, grace=5.0, ttl=60).what == "noted"
    assert (bench.state(job_id), bench.indexes(job_id)) == ("queued", ["due"])
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    assert bench.claim_one().step == "create"


def test_a_lost_task_that_the_answer_named_leaves_the_job_in_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.jobs.resubmit(job_id)
    bench.ledger.jobs.called_back(job_id, "token", "T")
    assert bench.ledger.jobs.accepted(job_id, 1, "T", poll_in=2.0) is Adoption.EXPECTED
    speaking.task_lost(bench.ledger, job_id, "T", NOT_THERE, grace=5.0, ttl=60)
    assert bench.state(job_id) == "in_doubt"


def test_a_task_of_another_attempt_leaves_the_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench, grace=0.0)
    bench.ledger.jobs.resubmit(job_id)
    bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "second", deadline=900)
    bench.ledger.jobs.doubt(job_id, 2, NO_ANSWER, grace=5.0)
    assert bench.ledger.jobs.adopt(job_id, "T1") is Adoption.ADOPTED
    speaking.task_failed(bench.ledger, job_id, "T1", GenerationFailed("no"), ttl=60, grace=5.0, attempt=1)
    assert (bench.state(job_id), record(bench, job_id).doubtful) == ("in_doubt", 2)


def test_doubts_of_newer_records_are_left_to_newer_installations(bench: Bench) -> None:
    ours, newer = in_doubt(bench), in_doubt(bench)
    bench.client.hset(bench.ledger.jobs.key(newer), "v", 99)
    assert [doubt.job_id for doubt in bench.ledger.jobs.doubts()] == [ours]
    assert bench.client.zscore(bench.ledger.prefix + "doubts", newer) is not None


# What is decided about a doubt


def test_a_held_job_has_no_slot_and_waits_for_a_person(bench: Bench) -> None:
    job_id = in_doubt(bench, grace=0.0)
    assert bench.ledger.jobs.hold(job_id, recover(bench, job_id).lease, ask_again_in=3600.0)
    assert record(bench, job_id).held_at
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    bench.now += 3600.0
    assert bench.ledger.jobs.hold(job_id, recover(bench, job_id).lease, ask_again_in=3600.0)
    assert bench.events(job_id).count("held") == 1
    assert bench.ledger.jobs.adopt(job_id, "T") is Adoption.ADOPTED
    assert record(bench, job_id).held_at is None


def test_the_policy_resubmits_once_and_a_person_any_number_of_times(bench: Bench) -> None:
    job_id = in_doubt(bench, grace=0.0)
    for times, by_policy in enumerate((True, False, False), start=1):
        lease = recover(bench, job_id).lease
        if not by_policy:
            assert bench.ledger.jobs.resubmit(job_id, lease=lease) == 0
        assert bench.ledger.jobs.resubmit(job_id, lease=lease if by_policy else None) == times
        grant = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, f"again {times}", deadline=900)
        assert isinstance(grant, Grant)
        assert bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=0.0)
    assert record(bench, job_id).resubmitted == 3


def test_a_person_decides_once_about_each_attempt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    assert bench.ledger.jobs.resubmit(job_id, attempt=2) == 0
    assert [bench.ledger.jobs.resubmit(job_id, attempt=1) for _ in range(2)] == [1, 1]
    assert bench.events(job_id).count("resubmitted") == 1
    bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "second", deadline=900)
    bench.ledger.jobs.doubt(job_id, 2, NO_ANSWER, grace=5.0)
    assert bench.ledger.jobs.resubmit(job_id, attempt=1) == 0
    assert bench.ledger.jobs.resubmit(job_id, attempt=2) == 2


@pytest.mark.parametrize(("cause", "found"), [("rate_limited", "queued"), ("server_fault", "in_doubt")])
def test_a_server_fault_may_have_cost_something(bench: Bench, cause: str, found: str) -> None:
    job_id, grant = bench.sending()
    error, doubtful = {"cause": cause, "message": "no"}, found == "in_doubt"
    bench.ledger.jobs.retry(job_id, grant.attempt, error, delay=5.0, doubtful=doubtful)
    assert bench.ledger.jobs.cancel(job_id, UNSENT, SENT) == found
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == ("maybe" if found == "in_doubt" else UNSENT.charged)


def test_a_message_that_recovered_an_attempt_does_not_recover_its_doubt(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.now += bench.ledger.leases.send
    lease = recover(bench, job_id).lease
    assert bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    assert bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT], lease=lease) is None
    assert not bench.ledger.jobs.hold(job_id, lease, ask_again_in=5.0)
    assert bench.ledger.jobs.resubmit(job_id, lease=lease) == 0


def test_a_late_success_is_stored_although_the_failure_was_stored_after_it(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.jobs.called_back(job_id, "token", "T")
    failed = bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.GENERATING])
    assert failed
    assert failed.finished_at
    bench.now += 1.0
    assert succeed(bench, job_id, "T") == "late"
    assert not bench.ledger.jobs.stored(job_id, failed.finished_at, ttl=60)
    assert recover(bench, job_id).step == "recover"
