"""The transitions of a job, and their refusals."""

from decimal import Decimal
from typing import Any

import pytest

from limner.errors import GenerationFailed, JobFailed, RecordTooNew, RecordUnreadable
from limner.ledger import Closing, Grant
from limner.ledger.layout.constants import VERSION
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench, new

ERROR = {"cause": "rate_limited", "message": "slow down"}


def test_a_new_job_waits_in_the_ready_queue(bench: Bench) -> None:
    job_id = bench.submit()
    assert bench.state(job_id) == "queued"
    assert bench.indexes(job_id) == ["ready"]
    assert bench.position(job_id) == (1, None)


def test_the_same_key_gives_the_same_job(bench: Bench) -> None:
    first = bench.ledger.jobs.submit(new(idempotency_key="order 7"))
    again = bench.ledger.jobs.submit(new(idempotency_key="order 7"))
    assert (first.outcome, again.outcome) == ("created", "known")
    assert first.job_id == again.job_id


def test_the_same_key_with_another_request_is_a_conflict(bench: Bench) -> None:
    first = bench.ledger.jobs.submit(new("a fox", idempotency_key="order 7"))
    other = bench.ledger.jobs.submit(new("a hen", idempotency_key="order 7"))
    assert (other.outcome, other.job_id) == ("conflict", first.job_id)


def test_a_job_id_is_used_once(bench: Bench) -> None:
    bench.ledger.jobs.submit(new("a fox", job_id="mine"))
    assert bench.ledger.jobs.submit(new(job_id="mine")).outcome == "known"
    assert "fox" in str(bench.ledger.jobs.read("mine"))


def test_an_attempt_is_on_record_before_it_is_sent(bench: Bench) -> None:
    job_id, grant = bench.sending()
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert (record.state, record.attempt, grant.attempt) == (JobState.SENDING, 1, 1)
    assert bench.indexes(job_id) == ["due"]


def test_a_lost_grant_is_repeated_for_its_token_only(bench: Bench) -> None:
    job_id = bench.submit()
    lease = bench.claim_one().lease
    first = bench.ledger.jobs.begin(job_id, lease, "mine", deadline=900)
    assert isinstance(first, Grant)
    assert bench.ledger.jobs.begin(job_id, lease, "mine", deadline=900) == first
    assert bench.ledger.jobs.begin(job_id, lease, "yours", deadline=900) == "stale"


def test_an_old_lease_begins_nothing(bench: Bench) -> None:
    job_id = bench.submit()
    old = bench.claim_one().lease
    bench.now += bench.ledger.leases.step
    new_lease = bench.claim_one().lease
    assert bench.ledger.jobs.begin(job_id, old, "late", deadline=900) == "stale"
    assert isinstance(bench.ledger.jobs.begin(job_id, new_lease, "new", deadline=900), Grant)


def test_a_refused_attempt_is_due_again_after_its_delay(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.retry(job_id, grant.attempt, ERROR, delay=3.0)
    assert not bench.ledger.jobs.retry(job_id, grant.attempt, ERROR, delay=3.0)
    assert bench.claim().steps == []
    bench.now += 3.0
    assert bench.claim_one().step == "create"


def test_an_attempt_past_the_deadline_is_not_granted(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, ERROR, delay=900.0)
    bench.now += 900
    assert bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "late", deadline=900) == "late"


def test_time_in_the_ready_queue_does_not_count_towards_the_deadline(bench: Bench) -> None:
    job_id = bench.submit()
    bench.now += 100_000
    grant = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "t", deadline=900)
    assert isinstance(grant, Grant)
    bench.ledger.jobs.retry(job_id, grant.attempt, ERROR, delay=1.0)
    bench.now += 100_000
    assert isinstance(bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "again", deadline=900), Grant)


def test_a_pause_does_not_count_towards_the_deadline(bench: Bench) -> None:
    job_id, grant = bench.sending()
    for _ in range(30):
        bench.ledger.jobs.retry(
            job_id, grant.attempt, ERROR, delay=0.0, pause=Closing("no_credits", 60.0, 60.0)
        )
        bench.now += 60.0
        again = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, f"t{bench.now}", deadline=900)
        assert isinstance(again, Grant)
        grant = again
    bench.ledger.jobs.retry(job_id, grant.attempt, ERROR, delay=900.0)
    bench.now += 900.0
    assert bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "late", deadline=900) == "late"


