"""The job or the error that follows from a plain Celery message."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.app.task import Context
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
from limner.options import LONGEST, SubmitOptions
from tasks.intake import (
    AT_ONCE,
    MAX_ID_LENGTH,
    accept,
    in_time,
    refuse_call,
    refuse_message,
    submission,
)
from tasks.message_time import SENT
from tests.unit.tasks.doubles import NOW, Desk, Recorder
from worker.results import ResultStore

CREATED = Submitted("created", "job-1")


def accepting(answer: Any = CREATED) -> Desk:
    return Desk(jobs=Recorder(Jobs, submit=answer))


def message(**asked: Any) -> Context:
    """The request of a plain message's task."""
    return Context(id="job-1", **asked)


def requeued(rejection: Any) -> bool:
    """True if the broker is to deliver the message again."""
    return bool(rejection.requeue)


def test_a_message_becomes_a_job_under_the_task_s_id() -> None:
    desk = accepting()
    accept(desk.services(), message(), (), {"prompt": "a fox"})
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
            "copy": False,
            "copy_to": "orders/4711",
        },
    )
    assert new.options == SubmitOptions.checked(
        priority=9,
        metadata={"order": 4},
        lane="a",
        account="b",
        expires_in=60,
        copy=False,
        copy_to="orders/4711",
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
    accept(desk.services(), message(), (), {"promt": "a fox"})
    assert desk.jobs.names == []
    refused = desk.results.given("refuse")
    assert refused["job_id"] == "job-1"
    assert isinstance(refused["error"], InvalidRequest)


def test_a_bad_message_with_the_id_of_a_job_is_set_aside() -> None:
    desk = Desk(results=Recorder(ResultStore, refuse=False))
    accept(desk.services(), message(), (), {"promt": "a fox"})
    letter = desk.letters.given("add")
    assert "its id is that of a job" in letter["why"]
    assert b"promt" in letter["item"]


def test_a_message_that_was_set_aside_is_answered_once() -> None:
    desk = Desk()
    refuse_message(desk.services(), "job-1", "header eta: must be a time")
    assert "header eta" in str(desk.results.given("refuse")["error"])
    assert desk.letters.calls == []


def test_an_answer_that_cannot_be_stored_goes_back_to_the_broker() -> None:
    desk = Desk(results=Recorder(ResultStore, refuse=NotDurable("not on disk")))
    with pytest.raises(Reject) as rejected:
        refuse_message(desk.services(), "job-1", "header eta")
    assert requeued(rejected.value)


def test_an_account_that_there_is_not_is_a_refusal() -> None:
    desk = accepting(Submitted("no_account", "main"))
    accept(desk.services(), message(), (), {"prompt": "a fox", "account": "south"})
    assert "south" in str(desk.results.given("refuse")["error"])


def test_a_message_that_redis_did_not_keep_goes_back_to_the_broker() -> None:
    with pytest.raises(Reject) as rejected:
        accept(accepting(NotDurable("not on disk")).services(), message(), (), {"prompt": "a fox"})
    assert requeued(rejected.value)


def test_a_refusal_that_cannot_be_stored_goes_back_to_the_broker() -> None:
    desk = Desk(results=Recorder(ResultStore, refuse=NotDurable("not on disk")))
    with pytest.raises(Reject) as rejected:
        accept(desk.services(), message(), ("a fox",), {})
    assert requeued(rejected.value)


FIRST = datetime(2026, 11, 1, tzinfo=UTC)
AGAIN = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "same", "error"),
    [("gone", True, RepeatedMessage), ("gone", False, IdempotencyConflict), ("too_old", True, MessageTooOld)],
)
def test_a_message_that_comes_again_after_its_job_was_forgotten_is_answered(
    outcome: Any, same: bool, error: type[Exception]
) -> None:
    digest = submission("job-1", (), {"prompt": "a fox"}).digest if same else "d"
    desk = accepting(Submitted(outcome, "job-1", digest, FIRST, AGAIN))
    accept(desk.services(), message(), (), {"prompt": "a fox"})
    assert type(desk.results.given("refuse")["error"]) is error


def test_an_id_with_another_request_is_told_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    desk = accepting(Submitted("conflict", "job-1", "the first digest", FIRST, AGAIN))
    accept(desk.services(), message(), (), {"prompt": "a hen"})
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
    accept(desk.services(), message(**{SENT: sent.isoformat()}), (), {"prompt": "a fox"})
    new = desk.jobs.given("submit")["new"]
    assert new.too_old == (hours > 168)
    assert new.remember > 7 * 86_400


def test_a_call_that_failed_before_there_was_a_job_is_told_to_its_producer() -> None:
    desk = Desk()
    refuse_call(desk.services(), "job-1", TypeError("an unexpected argument"))
    refused = desk.results.given("refuse")
    assert refused["job_id"] == "job-1"
    assert "an unexpected argument" in str(refused["error"])


# What a message asks of Celery

LINK: dict[str, Any] = {
    "task": "shop.publish",
    "args": [],
    "kwargs": {},
    "options": {"task_id": "p-1"},
    "subtask_type": None,
}


def test_what_is_linked_lies_on_the_record_and_the_task_itself_does_nothing() -> None:
    desk, plain = accepting(), message(callbacks=[LINK], root_id="r", ignore_result=False)
    accept(desk.services(), plain, (), {"prompt": "a fox"})
    assert json.loads(desk.jobs.given("submit")["new"].celery) == {"callbacks": [LINK], "root_id": "r"}
    assert (plain.callbacks, plain.ignore_result) == (None, True)


def test_a_refusal_goes_to_what_is_linked() -> None:
    desk = accepting()
    accept(desk.services(), message(errbacks=[LINK]), (), {"promt": "a fox"})
    assert desk.results.given("refuse")["asked"] == {"errbacks": [LINK]}


def test_a_link_that_is_no_signature_is_named() -> None:
    desk = accepting()
    accept(desk.services(), message(callbacks=["shop.publish"]), (), {"prompt": "a fox"})
    assert "link: must be signatures" in str(desk.results.given("refuse")["error"])


# Times


def timed(**given: Any) -> tuple[float | None, float | None]:
    """The seconds until the job of such a message starts, and until it expires."""
    options = {name: given.pop(name) for name in ("expires_in",) if name in given}
    new = in_time(submission("job-1", (), {"prompt": "a fox", **options}), message(**given), NOW)
    return new.starts_in, new.options.expires_in


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (None, None)),
        ({"eta": at(60)}, (60, None)),
        ({"eta": at(-60)}, (None, None)),
        ({"eta": NOW + timedelta(seconds=5)}, (5, None)),
        ({"eta": at(7).replace("+00:00", "")}, (7, None)),
        ({"eta": at(2 * LONGEST)}, (LONGEST, None)),
        ({"expires": at(60)}, (None, 60)),
        ({"expires": at(-60)}, (None, AT_ONCE)),
        ({"expires": at(2 * LONGEST)}, (None, LONGEST)),
        ({"expires": at(60), "expires_in": 30}, (None, 30)),
        ({"expires": at(60), "expires_in": 90}, (None, 60)),
        ({"eta": at(60), "expires": at(90)}, (60, 90)),
    ],
)
def test_the_times_of_a_message_are_the_job_s(
    given: dict[str, Any], expected: tuple[float | None, float | None]
) -> None:
    assert timed(**given) == expected


@pytest.mark.parametrize("name", ["eta", "expires"])
@pytest.mark.parametrize("moment", ["soon", 7, ["2027"]])
def test_a_time_that_is_none_is_named(name: str, moment: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}: .*is no time"):
        timed(**{name: moment})
