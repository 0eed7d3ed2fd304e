"""Refusals of messages, which are results."""

from typing import Any

import pytest

from limner.errors import InvalidRequest, RecordUnreadable
from limner.ledger.jobs import Jobs
from tests.unit.tasks.doubles import Desk, Recorder, a_record
from worker.refusals import refuse

ERROR = InvalidRequest("prompt: missing")


def test_a_refusal_is_the_result_of_its_message() -> None:
    desk = Desk(jobs=Recorder(Jobs, read=None))
    refuse(desk.services(), "m-1", ERROR, {"chain": []})
    assert desk.results.given("refuse") == {"job_id": "m-1", "error": ERROR, "asked": {"chain": []}}


@pytest.mark.parametrize("answer", [a_record("queued"), a_record("succeeded"), RecordUnreadable("damaged")])
def test_it_never_replaces_the_result_of_a_job(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(jobs=Recorder(Jobs, read=answer))
    refuse(desk.services(), "job-1", ERROR)
    assert desk.results.calls == []
    assert "a message with the id of job job-1 is refused: prompt: missing" in caplog.text
