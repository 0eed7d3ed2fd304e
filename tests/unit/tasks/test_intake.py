"""The job or the error that follows from a plain Celery message."""

import json
from typing import Any

import pytest
from celery.exceptions import Reject

from limner.errors import InvalidRequest, NotDurable
from limner.ledger import Submitted
from limner.ledger.jobs import Jobs
from limner.options import SubmitOptions
from tasks.intake import MAX_ID_LENGTH, accept, refuse_call, submission
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
    accept(desk.services(), "job-1", (), {"prompt": "a fox"})
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
    accept(desk.services(), "job-1", (), {"promt": "a fox"})
    assert desk.jobs.calls == []
    refused = desk.results.given("refuse")
    assert refused["job_id"] == "job-1"
    assert isinstance(refused["error"], InvalidRequest)


def test_an_account_that_there_is_not_is_a_refusal() -> None:
    desk = accepting(Submitted("no_account", "main"))
    accept(desk.services(), "job-1", (), {"prompt": "a fox", "account": "south"})
    assert "south" in str(desk.results.given("refuse")["error"])


def test_a_message_that_redis_did_not_keep_goes_back_to_the_broker() -> None:
    with pytest.raises(Reject) as rejected:
        accept(accepting(NotDurable("not on disk")).services(), "job-1", (), {"prompt": "a fox"})
    assert requeued(rejected.value)


def test_a_refusal_that_cannot_be_stored_goes_back_to_the_broker() -> None:
    desk = Desk(results=Recorder(ResultStore, refuse=NotDurable("not on disk")))
    with pytest.raises(Reject) as rejected:
        accept(desk.services(), "job-1", ("a fox",), {})
    assert requeued(rejected.value)


def test_a_call_that_failed_before_there_was_a_job_is_told_to_its_producer() -> None:
    desk = Desk()
    refuse_call(desk.services(), "job-1", TypeError("an unexpected argument"))
    refused = desk.results.given("refuse")
    assert refused["job_id"] == "job-1"
    assert "an unexpected argument" in str(refused["error"])
