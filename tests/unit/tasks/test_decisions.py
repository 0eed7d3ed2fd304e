"""The decision after each answer: from data to data."""

import json
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from limner import errors
from limner.ledger import Grant
from provider import (
    Accepted,
    Cause,
    Disposition,
    Done,
    FailCause,
    Failed,
    NoRecord,
    Pending,
    RecordAnswer,
    Refused,
    Trouble,
    Unknown,
    Unreadable,
    Why,
)
from tasks import decisions
from tasks.decisions import AfterPoll, Fail, Follow, LeaveInDoubt, Lost, Poll, PollAgain, SendAgain, TaskOver
from worker.limits.backoff import Backoff
from worker.limits.pauses import LONGEST_RETRY_AFTER, Pauses
from worker.limits.retries import RetryPolicy
from worker.polling.policies import LatePolls, ProviderAdvice

POLICY = ProviderAdvice()
PAUSES = Pauses(first=5.0, longest=300.0, keys={"north": "a name"})
RETRIES = RetryPolicy(max_attempts=8, backoff=Backoff(base=2.0, cap=60.0), pauses=PAUSES, random=Random(7))


def after_create(
    answer: Accepted | Refused | Unknown, tries: int = 1, faults: int = 0, retries: RetryPolicy = RETRIES
) -> Follow | SendAgain | LeaveInDoubt | Fail:
    grant = Grant(attempt=tries, tries=tries, request="{}", account="north", faults=faults)
    return decisions.after_create(answer, grant, policy=POLICY, retries=retries)


def refused(cause: Cause, retry_after: float | None = None) -> Refused:
    return Refused(cause, 429, 200, "no", retry_after)


def sent_again(cause: Cause, tries: int = 1, faults: int = 0, retries: RetryPolicy = RETRIES) -> SendAgain:
    again = after_create(refused(cause), tries, faults, retries)
    assert isinstance(again, SendAgain)
    return again


def of(disposition: Disposition) -> list[Cause]:
    return [cause for cause in Cause if cause.disposition is disposition]


def test_an_accepted_task_is_followed() -> None:
    assert after_create(Accepted("T")) == Follow("T", 2.5)


def test_an_unknown_outcome_is_a_doubt_whatever_the_attempt() -> None:
    for tries in (1, 8, 100):
        assert isinstance(after_create(Unknown(Why.TIMED_OUT, None, None, "?"), tries), LeaveInDoubt)


@pytest.mark.parametrize("why", list(Why))
def test_an_unknown_outcome_is_trouble_on_the_way_and_keeps_what_may_be_the_task(why: Why) -> None:
    unknown = Unknown(why, None, 502, "?", ("T", "U"), retry_after=7.0)
    doubt = after_create(unknown)
    assert isinstance(doubt, LeaveInDoubt)
    assert doubt.task_ids == ("T", "U")
    assert doubt.pause == PAUSES.trouble(unknown.trouble, 7.0)


def test_an_answer_that_names_a_task_in_its_own_way_is_no_trouble() -> None:
    doubt = after_create(Unknown(Why.NO_TASK_ID, 201, 200, "?", ("T",)))
    assert isinstance(doubt, LeaveInDoubt)
    assert (doubt.pause, doubt.task_ids) == (None, ("T",))


@pytest.mark.parametrize("cause", of(Disposition.AGAIN))
def test_what_never_reached_the_provider_costs_no_attempt_however_often(cause: Cause) -> None:
    for tries in (1, 8, 100):
        again = sent_again(cause, tries)
        assert (again.unsent, again.doubtful) == (True, False)
        assert again.pause == (PAUSES.trouble(cause.trouble) if cause.trouble else None)


def test_a_fault_is_repeated_a_few_times_and_each_time_in_doubt() -> None:
    for faults in (0, 1):
        again = sent_again(Cause.SERVER_FAULT, tries=faults + 1, faults=faults)
        assert (again.doubtful, again.unsent) == (True, False)
        assert again.pause == PAUSES.trouble(Trouble.FAULTY)
    last = after_create(refused(Cause.SERVER_FAULT), tries=3, faults=2)
    assert isinstance(last, Fail)
    assert isinstance(last.error, errors.AttemptsExhausted)
    assert last.error.charged == "maybe"
    assert last.pause == PAUSES.trouble(Trouble.FAULTY)


def test_faults_are_bounded_by_the_attempts_as_well() -> None:
    assert isinstance(after_create(refused(Cause.SERVER_FAULT), tries=8, faults=0), Fail)


def test_without_callbacks_a_fault_is_not_repeated_into_the_same_outage() -> None:
    assert [sent_again(Cause.SERVER_FAULT, faults=faults).delay for faults in (0, 1)] == [20.0, 80.0]


def test_with_callbacks_a_fault_waits_for_one() -> None:
    patient = replace(RETRIES, callback_patience=60.0)
    assert sent_again(Cause.SERVER_FAULT, faults=1, retries=patient).delay == 60.0


