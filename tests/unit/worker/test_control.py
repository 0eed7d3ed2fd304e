"""The commands of Celery's remote control that cancel jobs."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state as of_worker
from celery.worker.control import Panel

from limner.errors import StoreUnavailable
from limner.ledger.jobs import Jobs
from limner.status import JobState
from tests.unit.tasks.doubles import Desk, Recorder
from worker.control import install


def told(command: str, answer: Any, **arguments: Any) -> tuple[Desk, dict[str, str]]:
    """The answer of a worker to a command, and its calls of the ledger."""
    install()
    desk = Desk(jobs=Recorder(Jobs, cancel=answer))
    state = SimpleNamespace(app=SimpleNamespace(services=desk.services()))
    return desk, Panel.data[command](state, **arguments)


@pytest.mark.parametrize("command", ["revoke", "terminate"])
@pytest.mark.parametrize("task_id", ["job-1", ["job-1"]])
def test_a_revoked_job_is_cancelled(command: str, task_id: Any) -> None:
    desk, answer = told(
        command, JobState.GENERATING, task_id=task_id, terminate=command == "terminate", signal="SIGTERM"
    )
    cancelled = desk.jobs.given("cancel")
    assert cancelled["job_id"] == "job-1"
    assert (cancelled["unsent"].charged, cancelled["sent"].charged) == ("no", "maybe")
    assert answer == {"ok": "jobs cancelled: job-1; no jobs: none"}
    assert "job-1" not in of_worker.revoked


def test_an_id_of_no_job_is_ignored() -> None:
    _, answer = told("revoke", None, task_id=["a", "b"])
    assert answer == {"ok": "jobs cancelled: none; no jobs: a, b"}
    assert "a" not in of_worker.revoked


def test_a_job_that_cannot_be_cancelled_is_an_error() -> None:
    _, answer = told("revoke", StoreUnavailable("away"), task_id="job-1")
    assert answer == {"error": "away"}


def test_stamps_find_no_jobs() -> None:
    desk, answer = told("revoke_by_stamped_headers", None, headers={"order": ["7"]}, terminate=True)
    assert "by their ids" in answer["ok"]
    assert desk.jobs.calls == []