def test_a_permit_that_has_left_the_window_sends_nothing(bench: Bench) -> None:
    for number in range(40):
        bench.submit(f"fox {number}")
    old = bench.claim().steps
    bench.now += 11.0
    new_steps = bench.claim().steps
    sent = [
        step
        for step in (*old, *new_steps)
        if bench.ledger.jobs.begin(step.job_id, step.lease, step.job_id, deadline=900) != "stale"
    ]
    assert len(old) == len(new_steps) == len(sent) == 20
    bench.now += 11.0
    assert len(bench.claim().steps) == 20  # the others are in the ready queue again


def test_new_jobs_of_a_newer_version_do_not_block_the_ready_queue(bench: Bench) -> None:
    newer = [bench.submit(f"new {number}") for number in range(100)]
    for job_id in newer:
        bench.client.hset(bench.ledger.jobs.key(job_id), "v", 99)
    ours = bench.submit("ours")
    granted = []
    for _ in range(20):
        granted += [step.job_id for step in bench.claim().steps]
        bench.now += 1.0
    assert granted == [ours]
    assert {index for job_id in newer for index in bench.indexes(job_id)} == {"due"}


def test_a_pause_stops_the_account_and_does_not_count_the_attempt(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.submit("a hen")
    bench.ledger.jobs.retry(job_id, grant.attempt, ERROR, delay=0.0, pause=Closing("no_credits", 60.0, 900.0))
    paused = bench.claim()
    assert paused.steps == []
    assert paused.wait == pytest.approx(60.0)
    bench.now += 60.0
    probe = bench.claim_one()
    assert probe.job_id == job_id
    again = bench.ledger.jobs.begin(job_id, probe.lease, "t2", deadline=900)
    assert isinstance(again, Grant)
    assert (again.attempt, again.tries) == (2, 1)


def test_an_accepted_task_is_polled_when_it_is_due(bench: Bench) -> None:
    job_id = bench.generating(poll_in=2.0)
    assert bench.claim().steps == []
    bench.now += 2.0
    assert bench.claim_one().step == "poll"
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert (record.state, record.task_id) == (JobState.GENERATING, "task of a fox")


def test_accepting_twice_is_one_acceptance(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "T", poll_in=2)
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "T", poll_in=2)
    assert [entry.event for entry in bench.ledger.journal.log(job_id)].count("generating") == 1


def test_an_answer_that_comes_while_in_doubt_is_accepted(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.doubt(job_id, grant.attempt, ERROR, grace=5.0)
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "T", poll_in=2)
    assert bench.state(job_id) == "generating"