@pytest.mark.parametrize("cause", of(Disposition.NEVER))
def test_a_refusal_for_good_ends_the_job_in_its_own_error(cause: Cause) -> None:
    end = after_create(refused(cause))
    assert isinstance(end, Fail)
    assert type(end.error) is cause.error
    assert end.pause is None


@pytest.mark.parametrize("cause", of(Disposition.STOP))
def test_a_refusal_that_concerns_the_account_pauses_it_and_keeps_the_job(cause: Cause) -> None:
    for tries in (1, 8, 100):
        again = sent_again(cause, tries)
        assert again.pause == PAUSES.closing(cause, "north")
        assert (again.unsent, again.doubtful) == (False, False)


def test_retry_after_is_honoured_within_bounds() -> None:
    asked = after_create(refused(Cause.SERVER_FAULT, retry_after=90.0))
    endless = after_create(refused(Cause.SERVER_FAULT, retry_after=1e9))
    assert isinstance(asked, SendAgain)
    assert isinstance(endless, SendAgain)
    assert asked.delay == 90.0
    assert endless.delay == LONGEST_RETRY_AFTER


TOKEN = "the-attempts-secret"
OURS = {"callBackUrl": f"https://hooks.example.test/callbacks/job/{TOKEN}"}
NOT_ENDS = [
    Pending("waiting", known_state=True),
    Pending("dreaming", known_state=False),
    NoRecord(422, "recordInfo is null"),
    Unreadable(Why.UNKNOWN_CODE, 408, 200, "nothing for ten minutes"),
]


def after_poll(answer: RecordAnswer, age: float = 10.0, time_left: float = 800.0, **known: Any) -> AfterPoll:
    return decisions.after_poll(answer, Poll(age, time_left, **known), POLICY)


def after_late_poll(
    answer: RecordAnswer, age: float = 1000.0, time_left: float = 800.0
) -> PollAgain | Done | TaskOver | Lost:
    return decisions.after_late_poll(answer, Poll(age, time_left), LatePolls())


UNREAD = [
    Unreadable(Why.NOT_CONNECTED, None, None, ""),
    Unreadable(Why.TIMED_OUT, None, None, ""),
    Unreadable(Why.NOT_JSON, None, 502, "Bad Gateway"),
    Unreadable(Why.REFUSED, 500, 200, "", Cause.SERVER_FAULT),
]


@pytest.mark.parametrize("answer", UNREAD)
def test_an_outage_at_the_deadline_ends_no_job(answer: RecordAnswer) -> None:
    for time_left in (0.0, -3600.0):
        again = after_poll(answer, time_left=time_left)
        assert isinstance(again, PollAgain)
        assert again.delay > 0
    assert isinstance(after_poll(answer, time_left=-decisions.LONGEST_OUTAGE), Fail)


@pytest.mark.parametrize("answer", NOT_ENDS)
def test_what_is_not_an_end_is_polled_again_until_the_deadline(answer: RecordAnswer) -> None:
    assert after_poll(answer) == PollAgain(2.5, decisions.seen(answer))  # type: ignore[arg-type]
    near = after_poll(answer, age=899.0, time_left=1.0)
    assert isinstance(near, PollAgain)
    assert near.delay == 1.0
    over = after_poll(answer, time_left=0.0)
    assert isinstance(over, Fail)
    assert isinstance(over.error, errors.DeadlineExceeded)
    assert not over.error.safe_to_resend


def test_images_are_taken_even_past_the_deadline() -> None:
    done = Done(("https://a/1.png",), Decimal("3.5"), None, None)
    assert after_poll(done, time_left=-100.0) is done


IMAGELESS = Done((), Decimal(7), None, None)


def test_a_success_without_images_is_polled_again_for_minutes() -> None:
    for imageless, delay in ((0.0, 2.0), (10.0, 5.0), (299.0, 30.0)):
        again = after_poll(IMAGELESS, imageless=imageless, time_left=-1.0)
        assert again == PollAgain(delay, "success without an image", imageless=True)


def test_a_success_that_stays_without_images_is_its_own_failure_and_is_paid_for() -> None:
    end = after_poll(IMAGELESS, imageless=300.0)
    assert isinstance(end, TaskOver)
    assert isinstance(end.error, errors.NoImages)
    assert "withheld" not in str(end.error)
    assert end.credits == Decimal(7)


def test_images_are_called_withheld_only_if_the_provider_says_so() -> None:
    end = after_poll(replace(IMAGELESS, withheld="removed by our safety system"))
    assert isinstance(end, TaskOver)
    assert "withheld the images: removed by our safety system" in str(end.error)


