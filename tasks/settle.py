"""``limner.settle``: what is left to do for a job whose step was not brought to its end."""

from typing import Any

from limner.records import JobState, Record
from tasks.create_task import end
from tasks.decisions import in_doubt, lease_over
from tasks.step import step
from worker.application import app
from worker.fleet import Fleet

LATE_COMMIT = 5.0
"""Seconds in which a worker that was cut off from Redis can still put its answer on record."""


@step("limner.settle")
def settle(self: Any, lease: int) -> None:
    """One settlement of the job with this task's id."""
    record = app.fleet.ledger.read(self.request.id)
    if record is not None and record.lease == lease:
        bring_to_end(app.fleet, record)


def bring_to_end(fleet: Fleet, record: Record) -> None:
    """Do what the job's state says must happen when its time is over."""
    if record.state is JobState.SENDING:
        fleet.ledger.doubt(record.job_id, record.attempt, lease_over(), grace=LATE_COMMIT)
    elif record.state is JobState.IN_DOUBT:
        end(fleet, record, in_doubt(record.last_error), [JobState.IN_DOUBT], lease=record.lease)
    elif record.state.ended:
        fleet.results.store(record, fleet.ledger)
