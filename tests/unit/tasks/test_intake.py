"""The job or the error that follows from a plain Celery message."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import Reject

from limner.errors import (
    IdempotencyConflict,
    InvalidRequest,
    MessageTooOld,
    NotDurable,
    RepeatedMessage,
)
from limner.ledger import Submitted
from limner.ledger.jobs import Jobs
from limner.options import SubmitOptions
from tasks.intake import MAX_ID_LENGTH, accept, refuse_call, submission
from tasks.message_time import SENT
from tests.unit.tasks.doubles import Desk, Recorder
from worker.results import ResultStore

CREATED = Submitted("created", "job-1")


def accepting(answer: Any = CREATED) -> Desk:
    return Desk(jobs=Recorder(Jobs, submit=answer))


def requeued(rejection: Any) -> bool:
    """True if the broker is to deliver the message again."""
    return bool(rejection.requeue)


def test_a_message_becomes_a_job_under_the_task_s_id() -> None:
    desk = accepting()
    accept(desk.services(), "job-1", (), {"prompt": "a fox"}, {})
    new = desk.jobs.given("submit")["new"]
    assert new.job_id == "job-1"
    assert json.loads(new.request)["prompt"] == "a fox"
    assert desk.results.calls == []


def test_options_stand_beside_the_parameters_of_the_request() -> None:
    new = submission(
        "job-1",
        (),
        {
            "prompt": "a fox",
            "priority": 9,
            "metadata": {"order": 4},
            "lane": "a",
            "account": "b",
            "expires_in": 60,
        },
    )
    assert new.options == SubmitOptions(
        priority=9, metadata={"order": 4}, lane="a", account="b", expires_in=60
    )
    assert "priority" not in new.request


@pytest.mark.parametrize(
    ("job_id", "positional", "parameters", "named"),
    [
        ("job-1", ("a fox",), {}, "kwargs"),
        ("x" * (MAX_ID_LENGTH + 1), (), {"prompt": "a fox"}, "task_id"),
        ("job\n1", (), {"prompt": "a fox"}, "task_id"),
        ("", (), {"prompt": "a fox"}, "task_id"),
        ("\ud800", (), {"prompt": "a fox"}, "task_id"),
        (".", (), {"prompt": "a fox"}, "task_id"),
        ("..", (), {"prompt": "a fox"}, "task_id"),
        ("job-1", (), {}, "prompt"),
        ("job-1", (), {"promt": "a fox"}, "promt"),
        ("job-1", (), {"prompt": "a fox", "\ud800": 1}, r"\\ud800: there is no such parameter"),
        ("job-1", (), {"prompt": "a fox", "priority": 10}, "priority"),
    ],
)
def test_a_bad_message_is_refused_and_what_is_wrong_is_named(
    job_id: str, positional: tuple[Any, ...], parameters: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        submission(job_id, positional, parameters)


def test_an_id_of_the_greatest_length_is_taken() -> None:
    assert submission("x" * MAX_ID_LENGTH, (), {"prompt": "a fox"}).job_id == "x" * MAX_ID_LENGTH


def test_a_refusal_is_the_message_s_result_and_makes_no_job() -> None:
    desk = accepting()
    accept(desk.services(), "job-1", (), {"promt": "a fox"}, {})
    assert desk.jobs.names == ["has_taken"]
    refused = desk.results.given("refuse")
    assert refused["job_id"] == "job-1"
    assert isinstance(refused["error"], InvalidRequest)


def test_an_account_that_there_is_not_is_a_refusal() -> None:
    desk = accepting(Submitted("no_account", "main"))
    accept(desk.services(), "job-1", (), {"prompt": "a fox", "account": "south"}, {})
    assert "south" in str(desk.results.given("refuse")["error"])


def test_a_message_that_redis_did_not_keep_goes_back_to_the_broker() -> None:
    with pytest.raises(Reject) as rejected:
        accept(accepting(NotDurable("not on disk")).services(), "job-1", (), {"prompt": "a fox"}, {})
    assert requeued(rejected.value)


def test_a_refusal_that_cannot_be_stored_goes_back_to_the_broker() -> None:
    desk = Desk(results=Recorder(ResultStore, refuse=NotDurable("not on disk")))
    with pytest.raises(Reject) as rejected:
        accept(desk.services(), "job-1", ("a fox",), {}, {})
    assert requeued(rejected.value)


FIRST = datetime(2026, 11, 1, tzinfo=UTC)
AGAIN = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "same", "error"),
    [("gone", True, RepeatedMessage), ("gone", False, IdempotencyConflict), ("too_old", True, MessageTooOld)],
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_message_that_comes_again_is_answered_unless_its_result_is_kept(
    outcome: Any, same: bool, error: type[Exception], kept: bool
) -> None:
    digest = submission("job-1", (), {"prompt": "a fox"}).digest if same else "d"
    desk = Desk(
        jobs=Recorder(Jobs, submit=Submitted(outcome, "job-1", digest, FIRST, AGAIN)),
        results=Recorder(ResultStore, has=kept),
    )
    accept(desk.services(), "job-1", (), {"prompt": "a fox"}, {})
    if kept:
        assert desk.results.names == ["has"]
    else:
        assert type(desk.results.given("refuse")["error"]) is error


def test_an_id_with_another_request_is_told_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    desk = accepting(Submitted("conflict", "job-1", "the first digest", FIRST, AGAIN))
    accept(desk.services(), "job-1", (), {"prompt": "a hen"}, {})
    assert desk.results.calls == []
    [line] = caplog.records
    assert line.levelname == "WARNING"
    other = submission("job-1", (), {"prompt": "a hen"}).digest
    for told in ("task_id", "job-1", "the first digest", other, FIRST.isoformat(), AGAIN.isoformat()):
        assert told in line.getMessage()


@pytest.mark.parametrize("hours", [1, 200])
def test_a_message_says_how_old_it_is(hours: int) -> None:
    desk = accepting()
    sent = datetime.now(UTC) - timedelta(hours=hours)
    accept(desk.services(), "job-1", (), {"prompt": "a fox"}, {SENT: sent.isoformat()})
    new = desk.jobs.given("submit")["new"]
    assert new.too_old == (hours > 168)
    assert new.remember > 7 * 86_400


def test_a_bad_message_does_not_overwrite_the_result_of_a_job(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(jobs=Recorder(Jobs, has_taken=True))
    accept(desk.services(), "job-1", (), {"promt": "a fox"}, {})
    refuse_call(desk.services(), "job-1", TypeError("an unexpected argument"))
    assert desk.results.calls == []
    assert ["job-1" in line.getMessage() for line in caplog.records] == [True, True]


def test_a_message_without_an_id_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    desk = accepting()
    accept(desk.services(), "", (), {"prompt": "a fox"}, {})
    assert desk.jobs.calls == desk.results.calls == []
    assert "without an id" in caplog.text


def test_a_call_that_failed_before_there_was_a_job_is_told_to_its_producer() -> None:
    desk = Desk()
    refuse_call(desk.services(), "job-1", TypeError("an unexpected argument"))
    refused = desk.results.given("refuse")
    assert refused["job_id"] == "job-1"
    assert "an unexpected argument" in str(refused["error"])
