"""What becomes of a callback, whenever it comes, and of an attempt of which nothing is known.

Written to be read from top to bottom: each test is one story of an answer that was lost, late or doubled.
"""

from decimal import Decimal

import pytest

from limner.errors import Cancelled, GenerationFailed, InDoubt, RequestRejected
from limner.ledger import Budget, Claim, Grant
from limner.records import JobState, Record, TaskState
from limner.terms import Adoption
from tests.integration.ledger.conftest import START, Bench

NO_ANSWER = {"cause": "timeout", "message": "no answer"}
REFUSED = {"cause": "unavailable", "message": "try later"}
NOT_THERE = {"cause": "not_found", "message": "recordInfo is null"}
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})
NO_READS = Budget(20, 10.0, 0, 1.0, 100)
ONE_READ = Budget(20, 10.0, 1, 1.0, 100)


def record(bench: Bench, job_id: str) -> Record:
    found = bench.ledger.read(job_id)
    assert found
    return found


def in_doubt(bench: Bench, grace: float = 5.0) -> str:
    job_id, grant = bench.sending()
    assert bench.ledger.doubt(job_id, grant.attempt, NO_ANSWER, grace=grace)
    return job_id


def failed_in_doubt(bench: Bench) -> str:
    job_id = in_doubt(bench)
    assert bench.ledger.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert bench.stored(job_id)
    return job_id


def second_attempt(bench: Bench) -> str:
    """The first attempt was refused, and the second, with the token "second", is on the wire."""
    job_id, grant = bench.sending()
    assert bench.ledger.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    assert isinstance(bench.ledger.begin(job_id, bench.claim_one().lease, "second", deadline=900), Grant)
    return job_id


def succeed(bench: Bench, job_id: str, task_id: str, cost: Decimal | None = None) -> str:
    return bench.ledger.task_succeeded(job_id, task_id, [f"https://{task_id}"], cost, ttl=60).what


def settle(bench: Bench, job_id: str) -> Claim:
    [step] = [step for step in bench.claim().steps if step.job_id == job_id]
    assert step.step == "settle"
    return step


# A callback finds its job


def test_a_callback_before_the_answer_is_followed_and_the_answer_confirms_it(bench: Bench) -> None:
    job_id, grant = bench.sending()
    assert bench.ledger.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert bench.claim_one().step == "look"  # at once
    [task] = record(bench, job_id).tasks
    assert (task.task_id, task.attempt, task.confirmed) == ("T", grant.attempt, False)
    assert bench.ledger.accepted(job_id, grant.attempt, "T", look_in=2.0) is Adoption.EXPECTED
    [task] = record(bench, job_id).tasks
    assert task.confirmed


def test_a_callback_after_the_answer_brings_the_look_forward(bench: Bench) -> None:
    job_id = bench.generating(look_in=60.0)
    assert bench.claim().steps == []
    assert bench.ledger.called_back(job_id, "token", "task of a fox") is Adoption.EXPECTED
    assert bench.claim_one() == Claim(job_id, "look", 2)


def test_a_callback_resolves_a_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    assert [doubt.job_id for doubt in bench.ledger.doubts()] == [job_id]
    assert bench.ledger.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert bench.state(job_id) == "generating"
    assert bench.ledger.doubts() == []


@pytest.mark.parametrize("delay", [0.0, 30.0])
def test_a_callback_for_a_refused_attempt_keeps_the_next_one_from_being_sent(
    bench: Bench, delay: float
) -> None:
    job_id, grant = bench.sending()
    bench.ledger.retry(job_id, grant.attempt, REFUSED, delay=delay)
    if delay == 0.0:
        bench.claim(Budget(0, 10.0, 0, 1.0, 100))  # it stands in the line now
        assert bench.places(job_id) == ["line:create"]
    assert bench.ledger.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert (bench.state(job_id), bench.places(job_id)) == ("generating", ["line:look"])
    assert [step.step for step in bench.claim().steps] == ["look"]


