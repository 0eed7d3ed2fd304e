"""``limner.check_status``: look at a job's task, and deliver what is there."""

import logging
import time
from datetime import timedelta
from typing import Any

from limner.records import JobState, Record
from provider import Done
from tasks.create_task import end
from tasks.decisions import Fail, LookAgain, after_look
from tasks.step import step
from worker.application import app
from worker.fleet import Fleet

logger = logging.getLogger(__name__)


@step("limner.check_status")
def check_status(self: Any, lease: int) -> None:
    """One look at the task of the job with this task's id."""
    look(app.fleet, self.request.id, lease)


def look(fleet: Fleet, job_id: str, lease: int) -> None:
    """Read the task's state, if the lease still holds, and put what follows on record."""
    record = fleet.ledger.read(job_id)
    if record is None or record.state is not JobState.GENERATING or record.lease != lease:
        return
    assert record.read_at and record.task_id and record.accepted_at and record.deadline  # noqa: S101,PT018
    began = time.monotonic()
    answer = fleet.provider.record_info(record.task_id)
    # The ledger's own clock: this machine's may go wrong.
    now = record.read_at + timedelta(seconds=time.monotonic() - began)
    decision = after_look(
        answer,
        age=(now - record.accepted_at).total_seconds(),
        time_left=(record.deadline - now).total_seconds(),
        law=fleet.law,
    )
    match decision:
        case LookAgain(delay, seen):
            fleet.ledger.looked(job_id, lease, seen, look_in=delay)
        case Done():
            deliver(fleet, record, decision)
        case Fail(error):
            end(fleet, record, error, [JobState.GENERATING], lease=lease)


def deliver(fleet: Fleet, record: Record, done: Done) -> None:
    """End a job in its images, and store them as its result."""
    ended_at = fleet.ledger.succeed(record.job_id, record.lease, done.urls, done.credits)
    if ended_at is None:
        return
    outcome = {"urls": list(done.urls), "credits": done.credits}
    fleet.results.store(record.ended(JobState.SUCCEEDED, outcome, ended_at), fleet.ledger)
    logger.info("job %s succeeded with %d images", record.job_id, len(done.urls))