def test_success_ends_a_job_once(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.claim_one()
    first = bench.succeed(job_id, "https://a/1.png", Decimal("3.5"))
    again = bench.succeed(job_id, "https://a/1.png", Decimal("3.5"))
    assert first.what == "ended"
    assert first == again
    assert bench.succeed(job_id, "https://a/2.png").what == "stale"
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert record.images().urls == ["https://a/1.png"]
    assert record.images().credits == Decimal("3.5")


def test_a_poll_with_an_old_lease_changes_nothing(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    old = bench.claim_one().lease
    bench.now += bench.ledger.leases.poll
    bench.claim_one()
    assert not speaking.polled(bench.ledger, job_id, old, "waiting", poll_in=2)
    assert bench.ledger.jobs.fail(job_id, GenerationFailed("no"), [JobState.GENERATING], lease=old) is None


def test_an_ended_job_is_due_until_its_result_is_stored(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.claim_one()
    bench.succeed(job_id)
    bench.now += bench.ledger.leases.store
    assert bench.claim_one().step == "recover"
    assert bench.stored(job_id)
    assert bench.indexes(job_id) == []
    assert 0 < bench.client.pttl(bench.ledger.jobs.key(job_id)) <= 60_000


def test_the_key_and_the_record_outlive_the_result_by_the_keys_time_to_live(bench: Bench) -> None:
    job_id = bench.ledger.jobs.submit(new(idempotency_key="k", idempotency_seconds=1000)).job_id
    assert bench.client.ttl(bench.ledger.prefix + "key:" + _digest("k")) == -1
    bench.ledger.jobs.cancel(job_id, JobFailed("no"), JobFailed("no"))
    bench.stored(job_id)
    assert bench.client.ttl(bench.ledger.jobs.key(job_id)) > 900
    assert bench.client.ttl(bench.ledger.prefix + "key:" + _digest("k")) > 900


def _digest(key: str) -> str:
    import hashlib

    return hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.parametrize("state", ["queued", "sending", "in_doubt", "generating"])
def test_a_job_is_cancelled_from_any_state_and_is_due_for_its_result(bench: Bench, state: str) -> None:
    if state == "queued":
        job_id = bench.submit()
    elif state == "generating":
        job_id = bench.generating()
    else:
        job_id, grant = bench.sending()
        if state == "in_doubt":
            bench.ledger.jobs.doubt(job_id, grant.attempt, ERROR, grace=900)
    assert bench.ledger.jobs.cancel(job_id, JobFailed("unsent"), JobFailed("sent")) == state
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert record.failure
    assert record.failure.message == ("unsent" if state == "queued" else "sent")
    assert bench.indexes(job_id) == ["due"]
    assert bench.claim_one().step == "recover"
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0


def test_a_repeated_cancellation_gets_the_same_reply(bench: Bench) -> None:
    job_id, _ = bench.sending()
    for _ in range(2):
        assert bench.ledger.jobs.cancel(job_id, JobFailed("unsent"), JobFailed("sent")) is JobState.SENDING


def test_cancelling_an_ended_job_changes_nothing(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.claim_one()
    bench.succeed(job_id)
    assert bench.ledger.jobs.cancel(job_id, JobFailed("a"), JobFailed("b")) is JobState.SUCCEEDED
    assert bench.state(job_id) == "succeeded"
    assert bench.ledger.jobs.cancel("nobody", JobFailed("a"), JobFailed("b")) is None


def test_a_record_of_a_newer_version_is_left_alone(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.claim_one()
    bench.client.hset(bench.ledger.jobs.key(job_id), "v", 99)
    before = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    with pytest.raises(RecordTooNew, match=job_id):
        speaking.task_succeeded(bench.ledger, job_id, "task of a fox", ["https://a"], None, ttl=60)
    with pytest.raises(RecordTooNew, match="update this installation"):
        bench.ledger.jobs.read(job_id)
    bench.now += bench.ledger.leases.poll
    claimed = bench.claim()
    assert (claimed.steps, claimed.unreadable) == (
        [],
        [f"NEWER job {job_id} has version 99, known is {VERSION}"],
    )
    assert bench.client.hgetall(bench.ledger.jobs.key(job_id)) == before
    assert bench.indexes(job_id) == ["due"]


def test_a_record_of_an_older_version_is_refused_with_what_to_do(bench: Bench) -> None:
    job_id = bench.submit()
    bench.client.hset(bench.ledger.jobs.key(job_id), "v", VERSION - 1)
    for refused in (
        lambda: bench.ledger.jobs.read(job_id),
        lambda: bench.ledger.jobs.cancel(job_id, JobFailed("a"), JobFailed("b")),
    ):
        with pytest.raises(
            RecordUnreadable, match="let workers of the version that wrote it finish its jobs"
        ):
            refused()


@pytest.mark.parametrize(
    ("name", "value"), [("turn", "soon"), ("lease", "1e400"), ("priority", "nan"), ("turn", str(2**53))]
)
def test_a_damaged_record_stops_no_other_job(bench: Bench, name: str, value: str) -> None:
    job_id = bench.submit()
    bench.client.hset(bench.ledger.jobs.key(job_id), name, value)
    before = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    other = bench.submit("a hen")
    claimed = bench.claim()
    assert [step.job_id for step in claimed.steps] == [other]
    assert claimed.unreadable == [f"BROKEN job {job_id}: its field {name} is no number that can be"]
    assert bench.client.hgetall(bench.ledger.jobs.key(job_id)) == before


@pytest.mark.parametrize("name", ["lease", "priority", "turn", "attempt", "state"])
def test_a_record_without_a_required_field_stops_no_other_job_and_is_kept(bench: Bench, name: str) -> None:
    job_id = bench.submit(expires_in=1.0)
    other = bench.submit("a hen")
    bench.client.hdel(bench.ledger.jobs.key(job_id), name)
    bench.now += 2.0
    claimed = bench.claim()
    assert [step.job_id for step in claimed.steps] == [other]
    assert f"BROKEN job {job_id}: its field {name} is missing" in claimed.unreadable
    assert bench.indexes(job_id) == ["due"]
    assert bench.client.zscore(bench.ledger.prefix + "expiring", job_id)


def test_a_transition_changes_nothing_on_a_damaged_record_and_names_the_field(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.client.hset(bench.ledger.jobs.key(job_id), "deadline", "-inf")
    before = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    with pytest.raises(RecordUnreadable, match=f"{job_id}: its field deadline"):
        bench.ledger.jobs.accepted(job_id, grant.attempt, "T", poll_in=1.0)
    assert bench.client.hgetall(bench.ledger.jobs.key(job_id)) == before
    assert bench.indexes(job_id) == ["due"]


@pytest.mark.parametrize("cost", [Decimal(10) ** 13, Decimal(10) ** 30])
def test_a_job_ends_although_its_task_cannot_have_cost_what_is_said(bench: Bench, cost: Decimal) -> None:
    job_id = bench.generating(poll_in=0.0)
    bench.claim_one()
    assert bench.succeed(job_id, cost=cost).what == "ended"
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert record.images().credits is None
    [ended] = [entry for entry in bench.ledger.journal.log(job_id) if entry.event == "succeeded"]
    assert ended.detail["said"] == str(cost)


def test_every_transition_is_on_the_log_and_in_the_events_with_the_metadata(bench: Bench) -> None:
    job_id = bench.ledger.jobs.submit(new(metadata={"order": 7})).job_id
    bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "secret token", deadline=900)
    bench.ledger.jobs.accepted(job_id, 1, "T", poll_in=0)
    speaking.polled(bench.ledger, job_id, bench.claim_one().lease, "waiting", poll_in=0)
    bench.claim_one()
    bench.succeed(job_id)
    logged = [entry.event for entry in bench.ledger.journal.log(job_id)]
    events = bench.ledger.journal.events("0")
    assert logged == ["submitted", "sending", "generating", "polled", "succeeded"]
    assert [event.event for event in events] == ["submitted", "sending", "generating", "succeeded"]
    assert {event.metadata["order"] for event in events} == {7}
    assert "secret token" not in str(events) + str(bench.ledger.journal.log(job_id)) + str(
        bench.ledger.jobs.read(job_id)
    )


def test_the_log_is_bounded(bench: Bench) -> None:
    job_id = bench.generating(poll_in=0.0)
    for _ in range(230):
        assert speaking.polled(bench.ledger, job_id, bench.claim_one().lease, "waiting", poll_in=0.0)
        bench.now += 1
    assert len(bench.ledger.journal.log(job_id)) == 200
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert record.polls == 230


def test_a_key_that_belongs_to_another_job_is_left_alone(bench: Bench) -> None:
    order: dict[str, Any] = {"idempotency_key": "order 7", "idempotency_seconds": 100}
    first = bench.ledger.jobs.submit(new(**order)).job_id
    grant = bench.ledger.jobs.begin(first, bench.claim_one().lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    bench.ledger.jobs.accepted(first, grant.attempt, "a task", poll_in=2.0)
    bench.succeed(first)
    assert bench.stored(first, ttl=100_000)
    [key] = bench.client.keys(bench.ledger.prefix + "key:*")
    bench.client.delete(key)  # as if it had expired
    assert bench.ledger.jobs.submit(new(**order)).outcome == "created"
    # A second task of the first job is found, and its end makes that record expire again.
    bench.ledger.jobs.adopt(first, "another task")
    speaking.task_lost(
        bench.ledger, first, "another task", {"cause": "foreign", "message": ""}, grace=0, ttl=100_000
    )
    assert bench.client.pttl(key) == -1