def test_a_step_that_was_claimed_sends_nothing_once_a_task_is_adopted(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.ledger.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    lease = bench.claim_one().lease
    bench.ledger.called_back(job_id, "token", "T")
    assert bench.ledger.begin(job_id, lease, "second", deadline=900) == "stale"


@pytest.mark.parametrize("outcome", ["refused", "failed", "in doubt"])
def test_a_superseded_attempts_task_waits_for_the_outcome_of_the_one_on_the_wire(
    bench: Bench, outcome: str
) -> None:
    job_id = second_attempt(bench)
    assert bench.ledger.called_back(job_id, "token", "T1") is Adoption.ADOPTED
    assert bench.state(job_id) == "sending"
    if outcome == "refused":
        assert bench.ledger.retry(job_id, 2, REFUSED, delay=30.0)
    elif outcome == "failed":
        error = RequestRejected("no")
        assert bench.ledger.fail(job_id, error, [JobState.SENDING], attempt=2) is None
    else:
        assert bench.ledger.doubt(job_id, 2, NO_ANSWER, grace=30.0)
    assert (bench.state(job_id), bench.task_id(job_id)) == ("generating", "T1")
    assert bench.claim_one().step == "look"


# ... or none


def test_the_attempts_own_task_is_not_mistaken_for_another(bench: Bench) -> None:
    job_id = bench.generating()
    assert bench.ledger.called_back(job_id, "token", "another") is Adoption.MISMATCHED
    assert [task.task_id for task in record(bench, job_id).tasks] == ["task of a fox"]


def test_a_wrong_token_changes_nothing(bench: Bench) -> None:
    job_id = in_doubt(bench)
    before = bench.client.hgetall(bench.ledger.record_key(job_id))
    assert bench.ledger.called_back(job_id, "guessed", "T") is Adoption.BAD_TOKEN
    assert bench.client.hgetall(bench.ledger.record_key(job_id)) == before
    assert bench.ledger.callback_counts() == {"bad_token": 1}


def test_a_callback_for_an_unknown_job_is_kept_for_a_person(bench: Bench) -> None:
    assert bench.ledger.called_back("nobody", "token", "T") is Adoption.UNKNOWN_JOB
    [stray] = bench.ledger.strays()
    assert (stray.job_id, stray.task_id) == ("nobody", "T")
    assert bench.ledger.read("nobody") is None


def test_a_job_that_was_never_sent_adopts_nothing(bench: Bench) -> None:
    job_id = bench.submit()
    assert bench.ledger.adopt(job_id, "T") is Adoption.MISMATCHED
    assert bench.state(job_id) == "queued"


def test_a_flood_of_made_up_tasks_is_bounded(bench: Bench) -> None:
    job_id = in_doubt(bench)
    told = [bench.ledger.called_back(job_id, "token", f"T{number}") for number in range(10)]
    assert told.count(Adoption.ADOPTED) == len(record(bench, job_id).tasks) == 4
    assert set(told[4:]) == {Adoption.MISMATCHED}


# After the end


def test_a_job_that_failed_in_doubt_succeeds_late(bench: Bench) -> None:
    job_id = failed_in_doubt(bench)
    with bench.client.pubsub() as ends:  # type: ignore[no-untyped-call]
        ends.subscribe(bench.ledger.channel(job_id))
        assert bench.ledger.called_back(job_id, "token", "T") is Adoption.ADOPTED
        assert bench.state(job_id) == "failed"
        assert bench.claim_one().step == "look"
        assert succeed(bench, job_id, "T", Decimal("3.5")) == "late"
        told = [ends.get_message(timeout=5.0) for _ in range(2)][1]
    assert told
    assert told["data"] == "succeeded"
    assert record(bench, job_id).images().urls == ["https://T"]
    assert bench.ledger.doubts() == []
    assert bench.events(job_id)[-1] == bench.ledger.events("0")[-1].event == "succeeded_late"
    assert bench.places(job_id) == ["due"]  # until the better result is stored


def test_after_success_a_callback_is_a_repetition(bench: Bench) -> None:
    job_id = bench.generating()
    bench.succeed(job_id)
    bench.stored(job_id)
    assert bench.ledger.called_back(job_id, "token", "task of a fox") is Adoption.REPEATED
    assert bench.places(job_id) == []


def test_a_second_task_is_recorded_as_a_double_with_its_credits(bench: Bench) -> None:
    job_id = second_attempt(bench)
    bench.ledger.accepted(job_id, 2, "T2", look_in=0.0)
    succeed(bench, job_id, "T2", Decimal("3.5"))
    bench.stored(job_id)
    assert bench.ledger.called_back(job_id, "token", "T1") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T1", Decimal("7")) == "noted"
    double = bench.ledger.events("0")[-1]
    assert (double.event, double.detail["task_id"], double.detail["credits"]) == ("double", "T1", "7")
    assert record(bench, job_id).images().urls == ["https://T2"]
    paid = {task.task_id: (task.credits, task.urls) for task in record(bench, job_id).tasks}
    assert paid == {"T1": (Decimal("7"), ("https://T1",)), "T2": (Decimal("3.5"), ())}


def test_a_cancelled_job_stays_cancelled_and_its_paid_result_is_recorded(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.cancel(job_id, UNSENT, SENT)
    bench.stored(job_id)
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == "maybe"
    assert bench.ledger.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T", Decimal("3.5")) == "noted"
    assert bench.state(job_id) == "cancelled"
    assert bench.ledger.events("0")[-1].event == "late_result"
    failure = record(bench, job_id).failure
    assert failure
    assert failure.charged == "yes"
    assert record(bench, job_id).tasks[0].urls == ("https://T",)


def test_a_record_is_kept_as_long_as_a_task_is_open(bench: Bench) -> None:
    job_id = bench.generating()
    bench.ledger.cancel(job_id, UNSENT, SENT)
    key = bench.ledger.record_key(job_id)
    assert bench.stored(job_id)
    assert (bench.places(job_id), bench.client.pttl(key)) == (["due"], -1)
    assert bench.ledger.task_failed(job_id, "task of a fox", GenerationFailed("no"), ttl=60).what == "noted"
    assert bench.places(job_id) == []
    assert 0 < bench.client.pttl(key) <= 60_000


def test_a_late_task_holds_on_to_a_record_that_was_let_go(bench: Bench) -> None:
    job_id = failed_in_doubt(bench)
    key = bench.ledger.record_key(job_id)
    assert bench.client.pttl(key) > 0
    bench.ledger.called_back(job_id, "token", "T")
    assert bench.client.pttl(key) == -1


# Tasks that cannot be seen


def test_a_task_that_only_a_callback_named_and_nobody_sees_leaves_the_job_in_doubt(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.called_back(job_id, "token", "T")
    bench.claim_one()
    assert bench.ledger.task_lost(job_id, "T", NOT_THERE, grace=5.0, ttl=60).what == "noted"
    assert bench.state(job_id) == "in_doubt"
    assert [doubt.job_id for doubt in bench.ledger.doubts()] == [job_id]
    bench.now += 5.0
    assert settle(bench, job_id).step == "settle"


def test_what_was_lost_is_found_again_by_another_callback(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.called_back(job_id, "token", "T")
    bench.ledger.task_lost(job_id, "T", NOT_THERE, grace=5.0, ttl=60)
    bench.ledger.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert bench.ledger.called_back(job_id, "token", "T") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T") == "late"


def test_a_doubt_that_a_slower_look_resolves_is_over(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.called_back(job_id, "token", "T")
    bench.ledger.task_lost(job_id, "T", NOT_THERE, grace=5.0, ttl=60)
    assert bench.ledger.task_failed(job_id, "T", GenerationFailed("no"), ttl=60).what == "ended"
    assert bench.state(job_id) == "failed"
    assert bench.ledger.doubts() == []


def test_a_failed_task_does_not_end_the_doubt_about_another_attempt(bench: Bench) -> None:
    job_id = second_attempt(bench)
    bench.ledger.called_back(job_id, "token", "T1")
    bench.ledger.doubt(job_id, 2, NO_ANSWER, grace=5.0)
    bench.ledger.task_failed(job_id, "T1", GenerationFailed("no"), ttl=60, grace=5.0)
    assert bench.state(job_id) == "in_doubt"
    assert bench.ledger.called_back(job_id, "second", "T2") is Adoption.ADOPTED
    assert succeed(bench, job_id, "T2") == "ended"


# What is decided about a doubt


def test_a_held_job_holds_no_place_and_waits_for_a_person(bench: Bench) -> None:
    job_id = in_doubt(bench, grace=0.0)
    assert bench.ledger.hold(job_id, settle(bench, job_id).lease, ask_again_in=3600.0)
    assert record(bench, job_id).held_at
    assert bench.client.scard(bench.ledger.prefix + "in-flight") == 0
    bench.now += 3600.0
    assert bench.ledger.hold(job_id, settle(bench, job_id).lease, ask_again_in=3600.0)
    assert bench.events(job_id).count("held") == 1
    assert bench.ledger.adopt(job_id, "T") is Adoption.ADOPTED
    assert record(bench, job_id).held_at is None


def test_the_policy_resubmits_once_and_a_person_whenever(bench: Bench) -> None:
    job_id = in_doubt(bench, grace=0.0)
    for times, by_policy in enumerate((True, False, False), start=1):
        lease = settle(bench, job_id).lease
        if not by_policy:
            assert bench.ledger.resubmit(job_id, lease=lease) == 0
        assert bench.ledger.resubmit(job_id, lease=lease if by_policy else None) == times
        grant = bench.ledger.begin(job_id, bench.claim_one().lease, f"again {times}", deadline=900)
        assert isinstance(grant, Grant)
        assert bench.ledger.doubt(job_id, grant.attempt, NO_ANSWER, grace=0.0)
    assert record(bench, job_id).resubmitted == 3


def test_a_message_that_settled_an_attempt_does_not_settle_its_doubt(bench: Bench) -> None:
    job_id, grant = bench.sending()
    bench.now += bench.ledger.leases.send
    lease = settle(bench, job_id).lease
    assert bench.ledger.doubt(job_id, grant.attempt, NO_ANSWER, grace=5.0)
    assert bench.ledger.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT], lease=lease) is None
    assert not bench.ledger.hold(job_id, lease, ask_again_in=5.0)
    assert bench.ledger.resubmit(job_id, lease=lease) == 0


def test_a_late_success_is_stored_although_the_failure_was_stored_after_it(bench: Bench) -> None:
    job_id = in_doubt(bench)
    bench.ledger.called_back(job_id, "token", "T")
    failed_at = bench.ledger.fail(job_id, InDoubt("unknown"), [JobState.GENERATING])
    assert failed_at
    bench.now += 1.0
    assert succeed(bench, job_id, "T") == "late"
    assert not bench.ledger.stored(job_id, failed_at, ttl=60)
    assert settle(bench, job_id).step == "settle"


# Steps that nobody takes


def test_an_attempt_given_back_returns_its_permit_and_its_place(bench: Bench) -> None:
    narrow = Budget(1, 10.0, 1, 1.0, 1)
    job_id = bench.submit()
    [step] = bench.claim(narrow).steps
    assert bench.ledger.give_back([step]) == 1
    assert bench.ledger.give_back([step]) == 0
    assert bench.ledger.begin(job_id, step.lease, "t", deadline=900) == "stale"
    assert [again.step for again in bench.claim(narrow).steps] == ["create"]


def test_a_look_given_back_returns_its_permit(bench: Bench) -> None:
    job_id = bench.generating(look_in=0.0)
    [step] = bench.claim(ONE_READ).steps
    assert bench.ledger.give_back([step]) == 1
    assert not bench.ledger.looked(job_id, step.lease, "waiting", look_in=2.0)
    assert [again.step for again in bench.claim(ONE_READ).steps] == ["look"]


def test_what_has_begun_is_not_given_back(bench: Bench) -> None:
    bench.submit()
    step = bench.claim_one()
    bench.ledger.begin(step.job_id, step.lease, "t", deadline=900)
    assert bench.ledger.give_back([step]) == 0
    assert bench.places(step.job_id) == ["due"]


# Hints


def test_a_flood_of_hints_during_a_look_leaves_it_valid_and_calls_for_one_more(bench: Bench) -> None:
    job_id = bench.generating(look_in=0.0)
    step = bench.claim_one()
    for _ in range(50):
        assert bench.ledger.called_back(job_id, "token", "task of a fox") is Adoption.EXPECTED
    assert bench.claim().steps == []
    assert bench.ledger.looked(job_id, step.lease, "waiting", look_in=600.0)
    for _ in range(50):
        bench.ledger.called_back(job_id, "token", "task of a fox")
    assert bench.claim().steps == []
    bench.now += 1.0
    assert bench.claim_one().step == "look"


def test_a_hint_goes_before_looks_that_are_due_and_wakes_a_clock(bench: Bench) -> None:
    hinted = bench.generating("hinted", look_in=600.0)
    bench.generating("due", look_in=0.0)
    bench.now += 30.0
    bench.claim(NO_READS)
    bench.client.delete(bench.ledger.prefix + "bell")
    bench.ledger.called_back(hinted, "token", "task of hinted")
    assert bench.client.llen(bench.ledger.prefix + "bell") == 1
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [hinted]


def test_a_hint_never_makes_a_look_later(bench: Bench) -> None:
    job_id = bench.generating(look_in=0.0)
    bench.ledger.looked(job_id, bench.claim_one().lease, "waiting", look_in=0.25)
    bench.ledger.called_back(job_id, "token", "task of a fox")
    assert bench.client.zscore(bench.ledger.prefix + "due", job_id) == (START + 0.25) * 1000
    bench.now += 0.25
    bench.claim(NO_READS)
    bench.now += 100.0
    bench.ledger.called_back(job_id, "token", "task of a fox")
    assert bench.client.zscore(bench.ledger.prefix + "line:look", job_id) == (START + 0.25) * 1000


def test_quiet_looks_come_after_those_that_somebody_waits_for(bench: Bench) -> None:
    live = bench.generating("live", look_in=1.0)
    quiet = bench.generating("quiet")
    bench.ledger.cancel(quiet, UNSENT, SENT)
    bench.stored(quiet)
    assert bench.ledger.give_back([bench.claim_one()]) == 1
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [live]
    bench.now += 1.0
    assert [step.job_id for step in bench.claim(ONE_READ).steps] == [quiet]


def test_the_task_that_was_named_last_is_looked_at_first_and_each_has_its_turn(bench: Bench) -> None:
    job_id = in_doubt(bench)
    for task_id in ("T1", "T2"):
        assert bench.ledger.called_back(job_id, "token", task_id) is Adoption.ADOPTED
    assert bench.task_id(job_id) == "T2"
    lease = bench.claim_one().lease
    assert bench.ledger.looked(job_id, lease, "waiting", look_in=2.0, confirmed="T2")
    assert bench.task_id(job_id) == "T1"
    [first, second] = record(bench, job_id).tasks
    assert (first.task_id, first.confirmed, second.confirmed) == ("T1", False, True)
    assert {task.state for task in (first, second)} == {TaskState.OPEN}
