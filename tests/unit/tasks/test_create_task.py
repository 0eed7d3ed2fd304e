"""One attempt: begun, not sent if it is late, sent, and put on record."""

import logging
from collections.abc import Callable
from typing import Any, Final

import pytest

from limner.errors import DeadlineExceeded, FeatureDisabled, NotDurable, StoreUnavailable
from limner.ledger import Grant
from limner.ledger.jobs import Jobs
from limner.models import TextToImage
from limner.status import JobState
from provider import Accepted, Cause, KieClient, Refused, Unknown, Why
from tasks import create_task
from tasks.create_task import callback_url, create, no_key
from tests.unit.tasks.doubles import Desk, Recorder, a_record

GRANT: Final = Grant(attempt=1, tries=1, request='{"prompt": "a fox"}')
CALLBACK: Final = {"callback_url": "https://hooks.example.test"}


def desk(answer: Any = None, *, begun: Any = GRANT, **settings: Any) -> Desk:
    """A desk whose ledger grants the attempt, and whose provider gives this answer."""
    return Desk(
        jobs=Recorder(Jobs, begin=begun),
        provider=Recorder(KieClient, create_task=answer),
        settings=settings,
    )


def created(desk: Desk, job_id: str = "job-1") -> Desk:
    create(desk.services(), job_id, 7)
    return desk


def refused(cause: Cause, message: str = "no") -> Refused:
    return Refused(cause, 429, 200, message)


# Begin


def test_an_attempt_begins_under_its_lease_with_the_time_that_the_settings_give() -> None:
    begun = created(desk(Accepted("T"), job_deadline_seconds=600)).jobs.given("begin")
    assert (begun["job_id"], begun["lease"], begun["deadline"]) == ("job-1", 7, 600)


def test_each_attempt_has_a_secret_of_its_own() -> None:
    one, other = (created(desk(Accepted("T"))).jobs.given("begin")["token"] for _ in range(2))
    assert one != other
    assert len(one) >= 32


def test_a_stale_step_sends_and_writes_nothing() -> None:
    stale = created(desk(begun="stale"))
    assert stale.provider.calls == []
    assert stale.jobs.names == ["begin"]


def test_a_job_whose_time_is_over_ends_and_is_not_sent() -> None:
    late = desk(begun="late")
    late.jobs = Recorder(Jobs, begin="late", read=a_record("queued", last_error='{"cause": "maintenance"}'))
    created(late)
    failed = late.jobs.given("fail")
    assert isinstance(failed["error"], DeadlineExceeded)
    assert "maintenance" in failed["error"].message
    assert (failed["come_from"], failed["lease"]) == ([JobState.QUEUED], 7)
    assert late.provider.calls == []


# Refuse to send


class Forgetful:
    """A ledger whose ``begin`` fails after it has recorded the attempt, unless ``on_record`` is false."""

    def __init__(self, error: Exception, *, on_record: bool = True) -> None:
        self._error, self._on_record, self._token = error, on_record, ""
        self.jobs = Recorder(Jobs, begin=self._begin, read=self._read)

    def _begin(self, token: str, **_: Any) -> None:
        self._token = token
        raise self._error

    def _read(self, **_: Any) -> Any:
        return a_record("sending", **{"token:1": self._token if self._on_record else "another's"})


@pytest.mark.parametrize(
    ("error", "cause"),
    [(NotDurable("not on disk"), "not_durable"), (StoreUnavailable("no answer"), "not_confirmed")],
)
def test_an_attempt_that_redis_may_forget_is_taken_back_unsent(
    error: Exception, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create_task, "BEGIN_PATIENCE", 0.0)
    forgotten = Desk(jobs=Forgetful(error).jobs)
    created(forgotten)
    taken_back = forgotten.jobs.given("retry")
    assert taken_back["error"] == {"cause": cause, "message": str(error)}
    assert (taken_back["unsent"], taken_back["uncounted"], taken_back["delay"]) == (True, 2.0, 2.0)
    assert forgotten.provider.calls == []


def test_an_attempt_of_somebody_else_is_not_taken_back() -> None:
    forgotten = Desk(jobs=Forgetful(NotDurable("not on disk"), on_record=False).jobs)
    created(forgotten)
    assert forgotten.jobs.names == ["begin", "read"]


