"""What a record says of the money that its job has cost."""

import json
from typing import Any

import pytest

from limner.errors import Cancelled, GenerationFailed, InDoubt, JobFailed, NoImages
from limner.records import Record, TaskState


def record(error: JobFailed, *tasks: dict[str, Any], **fields: Any) -> Record:
    stored = {
        "v": "2",
        "state": "failed",
        "request": '{"prompt": "a fox"}',
        "metadata": "{}",
        "priority": "5",
        "lease": "1",
        "attempt": "1",
        "looks": "1",
        "created": "1800000000000",
        "outcome": json.dumps({"error": error.to_json()}),
        "tasks": json.dumps(tasks),
        **fields,
    }
    return Record.from_hash("job", {name: text for name, text in stored.items() if text is not None})


def charged(error: JobFailed, *tasks: dict[str, Any], **fields: Any) -> str:
    failure = record(error, *tasks, **fields).failure
    assert failure
    assert type(failure) is type(error)
    assert failure.safe_to_resend == (failure.charged == "no")
    return failure.charged


PAID = {"id": "T", "attempt": 1, "state": "succeeded", "sure": True, "credits": "3.5"}
FAILED = {"id": "U", "attempt": 1, "state": "failed", "sure": True}
BLANK = {"id": "V", "attempt": 1, "state": "failed", "sure": True, "credits": "7"}
OPEN = {"id": "W", "attempt": 1, "state": "open", "sure": True}


def test_what_is_not_known_stays_so() -> None:
    assert charged(InDoubt("?")) == "maybe"
    assert charged(InDoubt("?"), OPEN) == "maybe"
    assert charged(InDoubt("?"), {**OPEN, "state": "lost"}) == "maybe"


@pytest.mark.parametrize("error", [InDoubt("?"), Cancelled("?"), Cancelled("?", {"charged": "no"})])
def test_a_task_that_has_succeeded_is_paid_for_whatever_the_error_said(error: JobFailed) -> None:
    assert charged(error, PAID) == "yes"
    assert charged(error, FAILED, PAID) == "yes"


def test_a_task_without_images_is_paid_for_even_if_another_one_has_failed() -> None:
    assert charged(GenerationFailed("?"), BLANK, FAILED) == "yes"
    assert charged(NoImages("?"), FAILED) == "yes"


def test_a_doubt_whose_tasks_have_all_failed_has_cost_nothing() -> None:
    assert charged(InDoubt("?"), FAILED) == "no"
    assert charged(Cancelled("?"), FAILED, FAILED) == "no"


@pytest.mark.parametrize("other", ["doubtful", "resubmitted", "faulted"])
def test_unless_another_attempt_may_have_been_accepted(other: str) -> None:
    assert charged(InDoubt("?"), FAILED, **{other: "1"}) == "maybe"


def test_a_record_of_version_1_has_the_one_task_that_it_knew() -> None:
    of_today = record(InDoubt("?"), state="generating", task_id="T", attempt="2")
    assert of_today.open_task is None
    before = record(InDoubt("?"), state="generating", task_id="T", attempt="2", v="1", tasks=None)
    assert before.open_task
    assert (before.open_task.task_id, before.open_task.attempt) == ("T", 2)
    assert before.open_task.state is TaskState.OPEN


def test_no_representation_shows_a_token() -> None:
    secret = record(InDoubt("?"), OPEN, **{"token:1": "hunter2"})
    assert secret.tokens == {1: "hunter2"}
    assert "hunter2" not in repr(secret)
    assert secret.attempt_of("https://hooks.example.test/callbacks/job/hunter2") == 1
    assert secret.attempt_of("https://hooks.example.test/callbacks/job/other") is None
