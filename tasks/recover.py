"""``limner.recover``: finish a job whose step was not completed."""

import logging
from typing import Any, Final

from limner.ledger import Record
from limner.status import JobState
from tasks.decisions import accepted_unnamed, in_doubt, lease_over
from tasks.ending import end, store
from tasks.step import step
from worker.services import Services

logger = logging.getLogger(__name__)

LATE_COMMIT: Final = 5.0
"""Seconds in which a worker that was cut off from Redis can still put its answer on record."""

ASK_AGAIN: Final = 3600.0
"""Seconds after which a held job is recovered again: the policy may have changed."""


@step("limner.recover")
def recover(services: Services, _message: Any, /, job_id: str, lease: int) -> None:
    """Recover a job, if the lease still holds."""
    bring_to_end(services, job_id, lease)


def bring_to_end(services: Services, job_id: str, lease: int) -> None:
    """Take the action for a job that has expired in its state, if the lease still holds."""
    record = services.ledger.jobs.read(job_id)
    if record is None or record.lease != lease:
        return
    if record.state is JobState.SENDING:
        grace = max(LATE_COMMIT, services.grace)
        services.ledger.jobs.doubt(job_id, record.attempt, lease_over(), grace=grace)
    elif record.state is JobState.IN_DOUBT:
        resolve_doubt(services, record)
    elif record.state is JobState.COPYING:
        deliver(services, record)
    elif record.state.ended:
        store(services, record)


def deliver(services: Services, record: Record) -> None:
    """End a job whose copies take longer than LIMNER_COPY_PATIENCE_SECONDS, with the provider's URLs."""
    logger.warning("job %s ends before its images are copied; copying goes on", record.job_id)
    if ended := services.ledger.copies.deliver(record.job_id, record.lease):
        store(services, ended)


def resolve_doubt(services: Services, record: Record) -> None:
    """Apply the policy of LIMNER_IN_DOUBT to a doubt that nothing has resolved."""
    policy, jobs = services.settings.in_doubt, services.ledger.jobs
    if policy == "hold":
        if jobs.hold(record.job_id, record.lease, ask_again_in=ASK_AGAIN) and not record.held_at:
            logger.warning("job %s is held: python -m limner resolve decides", record.job_id)
    elif record.unnamed:
        # Certainly paid for once, so no policy sends it again.
        end(services, record.job_id, accepted_unnamed(record.job_id), [JobState.IN_DOUBT], lease=record.lease)
    elif policy == "resubmit" and not record.resubmitted:
        if jobs.resubmit(record.job_id, lease=record.lease):
            logger.warning("job %s is sent again and may be paid for twice", record.job_id)
    else:
        end(services, record.job_id, in_doubt(record.last_error), [JobState.IN_DOUBT], lease=record.lease)
