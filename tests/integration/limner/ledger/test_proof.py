"""Callbacks whose token is right and whose task nobody could read: the attempt was accepted for certain."""

from decimal import Decimal

import pytest

from limner.errors import GenerationFailed, InDoubt, RequestRejected
from limner.ledger import Grant, Money, Quota, doubt_of
from limner.ledger.layout.constants import PROVEN_GRACE
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
    failed_in_doubt,
    in_doubt,
    record,
    recover,
    second_attempt,
    succeed,
)

FAULT = {"cause": "server_fault", "message": "Server exception"}


def proven(bench: Bench, job_id: str) -> Adoption:
    return bench.ledger.jobs.accepted_unnamed(job_id, "token")


def test_a_doubt_is_a_certainty_from_then_on(bench: Bench) -> None:
    job_id = in_doubt(bench)
    assert proven(bench, job_id) is Adoption.UNNAMED
    known = record(bench, job_id)
    assert (known.state, known.proven, known.unnamed) == (JobState.IN_DOUBT, 1, True)
    assert bench.events(job_id)[-1] == bench.ledger.journal.events("0")[-1].event == "accepted_unnamed"
    assert bench.ledger.journal.callback_counts() == {"accepted_unnamed": 1}


def test_a_repetition_is_counted_and_says_nothing_new(bench: Bench) -> None:
    job_id = in_doubt(bench)
    proven(bench, job_id)
    before = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert bench.client.hgetall(bench.ledger.jobs.key(job_id)) == before
    assert bench.events(job_id).count("accepted_unnamed") == 1
    assert bench.ledger.journal.callback_counts() == {"accepted_unnamed": 2}


def test_a_policy_that_was_about_to_send_it_again_comes_too_late(bench: Bench) -> None:
    job_id = in_doubt(bench, grace=0.0)
    lease = recover(bench, job_id).lease
    proven(bench, job_id)
    assert bench.ledger.jobs.resubmit(job_id, lease=lease) == 0
    bench.now += 30.0
    assert recover(bench, job_id).lease > lease


@pytest.mark.parametrize("waits", ["for its time", "in the queue", "claimed"])
def test_a_job_that_was_to_be_sent_again_is_not(bench: Bench, waits: str) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, FAULT, delay=30.0 if waits == "for its time" else 0.0)
    if waits == "in the queue":
        bench.claim(Quota(0, 10.0, 0, 1.0, 100))
    lease = bench.claim_one().lease if waits == "claimed" else 0
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert (bench.state(job_id), bench.indexes(job_id)) == ("in_doubt", ["due"])
    assert bench.client.zcard(bench.ledger.prefix + "in-flight:main") == 0
    if lease:
        assert bench.ledger.jobs.begin(job_id, lease, "second", deadline=900) == "stale"
    bench.now += PROVEN_GRACE / 1000 - 1
    assert bench.claim().steps == []
    bench.now += 1
    assert recover(bench, job_id).step == "recover"
    assert [doubted.job_id for doubted in bench.ledger.jobs.doubts()] == [job_id]


def test_a_readable_callback_after_it_names_the_task_and_the_job_succeeds(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, FAULT, delay=0.0)
    proven(bench, job_id)
    assert bench.ledger.jobs.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T", Decimal("3.5")) == "ended"
    assert not record(bench, job_id).unnamed
    assert bench.ledger.jobs.doubts() == []


def test_a_request_on_the_wire_stays_there(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert bench.state(job_id) == "sending"
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "T", poll_in=2.0) is Adoption.ADOPTED
    assert not record(bench, job_id).unnamed


def test_an_older_attempt_s_proof_leaves_the_newer_one_on_the_wire(bench: Bench) -> None:
    job_id = second_attempt(bench)
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert (bench.state(job_id), record(bench, job_id).proven) == ("sending", 1)


def test_a_job_whose_task_is_known_is_polled_at_once(bench: Bench) -> None:
    job_id = bench.generating(poll_in=60.0)
    assert proven(bench, job_id) is Adoption.EXPECTED
    assert bench.claim_one().step == "poll"
    assert record(bench, job_id).proven is None