def test_a_worker_without_the_account_s_key_does_not_send(caplog: pytest.LogCaptureFixture) -> None:
    keyless = desk(begun=Grant(1, 1, "{}", account="north"))
    keyless.jobs = Recorder(Jobs, begin=Grant(1, 1, "{}", account="north"), read=None)
    created(keyless)
    assert keyless.jobs.names == ["begin", "read"]
    assert keyless.provider.calls == []
    assert no_key("north")["cause"] == "unknown_account"


# Send


def test_the_request_goes_out_as_it_was_granted() -> None:
    sent = created(desk(Accepted("T"))).provider.given("create_task")
    assert (sent["request"], sent["callback_url"]) == (TextToImage(prompt="a fox"), None)


def test_the_ledger_is_asked_right_before_the_request_goes_out_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.leave.MOMENT", -1.0)
    answers: list[bool] = []

    def provider(may_send: Callable[[], bool], **_: Any) -> Refused:
        answers.append(may_send())
        return refused(Cause.NOT_SENT)

    late = desk()
    late.jobs = Recorder(Jobs, begin=GRANT, renew=False)
    late.provider = Recorder(KieClient, create_task=provider)
    created(late)
    assert answers == [False]
    renewed = late.jobs.given("renew")
    assert (renewed["job_id"], renewed["attempt"]) == ("job-1", 1)
    assert renewed["token"] == late.jobs.given("begin")["token"]
    assert late.jobs.given("retry")["unsent"]


def test_the_callback_holds_the_job_and_the_secret_of_the_attempt() -> None:
    sent = created(desk(Accepted("T"), **CALLBACK), "a/b")
    token = sent.jobs.given("begin")["token"]
    assert sent.provider.given("create_task")["callback_url"] == (
        f"https://hooks.example.test/callbacks/a%2Fb/{token}"
    )


def test_without_an_address_there_is_no_callback() -> None:
    assert callback_url(desk().services().settings, "job-1", "token") is None


# Put on record


def test_an_accepted_task_is_followed() -> None:
    accepted = created(desk(Accepted("T"))).jobs.given("accepted")
    assert accepted == {"job_id": "job-1", "attempt": 1, "task_id": "T", "poll_in": 2.5}


def test_a_refusal_for_now_is_sent_again() -> None:
    again = created(desk(refused(Cause.NOT_CONNECTED))).jobs.given("retry")
    assert (again["job_id"], again["attempt"], again["unsent"]) == ("job-1", 1, True)
    assert again["error"]["cause"] == Cause.NOT_CONNECTED.value
    assert again["pause"].after == 3
    assert again["uncounted"] == again["delay"]


def test_a_refusal_of_the_account_pauses_it_and_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    again = created(desk(refused(Cause.NO_CREDITS))).jobs.given("retry")
    assert again["pause"].credits
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_attempt_without_a_certain_answer_is_in_doubt_for_as_long_as_a_callback_may_come() -> None:
    unknown = Unknown(Why.TIMED_OUT, None, None, "?")
    doubtful = created(desk(unknown, in_doubt_seconds=300, **CALLBACK)).jobs.given("doubt")
    assert (doubtful["attempt"], doubtful["grace"]) == (1, 300)
    assert created(desk(unknown, in_doubt_seconds=300)).jobs.given("doubt")["grace"] == 0.0


def test_a_refusal_for_good_ends_the_job() -> None:
    failed = created(desk(refused(Cause.DISABLED))).jobs.given("fail")
    assert isinstance(failed["error"], FeatureDisabled)
    assert (failed["come_from"], failed["attempt"]) == ([JobState.SENDING], 1)


def test_a_message_that_quotes_the_callback_is_kept_without_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    def quote(callback_url: str, **_: Any) -> Refused:
        return refused(Cause.NOT_CONNECTED, f"cannot reach {callback_url}")

    quoted = created(desk(quote, **CALLBACK))
    token = quoted.jobs.given("begin")["token"]
    assert "/callbacks/job-1/***" in quoted.jobs.given("retry")["error"]["message"]
    assert token not in caplog.text