@pytest.mark.parametrize("cause", list(FailCause))
def test_only_a_fault_that_may_be_over_is_bought_again_and_once(cause: FailCause) -> None:
    lacking = cause in (FailCause.NO_CREDITS, FailCause.KEY_CAPPED)
    for transient in (False, True):
        failed = Failed(cause, "500", "it broke", transient=transient)
        assert (decisions.buy_again(failed, 1, RETRIES) is not None) == (transient or lacking)
        assert decisions.buy_again(failed, 2, RETRIES) is None


def test_a_task_that_lacked_credits_closes_its_account() -> None:
    for cause, closing in (
        (FailCause.NO_CREDITS, Cause.NO_CREDITS),
        (FailCause.KEY_CAPPED, Cause.KEY_CAPPED),
    ):
        pause = decisions.pause_after(Failed(cause, "402", "no"), "north", RETRIES)
        assert pause == PAUSES.closing(closing, "north")
    assert decisions.pause_after(Failed(FailCause.MODERATION, "422", "no"), "north", RETRIES) is None


@pytest.mark.parametrize("cause", list(FailCause))
def test_a_failed_task_ends_in_the_error_of_its_cause(cause: FailCause) -> None:
    end = after_poll(Failed(cause, "501", "it broke"))
    assert isinstance(end, TaskOver)
    assert type(end.error) is cause.error
    assert "it broke" in str(end.error)


@pytest.mark.parametrize("answer", NOT_ENDS)
def test_a_job_that_has_ended_is_polled_ever_more_rarely_and_then_no_more(answer: RecordAnswer) -> None:
    assert isinstance(soon := after_late_poll(answer, age=1000.0, time_left=80_000.0), PollAgain)
    assert isinstance(later := after_late_poll(answer, age=10_000.0, time_left=70_000.0), PollAgain)
    assert soon.delay < later.delay <= 3600.0
    assert isinstance(after_late_poll(answer, time_left=0.0), Lost)


# A task that a callback has named


def test_a_task_that_the_provider_gives_to_another_job_is_not_adopted() -> None:
    theirs = {"callBackUrl": "https://hooks.example.test/callbacks/job/another-secret"}
    for answer in (
        Pending("waiting", known_state=True, param=theirs),
        Done(("https://a/1.png",), None, None, None, param=json.dumps(theirs)),
        Failed(FailCause.MODERATION, "422", "no", param=json.dumps(json.dumps(theirs))),
    ):
        assert isinstance(after_poll(answer, tokens=[TOKEN]), Lost)
        assert not isinstance(after_poll(answer, tokens=[]), Lost)


def test_a_task_that_the_provider_gives_to_this_attempt_is_believed() -> None:
    done = Done(("https://a/1.png",), None, None, None, param=json.dumps(OURS))
    assert after_poll(done, tokens=[TOKEN]) is done
    for unreadable in (None, "", "{", 7, {"callBackUrl": 7}):
        assert isinstance(
            after_poll(Done(("https://a/1.png",), None, None, None, unreadable), tokens=[TOKEN]), Done
        )


def test_a_task_that_the_provider_does_not_know_is_given_up_after_its_grace() -> None:
    nothing = NoRecord(422, "recordInfo is null")
    assert isinstance(after_poll(nothing, age=119.0, tokens=[TOKEN]), PollAgain)
    assert isinstance(after_poll(nothing, age=120.0, tokens=[TOKEN]), Lost)
    assert isinstance(after_poll(nothing, age=500.0, tokens=[]), PollAgain)


def test_a_message_that_quotes_the_callback_url_is_kept_without_its_secret() -> None:
    said = f"callBackUrl https://hooks.example.test/callbacks/job/{TOKEN} is not reachable"
    for answer in (Refused(Cause.BAD_REQUEST, 422, 200, said), Unknown(Why.NO_CODE, None, 502, said)):
        assert TOKEN not in str(decisions.without(answer, [TOKEN]))
    assert decisions.without(Accepted("T"), [TOKEN]) == Accepted("T")


def test_a_server_fault_in_the_end_may_have_been_paid_for() -> None:
    end = after_create(refused(Cause.SERVER_FAULT), 8)
    assert isinstance(end, Fail)
    assert not end.error.safe_to_resend


def test_no_decision_shows_the_token() -> None:
    assert TOKEN not in repr(Poll(1.0, 1.0, tokens=[TOKEN]))
    answer = Pending("waiting", known_state=True, param=OURS)
    assert TOKEN not in repr(answer) + repr(after_poll(answer, tokens=[TOKEN]))


# With callbacks


def test_a_server_fault_waits_for_a_callback_and_other_refusals_do_not() -> None:
    def delay(cause: Cause) -> float:
        again = after_create(refused(cause), retries=replace(RETRIES, callback_patience=60.0))
        assert isinstance(again, SendAgain)
        return again.delay

    assert delay(Cause.SERVER_FAULT) == 60.0
    assert delay(Cause.RATE_LIMITED) < 60.0


def test_attempts_that_never_were_accepted_cost_nothing() -> None:
    assert decisions.too_late({"cause": "maintenance"}).safe_to_resend
