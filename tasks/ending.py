"""The end of a job, in its record and as a result for its producer."""

from collections.abc import Sequence
from functools import partial

from limner.errors import JobFailed
from limner.ledger import Closing, Record
from limner.status import JobState
from tasks.commit import SHORT_PATIENCE, patiently, put_outcome
from worker.rescue import Outcome
from worker.services import Services


def end(
    services: Services,
    job_id: str,
    error: JobFailed,
    come_from: Sequence[JobState],
    *,
    lease: int | None = None,
    attempt: int | None = None,
    pause: Closing | None = None,
    outcome: Outcome | None = None,
) -> None:
    """End a job in an error, if its lease or attempt still holds, and store the error as its result.

    ``outcome`` is that of the request whose answer ends it.
    """
    fail = partial(
        services.ledger.jobs.fail,
        job_id,
        error,
        come_from,
        lease=lease,
        attempt=attempt,
        certain=error.charged == "no",
        pause=pause,
    )
    if outcome:
        ended = put_outcome(fail, outcome, services.rescue)
    else:
        ended = patiently(fail, f"job {job_id} failed: {error}")
    if ended:
        store(services, ended)


def store(services: Services, ended: Record) -> None:
    """Store the result in a job's record. If that fails, it is tried again when the job's lease expires."""
    patiently(
        partial(services.results.store, ended, services.ledger),
        f"the result of job {ended.job_id}",
        patience=SHORT_PATIENCE,
        component="results",
    )