def test_the_end_of_a_known_task_is_a_repetition(bench: Bench) -> None:
    job_id = bench.generating()
    bench.succeed(job_id)
    bench.stored(job_id)
    assert proven(bench, job_id) is Adoption.REPEATED
    assert bench.indexes(job_id) == []


def test_if_the_ids_of_callbacks_are_lost_the_job_is_in_doubt_and_not_sent_again(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=30.0)
    bench.ledger.jobs.called_back(job_id, "token", "invented")
    assert proven(bench, job_id) is Adoption.UNNAMED
    speaking.task_lost(bench.ledger, job_id, "invented", NOT_THERE, grace=5.0, ttl=60)
    assert bench.state(job_id) == "in_doubt"


def test_another_attempt_s_task_is_waited_for(bench: Bench) -> None:
    job_id = second_attempt(bench)
    bench.ledger.jobs.accepted(job_id, 2, "T2", poll_in=0.0)
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert (bench.state(job_id), record(bench, job_id).doubtful) == ("generating", None)
    speaking.task_failed(bench.ledger, job_id, "T2", GenerationFailed("no"), ttl=60)
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == "maybe"


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_it_is_on_the_record_of_a_job_that_has_ended(bench: Bench, end: str) -> None:
    job_id = failed_in_doubt(bench) if end == "failed" else in_doubt(bench)
    if end == "cancelled":
        bench.ledger.jobs.cancel(job_id, UNSENT, SENT)
        bench.stored(job_id)
    indexes = bench.indexes(job_id)
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert (bench.state(job_id), bench.indexes(job_id)) == (end, indexes)
    assert record(bench, job_id).unnamed
    assert bench.client.pttl(bench.ledger.jobs.key(job_id)) > 0


@pytest.mark.parametrize("ended", [False, True])
def test_the_price_of_a_proven_attempt_is_on_the_books(bench: Bench, ended: bool) -> None:
    money = Money({"BALANCED": Decimal(7)})
    job_id = bench.submit()
    begun = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "token", deadline=900, money=money)
    assert isinstance(begun, Grant)
    if ended:
        bench.ledger.jobs.fail(job_id, RequestRejected("no"), [JobState.SENDING], attempt=1)
        bench.stored(job_id)
    else:
        bench.ledger.jobs.retry(job_id, 1, FAULT, delay=30.0)
    assert books(bench) == (Decimal(0), Decimal(0))
    proven(bench, job_id)
    assert books(bench) == ((Decimal(0), Decimal(7)) if ended else (Decimal(7), Decimal(0)))


def books(bench: Bench) -> tuple[Decimal, Decimal]:
    """The credits that are held, and those that are doubtful."""
    standing = bench.ledger.budget.spend(1).standing
    return standing.held, standing.doubtful


def test_a_person_may_still_send_it_again(bench: Bench) -> None:
    job_id = in_doubt(bench)
    proven(bench, job_id)
    assert bench.ledger.jobs.resubmit(job_id, attempt=1) == 1
    assert isinstance(bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "second", deadline=900), Grant)
    # The same callback, delivered once more, does not undo the decision.
    assert proven(bench, job_id) is Adoption.UNNAMED
    assert bench.state(job_id) == "sending"


def test_a_wrong_token_proves_nothing(bench: Bench) -> None:
    job_id = in_doubt(bench)
    before = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    assert bench.ledger.jobs.accepted_unnamed(job_id, "guessed") is Adoption.BAD_TOKEN
    assert bench.client.hgetall(bench.ledger.jobs.key(job_id)) == before
    assert bench.ledger.journal.callback_counts() == {"bad_token": 1}


def test_an_unknown_job_is_counted(bench: Bench) -> None:
    assert proven(bench, "nobody") is Adoption.UNKNOWN_JOB
    assert bench.ledger.journal.callback_counts() == {"unknown_job": 1}
    assert bench.ledger.jobs.read("nobody") is None


def test_doubts_say_where_the_task_is_to_be_found(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    proven(bench, job_id)
    [doubted] = bench.ledger.jobs.doubts()
    assert "look in the log of the provider" in doubt_of(doubted).reason
    bench.ledger.jobs.fail(job_id, InDoubt("unknown", {"charged": "yes"}), [JobState.IN_DOUBT])
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == "yes"
