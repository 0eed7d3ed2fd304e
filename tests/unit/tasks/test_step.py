"""The shell that all steps share."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context

from limner.errors import NotDurable, RecordUnreadable, StoreUnavailable
from limner.ledger.jobs import Jobs
from tasks.step import shell, step
from tests.unit.tasks.doubles import Desk, Recorder
from worker.inspection import STEP

REQUEST = Context(id="create:job-1:7", **{STEP: 1})
TASK = SimpleNamespace(app=SimpleNamespace(services="the services"), request=REQUEST)
DAMAGED = RecordUnreadable("the record is damaged")


def of_damaged_job(**answers: Any) -> Desk:
    """The doubles of a step that cannot read its job's record."""
    desk = Desk(jobs=Recorder(Jobs, **answers))

    def run(*_: Any) -> None:
        raise DAMAGED

    app = SimpleNamespace(services=desk.services())
    shell(run)(SimpleNamespace(app=app, request=REQUEST), "job-1", 7)
    return desk


def test_a_step_gets_its_app_s_services_the_message_and_the_arguments() -> None:
    got: list[Any] = []

    def run(services: Any, message: Any, /, *arguments: Any, **parameters: Any) -> None:
        got.extend([services, message.id, arguments, parameters])

    shell(run)(TASK, "job-1", 7, services="a parameter of a message", task="another")
    given = {"services": "a parameter of a message", "task": "another"}
    assert got == ["the services", "create:job-1:7", ("job-1", 7), given]


@pytest.mark.parametrize("error", [StoreUnavailable, NotDurable])
def test_a_step_that_redis_cuts_short_is_left_to_its_lease(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def run(*_: Any) -> None:
        raise error("away")

    with caplog.at_level("DEBUG"):
        shell(run)(TASK, "job-1", 7)
    assert "job job-1 waits for its lease to be over: away" in caplog.text


def test_a_job_whose_record_cannot_be_read_is_set_apart(caplog: pytest.LogCaptureFixture) -> None:
    desk = of_damaged_job(set_apart=True)
    assert desk.jobs.given("set_apart") == {"job_id": "job-1", "fault": DAMAGED}
    assert "job job-1 is left alone: the record is damaged" in caplog.text


def test_a_plain_message_names_its_job_by_its_own_id() -> None:
    desk = Desk(jobs=Recorder(Jobs, set_apart=True))

    def run(*_: Any) -> None:
        raise DAMAGED

    task = SimpleNamespace(app=SimpleNamespace(services=desk.services()), request=Context(id="job-1"))
    shell(run)(task, "a fox")
    assert desk.jobs.given("set_apart")["job_id"] == "job-1"


def test_a_job_that_was_set_apart_before_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    of_damaged_job(set_apart=False)
    assert caplog.text == ""


def test_a_job_that_cannot_be_set_apart_is_left_to_its_lease(caplog: pytest.LogCaptureFixture) -> None:
    of_damaged_job(set_apart=StoreUnavailable("away"))
    assert caplog.text == ""


def test_a_bug_is_celery_s_to_report() -> None:
    def run(*_: Any) -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        shell(run)(TASK, "job-1", 7)


def test_celery_stores_nothing_of_a_step() -> None:
    app = Celery("storing", backend="cache+memory://", set_as_current=False)

    def run(*_: Any) -> None:
        """Do nothing."""

    made: Any = step("limner.of_a_test")(run)
    task = app.tasks[made.name]
    request = Context(id="job-1", errbacks=[{"task": "next"}], chord={"task": "next"}, ignore_result=False)
    for mark in ("mark_as_started", "mark_as_done", "mark_as_failure", "mark_as_retry", "mark_as_revoked"):
        getattr(task.backend, mark)("job-1", None, request=request)
    task.backend.store_result("job-1", None, "SUCCESS")
    assert task.AsyncResult("job-1").state == "PENDING"


def test_the_body_of_a_chord_that_fails_has_its_failure_and_so_has_what_follows_it() -> None:
    app = Celery("storing", backend="cache+memory://", set_as_current=False)

    def run(*_: Any) -> None:
        """Do nothing."""

    made: Any = step("limner.of_a_chord")(run)
    backend: Any = app.tasks[made.name].backend
    try:
        raise ValueError("a member failed")
    except ValueError as error:
        backend.fail_from_current_stack("body-1", exc=error)
    backend._fail_chain([{"task": "next", "options": {"task_id": "next-1"}}], ValueError("a member failed"))
    assert [app.AsyncResult(task_id).state for task_id in ("body-1", "next-1")] == ["FAILURE", "FAILURE"]
