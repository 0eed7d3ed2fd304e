"""The action for a job that has expired in each state."""

from typing import Any

import pytest

from limner.errors import InDoubt
from limner.ledger.jobs import Jobs
from limner.status import JobState
from tasks.recover import ASK_AGAIN, LATE_COMMIT, bring_to_end
from tests.unit.tasks.doubles import NOW, Desk, Recorder, a_record, ms

LEASE = 7
HOOK: Any = {"callback_url": "https://hooks.example.test"}


def recovered(
    state: str, *, lease: int = LEASE, done: bool = True, fields: Any = None, **settings: Any
) -> Desk:
    """A job that has expired in that state; ``done`` is the ledger's answer to the action."""
    record = a_record(state, **(fields or {}))
    desk = Desk(
        jobs=Recorder(Jobs, read=record, hold=done, resubmit=done, fail=a_record("failed")), settings=settings
    )
    bring_to_end(desk.services(), "job-1", lease)
    return desk


@pytest.mark.parametrize("state", ["sending", "in_doubt", "failed"])
def test_a_step_whose_lease_is_another_s_by_now_does_nothing(state: str) -> None:
    desk = recovered(state, lease=LEASE - 1)
    assert desk.jobs.names == ["read"]
    assert desk.results.calls == []


def test_an_unknown_job_is_left() -> None:
    desk = Desk(jobs=Recorder(Jobs, read=None))
    bring_to_end(desk.services(), "job-1", LEASE)
    assert desk.jobs.names == ["read"]


def test_a_request_on_the_wire_is_in_doubt_for_as_long_as_its_answer_may_still_be_put_on_record() -> None:
    doubtful = recovered("sending").jobs.given("doubt")
    assert (doubtful["attempt"], doubtful["grace"]) == (1, LATE_COMMIT)
    assert doubtful["error"]["cause"] == "worker_lost"


def test_with_callbacks_it_is_in_doubt_for_as_long_as_one_may_come() -> None:
    assert recovered("sending", in_doubt_seconds=300, **HOOK).jobs.given("doubt")["grace"] == 300


def test_a_doubt_ends_in_its_error_unless_the_settings_say_otherwise() -> None:
    desk = recovered("in_doubt", fields={"last_error": '{"message": "no answer"}'})
    failed = desk.jobs.given("fail")
    assert isinstance(failed["error"], InDoubt)
    assert "no answer" in failed["error"].message
    assert (failed["come_from"], failed["lease"]) == ([JobState.IN_DOUBT], LEASE)
    assert desk.results.names == ["store"]


def test_a_doubt_is_held_for_a_person_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    held = recovered("in_doubt", in_doubt="hold").jobs.given("hold")
    assert held == {"job_id": "job-1", "lease": LEASE, "ask_again_in": ASK_AGAIN}
    assert caplog.text.count("is held") == 1
    recovered("in_doubt", in_doubt="hold", fields={"held": ms(-3600)})
    assert caplog.text.count("is held") == 1


def test_a_doubt_is_sent_again_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = recovered("in_doubt", in_doubt="resubmit")
    assert desk.jobs.given("resubmit")["lease"] == LEASE
    assert "may be paid for twice" in caplog.text
    again = recovered("in_doubt", in_doubt="resubmit", fields={"resubmitted": 1})
    assert again.jobs.names == ["read", "fail"]


@pytest.mark.parametrize("policy", ["fail", "resubmit"])
def test_a_doubt_whose_attempt_was_accepted_for_certain_is_never_sent_again(policy: str) -> None:
    desk = recovered("in_doubt", in_doubt=policy, fields={"proven": 1})
    assert desk.jobs.names == ["read", "fail"]
    failed = desk.jobs.given("fail")["error"]
    assert (type(failed), failed.charged) == (InDoubt, "yes")
    assert "python -m limner resolve job-1 --adopt TASK" in failed.message


def test_such_a_doubt_may_be_held_for_a_person() -> None:
    assert recovered("in_doubt", in_doubt="hold", fields={"proven": 1}).jobs.names == ["read", "hold"]


def test_what_the_ledger_did_not_send_again_is_not_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    recovered("in_doubt", in_doubt="resubmit", done=False)
    assert caplog.text == ""


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "expired"])
def test_the_result_of_a_job_that_has_ended_is_stored(state: str) -> None:
    stored = recovered(state).results.given("store")["record"]
    assert (stored.state, stored.read_at) == (state, NOW)


@pytest.mark.parametrize("state", ["queued", "generating"])
def test_a_job_that_goes_on_by_itself_is_left(state: str) -> None:
    desk = recovered(state)
    assert desk.jobs.names == ["read"]
    assert desk.results.calls == []
