"""``limner.recover``: what is left to do for a job whose step was not brought to its end."""

import logging
from typing import Any, Final

from limner.ledger import Record
from limner.status import JobState
from tasks.create_task import end, store
from tasks.decisions import in_doubt, lease_over
from tasks.step import step
from worker.application import app
from worker.services import Services

logger = logging.getLogger(__name__)

LATE_COMMIT: Final = 5.0
"""Seconds in which a worker that was cut off from Redis can still put its answer on record."""

ASK_AGAIN: Final = 3600.0
"""Seconds after which a held job is recovered again: the policy may have changed."""


@step("limner.recover")
def recover(self: Any, lease: int) -> None:
    """One settlement of the job with this task's id."""
    record = app.services.ledger.jobs.read(self.request.id)
    if record is not None and record.lease == lease:
        bring_to_end(app.services, record)


def bring_to_end(services: Services, record: Record) -> None:
    """Do what the job's state says must happen when its time is over."""
    if record.state is JobState.SENDING:
        grace = max(LATE_COMMIT, services.grace)
        services.ledger.jobs.doubt(record.job_id, record.attempt, lease_over(), grace=grace)
    elif record.state is JobState.IN_DOUBT:
        decide(services, record)
    elif record.state.ended:
        store(services, record)


def decide(services: Services, record: Record) -> None:
    """What the policy says of a doubt that nothing has resolved."""
    policy = services.settings.in_doubt
    if policy == "hold":
        if (
            services.ledger.jobs.hold(record.job_id, record.lease, ask_again_in=ASK_AGAIN)
            and not record.held_at
        ):
            logger.warning("job %s is held: python -m limner resolve decides", record.job_id)
    elif policy == "resubmit" and not record.resubmitted:
        if services.ledger.jobs.resubmit(record.job_id, lease=record.lease):
            logger.warning("job %s is sent again and may be paid for twice", record.job_id)
    else:
        end(services, record.job_id, in_doubt(record.last_error), [JobState.IN_DOUBT], lease=record.lease)
